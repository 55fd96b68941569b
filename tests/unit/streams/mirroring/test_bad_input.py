"""What others write wrongly, or on purpose: refused with the file, the place in it, and nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwater.errors import HeadwaterError
from headwater.streams.format.json_objects import MalformedDocument, UnsafePath
from headwater.streams.format.layout import INDEX, INDEX2
from headwater.streams.mirroring.mirror import mirror
from headwater.streams.mirroring.names import STATE
from headwater.streams.mirroring.wanted import Wanted
from headwater.streams.query.filters import FilterUnusable, parse_filters
from headwater.streams.signing.reading import NoStart, TooManyIndexes
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import PathNotFound, TreeCannot
from headwater.streams.trees.web import WebTree
from unit.streams.mirroring.feeds import IMAGES, files, put, said, to_bytes, trees, two_releases, versions

ONE = "example:one:amd64"


@pytest.fixture
def source(tmp_path: Path) -> DirectoryTree:
    tree = trees(tmp_path)[0]
    put(tree, two_releases())
    return tree


@pytest.fixture
def target(tmp_path: Path) -> DirectoryTree:
    return trees(tmp_path)[1]


def items(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["products"][ONE]["versions"]["20260101"]["items"]
    return found


@pytest.mark.parametrize(
    "path",
    [
        "../outside",
        "/etc/passwd",
        "images/../../outside",
        "images/..",
        "%2e%2e/outside",
        "https://elsewhere.example/file",
        "a\\b",
        "",
        INDEX,
        "streams",
        "streams/v1",
        "streams/v1/other.json",
        "./streams/v1/index.sjson",
        "streams//v1/index.json.gpg",
        STATE,
        "headwater-writer.json",
        "headwater-deletions.json",
        ".headwater-lock",
        "images/.headwater-0123",
    ],
)
def test_a_file_that_would_lie_elsewhere_is_refused_with_its_item(
    source: DirectoryTree, target: DirectoryTree, path: str
) -> None:
    document = said(source)
    items(document)["meta.tar.xz"]["path"] = path
    source.write(IMAGES, to_bytes(document))
    with pytest.raises(UnsafePath) as refused:
        mirror(source, target)
    assert "images.json: " in str(refused.value)
    assert 'versions["20260101"].items["meta.tar.xz"]' in str(refused.value) or "path" in refused.value.where
    assert list(target.list()) == []


@pytest.mark.parametrize("path", ["../x.json", "/x.json", STATE, ".headwater-x"])
def test_a_document_that_would_lie_elsewhere_is_refused(
    source: DirectoryTree, target: DirectoryTree, path: str
) -> None:
    index = said(source, INDEX)
    index["index"]["images"]["path"] = path
    source.write(INDEX, to_bytes(index))
    with pytest.raises(MalformedDocument, match="the path"):
        mirror(source, target)
    assert list(target.list()) == []


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        (INDEX, b"<html>log in</html>", r"index\.json: .*web page"),
        (IMAGES, b"<html>log in</html>", r"images\.json: .*web page"),
        (IMAGES, b"not JSON", r"images\.json: .*not JSON"),
        (IMAGES, b'\xef\xbb\xbf{"products": {}}', r"images\.json: "),
        (IMAGES, b"[]", r"images\.json: .*object"),
        (IMAGES, b"{}", r"images\.json: .*products"),
        (IMAGES, b'{"products": {"p": {"versions": {"1": {"items": {"i": 5}}}}}}', r'images\.json: .*items\["i"\]'),
        (IMAGES, b'{"products": {"p": {}, "p": {}}}', r"images\.json: .*twice"),
        (IMAGES, b'{"products": {"p": {"versions": {"1": {"items": {"i": {"path": "a", "size": "x"}}}}}}}', "size"),
        (INDEX, b'{"index": {"a": {"datatype": "x"}}}', r"index\.json: .*path"),
        (INDEX, b'{"format": "index:2.0", "index": {}}', r"index\.json: .*format"),
    ],
)
def test_a_document_that_is_none_is_named(
    source: DirectoryTree, target: DirectoryTree, path: str, body: bytes, problem: str
) -> None:
    mirror(source, target)
    before = {each.path: target.read(each.path).body for each in target.list()}
    source.write(path, body)
    with pytest.raises(MalformedDocument, match=problem):
        mirror(source, target)
    assert {each.path: target.read(each.path).body for each in target.list()} == before


def test_a_document_that_the_index_names_and_that_is_not_there_is_named(
    source: DirectoryTree, target: DirectoryTree
) -> None:
    source.delete(IMAGES)
    with pytest.raises(PathNotFound, match=r"images\.json, which the index names for images"):
        mirror(source, target)


def test_a_tree_without_a_feed_is_named(tmp_path: Path, target: DirectoryTree) -> None:
    with pytest.raises(NoStart, match="nothing-here"):
        mirror(DirectoryTree(tmp_path / "nothing-here"), target)


def test_loops_of_indexes_end_and_indexes_without_an_end_are_refused(
    source: DirectoryTree, target: DirectoryTree
) -> None:
    loop = {"path": INDEX, "format": "index:1.0"}
    index = said(source, INDEX)
    index["index"]["loop"] = loop
    source.write(INDEX, to_bytes(index))
    report = mirror(source, target)
    assert report.is_good
    assert any("leads back to" in each for each in report.warnings)
    many = {f"n{n}": {"path": f"streams/v1/n{n}.json", "format": "index:1.0"} for n in range(200)}
    for path in (INDEX, *(each["path"] for each in many.values())):
        source.write(path, to_bytes({"index": many, "format": "index:1.0"}))
    with pytest.raises(TooManyIndexes):
        mirror(source, target)


def test_items_that_disagree_about_a_file_do_not_get_it(source: DirectoryTree, target: DirectoryTree) -> None:
    document = said(source)
    found = items(document)
    found["again"] = {**found["meta.tar.xz"], "sha256": "0" * 64}
    found["twin"] = {**found["meta.tar.xz"], "ftype": "incus.tar.xz"}
    source.write(IMAGES, to_bytes(document))
    report = mirror(source, target)
    assert [each.problem.partition(": ")[2] for each in report.bad] == [
        f"{found['meta.tar.xz']['path']}: items disagree about its size or its hash"
    ]
    assert versions(target)[ONE] == ["20260102"]


def test_a_file_that_would_be_a_directory_or_a_document_is_left_out(
    source: DirectoryTree, target: DirectoryTree
) -> None:
    index, document = said(source, INDEX), said(source)
    index["index"]["more"] = {"path": "more.json", "format": "products:1.0"}
    source.write(INDEX, to_bytes(index))
    source.write("more.json", to_bytes({"format": "products:1.0", "products": {}}))
    found = items(document)
    found["directory"] = {**found["meta.tar.xz"], "path": "images/example/two"}
    found["document"] = {**found["meta.tar.xz"], "path": "./more.json"}
    source.write(IMAGES, to_bytes(document))
    report = mirror(source, target)
    assert [each.problem.rpartition(": ")[2] for each in report.bad] == [
        "it is a document of the feed too",
        "it is a directory of other files too",
    ]
    assert target.read("more.json").body == source.read("more.json").body
    assert versions(target)[ONE] == ["20260102"]


def test_the_strongest_that_items_say_of_a_file_counts(source: DirectoryTree, target: DirectoryTree) -> None:
    document = said(source)
    found = items(document)
    first = found["meta.tar.xz"]
    found["meta.tar.xz"] = {key: value for key, value in first.items() if key != "sha256"}
    found["again"] = {key: value for key, value in first.items() if key != "size"}
    source.write(IMAGES, to_bytes(document))
    assert mirror(source, target).is_good
    source.write(first["path"], source.read(first["path"]).body[:-1] + b"?")
    target.delete(first["path"])
    assert [each.file.path for each in mirror(source, target).bad] == [first["path"]]


def test_a_file_of_which_no_hash_is_told_is_fetched_only_when_it_is_asked_for(
    source: DirectoryTree, target: DirectoryTree
) -> None:
    document = said(source)
    del items(document)["meta.tar.xz"]["sha256"]
    source.write(IMAGES, to_bytes(document))
    report = mirror(source, target)
    assert "no hash" in report.bad[0].problem
    assert mirror(source, target, Wanted(unhashed=True)).is_good
    assert files(target) == files(source)
    assert mirror(source, target, Wanted(unhashed=True)).fetched == []


def test_an_entry_of_a_format_that_nobody_knows_is_copied_and_not_followed(
    source: DirectoryTree, target: DirectoryTree
) -> None:
    index = said(source, INDEX)
    index["index"]["other"] = {"path": "streams/v1/other.txt", "format": "something:9"}
    for path in (INDEX, INDEX2):
        source.write(path, to_bytes(index))
    source.write("streams/v1/other.txt", b"anything")
    report = mirror(source, target)
    assert report.is_good
    assert target.read("streams/v1/other.txt").body == b"anything"
    (warning,) = report.to_dict()["warnings"]
    assert warning.startswith(f"{INDEX2}: the entry 'other' is of the format 'something:9', and ")
    assert "copied as it is, and no file that it names (streams/v1/other.txt)" in warning
    report = mirror(source, target, Wanted(filters=parse_filters(["release=one"])))
    assert list(said(target, INDEX)["index"]) == ["images"]
    (warning,) = report.warnings
    assert "it is left out" in warning


def test_a_target_that_cannot_be_written_is_named(source: DirectoryTree) -> None:
    with pytest.raises(TreeCannot, match="it cannot be written"):
        mirror(source, WebTree("https://read-only.example"))
    blocked = DirectoryTree(source.root / "streams" / "v1" / "index.json" / "below")
    with pytest.raises(HeadwaterError, match="below"):
        mirror(source, blocked)


def test_what_is_no_filter_is_named() -> None:
    with pytest.raises(FilterUnusable):
        parse_filters(["release"])


def test_a_state_that_nobody_can_read_is_forgotten(source: DirectoryTree, target: DirectoryTree) -> None:
    mirror(source, target)
    for body in (b"not JSON", b"[]", b'{"seen": 5, "unnamed": {"a": "b"}, "source": []}'):
        target.write(STATE, body)
        assert mirror(source, target).is_good
