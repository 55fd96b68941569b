"""What is kept of machines of a cloud, on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from headwater.database.engine import Database
from headwater.database.tables import cloud_instances, cloud_visits
from headwater.instances.boot_log.entries import Entry
from headwater.instances.boot_log.rows import KEPT, VisitRows
from headwater.instances.model import Instance
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.sealing import KEY_BYTES, Seal
from headwater.instances.sources.guests import Guests, SeveralMeant
from headwater.instances.sources.openstack.address_rows import At, row_id
from headwater.instances.sources.openstack.rows import CloudRows, Machine
from headwater.instances.sources.openstack.told import Told
from unit.instances.examples import WEB_1

NOON, SECOND = 1_800_000_000_000_000, 1_000_000


def an_id(number: int) -> str:
    return f"b65cee2f-8c69-4aeb-be2f-f7970000{number:04}"


def told(number: int = 1, at: int = NOON, **given: Any) -> Told:
    fields = {"name": "same", "hostname": "h", "created_at": 1, "updated_at": 1, "project_id": "blue", **given}
    instance = Instance(id=an_id(number), **fields)
    return Told(instance=instance, replaced=None, changed_at=NOON, loaded_at=at)


def entries(*at: int) -> list[Entry]:
    one = Entry(at=0, method="GET", document="ec2", status=200, ms=1, sent=3, complete=True, token=False, agent="x")
    return [replace(one, at=each) for each in at]


def claims(rows: CloudRows, at: int, older_than: int = NOON) -> bool:
    return rows.claim(an_id(1), at=at, until=at + 10 * SECOND, older_than=older_than)


def test_what_the_cloud_said_is_read_back_whole(database: Database) -> None:
    rows = CloudRows(database)
    before = told(name="größer 😀", user_data=bytes(range(256)), meta={"a": "b"}, addresses=("10.0.0.5",)).instance
    after = Told(instance=replace(before, revision=1), replaced=before, changed_at=NOON + 1, loaded_at=NOON + 2)
    rows.write([(after, True)])
    kept = rows.get(before.id)
    assert kept is not None
    assert (kept.told, kept.gone_at) == (after, None)
    later = replace(after, loaded_at=NOON + 3)
    rows.write([(later, False)])
    kept = rows.get(before.id)
    assert kept is not None
    assert kept.told == later
    rows.remove(before.id)
    rows.write([(later, False)])  # though it is the same, nobody has it any more
    kept = rows.get(before.id)
    assert kept is not None
    assert kept.told == later


def test_what_the_cloud_said_is_sealed_where_there_is_a_key_and_another_key_means_to_ask_again(
    database: Database,
) -> None:
    secret = told(user_data=b"the password of our database", meta={"a": "secret ☃"})
    sealed, plain = CloudRows(database, seal=Seal([b"k" * KEY_BYTES])), CloudRows(database)
    sealed.write([(secret, True)])
    kept = sealed.get(an_id(1))
    assert kept is not None
    assert kept.told == secret
    document = database.read(lambda connection: connection.execute(select(cloud_instances.c.document)).scalar_one())
    assert document.startswith("s1.")
    for other in (plain, CloudRows(database, seal=Seal([b"o" * KEY_BYTES]))):
        kept = other.get(an_id(1))
        assert kept is not None
        assert kept.told is None
    assert [each.name for each in plain.find(an_id(1))] == ["same"]
    plain.write([(secret, True)])  # of before there was a key
    kept = sealed.get(an_id(1))
    assert kept is not None
    assert kept.told == secret


def test_one_of_many_asks_the_cloud_until_it_has_an_answer_or_takes_too_long(database: Database) -> None:
    rows, barrier = CloudRows(database), Barrier(6)

    def claimed() -> bool:
        barrier.wait()
        return claims(CloudRows(database), NOON)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(each.result() for each in [pool.submit(claimed) for _ in range(6)]) == [False] * 5 + [True]
    kept = rows.get(an_id(1))
    assert kept is not None
    assert kept.told is None
    assert rows.find(an_id(1)) == []  # nothing is known of it
    assert [claims(rows, NOON + each * SECOND) for each in (9, 10, 11)] == [False, True, False]
    rows.release(an_id(1), NOON + 10 * SECOND)  # of the claim before
    assert not claims(rows, NOON + 11 * SECOND)
    rows.release(an_id(1), NOON + 20 * SECOND)
    assert claims(rows, NOON + 11 * SECOND)
    rows.write([(told(at=NOON + 12 * SECOND), True)])
    assert not claims(rows, NOON + 13 * SECOND)  # it is fresh
    assert claims(rows, NOON + 13 * SECOND, older_than=NOON + 12 * SECOND)


def test_what_the_cloud_never_had_leaves_nothing_and_what_it_lost_is_marked(database: Database) -> None:
    rows = CloudRows(database)
    assert claims(rows, NOON)
    rows.miss(an_id(1), NOON)
    assert rows.get(an_id(1)) is None
    rows.write([(told(), True)])
    for at in (NOON + 1, NOON + 2):
        assert claims(rows, at)  # though its answer is fresh
        rows.miss(an_id(1), at)
        kept = rows.get(an_id(1))
        assert kept is not None
        assert kept.gone_at == NOON + 1
    assert (rows.gone(NOON + 1, 9), rows.gone(NOON + 2, 9)) == ([], [an_id(1)])
    assert rows.unconfirmed(NOON + 1, 9) == []
    rows.confirm(an_id(1), NOON + 3)
    assert (rows.gone(NOON + 9, 9), rows.unconfirmed(NOON + 9, 9)) == ([], [an_id(1)])


def test_machines_are_found_by_id_and_by_name_within_a_project(database: Database) -> None:
    rows = CloudRows(database)
    rows.write([(told(1), True), (told(2, project_id="red", user_data=b"x"), True), (told(3, name="Same"), True)])
    assert [each.id for each in rows.find("same")] == [an_id(1), an_id(2)]
    assert rows.find("same", project_id="red") == [
        Machine(id=an_id(2), name="same", project_id="red", has_user_data=True)
    ]
    assert [each.id for each in rows.find(an_id(3).upper())] == [an_id(3)]
    assert rows.find(an_id(1), project_id="red") == rows.find("a\0b") == []
    with pytest.raises(SeveralMeant, match=f"{an_id(1)}, {an_id(2)}"):
        Guests(database).find("same")


@pytest.mark.parametrize("address", ["10.0.0.5", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"], ids=["ipv4", "ipv6"])
def test_an_address_is_kept_beside_machines_and_is_none_of_them(database: Database, address: str) -> None:
    rows, row = CloudRows(database), row_id(address)
    rows.write([(told(1), True)])
    assert [rows.claim(row, at=NOON, until=NOON + SECOND, older_than=NOON) for _ in range(2)] == [True, False]
    kept = rows.addresses.get(row)
    assert kept is not None
    assert kept.said is None
    for at in (NOON + 1, NOON + 2):
        rows.addresses.write({row: At(instance_id=an_id(1), loaded_at=at)})
        kept = rows.addresses.get(row)
        assert kept is not None
        assert kept.said == At(instance_id=an_id(1), loaded_at=at)
    assert not rows.claim(row, at=NOON + SECOND, until=NOON + 2 * SECOND, older_than=NOON + 1)
    assert [each.id for each in rows.find("same")] == [an_id(1)]
    assert rows.find(row) == []
    assert [each.id for each in rows.find(an_id(1))] == [an_id(1)]
    assert rows.unconfirmed(NOON + SECOND, 9) == [an_id(1)]
    rows.addresses.write({row: At(instance_id=an_id(7), loaded_at=NOON)})  # said before, and written late
    assert rows.addresses.get(row) == kept
    assert rows.page(limit=1) == rows.page(limit=9)
    assert [[each.instance.id for each in rows.page(name=name, limit=9)[0]] for name in ("same", an_id(1))] == [
        [an_id(1)],
        [],
    ]
    assert [rows.addresses.remove_old(before, 9) for before in (NOON + 2, NOON + 3)] == [0, 1]
    assert rows.addresses.get(row) is None
    assert rows.get(an_id(1)) is not None


def test_machines_are_listed_by_id_all_or_those_of_a_name(database: Database) -> None:
    rows = CloudRows(database, seal=Seal([b"k" * KEY_BYTES]))
    rows.write([(told(1), True), (told(2, project_id="red"), True), (told(3, name="Same"), True), (told(4), True)])

    def ids(**wanted: Any) -> tuple[list[str], str | None]:
        found, after = rows.page(**wanted)
        return [each.instance.id for each in found], after

    assert ids(limit=9) == ([an_id(number) for number in (1, 2, 3, 4)], None)
    assert ids(limit=2) == ([an_id(1), an_id(2)], an_id(2))
    assert ids(after=an_id(2).upper(), limit=2) == ([an_id(3), an_id(4)], None)
    assert ids(name="same", limit=2) == ([an_id(1), an_id(2)], an_id(2))
    assert ids(name="same", project_id="blue", limit=9) == ([an_id(1), an_id(4)], None)
    assert ids(name="a\0b", limit=9) == ids(name="same", after="\ud800", limit=9) == ([], None)
    rows.miss(an_id(1), NOON)  # the cloud has it no more
    CloudRows(database, seal=Seal([b"o" * KEY_BYTES])).write([(told(2), True)])  # cannot be read here
    assert ids(limit=2) == ([], an_id(2))
    assert ids(after=an_id(2), limit=1) == ([an_id(3)], an_id(3))
    rows.claim(an_id(5), at=NOON, until=NOON + 1, older_than=NOON)  # nothing is known of it
    assert ids(after=an_id(3), limit=2) == ([an_id(4)], None)


def test_visits_are_kept_of_machines_that_are_known_and_go_with_them(database: Database) -> None:
    InstanceRows(database).add(WEB_1)
    rows, visits = CloudRows(database), VisitRows(database)
    rows.write([(told(1), True)])
    visits.add({WEB_1.id: entries(1), an_id(1): entries(2, 3), an_id(2): entries(4)})
    assert [each.at for each in visits.of(WEB_1.id)] == [1]
    assert [each.at for each in visits.of(an_id(1), in_cloud=True)] == [2, 3]
    assert visits.of(an_id(1)) == visits.of(WEB_1.id, in_cloud=True) == visits.of(an_id(2), in_cloud=True) == []
    rows.remove(an_id(1))
    assert database.read(lambda connection: connection.execute(select(func.count(cloud_visits.c.id))).scalar()) == 0


def test_of_one_machine_the_newest_visits_are_kept(database: Database) -> None:
    CloudRows(database).write([(told(1), True)])
    visits = VisitRows(database)
    for turn in range(12):
        visits.add({an_id(1): entries(*range(turn * 100, turn * 100 + 100))})
    kept = [each.at for each in visits.of(an_id(1), in_cloud=True)]
    assert (kept[-1], len(kept)) == (1199, KEPT)
    rows = database.read(lambda connection: connection.execute(select(func.sum(cloud_visits.c.entries))).scalar())
    assert rows is not None
    assert int(rows) <= KEPT + 300


def test_what_is_old_goes_in_parts(database: Database) -> None:
    rows, visits = CloudRows(database), VisitRows(database)
    rows.write([(told(number, NOON + number), True) for number in range(5)])
    for at in range(4):
        visits.add({an_id(4): entries(at)})
    assert [rows.remove_visits(3, 2) for _ in range(3)] == [2, 1, 0]
    assert [each.at for each in visits.of(an_id(4), in_cloud=True)] == [3]
    assert rows.unconfirmed(NOON + 3, 2) == [an_id(0), an_id(1)]
    assert [rows.remove_unconfirmed(NOON + 3, 2) for _ in range(3)] == [2, 1, 0]
    assert [each.id for each in rows.find("same")] == [an_id(3), an_id(4)]


def test_what_another_release_wrote_and_this_one_cannot_read_is_asked_for_again(database: Database) -> None:
    rows = CloudRows(database)
    rows.write([(told(), True)])

    def spoil(connection: Connection) -> None:
        connection.execute(text("""UPDATE cloud_instances SET document = '{"instance": {"id": 7}}'"""))

    database.write(spoil)
    kept = rows.get(an_id(1))
    assert kept is not None
    assert kept.told is None
