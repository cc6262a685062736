"""What happens to each response on its way out: nobody keeps it unless it says so, and it is compressed where that is safe."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable

import brotli
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.text import compress_string

from apps.caching.http import NOT_KEPT

# Below it, the headers and a round trip of packets weigh more than the body.
COMPRESSED_FROM_BYTES = 1024
# A longer body is compressed on a thread, so that the streams of this process do not wait for it.
INLINE_BYTES = 16 * 1024
# A page of 500 messages, 1.7 MB (November 2026): quality 5 11 ms to 5.5 %, 4 5 ms to 5.7 %, gzip's 6 15 ms to 6.1 %.
BROTLI_QUALITY = 5
PADDING_BYTES = 100
COMPRESSIBLE = re.compile(
    r"(text/(?!event-stream)|application/(json|javascript|xml|.*\+(json|xml))|image/svg\+xml)", re.I
)
_CODING = re.compile(r"\s*([\w*-]+)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?\Z", re.I)


class _WayOut:
    """Work on a finished response; sync or async as its neighbour is, so no thread hop is added."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._acall(request)
        response = self.get_response(request)
        self.finish(request, response)
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await self.get_response(request)  # type: ignore[misc]  # async twin
        await self.afinish(request, response)
        return response

    def finish(self, request: HttpRequest, response: HttpResponseBase) -> None:
        raise NotImplementedError

    async def afinish(self, request: HttpRequest, response: HttpResponseBase) -> None:
        self.finish(request, response)


class PrivateByDefaultMiddleware(_WayOut):
    """Mark what says nothing about caches `private, no-store`; empty the browser's cache when a session ends.

    Browsers show a page again on Back without asking, `no-cache` or not: the next person at the machine would read it.
    """

    def finish(self, request: HttpRequest, response: HttpResponseBase) -> None:
        response.headers.setdefault("Cache-Control", NOT_KEPT)
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
        if cookie is not None and not cookie.value:
            response.headers["Clear-Site-Data"] = '"cache"'


class CompressionMiddleware(_WayOut):
    """Compress text over 1 KB with brotli or gzip, as the client prefers; never a stream, never what is encoded.

    Against guessing secrets from lengths (BREACH): the CSRF token is masked anew in each page, session cookies are
    SameSite=Lax, so another site's page can't ask in bulk, and each compressed body has 1 to 100 random bytes within: in
    gzip's file name (Django's way), in a metadata block of brotli, which readers skip (RFC 7932, 9.2).
    """

    def finish(self, request: HttpRequest, response: HttpResponseBase) -> None:
        if isinstance(response, HttpResponse) and (coding := self._coding(request, response)):
            self._replace(response, coding, CODINGS[coding](response.content))

    async def afinish(self, request: HttpRequest, response: HttpResponseBase) -> None:
        if isinstance(response, HttpResponse) and (coding := self._coding(request, response)):
            compress, body = CODINGS[coding], response.content
            is_long = len(body) > INLINE_BYTES
            compressed = await asyncio.to_thread(compress, body) if is_long else compress(body)
            self._replace(response, coding, compressed)

    def _coding(self, request: HttpRequest, response: HttpResponse) -> str:
        """Return how to compress, "" for not at all; say in Vary whenever it depends on the client."""
        if response.status_code == 304:
            patch_vary_headers(response, ("Accept-Encoding",))
            return ""
        if (
            response.has_header("Content-Encoding")
            or len(response.content) <= COMPRESSED_FROM_BYTES
            or not COMPRESSIBLE.match(response.headers.get("Content-Type", ""))
            or "no-transform" in response.headers.get("Cache-Control", "")
        ):
            return ""
        patch_vary_headers(response, ("Accept-Encoding",))
        return preferred_coding(request.headers.get("Accept-Encoding", ""))

    def _replace(self, response: HttpResponse, coding: str, body: bytes) -> None:
        if len(body) >= len(response.content):
            return
        response.content = body
        response.headers["Content-Encoding"] = coding
        response.headers["Content-Length"] = str(len(body))
        etag = response.headers.get("ETag", "")
        if etag.startswith('"'):
            response.headers["ETag"] = f"W/{etag}"


def preferred_coding(accepted: str) -> str:
    """Return the coding of ours that an Accept-Encoding header likes best, "" if none or if it likes plain better.

    RFC 9110, 12.5.3: no weight is 1, weight 0 is refusal, * stands for those not named. Brotli wins a tie.
    """
    weights: dict[str, float] = {}
    for part in accepted.split(","):
        if found := _CODING.match(part):
            try:
                weights[found[1].lower()] = float(found[2] or 1)
            except ValueError:
                continue
    other = weights.get("*", 0.0)
    best = max(CODINGS, key=lambda coding: weights.get(coding, other))
    weight = weights.get(best, other)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else ""


def _gzip(body: bytes) -> bytes:
    compressed: bytes = compress_string(body, max_random_bytes=PADDING_BYTES)
    return compressed


def _brotli(body: bytes) -> bytes:
    compressor = brotli.Compressor(quality=BROTLI_QUALITY)
    text: bytes = compressor.process(body) + compressor.flush()
    return text + _metadata_block(1 + secrets.randbelow(PADDING_BYTES)) + bytes(compressor.finish())


def _metadata_block(size: int) -> bytes:
    """Return a brotli metadata block of 1 to 256 random bytes, to stand where a block begins on a byte (after a flush).

    Its header is, from the lowest bit: not the last block (0), no nibbles of length (11), reserved (0), one byte of
    skipped length (01), that length less one (8 bits), and zeros to the byte's end.
    """
    header = 0b01_0_11_0 | (size - 1) << 6
    return header.to_bytes(2, "little") + secrets.token_bytes(size)


# In the order of preference.
CODINGS: dict[str, Callable[[bytes], bytes]] = {"br": _brotli, "gzip": _gzip}
