"""Where an import's bytes come from: what happens when that breaks off in the middle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from headwater.errors import HeadwaterError
from headwater.fetching.fetcher import Fetcher, RemoteChanged, RemoteFailed
from headwater.images.imports.sources import DataGone, KeptSource, WebSource
from headwater.images.model import Location
from headwater.jobs.queue import Cancelled
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectStore, StoreUnavailable

URL = "http://good/x"
DATA = bytes(range(256))
HEADERS = {"X-Auth-Token": "of whoever asked"}


class Part:
    """What one connection gives: some bytes, and then maybe an error."""

    def __init__(self, data: bytes, error: Exception | None = None, validator: str | None = '"one"') -> None:
        self.size: int | None = len(DATA)
        self.validator = validator
        self._data, self._error = data, error
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._data), 10):
            yield self._data[at : at + 10]
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.is_closed = True


class Web:
    """Gives its parts in turn, and writes down what was asked."""

    def __init__(self, *parts: Part | HeadwaterError) -> None:
        self.parts = list(parts)
        self.asked: list[tuple[int, str | None] | tuple[int, str | None, int]] = []

    def open(
        self,
        _url: str,
        start: int = 0,
        length: int | None = None,
        *,
        if_range: str | None = None,
        headers: Mapping[str, str],
        **_more: object,
    ) -> Part:
        assert headers == HEADERS
        self.asked.append((start, if_range) if length is None else (start, if_range, length))
        part = self.parts.pop(0)
        if isinstance(part, HeadwaterError):
            raise part
        return part


def broken(status: int | None = None) -> RemoteFailed:
    return RemoteFailed(URL, "the connection broke off", status)


def read(web: Web, retries: int = 2, *, said: str | None = None) -> bytes:
    source = WebSource(
        cast("Fetcher", web),
        URL,
        retries=retries,
        headers=HEADERS,
        said=said,
        pause=lambda _s: None,
    )
    source.open()
    try:
        return b"".join(source)
    finally:
        source.close()


def test_each_connection_goes_on_where_the_one_before_broke() -> None:
    web = Web(Part(DATA[:100], broken()), broken(503), Part(DATA[100:130], broken()), Part(DATA[130:]))
    assert read(web) == DATA
    assert web.asked == [(0, None), (100, '"one"'), (100, '"one"'), (130, '"one"')]


def test_a_connection_that_gave_something_begins_the_count_anew() -> None:
    parts = [Part(DATA[at : at + 10], broken()) for at in range(0, 250, 10)]
    assert read(Web(*parts, Part(DATA[250:])), retries=1) == DATA


@pytest.mark.parametrize(
    "then",
    [
        [broken(), broken(), broken()],
        [RemoteChanged(URL)],
        [broken(404)],
    ],
    ids=["nothing comes any more", "other data", "gone"],
)
def test_what_cannot_go_on_ends(then: list[HeadwaterError]) -> None:
    web = Web(Part(DATA[:100], broken()), *then)
    with pytest.raises(RemoteFailed):
        read(web)
    assert web.parts == [] or isinstance(then[0], RemoteFailed)


def test_data_that_nothing_tells_from_other_data_is_not_pieced_together() -> None:
    web = Web(Part(DATA[:100], broken(), validator=None), Part(DATA[100:]))
    with pytest.raises(RemoteFailed):
        read(web)
    assert len(web.asked) == 1


def test_data_that_is_held_to_a_hash_is_pieced_together_without_a_tag() -> None:
    web = Web(Part(DATA[:100], broken(), validator=None), Part(DATA[100:], validator=None))
    assert read(web, said="0" * 32) == DATA
    assert web.asked == [(0, None), (100, None)]


# --- What lies in stores -----------------------------------------------------------------------------


class Fails(MemoryStore):
    """Gives some bytes, and then nothing."""

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        pieces = super().read(key, start, length)

        def some() -> Iterator[bytes]:
            yield next(pieces)[:100]
            raise StoreUnavailable(self.name, "it is away")

        return some()


def store(kind: type[MemoryStore], name: str, data: bytes | None = DATA) -> ObjectStore:
    made = kind(name, MemoryStoreSettings(type="memory"))
    if data is not None:
        writer = made.begin("k")
        writer.write(data)
        writer.commit()
    return made


def kept(*stores: ObjectStore) -> bytes:
    source = KeptSource({each.name: each for each in stores}, [Location(each.name, "k") for each in stores], len(DATA))
    source.open()
    return b"".join(source)


def test_where_one_place_fails_the_next_goes_on_at_that_byte() -> None:
    assert kept(store(Fails, "a"), store(MemoryStore, "b", None), store(MemoryStore, "c")) == DATA


def test_what_may_pass_is_told_before_what_does_not() -> None:
    with pytest.raises(StoreUnavailable):
        kept(store(Fails, "a"), store(MemoryStore, "b", None))
    with pytest.raises(DataGone):
        kept(store(MemoryStore, "b", None))
    with pytest.raises(DataGone):
        kept()
    lost: dict[str, Any] = {}
    with pytest.raises(StoreUnavailable, match=r"section \[stores\] has none"):
        b"".join(KeptSource(lost, [Location("a", "k")], 1))


def test_who_looks_ends_the_pause_before_the_next_connection() -> None:
    """A pause grows with each connection that gave nothing; whoever wants to end the reading is asked each second."""
    web = Web(Part(DATA[:100], broken()), broken(), broken(), Part(DATA[100:]))
    pauses: list[float] = []

    def look() -> None:
        if len(pauses) == 3:
            raise Cancelled("ann")

    source = WebSource(cast("Fetcher", web), URL, retries=9, look=look, headers=HEADERS, pause=pauses.append)
    source.open()
    with pytest.raises(Cancelled):
        list(source)
    assert pauses == [1, 1, 1]  # one before the second connection, two of two before the third
    assert len(web.asked) == 3


def gone_on(web: Web, validator: str, said: str | None = None) -> bytes | None:
    """Return what a source gives after a run before it has had 100 bytes; ``None``: it gives all."""
    source = WebSource(cast("Fetcher", web), URL, retries=2, headers=HEADERS, said=said, pause=lambda _s: None)
    if not source.go_on(100, len(DATA), validator):
        return None
    source.open()
    assert (source.size, source.validator) == (len(DATA), validator)
    try:
        return b"".join(source)
    finally:
        source.close()


def test_a_later_run_goes_on_where_the_data_is_still_the_same() -> None:
    web = Web(Part(DATA[100:101]), Part(DATA[100:130], broken()), Part(DATA[130:]))
    assert gone_on(web, '"one"') == DATA[100:]
    assert web.asked == [(100, '"one"', 1), (100, '"one"'), (130, '"one"')]


def test_a_later_run_goes_on_where_the_whole_is_held_to_the_same_hash() -> None:
    web = Web(Part(DATA[100:130], broken(), validator=None), Part(DATA[130:], validator=None))
    assert gone_on(web, "ab" * 32, said="ab" * 32) == DATA[100:]
    assert web.asked == [(100, None), (130, None)]
    assert gone_on(Web(), "ab" * 32, said="cd" * 32) is None


def _of_size(size: int | None) -> Part:
    part = Part(DATA[100:101])
    part.size = size
    return part


@pytest.mark.parametrize(
    "answer",
    [RemoteChanged(URL), broken(), broken(400), _of_size(300), _of_size(None), Part(b"")],
    ids=["other data", "nothing", "an error", "longer", "no length", "an end"],
)
def test_a_later_run_begins_anew_where_it_is_not_certain_that_the_data_is_the_same(
    answer: Part | HeadwaterError,
) -> None:
    assert gone_on(Web(answer), '"one"') is None
