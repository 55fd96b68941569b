"""What the service itself knows of a request, beside what ASGI says of it: one typed object in the scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.types import Scope

from headwater.identity.caller import Caller

# Puts what comes next of a body into a buffer and returns how many bytes that is; ``None``: ASGI's receive has it.
ReceiveInto = Callable[[memoryview], Awaitable[int | None]]
# Sends an interim answer, of this status and with these headers; a client that is gone is found by who reads its body.
Inform = Callable[[int, Mapping[str, str]], Awaitable[None]]

_KEY = "headwater"


@dataclass(slots=True)
class Context:
    """What those who stand before a face have found out; each fills in its own part."""

    request_id: str | None = None
    caller: Caller | None = None  # None: nobody has made sure of one
    receive_into: ReceiveInto | None = None  # None: the server has no such way
    # The fields behind a body in chunks, names in lower case: there once it has ended. ASGI has none for requests.
    trailers: Sequence[tuple[bytes, bytes]] = ()
    inform: Inform | None = None  # None: the server has no interim answers, or the client takes none
    # How many bytes of the answer's body the network has taken so far; ``None``: nobody knows.
    body_sent: Callable[[], int] | None = None
    limit_hops: Callable[[int], None] | None = None  # lets this answer pass so many routers at most; None: nobody can
    proxied: bool = False  # a proxy that is trusted has said who the client is
    network: str = ""  # whose listener has taken the request, as the settings name it; empty: none of a network
    may_say_who: bool = False  # the machines of that network may
    instance_id: str | None = None  # the machine that asks for its metadata, once it is known
    document: str | None = None  # and for what; a secret path is no part of the name
    report: object = None  # what it tells of itself with this request
    told: dict[str, str] = field(default_factory=dict)  # headers of whatever answer it gets, a refusal too


def context(scope: Scope) -> Context:
    """Return what is known of the request with this scope."""
    found: Context | None = scope.get(_KEY)
    if found is None:
        found = scope[_KEY] = Context()
    return found
