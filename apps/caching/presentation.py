"""How the cache's figures read for people: spans of time, shares, sizes, and the rows of the pages' tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.apps import apps
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from apps.caching import contents, figures, keyspaces, outbox, policies
from apps.caching.contents import L2Figures
from apps.caching.figures import WINDOWS, Latency, Point, Reads
from apps.caching.keyspaces import Keyspace, Sharing
from apps.caching.local import L1Figures
from apps.caching.outcomes import Level
from apps.core.money import format_nanos

ABSENT = "–"
_UNITS = ((60_000_000 * 60, "h"), (60_000_000, "min"), (1_000_000, "s"), (1_000, "ms"), (1, "µs"))


@dataclass(frozen=True, slots=True)
class WindowCells:
    """The reads of one window as text."""

    hit_share: str
    reads: str
    from_memory: str
    from_valkey: str
    computed: str
    stale: str
    bypassed: str
    saved_time: str
    saved_money: str
    has_saved_money: bool


@dataclass(frozen=True, slots=True)
class KeyspaceRow:
    """One keyspace in the list of all."""

    keyspace: Keyspace[Any]
    is_on: bool
    has_own_values: bool
    windows: dict[str, WindowCells]
    memory_entries: str
    entries: str
    bytes: str


@dataclass(frozen=True, slots=True)
class LevelRow:
    """One level of a keyspace: its reads of the last day and what it holds now."""

    level: Level
    reads: str
    p50: str
    p95: str
    entries: str
    bytes: str
    evictions: str


@dataclass(frozen=True, slots=True)
class Summary:
    """All keyspaces together, and whether each part that tells of them answers."""

    windows: dict[str, WindowCells]
    valkey: contents.ValkeyFigures | None
    valkey_used: str
    valkey_limit: str
    process_count: int
    dropped_count: int
    lag: str


def duration(microseconds: float | None) -> str:
    """Return a span of time with two significant digits, at least whole units: 3.2 µs, 140 ms, 2.5 h."""
    if microseconds is None:
        return ABSENT
    if microseconds == 0:
        return "0 s"
    size = abs(microseconds)
    factor, unit = next((one for one in _UNITS if size >= one[0]), _UNITS[-1])
    amount = microseconds / factor
    digits = 1 if 0 < abs(amount) < 10 and not amount.is_integer() else 0
    return f"{amount:,.{digits}f} {unit}"


def share(ratio: float | None) -> str:
    """Return a share in percent; 100 % only where nothing is missing from it."""
    if ratio is None:
        return ABSENT
    percent = ratio * 100
    return f"{percent:.0f} %" if percent in {0, 100} else f"{min(percent, 99.9):.1f} %"


def number(count: int) -> str:
    """Return a count with its thousands apart."""
    return f"{count:,}"


def size(count: int) -> str:
    """Return a number of bytes in a fitting unit."""
    return str(filesizeformat(count)).replace("\xa0", " ")


def shared_by(keyspace: Keyspace[Any]) -> str:
    """Say who may be given an entry that another's request has filled."""
    told = {
        Sharing.EVERYONE: _("everyone"),
        Sharing.AUDIENCES: _("people who may read exactly the same documents"),
        Sharing.DEPARTMENT: _("people of one department"),
        Sharing.USER: _("one person only"),
    }
    return told[keyspace.shared_by]


def levels(keyspace: Keyspace[Any]) -> str:
    """Name the levels a keyspace is declared with."""
    names = [_("process memory")] if keyspace.l1_ttl_seconds else []
    names += [_("Valkey")] if keyspace.has_l2 else []
    return _(" and ").join(names)


def window_cells(reads: Reads) -> WindowCells:
    """Return the reads of a window as text."""
    counts = {level: number(reads.counts.get(level, 0)) for level in Level}
    return WindowCells(
        hit_share=share(reads.hit_ratio),
        reads=number(reads.asked_count),
        from_memory=counts[Level.L1],
        from_valkey=counts[Level.L2],
        computed=counts[Level.MISS],
        stale=counts[Level.STALE],
        bypassed=counts[Level.BYPASS],
        saved_time=duration(reads.saved_us),
        saved_money=format_nanos(reads.saved_nanos),
        has_saved_money=bool(reads.saved_nanos),
    )


def everything(*, now: datetime) -> tuple[Summary, list[tuple[str, list[KeyspaceRow]]]]:
    """Return the summary, and each app's name with the rows of its keyspaces; every declared one is there."""
    overview, valkey, processes = (
        figures.overview(now=now),
        contents.valkey(),
        contents.processes(),
    )
    declared = keyspaces.everything()
    rows = [
        _keyspace_row(
            one,
            overview.get(one.name) or {window: Reads() for window in WINDOWS},
            valkey,
            processes.by_keyspace.get(one.name),
        )
        for one in declared
    ]
    groups = [
        (_app_name(app), list(found))
        for app, found in groupby(rows, key=lambda row: row.keyspace.name.partition(":")[0])
    ]
    together = {
        window: window_cells(figures.total([overview[name][window] for name in overview]))
        for window in WINDOWS
    }
    summary = Summary(
        windows=together,
        valkey=valkey,
        valkey_used=size(valkey.used_bytes) if valkey else ABSENT,
        valkey_limit=size(valkey.limit_bytes) if valkey and valkey.limit_bytes else "",
        process_count=processes.process_count,
        dropped_count=processes.dropped_count,
        lag=duration(outbox.lag() / timedelta(microseconds=1)),
    )
    return summary, groups


def level_rows(keyspace: Keyspace[Any], latencies: Sequence[Latency]) -> list[LevelRow]:
    """Return a keyspace's levels with their reads, and what the two that hold something hold now."""
    held = contents.processes().by_keyspace.get(keyspace.name, L1Figures(0, 0))
    found = contents.valkey()
    in_valkey = found.by_keyspace.get(keyspace.name, L2Figures()) if found else None
    holds = {
        Level.L1: (number(held.entries), "", number(held.evictions)),
        Level.L2: (*_held(in_valkey), ""),
    }
    return [
        LevelRow(
            one.level,
            number(one.read_count),
            duration(one.p50_us),
            duration(one.p95_us),
            *holds.get(one.level, ("", "", "")),
        )
        for one in latencies
    ]


def chart(points: Sequence[Point], changes: Sequence[datetime]) -> dict[str, list[Any]]:
    """Return the columns of the chart: seconds, reads from memory and Valkey, computed, past, hit share in percent.

    `changes` are the moments when somebody changed or purged: they are marked.
    """
    named = {"memory": Level.L1, "valkey": Level.L2, "computed": Level.MISS, "past": Level.BYPASS}
    columns: dict[str, list[Any]] = {"at": [int(point.at.timestamp()) for point in points]}
    for name, level in named.items():
        columns[name] = [point.reads.counts.get(level, 0) for point in points]
    columns["share"] = [
        None if point.reads.hit_ratio is None else round(point.reads.hit_ratio * 100, 1)
        for point in points
    ]
    columns["changes"] = [moment.timestamp() for moment in changes if moment >= points[0].at]
    return columns


def _app_name(label: str) -> str:
    # A keyspace's first part is its app's label as a rule, which nothing enforces.
    return (
        str(apps.get_app_config(label).verbose_name)
        if apps.is_installed(f"apps.{label}")
        else label
    )


def _keyspace_row(
    keyspace: Keyspace[Any],
    windows: dict[str, Reads],
    valkey: contents.ValkeyFigures | None,
    memory: L1Figures | None,
) -> KeyspaceRow:
    policy = policies.of(keyspace)
    entries, taken = _held(valkey.by_keyspace.get(keyspace.name, L2Figures()) if valkey else None)
    return KeyspaceRow(
        keyspace=keyspace,
        is_on=policy.is_enabled,
        has_own_values=any(
            getattr(policy, name) != getattr(keyspace, name) for name in policies.TUNABLE
        ),
        windows={window: window_cells(reads) for window, reads in windows.items()},
        memory_entries=number(memory.entries if memory else 0) if keyspace.l1_ttl_seconds else "",
        entries=entries if keyspace.has_l2 else "",
        bytes=taken if keyspace.has_l2 else "",
    )


def _held(found: L2Figures | None) -> tuple[str, str]:
    if found is None:
        return _("no answer"), _("no answer")
    about = "≈ " if found.is_estimate else ""
    # Every key is counted unless the scan ended early; bytes are measured on some of many.
    return number(found.entries), f"{about}{size(found.bytes)}"
