"""An answer's Markdown becomes safe HTML with chips and coloured code."""

import pytest

from apps.chat.markdown import Chip, plain, render

CHIP = Chip(pk=7, number=1, document_name='Leave "policy"', page_number=3, is_available=True)


def test_a_mark_becomes_the_chip_of_its_citation() -> None:
    html = render("28 days [1].", chips=[CHIP])
    assert 'data-citation="7"' in html
    assert 'class="cite citation-chip"' in html
    assert "Leave &quot;policy&quot;, page 3" in html
    assert html.count("<button") == 1


def test_a_chip_that_leads_nowhere_says_so() -> None:
    gone = Chip(pk=7, number=1, document_name="x", page_number=1, is_available=False)
    html = render("28 days [1].", chips=[gone])
    assert 'aria-disabled="true"' in html
    assert "no longer available" in html


def test_numbers_without_a_citation_stay_text() -> None:
    assert "<button" not in render("See [2] and `row[1]`.", chips=[CHIP])


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "![picture](https://example.org/track.png)",
        '<a href="https://example.org" onclick="x()">a</a>',
        "```html\n<script>alert(1)</script>\n```",
    ],
)
def test_nothing_runs_and_nothing_is_loaded(hostile: str) -> None:
    html = render(hostile)
    assert "<script" not in html
    assert "<img" not in html
    assert '<a href="https://example.org" onclick' not in html
    assert 'href="javascript' not in html


def test_links_send_no_referrer() -> None:
    assert 'rel="noopener noreferrer nofollow"' in render("[a](https://example.org)")


def test_code_is_coloured_and_can_be_copied() -> None:
    html = render("```python\ndef one() -> int:\n    return 1\n```")
    assert '<span class="k">def</span>' in html
    assert "data-copy-code" in html
    assert "<span>python</span>" in html


def test_an_unknown_language_is_shown_plain() -> None:
    assert "a &lt; b" in render("```nosuch\na < b\n```")


def test_tables_scroll_in_themselves() -> None:
    assert '<div class="table-scroll" tabindex="0"><table>' in render("|a|b|\n|-|-|\n|1|2|")


def test_a_question_is_text() -> None:
    assert plain("a <b>\nc") == "<p>a &lt;b&gt;<br>c</p>"
