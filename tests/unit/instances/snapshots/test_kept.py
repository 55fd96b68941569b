from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable
from dataclasses import replace

import pytest

from headwater.database.engine import Database
from headwater.errors import Unavailable
from headwater.instances.errors import CallerUnknown
from headwater.instances.registry.editions import Edition, Editions
from headwater.instances.registry.rows import InstanceRows, Record
from headwater.instances.registry.seeds import SeedRows
from headwater.instances.snapshots.kept import COUNTED_US, GRACE_US, STALE_US, Snapshots
from headwater.instances.vendor_data.static import Static
from unit.clock import Clock
from unit.instances.examples import BARE, WEB_1

ADDRESS = "10.0.0.5"
LEAF = "ec2/latest/meta-data/public-keys/0/openssh-key"
LISTING = "ec2/latest/meta-data"


class WatchedEditions(Editions):
    """The real ones, which count what they are asked and may be cut off."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.looks = self.counts = 0
        self.is_down = False

    def revision(self) -> int:
        self.counts += 1
        if self.is_down:
            raise Unavailable("the database is away")
        return super().revision()

    def at(self, addresses: Iterable[str]) -> dict[str, Edition]:
        self.looks += 1
        return super().at(addresses)


class WatchedRegistry(InstanceRows):
    """The real registry, which counts what it loads and may be cut off."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.editions = self.watched = WatchedEditions(database)
        self.loads = 0

    @property
    def is_down(self) -> bool:
        return self.watched.is_down

    @is_down.setter
    def is_down(self, value: bool) -> None:
        self.watched.is_down = value

    def record(self, id_or_name: str) -> Record:
        if self.is_down:
            raise Unavailable("the database is away")
        self.loads += 1
        return super().record(id_or_name)


@pytest.fixture
def registry(database: Database) -> WatchedRegistry:
    registry = WatchedRegistry(database)
    registry.add(WEB_1)
    return registry


@pytest.fixture
def clock() -> Clock:
    return Clock(WEB_1.created_at + 10 * GRACE_US)


@pytest.fixture
def snapshots(registry: WatchedRegistry, clock: Clock) -> Snapshots:
    return Snapshots(registry, now_us=clock)


def test_an_instance_is_rendered_once_for_each_revision(
    snapshots: Snapshots, registry: WatchedRegistry, clock: Clock
) -> None:
    assert snapshots.at(ADDRESS) is snapshots.at(ADDRESS)
    assert registry.loads == 1
    registry.replace(replace(WEB_1, hostname="other"), at=clock.now)
    assert snapshots.at(ADDRESS).documents["ec2/latest/meta-data/hostname"].body == b"other"
    assert registry.loads == 2


def test_many_who_ask_at_once_cost_one_load(snapshots: Snapshots, registry: WatchedRegistry) -> None:
    start = threading.Barrier(8)
    found = []

    def ask() -> None:
        start.wait()
        found.append(snapshots.at(ADDRESS))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert registry.loads == 1


def test_an_address_that_nobody_registered_is_unknown(snapshots: Snapshots) -> None:
    with pytest.raises(CallerUnknown, match=r"10\.0\.0\.9"):
        snapshots.at("10.0.0.9")


def test_a_removed_instance_is_unknown_at_once(snapshots: Snapshots, registry: WatchedRegistry) -> None:
    snapshots.at(ADDRESS)
    registry.remove(WEB_1.id)
    with pytest.raises(CallerUnknown):
        snapshots.at(ADDRESS)


def test_of_many_who_ask_in_one_moment_the_catalogue_is_asked_once(registry: WatchedRegistry, clock: Clock) -> None:
    addresses = [f"10.0.1.{each}" for each in range(1, 9)]
    for address in addresses[1:]:
        registry.add(replace(WEB_1, id=str(uuid.uuid4()), name=address, addresses=(address,), devices=()))
    snapshots = Snapshots(registry, now_us=clock)
    moment = snapshots.moment([*addresses, ADDRESS])
    with pytest.raises(CallerUnknown):
        snapshots.at(addresses[0], moment)
    assert [snapshots.at(address, moment).instance.name for address in addresses[1:]] == addresses[1:]
    assert snapshots.at(ADDRESS, moment).instance_id == WEB_1.id
    assert (registry.watched.looks, registry.watched.counts) == (1, 1)
    registry.remove(WEB_1.id)
    with pytest.raises(CallerUnknown):
        snapshots.at(ADDRESS, snapshots.moment(addresses))


def test_after_a_change_what_was_listed_before_still_answers_for_a_minute(
    snapshots: Snapshots, registry: WatchedRegistry, clock: Clock
) -> None:
    before = snapshots.at(ADDRESS)
    assert b"public-keys/" in before.documents[LISTING].body
    registry.replace(replace(WEB_1, keys=(), hostname="new"), at=clock.now)
    fresh = snapshots.at(ADDRESS)
    assert b"public-keys/" not in fresh.documents[LISTING].body
    assert fresh.documents[LEAF] == before.documents[LEAF]
    assert fresh.documents["ec2/latest/meta-data/hostname"].body == b"new"
    clock.now += GRACE_US
    assert LEAF not in snapshots.at(ADDRESS).documents


def test_another_process_finishes_the_crawl_that_began_before_a_change(registry: WatchedRegistry, clock: Clock) -> None:
    registry.replace(replace(WEB_1, keys=()), at=clock.now)
    assert LEAF in Snapshots(registry, now_us=clock).at(ADDRESS).documents


def test_while_the_catalogue_is_away_the_last_snapshot_serves(
    snapshots: Snapshots, registry: WatchedRegistry, clock: Clock
) -> None:
    good = snapshots.at(ADDRESS)
    registry.is_down = True
    clock.now += STALE_US
    assert snapshots.at(ADDRESS) is good
    clock.now += 1
    with pytest.raises(Unavailable):
        snapshots.at(ADDRESS)


def test_without_a_last_snapshot_an_absent_catalogue_is_an_error_until_it_is_back(
    snapshots: Snapshots, registry: WatchedRegistry
) -> None:
    registry.is_down = True
    with pytest.raises(Unavailable):
        snapshots.at(ADDRESS)
    registry.is_down = False
    assert snapshots.at(ADDRESS).instance_id == WEB_1.id


def test_what_is_kept_has_a_bound(registry: WatchedRegistry, clock: Clock) -> None:
    registry.add(replace(BARE, addresses=("10.0.0.6",)))
    snapshots = Snapshots(registry, now_us=clock, kept_bytes=1)
    for _ in range(2):
        for address in (ADDRESS, "10.0.0.6"):
            assert snapshots.at(address).documents
    assert registry.loads == 4, "only one fits, so each is rendered again"
    snapshots.at("10.0.0.6")
    assert registry.loads == 4, "the last one stays"


def test_documents_cannot_be_changed(snapshots: Snapshots) -> None:
    with pytest.raises(TypeError):
        snapshots.at(ADDRESS).documents["x"] = None  # type: ignore[index]  # that is the point


def test_a_crawl_costs_one_look_at_its_instance(snapshots: Snapshots, registry: WatchedRegistry, clock: Clock) -> None:
    for _ in range(30):
        snapshots.at(ADDRESS)
    assert (registry.watched.looks, registry.watched.counts) == (1, 30)
    clock.now += COUNTED_US  # a release that counts no changes may have written
    snapshots.at(ADDRESS)
    assert registry.watched.looks == 2


def test_questions_of_one_moment_cost_one_count(snapshots: Snapshots, registry: WatchedRegistry) -> None:
    moment = snapshots.moment()
    assert snapshots.at(ADDRESS, moment) is snapshots.of(WEB_1.id, moment)
    assert registry.watched.counts == 1
    registry.is_down = True
    away = snapshots.moment()
    for _ in range(3):
        assert snapshots.at(ADDRESS, away).instance_id == WEB_1.id
    assert registry.watched.counts == 2


def test_whatever_changes_what_a_caller_gets_is_counted(
    registry: WatchedRegistry, database: Database, clock: Clock
) -> None:
    seen = {registry.editions.revision()}
    other = replace(BARE, addresses=("10.0.0.6",))
    for change in (
        lambda: registry.add(other),
        lambda: registry.replace(replace(WEB_1, addresses=()), at=clock.now),
        lambda: registry.write_all([], [replace(other, addresses=(ADDRESS,))], at=clock.now),
        lambda: SeedRows(database).add(WEB_1.id, "0" * 64, clock.now),
        lambda: SeedRows(database).revoke(WEB_1.id),
        lambda: registry.remove(WEB_1.id),
    ):
        change()
        assert registry.editions.revision() not in seen
        seen.add(registry.editions.revision())
    registry.write_all([], [registry.get(other.id)], at=clock.now, dry_run=True)
    assert registry.editions.revision() in seen


def test_what_all_are_told_is_rendered_anew_when_it_changes(registry: WatchedRegistry, clock: Clock) -> None:
    registry.replace(replace(WEB_1, vendor_data=None), at=WEB_1.updated_at + 1)
    told = [Static({"a": 1}, "first")]
    snapshots = Snapshots(registry, static=lambda: told[-1], now_us=clock)
    path = "openstack/latest/vendor_data.json"
    assert snapshots.at(ADDRESS).documents[path].body == b'{"a": 1}'
    told.append(Static({"a": 2}, "second"))
    assert snapshots.at(ADDRESS).documents[path].body == b'{"a": 2}'
    assert snapshots.at(ADDRESS) is snapshots.at(ADDRESS)
    assert snapshots.at(ADDRESS).instance.vendor_data == {"a": 2}
