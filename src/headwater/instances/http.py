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

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import anyio
import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.errors import ClientDisconnected, HeadwaterError, NotFound, Unavailable
from headwater.http.answers import without_body
from headwater.http.conditions import is_held
from headwater.http.context import context
from headwater.http.errors import failure
from headwater.http.routes import READING, MethodNotAllowed
from headwater.http.threads import InThread
from headwater.instances.answering import Elsewhere, known, moment_of, snapshot_of
from headwater.instances.boot_log import reports
from headwater.instances.callers.asking import Caller, asked
from headwater.instances.callers.signed import Signed, is_passed_on, passed_on
from headwater.instances.identity import http as identity_http
from headwater.instances.identity.proofs import SIGNED
from headwater.instances.identity.tokens import PATH as IDENTITY_TOKEN
from headwater.instances.identity.tokens import IdentityTokens
from headwater.instances.password import http as password_http
from headwater.instances.password.posting import Posted
from headwater.instances.paths import document_name
from headwater.instances.serving.limits import Limits
from headwater.instances.serving.together import Together
from headwater.instances.serving.waiting import Changes, NotWaitedFor, is_same, is_wanted, once, timeout_of
from headwater.instances.snapshots.kept import Snapshots
from headwater.instances.snapshots.moment import Moment
from headwater.instances.snapshots.snapshot import Snapshot
from headwater.instances.tokens.http import require_token, token
from headwater.instances.tokens.tokens import TOKEN_PATHS, Tokens
from headwater.instances.trees import ec2, openstack
from headwater.instances.trees.document import TEXT, Document
from headwater.instances.vendor_data import documents as vendor_documents
from headwater.instances.vendor_data.answers import Answers

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
    elsewhere: Elsewhere | None = None,
    identity: IdentityTokens | None = None,
    limits: Limits | None = None,
    changes: Changes | None = None,
    vendor_data: Answers | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
    patience_s: float = PATIENCE_S,
) -> ASGIApp:
    """Return the ASGI application of the metadata port: it answers ``http`` scopes and refuses ``websocket`` ones.

    Args:
        only: The id of the instance that asks, whatever comes.
        signed: Knows who asks the metadata port by what Neutron's agents sign. With neither, and on the listeners of
            networks, an address tells, or a secret path.
        elsewhere: Who knows of instances that are not registered; ``None``: nobody does.
        identity: What makes that by which a machine proves who it is; ``None``: nothing does.
        limits: How often one instance may ask; ``None``: as often as it likes.
        changes: Where requests wait for changes; ``None``: none does.
        vendor_data: What asks services about instances; ``None``: nothing does.
        entropy: Gives as many random bytes as asked for, new ones each time.
        patience_s: How long to ask an unavailable catalogue again before answering 503.
    """

    callers: Together[Caller, Moment, Snapshot] = Together(
        partial(snapshot_of, snapshots), in_thread, partial(moment_of, snapshots)
    )

    def is_by_agent(request: Request) -> bool:
        """Whether an agent has to say who asks: agents reach the metadata port, and no listener of a network."""
        return signed is not None and not context(request.scope).network

    async def patiently(work: Callable[[], T]) -> T:
        return await _asked(lambda: in_thread(work), patience_s)

    current = partial(_current, identity=identity, vendor_data=vendor_data, in_thread=patiently)

    async def called(request: Request) -> tuple[Snapshot, str]:
        """Return who asks, and for which document."""
        scope = request.scope
        about = context(scope)
        caller, path = asked(
            scope["path"],
            scope.get("client"),
            request.headers.getlist,
            only=only,
            signed=signed if is_by_agent(request) else None,
            network=about.network,
            trusted=about.may_say_who,
        )
        return await _asked(lambda: known(caller, callers.of, elsewhere), patience_s), document_name(path)

    async def again(request: Request) -> Snapshot:
        snapshot, _ = await called(request)
        await require_token(request, snapshot, tokens, patiently)
        return snapshot

    async def document(request: Request) -> Response:
        by_agent = is_by_agent(request)
        if by_agent and document_name(request.scope["path"]) == ec2.ROOT and request.method in READING:
            return _sent(request, ec2.ROOT_LISTING, entropy)  # whoever asks
        about, (snapshot, name) = context(request.scope), await called(request)
        about.instance_id, about.document = snapshot.instance_id, name
        if limits is not None:
            await limits.turn(snapshot.instance_id)
        if name in reports.DOCUMENTS and request.method == "POST":
            return await reports.take(request)
        if name in TOKEN_PATHS:
            if by_agent and is_passed_on(request.headers.getlist):  # none would come back through an agent
                raise DocumentNotFound
            return await token(request, snapshot, tokens, patiently, is_near=not by_agent)
        await require_token(request, snapshot, tokens, patiently)
        if identity is not None and name == IDENTITY_TOKEN:
            _require_method(request.method, ("POST",))
            return await identity_http.post(request, snapshot, identity, patiently, by_agent=by_agent)
        _require_there(snapshot, name)
        is_password = openstack.is_password(name)
        _require_method(request.method, (*READING, "POST") if is_password else READING)
        if request.method == "POST":
            return await password_http.post(request, snapshot, _passwords(passwords, elsewhere, snapshot), patiently)
        if is_password:
            if _waits(request):
                raise NotWaitedFor
            found = await password_http.read(snapshot, _passwords(passwords, elsewhere, snapshot), patiently)
        elif changes is not None and _waits(request):
            found = await _newer(
                request, snapshot, partial(current, name), partial(_changed, changes, elsewhere), again
            )
        else:
            found = await current(name, snapshot)
        return _sent(request, found, entropy)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        request = Request(scope, receive)
        response = await _answered(document, request, by_agent=is_by_agent(request))
        if request.method == "HEAD":
            response = without_body(response)
        await response(scope, receive, send)

    return answer


def _passwords(registered: Posted, elsewhere: Elsewhere | None, snapshot: Snapshot) -> Posted:
    return registered if elsewhere is None or snapshot.is_registered else elsewhere.passwords


async def _answered(
    document: Callable[[Request], Awaitable[Response]], request: Request, *, by_agent: bool
) -> Response:
    try:
        return await document(request)
    except ClientDisconnected:
        raise  # who observes the listener tells the client, if it is there, that its body is broken
    except HeadwaterError as error:
        return refusal(error, request.scope, by_agent=by_agent)


async def _asked(ask: Callable[[], Awaitable[T]], patience_s: float) -> T:
    waited = 0.0
    while True:
        started = time.monotonic()
        try:
            return await ask()
        except Unavailable as error:
            waited += PAUSE_S + time.monotonic() - started
            if waited > patience_s:
                _LOG.error("no metadata could be served", error=str(error))
                raise CatalogueSilent from error
            await anyio.sleep(PAUSE_S)


async def _current(
    name: str,
    snapshot: Snapshot,
    *,
    identity: IdentityTokens | None,
    vendor_data: Answers | None,
    in_thread: InThread,
) -> Document:
    """Return a document as it is now: what is signed is made of the snapshot, and answers of services stand in it."""
    if identity is not None and name in SIGNED:
        return await identity_http.signed(name, snapshot, identity.keys, in_thread)
    found = _found(snapshot, name)
    if vendor_data is None or not vendor_documents.is_asked_for(name):
        return found
    names = (vendor_documents.FOR_CLOUD_INIT,) if vendor_documents.is_nocloud(name) else ()
    parts = await vendor_data.of(snapshot.instance, *names)
    return vendor_documents.completed(name, found, snapshot.instance.vendor_data, parts)


async def _newer(
    request: Request,
    snapshot: Snapshot,
    current: Callable[[Snapshot], Awaitable[Document]],
    changed: Callable[[Snapshot, float], Awaitable[bool]],
    again: Callable[[Request], Awaitable[Snapshot]],
) -> Document:
    """Return the document once it is another than the request has seen last, or its time is over."""
    found = await current(snapshot)
    last = _given(request, "last_etag")
    seen = found.etag if last is None else last
    until = anyio.current_time() + timeout_of(_given(request, "timeout_sec"))
    while is_same(seen, found.etag) and (left_s := until - anyio.current_time()) > 0:
        if not await changed(snapshot, left_s):
            break
        snapshot = await again(request)
        found = await current(snapshot)
    return found


def _waits(request: Request) -> bool:
    """Return whether a request wants to wait for a change."""
    return bool(request.scope.get("query_string")) and is_wanted(_given(request, "wait_for_change"))


def _given(request: Request, name: str) -> str | None:
    return once(name, request.query_params.getlist(name))


async def _changed(changes: Changes, elsewhere: Elsewhere | None, snapshot: Snapshot, timeout_s: float) -> bool:
    """Wait until an instance may have another state than in a snapshot; return whether it may."""
    if snapshot.is_registered or elsewhere is None:
        return await changes.after(snapshot.instance_id, snapshot.revision, timeout_s)
    said = asyncio.create_task(elsewhere.change(snapshot))
    registered = asyncio.create_task(changes.after(snapshot.instance_id, None, timeout_s))
    try:
        await asyncio.wait((said, registered), return_when=asyncio.FIRST_COMPLETED)
        return said.done() or registered.result()
    finally:
        said.cancel()
        registered.cancel()


def _require_method(method: str, allowed: Collection[str]) -> None:
    """Last: who is not registered gets 404 for everything."""
    if method not in allowed:
        raise NotTaken(method, allowed)


def _require_there(snapshot: Snapshot, name: str) -> None:
    if name not in SIGNED:
        _found(snapshot, name)


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


def refusal(error: BaseException, scope: Scope, *, by_agent: bool = False) -> Response:
    """Return what a guest is told of an error, which is text whatever it accepts.

    Args:
        by_agent: Agents ask here, which pass on some statuses alone.
    """
    told = failure(error, context(scope).request_id)
    status = passed_on(told.status, Headers(scope=scope).getlist) if by_agent else told.status
    headers = {**told.headers, "content-type": TEXT}
    return Response(f"{replace(told, status=status).line}\n\n{told.message}\n", status, headers)
