"""Writes a demo source as PDF in the company's look: A4 policies, or an A5 manual with cover and contents."""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, TableCellFillMode, XPos, YPos
from fpdf.fonts import FontFace
from fpdf.outline import OutlineSection

from project.demo.builder.figures import DRAW_FIGURE, FIGURE_HEIGHT, draw_unit
from project.demo.builder.markup import Block, Kind, plain

COMPANY = "Harbourpine"
PINE = (18, 74, 62)
INK = (29, 42, 40)
MUTED = (91, 107, 104)
MIST = (233, 240, 238)
AMBER = (252, 243, 222)
BUILT_AT = datetime(2026, 10, 12, 9, 0, tzinfo=UTC)


class CompanyPdf(FPDF):
    """A page with the company's header and footer."""

    def __init__(self, *, title: str, is_manual: bool) -> None:
        super().__init__(format=(148, 210) if is_manual else (210, 297))
        self.running_title = title
        self.is_manual = is_manual
        self.body_size = 9.5 if is_manual else 10.5
        margin = 16 if is_manual else 22
        self.set_margins(margin, margin + 4, margin)
        self.set_auto_page_break(True, margin=20)
        self.set_creation_date(BUILT_AT)
        self.set_title(title)
        self.set_author(COMPANY)
        self.set_lang("en-GB")

    @property
    def line_height(self) -> float:
        return self.body_size * 0.53

    def header(self) -> None:
        if self.is_manual and self.page_no() == 1:
            return
        self.set_y(10)
        self.style(size=8, colour=MUTED)
        self.cell(0, 5, COMPANY)
        self.set_x(self.l_margin)
        self.cell(0, 5, self.running_title, align="R")
        self.set_y(self.t_margin)

    def footer(self) -> None:
        if self.is_manual and self.page_no() == 1:
            return
        self.set_y(-14)
        self.style(size=8, colour=MUTED)
        self.cell(0, 5, f"Page {self.page_no()}", align="C")

    def style(
        self, *, size: float, colour: tuple[int, int, int] = INK, is_bold: bool = False
    ) -> None:
        """Set the font and the text colour."""
        self.set_font("helvetica", style="B" if is_bold else "", size=size)
        self.set_text_color(*colour)

    def text_height(self, text: str, *, height: float, indent: float = 0) -> float:
        """Estimate the height of a paragraph; fpdf2's own dry run doubles the time of the build."""
        loss_at_line_ends = 1.08
        width = float(self.get_string_width(plain(text))) * loss_at_line_ends
        return ceil(width / (self.epw - indent)) * height

    def flow(self, text: str, *, height: float, indent: float = 0, is_filled: bool = False) -> None:
        """Write one paragraph, never split over two pages: sentences stay whole for readers."""
        if self.will_page_break(self.text_height(text, height=height, indent=indent)):
            self.add_page()
        self.set_x(self.l_margin + indent)
        self.multi_cell(
            0,
            height,
            text,
            align="L",
            markdown=True,
            fill=is_filled,
            padding=2 if is_filled else 0,
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )


def write_pdf(path: Path, blocks: tuple[Block, ...], *, is_manual: bool) -> None:
    """This function will write the blocks as PDF."""
    title = next(plain(block.text) for block in blocks if block.kind is Kind.TITLE)
    pdf = CompanyPdf(title=title, is_manual=is_manual)
    pdf.add_page()
    for block, following in zip(blocks, (*blocks[1:], None), strict=True):
        # A heading stays with the first lines, or the whole short table, that follow it.
        keep = 24 + (_table_height(pdf, following.rows) if following else 0)
        if block.kind is Kind.SECTION and pdf.will_page_break(min(keep, pdf.eph / 2)):
            pdf.add_page()
        _draw(pdf, block)
    pdf.output(str(path))


def _table_height(pdf: CompanyPdf, rows: tuple[tuple[str, ...], ...]) -> float:
    return len(rows) * (pdf.line_height + 2.2)


def _draw(pdf: CompanyPdf, block: Block) -> None:
    pdf.style(size=pdf.body_size)
    match block.kind:
        case Kind.TITLE:
            _draw_title(pdf, block.text)
        case Kind.SUBTITLE:
            _draw_subtitle(pdf, block.text)
        case Kind.CHAPTER | Kind.SECTION:
            _draw_heading(pdf, block)
        case Kind.PARAGRAPH:
            pdf.flow(block.text, height=pdf.line_height)
            pdf.ln(2.4)
        case Kind.CALLOUT:
            pdf.set_fill_color(*AMBER)
            pdf.flow(block.text, height=pdf.line_height, is_filled=True)
            pdf.ln(3)
        case Kind.BULLETS | Kind.STEPS:
            _draw_list(pdf, block)
        case Kind.TABLE:
            _draw_table(pdf, block.rows)
        case Kind.FIGURE:
            _draw_figure(pdf, block)


def _draw_title(pdf: CompanyPdf, text: str) -> None:
    if not pdf.is_manual:
        pdf.style(size=22, colour=PINE, is_bold=True)
        pdf.flow(text, height=10)
        return
    pdf.set_fill_color(*PINE)
    pdf.rect(0, 0, pdf.w, 88, style="F")
    pdf.set_y(20)
    pdf.style(size=11, colour=MIST)
    pdf.flow(COMPANY, height=6)
    pdf.ln(22)
    pdf.style(size=26, colour=(255, 255, 255), is_bold=True)
    pdf.flow(text, height=12)
    draw_unit(pdf, x=pdf.w / 2 - 32, y=112, width=64)


def _draw_subtitle(pdf: CompanyPdf, text: str) -> None:
    if pdf.is_manual:
        pdf.set_y(170)
    pdf.style(size=pdf.body_size, colour=MUTED)
    pdf.flow(text, height=pdf.line_height)
    if pdf.is_manual:
        pdf.add_page()
        pdf.insert_toc_placeholder(_draw_contents)
        return
    pdf.set_draw_color(*PINE)
    pdf.line(pdf.l_margin, pdf.get_y() + 3, pdf.w - pdf.r_margin, pdf.get_y() + 3)
    pdf.ln(7)


def _draw_contents(pdf: FPDF, outline: list[OutlineSection]) -> None:
    pdf.set_xy(pdf.l_margin, pdf.t_margin)
    pdf.set_font("helvetica", style="B", size=15)
    pdf.set_text_color(*PINE)
    pdf.cell(0, 9, "Contents", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.set_font("helvetica", size=9.5)
    pdf.set_text_color(*INK)
    pdf.ln(2)
    for section in (entry for entry in outline if entry.level == 0):
        link = pdf.add_link(page=section.page_number)
        pdf.cell(pdf.epw - 12, 6.4, section.name, link=link)
        pdf.cell(12, 6.4, str(section.page_number), align="R", link=link)
        pdf.ln(6.4)


def _draw_heading(pdf: CompanyPdf, block: Block) -> None:
    is_chapter = block.kind is Kind.CHAPTER
    if is_chapter and pdf.is_manual:
        if pdf.get_y() > pdf.t_margin:
            pdf.add_page()
    else:
        if pdf.will_page_break(24):
            pdf.add_page()
        pdf.ln(2)
    size = (16 if pdf.is_manual else 13.5) if is_chapter else 11
    pdf.start_section(plain(block.text), level=0 if is_chapter else 1)
    pdf.style(size=size, colour=PINE, is_bold=True)
    pdf.flow(block.text, height=size * 0.5)
    pdf.ln(3 if is_chapter else 1.6)


def _draw_list(pdf: CompanyPdf, block: Block) -> None:
    for number, item in enumerate(block.items, start=1):
        pdf.style(size=pdf.body_size)
        if pdf.will_page_break(pdf.text_height(item, height=pdf.line_height, indent=6)):
            pdf.add_page()
            pdf.style(size=pdf.body_size)
        if block.kind is Kind.STEPS:
            pdf.cell(6, pdf.line_height, f"{number}.")
        else:
            pdf.set_fill_color(*PINE)
            pdf.circle(pdf.get_x() + 2, pdf.get_y() + pdf.line_height / 2, 0.7, style="F")
        pdf.flow(item, height=pdf.line_height, indent=6)
        pdf.ln(0.8)
    pdf.ln(1.8)


def _draw_table(pdf: CompanyPdf, rows: tuple[tuple[str, ...], ...]) -> None:
    if pdf.will_page_break(min(_table_height(pdf, rows), pdf.eph / 2)):
        pdf.add_page()
    pdf.set_draw_color(205, 216, 213)
    # Rows without a fill of their own would take the colour used last.
    pdf.set_fill_color(255, 255, 255)
    with pdf.table(
        rows,
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        cell_fill_color=MIST,
        cell_fill_mode=TableCellFillMode.NONE,
        col_widths=tuple(_column_widths(rows)),
        headings_style=FontFace(emphasis="BOLD", color=PINE, fill_color=MIST),
        line_height=pdf.line_height,
        padding=1.1,
        text_align="LEFT",
    ):
        pass
    pdf.ln(4)


def _column_widths(rows: tuple[tuple[str, ...], ...]) -> Iterator[int]:
    for column in zip(*rows, strict=True):
        yield min(44, max(12, *(len(cell) for cell in column)))


def _draw_figure(pdf: CompanyPdf, block: Block) -> None:
    if pdf.will_page_break(FIGURE_HEIGHT + 12):
        pdf.add_page()
    top = pdf.get_y()
    DRAW_FIGURE[block.name](pdf, pdf.l_margin, top, pdf.epw)
    pdf.set_y(top + FIGURE_HEIGHT + 2)
    pdf.style(size=8.5, colour=MUTED)
    pdf.flow(block.text, height=4.5)
    pdf.ln(3)
