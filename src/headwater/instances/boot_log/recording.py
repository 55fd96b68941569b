"""Every request of a guest is noted, in memory at first: nothing is written while a guest waits.

A loop writes what has come since its last turn. What a crash takes with it is lost, and so is what one guest asks
beyond what is kept of it anyway.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.errors import Unavailable
from headwater.http.context import context
from headwater.instances.boot_log.entries import Entry, Report, agent_of
from headwater.instances.boot_log.rows import VisitRows
from headwater.instances.tokens.tokens import TOKEN_HEADERS

_OF_ONE = 200  # entries of one instance that wait to be written
_OF_ALL = 100_000
_TOKENS = frozenset(name.encode() for name in TOKEN_HEADERS)


class BootLog:
    """What waits to be written; safe to use from several threads."""

    def __init__(self, rows: VisitRows) -> None:
        self._rows = rows
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Entry]] = {}
        self._count = 0

    def note(self, instance_id: str, entry: Entry) -> None:
        """Keep an entry, to be written soon; too many of one instance are not."""
        with self._lock:
            entries = self._waiting.setdefault(instance_id, [])
            if len(entries) < _OF_ONE and self._count < _OF_ALL:
                entries.append(entry)
                self._count += 1

    def write(self) -> None:
        """Write what waits; to be called again and again, and at the end. It waits on while the catalogue is silent."""
        with self._lock:
            waiting, self._waiting, self._count = self._waiting, {}, 0
        found = {instance_id: entries for instance_id, entries in waiting.items() if entries}
        if not found:
            return
        try:
            self._rows.add(found)
        except Unavailable:
            for instance_id, entries in found.items():
                for entry in entries:
                    self.note(instance_id, entry)
            raise


class Recorded:
    """The application of the metadata port; whatever it answers to a machine that is known is noted."""

    def __init__(self, app: ASGIApp, log: BootLog, now_us: Callable[[], int]) -> None:
        self._app, self._log, self._now_us = app, log, now_us

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A guest that has its answer may have the next one from another worker before this one goes on.
        at, begun = self._now_us(), time.perf_counter()
        status, sent, complete = 0, 0, False

        async def noted(message: Message) -> None:
            nonlocal status, sent, complete
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)
            if message["type"] == "http.response.body":
                complete = not message.get("more_body", False)

        try:
            await self._app(scope, receive, noted)
        finally:
            known = context(scope)
            if known.instance_id is not None and known.document is not None:
                agent, token = _told(scope)
                entry = Entry(
                    at=at,
                    method=scope["method"][:10],
                    document=known.document[:200],
                    status=status,
                    ms=round((time.perf_counter() - begun) * 1000, 1),
                    sent=sent,
                    complete=complete,
                    token=token,
                    agent=agent,
                    report=known.report if isinstance(known.report, Report) else None,
                )
                self._log.note(known.instance_id, entry)


def _told(scope: Scope) -> tuple[str, bool]:
    """Return the user agent, and whether a token was shown."""
    agent, token = "", False
    for name, value in scope["headers"]:
        if name == b"user-agent":
            agent = agent_of(value.decode("latin-1"))
        elif name in _TOKENS:
            token = True
    return agent, token
