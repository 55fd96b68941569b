"""Commands find registered machines first, then those of the cloud, and take an old word of it over none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from headwater.database.engine import Database
from headwater.errors import Unavailable
from headwater.instances.bulk.found import Found
from headwater.instances.errors import CloudSilent, InstanceNotFound, MachineOfCloud, NowhereKnown
from headwater.instances.model import Instance
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.sources.guests import SeveralMeant
from headwater.instances.sources.looking import Looking
from headwater.instances.sources.openstack.rows import CloudRows
from headwater.instances.sources.openstack.told import Told

NOON, SECOND = 1_800_000_000_000_000, 1_000_000
ID, NEXT, NEVER = (f"b65cee2f-8c69-4aeb-be2f-f7970000000{number}" for number in range(3))


def machine(instance_id: str = ID, **given: Any) -> Instance:
    fields = {"name": "web", "hostname": "web", "created_at": 1, "updated_at": 1, "project_id": "a", **given}
    return Instance(id=instance_id, **fields)


class Cloud:
    """Knows what a test says, at noon."""

    def __init__(self, database: Database, *known: Instance) -> None:
        self.known, self.asked, self.is_down = {each.id: each for each in known}, list[str](), False
        self.looking = Looking(database, self.instance, fresh_s=10, now_us=lambda: NOON)

    def instance(self, instance_id: str) -> Instance | None:
        self.asked.append(instance_id)
        if self.is_down:
            raise Unavailable("it is down.")
        return self.known.get(instance_id)


def keep(database: Database, *instances: Instance, ago_s: int = 0) -> None:
    at = NOON - ago_s * SECOND
    rows = [(Told(instance=each, replaced=None, changed_at=at, loaded_at=at), True) for each in instances]
    CloudRows(database).write(rows)


def test_a_registered_machine_comes_first_and_the_cloud_is_not_asked(database: Database) -> None:
    ours = machine(name="ours")
    InstanceRows(database).add(ours)
    cloud = Cloud(database, machine())
    assert cloud.looking.find("ours") == cloud.looking.find(ID.upper()) == Found(instance=ours)
    assert cloud.looking.id_of("ours") == ID
    cloud.looking.require_registered(ID)
    assert cloud.asked == []


def test_a_machine_that_has_never_asked_is_found_by_its_id_and_nothing_is_written(database: Database) -> None:
    cloud = Cloud(database, machine())
    assert cloud.looking.find(ID.upper()) == Found(instance=machine(), source="openstack", told_at=NOON)
    assert cloud.looking.id_of(ID.upper()) == ID
    assert CloudRows(database).get(ID) is None
    for wanted in ("web", NEVER, "a\0"):
        with pytest.raises(NowhereKnown):
            cloud.looking.find(wanted)
    with pytest.raises(InstanceNotFound):
        Looking(database, None).find(ID)


def test_what_is_fresh_is_given_without_a_question_and_what_is_not_is_asked_for(database: Database) -> None:
    keep(database, machine(), ago_s=9)
    keep(database, machine(NEXT, name="db"), ago_s=10)
    cloud = Cloud(database, machine(hostname="new"), machine(NEXT, name="db", hostname="new"))
    assert cloud.looking.find("web") == Found(instance=machine(), source="openstack", told_at=NOON - 9 * SECOND)
    assert cloud.asked == []
    changed = machine(NEXT, name="db", hostname="new", revision=1, updated_at=NOON)  # as guests are told
    assert cloud.looking.find("db") == Found(instance=changed, source="openstack", told_at=NOON)
    assert cloud.looking.id_of("db") == NEXT
    assert cloud.asked == [NEXT]


def test_while_the_cloud_does_not_answer_its_last_word_is_given_with_its_age(database: Database) -> None:
    keep(database, machine(), ago_s=99_999)
    cloud = Cloud(database)
    cloud.is_down = True
    found = cloud.looking.find("web")
    assert found == Found(instance=machine(), source="openstack", told_at=NOON - 99_999 * SECOND, silence="it is down.")
    with pytest.raises(CloudSilent, match=rf"no instance '{NEVER}' is registered, .* \(it is down\)"):
        cloud.looking.find(NEVER)
    assert cloud.looking.id_of(NEVER.upper()) == NEVER
    CloudRows(database).miss(ID, NOON)  # it said once that it has it no more
    with pytest.raises(CloudSilent):
        cloud.looking.find(ID)


def test_what_the_cloud_has_no_more_is_not_found(database: Database) -> None:
    keep(database, machine(), ago_s=99)
    with pytest.raises(NowhereKnown):
        Cloud(database).looking.find("web")


def test_of_several_of_one_name_the_ids_are_told(database: Database) -> None:
    keep(database, machine(), machine(NEXT))
    with pytest.raises(SeveralMeant, match=f"{ID}, {NEXT}"):
        Cloud(database).looking.find("web")


def test_what_is_of_the_cloud_is_not_changed_here(database: Database) -> None:
    keep(database, replace(machine(), name="Web 1"))
    cloud = Cloud(database)
    with pytest.raises(MachineOfCloud, match=f"'Web 1' .{ID}.*openstack server set") as refused:
        cloud.looking.require_registered("Web 1")
    assert (refused.value.instance_id, refused.value.name) == (ID, "Web 1")
