"""Compression on the way out: what is compressed, how, for whom, and what never is."""

import gzip
from collections.abc import Callable
from typing import Any

import brotli
import pytest
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.models import User
from apps.chat.models import Message
from apps.chat.replies import close_desk
from project import middleware
from project.middleware import CompressionMiddleware, PrivateByDefaultMiddleware, preferred_coding
from tests.factories.chat import conversation_of
from tests.factories.documents import served, uploaded

PLAIN: Callable[[bytes], bytes] = bytes
DECODERS = {"br": brotli.decompress, "gzip": gzip.decompress, "": PLAIN}
LONG = "Annual leave is 28 days. " * 200


def answered(
    response: HttpResponseBase, accepted: str = "gzip, deflate, br", **headers: str
) -> HttpResponseBase:
    """Return the response as the middleware lets it out."""
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    request = RequestFactory().get("/", headers={"Accept-Encoding": accepted})
    CompressionMiddleware(lambda _request: response)(request)
    return response


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("GZIP;Q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0.5, gzip;q=0.9", "gzip"),
        ("*", "br"),
        ("gzip;q=0.3, *;q=0.5", "br"),
        ("br;q=0.5, identity;q=0.9", ""),
        ("identity", ""),
        ("*;q=0", ""),
        ("deflate, zstd", ""),
        ("brotli, xgzip", ""),
        ("br;q=lots", ""),
        ("", ""),
    ],
)
def test_the_client_decides_the_coding(accepted: str, coding: str) -> None:
    assert preferred_coding(accepted) == coding
    response = answered(HttpResponse(LONG), accepted, Content_Length=str(len(LONG)))
    assert isinstance(response, HttpResponse)
    assert response.headers.get("Content-Encoding", "") == coding
    assert DECODERS[coding](response.content) == LONG.encode()
    assert response.headers["Content-Length"] == str(len(response.content))
    assert response.headers["Vary"] == "Accept-Encoding"


@given(st.binary(min_size=1), st.sampled_from(["br", "gzip"]))
def test_what_goes_in_comes_out(body: bytes, coding: str) -> None:
    assert DECODERS[coding](middleware.CODINGS[coding](body)) == body


@pytest.mark.parametrize("size", [1, 2, 100, 256])
def test_a_brotli_reader_skips_the_padding(size: int) -> None:
    compressor = brotli.Compressor()
    stream = compressor.process(LONG.encode()) + compressor.flush()
    stream += middleware._metadata_block(size)
    assert brotli.decompress(stream + compressor.finish()) == LONG.encode()
    assert len(middleware._metadata_block(size)) == size + 2


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_the_length_does_not_tell_what_is_inside(coding: str) -> None:
    lengths = {len(middleware.CODINGS[coding](LONG.encode())) for _time in range(200)}
    assert len(lengths) > 50


@pytest.mark.parametrize(
    ("kind", "is_compressed"),
    [
        ("text/html; charset=utf-8", True),
        ("application/json", True),
        ("application/problem+json", True),
        ("text/markdown", True),
        ("image/svg+xml", True),
        ("text/event-stream", False),
        ("image/png", False),
        ("application/zip", False),
        ("application/pdf", False),
    ],
)
def test_text_is_compressed(kind: str, is_compressed: bool) -> None:
    response = answered(HttpResponse(LONG, content_type=kind))
    assert ("Content-Encoding" in response.headers) == is_compressed
    assert ("Vary" in response.headers) == is_compressed


def test_what_is_short_or_encoded_or_not_to_be_changed_stays() -> None:
    short = HttpResponse("x" * middleware.COMPRESSED_FROM_BYTES)
    encoded = HttpResponse(LONG, headers={"Content-Encoding": "zstd"})
    fixed = HttpResponse(LONG, headers={"Cache-Control": "no-transform"})
    for response in (short, encoded, fixed):
        before = response.content
        answered(response)
        assert response.content == before
        assert response.headers.get("Content-Encoding") in {None, "zstd"}


def test_what_would_grow_stays() -> None:
    noise = HttpResponse(bytes(range(256)) * 4 + b"\x00", content_type="text/plain")
    padded = answered(noise)
    assert isinstance(padded, HttpResponse)
    assert len(padded.content) <= 1025


def test_a_tag_becomes_weak_where_the_bytes_change() -> None:
    assert answered(HttpResponse(LONG), ETag='"one"').headers["ETag"] == 'W/"one"'
    assert answered(HttpResponse(LONG), ETag='W/"one"').headers["ETag"] == 'W/"one"'
    assert answered(HttpResponse(LONG), "identity", ETag='"one"').headers["ETag"] == '"one"'


def test_an_unchanged_page_varies_as_the_page_does() -> None:
    response = answered(HttpResponse(status=304), Vary="Cookie")
    assert response.headers["Vary"] == "Cookie, Accept-Encoding"


def test_a_stream_goes_through_untouched() -> None:
    pieces = [b"data: one\n\n", b"data: two\n\n" * 200]
    stream = StreamingHttpResponse(iter(pieces), content_type="text/plain")
    response = answered(stream)
    assert response is stream
    assert list(stream.streaming_content) == pieces  # type: ignore[call-overload]  # a sync stream
    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize("middleware_class", [CompressionMiddleware, PrivateByDefaultMiddleware])
async def test_between_async_neighbours_there_is_no_hop(middleware_class: Any) -> None:
    async def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(LONG)

    instance = middleware_class(view)
    assert instance.async_capable
    assert instance.is_async
    request = RequestFactory().get("/", headers={"Accept-Encoding": "br"})
    response = await instance(request)
    assert isinstance(response, HttpResponse)


@pytest.mark.parametrize("size", [middleware.INLINE_BYTES, middleware.INLINE_BYTES + 1, 1_000_000])
async def test_long_and_short_bodies_take_the_same_form(size: int) -> None:
    async def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse("é" + "a" * (size - 2))

    request = RequestFactory().get("/", headers={"Accept-Encoding": "br"})
    response: Any = await CompressionMiddleware(view)(request)  # type: ignore[arg-type,misc]
    assert response.headers["Content-Encoding"] == "br"
    assert len(brotli.decompress(response.content)) == size


def test_what_says_how_long_it_may_be_kept_is_left_alone() -> None:
    response = HttpResponse(headers={"Cache-Control": "public, max-age=60"})
    PrivateByDefaultMiddleware(lambda _request: response)(RequestFactory().get("/"))
    assert response.headers["Cache-Control"] == "public, max-age=60"
    assert "Clear-Site-Data" not in response.headers


@pytest.mark.django_db
@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_a_page_comes_compressed_and_is_asked_for_again(
    owner: User, client: Client, coding: str
) -> None:
    client.force_login(owner)
    url = reverse("chat:conversation-detail", args=[conversation_of(owner).pk])
    client.get(url)
    page = client.get(url, headers={"Accept-Encoding": coding})
    assert page.headers["Content-Encoding"] == coding
    assert b"</html>" in DECODERS[coding](page.content)
    assert {"Cookie", "Accept-Language", "Accept-Encoding"} <= {*page.headers["Vary"].split(", ")}
    tag = {"If-None-Match": page.headers["ETag"], "Accept-Encoding": coding}
    again = client.get(url, headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert "Content-Encoding" not in again.headers


@pytest.mark.django_db(transaction=True)
async def test_streams_and_originals_of_the_whole_are_sent_as_they_are(owner: User) -> None:
    """Through all middleware, as the server calls it."""
    content = LONG.encode()
    document = await sync_to_async(uploaded)(owner, content, name="leave.txt")
    reading = await sync_to_async(served)(owner)
    conversation = await sync_to_async(conversation_of)(owner)
    reply = await Message.objects.aget(pk=conversation.active_leaf_id)
    client = AsyncClient(headers={"Accept-Encoding": "gzip, br"})
    await client.aforce_login(owner)
    urls = {
        "original": reverse("documents:original", args=[document.pk]),
        "events": reverse("documents:events") + f"?ids={reading.pk}",
        "stream": reverse("chat:stream", args=[reply.pk]),
    }
    try:
        for name, url in urls.items():
            answer = await client.get(url)
            assert answer.status_code == 200, name
            sent = b"".join([piece async for piece in answer.streaming_content])
            assert sent.startswith((b"Annual", b"event:", b":", b"data:")), name
            assert "Content-Encoding" not in answer.headers, name
            assert "no-store" in answer.headers["Cache-Control"], name
            assert "ETag" not in answer.headers, name
            assert name != "original" or (sent, answer.headers["Content-Length"]) == (
                content,
                str(len(content)),
            )
    finally:
        # As the server does at its end: a task that reads from Valkey may have to be cancelled more than once.
        await close_desk(drain_seconds=0)
