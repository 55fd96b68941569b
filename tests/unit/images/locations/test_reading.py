"""Data is read from the best place that gives it, and nobody gets all of what is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from contracts.image_catalogue import an_image
from headwater.errors import HeadwaterError
from headwater.images.locations.reading import (
    DataDamaged,
    DataMissing,
    DataRefused,
    HashCheck,
    Place,
    Reading,
    RemoteDataMissing,
)
from headwater.images.model import Image, Location
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import StoreUnavailable

DATA = bytes(range(256)) * 20
IMAGE = an_image(
    size=len(DATA),
    checksum=hashlib.md5(DATA, usedforsecurity=False).hexdigest(),
    os_hash_algo="sha512",
    os_hash_value=hashlib.sha512(DATA).hexdigest(),
)


class DyingStore(MemoryStore):
    """A store that dies after so many bytes of a reading; ``opened`` are where readings began."""

    def __init__(self, name: str, data: bytes, *, dies_at: int | None = None) -> None:
        super().__init__(name, MemoryStoreSettings(type="memory", chunk_size=1000))
        self.put("k", data)
        self._dies_at = dies_at
        self.opened: list[int] = []

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        self.opened.append(start)
        pieces = super().read(key, start, length)
        return pieces if self._dies_at is None else self._dying(pieces, max(0, self._dies_at - start))

    def _dying(self, pieces: Iterator[bytes], left: int) -> Iterator[bytes]:
        for piece in pieces:
            if piece[:left]:
                yield piece[:left]
            left -= len(piece)
            if left <= 0:
                raise StoreUnavailable(self.name, "it died")


class Told(list[str]):
    """The stores whose data was found wrong."""

    def __call__(self, error: DataMissing | DataDamaged | DataRefused) -> None:
        self.append(error.location.store)


def place(store: MemoryStore, *, image: Image = IMAGE) -> Place:
    return Place(store, "k", check=lambda: HashCheck(image, Location(store.name, "k")))


def read(
    *stores: MemoryStore, wanted: range = range(len(DATA)), told: Told | None = None, image: Image = IMAGE
) -> bytes:
    reading = Reading(image, [place(each, image=image) for each in stores], wanted, Told() if told is None else told)
    return b"".join(reading)


@pytest.mark.parametrize("wanted", [range(len(DATA)), range(700, 4300), range(2000, 2001)])
@pytest.mark.parametrize("dies_at", [0, 1, 999, 1000, 1001, 2000, 4299, len(DATA) - 1])
def test_where_one_store_dies_the_next_goes_on_at_that_byte(dies_at: int, wanted: range) -> None:
    first, second = DyingStore("first", DATA, dies_at=dies_at), DyingStore("second", DATA)
    assert read(first, second, wanted=wanted) == DATA[wanted.start : wanted.stop]
    assert first.opened == [wanted.start]
    if dies_at < wanted.stop:
        assert second.opened == [max(dies_at, wanted.start)]
    else:
        assert second.opened == []


def test_several_stores_may_die_one_after_the_other() -> None:
    stores = [DyingStore(f"s{at}", DATA, dies_at=at) for at in (10, 1500, 1500, 4000)]
    assert read(*stores, DyingStore("last", DATA)) == DATA


def test_what_no_store_gives_breaks_off_with_the_hopeful_reason() -> None:
    reading = Reading(IMAGE, [place(DyingStore("only", DATA, dies_at=1500))], range(len(DATA)), Told())
    got = b""
    with pytest.raises(StoreUnavailable, match="it died"):
        for piece in reading:
            got += piece
    assert got == DATA[:1500]


def test_an_object_that_is_too_short_is_told_of_and_the_next_goes_on() -> None:
    told = Told()
    second = DyingStore("second", DATA)
    assert read(DyingStore("short", DATA[:2500]), second, told=told) == DATA
    assert (told, second.opened) == (["short"], [2500])


def test_an_object_that_is_too_long_gives_no_more_than_was_asked_for() -> None:
    class Generous(DyingStore):
        def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
            return super().read(key, start)

    assert read(Generous("s", DATA + b"more"), wanted=range(5, 17)) == DATA[5:17]


DAMAGED = DATA[:-10] + b"x" + DATA[-9:]


def test_nobody_gets_all_of_what_is_damaged() -> None:
    told, got = Told(), b""
    reading = Reading(IMAGE, [place(DyingStore("a", DAMAGED)), place(DyingStore("b", DATA))], range(len(DATA)), told)
    with pytest.raises(DataDamaged, match="does not have the sha512 of the image"):
        for piece in reading:
            got += piece
    assert len(got) < len(DATA)
    assert told == ["a"]


def test_damage_that_shows_before_anything_is_given_harms_nobody() -> None:
    small = replace(
        IMAGE, size=10, os_hash_algo=None, os_hash_value=None, checksum=hashlib.md5(b"0123456789").hexdigest()
    )
    told = Told()
    bad, good = DyingStore("bad", b"01234x6789"), DyingStore("good", b"0123456789")
    assert read(bad, good, wanted=range(10), told=told, image=small) == b"0123456789"
    assert told == ["bad"]
    with pytest.raises(DataDamaged, match="md5"):  # before a head of an answer is sent
        Reading(small, [place(bad, image=small)], range(10), told)


def test_of_data_from_several_stores_none_is_blamed() -> None:
    told = Told()
    with pytest.raises(DataDamaged):
        read(DyingStore("dies", DATA, dies_at=1500), DyingStore("damaged", DAMAGED), told=told)
    assert told == []


def test_a_part_of_what_is_damaged_is_given_as_nobody_can_know() -> None:
    assert read(DyingStore("a", DAMAGED), wanted=range(1, len(DATA))) == DAMAGED[1:]


def test_an_image_without_hashes_is_read() -> None:
    assert read(DyingStore("a", DATA), image=replace(IMAGE, checksum=None, os_hash_value=None)) == DATA


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["absent"], DataMissing),
        (["absent", "https://example.org/absent"], RemoteDataMissing),
        (["https://example.org/absent", "absent"], RemoteDataMissing),
    ],
)
def test_data_is_lost_only_where_no_place_may_have_it(places: list[str], expected: type[HeadwaterError]) -> None:
    class Empty(MemoryStore):
        def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
            return super().read("absent", start, length)

    store = Empty("s", MemoryStoreSettings(type="memory"))
    with pytest.raises(expected):
        Reading(IMAGE, [Place(store, key) for key in places], range(len(DATA)), Told())


def test_no_data_is_read_without_a_piece() -> None:
    nothing = replace(IMAGE, size=0, os_hash_value=hashlib.sha512().hexdigest())
    store = DyingStore("s", b"")
    assert read(store, wanted=range(0), image=nothing) == b""
