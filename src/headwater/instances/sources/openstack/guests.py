"""Instances of the cloud that nobody registered: what each may read, as for any other instance.

By its id an instance is remembered whole, in the catalogue too. By its address only its id is, and as long as the cloud
answers not beyond its first time: an address goes to another instance, which must not read what was the first one's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from headwater.clock import now
from headwater.errors import Unavailable
from headwater.http.threads import InThread
from headwater.instances.addresses import parted
from headwater.instances.callers.asking import Caller
from headwater.instances.names import is_uuid
from headwater.instances.password.posting import Posted
from headwater.instances.registry.rows import Record
from headwater.instances.snapshots.kept import GRACE_US
from headwater.instances.snapshots.snapshot import Snapshot, render
from headwater.instances.sources.openstack.address_rows import At
from headwater.instances.sources.openstack.machines import Machines
from headwater.instances.sources.openstack.settings import OpenStackSettings
from headwater.instances.sources.openstack.told import Told
from headwater.instances.sources.remembering import Remembered, Tally, Times
from headwater.instances.vendor_data.static import NOTHING, Static

_WAITS_S: Final = 3.5  # for the cloud, and then again: so guests are answered within the time that they have
_KEPT_BYTES: Final = 256 << 20  # of all documents in one worker
_AGEING: Final = 4  # times as long as an answer is fresh


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What the cloud said last, as guests read it."""

    told: Told
    in_grace: bool
    static: Static
    snapshot: Snapshot


class CloudGuests:
    """The instances of one cloud, for one event loop."""

    def __init__(
        self,
        machines: Machines,
        settings: OpenStackSettings,
        in_thread: InThread,
        tally: Tally,
        *,
        recall_in: InThread,
        region: str | None = None,
        static: Callable[[], Static] = lambda: NOTHING,
        clock: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = now,
    ) -> None:
        """Ask in threads.

        Args:
            in_thread: Where the cloud is asked, which may not answer.
            recall_in: Where the catalogue is.
            region: Where the instances run; ``None``: they are not told.
            static: Returns the vendor data of instances that have none of their own.
            clock: In seconds, for how old answers are.
            now_us: In microseconds since 1970, UTC.
        """
        self._machines, self._region, self._static, self._now_us = machines, region, static, now_us
        self.passwords: Posted = machines
        self._recall_in = recall_in
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
            recall=lambda instance_id: recall_in(lambda: self._recalled(instance_id)),
            age_s=lambda state: (now_us() - state.told.loaded_at) / 1_000_000,
            clock=clock,
        )
        self._at: Remembered[str, At] = Remembered(
            lambda address, _: machines.at(address),
            in_thread,
            replace(times, ageing_s=fresh_s, stale_s=max(fresh_s, settings.address_stale_s)),
            most=settings.most,
            tally=tally,
            recall=lambda address: recall_in(lambda: machines.recalled_at(address)),
            age_s=lambda at: (now_us() - at.loaded_at) / 1_000_000,
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
            at = await self._at.of(caller.address)
            instance_id = None if at is None else at.instance_id
        if instance_id is None or not is_uuid(instance_id.lower()):
            return None
        state = await self._by_id.of(instance_id.lower())
        if state is None or (caller.address is None and not _is_of(state.told, caller)):
            return None
        if caller.address is not None and caller.address not in state.told.instance.addresses:
            return None  # it has lost the address since
        return state.snapshot

    def held(self, caller: Caller) -> Snapshot | None:
        """Return what a caller read before, by its id; addresses tell nothing that is not asked for."""
        state = None if caller.instance_id is None else self._by_id.held(caller.instance_id.lower())
        return state.snapshot if state is not None and _is_of(state.told, caller) else None

    async def told(self, instance_id: str) -> Told | None:
        """Return what the cloud says of a machine, as guests are told; ``None``: it has none.

        While it does not answer, what is kept is given however old it is: no guest reads it.

        Raises:
            Unavailable: It does not answer, and nothing is kept.
        """
        try:
            state = await self._by_id.of(instance_id)
        except Unavailable:
            kept = await self._recall_in(lambda: self._machines.recalled(instance_id))
            if kept is None:
                raise
            return kept
        return None if state is None else state.told

    def _recalled(self, instance_id: str) -> _State | None:
        told = self._machines.recalled(instance_id)
        return None if told is None else self._state(told, None)

    def _loaded(self, instance_id: str, known: _State | None) -> _State | None:
        """Return the state of an instance now; an equal one has the same snapshot, once it is in no time of grace."""
        told = self._machines.load(instance_id, None if known is None else known.told)
        return None if told is None else self._state(told, known)

    def _state(self, told: Told, known: _State | None) -> _State:
        static = self._static()
        in_grace = told.replaced is not None and self._now_us() - told.changed_at < GRACE_US
        if known is not None and (known.told.instance, known.in_grace, known.static) == (
            told.instance,
            in_grace,
            static,
        ):
            return replace(known, told=told)
        record = Record(instance=told.instance, replaced=told.replaced)
        snapshot = render(record, in_grace=in_grace, region=self._region, static=static)
        snapshot = replace(snapshot, is_registered=False)
        return _State(told=told, in_grace=in_grace, static=static, snapshot=snapshot)


def _is_of(told: Told, caller: Caller) -> bool:
    """Return whether a caller that is known by an id may read: who comes by a channel of its own has no project."""
    return caller.project_id is None or told.instance.project_id == caller.project_id
