"""Turns an answer's Markdown into safe HTML with citation chips and coloured code; it reads nothing."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import nh3
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

# Colouring is for reading; a longer block is data and is shown plain.
MAX_COLOURED_CHARACTERS = 20_000

_TAGS = {
    "a", "blockquote", "br", "button", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li",
    "ol", "p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "title"},
    "button": {"type", "class", "data-citation", "data-copy-code", "aria-label", "aria-disabled"},
    "code": {"class"},
    "div": {"class", "tabindex"},
    "ol": {"start"},
    "span": {"class"},
    "td": {"align"},
    "th": {"align"},
}


@dataclass(frozen=True, slots=True)
class Chip:
    """A citation as an answer shows it."""

    pk: int
    number: int
    document_name: str
    page_number: int
    is_available: bool


def render(text: str, *, chips: Sequence[Chip] = ()) -> SafeString:
    """Return safe HTML of Markdown; [n] of a chip's number becomes its button.

    Raw HTML is shown as text, links open without a referrer, pictures become links: nothing is loaded from elsewhere.
    """
    environment = {"chips": {chip.number: chip for chip in chips}}
    cleaned = nh3.clean(
        _parser().render(text, environment),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(cleaned)  # noqa: S308 - cleaned just above


def plain(text: str) -> SafeString:
    """Return a question as HTML: its own line breaks, nothing else."""
    return format_html("<p>{}</p>", mark_safe(escape(text.strip()).replace("\n", "<br>")))  # noqa: S308 - escaped


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(
        ["table", "strikethrough"]
    )
    parser.disable("image")
    parser.inline.ruler.before("link", "citation", _citation_rule)
    parser.add_render_rule("citation", _render_citation)
    parser.add_render_rule("fence", _render_code)
    parser.add_render_rule("code_block", _render_code)
    parser.add_render_rule("table_open", _open_table)
    parser.add_render_rule("table_close", _close_table)
    return parser


def _citation_rule(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - markdown-it calls it so
    """Take [n] where n is a chip's number."""
    if state.src[state.pos] != "[":
        return False
    end = state.src.find("]", state.pos, state.pos + 5)
    digits = state.src[state.pos + 1 : end] if end > 0 else ""
    if not digits.isdecimal() or int(digits) not in state.env["chips"]:
        return False
    if not silent:
        state.push("citation", "", 0).meta = {"number": int(digits)}
    state.pos = end + 1
    return True


def _render_citation(
    _renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    _options: Any,
    env: Mapping[str, Any],
) -> str:
    chip: Chip = env["chips"][tokens[index].meta["number"]]
    if chip.is_available:
        label = _("Source %(number)d: %(name)s, page %(page)d") % {
            "number": chip.number, "name": chip.document_name, "page": chip.page_number,
        }  # fmt: skip
        gone: str = ""
    else:
        label = _("Source %(number)d: no longer available") % {"number": chip.number}
        gone = mark_safe(' aria-disabled="true"')
    return format_html(
        '<button type="button" class="cite citation-chip" data-citation="{}" aria-label="{}"{}>{}</button>',
        chip.pk, label, gone, chip.number,
    )  # fmt: skip


def _render_code(
    _renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    _options: Any,
    _env: Mapping[str, Any],
) -> str:
    token = tokens[index]
    language = token.info.split()[0] if token.info.strip() else ""
    return (
        f'<div class="code"><div class="code__bar"><span>{escape(language)}</span>'
        f'<button type="button" class="btn btn--quiet btn--small" data-copy-code>{_("Copy")}</button></div>'
        f'<div class="highlight" tabindex="0"><pre><code>{_coloured(token.content, language)}</code></pre></div></div>'
    )


def _coloured(code: str, language: str) -> str:
    if language and len(code) <= MAX_COLOURED_CHARACTERS:
        try:
            lexer = get_lexer_by_name(language, stripnl=False)
        except ClassNotFound:
            return html.escape(code)
        return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))
    return html.escape(code)


def _open_table(*_arguments: Any) -> str:
    return '<div class="table-scroll" tabindex="0"><table>'


def _close_table(*_arguments: Any) -> str:
    return "</table></div>"
