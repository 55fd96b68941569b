"""What services say of instances: all asked at once, each for so long and no longer, and one question for many readers.

An answer is kept for a while, for one edition of the record: a change of it asks anew. Each service has threads of its
own, so one that hangs takes them from no other, and from nothing else that guests read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cachetools import TLRUCache

from headwater.errors import Unavailable
from headwater.instances.model import Instance
from headwater.instances.vendor_data.question import question
from headwater.threads import Pool

KEPT_BYTES = 16 << 20
NOTHING = b"{}"  # what stands where there is no answer
_THREADS = 8  # of one service
_NOTHING_KEPT_S = 5.0
_ENTRY_BYTES = 300  # what an answer takes beside its body
_Key = tuple[str, str, int, int]
_log = logging.getLogger(__name__)


class TargetFailed(Unavailable):
    """A service gives nothing that a guest could be told; ``reason`` holds no secret."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the target {name!r} of vendor data: {reason}")
        self.name, self.reason = name, reason


class Asked(Protocol):
    """A service; safe to use from several threads."""

    name: str

    def ask(self, body: bytes, deadline: float, /) -> bytes:
        """Return the answer as JSON in ASCII; ``{}`` when the service has nothing to say.

        Args:
            deadline: Until when it is waited for, by ``time.monotonic``.

        Raises:
            TargetFailed: There is none.
        """
        ...


class Tally(Protocol):
    """Counts what became of questions: ``answered``, ``kept``, ``failed``."""

    def vendor_data(self, target: str, what: str, /) -> None: ...


@dataclass(frozen=True, slots=True)
class _Part:
    body: bytes  # JSON in ASCII
    kept_s: float


class Answers:
    """Asks and keeps; used from one event loop."""

    def __init__(
        self,
        targets: Sequence[Asked],
        *,
        timeout_s: float,
        cache_s: float,
        tally: Tally,
        quiet: bool = False,
        clock_s: Callable[[], float] = time.monotonic,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            timeout_s: How long one service may take in all.
            cache_s: How long an answer is kept.
            quiet: Whether the log is not to say which services give nothing.
            clock_s: By which it is kept; never goes back.
        """
        self._targets = tuple(targets)
        self._quiet = quiet
        self._failing: dict[str, str] = {}
        self._timeout_s, self._cache_s, self._tally = timeout_s, cache_s, tally
        self._pools = {target.name: Pool(f"vendor-{target.name}", _THREADS) for target in targets}
        self._asked: dict[_Key, asyncio.Task[_Part]] = {}
        self._kept: TLRUCache[_Key, _Part] = TLRUCache(
            kept_bytes,
            lambda _key, part, now: now + part.kept_s,
            timer=clock_s,
            getsizeof=lambda part: len(part.body) + _ENTRY_BYTES,
        )

    async def of(self, instance: Instance, *names: str) -> dict[str, bytes]:
        """Return the answers of services by their names, in the order of the settings; ``{}`` where there is none.

        Args:
            names: Those that are asked; none named: all.
        """
        wanted = [target for target in self._targets if not names or target.name in names]
        parts = await asyncio.gather(*(self._part(target, instance) for target in wanted))
        return {target.name: part.body for target, part in zip(wanted, parts, strict=True)}

    def failing(self) -> Mapping[str, str]:
        """Return why services gave nothing last, by their names."""
        return self._failing

    def close(self) -> None:
        """Ask no more."""
        for pool in self._pools.values():
            pool.close()

    async def _part(self, target: Asked, instance: Instance) -> _Part:
        key = (target.name, instance.id, instance.revision, instance.updated_at)
        kept = self._kept.get(key)
        if kept is not None:
            self._tally.vendor_data(target.name, "kept")
            return kept
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(self._ask(target, instance, key))
            task.add_done_callback(lambda _: self._asked.pop(key, None))
        return await asyncio.shield(task)  # a guest that is gone ends the question of no other

    async def _ask(self, target: Asked, instance: Instance, key: _Key) -> _Part:
        deadline = time.monotonic() + self._timeout_s
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._pools[target.name].run(lambda: target.ask(question(instance), deadline))
        except TargetFailed as error:
            part = self._failed(target, error.reason)
        except TimeoutError:  # also where all threads wait for others
            part = self._failed(target, "the server did not answer in time")
        except Exception as error:  # noqa: BLE001 - whatever it is, the guest gets all the rest
            part = self._failed(target, f"asking it fails ({type(error).__name__})")
        else:
            if self._failing.pop(target.name, None) is not None:
                _log.info("a target of vendor data answers again", extra={"target": target.name})
            self._tally.vendor_data(target.name, "answered")
            part = _Part(body, self._cache_s)
        if part.kept_s:
            self._kept[key] = part
        return part

    def _failed(self, target: Asked, reason: str) -> _Part:
        if self._failing.get(target.name) != reason and not self._quiet:  # said once, until it works again
            known = {"target": target.name, "reason": reason}
            _log.warning("a target of vendor data gives nothing; {} stands in its place", extra=known)
        self._failing[target.name] = reason
        self._tally.vendor_data(target.name, "failed")
        return _Part(NOTHING, min(self._cache_s, _NOTHING_KEPT_S))
