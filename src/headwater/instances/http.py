"""The metadata port and the listeners of networks: a path and a source address in, one document of the caller out.

A secret path says who asks in place of the address.

Three things are more than read: a session token (IMDSv2), without which an instance may give nothing, the password
that the guest posts, and what its cloud-init reports. A request may wait for a document to change
(``serving/waiting.py``).

A caller that nobody registered gets 404 for everything and at once, so that a guest's other data
sources are tried without delay. A failure of ours is never answered quickly, because guests take it
as final: the catalogue is asked again for up to ``PATIENCE_S`` before 503 says when to come back.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import anyio
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.errors import HeadwaterError, NotFound, Unavailable
from headwater.http.answers import without_body
from headwater.http.conditions import is_held
from headwater.http.context import context
from headwater.http.errors import Failure, failure
from headwater.http.routes import READING, MethodNotAllowed
from headwater.http.threads import InThread
from headwater.instances.boot_log import reports
from headwater.instances.callers.asking import Caller, asked, snapshot_of
from headwater.instances.callers.signed import Signed, passed_on
from headwater.instances.identity import http as identity_http
from headwater.instances.identity.tokens import PATH as IDENTITY_TOKEN
from headwater.instances.identity.tokens import IdentityTokens
from headwater.instances.password.http import post
from headwater.instances.password.posting import Posted
from headwater.instances.paths import document_name
from headwater.instances.serving.limits import Limits
from headwater.instances.serving.together import Together
from headwater.instances.serving.waiting import Changes, is_same, is_wanted, timeout_of
from headwater.instances.snapshot import Snapshot, Snapshots
from headwater.instances.tokens.http import require_token, token
from headwater.instances.tokens.tokens import TOKEN_PATHS, Tokens
from headwater.instances.trees import ec2, openstack
from headwater.instances.trees.document import TEXT, Document, text

T = TypeVar("T")

PATIENCE_S = 8.0
PAUSE_S = 0.5
_LOG = structlog.get_logger(__name__)


class CatalogueSilent(Unavailable):
    """The catalogue did not answer in time. The operator's log says why; a guest must not learn where it is."""

    headers = {"Retry-After": "2"}  # noqa: RUF012 - read only

    def __init__(self) -> None:
        super().__init__("The service cannot read its catalogue at the moment; try again.")


class NotTaken(MethodNotAllowed):
    """A document is read, the password posted too."""

    def __init__(self, method: str, allowed: Collection[str]) -> None:
        HeadwaterError.__init__(self, f"This document takes {', '.join(allowed)}, and not {method[:20]}.")
        self.headers = {"Allow": ", ".join(allowed)}


class DocumentNotFound(NotFound):
    """The caller is known, and has no document of this name."""

    def __init__(self) -> None:
        super().__init__("There is no such document; the listing above it names those there are.")


def application(
    snapshots: Snapshots,
    in_thread: InThread,
    *,
    tokens: Tokens,
    passwords: Posted,
    only: str | None = None,
    signed: Signed | None = None,
    identity: IdentityTokens | None = None,
    limits: Limits | None = None,
    changes: Changes | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
    patience_s: float = PATIENCE_S,
) -> ASGIApp:
    """Return the ASGI application of the metadata port: it answers ``http`` scopes and refuses ``websocket`` ones.

    Args:
        only: The id of the instance that asks, whatever comes.
        signed: Knows who asks the metadata port by what Neutron's agents sign. With neither, and on the listeners of
            networks, an address tells, or a secret path.
        identity: What makes tokens by which a machine proves who it is; ``None``: nothing does.
        limits: How often one instance may ask; ``None``: as often as it likes.
        changes: Where requests wait for changes; ``None``: none does.
        entropy: Gives as many random bytes as asked for, new ones each time.
        patience_s: How long to ask an unavailable catalogue again before answering 503.
    """

    callers: Together[Caller, Snapshot] = Together(partial(snapshot_of, snapshots), in_thread)

    def is_by_agent(request: Request) -> bool:
        """Whether an agent has to say who asks: agents reach the metadata port, and no listener of a network."""
        return signed is not None and not context(request.scope).network

    async def patiently(work: Callable[[], T]) -> T:
        return await _asked(lambda: in_thread(work), patience_s)

    async def called(request: Request) -> tuple[Snapshot, str]:
        """Return who asks, and for which document."""
        scope, headers = request.scope, request.headers
        known = context(scope)
        by_signature = signed if is_by_agent(request) else None
        caller, path = asked(
            scope["path"],
            scope.get("client"),
            headers.getlist,
            only=only,
            signed=by_signature,
            network=known.network,
            trusted=known.may_say_who,
        )
        return await _asked(lambda: callers.of(caller), patience_s), document_name(path)

    async def again(request: Request) -> Snapshot:
        snapshot, _ = await called(request)
        await require_token(request, snapshot, tokens, patiently)
        return snapshot

    async def document(request: Request) -> Response:
        by_agent = is_by_agent(request)
        if by_agent and document_name(request.scope["path"]) == ec2.ROOT and request.method in READING:
            return _sent(request, ec2.ROOT_LISTING, entropy)  # whoever asks
        known, (snapshot, name) = context(request.scope), await called(request)
        known.instance_id, known.document = snapshot.instance_id, name
        if limits is not None:
            await limits.turn(snapshot.instance_id)
        if name in reports.DOCUMENTS and request.method == "POST":
            return await reports.take(request)
        if name in TOKEN_PATHS:
            if by_agent:  # none would come back through an agent
                raise DocumentNotFound
            return await token(request, snapshot, tokens, patiently)
        await require_token(request, snapshot, tokens, patiently)
        if identity is not None and name == IDENTITY_TOKEN:
            _require_method(request.method, ("POST",))
            return await identity_http.post(request, snapshot, identity, patiently, by_agent=by_agent)
        found = _found(snapshot, name)
        is_password = openstack.is_password(name)
        _require_method(request.method, (*READING, "POST") if is_password else READING)
        if request.method == "POST":
            return await post(request, snapshot, passwords, patiently)
        if is_password:
            found = text(await patiently(lambda: passwords.get(snapshot.instance_id) or ""))
        elif (
            changes is not None
            and request.scope.get("query_string")
            and is_wanted(request.query_params.get("wait_for_change"))
        ):
            found = await _newer(request, snapshot, name, changes, again)
        return _sent(request, found, entropy)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        request = Request(scope, receive)
        try:
            response = await document(request)
        except HeadwaterError as error:
            told = failure(error, context(scope).request_id)
            response = plain(replace(told, status=passed_on(told.status)) if is_by_agent(request) else told)
        if request.method == "HEAD":
            response = without_body(response)
        await response(scope, receive, send)

    return answer


async def _asked(ask: Callable[[], Awaitable[T]], patience_s: float) -> T:
    waited = 0.0
    while True:
        started = anyio.current_time()
        try:
            return await ask()
        except Unavailable as error:
            waited += PAUSE_S + anyio.current_time() - started
            if waited > patience_s:
                _LOG.error("no metadata could be served", error=str(error))
                raise CatalogueSilent from error
            await anyio.sleep(PAUSE_S)


async def _newer(
    request: Request, snapshot: Snapshot, name: str, changes: Changes, again: Callable[[Request], Awaitable[Snapshot]]
) -> Document:
    """Return the document once it is another than the request has seen last, or its time is over."""
    found = _found(snapshot, name)
    seen = request.query_params.get("last_etag", found.etag)
    until = anyio.current_time() + timeout_of(request.query_params.get("timeout_sec"))
    while is_same(seen, found.etag) and (left_s := until - anyio.current_time()) > 0:
        if not await changes.after(snapshot.instance_id, snapshot.revision, left_s):
            break
        snapshot = await again(request)
        found = _found(snapshot, name)
    return found


def _require_method(method: str, allowed: Collection[str]) -> None:
    """Last: who is not registered gets 404 for everything."""
    if method not in allowed:
        raise NotTaken(method, allowed)


def _found(snapshot: Snapshot, name: str) -> Document:
    found = snapshot.documents.get(name)
    if found is None:
        raise DocumentNotFound
    return found


def _sent(request: Request, found: Document, entropy: Callable[[int], bytes]) -> Response:
    validators = {"ETag": found.etag}
    if is_held(request.headers, found.etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=validators)
    return Response(found.read(entropy), headers={"content-type": found.content_type} | validators)


def plain(told: Failure) -> Response:
    """Return what guests are told of a failure, which is never more than text."""
    headers = {**told.headers, "content-type": TEXT}
    return Response(f"{told.line}\n\n{told.message}\n", told.status, headers)
