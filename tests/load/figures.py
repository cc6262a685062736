"""The figures of a replayed day: lifetimes divided by its pace, hit rates by keyspace, and a table of it all."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from apps.caching import figures, keyspaces, policies
from apps.caching import services as caching
from apps.caching.figures import Reads
from apps.caching.outcomes import Level
from tests.load.findings import Findings
from tests.load.oracle import Verdict
from tests.load.replay import Log

# Seconds: the shortest a policy allows in Valkey; and in memory about what a request takes, which no pace shortens.
SHORTEST = 1.0
SHORTEST_IN_MEMORY = 0.1


def divide_lifetimes(pace: float) -> None:
    """Have every keyspace's values live as long in the day's time as shipped, but for the shortest a policy allows."""
    for keyspace in keyspaces.everything():
        values = {"ttl_seconds": max(keyspace.ttl_seconds / pace, SHORTEST)}
        if keyspace.l1_ttl_seconds:
            values["l1_ttl_seconds"] = max(keyspace.l1_ttl_seconds / pace, SHORTEST_IN_MEMORY)
        caching.set_policy(name=keyspace.name, values=values, author_id=None, reason="replay")
    policies.forget()


@dataclass(slots=True)
class Rates:
    """Reads of a replay by keyspace, from the access log's sums."""

    by_keyspace: dict[str, Reads] = field(default_factory=dict)

    @classmethod
    def read(cls) -> "Rates":
        """Return what the access log has of the last hour."""
        found = figures.overview(now=datetime.now(UTC))
        return cls({name: reads["hour"] for name, reads in found.items() if reads["hour"].counts})

    @property
    def overall(self) -> float:
        """Return the share of all cached reads, of every keyspace, that memory or Valkey answered."""
        hits = sum(reads.hit_count for reads in self.by_keyspace.values())
        return hits / max(sum(map(all_reads, self.by_keyspace.values())), 1)

    def of(self, name: str) -> float:
        """Return the hit rate of a keyspace, 0 where it was not read."""
        reads = self.by_keyspace.get(name)
        return reads.hit_count / all_reads(reads) if reads else 0.0


def all_reads(reads: Reads) -> int:
    """Return all reads, those past the cache too: what was not answered from it counts against it."""
    return sum(reads.counts.values())


def first_turns(log: Log) -> int:
    """Return how many of the questions could have been answered from a cache."""
    return sum(not asked.is_follow_up and asked.reply_id is not None for asked in log.asked)


def lines(title: str, log: Log, findings: Findings, rates: Rates) -> list[str]:
    """Return a replay's figures as lines of text."""
    answered = max(findings.answers(), 1)
    exact, semantic = findings.answers("exact"), findings.answers("semantic")
    given = (exact + semantic) / max(first_turns(log), 1)
    reads = sum(map(all_reads, rates.by_keyspace.values()))
    behind = max(findings.page_ages, default=0) * 1000
    wrong = findings.answers("semantic", Verdict.WRONG)
    told = [
        f"{title}: {log.elapsed_seconds:.0f} s, of which the day's clock waited {log.late_seconds:.0f} s",
        f"  {len(log.asked)} questions, {findings.page_count} documents and {len(log.came_back)} conversations opened",
        f"  of {reads} cached reads from memory or Valkey: {rates.overall:.1%}",
        f"  of all questions from kept answers: exact {exact / answered:.1%}, semantic {semantic / answered:.1%}",
        f"  of first questions from kept answers: {given:.1%}",
        f"  semantic answers wrong: {wrong} of {semantic}",
        f"  violations: {len(findings.violations)}",
        f"  documents' pages behind a change: {len(findings.page_ages)}, at most {behind:.1f} ms",
    ]
    told += [
        f"    {layer:9} {verdict:16} {amount:>5}"
        for (layer, verdict), amount in sorted(findings.verdicts.items())
    ]
    heads = " ".join(f"{level.name:>7}" for level in Level)
    told.append(f"    {'keyspace':32} {heads}   hits")
    for name, found in sorted(rates.by_keyspace.items()):
        counts = " ".join(f"{found.counts.get(level, 0):>7}" for level in Level)
        told.append(f"    {name:32} {counts}  {rates.of(name):>5.1%}")
    return told
