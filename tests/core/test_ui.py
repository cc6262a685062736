"""The tags of the design system, and the rules its files keep."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from django.template import Context, Template
from django.template.loader import render_to_string

from apps.core.templatetags import ui

ROOT = Path(__file__).resolve().parents[2]
SPRITE = ROOT / "static" / ui.ICON_SPRITE
# The admin's pages are dressed in its theme's own tokens.
OF_THE_ADMIN = {
    "caching.css",
    "tuning.css",
    "admin.css",
    "savings.css",
    "months.css",
}
OUR_STYLES = [
    path
    for path in (ROOT / "static").rglob("*.css")
    if "vendor" not in path.parts and path.name not in OF_THE_ADMIN
]
OUR_SCRIPTS = [path for path in (ROOT / "static").rglob("*.js") if "vendor" not in path.parts]
OUR_TEMPLATES = [path for path in (ROOT / "templates").rglob("*.html") if "admin" not in path.parts]
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def icons_in_sprite() -> set[str]:
    return {symbol.attrib["id"] for symbol in ET.parse(SPRITE).getroot()}  # noqa: S314 - our own file


def test_the_vendored_files_are_the_pinned_versions() -> None:
    pinned = json.loads((ROOT / "package.json").read_text())["dependencies"]
    folders = {path.name for path in (ROOT / "static" / "vendor").iterdir()}
    assert folders == {f"{name}@{version}" for name, version in pinned.items()}


def test_every_icon_in_use_is_in_the_sprite() -> None:
    used = set()
    for path in OUR_TEMPLATES:
        used |= set(re.findall(r'{% icon "([\w-]+)"', path.read_text()))
        used |= set(re.findall(r'data-icon="([\w-]+)"', path.read_text()))
    for path in OUR_SCRIPTS:
        used |= set(re.findall(r'\bicon\("([\w-]+)"', path.read_text()))
    assert used
    assert used <= icons_in_sprite()


@pytest.mark.parametrize("path", OUR_TEMPLATES, ids=lambda path: path.name)
def test_no_template_needs_an_inline_script_or_style(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son(click|change|input|submit|load)=", text)


@pytest.mark.parametrize("path", OUR_STYLES, ids=lambda path: path.name)
def test_only_the_tokens_name_a_colour(path: Path) -> None:
    named = re.findall(r"oklch\(|rgba?\(|hsla?\(|:[^;{]*#[0-9a-fA-F]{3,8}\b", path.read_text())
    named = [] if path.name == "tokens.css" else named
    assert named == []


@pytest.mark.parametrize("path", OUR_STYLES, ids=lambda path: path.name)
def test_every_token_in_use_is_defined(path: Path) -> None:
    everything = "".join(style.read_text() for style in OUR_STYLES)
    defined = set(re.findall(r"(--[\w-]+):", everything))
    for script in OUR_SCRIPTS:
        defined |= set(re.findall(r'"(--[\w-]+)"', script.read_text()))
    assert set(re.findall(r"var\((--[\w-]+)", path.read_text())) <= defined


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(days=6, hours=23), "6 days ago"),
        (timedelta(days=7), "25 Feb"),
        (timedelta(days=100), "24 Nov 2025"),
        (timedelta(hours=-30), "5 Mar"),
    ],
)
def test_a_moment_is_relative_within_a_week(ago: timedelta, said: str) -> None:
    assert ui._spoken(NOW - ago, now=NOW) == said


def test_a_moment_is_absolute_on_hover() -> None:
    assert 'title="4 March 2026, 12:00 UTC"' in ui.when(NOW)
    assert ui.when(None) == "–"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(seconds=10), "1 minute"),
        (timedelta(minutes=14, seconds=1), "15 minutes"),
        (timedelta(hours=2), "2 hours"),
    ],
)
def test_a_promised_wait_is_rounded_up(length: timedelta, said: str) -> None:
    assert ui.span(length) == said


def test_an_icon_is_an_ornament_unless_it_is_named() -> None:
    assert 'aria-hidden="true"' in ui.icon("x")
    assert 'role="img" aria-label="Close &quot;it&quot;"' in ui.icon("x", label='Close "it"')


def test_no_amount_is_a_dash() -> None:
    template = Template("{% load ui %}{{ some|money }} {{ none|money }}")
    assert template.render(Context({"some": 4_200_000, "none": None})) == "0.0042 $ –"


@pytest.mark.parametrize("name", ["500.html", "503.html"])
def test_the_pages_of_last_resort_need_no_request(name: str) -> None:
    assert "<h1>" in render_to_string(name)
