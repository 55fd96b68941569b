"""The routes of metadata definitions on a catalogue of their own, without sockets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import anyio
from starlette.routing import Router
from starlette.types import Message, Receive, Scope, Send

from contracts.unheard import UnheardNamespaces, unheard_changes
from headwater.database.engine import Database
from headwater.errors import HeadwaterError
from headwater.http import errors
from headwater.http.context import context
from headwater.http.endpoint import Endpoint
from headwater.http.routes import Below
from headwater.identity.caller import OPERATOR, Caller
from headwater.identity.policy.engine import Policy
from headwater.identity.settings import PolicySettings
from headwater.images.http_v2 import schemas
from headwater.images.http_v2.metadefs import routes as metadefs
from headwater.images.metadefs.service import Metadefs
from headwater.images.policies import BY_NAME
from headwater.images.schemas import ImageSchemas
from headwater.images.settings import ImagesSettings
from headwater.threads import Pool
from templates import sqlite_catalogue

ADMIN = Caller(user_id="root", project_id="p0", roles=frozenset({"admin", "member", "reader"}))
MEMBER = Caller(user_id="ann", project_id="p1", roles=frozenset({"member", "reader"}))
OTHER = Caller(user_id="bob", project_id="p2", roles=frozenset({"reader"}))

# Made once, and before a test runs: oslo.policy then loads urllib3, which tries at its import whether there is IPv6.
POLICY = Policy(PolicySettings(), BY_NAME)

NAMESPACES = "/v2/metadefs/namespaces"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


class Ticking:
    """A clock that goes on by a second with each look."""

    def __init__(self) -> None:
        self.at = 1_700_000_000_000_000

    def __call__(self) -> int:
        self.at += 1_000_000
        return self.at


class Api:
    """What a client sees."""

    def __init__(self, directory: Path) -> None:
        self.database = Database(sqlite_catalogue(directory / "catalogue.db"))
        self.catalogue = UnheardNamespaces(self.database)
        self.pool = Pool("test", 2)
        service = Metadefs(self.catalogue, POLICY, unheard_changes(self.database), clock=Ticking())
        below = [*schemas.routes(ImageSchemas(ImagesSettings())), *metadefs.routes(service, self.pool, Endpoint())]
        self._router = Router([Below("/v2", Router(below, redirect_slashes=False))], redirect_slashes=False)

    def close(self) -> None:
        self.pool.close()
        self.database.close()

    def __call__(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        caller: Caller = OPERATOR,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; ``body`` is JSON unless it is bytes already."""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        path, _, query = target.partition("?")
        scope: Scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "server": ("images.example", 9292),
            "path": unquote(path),
            "raw_path": quote(path, safe="%/:").encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        context(scope).caller = caller
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        anyio.run(self._answered, scope, receive, send)
        start, *bodies = sent
        given = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], given, b"".join(message.get("body", b"") for message in bodies))

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._router(scope, receive, send)
        except HeadwaterError as error:
            await errors.answer(error, "application/json", "req-1")(scope, receive, send)

    def must(self, status: int, method: str, target: str, body: object = None, **more: Any) -> Answer:
        """Send one request, which must be answered with ``status``."""
        answer = self(method, target, body, **more)
        assert answer.status == status, (method, target, answer)
        return answer
