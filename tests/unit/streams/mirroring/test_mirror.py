"""A feed mirrored from tree to tree: what is copied, what is left out, and what goes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from headwater.clock import now
from headwater.streams.format.layout import INDEX, INDEX2, MIRRORS
from headwater.streams.mirroring.mirror import NothingChosen, OtherFeed, SameTree, mirror
from headwater.streams.mirroring.names import STATE
from headwater.streams.mirroring.report import Report
from headwater.streams.mirroring.wanted import Wanted
from headwater.streams.publishing.done import Done
from headwater.streams.query.filters import parse_filters
from headwater.streams.signing.replay import OlderThanSeen
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import TreeInUse
from unit.streams.mirroring.feeds import (
    IMAGES,
    LATER,
    UPDATED,
    data,
    files,
    path_of,
    put,
    require_whole,
    said,
    to_bytes,
    trees,
    two_releases,
    versions,
)
from unit.streams.writing.trees import Killed, MortalTree

ONE, TWO = "example:one:amd64", "example:two:amd64"
HOUR = 3600 * 1_000_000


@pytest.fixture
def source(tmp_path: Path) -> DirectoryTree:
    tree = trees(tmp_path)[0]
    put(tree, two_releases())
    return tree


@pytest.fixture
def target(tmp_path: Path) -> DirectoryTree:
    return trees(tmp_path)[1]


def mirrored(source: DirectoryTree, target: DirectoryTree, *filters: str, at: int | None = None, **more: Any) -> Report:
    wanted = Wanted(filters=parse_filters(filters), **more)
    return mirror(source, target, wanted, clock=now if at is None else lambda: at)


def test_a_whole_feed_is_copied_byte_for_byte_and_then_left_alone(source: DirectoryTree, target: DirectoryTree) -> None:
    report = mirrored(source, target)
    assert report.is_good
    assert len(report.fetched) == 8
    for entry in source.list():
        assert target.read(entry.path).body == source.read(entry.path).body
    before = {each.path: each.tag for each in target.list()}
    again = mirrored(source, target)
    assert (again.fetched, again.same) == ([], 8)
    assert set(again.documents.values()) == {Done.SAME}
    assert {each.path: each.tag for each in target.list()} == before


def test_what_is_filtered_is_all_that_readers_find(source: DirectoryTree, target: DirectoryTree) -> None:
    report = mirrored(source, target, "release=one", "ftype=root.squashfs", most_versions=1)
    assert report.is_good
    path = path_of(ONE, "20260102", "root.squashfs")
    assert files(target) == report.fetched == [path]
    assert versions(target) == {ONE: ["20260102"]}
    assert list(said(target)["products"][ONE]["versions"]["20260102"]["items"]) == ["root.squashfs"]
    assert said(target, INDEX)["index"]["images"]["products"] == [ONE]
    assert said(target)["updated"] == UPDATED
    require_whole(target)
    assert mirrored(source, target, "release=one", "ftype=root.squashfs", most_versions=1).fetched == []


def test_regions_that_are_filtered_are_no_clouds_of_the_index(source: DirectoryTree, target: DirectoryTree) -> None:
    items = {name: {"id": f"id-{name}", "region": name, "endpoint": "https://x.example"} for name in ("north", "south")}
    document = {
        "datatype": "image-ids",
        "format": "products:1.0",
        "products": {"p": {"versions": {"20260101": {"items": items}}}},
    }
    entry = {
        "path": IMAGES,
        "format": "products:1.0",
        "clouds": [{"region": name, "endpoint": "https://x.example"} for name in items],
    }
    other = {"path": "streams/v1/other.json", "format": "products:1.0"}
    source.write(IMAGES, to_bytes(document))
    source.write("streams/v1/other.json", to_bytes({"format": "products:1.0", "products": {"q": {}}}))
    source.write(INDEX, to_bytes({"format": "index:1.0", "index": {"images": entry, "other": other}}))
    assert mirrored(source, target, "region=south").is_good
    assert list(said(target, INDEX)["index"]) == ["images"]
    assert said(target, INDEX)["index"]["images"]["clouds"] == [{"region": "south", "endpoint": "https://x.example"}]
    assert list(said(target)["products"]["p"]["versions"]["20260101"]["items"]) == ["south"]


def test_aliases_that_are_not_used_any_more_are_left_out(source: DirectoryTree, target: DirectoryTree) -> None:
    document = {
        "_aliases": {
            "crsn": {"n": {"region": "north", "zone": "z"}, "s": {"region": "south"}, "unused": {"region": "west"}},
            "zone": {"z": {"deep": "yes"}, "y": {"deep": "no"}},
        },
        "format": "products:1.0",
        "products": {"p": {"versions": {"1": {"items": {"a": {"id": "1", "crsn": "n"}, "b": {"crsn": "s"}}}}}},
    }
    source.write(IMAGES, to_bytes(document))
    assert mirrored(source, target, "region=north").is_good
    assert said(target)["_aliases"] == {
        "crsn": {"n": {"region": "north", "zone": "z"}},
        "zone": {"z": {"deep": "yes"}},
    }


def test_filters_that_nothing_passes_leave_the_target_as_it_is(source: DirectoryTree, target: DirectoryTree) -> None:
    mirrored(source, target)
    with pytest.raises(NothingChosen):
        mirrored(source, target, "release=onne")
    assert versions(target) == versions(source)


def test_metadata_alone_fetches_no_file(source: DirectoryTree, target: DirectoryTree) -> None:
    report = mirrored(source, target, metadata_only=True)
    assert (report.is_good, report.not_fetched, files(target)) == (True, 8, [])
    assert target.read(IMAGES).body == source.read(IMAGES).body


def test_the_secret_of_a_private_path_is_not_left_in_the_target(source: DirectoryTree, target: DirectoryTree) -> None:
    source.place, other = "https://images.example/streams/private/SECRET", DirectoryTree(source.root)
    other.place = "https://images.example/streams/private/ANOTHER"
    for _ in range(2):
        assert mirrored(source, target).is_good
    assert b"SECRET" not in target.read(STATE).body
    with pytest.raises(OtherFeed) as refused:
        mirrored(other, target)
    assert "SECRET" not in str(refused.value)
    state = json.loads(target.read(STATE).body)
    target.write(STATE, json.dumps({**state, "source": source.place}).encode())
    assert mirrored(source, target).is_good, "a mirror of a release that remembered the secret"
    assert b"SECRET" not in target.read(STATE).body


def test_what_vanished_goes_after_the_time_of_grace_and_not_before(
    source: DirectoryTree, target: DirectoryTree
) -> None:
    mirrored(source, target, at=0)
    contents = two_releases()
    gone = [path_of(ONE, "20260101", name) for name in contents[ONE].pop("20260101")]
    put(source, contents, LATER)
    report = mirrored(source, target, at=10 * HOUR)
    assert (report.removed, report.waiting) == ([], 2)
    assert set(gone) <= set(files(target))
    assert mirrored(source, target, at=10 * HOUR + HOUR).removed == []
    assert mirrored(source, target, at=12 * HOUR).removed == gone
    assert not set(gone) & set(files(target))
    assert json.loads(target.read(STATE).body)["unnamed"] == {}
    require_whole(target)


@pytest.mark.parametrize("hours", [math.inf, 1e300])
def test_what_vanished_may_stay_for_ever(source: DirectoryTree, target: DirectoryTree, hours: float) -> None:
    mirrored(source, target, at=0)
    contents = two_releases()
    del contents[ONE]["20260101"]
    put(source, contents, LATER)
    for at in (10 * HOUR, 10_000 * HOUR):
        report = mirrored(source, target, at=at, grace_s=hours * 3600)
        assert (report.removed, report.waiting) == ([], 2)


def test_what_is_named_again_before_it_goes_stays(source: DirectoryTree, target: DirectoryTree) -> None:
    mirrored(source, target, at=0)
    contents = two_releases()
    del contents[ONE]["20260101"]
    put(source, contents)
    mirrored(source, target, at=HOUR)
    put(source, two_releases())
    report = mirrored(source, target, at=9 * HOUR)
    assert (report.fetched, report.removed) == ([], [])
    require_whole(target)


def test_the_time_of_grace_begins_when_the_index_is_written(source: DirectoryTree, target: DirectoryTree) -> None:
    """A run that was killed before had noted them."""
    mirrored(source, target, at=0)
    contents = two_releases()
    del contents[ONE]["20260101"]
    put(source, contents)
    with pytest.raises(Killed):
        mirrored(source, MortalTree(target.root, 1), at=HOUR)
    assert mirrored(source, target, at=20 * HOUR).removed == []
    assert len(mirrored(source, target, at=22 * HOUR).removed) == 2


def test_files_of_a_run_that_was_killed_go_when_nobody_wants_them_any_more(
    source: DirectoryTree, target: DirectoryTree
) -> None:
    with pytest.raises(Killed):
        mirrored(source, MortalTree(target.root, 6), at=0, parallel=1)
    assert len(files(target)) == 5
    mirrored(source, target, "release=two", at=HOUR)
    mirrored(source, target, "release=two", at=4 * HOUR)
    assert {path.split("/")[2] for path in files(target)} == {"two"}


def test_foreign_files_stay(source: DirectoryTree, target: DirectoryTree) -> None:
    mirrored(source, target, at=0)
    target.write("notes.txt", b"of the operator")
    put(source, {ONE: two_releases()[ONE]})
    mirrored(source, target, at=HOUR)
    mirrored(source, target, at=9 * HOUR)
    assert target.read("notes.txt").body == b"of the operator"


def test_versions_that_the_source_dropped_are_kept_as_asked(source: DirectoryTree, target: DirectoryTree) -> None:
    mirrored(source, target, keep=3)
    newer = {ONE: {f"2026010{day}": {"root.squashfs": data(f"day {day}")} for day in (3, 4)}}
    put(source, newer, LATER)
    mirrored(source, target, keep=3)
    assert {name: sorted(found) for name, found in versions(target).items()} == {
        ONE: ["20260102", "20260103", "20260104"],
        TWO: ["20260101", "20260102"],
    }
    assert said(target, INDEX)["index"]["images"]["products"] == [ONE, TWO]
    require_whole(target)


def test_the_last_good_version_stays_when_the_newest_is_broken(source: DirectoryTree, target: DirectoryTree) -> None:
    mirrored(source, target, most_versions=1)
    contents = two_releases()
    contents[ONE] = {"20260103": {"root.squashfs": b"newer"}}
    put(source, contents, LATER)
    source.write(path_of(ONE, "20260103", "root.squashfs"), b"NEWER")
    report = mirrored(source, target, most_versions=1)
    assert not report.is_good
    assert report.left_out == [(ONE, "20260103")]
    assert versions(target) == {ONE: ["20260102"], TWO: ["20260102"]}
    require_whole(target)


def test_one_bad_file_keeps_neither_the_others_nor_other_versions_away(
    source: DirectoryTree, target: DirectoryTree
) -> None:
    bad = path_of(ONE, "20260102", "root.squashfs")
    source.delete(bad)
    report = mirrored(source, target)
    assert [each.file.path for each in report.bad] == [bad]
    assert bad in report.bad[0].problem
    assert versions(target) == {ONE: ["20260101"], TWO: ["20260101", "20260102"]}
    require_whole(target)
    put(source, two_releases())
    assert mirrored(source, target).fetched == [bad]
    assert target.read(IMAGES).body == source.read(IMAGES).body


def test_a_mirror_that_is_killed_at_any_write_is_whole_and_goes_on(source: DirectoryTree, tmp_path: Path) -> None:
    old = DirectoryTree(tmp_path / "old")
    put(old, {ONE: {"20260100": {"root.squashfs": data("old")}}})
    put(source, {ONE: {"20260103": {name: data(f"new {name}") for name in ("a", "b")}}}, LATER)
    for dies_at in range(10):
        target = DirectoryTree(tmp_path / f"target-{dies_at}")
        mirror(old, target)
        mortal = MortalTree(target.root, dies_at)
        try:
            mirror(source, mortal, Wanted(replace=True, parallel=1))
        except Killed:
            require_whole(target)
            mirror(source, target, Wanted(replace=True))
        require_whole(target)
        assert versions(target) == versions(source)
    assert mortal.writes < dies_at, "the last ones were not killed"


def test_a_mirror_that_is_killed_while_it_removes_files_goes_on(source: DirectoryTree, target: DirectoryTree) -> None:
    class DiesRemoving(DirectoryTree):
        def delete(self, path: str) -> None:
            super().delete(path)
            raise Killed

    mirrored(source, target, at=0)
    put(source, {ONE: two_releases()[ONE]}, LATER)
    mirrored(source, target, at=HOUR)
    for _ in range(2):
        with pytest.raises(Killed):
            mirrored(source, DiesRemoving(target.root), at=9 * HOUR)
        require_whole(target)
    mirrored(source, target, at=9 * HOUR)
    assert files(target) == files(DirectoryTree(source.root))[:4]
    assert json.loads(target.read(STATE).body)["unnamed"] == {}


def test_a_dry_run_tells_and_writes_nothing(source: DirectoryTree, target: DirectoryTree) -> None:
    report = mirrored(source, target, dry_run=True)
    assert len(report.fetched) == 8
    assert report.documents == {IMAGES: Done.ADDED, INDEX: Done.ADDED}
    assert not target.root.exists()


def test_a_dry_run_tells_what_would_be_removed(source: DirectoryTree, target: DirectoryTree) -> None:
    mirrored(source, target, at=0)
    contents = two_releases()
    del contents[TWO]
    put(source, contents)
    assert len(mirrored(source, target, at=HOUR, grace_s=0, dry_run=True).removed) == 4
    assert len(files(target)) == 8


def test_a_file_that_never_came_is_not_said_to_be_removed(source: DirectoryTree, target: DirectoryTree) -> None:
    absent, beside = (path_of(ONE, "20260102", name) for name in ("root.squashfs", "meta.tar.xz"))
    source.delete(absent)
    mirrored(source, target, at=0)
    assert {absent, beside} <= json.loads(target.read(STATE).body)["unnamed"].keys()
    assert mirrored(source, target, at=HOUR, grace_s=0).removed == [beside]


def test_two_mirrors_of_one_target_exclude_each_other(source: DirectoryTree, target: DirectoryTree) -> None:
    with target.exclusive("headwater streams mirror"), pytest.raises(TreeInUse):
        mirrored(source, target)


def test_an_older_feed_is_refused_unless_it_is_asked_for(source: DirectoryTree, target: DirectoryTree) -> None:
    put(source, two_releases(), LATER)
    mirrored(source, target)
    put(source, {ONE: two_releases()[ONE]}, UPDATED)
    with pytest.raises(OlderThanSeen):
        mirrored(source, target)
    assert versions(target) == {ONE: ["20260101", "20260102"], TWO: ["20260101", "20260102"]}
    assert mirrored(source, target, allow_older=True).is_good
    assert list(versions(target)) == [ONE]


def test_an_older_products_document_with_a_newer_index_is_refused(source: DirectoryTree, target: DirectoryTree) -> None:
    put(source, two_releases(), LATER)
    mirrored(source, target)
    index = source.read(INDEX).body
    put(source, {ONE: two_releases()[ONE]}, UPDATED)
    source.write(INDEX, index)
    with pytest.raises(OlderThanSeen, match=r"images\.json"):
        mirrored(source, target)


def test_a_feed_that_is_no_mirror_is_not_written_over(
    source: DirectoryTree, target: DirectoryTree, tmp_path: Path
) -> None:
    put(target, {"mine:x": {"1": {"a": b"mine"}}})
    with pytest.raises(OtherFeed, match="no mirror wrote"):
        mirrored(source, target)
    assert list(versions(target)) == ["mine:x"]
    assert mirrored(source, target, replace=True).is_good
    elsewhere = DirectoryTree(tmp_path / "elsewhere")
    put(elsewhere, {ONE: two_releases()[ONE]}, LATER)
    with pytest.raises(OtherFeed, match=r"a mirror of .*source"):
        mirrored(elsewhere, target)
    with pytest.raises(SameTree):
        mirrored(source, source)


def test_a_file_that_was_spoiled_is_fetched_anew_when_it_is_asked_for(
    source: DirectoryTree, target: DirectoryTree
) -> None:
    mirrored(source, target)
    spoiled, short, lost = (
        path_of(ONE, "20260101", "meta.tar.xz"),
        path_of(TWO, "20260101", "meta.tar.xz"),
        path_of(TWO, "20260102", "meta.tar.xz"),
    )
    target.write(spoiled, target.read(spoiled).body[:-1] + b"?")
    target.write(short, b"short")
    target.delete(lost)
    report = mirrored(source, target, hashes_all=True)
    assert sorted(report.fetched) == sorted([spoiled, short, lost])
    assert sorted(report.repaired) == sorted([spoiled, short])
    require_whole(target)


def test_files_that_were_there_before_the_first_run_are_taken_if_they_are_right(
    source: DirectoryTree, target: DirectoryTree
) -> None:
    right, wrong = path_of(ONE, "20260101", "meta.tar.xz"), path_of(ONE, "20260102", "meta.tar.xz")
    target.write(right, source.read(right).body)
    target.write(wrong, b"?" * len(source.read(wrong).body))
    report = mirrored(source, target)
    assert right not in report.fetched
    assert wrong in report.fetched
    require_whole(target)


def test_a_file_that_the_source_replaced_under_its_name_is_fetched(
    source: DirectoryTree, target: DirectoryTree
) -> None:
    mirrored(source, target)
    contents = two_releases()
    body = contents[ONE]["20260101"]["meta.tar.xz"]
    contents[ONE]["20260101"]["meta.tar.xz"] = body[:-1] + b"?"
    put(source, contents, LATER)
    assert mirrored(source, target).fetched == [path_of(ONE, "20260101", "meta.tar.xz")]
    require_whole(target)


def test_both_indexes_and_the_mirrors_come_along(source: DirectoryTree, target: DirectoryTree) -> None:
    source.write(INDEX2, source.read(INDEX).body)
    more = {"path": "streams/v1/cpc-mirrors.json", "datatype": "image-ids", "format": "mirrors:1.0"}
    source.write(MIRRORS, to_bytes({"mirrors": {"images": [more]}}))
    loop = {"path": MIRRORS}
    source.write("streams/v1/cpc-mirrors.json", to_bytes({"mirrors": {"images": [loop, more]}}))
    report = mirrored(source, target)
    assert list(report.documents) == [IMAGES, "streams/v1/cpc-mirrors.json", MIRRORS, INDEX2, INDEX]
    assert mirrored(source, target, "release=one").is_good
    assert said(target, INDEX2) == said(target, INDEX)
    assert said(target, MIRRORS) == {"mirrors": {}}, "those of the source have what is not wanted here"


def test_indexes_of_indexes_are_copied_and_filtered_with_what_they_name(
    source: DirectoryTree, target: DirectoryTree
) -> None:
    nested, empty = "streams/v1/nested.json", "streams/v1/empty.json"
    source.write(nested, source.read(INDEX).body)
    source.write(empty, to_bytes({"format": "index:1.0", "index": {"loop": {"path": INDEX, "format": "index:1.0"}}}))
    entries = {name: {"path": name, "format": "index:1.0"} for name in (nested, empty)}
    source.write(INDEX, to_bytes({"format": "index:1.0", "index": entries}))
    assert mirrored(source, target).is_good
    assert target.read(nested).body == source.read(nested).body
    assert mirrored(source, target, "release=one").is_good
    assert list(said(target, INDEX)["index"]) == [nested]
    assert said(target, nested)["index"]["images"]["products"] == [ONE]
