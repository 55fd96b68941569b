"""A feed in a tree, read as its start document says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from headwater.streams.format.json_objects import MalformedDocument, UnsafePath
from headwater.streams.signing.reading import (
    FeedReader,
    Form,
    NoStart,
    NotSigned,
    NotVerified,
    TooManyIndexes,
)
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import PathNotFound
from unit.streams.keys import OpenKey, open_key

PRODUCTS = {"format": "products:1.0", "content_id": "a", "products": {}}


def index(**paths: str) -> dict[str, Any]:
    entries = {
        name: {"path": path, "format": "index:1.0" if "index" in path else "products:1.0"}
        for name, path in paths.items()
    }
    return {"format": "index:1.0", "index": entries}


def text_of(document: object) -> bytes:
    return json.dumps(document, indent=1).encode() + b"\n"


def detached(key: OpenKey, text: bytes) -> bytes:
    secret = pysequoia.Tsk.from_bytes(key.armor)
    return pysequoia.sign(secret.signer(), text, mode=pysequoia.SignatureMode.DETACHED)


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


@pytest.fixture
def tree(tmp_path: Path, key: OpenKey) -> DirectoryTree:
    made = DirectoryTree(tmp_path / "feed")
    made.write("streams/v1/a.json", text_of(PRODUCTS))
    made.write("streams/v1/index.json", text_of(index(a="streams/v1/a.json")))
    made.write("streams/v1/a.sjson", key.signer.sign(text_of(PRODUCTS)))
    made.write("streams/v1/index.sjson", key.signer.sign(text_of(index(a="streams/v1/a.sjson"))))
    return made


def test_with_keys_the_signed_index_is_the_start_and_who_signed_is_told(tree: DirectoryTree, key: OpenKey) -> None:
    reader = FeedReader(tree, [key.certificate])
    read, found = reader.index()
    assert (reader.form, read.path, list(found.index)) == (Form.INLINE, "streams/v1/index.sjson", ["a"])
    (by,) = read.signed_by
    assert (by.fingerprint, by.owner) == (key.signer.fingerprint, "Feed <feed@example.test>")
    assert reader.read("streams/v1/a.sjson").text == text_of(PRODUCTS)


def test_without_keys_the_unsigned_index_is_the_start(tree: DirectoryTree) -> None:
    reader = FeedReader(tree, None)
    assert [entry.path for _, entry in reader.entries()] == ["streams/v1/a.json"]
    assert reader.read("streams/v1/a.json").signed_by == ()


def test_without_keys_what_stands_in_the_frame_is_read(tree: DirectoryTree) -> None:
    reader = FeedReader(tree, None, "streams/v1/index.sjson")
    assert [entry.path for _, entry in reader.entries()] == ["streams/v1/a.sjson"]
    assert json.loads(reader.read("streams/v1/a.sjson").text) == PRODUCTS


def test_without_keys_plain_json_that_is_called_signed_is_read_with_a_warning(tree: DirectoryTree) -> None:
    tree.write("streams/v1/index.sjson", text_of(index()))
    assert FeedReader(tree, None, "streams/v1/index.sjson").index()[0].warnings == (
        "it is called signed (.sjson), and is plain JSON",
    )


def test_with_keys_plain_json_that_is_called_signed_is_refused(tree: DirectoryTree, key: OpenKey) -> None:
    tree.write("streams/v1/index.sjson", text_of(index()))
    with pytest.raises(NotSigned, match=r"streams/v1/index\.sjson: not a clear-signed document"):
        FeedReader(tree, [key.certificate]).index()


def test_a_signed_index_that_leads_to_an_unsigned_document_is_an_error(tree: DirectoryTree, key: OpenKey) -> None:
    tree.write("streams/v1/index.sjson", key.signer.sign(text_of(index(a="streams/v1/a.json"))))
    reader = FeedReader(tree, [key.certificate])
    ((_, entry),) = reader.entries()
    with pytest.raises(NotSigned, match="a signed index has to name"):
        reader.read(entry.path)


def test_a_document_that_somebody_else_signed_is_refused(tree: DirectoryTree, key: OpenKey) -> None:
    tree.write("streams/v1/a.sjson", open_key().signer.sign(text_of(PRODUCTS)))
    with pytest.raises(NotVerified, match=r"streams/v1/a\.sjson: .*none of the known keys"):
        FeedReader(tree, [key.certificate]).read("streams/v1/a.sjson")


def test_an_index_with_its_signature_beside_is_read_so(tree: DirectoryTree, key: OpenKey) -> None:
    tree.delete("streams/v1/index.sjson")
    reader = FeedReader(tree, [key.certificate])
    with pytest.raises(NotSigned, match=r"there is no streams/v1/index\.json\.gpg"):
        reader.index()
    for name in ("index", "a"):
        path = f"streams/v1/{name}.json"
        tree.write(f"{path}.gpg", detached(key, tree.read(path).body))
    read, _ = reader.index()
    assert (reader.form, read.signed_by[0].fingerprint) == (Form.DETACHED, key.signer.fingerprint)
    assert reader.read("streams/v1/a.json").text == text_of(PRODUCTS)
    tree.write("streams/v1/a.json", text_of({**PRODUCTS, "content_id": "b"}))
    with pytest.raises(NotVerified, match="may be of another version of it"):
        reader.read("streams/v1/a.json")


def test_indexes_of_indexes_are_followed_once_each(tree: DirectoryTree) -> None:
    tree.write("streams/v1/index.json", text_of(index(x="streams/v1/more-index.json", a="streams/v1/a.json")))
    tree.write("streams/v1/more-index.json", text_of(index(y="streams/v1/index.json", b="streams/v1/b.json")))
    assert [name for name, _ in FeedReader(tree, None).entries()] == ["a", "b"]


def test_indexes_without_an_end_are_refused(tree: DirectoryTree) -> None:
    many = {f"i{number}": f"streams/v1/index-{number}.json" for number in range(200)}
    tree.write("streams/v1/index.json", text_of(index(**many)))
    with pytest.raises(TooManyIndexes):
        list(FeedReader(tree, None).entries())


def test_what_is_no_index_or_not_there_is_named(tree: DirectoryTree, tmp_path: Path) -> None:
    with pytest.raises(NoStart, match=r"streams/v1/index2\.json"):
        FeedReader(DirectoryTree(tmp_path / "empty"), None).index()
    with pytest.raises(PathNotFound):
        FeedReader(tree, None, "streams/v1/other.json").index()
    tree.write("streams/v1/index.json", b"<html>")
    with pytest.raises(MalformedDocument, match=r"streams/v1/index\.json: top: it is not JSON"):
        FeedReader(tree, None).index()
    for path in ("../index.json", "/etc/passwd"):
        with pytest.raises(UnsafePath):
            FeedReader(tree, None).read(path)
