"""Instances of a cloud are given to those whose they are, as long as they are theirs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

import pytest
from sqlalchemy import update

from headwater.database.engine import Database
from headwater.database.tables import cloud_instances
from headwater.errors import Unavailable
from headwater.instances.answering import known
from headwater.instances.callers.asking import Caller
from headwater.instances.callers.signed import MachineUnknown
from headwater.instances.errors import InstanceNotFound
from headwater.instances.model import Instance
from headwater.instances.password.rows import OF_CLOUD, PasswordRows
from headwater.instances.snapshots.kept import GRACE_US
from headwater.instances.snapshots.snapshot import Snapshot
from headwater.instances.sources.openstack.address_rows import row_id
from headwater.instances.sources.openstack.guests import CloudGuests
from headwater.instances.sources.openstack.machines import Machines
from headwater.instances.sources.openstack.rows import CloudRows
from headwater.instances.sources.openstack.settings import OpenStackSettings
from headwater.instances.sources.remembering import AskedElsewhere
from headwater.instances.vendor_data.static import Static

T = TypeVar("T")
ID, NEXT = "b65cee2f-8c69-4aeb-be2f-f79742548fc2", "b65cee2f-8c69-4aeb-be2f-f79742548fc3"
ADDRESS = "10.0.0.5"
SETTINGS = OpenStackSettings.model_validate(
    {"auth_url": "http://keystone/v3", "username": "u", "password": "p", "refresh_s": 10, "stale_s": 1000}
)
USER_DATA = "openstack/latest/user_data"
VENDOR_DATA = "openstack/latest/vendor_data.json"


def an_instance(instance_id: str = ID, **given: Any) -> Instance:
    fields = {"name": "a", "hostname": "a", "created_at": 1, "updated_at": 1, "project_id": "blue", **given}
    return Instance(id=instance_id, **fields)


class Cloud:
    """Knows what a test says; the clock as well."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.instances = {ID: an_instance(addresses=(ADDRESS,), user_data=b"of the first")}
        self.at = {ADDRESS: ID}
        self.is_down = False
        self.for_all = Static({"a": 1}, "first")
        self.told: list[str] = []
        self.asked = 0
        self.asked_at = 0

    def instance(self, instance_id: str) -> Instance | None:
        self.asked += 1
        return self._said(self.instances.get(instance_id))

    def id_at(self, address: str) -> str | None:
        self.asked_at += 1
        return self._said(self.at.get(address))

    def _said(self, value: T) -> T:
        if self.is_down:
            raise Unavailable("down")
        return value

    def given(self, how: str, _: float) -> None:
        self.told.append(how)

    def machines(self, database: Database) -> Machines:
        return Machines(
            self,
            CloudRows(database),
            PasswordRows(database, of=OF_CLOUD),
            fresh_s=SETTINGS.refresh_s,
            now_us=lambda: int(self.now * 1_000_000),
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def guests(self, database: Database, settings: OpenStackSettings = SETTINGS) -> CloudGuests:
        """Begin as a process does; what the cloud says is written at once."""
        machines = self.machines(database)

        async def in_thread(work: Callable[[], Any]) -> Any:
            try:
                return work()
            finally:
                with contextlib.suppress(Unavailable):
                    machines.write()

        return CloudGuests(
            machines,
            settings,
            in_thread,
            self,
            recall_in=in_thread,
            static=lambda: self.for_all,
            clock=lambda: self.now,
            now_us=lambda: int(self.now * 1_000_000),
        )


async def read(answer: Awaitable[Snapshot | None], name: str = USER_DATA) -> bytes | None:
    snapshot = await answer
    document = None if snapshot is None else snapshot.documents.get(name)
    return None if document is None else document.body


def by_id(project: str = "blue", instance_id: str = ID) -> Caller:
    return Caller(instance_id=instance_id, project_id=project)


def test_an_instance_is_given_to_its_own_project_alone(database: Database) -> None:
    async def ask() -> None:
        guests = Cloud().guests(database)
        assert await read(guests.snapshot(by_id())) == b"of the first"
        assert await read(guests.snapshot(by_id(instance_id=ID.upper()))) == b"of the first"
        assert await guests.snapshot(by_id("red")) is None
        assert await guests.snapshot(by_id(instance_id=NEXT)) is None
        assert await guests.snapshot(Caller(seed="x")) is None

    asyncio.run(ask())


def test_what_all_are_told_is_told_to_the_instances_of_the_cloud_too(database: Database) -> None:
    async def ask() -> None:
        cloud = Cloud()
        guests = cloud.guests(database)
        assert await read(guests.snapshot(by_id()), VENDOR_DATA) == b'{"a": 1}'
        cloud.for_all = Static({"a": 2}, "second")
        cloud.now += 50
        assert await read(guests.snapshot(by_id()), VENDOR_DATA) == b'{"a": 2}'

    asyncio.run(ask())


def test_what_a_change_took_away_can_be_read_for_a_minute(database: Database) -> None:
    async def ask() -> None:
        cloud = Cloud()
        guests = cloud.guests(database)
        await guests.snapshot(by_id())
        cloud.instances[ID] = replace(cloud.instances[ID], user_data=None, hostname="b")
        cloud.now += 50  # no answer of before is given
        changed = await guests.snapshot(by_id())
        assert changed is not None
        assert (changed.revision, changed.documents[USER_DATA].body) == (1, b"of the first")
        assert b"user_data" not in changed.documents["openstack/latest"].body
        for _ in range(3):  # equal answers are no further change
            cloud.now += GRACE_US / 1_000_000
            changed = await guests.snapshot(by_id())
        assert changed is not None
        assert (changed.revision, USER_DATA in changed.documents) == (1, False)

    asyncio.run(ask())


def test_an_address_that_goes_to_another_instance_takes_nothing_along(database: Database) -> None:
    async def ask() -> None:
        cloud = Cloud()
        guests = cloud.guests(database)
        assert await read(guests.snapshot(Caller(address=ADDRESS))) == b"of the first"
        cloud.at[ADDRESS] = NEXT
        cloud.instances = {NEXT: an_instance(NEXT, addresses=(ADDRESS,), user_data=b"of the next")}
        cloud.now += 10
        assert await read(guests.snapshot(Caller(address=ADDRESS))) == b"of the next"

    asyncio.run(ask())


def test_an_address_that_nobody_has_any_more_is_not_kept(database: Database) -> None:
    cloud = Cloud()
    machines = cloud.machines(database)
    assert machines.at(ADDRESS) is not None  # and this is not written yet
    del cloud.at[ADDRESS]
    cloud.now += 100
    assert machines.at(ADDRESS) is None
    machines.write()
    assert machines.recalled_at(ADDRESS) is None


@pytest.mark.parametrize("by", ["id", "address"])
def test_while_the_cloud_is_down_an_id_is_answered_and_an_address_is_not(database: Database, by: str) -> None:
    async def ask() -> None:
        cloud = Cloud()
        guests = cloud.guests(database)
        caller = by_id() if by == "id" else Caller(address=ADDRESS)
        assert await read(guests.snapshot(caller)) == b"of the first"
        cloud.is_down = True
        cloud.now += 500
        if by == "id":
            assert await read(guests.snapshot(caller)) == b"of the first"
            assert cloud.told[-1] == "stale"
            cloud.now += 500
        with pytest.raises(Unavailable):
            await guests.snapshot(caller)
        assert cloud.told[-1] == "failed"

    asyncio.run(ask())


@pytest.mark.parametrize("again", [False, True], ids=["same-process", "restarted"])
def test_a_silent_cloud_keeps_an_address_as_long_as_the_operator_says(database: Database, again: bool) -> None:
    settings = SETTINGS.model_copy(update={"address_stale_s": 300})

    async def ask() -> None:
        cloud, caller = Cloud(), Caller(address=ADDRESS)
        guests = cloud.guests(database, settings)
        assert await read(guests.snapshot(caller)) == b"of the first"
        cloud.is_down = True
        cloud.now += 290
        if again:
            guests = cloud.guests(database, settings)
        assert await read(guests.snapshot(caller)) == b"of the first"
        cloud.is_down = False
        cloud.at[ADDRESS], cloud.instances[NEXT] = NEXT, an_instance(NEXT, addresses=(ADDRESS,), user_data=b"next")
        cloud.now += 5
        if again:
            guests = cloud.guests(database, settings)
            assert await read(guests.snapshot(caller)) == b"next"  # though the old answer could still be given
        cloud.is_down = True
        cloud.now += 310
        with pytest.raises(Unavailable):
            await guests.snapshot(caller)

    asyncio.run(ask())


def test_after_a_restart_an_address_is_answered_without_the_cloud_as_long_as_before(database: Database) -> None:
    async def ask() -> None:
        cloud = Cloud()
        await cloud.guests(database).snapshot(Caller(address=ADDRESS))
        cloud.is_down = True
        cloud.now += 9
        assert await read(cloud.guests(database).snapshot(Caller(address=ADDRESS))) == b"of the first"
        cloud.now += 1
        with pytest.raises(Unavailable):
            await cloud.guests(database).snapshot(Caller(address=ADDRESS))

    asyncio.run(ask())


@pytest.mark.parametrize("address", [ADDRESS, "2001:db8:1111:2222:3333:4444:5555:6666"], ids=["ipv4", "ipv6"])
def test_processes_ask_the_cloud_once_who_has_an_address(database: Database, address: str) -> None:
    async def ask() -> None:
        cloud = Cloud()
        cloud.at = {address: ID}
        cloud.instances[ID] = replace(cloud.instances[ID], addresses=(address,))
        for _ in range(2):
            for guests in [cloud.guests(database) for _ in range(3)]:
                assert await read(guests.snapshot(Caller(address=address))) == b"of the first"
            cloud.now += 10
        assert cloud.asked_at == 2
        assert CloudRows(database).unconfirmed(2**62, 9) == [ID]  # an address is no machine

    asyncio.run(ask())


def test_who_waits_for_another_process_is_told_of_an_address_that_no_machine_has(database: Database) -> None:
    cloud, rows = Cloud(), CloudRows(database)
    at = int(cloud.now * 1_000_000)
    assert rows.claim(row_id("10.0.0.9"), at=at, until=at + 15_000_000, older_than=at)
    machines = cloud.machines(database)
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        rows.miss(row_id("10.0.0.9"), at)

    machines._sleep = sleep  # the other process, which is told so meanwhile
    assert machines.at("10.0.0.9") is None
    assert (len(sleeps), cloud.asked_at) == (1, 0)
    assert machines.at("10.0.0.9") is None
    assert cloud.asked_at == 1
    assert rows.addresses.get(row_id("10.0.0.9")) is None  # nothing is kept of what no machine has


def test_without_the_registry_those_who_asked_before_are_answered(database: Database) -> None:
    async def absent(caller: Caller) -> Snapshot:
        raise MachineUnknown(str(caller.instance_id))

    async def silent(_: Caller) -> Snapshot:
        raise Unavailable("the catalogue is away")

    async def ask() -> None:
        guests = Cloud().guests(database)
        for caller in (by_id(), Caller(address=ADDRESS)):
            with pytest.raises(Unavailable):
                await known(caller, silent, guests)
        assert await read(known(by_id(), absent, guests)) == b"of the first"
        assert await read(known(by_id(), silent, guests)) == b"of the first"
        for other in (by_id("red"), Caller(address=ADDRESS)):
            with pytest.raises(Unavailable):
                await known(other, silent, guests)
        with pytest.raises(Unavailable):
            await known(by_id(), silent, None)

    asyncio.run(ask())


def test_who_lost_an_address_is_not_found_by_it(database: Database) -> None:
    async def ask() -> None:
        cloud = Cloud()
        cloud.instances[ID] = replace(cloud.instances[ID], addresses=("10.0.0.6",))
        assert await cloud.guests(database).snapshot(Caller(address=ADDRESS)) is None

    asyncio.run(ask())


def test_who_waits_for_a_change_is_told_when_the_cloud_says_it_and_asks_no_more_than_others(database: Database) -> None:
    async def ask() -> None:
        cloud = Cloud()
        guests = cloud.guests(database)
        seen = await guests.snapshot(by_id())
        assert seen is not None
        assert not seen.is_registered
        cloud.now += 10  # no longer fresh
        waits = asyncio.create_task(guests.change(seen))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waits.done()
        assert cloud.asked == 2  # and not again while that is fresh
        waits.cancel()
        cloud.instances[ID] = replace(cloud.instances[ID], hostname="b")
        cloud.now += 10
        await asyncio.wait_for(guests.change(seen), 20)
        assert cloud.asked == 3
        await asyncio.wait_for(guests.change(seen), 20)  # another is known already
        assert cloud.asked == 3

    asyncio.run(ask())


def test_after_a_restart_what_the_cloud_said_is_known_without_it(database: Database) -> None:
    async def ask() -> None:
        cloud = Cloud()
        await cloud.guests(database).snapshot(by_id())
        cloud.now, cloud.is_down = cloud.now + 900, True
        again = cloud.guests(database)
        assert await read(again.snapshot(by_id())) == b"of the first"
        assert cloud.told[-1] == "stale"
        assert await again.snapshot(by_id("red")) is None
        with pytest.raises(Unavailable):
            await again.snapshot(Caller(address=ADDRESS))
        cloud.now += 100  # longer than anything may be given
        for guests in (again, cloud.guests(database)):
            with pytest.raises(Unavailable):
                await guests.snapshot(by_id())

    asyncio.run(ask())


def test_processes_ask_the_cloud_in_turns_and_all_tell_the_same(database: Database) -> None:
    async def ask() -> None:
        cloud = Cloud()
        processes = [cloud.guests(database) for _ in range(3)]
        seen = [await guests.snapshot(by_id()) for guests in processes]
        assert cloud.asked == 1
        cloud.now += 5
        cloud.instances[ID] = replace(cloud.instances[ID], hostname="b", user_data=None)
        assert [await guests.snapshot(by_id()) for guests in processes] == seen
        cloud.now += 50
        changed = [await guests.snapshot(by_id()) for guests in processes]
        assert cloud.asked == 2
        assert {
            (each.revision, each.instance.hostname, each.documents[USER_DATA].body) for each in changed if each
        } == {(1, "b", b"of the first")}
        cloud.now += 50
        same = [await guests.snapshot(by_id()) for guests in processes]
        assert all(one is other for one, other in zip(same, changed, strict=True))
        assert cloud.asked == 3

    asyncio.run(ask())


def test_a_catalogue_that_does_not_answer_costs_no_guest_its_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> NoReturn:
        raise Unavailable("the catalogue is away")

    async def ask() -> None:
        cloud = Cloud()
        guests = cloud.guests(database)
        with monkeypatch.context() as away:
            away.setattr(Database, "read", silent)
            away.setattr(Database, "write", silent)
            assert await read(guests.snapshot(by_id())) == b"of the first"
        cloud.machines(database).write()
        assert CloudRows(database).find("a") == []
        cloud.now += 50
        await guests.snapshot(by_id())
        assert [each.id for each in CloudRows(database).find("a")] == [ID]

    asyncio.run(ask())


def test_who_waits_for_another_process_asks_itself_when_that_has_no_answer(database: Database) -> None:
    cloud, rows = Cloud(), CloudRows(database)
    at = int(cloud.now * 1_000_000)
    assert rows.claim(ID, at=at, until=at + 15_000_000, older_than=at)
    begun = cloud.now
    with pytest.raises(AskedElsewhere):
        cloud.machines(database).load(ID, None)
    assert (cloud.asked, 3 <= cloud.now - begun < 4) == (0, True)
    cloud.now += 15  # the other one is gone
    found = cloud.machines(database).load(ID, None)
    assert found is not None
    assert found.instance.user_data == b"of the first"


def test_what_another_key_or_a_newer_release_has_kept_is_asked_for_at_once(database: Database) -> None:
    cloud = Cloud()
    machines = cloud.machines(database)
    machines.load(ID, None)
    machines.write()
    database.write(lambda connection: connection.execute(update(cloud_instances).values(document="s1.of another")))
    begun = cloud.now
    found = cloud.machines(database).load(ID, None)
    assert found is not None
    assert (found.instance.user_data, cloud.asked, cloud.now - begun) == (b"of the first", 2, 0)


def test_an_answer_that_comes_between_a_look_and_a_claim_is_taken(database: Database) -> None:
    cloud = Cloud()
    other, machines = cloud.machines(database), cloud.machines(database)
    assert CloudRows(database).claim(ID, at=0, until=1, older_than=0)
    rows = machines._rows
    claim = rows.claim

    def answered_first(*given: Any, **times: Any) -> bool:
        if cloud.asked == 0:
            other.load(ID, None)
            other.write()
        return claim(*given, **times)

    rows.claim = answered_first  # type: ignore[method-assign]  # the other process comes between
    assert machines.load(ID, None) is not None
    assert cloud.asked == 1


def test_a_failure_lets_another_process_ask_at_once(database: Database) -> None:
    cloud = Cloud()
    cloud.is_down = True
    for _ in range(2):
        with pytest.raises(Unavailable, match="down"):
            cloud.machines(database).load(ID, None)
    assert cloud.asked == 2


def test_a_machine_that_the_cloud_lost_is_404_and_comes_back_with_its_password(database: Database) -> None:
    async def ask() -> None:
        cloud = Cloud()
        guests = cloud.guests(database)
        await guests.snapshot(by_id())
        guests.passwords.put(ID, "secret")
        lost = cloud.instances.pop(ID)
        cloud.now += 50
        for each in (guests, cloud.guests(database)):
            assert await each.snapshot(by_id()) is None
        assert guests.passwords.get(ID) == "secret"
        cloud.instances[ID], cloud.now = lost, cloud.now + 50
        assert await read(cloud.guests(database).snapshot(by_id())) == b"of the first"
        assert await cloud.guests(database).snapshot(by_id(instance_id=NEXT)) is None
        assert CloudRows(database).get(NEXT) is None  # nothing is kept of what the cloud never had

    asyncio.run(ask())


def test_a_password_may_come_before_its_machine_is_written_down(database: Database) -> None:
    cloud = Cloud()
    machines = cloud.machines(database)
    machines.load(ID, None)
    CloudRows(database).remove(ID)
    machines.put(ID, "secret")
    assert machines.get(ID) == "secret"


def test_who_comes_by_a_channel_of_its_own_is_the_machine_that_the_channel_is_for(database: Database) -> None:
    async def absent(caller: Caller) -> NoReturn:
        raise InstanceNotFound(caller.instance_id or "")

    async def ask() -> None:
        guests, alone = Cloud().guests(database), Caller(instance_id=ID)
        assert await read(known(alone, absent, guests)) == b"of the first"
        assert guests.held(alone) is not None
        with pytest.raises(InstanceNotFound):
            await known(Caller(instance_id=NEXT), absent, guests)
        with pytest.raises(InstanceNotFound):
            await known(alone, absent, None)

    asyncio.run(ask())


def test_what_no_guest_reads_any_more_is_still_told_to_people(database: Database) -> None:
    async def ask() -> None:
        cloud = Cloud()
        told = await cloud.guests(database).told(ID)
        assert told is not None
        assert (told.instance, told.loaded_at) == (cloud.instances[ID], 1_000_000_000)
        cloud.is_down = True
        cloud.now += SETTINGS.stale_s + 1
        guests = cloud.guests(database)
        assert await guests.told(ID) == told
        with pytest.raises(Unavailable):
            await guests.snapshot(by_id())
        with pytest.raises(Unavailable):
            await guests.told(NEXT)
        cloud.is_down = False
        cloud.now += 2
        assert await guests.told(NEXT) is None

    asyncio.run(ask())
