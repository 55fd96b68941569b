"""A whole feed, signed and verified."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from headwater.streams.format.json_objects import MalformedDocument
from headwater.streams.signing.feeds.check import Checked, check_feed, place_and_path
from headwater.streams.signing.feeds.sign import Done, NoSignedName, ReadersWouldRefuse, Signed, sign_feed
from headwater.streams.signing.reading import FeedReader, Form, NoStart, NotSigned
from headwater.streams.signing.replay import OlderThanSeen, Seen
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import PathChanged, PathNotFound, TreeInUse
from headwater.streams.writing import feed as feeds
from headwater.streams.writing import image_ids
from headwater.streams.writing.feed import FeedSigned
from headwater.streams.writing.image_ids import ImageId
from unit.streams.keys import OpenKey, open_key
from unit.streams.writing.trees import Killed, MortalTree

AT = datetime(2026, 11, 26, tzinfo=UTC)


def dated(at: datetime) -> str:
    return format_datetime(at)


def products(content_id: str, at: datetime = AT) -> dict[str, Any]:
    return {"format": "products:1.0", "content_id": content_id, "updated": dated(at), "products": {}}


def index(at: datetime = AT, **paths: str) -> dict[str, Any]:
    entries = {name: {"path": path, "format": "products:1.0", "updated": dated(at)} for name, path in paths.items()}
    return {"format": "index:1.0", "updated": dated(at), "index": entries}


def write(tree: DirectoryTree, name: str, document: object) -> None:
    tree.write(f"streams/v1/{name}", json.dumps(document, indent=1).encode() + b"\n")


def bad(checked: Sequence[Checked]) -> dict[str, str]:
    return {each.path.removeprefix("streams/v1/"): each.problem for each in checked if each.problem is not None}


def signed_names(done: Signed) -> list[str]:
    return [step.path.removeprefix("streams/v1/") for step in done.steps if step.done is Done.SIGNED]


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


@pytest.fixture(scope="module")
def new_key() -> OpenKey:
    return open_key()


@pytest.fixture
def tree(tmp_path: Path) -> DirectoryTree:
    made = DirectoryTree(tmp_path / "feed")
    write(made, "a.json", products("a"))
    write(made, "b.json", products("b"))
    write(made, "index.json", index(a="streams/v1/a.json", b="streams/v1/b.json"))
    return made


def test_each_document_gets_both_signatures_and_indexes_come_last(tree: DirectoryTree, key: OpenKey) -> None:
    done = sign_feed(tree, key.signer)
    assert signed_names(done) == ["a.sjson", "a.json.gpg", "b.sjson", "b.json.gpg", "index.sjson", "index.json.gpg"]
    checked = check_feed(tree, [key.certificate])
    assert (bad(checked), len(checked)) == ({}, 6)
    assert {by.fingerprint for each in checked for by in each.signed_by} == {key.signer.fingerprint}


def test_a_signed_index_leads_to_signed_documents_and_the_unsigned_one_stays(tree: DirectoryTree, key: OpenKey) -> None:
    before = tree.read("streams/v1/index.json").body
    sign_feed(tree, key.signer)
    reader = FeedReader(tree, [key.certificate])
    assert [entry.path for _, entry in reader.entries()] == ["streams/v1/a.sjson", "streams/v1/b.sjson"]
    assert tree.read("streams/v1/index.json").body == before


def test_signing_again_changes_nothing(tree: DirectoryTree, key: OpenKey) -> None:
    sign_feed(tree, key.signer)
    before = {entry.path: tree.read(entry.path).tag for entry in tree.list()}
    assert signed_names(sign_feed(tree, key.signer)) == []
    assert {entry.path: tree.read(entry.path).tag for entry in tree.list()} == before
    write(tree, "b.json", {**products("b"), "new": 1})
    assert signed_names(sign_feed(tree, key.signer)) == ["b.sjson", "b.json.gpg"]


def test_a_dry_run_writes_nothing_and_one_form_is_enough(tree: DirectoryTree, key: OpenKey) -> None:
    before = [entry.path for entry in tree.list()]
    assert len(signed_names(sign_feed(tree, key.signer, dry_run=True))) == 6
    assert [entry.path for entry in tree.list()] == before
    assert signed_names(sign_feed(tree, key.signer, forms=[Form.DETACHED])) == [
        "a.json.gpg",
        "b.json.gpg",
        "index.json.gpg",
    ]
    assert bad(check_feed(tree, [key.certificate])) == {}


def test_what_readers_would_refuse_replaces_nothing(tree: DirectoryTree, key: OpenKey, new_key: OpenKey) -> None:
    sign_feed(tree, key.signer)
    before = {entry.path: tree.read(entry.path).tag for entry in tree.list()}
    with pytest.raises(ReadersWouldRefuse, match=r"with old\.gpg: .*Nothing was replaced") as refused:
        sign_feed(tree, new_key.signer, keyrings={"old.gpg": [key.certificate]})
    assert refused.value.keyring == "old.gpg"
    assert {entry.path: tree.read(entry.path).tag for entry in tree.list()} == before
    both = {"old.gpg": [key.certificate, new_key.certificate], "new.gpg": [new_key.certificate]}
    assert len(signed_names(sign_feed(tree, new_key.signer, keyrings=both))) == 6
    assert bad(check_feed(tree, [new_key.certificate])) == {}
    assert set(bad(check_feed(tree, [key.certificate]))) == {"index.sjson", "index.json"}


@pytest.mark.parametrize("dies_at", range(7))
def test_a_writer_that_is_killed_leaves_a_feed_whose_signatures_are_good(
    tmp_path: Path, tree: DirectoryTree, key: OpenKey, dies_at: int
) -> None:
    def later(at: datetime) -> None:
        for name in ("a", "b"):
            write(tree, f"{name}.json", products(name, at))
        write(tree, "index.json", index(at, a="streams/v1/a.json", b="streams/v1/b.json"))

    start = "streams/v1/index.sjson"
    sign_feed(tree, key.signer)
    later(AT + timedelta(days=1))
    mortal = MortalTree(tmp_path / "feed", dies_at)
    with contextlib.suppress(Killed):
        sign_feed(mortal, key.signer)
        assert dies_at == 6
    assert bad(check_feed(tree, [key.certificate], start)) == {}
    sign_feed(tree, key.signer)
    assert bad(check_feed(tree, [key.certificate])) == {}


def test_two_signatures_are_made_only_when_asked_for_and_are_warned_of(
    tree: DirectoryTree, key: OpenKey, new_key: OpenKey
) -> None:
    sign_feed(tree, key.signer)
    done = sign_feed(tree, key.signer, also=[new_key.signer], keyrings={"old": [key.certificate]})
    assert any("2 signatures, of which 1 are by known keys" in warning for warning in done.warnings)
    assert tree.read("streams/v1/a.sjson").body.count(b"Hash:") == 1
    assert signed_names(sign_feed(tree, key.signer, also=[new_key.signer])) == []
    for trusted in ([key.certificate], [new_key.certificate]):
        checked = check_feed(tree, trusted)
        assert bad(checked) == {}
        assert all("2 signatures" in each.warnings[0] for each in checked)
    (both,) = {len(each.signed_by) for each in check_feed(tree, [key.certificate, new_key.certificate])}
    assert both == 2
    sign_feed(tree, key.signer)
    assert [each.warnings for each in check_feed(tree, [key.certificate])] == [()] * 6


def test_what_was_not_signed_in_its_order_of_time_is_refused(tree: DirectoryTree, key: OpenKey) -> None:
    sign_feed(tree, key.signer)
    write(tree, "b.json", products("b", AT - timedelta(days=1)))
    with pytest.raises(OlderThanSeen, match=r"streams/v1/b\.json was updated Wed, 25 Nov 2026"):
        sign_feed(tree, key.signer)
    assert signed_names(sign_feed(tree, key.signer, allow_older=True)) == ["b.sjson", "b.json.gpg"]
    (late,) = [each for each in check_feed(tree, [key.certificate]) if each.warnings and each.path.endswith(".sjson")]
    assert "the index says" in late.warnings[0]


def test_an_old_state_that_is_served_again_is_found_out(tree: DirectoryTree, key: OpenKey) -> None:
    sign_feed(tree, key.signer)
    old = tree.read("streams/v1/b.sjson").body
    write(tree, "b.json", products("b", AT + timedelta(days=1)))
    sign_feed(tree, key.signer)
    seen = Seen()
    assert bad(check_feed(tree, [key.certificate], "streams/v1/index.sjson", seen=seen)) == {}
    tree.write("streams/v1/b.sjson", old)
    told = bad(check_feed(tree, [key.certificate], "streams/v1/index.sjson", seen=seen))["b.sjson"]
    assert told.startswith("was updated ")
    assert "an old state" in told
    again = check_feed(tree, [key.certificate], "streams/v1/index.sjson", seen=seen, allow_older=True)
    assert bad(again) == {}


def test_documents_that_other_tools_wrote_are_signed_as_readers_need_them(tree: DirectoryTree, key: OpenKey) -> None:
    tree.write(
        "streams/v1/a.json",
        json.dumps({**products("a"), "note": "\u2028 \U0001f427 é"}, ensure_ascii=False).encode() + b"  \r\n\r\n",
    )
    write(tree, "b.json", {**products("b"), "list": ["word"] * 10})
    tree.write("streams/v1/b.json", json.dumps({**products("b"), "many": ["word"] * 9_000}).encode())
    sign_feed(tree, key.signer)
    assert bad(check_feed(tree, [key.certificate])) == {}
    for name in ("a", "b"):
        text = FeedReader(tree, [key.certificate]).read(f"streams/v1/{name}.sjson").text
        assert text.isascii()
        assert json.loads(text) == json.loads(tree.read(f"streams/v1/{name}.json").body)
        assert max(map(len, text.split(b"\n"))) < 19_995
        assert len(text.decode().splitlines()) == text.count(b"\n") + (not text.endswith(b"\n"))


def test_indexes_of_indexes_and_mirrors_are_signed_too(tree: DirectoryTree, key: OpenKey) -> None:
    more = index(more="streams/v1/more.json")
    more["index"]["more"]["format"] = "index:1.0"
    write(tree, "index2.json", more)
    write(tree, "more.json", index(a="streams/v1/a.json"))
    write(tree, "mirrors.json", {"mirrors": {"a": [{"path": "streams/v1/cpc.json", "datatype": "content-download"}]}})
    write(
        tree,
        "cpc.json",
        {"format": "mirrors:1.0", "mirrors": {"a": [{"mirror": "http://m", "path": "streams/v1/a.json"}]}},
    )
    names = signed_names(sign_feed(tree, key.signer, forms=[Form.INLINE]))
    assert names.index("cpc.sjson") < names.index("mirrors.sjson") < names.index("more.sjson")
    assert set(names[-2:]) == {"index.sjson", "index2.sjson"}
    text = FeedReader(tree, [key.certificate]).read("streams/v1/mirrors.sjson").text
    assert json.loads(text)["mirrors"]["a"][0]["path"] == "streams/v1/cpc.sjson"
    text = FeedReader(tree, [key.certificate]).read("streams/v1/cpc.sjson").text
    assert json.loads(text)["mirrors"]["a"][0] == {"mirror": "http://m", "path": "streams/v1/a.sjson"}
    assert "more.sjson" in {each.path.removeprefix("streams/v1/") for each in check_feed(tree, [key.certificate])}


def test_what_cannot_be_signed_is_named(tree: DirectoryTree, key: OpenKey, tmp_path: Path) -> None:
    with pytest.raises(NoStart):
        sign_feed(DirectoryTree(tmp_path / "nothing"), key.signer)
    write(tree, "index.json", index(a="streams/v1/a.txt"))
    with pytest.raises(NoSignedName, match=r"a\.txt does not end in \.json"):
        sign_feed(tree, key.signer)
    write(tree, "index.json", index(a="streams/v1/gone.json"))
    with pytest.raises(PathNotFound, match=r"gone\.json, which the index names for a"):
        sign_feed(tree, key.signer)
    write(tree, "index.json", index(a="streams/v1/a.json"))
    tree.write("streams/v1/a.json", '{"é": 1'.encode())
    with pytest.raises(MalformedDocument, match=r"streams/v1/a\.json: top: it is not JSON"):
        sign_feed(tree, key.signer)


def test_who_writes_the_feed_meanwhile_is_noticed(tree: DirectoryTree, key: OpenKey) -> None:
    def change(number: int) -> None:
        if number == 3:
            write(tree, "index.json", index(a="streams/v1/a.json"))

    with pytest.raises(PathChanged):
        sign_feed(tree, key.signer, told=change)
    with tree.exclusive("a test"), pytest.raises(TreeInUse):
        sign_feed(tree, key.signer)


def test_a_feed_without_signatures_is_no_verified_feed(tree: DirectoryTree, key: OpenKey) -> None:
    with pytest.raises(NotSigned, match="the feed is not signed"):
        check_feed(tree, [key.certificate])


def test_one_bad_document_does_not_hide_the_others(tree: DirectoryTree, key: OpenKey) -> None:
    sign_feed(tree, key.signer, forms=[Form.INLINE])
    tree.write("streams/v1/a.sjson", b"<html>please log in</html>")
    tree.delete("streams/v1/b.sjson")
    found = bad(check_feed(tree, [key.certificate]))
    assert found == {
        "a.sjson": "not a clear-signed document: it does not begin with the line '-----BEGIN PGP SIGNED MESSAGE-----'; "
        "its publisher has to sign it again, whole",
        "b.sjson": "there is no streams/v1/b.sjson",
    }


def test_an_image_that_is_added_renews_the_signatures_beside(tmp_path: Path, key: OpenKey) -> None:
    tree = DirectoryTree(tmp_path / "feed")

    def add(name: str, signer: Any = None) -> None:
        image = ImageId(id=name, region="R", endpoints=("http://k",), version="24.04", arch="amd64", stream="released")
        feeds.edit(tree, lambda feed: image_ids.add(feed, image, version="20260101"), signer=signer)

    add("one")
    sign_feed(tree, key.signer, forms=[Form.DETACHED])
    with pytest.raises(FeedSigned):
        add("two")
    add("two", key.signer)
    assert bad(check_feed(tree, [key.certificate])) == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("https://h/feed/streams/v1/index.sjson", ("https://h/feed", "streams/v1/index.sjson")),
        ("https://h/feed", ("https://h/feed", None)),
        ("https://h/x.sjson", ("https://h", "x.sjson")),
        ("feed/streams/v1/a.json.gpg", ("feed", "streams/v1/a.json")),
        ("streams/v1/a.json", (".", "streams/v1/a.json")),
        ("/streams/v1/a.json", ("/", "streams/v1/a.json")),
        ("index.sjson", (".", "index.sjson")),
        ("/index.sjson", ("/", "index.sjson")),
        ("feed", ("feed", None)),
        ("s3://bucket/p", ("s3://bucket/p", None)),
    ],
)
def test_a_document_or_a_tree_can_be_named(name: str, expected: tuple[str, str | None]) -> None:
    assert place_and_path(name) == expected


def test_a_document_outside_of_a_feed_is_verified_alone(tmp_path: Path, key: OpenKey) -> None:
    tree = DirectoryTree(tmp_path)
    tree.write("any.sjson", key.signer.sign(json.dumps(index(a="nowhere.sjson")).encode()))
    (only,) = check_feed(tree, [key.certificate], "any.sjson")
    assert only.problem is None


def test_a_key_that_ends_soon_is_warned_of(tree: DirectoryTree) -> None:
    key = open_key(validity_s=90 * 86_400)
    end = key.certificate.expiration
    assert end is not None
    soon = sign_feed(tree, key.signer, clock=lambda: end - timedelta(days=7))
    assert ["in 7 days" in warning for warning in soon.warnings] == [True]
    checked = check_feed(tree, [key.certificate], clock=lambda: end - timedelta(days=31))
    assert [each.warnings for each in checked] == [()] * 6
    assert "expired on" in bad(check_feed(tree, [key.certificate], clock=lambda: end))["index.sjson"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html>Log in</html>", "not JSON but a web page"),
        (b'{"format": "products:1.0", "prod', "it is not JSON"),
        (b"", "it is not JSON"),
        (b"[]", "expected an object, found a list"),
        (b'{"products": {}, "products": {}}', "'products' twice"),
    ],
    ids=["a page", "cut off", "empty", "a list", "a key twice"],
)
def test_what_is_no_document_is_not_signed(tree: DirectoryTree, key: OpenKey, body: bytes, problem: str) -> None:
    tree.write("streams/v1/b.json", body)
    with pytest.raises(MalformedDocument, match=f"streams/v1/b.json: top: .*{problem}"):
        sign_feed(tree, key.signer)
    assert not [entry.path for entry in tree.list() if entry.path.endswith((".sjson", ".gpg"))]
