"""What the operator's programs ask: does this worker live, is it ready, what has it counted.

*Live* is a worker whose event loop turns; nothing else is looked at, so a database that is away restarts nobody.
*Ready* is one whose catalogue works and the store that uploads go to, and that is not drained (``drain.py``). Another
store that does not work is told of, and no more: else it would keep all who ask for others away from every worker.

Each part is looked at in a thread of its own that nothing waits for in the end, so a part that hangs is named after
``LIMIT_S`` and keeps nobody else from being looked at. While a look at a part goes on, whoever asks shares it: a store
that hangs holds one thread, however often it is asked about.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from headwater.errors import NotFound, Unavailable
from headwater.http.routes import Below, Face
from headwater.server.metrics import Metrics
from headwater.threads import Pool

LIMIT_S = 1.5  # so that the answer is there within 2 s

_log = logging.getLogger(__name__)


class Part:
    """One thing that must work, such as a store. Used in one event loop."""

    def __init__(self, name: str, check: Callable[[], None]) -> None:
        """Take what looks at it; ``check`` may block, and raises what is wrong."""
        self._name = name
        self._check = check
        self._look: asyncio.Future[Exception | None] | None = None
        self._until = 0.0

    async def fault(self) -> str | None:
        """Return what is wrong with it, to be told to callers; ``None`` when it works."""
        loop = asyncio.get_running_loop()
        if self._look is None or self._look.done():
            self._look, self._until = loop.create_future(), loop.time() + LIMIT_S
            thread = threading.Thread(target=self._run, args=(loop, self._look), name="headwater-health", daemon=True)
            thread.start()
        await asyncio.wait([self._look], timeout=max(0.0, self._until - loop.time()))
        if not self._look.done():
            return f"{self._name} does not answer within {LIMIT_S} s"
        error = self._look.result()
        if error is None or isinstance(error, Unavailable):
            return error.told if error else None
        _log.error("a check failed", extra={"part": self._name}, exc_info=error)
        return f"{self._name} could not be checked; the log has more"

    def _run(self, loop: asyncio.AbstractEventLoop, look: asyncio.Future[Exception | None]) -> None:
        error: Exception | None = None
        try:
            self._check()
        except Exception as raised:  # noqa: BLE001 - told to who asked
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(lambda: None if look.done() else look.set_result(error))


class Health:
    """What is asked, answered."""

    def __init__(
        self,
        parts: Mapping[str, Callable[[], None]],
        metrics: Metrics,
        metrics_pool: Pool,
        drained: Callable[[], str | None] = lambda: None,
        *,
        others: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        """Take what to look at.

        Args:
            parts: What must work for this worker to be ready, by its name: what looks at it.
            drained: Returns why it is not ready although everything works, or ``None``.
            others: What is told of, and may fail.
        """
        self.parts = [Part(name, check) for name, check in parts.items()]
        self.others = [Part(name, check) for name, check in others.items()]
        self._metrics = metrics
        self._metrics_pool = metrics_pool
        self._drained = drained
        self._said = ""  # what the log was told last

    def routes(self) -> list[Route | Mount]:
        """Return the routes of health and metrics."""
        route = Face(tells_methods=False).route
        below = [route("/ready", GET=self._ready), route("/live", GET=self._live)]
        return [
            route("/healthcheck", GET=self._ready),
            Below("/healthcheck", Router(below, redirect_slashes=False, default=not_found)),
            route("/metrics", GET=self._counted),
        ]

    async def _ready(self, _request: Request) -> Response:
        if (reason := self._drained()) is not None:
            return _text(reason, 503)
        found = await asyncio.gather(*(part.fault() for part in (*self.parts, *self.others)))
        is_ready = not any(found[: len(self.parts)])
        faults = [fault for fault in found if fault is not None]
        self._say("; ".join(faults))
        return _text("\n".join(["OK", *faults] if is_ready else faults), 200 if is_ready else 503)

    def _say(self, faults: str) -> None:
        """Tell the log what is wrong when that is news: load balancers ask every second."""
        if faults == self._said:
            return
        if faults:
            _log.warning("not healthy", extra={"error": faults})
        else:
            _log.info("healthy again")
        self._said = faults

    async def _live(self, _request: Request) -> Response:
        return _text("OK")

    async def _counted(self, _request: Request) -> Response:
        body, media_type = await self._metrics_pool.run(self._metrics.exposition)
        return Response(body, media_type=media_type)


async def not_found(scope: Scope, _receive: Receive, _send: Send) -> None:
    """Answer a path below one of ours that is none."""
    raise NotFound(f"There is no document at {scope['path'][:200]}")


def _text(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="text/plain")
