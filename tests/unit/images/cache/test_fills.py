"""A fetch, those who follow it, and what becomes of them when it fails."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.image_catalogue import an_image
from headwater.activity.journal import Journal
from headwater.caching.fills import Fill
from headwater.images.cache.cache import ImageCache
from headwater.images.cache.directory import CacheDirectory
from headwater.images.cache.fills import Fills
from headwater.images.data.downloads import Download
from headwater.images.locations.reading import DataDamaged, Place
from headwater.images.model import Image
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import StoreUnavailable
from headwater.testing.object_store import marked, put
from headwater.threads import Pool

DATA = bytes(range(256)) * 40
MD5 = hashlib.md5(DATA).hexdigest()


class Tally:
    """Counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fetched = 0

    def cache_asked(self, result: str) -> None:
        self.asked.append(result)

    def cache_fetched(self, count: int) -> None:
        self.fetched += count

    def cache_holds(self, size: int) -> None:
        """Do nothing."""


class Slow(MemoryStore):
    """Gives a piece whenever the test says so; fails after ``fails_at`` pieces."""

    def __init__(self, name: str = "slow") -> None:
        super().__init__(name, MemoryStoreSettings(type="memory", chunk_size=1000))
        self.turns = threading.Semaphore(0)
        self.fails_at = 1000
        self.reads: list[int] = []

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        self.reads.append(start)
        return self._pieces(super().read(key, start, length), is_first=len(self.reads) == 1)

    def _pieces(self, pieces: Iterator[bytes], *, is_first: bool) -> Iterator[bytes]:
        for number, piece in enumerate(pieces):
            if is_first:
                self.turns.acquire()
                if number == self.fails_at:
                    raise StoreUnavailable(self.name, "it was told to fail")
            yield piece


class House:
    """A cache in front of one store that has one image."""

    def __init__(self, directory: Path, data: bytes = DATA, threads: int = 2) -> None:
        self.store = Slow()
        put(marked(self.store), "key", data)
        self.image = an_image(size=len(DATA), checksum=MD5)
        self.wrong: list[DataDamaged] = []
        self.tally = Tally()
        self.pool = Pool("caching", threads)
        self.directory = CacheDirectory(directory, 1 << 20)
        self.fills = Fills(self.directory, self.pool, self.tally)
        self.cache = ImageCache(self.directory, self.fills, self.tally)
        self.places = (Place(self.store, "key"),)

    def look(self, image: Image | None = None, wanted: range = range(len(DATA))) -> Any:
        return self.cache.growing(image or self.image, self.places, wanted, self.report)

    def report(self, error: Any) -> None:
        self.wrong.append(error)

    def go(self, pieces: int = 100) -> None:
        self.store.turns.release(pieces)

    def download(self) -> Download:
        return Download(self.image, self.places, Journal().entry(None, "image.download"), self.report)

    def close(self) -> None:
        self.go(1000)
        self.cache.close()
        self.pool.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "cache")
    yield made
    made.close()


async def all_of(fill: Fill) -> bytes:
    got = b""
    while await fill.beyond(len(got)):
        got += fill.read(len(got), 700)
    return got


def read(fill: Fill) -> bytes:
    return asyncio.run(asyncio.wait_for(all_of(fill), 30))


def test_one_fetch_serves_all_who_come_while_it_goes_on(house: House) -> None:
    async def many() -> list[bytes]:
        fills = [house.look() for _ in range(50)]
        assert len({id(fill) for fill in fills}) == 1
        reading = [asyncio.create_task(all_of(fill)) for fill in fills]
        house.go(3)
        assert await asyncio.wait_for(fills[0].beyond(2500), 30)
        reading.append(asyncio.create_task(all_of(house.look())))
        house.go()
        return await asyncio.wait_for(asyncio.gather(*reading), 30)

    assert set(asyncio.run(many())) == {DATA}
    assert house.store.reads == [0]
    assert house.tally.asked == ["miss", *["shared"] * 50]
    assert house.tally.fetched == len(DATA)
    house.close()
    whole = house.cache.whole(house.image)
    assert whole is not None
    assert whole.read_bytes() == DATA


def test_the_fetch_of_another_process_is_followed(house: House, tmp_path: Path) -> None:
    other = House(tmp_path / "cache")
    other.image = house.image
    house.look()
    followed = other.look()
    house.go()
    assert read(followed) == DATA
    assert other.store.reads == []
    other.close()


def test_who_follows_a_fetch_that_ends_too_early_is_told(house: House, tmp_path: Path) -> None:
    other = House(tmp_path / "cache")
    other.image = house.image
    house.store.fails_at = 3
    house.look()
    followed = other.look()
    house.go()
    got = read(followed)
    assert got == DATA[:3000]
    other.go()
    rest = b"".join(other.download().read_after(followed, range(len(got), len(DATA))))
    assert got + rest == DATA
    other.close()


def test_a_reader_goes_on_from_the_store_when_the_fetch_fails(house: House) -> None:
    house.store.fails_at = 4
    fill = house.look()
    house.go()
    got = read(fill)
    assert got == DATA[:4000]
    assert b"".join(house.download().read_after(fill, range(4000, len(DATA)))) == DATA[4000:]
    house.pool.close()
    assert house.directory.images() == []
    assert list((house.directory.root / "filling").iterdir()) == []


def test_a_full_disk_ends_the_fetch_and_not_the_download(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite

    def full(file: int, data: Any, at: int) -> int:
        if at >= 5000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data, at)

    monkeypatch.setattr("os.pwrite", full)
    fill = house.look()
    house.go()
    got = read(fill)
    assert got == DATA[:5000]
    assert b"".join(house.download().read_after(fill, range(5000, len(DATA)))) == DATA[5000:]


def test_nobody_gets_all_of_what_is_damaged_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    house = House(tmp_path / "cache", DATA[:-1] + b"x")
    fill = house.look()
    house.go()
    got = read(fill)
    assert len(got) < len(DATA)
    assert len(house.wrong) == 1
    with pytest.raises(DataDamaged):
        list(house.download().read_after(fill, range(len(got), len(DATA))))
    fill.error = None  # as in another process, which does not know why it ended
    rest = house.download().read_after(fill, range(len(got), len(DATA)))
    with pytest.raises(DataDamaged):
        list(rest)
    house.close()
    assert house.directory.images() == []


def test_a_part_begins_no_fetch_and_takes_what_has_come(house: House) -> None:
    assert house.look(wanted=range(10)) is None
    assert house.store.reads == []
    fill = house.look()
    assert house.look(wanted=range(10)) is None
    house.go(1)
    assert asyncio.run(asyncio.wait_for(fill.beyond(999), 30))
    assert house.look(wanted=range(10)) is fill
    assert house.look(wanted=range(5000)) is None


def test_no_more_is_fetched_at_once_than_there_are_threads(tmp_path: Path) -> None:
    house = House(tmp_path / "cache", threads=1)
    assert house.look() is not None
    assert house.look(an_image(size=len(DATA), checksum=MD5)) is None
    assert len(list((house.directory.root / "filling").iterdir())) == 1
    house.close()


def test_a_process_that_stops_gives_up_its_fetch(house: House) -> None:
    fill = house.look()
    house.go(2)
    assert asyncio.run(asyncio.wait_for(fill.beyond(1500), 30))
    house.cache.close()
    house.go(1)
    house.pool.close()
    assert fill.is_over
    assert list((house.directory.root / "filling").iterdir()) == []
