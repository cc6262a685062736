"""How far a request came, as the HTTP client's trace tells: enough to know one that met a closing connection.

A provider closes connections that are idle; a request sent in that very moment fails, and the provider never saw it.
"""

import time
from typing import Any, Final

import httpx2

# Such a failure shows within a round trip. Later, the provider may have begun to work before it broke off.
CLOSED_WITHIN_SECONDS: Final = 1.0


class Delivery:
    """What is known of one request's way; the HTTP client calls it at each step."""

    def __init__(self) -> None:
        self.is_reused = True
        self.has_response = False
        self.sent_at: float | None = None
        self.failed_at: float | None = None

    async def __call__(self, name: str, _info: dict[str, Any]) -> None:
        """Note a step; its name is `<layer>.<step>.<started, complete or failed>`."""
        step = name.partition(".")[2]
        if step in {"connect_tcp.started", "connect_unix_socket.started"}:
            self.is_reused = False
        elif step == "send_request_headers.started":
            self.sent_at = time.perf_counter()
        elif step == "receive_response_headers.complete":
            self.has_response = True
        elif step == "receive_response_headers.failed":
            self.failed_at = time.perf_counter()


async def follow(request: httpx2.Request) -> None:
    """Have a request's delivery told; a hook of the HTTP client."""
    request.extensions = {**request.extensions, "trace": Delivery()}


def met_a_closed_connection(error: BaseException) -> bool:
    """Say whether the request went out on a connection kept from before that was closed without a byte of answer."""
    if not isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError):
        return False
    delivery = error.request.extensions.get("trace")
    if not isinstance(delivery, Delivery) or not delivery.is_reused or delivery.has_response:
        return False
    sent_at, failed_at = delivery.sent_at, delivery.failed_at
    return (
        sent_at is not None
        and failed_at is not None
        and failed_at - sent_at <= CLOSED_WITHIN_SECONDS
    )
