"""Whether two answers say the same, which labels an earlier answer right or wrong for a new question; pure functions.

The new answer has just been computed from the documents, so it is the measure: the earlier one would have been right
exactly if it says the same. Answers say the same when their words are, in their order, but for words of style. A model
as judge would cost a call for each label and err itself; what this leaves open counts as wrong: a false "wrong" costs a
later hit, a false "right" an error.
"""

import re
import unicodedata

from apps.chat.citations import MARK
from apps.chat.types import KeptAnswer

_WORD = re.compile(r"\w+|[%‰°€$£¥+<>=≤≥−-]", re.UNICODE)
# Whom one speaks to, articles and what joins them: none of them a fact. Not here: "not", "may", "before", "or" …
_STYLE = frozenset(
    """a an the this that these those there it its is are was were be been being do does did get gets got have has had
    you your we our they their them one employee employees staff people everyone please also and so then well of to in
    for yes according document documents source sources policy says say states stated here answer""".split()  # noqa: SIM905 - read as a text
)


def say_the_same(one: KeptAnswer, other: KeptAnswer) -> bool:
    """Say whether the answers are the same in words and order, marks, capitals and words of style aside."""
    words = _facts(one.text)
    return bool(words) and words == _facts(other.text)


def _facts(text: str) -> list[str]:
    bare = MARK.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return [word for word in _WORD.findall(bare) if word not in _STYLE]
