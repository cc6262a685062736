"""The table of all keyspaces for the documentation, from their declarations."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from apps.caching import keyspaces
from apps.caching.keyspaces import Keyspace, Sharing

BEGIN = "<!-- keyspaces: made by `manage.py cache_keyspaces --write docs/caching.md` -->"
END = "<!-- end of keyspaces -->"

_SHARED_BY = {
    Sharing.EVERYONE: "everyone",
    Sharing.AUDIENCES: "readers of the same audiences",
    Sharing.DEPARTMENT: "a department",
    Sharing.USER: "one person",
    Sharing.OPERATORS: "operators",
}
_HEADER = (
    "| keyspace (key) | what it holds | levels, shipped lifetimes | shared by | kept fresh by |",
    "|---|---|---|---|---|",
)


class CatalogueError(Exception):
    """The document has no place for the table."""


def table(declared: Iterable[Keyspace[Any]] | None = None) -> str:
    """Return the Markdown table of all declared keyspaces."""
    rows = [_row(one) for one in (keyspaces.everything() if declared is None else declared)]
    return "\n".join((*_HEADER, *rows))


def _row(keyspace: Keyspace[Any]) -> str:
    levels = []
    if keyspace.l1_ttl_seconds:
        levels.append(
            f"memory {keyspace.l1_ttl_seconds:g} s, {keyspace.l1_share_ratio:.1%} of its entries"
        )
    if keyspace.has_l2:
        levels.append(
            f"Valkey {keyspace.ttl_seconds:g} s, ≤ {keyspace.max_value_bytes // 1024} KiB"
        )
    if keyspace.stale_if_error_seconds:
        levels.append(f"{keyspace.stale_if_error_seconds:g} s more when computing fails")
    if not levels:
        levels.append(f"a table of its own, {keyspace.ttl_seconds:g} s")
    cells = (
        f"`{keyspace.name}` ({', '.join(keyspace.key_fields)})",
        keyspace.help_text,
        "; ".join(levels),
        _SHARED_BY[keyspace.shared_by],
        keyspace.fresh_by,
    )
    return f"| {' | '.join(cell.replace('|', '∣') for cell in cells)} |"


def with_table(text: str) -> str:
    """Return a document with the table between its two marks made anew.

    Raises:
        CatalogueError: the document lacks the marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise CatalogueError(f"the document needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def write(path: Path) -> bool:
    """Bring a document's table up to date; return whether it had to be changed."""
    old = path.read_text(encoding="utf-8")
    new = with_table(old)
    if new != old:
        path.write_text(new, encoding="utf-8")
    return new != old
