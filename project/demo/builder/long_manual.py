"""Writes a PDF of any length for tests and measures: no two sentences are alike, one fact is hidden."""

import textwrap
from pathlib import Path

from fpdf.enums import XPos, YPos

from project.demo.builder.pdf_writer import CompanyPdf

NEEDLE_PAGE = 87
NEEDLE_SENTENCE = (
    "The emergency release lever of the north pump house is painted violet "
    "and hangs behind panel 7C."
)
NEEDLE_QUESTION = "What colour is the emergency release lever of the north pump house?"
SENTENCES_IN_A_PARAGRAPH = 4
PARAGRAPHS_ON_A_PAGE = 5
LINE_LENGTH = 92

PARTS = (
    "The circulation pump", "The inlet valve", "The pressure sensor", "The heat exchanger",
    "The expansion vessel", "The control cabinet", "The dosing unit", "The return line",
    "The ventilation flap", "The measuring chamber", "The bypass", "The drain",
    "The backup generator",
)  # fmt: skip
PLACES = (
    "in the boiler house", "on the upper deck", "beside the loading bay", "in the east tunnel",
    "under the roof", "next to the transformer", "at the harbour wall", "in the filter hall",
    "behind the workshop", "at the reservoir", "in the valve chamber",
)  # fmt: skip
DUTIES = (
    "is inspected by two technicians", "must be cleaned with fresh water",
    "is switched over by hand", "has to be calibrated with a reference gauge",
    "is lubricated with mineral grease", "gets a new set of seals",
    "must be locked and tagged before work", "is tested at one and a half times its load",
    "is photographed for the record",
)  # fmt: skip
OCCASIONS = (
    "before the first frost", "after every flood warning", "at the end of the quarter",
    "when the alarm lamp flickers", "during the summer stop", "after a change of shift",
    "when its reading drifts",
)  # fmt: skip


def write_long_manual(path: Path, pages: int = 120) -> None:
    """This function will write a manual of exactly `pages` pages, NEEDLE_SENTENCE on NEEDLE_PAGE."""
    pdf = CompanyPdf(title="Waterworks operating manual", is_manual=False)
    for page in range(1, pages + 1):
        pdf.add_page()
        pdf.style(size=13)
        _write_line(pdf, f"Procedure {page}")
        pdf.style(size=pdf.body_size)
        for paragraph in _paragraphs(page):
            # Wrapped here: fpdf2's own line breaking takes ten times as long.
            for line in textwrap.wrap(paragraph, LINE_LENGTH):
                _write_line(pdf, line)
            pdf.ln(3)
    pdf.output(str(path))


def _write_line(pdf: CompanyPdf, text: str) -> None:
    pdf.cell(0, pdf.line_height, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _paragraphs(page: int) -> list[str]:
    first = page * PARAGRAPHS_ON_A_PAGE * SENTENCES_IN_A_PARAGRAPH
    sentences = [
        _sentence(first + index) for index in range(PARAGRAPHS_ON_A_PAGE * SENTENCES_IN_A_PARAGRAPH)
    ]
    if page == NEEDLE_PAGE:
        sentences.insert(9, NEEDLE_SENTENCE)
    size = SENTENCES_IN_A_PARAGRAPH
    return [" ".join(sentences[at : at + size]) for at in range(0, len(sentences), size)]


def _sentence(number: int) -> str:
    """Combine the word lists, whose lengths have no common factor, so combinations repeat late."""
    part = PARTS[number % len(PARTS)]
    place = PLACES[number % len(PLACES)]
    duty = DUTIES[number % len(DUTIES)]
    occasion = OCCASIONS[number % len(OCCASIONS)]
    minutes = 5 + number * 37 % 240
    return (
        f"{part} {place} {duty} {occasion}, which takes {minutes} minutes and is entered "
        f"in the log under number W-{number:04d}."
    )
