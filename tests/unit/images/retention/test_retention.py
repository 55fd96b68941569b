from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import zip_longest
from typing import Any, cast

import pytest
from sqlalchemy import update

from contracts.image_catalogue import NOON, add, an_image
from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages, UnheardLocations, UnheardMembers
from headwater.activity.journal import Entry, Journal
from headwater.database.engine import Database
from headwater.database.tables import catalogue_revisions
from headwater.errors import Forbidden, Unavailable
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.lists.query import Query
from headwater.images.catalogue.members import MemberRows
from headwater.images.catalogue.retention.uses import ImageUseRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.data.scrubber import Scrubber
from headwater.images.locations.service import ImageInUse, Locations
from headwater.images.member import Member, MemberStatus
from headwater.images.model import Image, ImageLocation, Location, Status, Visibility
from headwater.images.retention.retention import CALLER, ImageMovedOn, NoSuchRule, Retention, UsesUnknown
from headwater.images.retention.rules import DAY, Step
from headwater.images.retention.settings import RetentionSettings
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings
from headwater.jobs.queue import Job
from headwater.jobs.runner import Later
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import StoreUnavailable
from unit.clock import Clock

LADDER = {"names": ["*"], "older_name": "{name} {date}", "hide_after_days": 0, "delete_unused_days": 90, "keep": 1}


class Clones(Locations):
    """Locations of which some have clones."""

    def __init__(self) -> None:
        self.cloned: set[str] = set()
        self.unknown: set[str] = set()

    def require_unused(self, image_id: str, store_name: str | None = None, *, certainly: bool = False) -> None:
        if image_id in self.cloned:
            raise ImageInUse(image_id)
        if image_id in self.unknown:
            assert certainly
            raise StoreUnavailable("ceph", "it does not answer")


class Instances:
    ids: Collection[str] = ()

    def image_ids(self) -> Collection[str]:
        return self.ids


class Heard:
    """A listener of the journal."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str | None, str | None]] = []

    def moved(self, _entry: Entry) -> tuple[()]:
        return ()

    def ended(self, entry: Entry, error: BaseException | None) -> None:
        self.said.append((entry.action, entry.caller.user_id if entry.caller else None, entry.image_id))
        assert error is None


class House:
    def __init__(self, database: Database, clock: Clock) -> None:
        self.catalogue = UnheardImages(database)
        self.uses = ImageUseRows(database)
        self.uses.going_on(NOON)
        long_ago = update(catalogue_revisions).where(catalogue_revisions.c.scope == "uses since").values(revision=0)
        database.write(lambda connection: connection.execute(long_ago))
        self.store = MemoryStore("memory", MemoryStoreSettings(type="memory"))
        self.rows = UnheardLocations(database)
        self.heard = Heard()
        self.clones, self.instances = Clones(), Instances()
        access = Access(self.catalogue, EveryoneMay())
        self.images = Images(
            access,
            Changes(database, access, journal=Journal([self.heard])),
            Scrubber(DiscardedObjectRows(database), {"memory": self.store}),
            ImagesSettings(),
            clock=clock,
        )
        self._database, self._clock = database, clock

    def retention(self, every_h: int = 0, **rules: Any) -> Retention:
        return Retention(
            RetentionSettings.model_validate({"every_h": every_h, "rules": rules or {"all": LADDER}}),
            self.catalogue,
            self.uses,
            MemberRows(self._database),
            self.images,
            locations=self.clones,
            instances=self.instances,
            clock=self._clock,
        )

    def image(self, days_old: int, name: str = "u", **fields: Any) -> Image:
        given = {"visibility": Visibility.PUBLIC, "status": Status.ACTIVE, "size": 4, "owner": "p", **fields}
        image = an_image(name, created_at=NOON - days_old * DAY, **given)
        add(self.catalogue, image)
        held = (ImageLocation(at=Location("memory", image.id)),)
        self.rows.change(image.id, lambda image, _: (image, held), NOON)
        self.store.put(image.id, b"data")
        return self.catalogue.get(image.id)


@pytest.fixture
def house(database: Database, clock: Clock) -> House:
    return House(database, clock)


def test_backups_of_each_kind_and_server_are_rotated_as_nova_does(house: House) -> None:
    def backup(days_old: int, kind: str, server: str, owner: str = "p") -> Image:
        said = {"image_type": "backup", "backup_type": kind, "instance_uuid": server}
        return house.image(days_old, f"{kind}-{days_old}", visibility=Visibility.PRIVATE, owner=owner, properties=said)

    daily = [backup(days, "daily", "s") for days in (1, 2, 3, 4)]
    kept = [backup(9, "weekly", "s"), backup(9, "daily", "t"), backup(9, "daily", "s", owner="q"), house.image(9)]
    rule = {
        "properties": {"image_type": "backup"},
        "family": ["instance_uuid", "backup_type"],
        "rotate": True,
        "keep": 2,
    }
    gone = {each.verdict.image.id for each in house.retention(backups=rule).apply() if each.verdict.steps}
    assert gone == {image.id for image in daily[2:]}
    assert {image.id for image in house.catalogue.page(Query())} == {image.id for image in (*daily[:2], *kept)}


def test_a_plan_changes_nothing_and_a_run_does_what_it_says_and_tells_it(house: House) -> None:
    newest, older, oldest = house.image(1), house.image(95), house.image(400)
    plan = house.retention().plan()
    assert [(each.image, each.steps) for each in plan] == [
        (oldest, (Step.DELETE,)),
        (older, (Step.RENAME, Step.HIDE)),
        (newest, ()),
    ]
    assert house.heard.said == []
    outcomes = list(house.retention().apply())
    assert [(each.verdict, each.error) for each in outcomes] == [(each, None) for each in plan]
    assert house.heard.said == [
        ("image.delete", CALLER.user_id, oldest.id),
        ("image.update", CALLER.user_id, older.id),
    ]
    after = house.catalogue.get(older.id)
    assert (after.name, after.os_hidden) == ("u 20230811", True)
    assert house.catalogue.get(newest.id) == newest
    with pytest.raises(ImageNotFound):
        house.catalogue.get(oldest.id)
    assert {each.key for each in house.store.list()} == {newest.id, older.id}
    assert not any(each.steps for each in house.retention().plan())


def test_what_uses_an_image_in_any_way_keeps_it(house: House, database: Database) -> None:
    house.image(100)
    kernel, ramdisk, base, shared, booted, cloned, used, free = (house.image(400) for _ in range(8))
    needs = {"kernel_id": kernel.id.upper(), "ramdisk_id": ramdisk.id, "base_image_ref": base.id}
    house.image(5, "snapshot", properties=needs, os_hidden=True)
    member = Member(image_id=shared.id, member="q", status=MemberStatus.ACCEPTED, created_at=NOON, updated_at=NOON)
    house.catalogue.change(shared.id, lambda image: replace(image, visibility=Visibility.SHARED))
    UnheardMembers(database).add(member, -1, lambda _: None)
    house.instances.ids = [booted.id]
    house.clones.cloned = {cloned.id}
    house.uses.note({used.id: NOON - DAY})
    deleted = {each.image.id for each in house.retention().plan() if Step.DELETE in each.steps}
    assert deleted == {free.id}
    reasons = {each.image.id: " ".join(each.why_not) for each in house.retention().plan()}
    assert "volumes were cloned from it" in reasons[cloned.id]


def test_while_a_store_cannot_say_whether_an_image_is_in_use_it_is_kept(house: House) -> None:
    house.image(100)
    old, older = house.image(400), house.image(500)
    house.clones.unknown = {old.id}
    plan = {each.image.id: each for each in house.retention().plan()}
    assert plan[old.id].steps == ()
    assert "nobody can say whether anything was cloned from it" in plan[old.id].why_not[-1]
    assert plan[older.id].steps == (Step.DELETE,)


def test_what_was_cloned_after_the_plan_is_kept(house: House) -> None:
    house.image(100)
    last, first = house.image(400), house.image(500)
    run = house.retention().apply()
    assert next(run).verdict.image.id == first.id
    house.clones.cloned = {last.id}
    assert isinstance(next(run).error, ImageInUse)
    assert house.catalogue.get(last.id) == last


def test_the_first_rule_that_an_image_is_under_decides_and_families_are_of_one_owner(house: House) -> None:
    mine, theirs = house.image(400, owner="p"), house.image(500, owner="q")
    house.image(1, owner="p")
    rules: dict[str, Any] = {"kept": {"projects": ["x"]}, "p": {"projects": ["p"]}, "all": LADDER}
    plan = {each.image.id: each for each in house.retention(**rules).plan()}
    assert (plan[mine.id].rule, plan[mine.id].steps) == ("p", ())
    assert (plan[theirs.id].rule, plan[theirs.id].steps) == ("all", ())
    assert [each.image.id for each in house.retention(**rules).plan(["all"])] == [theirs.id]
    with pytest.raises(NoSuchRule, match=r"'al': section .* has kept, p, all"):
        house.retention(**rules).plan(["al"])


def test_a_family_may_be_what_properties_say(house: House) -> None:
    noble = {"os_distro": "ubuntu", "os_version": "24.04", "architecture": "x86_64"}
    newest = house.image(1, "July", properties=noble)
    older = house.image(2, "June", properties=noble)
    others = [
        house.image(3, "May", properties={**noble, **other})
        for other in ({"os_version": "22.04"}, {"os_purpose": "k8s"})
    ]
    without = house.image(3, "May", properties={"os_distro": "ubuntu"})
    rule = {**LADDER, "family": ["os_distro", "os_version", "architecture", "os_purpose?"]}
    plan = {each.image.id: each for each in house.retention(all=rule).plan()}
    assert [plan[each.id].steps for each in (newest, older, *others)] == [(), (Step.RENAME, Step.HIDE), (), ()]
    assert plan[older.id].family == "ubuntu 24.04 x86_64"
    assert without.id not in plan


def test_an_image_that_changes_or_is_used_in_the_middle_of_a_run_is_left_for_the_next(house: House) -> None:
    house.image(100)
    used, protected, older = house.image(500), house.image(450), house.image(400)
    run = house.retention().apply()
    house.clones.cloned = set()
    first = next(run)
    assert (first.verdict.image.id, first.error) == (used.id, None)
    house.catalogue.change(protected.id, lambda image: replace(image, protected=True))
    house.uses.note({older.id: NOON})
    rest = {each.verdict.image.id: each.error for each in run}
    assert isinstance(rest[protected.id], ImageMovedOn)
    assert isinstance(rest[older.id], ImageMovedOn)
    assert house.catalogue.get(older.id) == older


def test_an_image_that_cannot_be_changed_keeps_no_other_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.image(100)
    refused, failed, deleted = house.image(500), house.image(450), house.image(400)
    errors = {refused.id: Forbidden("the policy says no"), failed.id: Unavailable("not now")}
    real = house.images.delete

    def delete(caller: Any, image_id: str) -> None:
        if image_id in errors:
            raise errors[image_id]
        real(caller, image_id)

    monkeypatch.setattr(house.images, "delete", delete)
    outcomes = {each.verdict.image.id: each.error for each in house.retention().apply()}
    assert {each: outcomes[each] for each in errors} == errors
    assert outcomes[deleted.id] is None
    monkeypatch.undo()
    assert all(each.error is None for each in house.retention().apply())
    assert len(list(house.store.list())) == 1


def test_a_run_that_is_killed_leaves_each_image_whole_and_the_next_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = house.image(1)
    others = [house.image(age) for age in (10, 20, 30)]
    run = house.retention().apply()
    next(run)
    del run
    assert [house.catalogue.get(each.id).name for each in others] == ["u", "u", "u 20231015"]
    list(house.retention().apply())
    names = [house.catalogue.get(each.id).name for each in (newest, *others)]
    assert names == ["u", "u 20231104", "u 20231025", "u 20231015"]


def test_more_images_than_are_read_at_once_are_all_judged(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.images.retention.retention.PAGE", 3)
    images = {house.image(age, os_hidden=age % 2 == 0).id for age in range(1, 20)}
    assert {each.image.id for each in house.retention().plan()} == images


def test_the_standing_job_is_there_only_where_it_is_wanted(house: House) -> None:
    oldest = house.image(400)
    house.image(100)
    assert house.retention().handlers == {}
    (handler,) = house.retention(every_h=6, all=LADDER).handlers.values()
    with pytest.raises(Later) as later:
        handler(cast("Job", type("AJob", (), {"kind": "retention"})))
    assert later.value.after_s == 6 * 3600
    with pytest.raises(ImageNotFound):
        house.catalogue.get(oldest.id)


def test_two_runs_at_once_do_everything_once(house: House) -> None:
    house.image(100)
    images = [house.image(age) for age in range(400, 410)]
    runs = [house.retention().apply() for _ in range(2)]
    outcomes = [outcome for pair in zip_longest(*runs) for outcome in pair if outcome is not None]
    done = [each.verdict.image.id for each in outcomes if each.verdict.steps and each.error is None]
    assert sorted(done) == sorted(each.id for each in images)
    assert {type(each.error) for each in outcomes if each.error is not None} <= {ImageMovedOn}
    assert len(list(house.store.list())) == 1


def test_who_uses_an_image_is_told_for_one_image_too(house: House) -> None:
    image, other = house.image(1), house.image(2)
    retention = house.retention()
    assert retention.user_of(image.id, 30) is None
    house.uses.note({image.id: NOON - 5 * DAY})
    assert "used on" in (retention.user_of(image.id, 30) or "")
    assert retention.user_of(image.id, 5) is None
    house.clones.cloned.add(image.id)
    assert retention.user_of(image.id, 5) == "volumes that were cloned from it"
    house.clones.unknown.add(other.id)
    with pytest.raises(StoreUnavailable):
        retention.user_of(other.id, 5)
    house.instances.ids = {image.id}
    assert "instances" in (retention.user_of(image.id, 5) or "")


def test_an_image_that_another_one_needs_is_used(house: House) -> None:
    kernel = house.image(1)
    needing = house.image(1, properties={"kernel_id": kernel.id.upper()})
    assert house.retention().user_of(kernel.id, 0) == f"image {needing.id}"


def test_nobody_can_say_that_an_image_is_unused_while_uses_are_noted_for_a_short_time_only(
    house: House, database: Database
) -> None:
    image = house.image(1)
    lately = update(catalogue_revisions).where(catalogue_revisions.c.scope == "uses since").values(revision=NOON - DAY)
    database.write(lambda connection: connection.execute(lately))
    with pytest.raises(UsesUnknown, match="noted since"):
        house.retention().user_of(image.id, 30)
    assert house.retention().user_of(image.id, 0) is None
