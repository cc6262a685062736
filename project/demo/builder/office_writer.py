"""Writes demo sources as DOCX, PPTX and XLSX, with fixed dates so that a rebuild changes nothing."""

import csv
import re
import zipfile
from datetime import datetime
from io import BytesIO
from pathlib import Path

from docx import Document
from docx.document import Document as DocxDocument
from docx.shared import Pt, RGBColor
from docx.text.paragraph import Paragraph
from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet
from pptx import Presentation
from pptx.enum.dml import MSO_THEME_COLOR
from pptx.slide import Slide
from pptx.util import Inches
from pptx.util import Pt as SlidePt

from project.demo.builder.markup import Block, Kind, plain, spans

COMPANY = "Harbourpine"
PINE = (0x12, 0x4A, 0x3E)
BUILT_AT = datetime(2026, 10, 12, 9, 0)  # noqa: DTZ001 - the three writers want a naive time
TITLE_ONLY_LAYOUT = 5
ISO_DATE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def write_docx(path: Path, blocks: tuple[Block, ...]) -> None:
    """This function will write the blocks as a Word document."""
    document = Document()
    style = document.styles["Normal"]
    style.font.name, style.font.size = "Calibri", Pt(10.5)
    for name in ("Title", "Heading 1", "Heading 2"):
        document.styles[name].font.color.rgb = RGBColor(*PINE)
    document.sections[0].header.paragraphs[0].text = COMPANY
    for block in blocks:
        _add_to_docx(document, block)
    document.core_properties.author = COMPANY
    document.core_properties.created = BUILT_AT
    buffer = BytesIO()
    document.save(buffer)
    _write_with_fixed_dates(path, buffer)


def write_pptx(path: Path, blocks: tuple[Block, ...]) -> None:
    """This function will write one slide for the title and one for each chapter with its bullets."""
    presentation = Presentation()
    presentation.slide_width, presentation.slide_height = Inches(13.333), Inches(7.5)
    lead = next(block.text for block in blocks if block.kind is Kind.SUBTITLE)
    for block, following in zip(blocks, (*blocks[1:], None), strict=True):
        if block.kind in (Kind.TITLE, Kind.CHAPTER):
            slide = presentation.slides.add_slide(presentation.slide_layouts[TITLE_ONLY_LAYOUT])
            lines = following.items if following and following.items else (lead,)
            _fill_slide(slide, title=plain(block.text), lines=lines)
    presentation.core_properties.author = COMPANY
    buffer = BytesIO()
    presentation.save(buffer)
    _write_with_fixed_dates(path, buffer)


def write_xlsx(path: Path, source: str) -> None:
    """This function will write one sheet for each `# name` of a CSV source."""
    workbook = Workbook()
    workbook.remove(workbook.worksheets[0])
    for part in re.split(r"^# ", source, flags=re.MULTILINE)[1:]:
        name, table = part.split("\n", 1)
        _fill_sheet(workbook.create_sheet(name), list(csv.reader(table.splitlines())))
    workbook.properties.creator = COMPANY
    buffer = BytesIO()
    workbook.save(buffer)
    _write_with_fixed_dates(path, buffer)


def _add_to_docx(document: DocxDocument, block: Block) -> None:
    levels = {Kind.TITLE: 0, Kind.CHAPTER: 1, Kind.SECTION: 2}
    styles = {
        Kind.SUBTITLE: "Subtitle",
        Kind.CALLOUT: "Intense Quote",
        Kind.BULLETS: "List Bullet",
        Kind.STEPS: "List Number",
    }
    if block.kind in levels:
        document.add_heading(plain(block.text), level=levels[block.kind])
    elif block.kind is Kind.TABLE:
        table = document.add_table(
            rows=len(block.rows), cols=len(block.rows[0]), style="Light List Accent 3"
        )
        for row, cells in zip(block.rows, table.rows, strict=True):
            for text, cell in zip(row, cells.cells, strict=True):
                cell.text = plain(text)
        document.add_paragraph()
    else:
        for text in block.items or (block.text,):
            _add_runs(document.add_paragraph(style=styles.get(block.kind)), text)


def _add_runs(paragraph: Paragraph, text: str) -> None:
    for piece, is_bold in spans(text):
        paragraph.add_run(piece).bold = is_bold


def _fill_slide(slide: Slide, *, title: str, lines: tuple[str, ...]) -> None:
    heading = slide.placeholders[0]
    heading.left, heading.top = Inches(0.8), Inches(0.6)
    heading.width, heading.height = Inches(11.7), Inches(1.2)
    heading.text_frame.text = title
    run = heading.text_frame.paragraphs[0].runs[0]
    run.font.size, run.font.bold = SlidePt(36), True
    run.font.color.theme_color = MSO_THEME_COLOR.TEXT_2
    box = slide.shapes.add_textbox(Inches(0.9), Inches(2.1), Inches(11.5), Inches(4.6))
    box.text_frame.word_wrap = True
    for index, line in enumerate(lines):
        paragraphs = box.text_frame.paragraphs
        paragraph = paragraphs[0] if index == 0 else box.text_frame.add_paragraph()
        paragraph.text = plain(line)
        paragraph.font.size, paragraph.space_after = SlidePt(22), SlidePt(12)


def _fill_sheet(sheet: Worksheet, rows: list[list[str]]) -> None:
    for row in rows:
        sheet.append([int(cell) if cell.isdigit() else cell for cell in row])
    for cell in sheet[1]:
        cell.font = Font(bold=True, color="FFFFFF")
        cell.fill = PatternFill("solid", start_color="124A3E")
        cell.alignment = Alignment(vertical="center")
    for letter, column in zip("ABCDE", zip(*rows, strict=True), strict=False):
        sheet.column_dimensions[letter].width = min(72, 3 + max(len(cell) for cell in column))
    sheet.freeze_panes = "A2"


def _write_with_fixed_dates(path: Path, buffer: BytesIO) -> None:
    """Copy the zip with one date for all members: the libraries write the time of the build."""
    stamp = BUILT_AT.isoformat().encode() + b"Z"
    with zipfile.ZipFile(buffer) as built, zipfile.ZipFile(path, "w") as target:
        for member in built.infolist():
            content = built.read(member)
            if member.filename == "docProps/core.xml":
                content = ISO_DATE.sub(stamp, content)
            fixed = zipfile.ZipInfo(member.filename, date_time=BUILT_AT.timetuple()[:6])
            target.writestr(fixed, content, compress_type=zipfile.ZIP_DEFLATED)
