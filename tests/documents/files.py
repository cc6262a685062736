"""Small files of every kind, good and bad, made in memory."""

import io
import struct
import zipfile
import zlib

from docx import Document as WordDocument
from fpdf import FPDF
from openpyxl import Workbook
from pptx import Presentation
from pypdf import PdfReader, PdfWriter


def pdf(*pages: str) -> bytes:
    """A PDF with a page for each text."""
    made = FPDF()
    made.set_font("Helvetica", size=12)
    for text in pages:
        made.add_page()
        made.multi_cell(0, 8, text)
    return bytes(made.output())


def encrypted_pdf() -> bytes:
    """A PDF that asks for a password."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("Secret."))))
    writer.encrypt("secret", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def scanned_pdf(pages: int = 1) -> bytes:
    """A PDF whose pages only hold lines, as a scan only holds a picture."""
    made = FPDF()
    for _page in range(pages):
        made.add_page()
        made.line(10, 10, 100, 100)
    return bytes(made.output())


def docx(*paragraphs: str) -> bytes:
    """A Word file."""
    made = WordDocument()
    for paragraph in paragraphs:
        made.add_paragraph(paragraph)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def pptx(*slides: str) -> bytes:
    """A PowerPoint file with a slide for each text."""
    made = Presentation()
    for text in slides:
        slide = made.slides.add_slide(made.slide_layouts[5])
        slide.shapes.title.text = text
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def xlsx(**sheets: list[list[object]]) -> bytes:
    """An Excel file with these sheets."""
    made = Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def with_entry(office_file: bytes, name: str, content: bytes) -> bytes:
    """An office file with one more entry."""
    out = io.BytesIO(office_file)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def bomb() -> bytes:
    """A Word file that unpacks to far more than its size, and says so."""
    return with_entry(docx("Boom."), "word/media/zeros.bin", bytes(120 * 1024 * 1024))


def lying_bomb() -> bytes:
    """A Word file that unpacks to far more than it says: both headers give a hundredth, with a checksum to match."""
    name, said, held = "word/media/zeros.bin", 1024, bytes(4 * 1024 * 1024)
    made = bytearray(with_entry(docx("Boom."), name, held))
    true_fields = struct.pack("<I", zlib.crc32(held)), struct.pack("<I", len(held))
    false_fields = struct.pack("<I", zlib.crc32(bytes(said))), struct.pack("<I", said)
    for true, false in zip(true_fields, false_fields, strict=True):
        assert made.count(true) == 2
        made = made.replace(true, false)
    return bytes(made)
