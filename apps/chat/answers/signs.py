"""What must be the same in two questions before one's answer may serve the other; rules on English, pure functions.

Two questions can be near for an embedding and ask for opposite things: 2024 and 2025, with and without, is and is not.
Signs are cheap and err on the side of computing: a sign that differs costs a model call, one that is missed a wrong
answer, which the learned bound on errors must catch.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[.,:/\-–]\d+)*", re.UNICODE)
_NUMBER = re.compile(
    r"(?P<before>[$€£¥<>≤≥±~+\-−]*)\s?(?P<number>\d+(?:[.,:/\-–]\d+)*)\s?(?P<after>[%‰°$€£¥]|[^\W\d_]+)?"
)
_QUOTED = re.compile(r"[\"“„«]([^\"“”„«»]+)[\"”“»]|`([^`]+)`|(?<!\w)['‘]([^'‘’]+)['’](?!\w)")
# What an address, a path, an identifier or a formula is made of: compared as it stands.
_VERBATIM = re.compile(r"\S*[@/\\#=_<>{}\[\]|^*+§&]\S*|\S*\w[.:]\w\S*")

_TIME = re.compile(
    r"\b(?:now|nowadays|today|tonight|tomorrow|yesterday|currently|current|latest|newest|recent|recently|lately"
    r"|upcoming|so far|to date|up to date|at the moment|at present|these days|already|yet|ago"
    r"|(?:this|next|last|past|previous|coming) (?:\w+ )?(?:morning|afternoon|evening|night|week|weekend|month|quarter"
    r"|semester|season|year|days|weeks|months|quarters|years|monday|tuesday|wednesday|thursday|friday|saturday"
    r"|sunday|january|february|march|april|may|june|july|august|september|october|november|december))\b"
)
# What points to something said elsewhere: the question does not stand alone.
_POINTS = re.compile(
    r"^(?:and|but|or|so|also|then|what about|how about|what else|why not|why|more)\b|\b(?:above|earlier|aforementioned"
    r"|as before|you said|you mentioned|your (?:last|previous) answer|same one|the former|the latter)\b"
)

_NEGATORS = {
    "no", "not", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "without", "cannot", "except",
    "excluding", "unless", "instead", "un", "non", "lacking", "exclude", "excludes", "excluded", "forbidden",
    "prohibited", "banned", "illegal", "ineligible", "exempt", "denied", "refused", "rejected", "invalid",
    "impossible", "wrong", "fail", "fails", "failed",
}  # fmt: skip
_NEGATING_PREFIXES = ("non-", "non‑")

# Words of one class ask for the same thing, words of two classes for different things.
_DIRECTIONS = {
    word: name
    for name, words in {
        "BEFORE": "before prior until till preceding earlier",
        "AFTER": "after following since later afterwards",
        "LEAST": "minimum min least lowest smallest shortest fewest earliest cheapest slowest",
        "MOST": "maximum max most highest largest biggest longest latest greatest fastest",
        "MORE": "more greater above exceed exceeds exceeding higher larger longer bigger",
        "LESS": "less fewer under below lower smaller shorter beneath",
        "START": "start starts starting begin begins beginning open opens opening commence join joining",
        "END": "end ends ending finish finishes close closes closing stop stops expire expires quit",
        "UP": "increase increases increased raise raises raised rise grow grows gain upgrade",
        "DOWN": "decrease decreases decreased reduce reduces reduced drop drops shrink lose downgrade",
        "IN": "incoming inbound inside internal domestic indoor import income deposit buy receive hire enable",
        "OUT": "outgoing outbound outside external foreign outdoor export expense withdraw sell send fire disable",
        "FIRST": "first", "LAST": "last final",
        "OR": "or", "ONLY": "only",
        "GIVER": "lend lends sender employer landlord seller",
        "TAKER": "borrow borrows recipient employee tenant buyer",
        "OPTIONAL": "optional voluntary",
        "BEST": "best better advantage advantages benefit benefits pros strength strengths",
        "WORST": "worst worse disadvantage disadvantages risk risks cons weakness weaknesses",
        "GROSS": "gross", "NET": "net", "PART": "part-time", "FULL": "full-time",
        "TEMPORARY": "temporary fixed-term contractor contractors intern interns", "PERMANENT": "permanent",
        "DAILY": "daily", "WEEKLY": "weekly", "MONTHLY": "monthly", "QUARTERLY": "quarterly",
        "YEARLY": "yearly annually",
    }.items()
    for word in words.split()
}  # fmt: skip
_MODALS = (
    ("MAY", re.compile(r"\b(?:can|could|may|might|able|allowed|permitted)\b")),
    (
        "MUST",
        re.compile(
            r"\b(?:must|should|shall|needs?|requires?|required|obliged|mandatory|ha(?:ve|s) to)\b"
        ),
    ),
)


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_DATES = _set_of(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december jan feb mar apr jun jul aug sep sept oct nov dec weekend weekday spring "
    "summer autumn winter christmas easter"
)
_MONTH_AFTER = _set_of(
    "in of during since until till by before after early late mid every each for to from and"
)
_QUANTITIES = {
    word: name
    for name, words in {
        "0": "zero", "1": "one once single", "2": "two twice double couple", "3": "three thrice triple", "4": "four",
        "5": "five", "6": "six", "7": "seven", "8": "eight", "9": "nine", "10": "ten", "11": "eleven",
        "12": "twelve dozen", "13": "thirteen", "14": "fourteen", "15": "fifteen", "16": "sixteen",
        "17": "seventeen", "18": "eighteen", "19": "nineteen", "20": "twenty", "30": "thirty", "40": "forty",
        "50": "fifty", "60": "sixty", "70": "seventy", "80": "eighty", "90": "ninety", "100": "hundred",
        "1000": "thousand", "1000000": "million", "1000000000": "billion", "1/2": "half", "1/4": "quarter",
        "2.": "second", "3.": "third", "4.": "fourth", "5.": "fifth",
    }.items()
    for word in words.split()
}  # fmt: skip
_UNITS = {
    word: name
    for name, words in {
        "SECOND": "seconds", "MINUTE": "minute minutes min", "HOUR": "hour hours hrs", "DAY": "day days",
        "WEEK": "week weeks", "MONTH": "month months", "YEAR": "year years", "EURO": "euro euros eur €",
        "DOLLAR": "dollar dollars usd $", "POUND": "pound pounds gbp £", "PERCENT": "percent % per-cent",
        "KM": "km kilometre kilometres kilometer kilometers", "MILE": "mile miles", "M": "metre metres meter meters",
        "KG": "kg kilogram kilograms kilo kilos", "CELSIUS": "celsius", "FAHRENHEIT": "fahrenheit",
    }.items()
    for word in words.split()
}  # fmt: skip

# "2nd", "5pm", "10k", "3b".
_SUFFIX_CHARACTERS = 2

# A question for a person is no question for a time. "What", "which" and "how" go with all of them.
_ASKS = (
    ("WHO", re.compile(r"\b(?:who|whom|whose)\b")),
    ("WHEN", re.compile(r"\b(?:when|what time|what date|which date|which day|how soon)\b")),
    ("WHERE", re.compile(r"\b(?:where|which (?:place|room|office|building|floor))\b")),
    ("WHY", re.compile(r"\b(?:why|what for|what reason|how come)\b")),
    ("HOW OFTEN", re.compile(r"\bhow (?:often|frequently|regularly)\b")),
    ("HOW LONG", re.compile(r"\bhow long\b")),
    ("HOW MUCH", re.compile(r"\bhow (?:much|expensive|costly)\b")),
    ("HOW MANY", re.compile(r"\bhow many\b")),
)
# Words a sentence begins with, capitalised only for that.
_OPENERS = _set_of(
    "a an the what which who whom whose when where why how is are was were be am do does did has have had can could may "
    "might must shall should will would if in on at by for from to of with without and or but as please tell show give "
    "explain describe list name find summarise summarize compare i we you they he she it my our your their his her its "
    "there this that these those not no any all every each some many much more most let say does whats hi hello hey "
    "dear after before during under over about between until since per need want looking does cannot isn't aren't don't "
    "doesn't who's what's where's when's how's i'm we're"
)


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
    return bool(_TIME.search(lowered) or _POINTS.search(lowered))


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
            tuple(sorted({_DIRECTIONS[one] for one in _hyphened(lowered) if one in _DIRECTIONS})),
            _dates(tokens),
            _letters(tokens),
            tuple(sorted("".join(groups).strip() for groups in _QUOTED.findall(text))),
            tuple(sorted(found.rstrip("?.!,;:") for found in _VERBATIM.findall(lowered))),
        ),
        asks=_asks(lowered, words),
        modals=frozenset(name for name, pattern in _MODALS if pattern.search(lowered)),
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
        before = "".join(_UNITS.get(mark, mark) for mark in match["before"])
        after = match["after"] or ""
        unit = _UNITS.get(after, after if len(after) <= _SUFFIX_CHARACTERS else "")
        found.append(f"{before}{match['number'].strip('-–')}{unit}")
    for position, word in enumerate(words):
        if word in _QUANTITIES:
            following = words[position + 1] if position + 1 < len(words) else ""
            found.append(f"{_QUANTITIES[word]}{_UNITS.get(following, '')}")
    return tuple(found)


def _asks(lowered: str, words: Sequence[str]) -> frozenset[str]:
    """Return what is asked for: a person, a time …, and the unit after "how many"."""
    found = {name for name, pattern in _ASKS if pattern.search(lowered)}
    if "HOW MANY" in found:
        found |= {_UNITS[word] for word in words if word in _UNITS}
    return frozenset(found)


def _negators(words: Sequence[str], lowered: str) -> tuple[str, ...]:
    found = ["not" if word.endswith("n't") or word == "cannot" else word for word in words]
    negating = [word for word in found if word in _NEGATORS or _is_negated_word(word)]
    negating += [prefix for prefix in _NEGATING_PREFIXES if prefix in lowered]
    return tuple(sorted(negating))


_NEGATED = re.compile(
    r"un(?!i|der|til|less$)[a-z]{4,}|in(?:eligible|valid|complete|correct|active|secure|sufficient)|im(?:possible|proper)"
    r"|ir(?:regular|relevant)|il(?:legal|legible)|dis(?:able|allow|approv|agree|connect|continu|qualif)[a-z]*"
)


def _is_negated_word(word: str) -> bool:
    """Say whether a word carries its "not" as a prefix, like "unpaid"."""
    return bool(_NEGATED.fullmatch(word))


def _dates(tokens: list[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for position, token in enumerate(tokens):
        word = token.lower()
        if word not in _DATES:
            continue
        # "may" and "march" are also verbs: months after "in", "of" … or with a capital inside the sentence.
        is_verb = word in {"may", "march", "spring", "mar"} and not (
            position > 0 and (token[0].isupper() or tokens[position - 1].lower() in _MONTH_AFTER)
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
        if position > 0 or is_acronym or (word not in _OPENERS and bare not in _OPENERS):
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
