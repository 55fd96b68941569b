"""A feed copied to where its readers fetch it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from headwater.errors import HeadwaterError
from headwater.streams.format.json_objects import MalformedDocument
from headwater.streams.format.layout import INDEX, INDEX2
from headwater.streams.publishing.done import Done
from headwater.streams.publishing.publish import NotAsNamed, Step, publish
from headwater.streams.signing.reading import NoStart, TooManyIndexes
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import DOCUMENT_LIMIT, Document, PathChanged, Tree, TreeInUse
from headwater.streams.writing import feed as feeds
from headwater.streams.writing import image_ids
from headwater.streams.writing.feed import FeedSigned
from headwater.streams.writing.image_ids import ImageId
from unit.streams.juju_lookup import Source, Wanted, find
from unit.streams.keys import OpenKey, open_key
from unit.streams.writing.trees import Killed, MortalTree, fetch_from

DATA = b"root file system" * 1000
DOCUMENTS = {INDEX, INDEX2, "streams/v1/mirrors.json", "streams/v1/images.json"} | {
    "streams/v1/com.ubuntu.cloud-released-imagemetadata.json"
}
KEYSTONE = "https://keystone.example:5000/v3"


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


@pytest.fixture
def source(tmp_path: Path) -> Tree:
    tree = DirectoryTree(tmp_path / "source")
    put(tree, "first")
    return tree


@pytest.fixture
def target(tmp_path: Path) -> Tree:
    return DirectoryTree(tmp_path / "target")


def put(tree: Tree, image_id: str, key: OpenKey | None = None) -> None:
    image = ImageId(id=image_id, region="RegionOne", endpoints=(KEYSTONE,), version="24.04")
    feeds.edit(tree, lambda feed: image_ids.add(feed, image, version="20260101"), signer=key.signer if key else None)


def put_files(tree: Tree, **item: object) -> None:
    """Add an entry whose one item is a file."""
    about = {"path": "images/root.squashfs", "size": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest(), **item}
    products = {"p": {"versions": {"20260101": {"items": {"root": about}}}}}
    tree.write("streams/v1/images.json", json.dumps({"products": products, "format": "products:1.0"}).encode())
    tree.write("images/root.squashfs", DATA)
    index = json.loads(tree.read(INDEX).body)
    index["index"]["images"] = {"path": "streams/v1/images.json", "products": ["p"], "format": "products:1.0"}
    for path in (INDEX, INDEX2):
        tree.write(path, json.dumps(index).encode())


def ids(tree: Tree) -> list[str]:
    return find(Source(fetch_from(tree)), Wanted("RegionOne", KEYSTONE, ["24.04"], ["amd64"])).ids


def test_a_feed_is_copied_and_then_as_it_was(source: Tree, target: Tree) -> None:
    put_files(source)
    source.write("notes/of-the-operator.txt", b"not of the feed")
    steps = publish(source, target)
    assert {step.done for step in steps} == {Done.ADDED}
    assert [step.path for step in steps] == [
        "images/root.squashfs",
        "streams/v1/com.ubuntu.cloud-released-imagemetadata.json",
        "streams/v1/images.json",
        "streams/v1/mirrors.json",
        "streams/v1/index.json",
        "streams/v1/index2.json",
    ]
    assert {entry.path for entry in target.list()} == {step.path for step in steps}
    assert ids(target) == ["first"]
    assert {step.done for step in publish(source, target)} == {Done.SAME}


class CountingTree(DirectoryTree):
    """A tree that knows how often each document was read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: Counter[str] = Counter()

    def read(self, path: str, limit: int = DOCUMENT_LIMIT) -> Document:
        self.reads[path] += 1
        return super().read(path, limit)


def test_each_document_is_read_once_on_each_side(source: Tree, tmp_path: Path) -> None:
    put_files(source)
    here, there = CountingTree(tmp_path / "source"), CountingTree(tmp_path / "target")
    publish(here, there)
    put(source, "newer")
    for what in ("what changed", "nothing"):
        here.reads.clear()
        there.reads.clear()
        changed = {step.path for step in publish(here, there) if step.done is Done.CHANGED}
        assert bool(changed) is (what == "what changed")
        for tree in (here, there):
            times = {count for path, count in tree.reads.items() if path in DOCUMENTS}
            assert (times, tree.reads.keys() >= DOCUMENTS) == ({1}, True), tree.reads


def test_only_what_changed_is_written(source: Tree, target: Tree) -> None:
    put_files(source)
    publish(source, target)
    put(source, "newer")
    told: list[str] = []
    publish(source, target, told=lambda step: told.append(f"{step.done} {step.path}"))
    assert "same images/root.squashfs" in told
    assert "changed streams/v1/com.ubuntu.cloud-released-imagemetadata.json" in told
    assert ids(target) == ["newer"]


def test_a_dry_run_writes_nothing(source: Tree, target: Tree, tmp_path: Path) -> None:
    steps = publish(source, target, dry_run=True)
    assert {step.done for step in steps} == {Done.ADDED}
    assert not (tmp_path / "target").exists()


def test_what_is_no_more_of_the_feed_goes_when_it_is_meant(source: Tree, target: Tree) -> None:
    publish(source, target)
    target.write("old/file", b"x")
    assert "old/file" not in [step.path for step in publish(source, target)]
    removed = [step for step in publish(source, target, remove=True) if step.done is Done.REMOVED]
    assert [step.path for step in removed] == ["old/file"]
    assert ids(target) == ["first"]


def test_signatures_go_along(source: Tree, target: Tree, key: OpenKey) -> None:
    put(source, "signed", key)
    source.write(f"{INDEX}.gpg", b"a detached signature")
    publish(source, target)
    assert target.read(f"{INDEX}.gpg").body == b"a detached signature"
    for name in ("index.sjson", "index2.sjson", "mirrors.sjson", "com.ubuntu.cloud-released-imagemetadata.sjson"):
        assert target.read(f"streams/v1/{name}").body == source.read(f"streams/v1/{name}").body


def test_an_older_signed_feed_does_not_hide_an_unsigned_one(source: Tree, target: Tree, key: OpenKey) -> None:
    put(target, "old", key)
    with pytest.raises(FeedSigned):
        publish(source, target)
    publish(source, target, remove=True)
    assert ids(target) == ["first"]
    assert not [entry for entry in target.list() if entry.path.endswith(".sjson")]


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({"size": 5}, "the feed says 5"),
        ({"sha256": "0" * 64}, "another SHA-256"),
        ({"path": "images/gone"}, "not there"),
    ],
)
def test_what_readers_would_refuse_is_not_published(
    source: Tree, target: Tree, item: dict[str, object], problem: str
) -> None:
    publish(source, target)
    put_files(source, **item)
    before = target.read(INDEX).body
    with pytest.raises(NotAsNamed, match=problem):
        publish(source, target)
    assert target.read(INDEX).body == before
    assert ids(target) == ["first"]


def test_a_publisher_that_is_killed_at_any_write_leaves_a_feed_that_is_read(tmp_path: Path, source: Tree) -> None:
    put_files(source)
    old = DirectoryTree(tmp_path / "old")
    put(old, "old")
    for dies_at in range(10):
        root = tmp_path / f"target-{dies_at}"
        publish(old, DirectoryTree(root))
        mortal = MortalTree(root, dies_at)
        try:
            publish(source, mortal)
        except Killed:
            assert ids(DirectoryTree(root)) in (["old"], ["first"])
            publish(source, DirectoryTree(root))
        assert ids(DirectoryTree(root)) == ["first"]
    assert mortal.writes < dies_at, "the last ones were not killed"


@pytest.mark.parametrize("named", [True, False], ids=["named by the feed before", "left by a run that was killed"])
def test_another_file_of_the_same_size_is_not_taken_for_the_same(source: Tree, target: Tree, *, named: bool) -> None:
    put_files(source)
    publish(source, target)
    other = DATA[::-1]
    target.write("images/root.squashfs", other)
    if named:
        about = {"sha256": hashlib.sha256(other).hexdigest()}
        put_files(target, **about)
        target.write("images/root.squashfs", other)
    else:
        for index in (INDEX, INDEX2):
            target.delete(index)
    steps = {step.path: step.done for step in publish(source, target)}
    assert steps["images/root.squashfs"] is Done.CHANGED
    assert target.read("images/root.squashfs").body == DATA
    if not named:
        target.delete(INDEX)
        target.delete(INDEX2)
        again = {step.path: step.done for step in publish(source, target)}
        assert again["images/root.squashfs"] is Done.SAME


def test_two_publishers_exclude_each_other(source: Tree, target: Tree) -> None:
    with target.exclusive("the first"), pytest.raises(TreeInUse, match="the first"):
        publish(source, target)


def test_an_index_that_others_change_meanwhile_is_not_written_over(source: Tree, target: Tree) -> None:
    publish(source, target)
    put(source, "newer")

    def others_write(_: Step) -> None:
        target.write(INDEX, b"{}")

    with pytest.raises(PathChanged):
        publish(source, target, told=others_write)
    assert target.read(INDEX).body == b"{}"


def test_indexes_of_indexes_are_followed_and_loops_end(source: Tree, target: Tree) -> None:
    entry = {"path": "streams/v1/more.json", "format": "index:1.0"}
    loop = {"path": INDEX, "format": "index:1.0"}
    source.write(INDEX, json.dumps({"index": {"more": entry}, "format": "index:1.0"}).encode())
    source.write("streams/v1/more.json", json.dumps({"index": {"loop": loop}, "format": "index:1.0"}).encode())
    assert "streams/v1/more.json" in [step.path for step in publish(source, target)]


def test_indexes_without_an_end_are_refused(source: Tree, target: Tree) -> None:
    many = {f"n{n}": {"path": f"streams/v1/n{n}.json", "format": "index:1.0"} for n in range(200)}
    for path in (INDEX, *(each["path"] for each in many.values())):
        source.write(path, json.dumps({"index": many, "format": "index:1.0"}).encode())
    with pytest.raises(TooManyIndexes):
        publish(source, target)


@pytest.mark.parametrize(
    ("path", "body", "error", "problem"),
    [
        (INDEX, b"<html>log in</html>", MalformedDocument, r"index\.json: top"),
        (INDEX, b'{"index": {"a": {"path": "../x"}}}', MalformedDocument, r"index\.json: .*path"),
        (image_ids.PRODUCTS_PATH, b"[]", MalformedDocument, "imagemetadata"),
    ],
)
def test_a_broken_document_is_named(
    source: Tree, target: Tree, path: str, body: bytes, error: type[HeadwaterError], problem: str
) -> None:
    source.write(path, body)
    with pytest.raises(error, match=problem):
        publish(source, target)


def test_a_tree_without_a_feed_is_named(tmp_path: Path, target: Tree) -> None:
    with pytest.raises(NoStart, match="nothing-here"):
        publish(DirectoryTree(tmp_path / "nothing-here"), target)
