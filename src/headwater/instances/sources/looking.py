"""The machines that a command may name: registered ones, and those that a cloud knows.

The cloud is asked by the command itself, so no service has to run, and nothing is written. What is kept of a machine is
given without a question while it is fresh, and however old it is while the cloud does not answer.
"""

from __future__ import annotations

from collections.abc import Callable

from headwater.clock import now
from headwater.database.engine import Database
from headwater.errors import Unavailable
from headwater.instances.bulk.found import OPENSTACK, Found
from headwater.instances.errors import CloudSilent, InstanceNotFound, MachineOfCloud, NowhereKnown
from headwater.instances.model import Instance
from headwater.instances.names import is_uuid
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.sealing import NO_SEAL, Seal
from headwater.instances.sources.guests import SeveralMeant
from headwater.instances.sources.openstack.rows import CloudRows
from headwater.instances.sources.openstack.told import Told, told_after

AsksCloud = Callable[[str], Instance | None]


class Looking:
    """Finds machines by id or name, a registered one first; safe to use from several threads."""

    def __init__(
        self,
        database: Database,
        ask: AsksCloud | None,
        *,
        fresh_s: float = 0.0,
        seal: Seal = NO_SEAL,
        now_us: Callable[[], int] = now,
    ) -> None:
        """Look in ``database``.

        Args:
            ask: Returns what the cloud says of an id; ``None`` where there is no cloud.
            fresh_s: For how long an answer of the cloud is good.
            seal: Opens what is kept.
            now_us: In microseconds since 1970, UTC.
        """
        self._registry, self._rows = InstanceRows(database), CloudRows(database, seal=seal)
        self._ask, self._fresh_us, self._now_us = ask, int(fresh_s * 1_000_000), now_us

    def find(self, id_or_name: str) -> Found:
        """Return a machine.

        Raises:
            InstanceNotFound, NowhereKnown: There is none, or the cloud has one of this name that has not asked yet.
            SeveralMeant: Several of the cloud have this name.
            CloudSilent: It is not registered, nothing is kept of it, and the cloud does not tell.
        """
        try:
            return Found(instance=self._registry.get(id_or_name))
        except InstanceNotFound as error:
            if self._ask is None:
                raise
            instance_id = self._id_in_cloud(id_or_name)
            found = None if instance_id is None else self._in_cloud(instance_id, self._ask)
            if found is None:
                raise NowhereKnown(id_or_name) from error
            return found

    def id_of(self, id_or_name: str) -> str:
        """Return the id of a machine; of one that has asked before, the cloud is not asked.

        While the cloud does not answer, an id is taken for that of a machine.

        Raises:
            InstanceNotFound, NowhereKnown, SeveralMeant: As of ``find``.
        """
        try:
            return self._registry.get(id_or_name).id
        except InstanceNotFound:
            kept = [] if self._ask is None else self._rows.find(id_or_name)
            if len(kept) == 1:
                return kept[0].id
            try:
                return self.find(id_or_name).instance.id
            except CloudSilent:
                if not is_uuid(id_or_name.lower()):
                    raise
                return id_or_name.lower()

    def require_registered(self, id_or_name: str) -> None:
        """Return when a machine is registered.

        Raises:
            MachineOfCloud: The cloud knows it.
            InstanceNotFound, NowhereKnown, SeveralMeant, CloudSilent: As of ``find``.
        """
        found = self.find(id_or_name)
        if found.source == OPENSTACK:
            raise MachineOfCloud(found.instance.id, found.instance.name)

    def _id_in_cloud(self, id_or_name: str) -> str | None:
        kept = self._rows.find(id_or_name)
        if len(kept) > 1:
            raise SeveralMeant(id_or_name, [each.id for each in kept])
        lowered = id_or_name.lower()
        return kept[0].id if kept else lowered if is_uuid(lowered) else None

    def _in_cloud(self, instance_id: str, ask: AsksCloud) -> Found | None:
        kept, at = self._rows.get(instance_id), self._now_us()
        before = None if kept is None or kept.gone_at is not None else kept.told
        if before is not None and at - before.loaded_at < self._fresh_us:
            return of_cloud(before)
        try:
            said = ask(instance_id)
        except Unavailable as error:
            if before is None:
                raise CloudSilent(instance_id, str(error)) from error
            return of_cloud(before, silence=str(error))
        return None if said is None else of_cloud(told_after(before, said, at))


def of_cloud(told: Told, *, silence: str | None = None) -> Found:
    """Return what the cloud has said of a machine."""
    return Found(instance=told.instance, source=OPENSTACK, told_at=told.loaded_at, silence=silence)
