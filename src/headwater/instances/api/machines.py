"""What callers see of machines, whoever says what they are: the registry, or the cloud, which only tells.

A caller sees a machine of the cloud in its project once it has asked for metadata; an admin's question about the id of
one that has not is put to the cloud.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from headwater.errors import Forbidden, Unavailable
from headwater.http.threads import InThread
from headwater.identity.caller import Caller
from headwater.identity.policy.rules import Rules
from headwater.instances.api.errors import NoSuchInstance
from headwater.instances.api.service import ProjectInstances
from headwater.instances.api.sight import CloudSight, target_of
from headwater.instances.bulk.found import Found
from headwater.instances.errors import CloudSilent
from headwater.instances.names import is_uuid
from headwater.instances.sources.looking import of_cloud
from headwater.instances.sources.openstack.told import Told


class ListedForAdmins(Forbidden):
    """Machines of a cloud are listed for admins; others find theirs by name."""

    def __init__(self) -> None:
        super().__init__(
            "only an admin lists the machines of the cloud; give name=NAME for those of your project that are called "
            "so, or ask the cloud itself: 'openstack server list'"
        )


class Cloud(Protocol):
    """Who knows machines that nobody registered."""

    async def told(self, instance_id: str) -> Told | None:
        """Return what the cloud says of a machine, or has said when it does not answer; ``None``: it has none.

        Raises:
            Unavailable: It does not answer, and nothing is kept.
        """
        ...


class Kept(Protocol):
    """What is kept of them; blocking."""

    def page(
        self, *, name: str | None, project_id: str | None, after: str | None, limit: int
    ) -> tuple[Sequence[Told], str | None]:
        """Return some of them by id, and the id that the next page begins after, if there is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudMachines:
    """The machines of the cloud."""

    cloud: Cloud
    kept: Kept
    sight: CloudSight


class ProjectMachines:
    """What is seen of machines."""

    def __init__(
        self, instances: ProjectInstances, of_cloud: CloudMachines | None, rules: Rules, in_thread: InThread
    ) -> None:
        """Take what they work with.

        Args:
            of_cloud: ``None`` where there is no cloud.
            in_thread: Where the catalogue is asked.
        """
        self._instances, self._of_cloud, self._rules, self._in_thread = instances, of_cloud, rules, in_thread

    async def get(self, caller: Caller, id_or_name: str) -> Found:
        """Return a machine that the caller sees, a registered one first.

        Raises:
            NoSuchInstance: There is none, or the caller does not see it.
            SeveralMeant: Several of the cloud have this name.
            CloudSilent: As its name says.
        """
        try:
            return Found(instance=await self._in_thread(lambda: self._instances.get(caller, id_or_name)))
        except NoSuchInstance:
            found = None if self._of_cloud is None else await self._in_cloud(self._of_cloud, caller, id_or_name)
            if found is None:
                raise
            return found

    async def _in_cloud(self, machines: CloudMachines, caller: Caller, id_or_name: str) -> Found | None:
        sight, lowered = machines.sight, id_or_name.lower()
        known = await self._in_thread(lambda: sight.find(caller, id_or_name))
        if known is None and not (is_uuid(lowered) and sight.is_admin(caller)):
            return None
        instance_id = lowered if known is None else known.id
        try:
            told = await machines.cloud.told(instance_id)
        except Unavailable as error:
            raise CloudSilent(id_or_name, str(error)) from error
        if told is None or not sight.is_seen(caller, told.instance.project_id, instance_id, told.instance.name):
            return None  # it may have gone to another project since
        return of_cloud(told)

    async def page_of_cloud(
        self, caller: Caller, *, name: str | None, project_id: str | None, after: str | None, limit: int
    ) -> tuple[list[Found], str | None]:
        """Return what is kept of machines of the cloud, by id, and the id that the next page begins after.

        Args:
            project_id: Goes with a name only.

        Raises:
            Forbidden: The caller may not list instances.
            ListedForAdmins: As its name says.
        """
        self._rules.require("get_instances", caller, target_of(caller.project_id))
        machines = self._of_cloud
        if machines is None or not limit:
            return [], None
        if not machines.sight.is_admin(caller):
            if name is None:
                raise ListedForAdmins
            if caller.project_id is None or project_id not in (None, caller.project_id):
                return [], None
            project_id = caller.project_id
        found, following = await self._in_thread(
            lambda: machines.kept.page(name=name, project_id=project_id, after=after, limit=limit)
        )
        return [of_cloud(each) for each in found], following
