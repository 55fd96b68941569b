"""Session tokens over HTTP: given with PUT, shown in a header from then on."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from headwater.errors import HeadwaterError
from headwater.http.context import context
from headwater.http.routes import MethodNotAllowed
from headwater.http.threads import InThread
from headwater.instances.addresses import canonical_source
from headwater.instances.errors import InstanceInvalid
from headwater.instances.snapshots.snapshot import Snapshot
from headwater.instances.tokens.tokens import (
    TOKEN_HEADERS,
    TTL_HEADERS,
    ForwardedForToken,
    TokenRefused,
    Tokens,
    ttl_of,
)
from headwater.instances.trees.document import TEXT

_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


class OnlyPut(MethodNotAllowed):
    """A token is asked for with PUT, which a page or a proxy is not easily talked into."""

    def __init__(self) -> None:
        HeadwaterError.__init__(self, "A token is asked for with PUT.")
        self.headers = {"Allow": "PUT"}


async def token(
    request: Request, snapshot: Snapshot, tokens: Tokens, in_thread: InThread, *, is_near: bool = True
) -> Response:
    """Return the answer with a new token.

    Args:
        is_near: The connection is the machine's own, so that hops on it can be limited.
    """
    if request.method != "PUT":
        raise OnlyPut
    require_nobody_between(request)
    ttls = _said(request, TTL_HEADERS)
    ttl_s = ttl_of(ttls.pop() if len(ttls) == 1 else None)
    made = await in_thread(lambda: tokens.issue(snapshot.instance_id, ttl_s))
    headers = {"content-type": TEXT, TTL_HEADERS[0]: str(ttl_s), "Cache-Control": "no-store"}
    limit_hops = context(request.scope).limit_hops
    if is_near and snapshot.hop_limit is not None and limit_hops is not None:
        limit_hops(snapshot.hop_limit)
    return Response(made, headers=headers)


async def require_token(request: Request, snapshot: Snapshot, tokens: Tokens, in_thread: InThread) -> None:
    """Raise ``TokenRefused`` unless the guest may read: the one token that is shown is good, or none is needed."""
    given = _said(request, TOKEN_HEADERS)
    if not given:
        if snapshot.needs_token:
            raise TokenRefused
        return
    shown = given.pop()
    if given or not await in_thread(lambda: tokens.is_good(shown, snapshot.instance_id)):
        raise TokenRefused


def require_nobody_between(request: Request) -> None:
    """Raise ``ForwardedForToken`` when whoever asks is not the machine itself.

    A proxy that the operator trusts may stand between: then the first that the chain names is the machine.
    """
    chain = [each.strip() for line in request.headers.getlist("x-forwarded-for") for each in line.split(",")]
    elements = sum(line.count(",") + 1 for line in request.headers.getlist("forwarded"))
    if not chain and not elements:
        return
    client = request.scope.get("client")
    if not context(request.scope).proxied or client is None or elements > 1:
        raise ForwardedForToken
    if chain and not _same(chain[0], client[0]):
        raise ForwardedForToken


def _same(text: str, address: str) -> bool:
    """Whether a proxy's word, with a port or without, is an address."""
    bracketed, plain = with_port.groups() if (with_port := _WITH_PORT.fullmatch(text)) else (None, text)
    try:
        return canonical_source(bracketed or plain) == canonical_source(address)
    except InstanceInvalid:
        return False


def _said(request: Request, names: Sequence[str]) -> set[str]:
    """Return the different values of headers that mean the same: what stands between may read another than we do."""
    return {value for name in names for value in request.headers.getlist(name)}
