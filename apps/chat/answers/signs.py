"""What must be the same in two questions before one's answer may serve the other; rules on English, pure functions.

Two questions can be near for an embedding and ask for opposite things: 2024 and 2025, with and without, is and is not.
Signs are cheap and err on the side of computing: a sign that differs costs a model call, one that is missed a wrong
answer, which the learned bound on errors must catch.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from apps.chat.answers.vocabulary import (
    ASKS,
    DATES,
    DIRECTIONS,
    MODALS,
    MONTH_AFTER,
    NEGATED,
    NEGATING_PREFIXES,
    NEGATORS,
    OPENERS,
    POINTS,
    QUANTITIES,
    SUFFIX_CHARACTERS,
    TIME,
    UNITS,
)

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[.,:/\-–]\d+)*", re.UNICODE)
_NUMBER = re.compile(
    r"(?P<before>[$€£¥<>≤≥±~+\-−]*)\s?(?P<number>\d+(?:[.,:/\-–]\d+)*)\s?(?P<after>[%‰°$€£¥]|[^\W\d_]+)?"
)
_QUOTED = re.compile(r"[\"“„«]([^\"“”„«»]+)[\"”“»]|`([^`]+)`|(?<!\w)['‘]([^'‘’]+)['’](?!\w)")
# What an address, a path, an identifier or a formula is made of: compared as it stands.
_VERBATIM = re.compile(r"\S*[@/\\#=_<>{}\[\]|^*+§&]\S*|\S*\w[.:]\w\S*")


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs of one question: what must be equal in two, and what must only not contradict."""

    equal: tuple[tuple[str, ...], ...]
    asks: frozenset[str]
    modals: frozenset[str]
    names: frozenset[str]
    words: tuple[str, ...]


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).replace("’", "'").replace("‑", "-")


def must_be_computed(question: str) -> bool:
    """Say whether a question's answer depends on the moment or on something said before: nothing like it may serve."""
    lowered = _plain(question).lower().strip()
    return bool(TIME.search(lowered) or POINTS.search(lowered))


def signs_of(question: str, answer: str = "") -> Signs:
    """Return a question's signs; its answer, where it is known, tells which of its words are names in small letters."""
    text = _plain(question)
    lowered = text.lower()
    tokens = _WORD.findall(text)
    words = tuple(token.lower() for token in tokens)
    return Signs(
        equal=(
            _numbers(lowered, words),
            _negators(words, lowered),
            tuple(sorted({DIRECTIONS[one] for one in _hyphened(lowered) if one in DIRECTIONS})),
            _dates(tokens),
            _letters(tokens),
            tuple(sorted("".join(groups).strip() for groups in _QUOTED.findall(text))),
            tuple(sorted(found.rstrip("?.!,;:") for found in _VERBATIM.findall(lowered))),
        ),
        asks=_asks(lowered, words),
        modals=frozenset(name for name, pattern in MODALS if pattern.search(lowered)),
        names=_names(tokens) | (_capitalised_in(answer) & frozenset(words)),
        words=words,
    )


def agree(one: Signs, other: Signs) -> bool:
    """Say whether nothing in the signs forbids that the same answer serves both questions."""
    if one.equal != other.equal:
        return False
    for mine, theirs in ((one.asks, other.asks), (one.modals, other.modals)):
        if mine and theirs and mine != theirs:
            return False
    # The names in their order: from Bristol to Leeds is not from Leeds to Bristol.
    names = one.names | other.names
    return [word for word in one.words if word in names] == [
        word for word in other.words if word in names
    ]


def _hyphened(lowered: str) -> list[str]:
    """Return the words with their hyphens, and also their parts."""
    whole = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", lowered)
    parts = [part for word in whole if "-" in word for part in word.split("-")]
    return [*whole, *parts]


def _numbers(lowered: str, words: Sequence[str]) -> tuple[str, ...]:
    """Return the numbers with sign and unit, spelled-out ones too, in their order: "from 2 to 3" is not "3 to 2"."""
    found: list[str] = []
    for match in _NUMBER.finditer(lowered):
        before = "".join(UNITS.get(mark, mark) for mark in match["before"])
        after = match["after"] or ""
        unit = UNITS.get(after, after if len(after) <= SUFFIX_CHARACTERS else "")
        found.append(f"{before}{match['number'].strip('-–')}{unit}")
    for position, word in enumerate(words):
        if word in QUANTITIES:
            following = words[position + 1] if position + 1 < len(words) else ""
            found.append(f"{QUANTITIES[word]}{UNITS.get(following, '')}")
    return tuple(found)


def _asks(lowered: str, words: Sequence[str]) -> frozenset[str]:
    """Return what is asked for: a person, a time …, and the unit after "how many"."""
    found = {name for name, pattern in ASKS if pattern.search(lowered)}
    if "HOW MANY" in found:
        found |= {UNITS[word] for word in words if word in UNITS}
    return frozenset(found)


def _negators(words: Sequence[str], lowered: str) -> tuple[str, ...]:
    found = ["not" if word.endswith("n't") or word == "cannot" else word for word in words]
    negating = [word for word in found if word in NEGATORS or _is_negated_word(word)]
    negating += [prefix for prefix in NEGATING_PREFIXES if prefix in lowered]
    return tuple(sorted(negating))


def _is_negated_word(word: str) -> bool:
    """Say whether a word carries its "not" as a prefix, like "unpaid"."""
    return bool(NEGATED.fullmatch(word))


def _dates(tokens: list[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for position, token in enumerate(tokens):
        word = token.lower()
        if word not in DATES:
            continue
        # "may" and "march" are also verbs: months after "in", "of" … or with a capital inside the sentence.
        is_verb = word in {"may", "march", "spring", "mar"} and not (
            position > 0 and (token[0].isupper() or tokens[position - 1].lower() in MONTH_AFTER)
        )
        if not is_verb:
            found.add(word[:3])
    return tuple(sorted(found))


def _letters(tokens: list[str]) -> tuple[str, ...]:
    """Return the single letters that name something ("plan B", "option a"): not the article, not "I"."""
    found = []
    for position, token in enumerate(tokens):
        word = token.lower()
        if len(token) != 1 or not token.isalpha():
            continue
        is_last = position == len(tokens) - 1
        is_article = word == "a" and (position == 0 or (token.islower() and not is_last))
        if word != "i" and not is_article:
            found.append(word)
    return tuple(found)


def _names(tokens: list[str]) -> frozenset[str]:
    """Return what is capitalised inside the sentence or wholly, in small letters; the first word unless it opens one."""
    names = set()
    for position, token in enumerate(tokens):
        word = token.lower()
        bare = word.removesuffix("'s")
        if not token[0].isupper() or word in {"i", "i'm", "i'd", "i've", "i'll"}:
            continue
        is_acronym = len(token) > 1 and token.isupper()
        if position > 0 or is_acronym or (word not in OPENERS and bare not in OPENERS):
            names.add(word)
    return frozenset(names)


def _capitalised_in(answer: str) -> frozenset[str]:
    """Return the words an answer only ever writes with a capital, and at least once inside a sentence."""
    inside: set[str] = set()
    small: set[str] = set()
    for match in _WORD.finditer(_plain(answer)):
        token = match.group()
        if not token[0].isupper():
            small.add(token.lower())
        elif not re.search(r"(?:^|[.!?:\n]\s*|[*#>|\-•]\s*)$", answer[: match.start()]):
            inside.add(token.lower())
    return frozenset(inside - small)
