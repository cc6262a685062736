"""Questions that differ in a number, name, negation or direction never share an answer; paraphrases may."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.chat.answers.signs import agree, must_be_computed, signs_of

DIFFERENT = [
    ("What was the budget in 2024?", "What was the budget in 2025?"),
    ("Can I travel with approval?", "Can I travel without approval?"),
    ("What does plan A cover?", "What does plan B cover?"),
    ("what does option a cover", "what does option b cover"),
    ("What is in option a?", "What is in option b?"),
    ("Is smoking allowed here?", "Is smoking not allowed here?"),
    ("Is smoking allowed here?", "Isn't smoking allowed here?"),
    ("Is the leave paid?", "Is the leave unpaid?"),
    ("Who approves leave?", "When is leave approved?"),
    ("What is the minimum stay?", "What is the maximum stay?"),
    ("Where do I park in Bristol?", "Where do I park in Leeds?"),
    ("Do I tell HR before the trip?", "Do I tell HR after the trip?"),
    ("Must I answer within 10 days?", "Must I answer within 10 weeks?"),
    ("Must I answer within ten days?", "Must I answer within eleven days?"),
    ("How do I get from Bristol to Leeds?", "How do I get from Leeds to Bristol?"),
    ("How many days do I have?", "How many weeks do I have?"),
    ('What does "gross" mean here?', 'What does "nett" mean here?'),
    ("Is $5 enough?", "Is €5 enough?"),
    ("Is it below -5 degrees?", "Is it below 5 degrees?"),
    ("Are you open on Monday?", "Are you open on Tuesday?"),
    ("Can I take leave in may?", "Can I take leave in june?"),
    ("What are the IT rules?", "What are the HR rules?"),
    ("Can I carry over leave?", "Must I carry over leave?"),
    ("What does section 3.1 say?", "What does section 3.2 say?"),
    ("Is it 10 % of the price?", "Is it 10 of the price?"),
    ("How do I write to it@example.org?", "How do I write to hr@example.org?"),
    ("Is C++ allowed?", "Is C# allowed?"),
    ("Who may lend equipment?", "Who may borrow equipment?"),
    ("Are weekends included?", "Are weekends excluded?"),
    ("Is it more than the limit?", "Is it less than the limit?"),
    ("What is the first deadline?", "What is the last deadline?"),
    ("Bristol office hours", "Leeds office hours"),
    ("Does Anna or Ben sign?", "Do Anna and Ben sign?"),
    ("Is everyone covered except interns?", "Is everyone covered, interns too?"),
]

ALIKE = [
    ("How many days of annual leave do I get?", "What is my annual leave entitlement?"),
    ("How many vacation days do I get?", "How many days of vacation are there?"),
    ("Who approves my expenses?", "Who is it that approves expenses?"),
    ("Can I work from home?", "Is it allowed to work from home?"),
    ("Where can I park in Bristol?", "where do i park in bristol"),
    ("Is an answer due within two weeks?", "Is an answer due within 2 weeks?"),
    ("How do I claim travel costs?", "How can I get my travel costs back?"),
    ("What is the password policy?", "what are the rules for passwords?"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_a_sign_that_differs_forbids_sharing(one: str, other: str) -> None:
    assert not agree(signs_of(one), signs_of(other))
    assert not agree(signs_of(other), signs_of(one))


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_paraphrases_may_share(one: str, other: str) -> None:
    assert agree(signs_of(one), signs_of(other))
    assert agree(signs_of(other), signs_of(one))


def test_names_in_small_letters_are_known_from_the_answer() -> None:
    kept = signs_of("where do i park in bristol", "In Bristol you park behind the office.")
    assert not agree(signs_of("where do i park in leeds"), kept)
    assert agree(signs_of("where is the parking in bristol"), kept)
    # A word that merely begins the answer's sentence is no name.
    assert agree(
        signs_of("where is the car park"),
        signs_of("where can i park", "Park behind the office."),
    )


@pytest.mark.parametrize(
    "question",
    [
        "What changed this week?",
        "Who is on duty tonight?",
        "What is the latest version of the policy?",
        "What was decided last month?",
        "And for contractors?",
        "What about Leeds?",
        "What is the rule you mentioned?",
    ],
)
def test_questions_of_the_moment_or_of_a_conversation_are_computed(question: str) -> None:
    assert must_be_computed(question)


@pytest.mark.parametrize(
    "question",
    [
        "How many days of annual leave do I get?",
        "What happens on the last day of employment?",
        "What does a new employee need?",
    ],
)
def test_questions_that_stand_alone_may_be_shared(question: str) -> None:
    assert not must_be_computed(question)


FRAMES = [
    "What does the policy say about {}?",
    "Is {} within the limit?",
    "how do I claim {} for travel",
    "Please explain {} to me.",
]
texts = st.text(st.characters(categories=["L", "N", "P", "S", "Z"]), max_size=60)


@given(texts)
def test_every_question_agrees_with_itself(text: str) -> None:
    assert agree(signs_of(text), signs_of(text))


@given(texts, texts)
def test_agreement_is_mutual(one: str, other: str) -> None:
    assert agree(signs_of(one), signs_of(other)) == agree(signs_of(other), signs_of(one))


@given(st.sampled_from(FRAMES), st.integers(0, 10**6), st.integers(0, 10**6))
def test_other_numbers_never_share(frame: str, one: int, other: int) -> None:
    assume(one != other)
    assert not agree(signs_of(frame.format(one)), signs_of(frame.format(other)))


names = st.from_regex(r"\A[B-Z][a-z]{2,9}\Z").filter(lambda name: name.isascii())


@given(st.sampled_from(FRAMES[:1] + FRAMES[2:]), names, names)
def test_other_names_never_share(frame: str, one: str, other: str) -> None:
    assume(one.lower() != other.lower())
    assert not agree(signs_of(frame.format(one)), signs_of(frame.format(other)))


@given(st.sampled_from(FRAMES), st.sampled_from(["not", "never", "without", "except", "no"]))
def test_a_negation_more_never_shares(frame: str, negator: str) -> None:
    said = frame.format("the costs")
    assert not agree(signs_of(said), signs_of(frame.format(f"{negator} the costs")))


@given(st.sampled_from(FRAMES), st.dates(), st.dates())
def test_other_dates_never_share(frame: str, one: object, other: object) -> None:
    assume(one != other)
    assert not agree(signs_of(frame.format(one)), signs_of(frame.format(other)))
