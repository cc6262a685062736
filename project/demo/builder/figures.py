"""Draws the figures of the product manual; each gets its left and top edge and its width in mm."""

from collections.abc import Callable
from math import cos, radians, sin

from fpdf import FPDF

FIGURE_HEIGHT = 62.0
PINE = (18, 74, 62)
HOT = (190, 82, 48)
COLD = (58, 110, 165)
GREY = (120, 132, 129)
PALE = (240, 244, 243)

Figure = Callable[[FPDF, float, float, float], None]


def draw_unit(pdf: FPDF, *, x: float, y: float, width: float) -> None:
    """This function will draw the outdoor unit from the front."""
    height = width * 0.68
    pdf.set_draw_color(*PINE)
    pdf.set_fill_color(*PALE)
    pdf.set_line_width(0.7)
    pdf.rect(x, y, width, height, style="DF", round_corners=True, corner_radius=3)
    centre_x, centre_y, radius = x + width * 0.36, y + height * 0.5, height * 0.38
    for share in (1.0, 0.82, 0.64, 0.46, 0.28):
        pdf.circle(centre_x, centre_y, radius * share, style="D")
    for angle in range(0, 360, 60):
        end_x = centre_x + radius * cos(radians(angle))
        pdf.line(centre_x, centre_y, end_x, centre_y + radius * sin(radians(angle)))
    for row in range(7):
        line_y = y + height * (0.2 + row * 0.1)
        pdf.line(x + width * 0.74, line_y, x + width * 0.93, line_y)
    for foot in (0.12, 0.78):
        pdf.rect(x + width * foot, y + height, width * 0.1, 3, style="DF")
    pdf.set_line_width(0.2)


def draw_schematic(pdf: FPDF, x: float, y: float, width: float) -> None:
    """This function will draw the refrigerant circuit and the water path."""
    boxes = {
        "Evaporator": (0.00, 24),
        "Compressor": (0.28, 4),
        "Expansion valve": (0.28, 46),
        "Plate exchanger": (0.56, 24),
        "Heating system": (0.82, 24),
    }
    box_width, box_height = width * 0.18, 12.0
    pdf.set_line_width(0.5)
    pdf.set_draw_color(*HOT)
    pdf.polyline(
        [(x + width * 0.09, y + 24), (x + width * 0.09, y + 10), (x + width * 0.28, y + 10)]
    )
    pdf.polyline(
        [(x + width * 0.46, y + 10), (x + width * 0.65, y + 10), (x + width * 0.65, y + 24)]
    )
    pdf.line(x + width * 0.74, y + 27, x + width * 0.82, y + 27)
    pdf.set_draw_color(*COLD)
    pdf.polyline(
        [(x + width * 0.65, y + 36), (x + width * 0.65, y + 52), (x + width * 0.46, y + 52)]
    )
    pdf.polyline(
        [(x + width * 0.28, y + 52), (x + width * 0.09, y + 52), (x + width * 0.09, y + 36)]
    )
    pdf.line(x + width * 0.74, y + 33, x + width * 0.82, y + 33)
    pdf.set_draw_color(*PINE)
    pdf.set_fill_color(*PALE)
    for name, (left, top) in boxes.items():
        pdf.rect(x + width * left, y + top, box_width, box_height, style="DF")
        _label(pdf, x + width * left, y + top + 4, box_width, name)
    pdf.set_line_width(0.2)


def draw_clearances(pdf: FPDF, x: float, y: float, width: float) -> None:
    """This function will draw the clearances around the unit from above."""
    pdf.set_fill_color(*GREY)
    pdf.rect(x, y, width, 3, style="F")
    left, top, unit_width, unit_depth = x + width * 0.3, y + 12, width * 0.38, 14.0
    pdf.set_draw_color(*PINE)
    pdf.set_fill_color(*PALE)
    pdf.rect(left, top, unit_width, unit_depth, style="DF")
    _label(pdf, left, top + 5, unit_width, "Skerry")
    pdf.set_draw_color(*COLD)
    middle = left + unit_width / 2
    for x1, y1, x2, y2 in (
        (middle, y + 3, middle, top),
        (middle, top + unit_depth, middle, y + 60),
        (x + width * 0.18, top + 7, left, top + 7),
        (left + unit_width, top + 7, x + width * 0.9, top + 7),
    ):
        pdf.line(x1, y1, x2, y2)
    _label(pdf, middle + 1, y + 5, 14, "300")
    _label(pdf, middle + 1, y + 42, 14, "1,500")
    _label(pdf, x + width * 0.18, top + 1, width * 0.12, "250")
    _label(pdf, left + unit_width, top + 1, width * 0.22, "600")
    _label(pdf, x, y + 4, 20, "Wall")


def draw_curves(pdf: FPDF, x: float, y: float, width: float) -> None:
    """This function will draw flow temperature against outside temperature for three curves."""
    left, bottom, span, height = x + 12, y + 52, width - 24, 46.0
    pdf.set_draw_color(*GREY)
    pdf.polyline([(left, y + 4), (left, bottom), (left + span, bottom)])
    for step, outside in enumerate(range(20, -21, -10)):
        _label(pdf, left + span * step / 4 - 6, bottom + 1, 12, f"{outside} °C")
    for flow in (20, 40, 60):
        _label(pdf, x - 2, bottom - height * (flow - 20) / 50 - 2, 12, f"{flow} °C")
    for slope, colour in ((0.6, COLD), (1.0, PINE), (1.4, HOT)):
        pdf.set_draw_color(*colour)
        pdf.set_line_width(0.6)
        # The usual curve shape: steep near the heating limit, flatter in deep cold.
        points = [
            (left + span * step / 40, bottom - height * slope * 0.68 * (step / 40) ** 0.85)
            for step in range(41)
        ]
        pdf.polyline(points)
        _label(pdf, left + span, points[-1][1] - 2, 10, f"{slope}")
    pdf.set_line_width(0.2)


def _label(pdf: FPDF, x: float, y: float, width: float, text: str) -> None:
    pdf.set_font("helvetica", size=7)
    pdf.set_text_color(29, 42, 40)
    pdf.set_xy(x, y)
    pdf.cell(width, 4, text, align="C")


DRAW_FIGURE: dict[str, Figure] = {
    "schematic": draw_schematic,
    "clearances": draw_clearances,
    "curves": draw_curves,
}
