"""One spelling for what surely means the same, and another key for anything that makes another answer."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.chat import prompts
from apps.chat.answers import key
from apps.chat.answers.key import NEUTRAL, context_hash, moving_parameters, normalised, scope_hash
from apps.core.ids import uuid7
from apps.llm.models import Route
from apps.llm.services import as_choice
from apps.tuning import live, registry
from apps.tuning import services as tuning
from tests.factories.llm import LLMModelFactory, RouteFactory

SAME = [
    ("How many days?", "how many days"),
    ("How  many\tdays ?", "How many days?"),
    ("What’s the policy?", "What's the policy"),
    ("The limit.", "The limit"),
    ("What is e\u0301tude?", "What is étude?"),
    ("Ｗhat is the ｌimit?", "What is the limit?"),
    ("What is the ﬁle?", "What is the file?"),
]
OTHER = [
    ("Who is in IT?", "Who is in it?"),
    ("Who told US?", "Who told us?"),
    ("What is 2³?", "What is 23?"),
    ("What is ½ of it?", "What is 1 of it?"),
    ("What is -5?", "What is 5?"),
    ("What is C++?", "What is C?"),
    ("What is C#?", "What is C?"),
    ("The budget was cut?", "The budget was cut."),
    ("What is 5!", "What is 5"),
    ("if a:\n  b\nc", "if a:\n  b\n  c"),
    ("`a  b`", "`a b`"),
    ("10 %", "10"),
    ("Is it (a)?", "Is it a?"),
    ("US rules", "us rules"),
    ("When does the polish arrive?", "When does the Polish arrive?"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_the_same_are_one(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_different_meanings_stay_apart(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(st.text(max_size=80))
def test_a_normalised_question_is_its_own_spelling(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once


@given(st.text(max_size=80))
def test_nothing_but_spaces_stops_and_the_first_capital_is_lost(text: str) -> None:
    """Letters, digits and all other signs survive, in their order."""

    def core(value: str) -> str:
        plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFC", value))
        kept = [one for one in plain if one.isalnum() or unicodedata.category(one)[0] == "S"]
        return "".join(kept).casefold()

    assert core(normalised(text)) == core(text)


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 9)), max_size=6, unique=True),
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 9)), max_size=6, unique=True),
)
def test_scopes_differ_where_their_pairs_do(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    assert (scope_hash(tuple(one), None) == scope_hash(tuple(other), None)) == (
        sorted(one) == sorted(other)
    )


def test_chosen_documents_make_another_scope_whatever_their_order() -> None:
    first, second = uuid7(), uuid7()
    pairs = ((1, 1),)
    assert scope_hash(pairs, [first, second]) == scope_hash(pairs, [second, first])
    assert len({scope_hash(pairs, chosen) for chosen in (None, [], [first], [first, second])}) == 4


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_two_lists_of_parts_run_together(one: str, other: str) -> None:
    assume(other)
    assert key._hash(one, other) != key._hash(one + other, "")


def test_every_parameter_of_answers_is_in_the_key_or_named_as_neutral() -> None:
    declared = {parameter.name for parameter in registry.everything()}
    assert declared >= NEUTRAL
    assert not NEUTRAL & set(moving_parameters())
    assert "chat.answer_similarity_threshold" in moving_parameters()
    assert "documents.retrieval_vector_weight" in moving_parameters()


@pytest.mark.django_db
def test_the_context_moves_with_model_prompt_parameter_and_language(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    RouteFactory(use=Route.Use.EMBEDDING, llm_model=LLMModelFactory(kind="EMBEDDING", dimensions=8))
    weak = as_choice(LLMModelFactory(grounding="SENTENCES"), reason="")
    strong = as_choice(LLMModelFactory(), reason="")
    hashes = {context_hash(weak, locale="en"), context_hash(strong, locale="en")}
    hashes.add(context_hash(strong, locale="de"))
    tuning.change(values={"chat.retrieval_passage_count": 3}, author_id=None)
    live.forget()
    hashes.add(context_hash(strong, locale="en"))
    monkeypatch.setattr(prompts, "SYSTEM_GROUNDED", "Answer.")
    prompts.version.cache_clear()
    hashes.add(context_hash(strong, locale="en"))
    prompts.version.cache_clear()
    assert len(hashes) == 5
    tuning.change(values={"chat.semantic_error_bound": 0.1}, author_id=None)
    live.forget()
    monkeypatch.undo()
    prompts.version.cache_clear()
    assert context_hash(strong, locale="en") in hashes
