"""What callers see of machines of the cloud: each project its own, and an admin all; none is changed here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest

from headwater.activity.journal import Journal
from headwater.database.engine import Database
from headwater.errors import Forbidden, Unavailable
from headwater.identity.caller import Caller
from headwater.identity.policy.engine import Policy
from headwater.identity.settings import PolicySettings
from headwater.instances.api.errors import NoSuchInstance
from headwater.instances.api.machines import CloudMachines, ListedForAdmins, ProjectMachines
from headwater.instances.api.service import ProjectInstances
from headwater.instances.api.sight import CloudSight
from headwater.instances.bulk.found import Found
from headwater.instances.errors import CloudSilent, MachineOfCloud
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.model import Instance
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.sources.guests import Guests, SeveralMeant
from headwater.instances.sources.openstack.rows import CloudRows
from headwater.instances.sources.openstack.told import Told
from headwater.server.apis.policies import BY_NAME
from unit.instances.api.test_service import ADMIN, MEMBER, NOWHERE, OTHER, NoImages
from unit.instances.api.test_service import Told as Receivers

T = TypeVar("T")
READER = Caller(user_id="rod", project_id="a", roles=frozenset({"reader"}))
NOBODY = Caller(user_id="nob", project_id="a", roles=frozenset())
OF_A, OF_B, NEVER, REGISTERED = (f"b65cee2f-8c69-4aeb-be2f-f7970000000{number}" for number in range(4))


def machine(instance_id: str, project: str) -> Instance:
    return Instance(id=instance_id, name="web", hostname="h", created_at=1, updated_at=1, project_id=project)


class Site:
    """A service, a cloud, and what that was asked for."""

    def __init__(self, database: Database) -> None:
        self.machines = {each.id: each for each in (machine(OF_A, "a"), machine(OF_B, "b"), machine(NEVER, "a"))}
        self.asked: list[str] = []
        self.is_silent = False
        rows = CloudRows(database)
        rows.write([(self._of(self.machines[each]), True) for each in (OF_A, OF_B)])
        registry = InstanceRows(database)
        registry.add(Instance(id=REGISTERED, name="db", hostname="h", created_at=1, updated_at=1, project_id="a"))
        rules = Policy(PolicySettings(), BY_NAME)
        sight = CloudSight(Guests(database), rules)
        receivers = Receivers()
        self.instances = ProjectInstances(
            registry,
            InstanceLists(database),
            images=lambda _: NoImages(),
            rules=rules,
            journal=Journal([]),
            outbox=lambda: receivers,
            in_cloud=sight,
        )
        of_cloud = CloudMachines(cloud=self, kept=rows, sight=sight)
        self._seen = ProjectMachines(self.instances, of_cloud, rules, self._in_thread)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return work()

    def _of(self, instance: Instance) -> Told:
        return Told(instance=instance, replaced=None, changed_at=1, loaded_at=7)

    async def told(self, instance_id: str) -> Told | None:
        self.asked.append(instance_id)
        if self.is_silent:
            raise Unavailable("http://nova.internal does not answer")
        found = self.machines.get(instance_id)
        return None if found is None else self._of(found)

    def get(self, caller: Caller, wanted: str) -> Found:
        return asyncio.run(self._seen.get(caller, wanted))

    def page(
        self, caller: Caller, *, name: str | None = None, project_id: str | None = None, after: str | None = None
    ) -> tuple[list[str], str | None]:
        """Return the ids of a page of one, and where the next one begins."""
        page = self._seen.page_of_cloud(caller, name=name, project_id=project_id, after=after, limit=1)
        found, following = asyncio.run(page)
        return [each.instance.id for each in found], following


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database)


def test_a_machine_is_seen_in_its_project_and_by_admins(site: Site) -> None:
    of_a = Found(instance=machine(OF_A, "a"), source="openstack", told_at=7)
    for caller in (MEMBER, READER):
        assert [site.get(caller, wanted) for wanted in ("web", OF_A, OF_A.upper())] == [of_a] * 3
    assert site.get(OTHER, "web").instance.id == OF_B
    assert site.get(ADMIN, OF_B).instance.id == OF_B
    assert site.get(READER, "db") == Found(instance=site.instances.get(READER, "db"))
    with pytest.raises(SeveralMeant):
        site.get(ADMIN, "web")


@pytest.mark.parametrize("wanted", [OF_A, NEVER, "nothing", "a\0"])
@pytest.mark.parametrize("caller", [OTHER, NOWHERE, NOBODY], ids=["other", "nowhere", "no role"])
def test_what_is_not_the_callers_is_as_if_it_were_not_there_and_the_cloud_is_not_asked(
    site: Site, caller: Caller, wanted: str
) -> None:
    for use in (
        lambda: site.get(caller, wanted),
        lambda: site.instances.change(caller, wanted, {}, revision=None),
        lambda: site.instances.remove(caller, wanted, revision=None),
    ):
        with pytest.raises(NoSuchInstance) as refused:
            use()
        assert str(refused.value) == f"there is no instance {wanted!r} among those that you may see"
    assert site.asked == []


def test_one_that_has_never_asked_is_known_to_admins_by_its_id(site: Site) -> None:
    assert site.get(ADMIN, NEVER.upper()).instance.id == NEVER
    for caller, wanted in ((MEMBER, NEVER), (ADMIN, NEVER[:-1] + "9")):
        with pytest.raises(NoSuchInstance):
            site.get(caller, wanted)


def test_one_that_is_gone_or_another_projects_by_now_is_not_seen(site: Site) -> None:
    site.machines[OF_A] = machine(OF_A, "b")
    with pytest.raises(NoSuchInstance):
        site.get(MEMBER, "web")
    del site.machines[OF_A]
    for caller in (MEMBER, ADMIN):
        with pytest.raises(NoSuchInstance):
            site.get(caller, OF_A)


def test_a_silent_cloud_is_said_without_its_address(site: Site) -> None:
    site.is_silent = True
    with pytest.raises(CloudSilent, match=f"no instance '{NEVER}' is registered") as silent:
        site.get(ADMIN, NEVER)
    assert "nova" not in silent.value.told


@pytest.mark.parametrize("caller", [MEMBER, ADMIN, READER], ids=["member", "admin", "reader"])
def test_who_sees_one_is_told_that_it_is_changed_in_the_cloud(site: Site, caller: Caller) -> None:
    with pytest.raises(MachineOfCloud, match="is one of the OpenStack cloud"):
        site.instances.change(caller, OF_A, {"name": "x"}, revision=None)
    with pytest.raises(MachineOfCloud):
        site.instances.remove(caller, OF_A, revision=None)


def test_an_admin_lists_all_and_a_project_those_of_a_name(site: Site) -> None:
    assert site.page(ADMIN) == ([OF_A], OF_A)
    assert site.page(ADMIN, after=OF_A) == ([OF_B], None)
    assert site.page(ADMIN, name="web", project_id="b") == ([OF_B], None)
    assert site.page(READER, name="web") == ([OF_A], None)
    assert site.page(READER, name="web", project_id="b") == site.page(NOWHERE_READER, name="web") == ([], None)
    with pytest.raises(ListedForAdmins):
        site.page(MEMBER)
    with pytest.raises(Forbidden):
        site.page(NOBODY, name="web")


NOWHERE_READER = Caller(user_id="eve", project_id="c", roles=frozenset({"reader"}))
