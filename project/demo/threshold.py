"""Tunes when an answer is refused: the gold questions, asked of the demo documents at each threshold."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from apps.accounts.models import User
from apps.accounts.services import paying_department
from apps.billing.models import Purpose
from apps.billing.types import CallContext
from apps.core.ids import uuid7
from apps.documents.retrieval import search
from apps.documents.sentences import best_sentences
from apps.tuning import live
from project.demo.manifest import Answerability, GoldQuestion, load_questions

THRESHOLDS = tuple(hundredths / 100 for hundredths in range(20, 72, 2))


@dataclass(frozen=True, slots=True)
class Asked:
    """What search gave for a gold question: the best sentence's similarity, and whether the answer is given."""

    question: GoldQuestion
    similarity: float
    is_answer_given: bool
    is_passage_found: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """Shares at a threshold: answerable questions given their answer, others refused, and the mean of the two."""

    threshold: float
    answered_ratio: float
    refused_ratio: float

    @property
    def score(self) -> float:
        return (self.answered_ratio + self.refused_ratio) / 2


def ask_all(*, on_asked: Callable[[Asked], None] = lambda _asked: None) -> list[Asked]:
    """Ask every gold question that calls for a document, each as the person it names; small talk is left out."""
    results = []
    for question in load_questions():
        if question.answerability != Answerability.SMALL_TALK:
            results.append(_ask(question))
            on_asked(results[-1])
    return results


def _ask(question: GoldQuestion) -> Asked:
    asker = User.objects.get(email=question.asker)
    context = CallContext(
        request_id=uuid7(),
        department_id=paying_department(asker).pk,
        purpose=Purpose.EVALUATION,
        user_id=asker.pk,
        product="evaluation",
    )
    found = search(
        user=asker,
        question=question.text,
        context=context,
        passage_count=live.integer("chat.retrieval_passage_count"),
    )
    sentences = best_sentences(
        retrieval=found,
        question=question.text,
        context=replace(context, attempt=2),
        count=live.integer("chat.sentence_count"),
    )
    return Asked(
        question=question,
        similarity=sentences[0].similarity if sentences else 0.0,
        is_answer_given=_holds(question, [sentence.text for sentence in sentences]),
        is_passage_found=_holds(question, [passage.text for passage in found.passages]),
    )


def _holds(question: GoldQuestion, texts: Sequence[str]) -> bool:
    """Say whether the answer's sentence is in one of the texts, whatever the line breaks."""
    answer = " ".join(question.answer_sentence.split())
    return bool(answer) and any(answer in " ".join(text.split()) for text in texts)


def outcomes(asked: Sequence[Asked]) -> list[Outcome]:
    """Return what each threshold does to these questions."""
    answerable = [one for one in asked if one.question.answerability == Answerability.ANSWERED]
    others = [one for one in asked if one.question.answerability == Answerability.UNANSWERABLE]
    return [
        Outcome(
            threshold=threshold,
            answered_ratio=_share(
                one.is_answer_given and one.similarity >= threshold for one in answerable
            ),
            refused_ratio=_share(one.similarity < threshold for one in others),
        )
        for threshold in THRESHOLDS
    ]


def best(results: Sequence[Outcome]) -> float:
    """Return the middle of the thresholds whose score is the highest."""
    top = max(result.score for result in results)
    equal = [result.threshold for result in results if result.score == top]
    return equal[len(equal) // 2]


def _share(flags: Iterable[bool]) -> float:
    listed = list(flags)
    return sum(listed) / len(listed)
