"""Signed feeds mirrored: verified, copied with their signatures, or signed anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headwater.streams.format.documents import signed_name
from headwater.streams.format.layout import INDEX, INDEX2, MIRRORS
from headwater.streams.mirroring.documents.choosing import files_of
from headwater.streams.mirroring.mirror import mirror
from headwater.streams.mirroring.wanted import Wanted
from headwater.streams.publishing.done import Done
from headwater.streams.query.filters import parse_filters
from headwater.streams.query.reading import KeyringNeeded
from headwater.streams.signing.feeds.check import check_feed
from headwater.streams.signing.feeds.sign import NoSignedName, sign_feed
from headwater.streams.signing.reading import FeedReader, Form, NotSigned, NotVerified
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.writing.feed import FeedSigned
from unit.streams.keys import OpenKey, open_key
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

ONE = "example:one:amd64"
SIGNED = signed_name(INDEX)


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


@pytest.fixture(scope="module")
def own_key() -> OpenKey:
    return open_key()


@pytest.fixture
def source(tmp_path: Path, key: OpenKey) -> DirectoryTree:
    tree = trees(tmp_path)[0]
    put(tree, two_releases())
    tree.write(INDEX2, tree.read(INDEX).body)
    tree.write(MIRRORS, to_bytes({"mirrors": {}}))
    sign_feed(tree, key.signer)
    return tree


@pytest.fixture
def target(tmp_path: Path) -> DirectoryTree:
    return trees(tmp_path)[1]


def problems(tree: DirectoryTree, key: OpenKey) -> list[str]:
    return [f"{each.path}: {each.problem}" for each in check_feed(tree, [key.certificate]) if each.problem]


def test_a_signed_feed_is_verified_and_copied_with_all_its_signatures(
    source: DirectoryTree, target: DirectoryTree, key: OpenKey
) -> None:
    report = mirror(source, target, trusted=[key.certificate])
    assert report.is_good
    for entry in source.list():
        assert target.read(entry.path).body == source.read(entry.path).body, entry.path
    assert list(report.documents)[-1] == SIGNED
    assert problems(target, key) == []
    assert set(mirror(source, target, trusted=[key.certificate]).documents.values()) == {Done.SAME}


def test_a_signed_feed_is_not_copied_unless_somebody_says_whom_to_believe(
    source: DirectoryTree, target: DirectoryTree, own_key: OpenKey
) -> None:
    with pytest.raises(KeyringNeeded):
        mirror(source, target)
    with pytest.raises(NotVerified):
        mirror(source, target, trusted=[own_key.certificate])
    assert list(target.list()) == []
    assert mirror(source, target, verifies=False).is_good
    assert target.read(SIGNED).body == source.read(SIGNED).body


def test_a_feed_that_is_signed_beside_alone_is_verified(tmp_path: Path, target: DirectoryTree, key: OpenKey) -> None:
    source = trees(tmp_path)[0]
    put(source, two_releases())
    sign_feed(source, key.signer, forms=[Form.DETACHED])
    with pytest.raises(KeyringNeeded):
        mirror(source, target)
    assert mirror(source, target, trusted=[key.certificate]).is_good
    assert target.read(f"{INDEX}.gpg").body == source.read(f"{INDEX}.gpg").body


def test_an_unsigned_feed_is_refused_when_keys_are_named(tmp_path: Path, target: DirectoryTree, key: OpenKey) -> None:
    source = DirectoryTree(tmp_path / "unsigned")
    put(source, two_releases())
    with pytest.raises(NotSigned):
        mirror(source, target, trusted=[key.certificate])


@pytest.mark.parametrize("path", [INDEX, IMAGES])
def test_an_unsigned_twin_that_says_something_else_does_not_come_along(
    source: DirectoryTree, target: DirectoryTree, key: OpenKey, path: str
) -> None:
    document = said(source, path)
    document["updated"] = LATER
    source.write(path, to_bytes(document))
    with pytest.raises(NotVerified, match="something else"):
        mirror(source, target, trusted=[key.certificate])
    assert list(target.list()) == []


def test_a_signature_beside_that_is_not_good_is_left_out(
    source: DirectoryTree, target: DirectoryTree, key: OpenKey, own_key: OpenKey
) -> None:
    source.write(f"{IMAGES}.gpg", own_key.signer.sign_detached(source.read(IMAGES).body))
    report = mirror(source, target, trusted=[key.certificate])
    assert f"{IMAGES}.gpg" not in report.documents
    assert any(f"{IMAGES}.gpg" in each for each in report.warnings)


def test_what_is_filtered_has_no_signature_of_others(
    source: DirectoryTree, target: DirectoryTree, key: OpenKey
) -> None:
    wanted = Wanted(filters=parse_filters(["release=one"]))
    assert mirror(source, target, wanted, trusted=[key.certificate]).is_good
    assert not [each.path for each in target.list() if each.path.endswith((".sjson", ".gpg"))]
    assert list(versions(target)) == [ONE]
    assert said(target, INDEX)["index"]["images"]["path"] == IMAGES


def test_what_is_filtered_is_signed_by_our_key_when_it_is_asked_for(
    source: DirectoryTree, target: DirectoryTree, key: OpenKey, own_key: OpenKey
) -> None:
    wanted = Wanted(filters=parse_filters(["release=one"]))

    def run() -> set[Done]:
        report = mirror(source, target, wanted, trusted=[key.certificate], signer=own_key.signer)
        return {done for path, done in report.documents.items() if "mirrors" not in path}

    assert run() == {Done.ADDED}
    assert problems(target, own_key) == []
    assert said(target, INDEX2) == said(target, INDEX)
    require_whole(target)
    assert run() == {Done.SAME}
    put(source, {**two_releases(), ONE: {"20260103": {"root.squashfs": data("newer")}}}, LATER)
    source.write(INDEX2, source.read(INDEX).body)
    sign_feed(source, key.signer)
    assert run() == {Done.CHANGED}
    assert problems(target, own_key) == []


def test_a_document_that_has_no_signed_name_is_named(tmp_path: Path, target: DirectoryTree, own_key: OpenKey) -> None:
    source = trees(tmp_path)[0]
    put(source, two_releases())
    source.write("streams/v1/images.txt", source.read(IMAGES).body)
    index = said(source, INDEX)
    index["index"]["images"]["path"] = "streams/v1/images.txt"
    source.write(INDEX, to_bytes(index))
    with pytest.raises(NoSignedName, match=r"images\.txt"):
        mirror(source, target, signer=own_key.signer)
    assert list(target.list("streams/")) == []


def test_the_same_feed_is_signed_anew_as_a_whole(
    source: DirectoryTree, target: DirectoryTree, key: OpenKey, own_key: OpenKey
) -> None:
    assert mirror(source, target, trusted=[key.certificate], signer=own_key.signer).is_good
    assert problems(target, own_key) == []
    assert versions(target) == versions(source)


def test_an_unsigned_mirror_is_not_written_beside_a_signed_index(
    source: DirectoryTree, target: DirectoryTree, key: OpenKey
) -> None:
    mirror(source, target, trusted=[key.certificate])
    with pytest.raises(FeedSigned):
        mirror(source, target, Wanted(most_versions=1), trusted=[key.certificate])
    assert problems(target, key) == []


def test_signed_documents_stay_as_they_were_when_a_file_does_not_come(
    source: DirectoryTree, target: DirectoryTree, key: OpenKey
) -> None:
    mirror(source, target, trusted=[key.certificate])
    before = target.read(SIGNED).body
    contents = two_releases()
    contents[ONE]["20260103"] = {"root.squashfs": data("good"), "meta.tar.xz": data("bad")}
    put(source, contents, LATER)
    source.write(INDEX2, source.read(INDEX).body)
    bad = path_of(ONE, "20260103", "meta.tar.xz")
    source.delete(bad)
    sign_feed(source, key.signer)
    report = mirror(source, target, trusted=[key.certificate])
    assert (report.published, report.is_good) == (False, False)
    assert target.read(SIGNED).body == before
    assert path_of(ONE, "20260103", "root.squashfs") in files(target), "it is there for the next run"
    source.write(bad, data("bad"))
    report = mirror(source, target, trusted=[key.certificate])
    assert report.fetched == [bad]
    assert problems(target, key) == []


def test_what_is_spoiled_is_repaired_even_if_something_new_does_not_come(
    source: DirectoryTree, target: DirectoryTree, key: OpenKey
) -> None:
    mirror(source, target, trusted=[key.certificate])
    contents = two_releases()
    changed, spoiled = path_of(ONE, "20260101", "meta.tar.xz"), path_of(ONE, "20260102", "meta.tar.xz")
    before = target.read(changed).body
    contents[ONE]["20260101"]["meta.tar.xz"] = before[:-1] + b"?"
    contents[ONE]["20260103"] = {"root.squashfs": data("lost")}
    put(source, contents, LATER)
    source.write(INDEX2, source.read(INDEX).body)
    source.delete(path_of(ONE, "20260103", "root.squashfs"))
    sign_feed(source, key.signer)
    target.write(spoiled, b"?" * len(source.read(spoiled).body))
    report = mirror(source, target, Wanted(hashes_all=True), trusted=[key.certificate])
    assert not report.published
    assert report.repaired == [spoiled]
    assert target.read(changed).body == before, "the documents that are there name this"
    require_whole(target)


def test_a_signature_that_the_source_has_no_more_goes(
    source: DirectoryTree, target: DirectoryTree, key: OpenKey
) -> None:
    mirror(source, target, trusted=[key.certificate])
    source.delete(f"{IMAGES}.gpg")
    report = mirror(source, target, trusted=[key.certificate])
    assert report.documents[f"{IMAGES}.gpg"] is Done.REMOVED
    assert problems(target, key) == [
        f"{IMAGES}: it is not signed: there is no {IMAGES}.gpg, and the feed has no signed index"
    ]


@pytest.mark.parametrize("signs_anew", [True, False])
def test_readers_of_the_signed_feed_find_it_whole_wherever_a_mirror_is_killed(
    tmp_path: Path, key: OpenKey, own_key: OpenKey, *, signs_anew: bool
) -> None:
    signer, readers_have = (own_key.signer, own_key) if signs_anew else (None, key)

    def published(version: str, updated: str) -> DirectoryTree:
        tree = DirectoryTree(tmp_path / version)
        put(tree, {ONE: {version: {"root.squashfs": data(version)}}}, updated)
        tree.write(INDEX2, tree.read(INDEX).body)
        sign_feed(tree, key.signer)
        return tree

    def run(source: DirectoryTree, target: DirectoryTree) -> None:
        assert mirror(source, target, Wanted(replace=True), trusted=[key.certificate], signer=signer).is_good

    before, after = published("20260101", UPDATED), published("20260102", LATER)
    for dies_at in range(18):
        target, mortal = DirectoryTree(tmp_path / str(dies_at)), MortalTree(tmp_path / str(dies_at), dies_at)
        run(before, target)
        try:
            run(after, mortal)
        except Killed:
            reader = FeedReader(target, [readers_have.certificate])
            for _, entry in reader.entries():
                for file in files_of(json.loads(reader.read(entry.path).text)).values():
                    assert target.stat(file.path).size == file.size
            run(after, target)
        assert problems(target, readers_have) == []
        assert versions(target) == {ONE: ["20260102"]}
    assert mortal.writes < dies_at, "the last ones were not killed"
