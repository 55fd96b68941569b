"""The pass over the data of public images: what is read, how often, in which order, and what is kept of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import Any

import pytest

from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.locations.reading import DataDamaged, Place, Report
from headwater.images.model import Image, Location, Status, Visibility
from headwater.jobs.queue import Job
from headwater.jobs.runner import Later
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import StoreUnavailable
from headwater.streams.live.files.hashing import KIND, Hashing
from unit.streams.catalogue import ListedImages, image

QCOW2 = b"QFI\xfb" + b"a disk" * 9000
HOUR = 3_600_000_000
A_JOB = Job("an id", KIND, {}, 1, 0)


class Rows:
    """Keeps what was found, and tells the source of images of it as the catalogue does."""

    def __init__(self, source: ListedImages) -> None:
        self.source, self.found, self.kept = source, dict[str, Fingerprint](), list[str]()

    def of(self, image_ids: Collection[str]) -> dict[str, Fingerprint]:
        return {each: self.found[each] for each in image_ids if each in self.found}

    def unread(self) -> list[str]:
        return [image_id for image_id, found in self.found.items() if found.sha256 is None]

    def want(self, image: Image) -> None:
        self.found.setdefault(image.id, Fingerprint(image_id=image.id, data_hash=image.os_hash_value or ""))
        self.source.note(image.id)

    def keep(self, found: Fingerprint) -> bool:
        self.kept.append(found.image_id)
        if not list(self.source.get([found.image_id])):
            return False
        self.found[found.image_id] = found
        self.source.note(found.image_id)
        return True


class World:
    """Images with data in a store, and the job; ``at`` is the time of day."""

    def __init__(self, *images: Image, data: bytes = QCOW2, rate: int = 1 << 40) -> None:
        self.source = ListedImages(images)
        self.store = MemoryStore("memory", MemoryStoreSettings(type="memory", chunk_size=3))
        self.data = data
        self.rows = Rows(self.source)
        self.read: list[str] = []
        self.waited: list[float] = []
        self.reported: list[Exception] = []
        self.at = 0
        self.is_stopping = False
        self.fails: Callable[[Image], None] = lambda _: None
        self.hashing = self.a_process(rate)
        for each in images:
            self.put(each.id, data)

    def a_process(self, rate: int = 1 << 40, *, all_public: bool = True) -> Hashing:
        return Hashing(
            self.source,
            self.rows,
            self.places,
            rate=rate,
            all_public=all_public,
            stopping=lambda: self.is_stopping,
            wait=self.waited.append,
            clock=lambda: self.at,
        )

    def put(self, key: str, data: bytes) -> None:
        writer = self.store.begin(key, len(data))
        writer.write(memoryview(data))
        writer.commit()

    def places(self, of: Image) -> tuple[tuple[Place, ...], Report]:
        self.read.append(of.id)
        self.fails(of)
        return (Place(self.store, of.id),), self.reported.append

    def run(self) -> dict[str, Fingerprint]:
        with pytest.raises(Later):
            self.hashing.run(A_JOB)
        return self.rows.found


def public(number: int, data: bytes = QCOW2, **changes: Any) -> Image:
    hashed = {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(data).hexdigest(), "size": len(data)}
    return image(number, **{**hashed, **changes})


def test_each_public_image_is_read_once_and_what_is_found_is_right() -> None:
    one, raw = public(1), public(2, disk_format="raw")
    world = World(one, raw)
    found = world.run()
    assert world.run() == found
    assert world.read == [one.id, raw.id]
    sha256 = hashlib.sha256(QCOW2).hexdigest()
    metadata = found[one.id].metadata
    assert (found[one.id].sha256, found[one.id].product) == (sha256, "ubuntu:noble:amd64:default")
    assert found[one.id].combined == hashlib.sha256(metadata + QCOW2).hexdigest()
    assert (found[raw.id].sha256, found[raw.id].product, found[raw.id].combined) == (sha256, None, None)
    assert not world.hashing.has_work()


@pytest.mark.parametrize(
    "changes",
    [
        {"visibility": Visibility.COMMUNITY},
        {"status": Status.DEACTIVATED},
        {"os_hidden": True},
        {"os_hash_value": None},
        {"size": 0},
    ],
)
def test_an_image_that_is_not_for_everybody_is_not_read(changes: dict[str, Any]) -> None:
    world = World(public(1, **changes))
    assert world.run() == {}
    assert world.read == []


@pytest.mark.parametrize("all_public", [True, False])
def test_an_image_for_some_is_read_when_somebody_wanted_it(all_public: bool) -> None:
    private, other = (public(number, visibility=Visibility.PRIVATE) for number in (1, 2))
    world = World(private, other, public(3))
    world.hashing = world.a_process(all_public=all_public)
    world.run()
    assert world.read == [public(3).id] * all_public
    world.rows.want(private)
    assert world.run()[private.id].product == "ubuntu:noble:amd64:default"
    assert world.read[all_public:] == [private.id]
    world.rows.want(other)
    world.hashing = world.a_process(all_public=all_public)  # the process before has ended
    world.run()
    assert world.read[all_public:] == [private.id, other.id]


def test_an_image_is_read_when_it_becomes_public_and_again_only_as_another_product_or_with_other_data() -> None:
    world = World(public(1, visibility=Visibility.PRIVATE))
    for changes, times in (
        ({"visibility": Visibility.PRIVATE}, 0),
        ({}, 1),
        ({"description": "a new one", "support_eol": "2030-01-01", "name": "another"}, 1),
        ({"visibility": Visibility.PRIVATE}, 1),
        ({}, 1),
        ({"disk_format": "raw"}, 1),
        ({"os_version": "22.04"}, 2),
        ({"architecture": "aarch64"}, 3),
        ({"simplestreams_variant": "cloud"}, 4),
    ):
        world.source.change_to(public(1, **changes))
        world.run()
        assert len(world.read) == times, changes
    other = QCOW2 + b"other"
    world.put(public(1).id, other)
    world.source.change_to(public(1, other, simplestreams_variant="cloud"))
    assert world.run()[public(1).id].sha256 == hashlib.sha256(other).hexdigest()
    assert len(world.read) == 5


def test_a_process_that_takes_the_job_over_reads_only_what_is_not_known() -> None:
    world = World(public(1), public(2))
    world.run()
    world.source.change_to(public(1), public(2), public(3))
    world.put(public(3).id, QCOW2)
    world.hashing = world.a_process()
    assert world.run().keys() == {public(number).id for number in (1, 2, 3)}
    assert len(world.read) == 3


def test_what_changes_while_an_image_is_read_is_seen_next() -> None:
    world = World(public(1), public(2))

    def change(_: Image) -> None:
        world.fails = lambda _: None
        world.source.change_to(public(1, os_version="22.04"), public(2, visibility=Visibility.SHARED))

    world.fails = change
    found = world.run()
    assert found[public(1).id].product == "ubuntu:jammy:amd64:default"
    assert world.read == [public(1).id, public(1).id]


def test_an_image_that_goes_while_it_is_read_leaves_nothing() -> None:
    world = World(public(1))
    world.fails = lambda _: world.source.change_to()
    assert world.run() == {}
    assert world.rows.kept == [public(1).id]


def test_what_cannot_be_read_keeps_nobody_waiting_and_is_tried_again_after_pauses_that_grow() -> None:
    world = World(public(1), public(2))

    def fails(of: Image) -> None:
        if of.id == public(1).id:
            raise StoreUnavailable("far", "its address is 192.0.2.7")

    world.fails = fails
    found = world.run()
    assert found[public(2).id].sha256 is not None
    assert (found[public(1).id].sha256, found[public(1).id].attempts) == (None, 1)
    assert "192.0.2.7" not in (found[public(1).id].error or "")
    tried = []
    for minute in range(20):
        world.at = minute * 60_000_000
        before = len(world.read)
        world.run()
        tried += [minute] * (len(world.read) - before)
    assert tried == [1, 3, 7, 15]
    world.at, world.fails = 24 * HOUR, lambda _: None
    assert (world.run()[public(1).id].attempts, world.rows.found[public(1).id].error) == (0, None)


def test_an_image_that_rests_is_no_work_until_its_pause_is_over() -> None:
    world = World(public(1))

    def fails(_: Image) -> None:
        raise OSError("whatever")

    world.fails = fails
    assert "the log has more" in (world.run()[public(1).id].error or "")
    world.run()
    assert not world.hashing.has_work()
    world.at = 61_000_000
    assert world.hashing.has_work()
    world.fails = lambda _: None
    assert world.run()[public(1).id].error is None
    assert not world.hashing.has_work()


def test_what_is_known_of_data_stays_true_when_another_pass_fails() -> None:
    world = World(public(1))
    known = world.run()[public(1).id]

    def fails(_: Image) -> None:
        raise StoreUnavailable("far", "it is away")

    world.fails = fails
    world.source.change_to(public(1, os_version="22.04"))
    after = world.run()[public(1).id]
    assert (after.sha256, after.product, after.combined) == (known.sha256, known.product, known.combined)
    assert (after.attempts, after.error is not None) == (1, True)


def test_data_that_is_not_the_image_s_gives_no_fingerprint_and_is_told() -> None:
    world = World(public(1))
    world.put(public(1).id, QCOW2[:-1] + b"!")
    found = world.run()[public(1).id]
    assert (found.sha256, found.attempts) == (None, 1)
    assert "damaged" in (found.error or "")
    assert [type(each) for each in world.reported] == [DataDamaged]
    assert world.reported[0].location == Location("memory", public(1).id)  # type: ignore[attr-defined]  # see above


def test_data_of_another_kind_than_the_format_says_is_no_image_for_the_readers() -> None:
    data = b"\x1f\x8b" + b"a tarball" * 100
    world = World(public(1, data, disk_format="root-tar"), data=data)
    found = world.run()[public(1).id]
    assert (found.sha256, found.combined) == (hashlib.sha256(data).hexdigest(), None)
    assert "does not begin as that of root-tar does" in (found.error or "")
    world.at = 100 * HOUR
    world.run()
    assert len(world.read) == 1


def test_data_is_read_no_faster_than_allowed() -> None:
    world = World(public(1), rate=1000)
    world.run()
    assert world.waited
    assert max(world.waited) == pytest.approx(len(QCOW2) / 1000, rel=0.1)


def test_a_process_that_stops_makes_way_and_keeps_nothing_half() -> None:
    world = World(public(1), rate=1000)
    world.is_stopping = True
    with pytest.raises(Later) as later:
        world.hashing.run(A_JOB)
    assert later.value.after_s == 0
    assert world.rows.kept == []
    world.is_stopping = False
    assert world.run()[public(1).id].sha256


def test_whatever_fails_the_job_stays_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(public(1))
    with monkeypatch.context() as broken:
        broken.setattr(world.rows, "keep", lambda _: 1 / 0)
        world.run()
    assert world.run()[public(1).id].sha256
