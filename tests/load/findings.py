"""Judges a replay's log by the oracle: every answer, every document's page, every conversation."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from apps.chat.models import Citation, Message
from tests.load.oracle import Oracle, Verdict, age_of, common
from tests.load.replay import VALUE, Asked, Log, Opened
from tests.load.world import World

# The layer of an answer that a model, or nobody, was asked for.
COMPUTED = "none"


@dataclass(slots=True)
class Findings:
    """What a replay has shown. Ages are seconds a read was behind what had been committed before it began."""

    verdicts: Counter[tuple[str, Verdict]] = field(default_factory=Counter)
    # What should not be there, in words.
    violations: list[str] = field(default_factory=list)
    page_ages: list[float] = field(default_factory=list)
    page_count: int = 0
    follow_ups_given: int = 0

    def answers(self, layer: str | None = None, *verdicts: Verdict) -> int:
        """Return how many answers came from a cache layer (None: all) with one of these verdicts (none: any)."""
        return sum(
            amount
            for (where, verdict), amount in self.verdicts.items()
            if layer in {None, where} and (not verdicts or verdict in verdicts)
        )


def judge(log: Log, world: World) -> Findings:
    """Return what a replay has shown; reads its replies from the database."""
    findings = Findings()
    replies = Message.objects.in_bulk([one.reply_id for one in log.asked if one.reply_id])
    for asked in log.asked:
        _judge_answer(findings, world.oracle, asked, replies.get(asked.reply_id))
    _judge_citations(findings, log, world)
    for opened in log.opened:
        _judge_page(findings, world.oracle, opened)
    for back in log.came_back:
        if back.status == 200 and not back.has_answer:
            findings.violations.append(f"the conversation of person {back.person} lacks its answer")
    return findings


def _judge_answer(findings: Findings, oracle: Oracle, asked: Asked, reply: Message | None) -> None:
    if reply is None:
        if oracle.is_active(asked.person, asked.span):
            findings.violations.append(f"refused with {asked.status}: {asked.text}")
        return
    receipt = reply.receipt or {}
    layer = str(receipt.get("cache_layer", COMPUTED))
    if reply.state != Message.State.DONE:
        findings.violations.append(f"{reply.state} {reply.error_code}: {asked.text}")
        return
    values = [int(value) for value in VALUE.findall(reply.content)]
    verdict, age = oracle.judge(asked.person, asked.topic, values, asked.span)
    findings.verdicts[layer, verdict] += 1
    if asked.is_follow_up and layer != COMPUTED:
        findings.follow_ups_given += 1
        findings.violations.append(f"a follow-up was given by {layer}: {asked.text}")
    if verdict in {Verdict.STALE, Verdict.ACROSS} or (
        verdict == Verdict.WRONG and layer != "semantic"
    ):
        findings.violations.append(
            f"{verdict} by {layer}, {age:.3f} s late: {asked.text} → {reply.content}"
        )


def _judge_citations(findings: Findings, log: Log, world: World) -> None:
    """See that each document an answer cites could be read when it was asked for."""
    numbers = {document.pk: number for number, document in world.documents.items()}
    cited: dict[UUID, list[int]] = {}
    rows = Citation.objects.filter(document__isnull=False).values_list("message_id", "document_id")
    for message_id, document_id in rows:
        cited.setdefault(message_id, []).append(numbers[document_id])
    for asked in log.asked:
        for paper in cited.get(asked.reply_id, ()) if asked.reply_id else ():
            if not common(world.oracle.readable(asked.person, paper), [asked.span]):
                findings.violations.append(f"cites paper {paper}, unread by {asked.person}")


def _judge_page(findings: Findings, oracle: Oracle, opened: Opened) -> None:
    """Note by how much a document's page was behind: who reads it, and what it states."""
    findings.page_count += 1
    readable = oracle.readable(opened.person, opened.paper)
    if opened.status == 200:
        seen = [readable, *(oracle.seen(opened.person, value) for value in opened.values)]
        findings.page_ages += _ages(age_of(spans, opened.span) for spans in seen)
        return
    for since, until in readable:
        if since <= opened.span[0] and opened.span[1] <= until:
            # It could be read all the time, and was not given.
            findings.page_ages += _ages([opened.span[0] - since])


def _ages(ages: Iterable[float]) -> list[float]:
    return [age for age in ages if age > 0]
