"""Instances of the cloud that nobody registered: what each may read, as for any other instance.

By its id an instance is remembered whole. By its address only its id is, and not beyond its first time: an address goes
to another instance, which must not read what was the first one's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from headwater.clock import now
from headwater.http.threads import InThread
from headwater.instances.addresses import parted
from headwater.instances.callers.asking import Caller
from headwater.instances.model import Instance
from headwater.instances.registry import Record
from headwater.instances.snapshots.kept import GRACE_US
from headwater.instances.snapshots.snapshot import Snapshot, render
from headwater.instances.sources.openstack.settings import OpenStackSettings
from headwater.instances.sources.remembering import Remembered, Tally, Times
from headwater.instances.vendor_data.static import NOTHING, Static

_WAITS_S: Final = 3.5  # for the cloud, and then again: so guests are answered within the time that they have
_KEPT_BYTES: Final = 256 << 20  # of all documents in one worker
_AGEING: Final = 4  # times as long as an answer is fresh


class Asked(Protocol):
    """What the cloud is asked; blocking."""

    def instance(self, instance_id: str) -> Instance | None: ...

    def id_at(self, address: str) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What the cloud said last."""

    instance: Instance
    replaced: Instance | None  # what it said before, as long as a guest may be in the middle of reading that
    changed_at: int  # microseconds since 1970, UTC
    static: Static
    snapshot: Snapshot


class CloudGuests:
    """The instances of one cloud, for one event loop."""

    def __init__(
        self,
        cloud: Asked,
        settings: OpenStackSettings,
        in_thread: InThread,
        tally: Tally,
        *,
        region: str | None = None,
        static: Callable[[], Static] = lambda: NOTHING,
        clock: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = now,
    ) -> None:
        """Ask ``cloud`` in threads.

        Args:
            region: Where the instances run; ``None``: they are not told.
            static: Returns the vendor data of instances that have none of their own.
            clock: In seconds, for how old answers are.
            now_us: In microseconds since 1970, UTC.
        """
        self._cloud, self._region, self._static, self._now_us = cloud, region, static, now_us
        fresh_s = settings.refresh_s
        times = Times(
            fresh_s=fresh_s,
            ageing_s=_AGEING * fresh_s,
            stale_s=settings.stale_s,
            missing_s=settings.missing_s,
            waits_s=_WAITS_S,
        )
        self._by_id: Remembered[str, _State] = Remembered(
            self._loaded,
            in_thread,
            times,
            most=settings.most,
            most_weight=_KEPT_BYTES,
            weight=lambda state: state.snapshot.weight,
            tally=tally,
            clock=clock,
        )
        self._ids: Remembered[str, str] = Remembered(
            lambda address, _: cloud.id_at(address),
            in_thread,
            replace(times, ageing_s=fresh_s, stale_s=fresh_s),
            most=settings.most,
            tally=tally,
            clock=clock,
        )

    async def change(self, snapshot: Snapshot) -> None:
        """Return when the cloud has said something else of an instance than what a snapshot tells.

        It is asked as often as for guests that read: who waits costs it no more than that.
        """
        await self._by_id.change(snapshot.instance_id, lambda state: state.snapshot is snapshot)

    async def snapshot(self, caller: Caller) -> Snapshot | None:
        """Return what a caller may read, that the registry does not know; ``None``: the cloud has none either.

        Raises:
            Unavailable: The cloud does not tell.
        """
        instance_id = caller.instance_id
        if caller.address is not None:
            if parted(caller.address)[0]:  # of a network that only the registry knows
                return None
            instance_id = await self._ids.of(caller.address)
        if instance_id is None:
            return None
        state = await self._by_id.of(instance_id.lower())
        if state is None or (caller.address is None and state.instance.project_id != caller.project_id):
            return None
        if caller.address is not None and caller.address not in state.instance.addresses:
            return None  # it has lost the address since
        return state.snapshot

    def held(self, caller: Caller) -> Snapshot | None:
        """Return what a caller read before, by its id; addresses tell nothing that is not asked for."""
        state = None if caller.instance_id is None else self._by_id.held(caller.instance_id.lower())
        return None if state is None or state.instance.project_id != caller.project_id else state.snapshot

    def _loaded(self, instance_id: str, known: _State | None) -> _State | None:
        """Return the state of an instance now; an equal one stays the same object, once it is in no time of grace."""
        found = self._cloud.instance(instance_id)
        if found is None:
            return None
        at = self._now_us()
        if known is None:
            return self._state(found, None, at)
        found = replace(found, revision=known.instance.revision, updated_at=known.instance.updated_at)
        if found != known.instance:
            return self._state(replace(found, revision=found.revision + 1, updated_at=at), known.instance, at)
        if (known.replaced is None or at - known.changed_at < GRACE_US) and known.static == self._static():
            return known
        in_grace = known.replaced is not None and at - known.changed_at < GRACE_US
        return self._state(known.instance, known.replaced if in_grace else None, known.changed_at)

    def _state(self, instance: Instance, replaced: Instance | None, at: int) -> _State:
        record, static = Record(instance=instance, replaced=replaced), self._static()
        snapshot = render(record, in_grace=replaced is not None, region=self._region, static=static)
        snapshot = replace(snapshot, is_registered=False)
        return _State(instance=instance, replaced=replaced, changed_at=at, static=static, snapshot=snapshot)
