"""What the service itself knows of a request, beside what ASGI says of it: one typed object in the scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.types import Scope

from headwater.identity.caller import Caller

# Puts what comes next of a body into a buffer and returns how many bytes that is; ``None``: ASGI's receive has it.
ReceiveInto = Callable[[memoryview], Awaitable[int | None]]

_KEY = "headwater"


@dataclass(slots=True)
class Context:
    """What those who stand before a face have found out; each fills in its own part."""

    request_id: str | None = None
    caller: Caller | None = None  # None: nobody has made sure of one
    receive_into: ReceiveInto | None = None  # None: the server has no such way
    # The fields behind a body in chunks, names in lower case: there once it has ended. ASGI has none for requests.
    trailers: Sequence[tuple[bytes, bytes]] = ()


def context(scope: Scope) -> Context:
    """Return what is known of the request with this scope."""
    found: Context | None = scope.get(_KEY)
    if found is None:
        found = scope[_KEY] = Context()
    return found
