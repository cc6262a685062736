"""Token counts, without a network."""

from apps.llm import tokens
from apps.llm.types import ChatMessage


def test_special_tokens_in_user_text_are_plain_text() -> None:
    assert tokens.count_tokens("<|endoftext|>") > 1


def test_the_bound_is_above_the_count() -> None:
    for text in ("How many days of leave do I have?", "今年的休假政策是什么？"):
        messages = [ChatMessage("user", text)]
        assert tokens.most_tokens(messages) > tokens.count_prompt_tokens(messages)
        assert tokens.most_embedding_tokens([text]) >= tokens.count_embedding_input([text])


def test_offsets_point_into_the_text_and_long_texts_are_not_cut() -> None:
    text = "Skerry ferries are naïve. " * 300
    offsets = tokens.embedding_token_offsets(text)
    assert len(offsets) == tokens.count_embedding_tokens(text) > 1500
    assert [text[start:end] for start, end in offsets[:4]] == ["Sk", "erry", "ferries", "are"]
