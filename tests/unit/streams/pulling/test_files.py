"""Files that a feed names: which can be verified, and what becomes of those that are wrong."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.caching.fills import Fill
from headwater.errors import Unavailable
from headwater.streams.pulling.files import FileWrong, NamedFile, named_files
from headwater.streams.trees.served.file import NotInTree, TreeDown
from unit.streams.pulling.far import INDEX, MAX_AGE_S, PRODUCTS, Far, House, index, products

DATA = bytes(range(256)) * 50
SHA256 = hashlib.sha256(DATA).hexdigest()


def document(item: dict[str, Any], **above: Any) -> dict[str, Any]:
    return {"products": {"p": {"versions": {"v": {"items": {"i": item}, **above}}}}}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"path": "a", "size": 5, "sha256": SHA256}, ("sha256", 5)),
        ({"path": "a", "size": "5", "sha256": SHA256.upper()}, ("sha256", 5)),
        ({"path": "a", "size": 5, "md5": "ab" * 16, "sha256": SHA256, "sha512": "cd" * 64}, ("sha512", 5)),
        ({"path": "a", "size": 5, "md5": "ab" * 16}, ("md5", 5)),
        ({"path": "a", "size": 5, "sha512": "cd" * 63, "sha256": SHA256}, ("sha256", 5)),
        ({"path": "a", "size": 0, "sha256": SHA256}, ("sha256", 0)),
        ({"path": "a", "size": 5}, None),
        ({"path": "a", "sha256": SHA256}, None),
        ({"path": "a", "size": -5, "sha256": SHA256}, None),
        ({"path": "a", "size": True, "sha256": SHA256}, None),
        ({"path": "a", "size": 5.5, "sha256": SHA256}, None),
        ({"path": "a", "size": 1 << 70, "sha256": SHA256}, None),
        ({"path": "../a", "size": 5, "sha256": SHA256}, None),
        ({"path": "/a", "size": 5, "sha256": SHA256}, None),
        ({"path": ["a"], "size": 5, "sha256": SHA256}, None),
        ({"path": "a", "size": 5, "sha256": [SHA256]}, None),
        ({"id": "ami-1"}, None),
    ],
)
def test_a_file_has_a_path_a_size_and_its_strongest_hash(
    item: dict[str, Any], expected: tuple[str, int] | None
) -> None:
    found = named_files(document(item)).get("a")
    assert (None if found is None else (found.algorithm, found.size)) == expected


def test_what_stands_above_holds_for_what_is_below() -> None:
    (found,) = named_files(document({"path": "a"}, size=5, sha256=SHA256)).values()
    assert found == NamedFile("a", 5, "sha256", SHA256)


@pytest.mark.parametrize(
    "odd", [{}, {"products": []}, {"products": {"p": 5}}, {"products": {"p": {"versions": {"v": {"items": [1]}}}}}]
)
def test_a_document_without_files_names_none(odd: dict[str, Any]) -> None:
    assert named_files(odd) == {}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    far = Far()
    far.files = {INDEX: index(), PRODUCTS: products(a=DATA), "a": DATA}
    made = House(tmp_path / "pulled", far)
    yield made
    made.close()


def fetched(house: House, path: str = "a") -> Fill | Path:
    """Return what became of a fetch, once it is over."""
    named = house.tree.named(path)
    assert named is not None
    found = house.tree.fetch(named[0])
    assert found is not None
    if isinstance(found, Fill):
        until(lambda: found.is_over)
    return found


def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        time.sleep(0.005)
    pytest.fail("it takes too long")


def test_a_file_is_fetched_once_and_kept(house: House) -> None:
    fetched(house)
    assert house.get("a") == DATA
    assert house.far.asked["a"] == 1
    assert house.tally.counts["bytes"] == len(DATA)
    (kept,) = house.tree.kept.files()
    assert kept.name == f"file.sha256.{SHA256}.{len(DATA)}"


@pytest.mark.parametrize("wrong", [DATA[:-1] + b"?", DATA + b"more", DATA[:-5], b""])
def test_a_file_that_is_wrong_is_not_kept_and_asked_for_again_later(house: House, wrong: bytes) -> None:
    house.far.files["a"] = wrong
    found = fetched(house)
    assert isinstance(found, Fill)
    assert isinstance(found.error, FileWrong)
    assert found.arrived < found.size
    assert house.tree.kept.files() == []
    with pytest.raises(TreeDown, match="a moment ago"):
        fetched(house)
    house.far.files["a"] = DATA
    house.now += 60
    fetched(house)
    assert house.get("a") == DATA


def test_a_file_that_was_replaced_is_found_by_asking_for_its_document_again(house: House) -> None:
    house.get(PRODUCTS)
    newer = b"newer" * 1000
    house.far.files |= {"a": newer, PRODUCTS: products(a=newer)}  # of the same path, as agents are
    found = fetched(house)
    assert isinstance(found, Fill)
    assert isinstance(found.error, FileWrong)
    fetched(house)
    assert house.get("a") == newer


def test_a_file_that_its_server_has_no_more_is_not_there(house: House) -> None:
    house.get(PRODUCTS)
    del house.far.files["a"]
    found = fetched(house)
    assert isinstance(found, Fill)
    assert found.error is not None
    assert "there is no a" in str(found.error)


def test_what_was_begun_is_gone_on_with_and_held_against_the_hash_as_a_whole(house: House) -> None:
    named = house.tree.named("a")
    assert named is not None
    begun = house.tree.kept.begin(named[0].name)
    assert not isinstance(begun, Path | None)
    os.write(begun.file, DATA[:1000])
    os.close(begun.file)  # its process has died
    assert isinstance(fetched(house), Fill)
    assert house.tally.counts["bytes"] == len(DATA) - 1000
    assert house.get("a") == DATA


def test_a_beginning_that_is_wrong_is_thrown_away(house: House) -> None:
    named = house.tree.named("a")
    assert named is not None
    begun = house.tree.kept.begin(named[0].name)
    assert not isinstance(begun, Path | None)
    os.write(begun.file, b"?" * 1000)
    os.close(begun.file)
    assert isinstance(fetched(house), Fill)
    house.now += 60
    assert isinstance(fetched(house), Fill)
    assert house.get("a") == DATA


def test_a_server_that_dies_in_the_middle_leaves_a_beginning(house: House) -> None:
    house.get(PRODUCTS)

    def pieces(_path: str, start: int) -> Iterator[bytes]:
        yield DATA[start:1000]
        yield DATA[1000:2000]
        raise Unavailable("the connection broke off")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(house.far, "pieces", pieces)
        fetched(house)
    fetched(house)
    assert house.get("a") == DATA
    assert house.tally.counts["bytes"] == len(DATA)


def test_a_file_that_is_kept_outlives_its_place_in_the_feed_for_a_while(house: House) -> None:
    fetched(house)
    house.far.files |= {PRODUCTS: products(b=b"other"), "c": b"never named"}
    house.now += MAX_AGE_S
    assert json.loads(house.get(PRODUCTS)) == json.loads(house.far.files[PRODUCTS])
    assert house.get("a") == DATA
    with pytest.raises(NotInTree):
        house.get("c")
    house.now += 2 * 3600
    with pytest.raises(NotInTree):
        house.get("a")


def test_only_what_the_feed_names_with_a_hash_is_fetched(house: House) -> None:
    items = {"items": {"i": {"path": "bare", "size": 4}}}
    bare = {"format": "products:1.0", "products": {"p": {"versions": {"v": items}}}}
    house.far.files |= {PRODUCTS: json.dumps(bare).encode(), "bare": b"data", "other": b"data"}
    for path in ("bare", "other", "a", "streams/v1/../a"):
        with pytest.raises(NotInTree):
            house.get(path)
    assert not house.far.asked["bare"] + house.far.asked["other"] + house.far.asked["a"]


def test_documents_of_image_ids_are_not_read_for_files(house: House) -> None:
    house.far.files[INDEX] = index(datatype="image-ids")
    with pytest.raises(NotInTree):
        house.get("a")
    assert not house.far.asked[PRODUCTS]


def test_files_are_given_while_the_server_is_dead(house: House) -> None:
    fetched(house)
    house.far.die()
    house.now += 10 * MAX_AGE_S
    assert house.get("a") == DATA
    with pytest.raises(NotInTree):
        house.get("b")
