"""One connection: a request, its answer, the next one, in order, until either side has enough."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote

from starlette.types import ASGIApp, Scope

from headwater.errors import HeadwaterError
from headwater.http.context import context
from headwater.server.edge.exchange import EXTENSIONS, Exchange, refusal
from headwater.server.edge.framing import Refused
from headwater.server.edge.incoming import Incoming
from headwater.server.edge.limits import FIRST_BYTE_S, HANDSHAKE_S, HEAD_S, KEEP_ALIVE_S, LINGER_IDLE_S, STOP_S
from headwater.server.edge.parsing import Request
from headwater.server.edge.tls import Tls
from headwater.threads import Pool

_log = logging.getLogger(__name__)

Address = tuple[str, int]


def address_of(name: object) -> Address | None:
    """Return host and port of what a socket names an end; ``None`` for one that is not on an IP network."""
    match name:
        case (str(host), int(port), *_):
            return host, port
    return None


class Group(Protocol):
    """What those connections have in common that one application answers: see ``listener.Connections``."""

    app: ASGIApp
    files: Pool  # sends files
    tls: Callable[[], ssl.SSLContext] | None  # gives each its certificate; None: plain HTTP
    idle: dict[Connection, None]  # those that wait for a request, the longest first
    stopping: bool  # no request is waited for any more


class Connection:
    """What a client and its socket are to those that are answered together."""

    def __init__(self, group: Group, connected: socket.socket, client: Address | None) -> None:
        self._group = group
        self._socket = connected
        self._incoming = Incoming(connected)
        self._stream = self._incoming.stream
        self._tls: Tls | None = None
        self._client = client
        self._server = address_of(connected.getsockname())

    def interrupt(self) -> None:
        """End it, as it is between requests, or before the first."""
        if self._tls is not None and not self._stream.is_encrypted:
            self._tls.abort()
        self._stream.interrupt()

    @property
    def _name(self) -> str | None:
        return self._client[0] if self._client is not None else None

    @property
    def is_silent(self) -> bool:
        """Nothing of the next request was received."""
        return not self._incoming.in_head

    async def serve(self) -> None:
        """Answer requests until the connection ends."""
        try:
            await self._connect()
            first = True
            while (request := await self._next_request(FIRST_BYTE_S if first else KEEP_ALIVE_S)) is not None:
                first = False
                if not await self._answer(request):
                    break
        except Refused as refused:
            current = f"req-{uuid.uuid4()}"
            said = {"client": self._name, "status": refused.status.value, "why": refused.reason}
            _log.info("not answered", extra={**said, "request_id": current})
            with contextlib.suppress(OSError):
                await self._stream.send(refusal(refused, current))
                await self._stream.linger()
        except OSError:
            pass  # the client is gone, or says nothing: there is nobody to tell
        finally:
            self._stream.close()

    async def _connect(self) -> None:
        """Begin to use the socket.

        Raises:
            OSError: The client is gone, or does not come to terms about TLS.
        """
        loop = asyncio.get_running_loop()
        if self._group.tls is None:
            await loop.connect_accepted_socket(lambda: self._stream, self._socket)
            return
        tls = self._tls = Tls(self._group.tls(), self._stream)
        await loop.connect_accepted_socket(lambda: tls, self._socket)
        self._group.idle[self] = None
        try:
            await tls.handshake(HANDSHAKE_S)
        except ssl.SSLEOFError:
            raise  # gone before it said anything, as who only looks whether the port is open
        except ssl.SSLError as error:
            _log.info("no TLS", extra={"client": self._name, "why": error.reason or str(error)})
            raise
        finally:
            self._group.idle.pop(self, None)

    async def _next_request(self, silence_s: float) -> Request | None:
        """Return the next request; ``None`` when there will be none.

        Raises:
            Refused: It is not one, or took too long.
            OSError: The connection is gone, or nothing came in time.
        """
        if (request := self._incoming.request()) is not None:
            await asyncio.sleep(0)  # who sends many at once is not alone
            return request
        loop = asyncio.get_running_loop()
        until = None
        self._group.idle[self] = None
        try:
            while True:
                if until is None and self._incoming.in_head:
                    until = loop.time() + HEAD_S
                left = silence_s if until is None else until - loop.time()
                if self._group.stopping:
                    left = min(left, STOP_S)
                if not await self._incoming.receive(left):
                    return None
                if (request := self._incoming.request()) is not None:
                    return request
        except TimeoutError:
            if self._incoming.in_head:
                raise Refused(HTTPStatus.REQUEST_TIMEOUT, f"A head takes {HEAD_S:.0f} seconds at most") from None
            raise
        finally:
            self._group.idle.pop(self, None)

    async def _answer(self, request: Request) -> bool:
        """Answer ``request``; return whether another one may follow."""
        exchange = Exchange(request, self._incoming, self._stream, self._group.files)
        if self._group.stopping:
            exchange.keep_alive = False
        try:
            await self._group.app(self._scope(request, exchange), exchange.receive, exchange.send)
        except OSError as error:
            if exchange.started:
                _log.debug("an answer was not read to its end", extra={"error": str(error)})
            else:
                _log.exception("an application failed")
        except Exception as error:  # noqa: BLE001 - the edge: the connection ends, the others go on
            if isinstance(error, HeadwaterError) and exchange.started:  # told where it was found, such as damaged data
                _log.info("an answer was broken off", extra={"client": self._name, "error": str(error)})
            else:  # the applications answer their own errors: this is a mistake
                _log.exception("an application failed")
        if not exchange.complete:
            return await self._break_off(exchange)
        if exchange.keep_alive and not exchange.body_complete:
            return await self._drop_rest()
        if not exchange.keep_alive and not (exchange.body_complete and not self._incoming.has_more):
            await self._stream.linger()
        return exchange.keep_alive

    async def _break_off(self, exchange: Exchange) -> bool:
        if exchange.started:
            self._stream.abort()
            return False
        raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "The server has failed")

    async def _drop_rest(self) -> bool:
        complete = False
        with contextlib.suppress(EOFError, Refused):
            while not complete:
                _, complete = await self._incoming.body(LINGER_IDLE_S)
        return complete

    def _scope(self, request: Request, exchange: Exchange) -> Scope:
        path = request.raw_path.decode("ascii")
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": request.version,
            "server": self._server,
            "client": self._client,
            "scheme": "http" if self._tls is None else "https",
            "method": request.method,
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": request.raw_path,
            "query_string": request.query,
            "headers": request.headers,
            "extensions": {name: {} for name in EXTENSIONS},
        }
        known = context(scope)
        known.receive_into, known.trailers = exchange.receive_into, request.trailers
        known.body_sent, known.limit_hops = exchange.body_sent, exchange.limit_hops
        if request.version == "1.1":  # RFC 9110, 15.2: HTTP/1.0 has no interim answers
            known.inform = exchange.inform
        return scope
