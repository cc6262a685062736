"""Rows of tables as sentences: each cell with its column's name, so that a row found alone still says what it means."""

from collections.abc import Sequence

from apps.documents.parsing.lines import squeeze


def rows_as_text(rows: Sequence[Sequence[str]]) -> str:
    """Return a line for each row, `Name: value; Name: value`, or the bare values where the first row is no heading."""
    cleaned = [[squeeze(cell) for cell in row] for row in rows]
    cleaned = [row for row in cleaned if any(row)]
    if not cleaned:
        return ""
    if not _is_heading(cleaned):
        return "\n".join("; ".join(cell for cell in row if cell) for row in cleaned)
    heading, *rest = cleaned
    return "\n".join(
        [", ".join(cell for cell in heading if cell), *(_labelled(heading, row) for row in rest)]
    )


def _labelled(heading: Sequence[str], row: Sequence[str]) -> str:
    names = [*heading, *([""] * (len(row) - len(heading)))]
    return "; ".join(
        f"{name}: {cell}" if name else cell for name, cell in zip(names, row, strict=False) if cell
    )


def _is_heading(rows: Sequence[Sequence[str]]) -> bool:
    first = rows[0]
    named = [cell for cell in first if cell]
    return (
        len(rows) > 1
        and len(named) >= 2
        and len(set(named)) == len(named)
        and all(
            len(cell) <= 60 and not cell.endswith(".") and not _is_number(cell) for cell in named
        )
    )


def _is_number(cell: str) -> bool:
    return cell.strip("+-$€£%() ").replace(",", "").replace(".", "").isdigit()
