"""What is kept of machines of the cloud ends with them."""

from __future__ import annotations

import pytest

from headwater.database.engine import Database
from headwater.errors import Unavailable
from headwater.instances.boot_log.entries import Entry
from headwater.instances.boot_log.rows import VisitRows
from headwater.instances.model import Instance
from headwater.instances.password.rows import OF_CLOUD, PasswordRows
from headwater.instances.sources.openstack import house
from headwater.instances.sources.openstack.address_rows import At, row_id
from headwater.instances.sources.openstack.house import CloudHouse
from headwater.instances.sources.openstack.rows import CloudRows
from headwater.instances.sources.openstack.told import Told

DAY = 24 * 3600 * 1_000_000
NOON = 1_800_000_000_000_000


def an_id(number: int) -> str:
    return f"b65cee2f-8c69-4aeb-be2f-f7970000{number:04}"


class Cloud:
    """Has what a test says; the clock as well."""

    def __init__(self, database: Database) -> None:
        self.database, self.rows = database, CloudRows(database)
        self.at, self.has_them = NOON, set[str]()
        self.asked: list[str] = []
        self.is_down = False
        self.fails_for: set[str] = set()
        self.house = CloudHouse(self, self.rows, lambda: self.at)

    def has(self, instance_id: str) -> bool:
        self.asked.append(instance_id)
        if self.is_down or instance_id in self.fails_for:
            raise Unavailable("down")
        return instance_id in self.has_them

    def tell(self, *numbers: int) -> None:
        """Let machines ask, post a password each, and be there."""
        for number in numbers:
            instance = Instance(
                id=an_id(number), name=f"m{number}", hostname="m", created_at=1, updated_at=1, project_id="p"
            )
            told = Told(instance=instance, replaced=None, changed_at=self.at, loaded_at=self.at)
            self.rows.write([(told, True)])
            PasswordRows(self.database, of=OF_CLOUD).put(an_id(number), "x")
            self.has_them.add(an_id(number))

    def kept(self, *numbers: int) -> list[int]:
        """Return those of which a password is kept."""
        passwords = PasswordRows(self.database, of=OF_CLOUD)
        return [number for number in numbers if passwords.get(an_id(number)) is not None]


def test_a_machine_that_the_cloud_has_no_more_is_forgotten_when_it_says_so_twice(database: Database) -> None:
    cloud = Cloud(database)
    cloud.tell(1, 2, 3)
    cloud.house.keep()
    assert cloud.asked == []  # all have asked today
    cloud.at += DAY + 1
    cloud.has_them = {an_id(3)}
    cloud.house.keep()
    assert (sorted(cloud.asked), cloud.kept(1, 2, 3)) == ([an_id(1), an_id(2), an_id(3)], [1, 2, 3])
    cloud.house.keep()
    assert len(cloud.asked) == 3
    cloud.has_them.add(an_id(2))  # a role that was lost is back
    cloud.at += DAY + 1
    cloud.house.keep()
    assert cloud.kept(1, 2, 3) == [2, 3]
    assert cloud.rows.get(an_id(1)) is None


def test_a_cloud_that_does_not_answer_takes_nothing_away_for_a_month(database: Database) -> None:
    cloud = Cloud(database)
    cloud.tell(1)
    cloud.at += 2 * DAY
    cloud.is_down = True
    with pytest.raises(Unavailable):
        cloud.house.keep()
    assert cloud.kept(1) == [1]
    cloud.at += 29 * DAY
    cloud.house.keep()
    assert cloud.kept(1) == []


def test_old_visits_go_and_their_machine_stays(database: Database) -> None:
    cloud, visits = Cloud(database), VisitRows(database)
    cloud.tell(1)
    for at in (NOON, NOON + 20 * DAY):
        entry = Entry(
            at=at, method="GET", document="ec2", status=200, ms=1, sent=3, complete=True, token=False, agent="x"
        )
        visits.add({an_id(1): [entry]})
    cloud.at += 25 * DAY
    cloud.house.keep()
    cloud.at += 20 * DAY
    cloud.house.keep()
    assert [each.at for each in visits.of(an_id(1), in_cloud=True)] == [NOON + 20 * DAY]
    assert cloud.kept(1) == [1]


def test_old_addresses_go_and_the_cloud_is_never_asked_for_them_as_for_machines(database: Database) -> None:
    cloud = Cloud(database)
    cloud.rows.addresses.write({row_id("10.0.0.5"): At(instance_id=an_id(1), loaded_at=cloud.at)})
    assert cloud.rows.claim(row_id("10.0.0.6"), at=cloud.at, until=cloud.at + 1, older_than=cloud.at)
    for days, left in ((1, True), (3, False)):
        cloud.at = NOON + days * DAY + 1
        cloud.house.keep()
        assert [cloud.rows.addresses.get(row_id(each)) is not None for each in ("10.0.0.5", "10.0.0.6")] == [left] * 2
    assert cloud.asked == []


def test_many_are_looked_at_in_turns(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house, "_ASKED_IN_TURN", 2)
    cloud = Cloud(database)
    cloud.tell(*range(5))
    cloud.at += 2 * DAY
    more = [cloud.house.keep() is not None for _ in range(3)]
    assert (more, len(cloud.asked), len(set(cloud.asked))) == ([True, True, False], 5, 5)


def test_no_machine_is_asked_for_by_two_processes(database: Database) -> None:
    cloud = Cloud(database)
    cloud.tell(1)
    cloud.at += 2 * DAY
    assert cloud.rows.claim(an_id(1), at=cloud.at, until=cloud.at + 1, older_than=cloud.at)
    cloud.house.keep()
    assert cloud.asked == []


def test_a_machine_for_which_the_cloud_always_fails_holds_up_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house, "_ASKED_IN_TURN", 4)
    cloud = Cloud(database)
    cloud.tell(*range(8))
    cloud.at += 2 * DAY
    cloud.fails_for = {an_id(0), an_id(1)}
    for _ in range(200):
        cloud.house.keep()
        if (left := cloud.rows.unconfirmed(cloud.at - DAY, 9)) == [an_id(0), an_id(1)]:
            break
    assert left == [an_id(0), an_id(1)]
