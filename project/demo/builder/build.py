"""Builds every demo file of the manifest from its source; reads no clock and no chance."""

import shutil
from pathlib import Path

from project.demo.builder.html_writer import write_html
from project.demo.builder.markup import parse
from project.demo.builder.office_writer import write_docx, write_pptx, write_xlsx
from project.demo.builder.pdf_writer import write_pdf
from project.demo.manifest import DEMO_DIR, load_manifest

SOURCES_DIR = DEMO_DIR / "sources"
SOURCE_SUFFIX = {".xlsx": ".csv", ".csv": ".csv", ".txt": ".txt"}
MANUAL = "skerry-manual.pdf"


def build_files(target_dir: Path) -> None:
    """This function will write all files of the manifest into the folder."""
    target_dir.mkdir(parents=True, exist_ok=True)
    for document in load_manifest().documents:
        _build(target_dir / document.file)


def _build(target: Path) -> None:
    source = SOURCES_DIR / f"{target.stem}{SOURCE_SUFFIX.get(target.suffix, '.md')}"
    text = source.read_text(encoding="utf-8")
    match target.suffix:
        case ".pdf":
            write_pdf(target, parse(text), is_manual=target.name == MANUAL)
        case ".docx":
            write_docx(target, parse(text))
        case ".pptx":
            write_pptx(target, parse(text))
        case ".html":
            write_html(target, parse(text))
        case ".xlsx":
            write_xlsx(target, text)
        case _:
            shutil.copyfile(source, target)
