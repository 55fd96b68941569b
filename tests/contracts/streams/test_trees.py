"""The trees that feeds lie in, against what every tree promises."""

from __future__ import annotations

import gzip
import io
import os
import signal
import stat
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from keystoneauth1.session import Session
from swiftclient.authv1 import PasswordPlugin

from headwater.clock import now, timestamp
from headwater.errors import Conflict, HeadwaterError
from headwater.streams.format.json_objects import UnsafePath
from headwater.streams.trees import lease, parts
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.parts import Holder
from headwater.streams.trees.s3 import S3Tree
from headwater.streams.trees.swift import SwiftTree
from headwater.streams.trees.tree import (
    ABSENT,
    HIDDEN,
    PIECE,
    PathChanged,
    PathNotFound,
    Tree,
    TreeCannot,
    TreeInUse,
    TreeRefused,
    TreeUnavailable,
)
from headwater.streams.trees.web import WebTree
from headwater.streams.writing import deletions, image_files
from headwater.streams.writing import feed as feeds
from headwater.streams.writing.files import Content
from headwater.streams.writing.image_files import ImageDescription, Root
from servers.http.web import Answer, Asked, SendBytes, WebServer
from servers.openstack.swift import Swift

JSON = "application/json"
LARGE = os.urandom(3 << 20) + b"the end"
IN_PARTS = os.urandom(12 << 20) + b"the end"


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files come in parts that are smaller than those of an image; S3 joins none below 5 MiB."""
    monkeypatch.setattr(parts, "LARGE", 1 << 20)
    monkeypatch.setattr(parts, "PART", 5 << 20)


class TreeContract:
    """What every tree that can be written promises."""

    def test_what_is_written_is_read(self, tree: Tree) -> None:
        tag = tree.write("streams/v1/index.json", b"{}\n", media_type=JSON)
        found = tree.read("streams/v1/index.json")
        assert (found.body, found.tag, found.media_type) == (b"{}\n", tag, JSON)
        assert tree.stat("streams/v1/index.json").size == 3
        assert tree.stat("streams/v1/index.json").tag == tag

    def test_a_file_may_be_empty(self, tree: Tree) -> None:
        tree.write("empty", b"")
        assert tree.read("empty").body == b""
        tree.write("empty", io.BytesIO(b""), size=0)
        assert tree.read("empty").body == b""

    @pytest.mark.parametrize("size", [len(LARGE), None])
    def test_a_large_file_is_written_and_read_in_pieces(self, tree: Tree, size: int | None) -> None:
        tree.write("large.img", io.BytesIO(LARGE), size=size)
        with tree.open("large.img") as opened:
            assert (opened.size, opened.start) == (len(LARGE), 0)
            assert b"".join(opened) == LARGE

    @pytest.mark.parametrize("size", [len(LARGE), None])
    def test_a_file_that_comes_in_small_pieces_is_written_whole(self, tree: Tree, size: int | None) -> None:
        tree.write("large.img", _Dripping(LARGE), size=size)
        assert tree.read("large.img").body == LARGE

    def test_reading_goes_on_where_it_ended(self, tree: Tree) -> None:
        tag = tree.write("large.img", LARGE)
        with tree.open("large.img", 1 << 20, tag=tag) as opened:
            assert (opened.size, opened.start, opened.tag) == (len(LARGE), 1 << 20, tag)
            assert b"".join(opened) == LARGE[1 << 20 :]

    def test_reading_does_not_go_on_in_another_file(self, tree: Tree) -> None:
        tag = tree.write("large.img", LARGE)
        tree.write("large.img", LARGE[::-1])
        with pytest.raises(PathChanged), tree.open("large.img", 1 << 20, tag=tag):
            pass

    def test_a_document_that_is_too_large_is_not_read(self, tree: Tree) -> None:
        tree.write("large", b"x" * 1001)
        with pytest.raises(TreeRefused, match="1000"):
            tree.read("large", 1000)

    @pytest.mark.parametrize("path", ["nothing", "streams/nothing", "file/below"])
    def test_what_is_not_there_is_said_to_be_not_there(self, tree: Tree, path: str) -> None:
        tree.write("file", b"")
        for ask in (tree.read, tree.open, tree.stat):
            with pytest.raises(PathNotFound, match=path):
                ask(path)
        tree.delete(path)

    @pytest.mark.parametrize("path", ["", "/etc/passwd", "../outside", "a/../../outside", "a/%2e%2e/b", "a\\b", "a\nb"])
    def test_a_path_does_not_leave_the_tree(self, tree: Tree, path: str) -> None:
        for ask in (tree.read, tree.open, tree.stat, tree.delete):
            with pytest.raises(UnsafePath):
                ask(path)
        with pytest.raises(UnsafePath):
            tree.write(path, b"")

    def test_names_may_hold_what_feeds_hold(self, tree: Tree) -> None:
        names = ["streams/v1/com.ubuntu.cloud:released:aws.json", "images/20230421_23:27/disk 1+x.img", "ä/ü%20.json"]
        for name in names:
            tree.write(name, name.encode())
        assert [tree.read(name).body.decode() for name in names] == names
        assert sorted(entry.path for entry in tree.list()) == sorted(names)

    def test_files_are_listed_in_the_order_of_their_bytes(self, tree: Tree) -> None:
        names = ["a", "a-b/c", "a.b", "a0", "b/c", "b/c-d", "b/d/e", "b/d0"]
        for name in reversed(names):
            tree.write(name, name.encode())
        found = list(tree.list())
        assert [entry.path for entry in found] == names
        assert [entry.size for entry in found] == [len(name) for name in names]
        assert all(entry.modified is not None for entry in found)
        assert [entry.path for entry in tree.list("b/")] == ["b/c", "b/c-d", "b/d/e", "b/d0"]
        assert [entry.path for entry in tree.list("b/d")] == ["b/d/e", "b/d0"]
        assert [entry.path for entry in tree.list("a")] == names[:4]
        assert [entry.path for entry in tree.list("c")] == []
        assert [entry.path for entry in tree.list("a/b")] == []

    def test_the_tag_is_another_when_the_content_is(self, tree: Tree) -> None:
        first = tree.write("f", b"first")
        assert tree.write("f", b"other") != first
        assert tree.read("f").tag != first

    def test_of_two_who_expect_the_same_one_wins(self, tree: Tree) -> None:
        tag = tree.write("index", b"1", expect=ABSENT)
        with pytest.raises(PathChanged):
            tree.write("index", b"2", expect=ABSENT)
        newer = tree.write("index", b"3", expect=tag)
        with pytest.raises(PathChanged):
            tree.write("index", b"4", expect=tag)
        assert tree.read("index").body == b"3"
        tree.delete("index")
        with pytest.raises(PathChanged):
            tree.write("index", b"5", expect=newer)

    def test_what_is_deleted_is_gone(self, tree: Tree) -> None:
        tree.write("a/b/c", b"x")
        tree.write("a/d", b"x")
        tree.delete("a/b/c")
        tree.delete("a/b/c")
        assert [entry.path for entry in tree.list()] == ["a/d"]

    def test_two_writers_exclude_each_other(self, tree: Tree) -> None:
        with (
            tree.exclusive("headwater streams mirror"),
            pytest.raises(TreeInUse, match="headwater streams mirror"),
            tree.exclusive("another"),
        ):
            pass
        with tree.exclusive("another"):
            pass
        assert list(tree.list()) == []

    def test_a_tree_is_made_twice_without_harm(self, tree: Tree) -> None:
        tree.prepare(public=True)
        tree.write("f", b"x")
        tree.prepare(public=True)
        assert tree.read("f").body == b"x"

    def test_a_write_that_fails_leaves_what_was_there(self, tree: Tree) -> None:
        class Broken(io.RawIOBase):
            given = False

            def read(self, size: int = -1) -> bytes:
                if self.given:
                    raise RuntimeError
                self.given = True
                return b"x" * 1000

        tree.write("f", b"before")
        with pytest.raises(RuntimeError):
            tree.write("f", Broken(), size=2000)  # type: ignore[arg-type]  # what is read of it is there
        assert tree.read("f").body == b"before"
        assert [entry.path for entry in tree.list()] == ["f"]

    def test_what_is_begun_is_the_beginning_or_nothing(self, tree: Tree) -> None:
        mark, body = "0123456789abcdef", b"x" * PIECE + b"y" * PIECE

        class BreaksOff(io.RawIOBase):
            left = PIECE + 10

            def readable(self) -> bool:
                return True

            def read(self, size: int = -1) -> bytes:
                if self.left <= 0:
                    raise TreeUnavailable("the source", "it broke off")
                cut = min(size, self.left) if size >= 0 else self.left
                at, self.left = PIECE + 10 - self.left, self.left - cut
                return body[at : at + cut]

        assert tree.begun("a/large.img", mark) is None
        with pytest.raises(HeadwaterError):
            tree.write("a/large.img", cast("BinaryIO", BreaksOff()), size=len(body), mark=mark)
        assert tree.begun("a/large.img", "fedcba9876543210") is None
        begun = tree.begun("a/large.img", mark)
        if begun is not None:
            with begun:
                assert body.startswith(b"".join(begun))
        assert list(tree.list()) == []
        tree.write("a/large.img", io.BytesIO(body), size=len(body), mark=mark)
        assert tree.read("a/large.img").body == body
        assert tree.begun("a/large.img", mark) is None

    def test_who_goes_on_with_a_large_file_has_what_came_of_it(self, tree: Tree, small_parts: None) -> None:
        with pytest.raises(TreeUnavailable):
            tree.write("a/large.img", _cut(IN_PARTS, 11 << 20), size=len(IN_PARTS), mark="cafe")
        begun = tree.begun("a/large.img", "cafe")
        assert begun is not None
        with begun:
            had = b"".join(begun)
        assert IN_PARTS.startswith(had)
        assert len(had) >= 10 << 20
        assert tree.begun("b/large.img", "cafe") is None, "another file with the same bytes"
        assert list(tree.list()) == []
        tag = tree.write("a/large.img", io.BytesIO(IN_PARTS), size=len(IN_PARTS), mark="cafe")
        with tree.open("a/large.img", 1, tag=tag) as opened:
            assert b"".join(opened) == IN_PARTS[1:]
        assert tree.begun("a/large.img", "cafe") is None
        assert [(entry.path, entry.size) for entry in tree.list()] == [("a/large.img", len(IN_PARTS))]

    def test_what_was_begun_and_is_wrong_is_not_kept(self, tree: Tree, small_parts: None) -> None:
        class Wrong(Conflict):
            pass

        with pytest.raises(Wrong):
            tree.write("f", _cut(IN_PARTS, 11 << 20, Wrong("no")), size=len(IN_PARTS), mark="cafe")
        assert tree.begun("f", "cafe") is None

    def test_a_feed_of_images_is_written_and_what_leaves_it_is_deleted(self, tree: Tree, tmp_path: Path) -> None:
        described = ImageDescription(os="TestOS", release="noble")

        def add(text: bytes, grace_s: int) -> list[str]:
            (tmp_path / "disk").write_bytes(b"QFI\xfb" + text)
            root = Root(content=Content.of_file(tmp_path / "disk"), ftype="disk-kvm.img")
            _, gone = deletions.edit(
                tree,
                lambda feed: image_files.add(feed, described, [root], version="20260101"),
                purpose="a test",
                grace_s=grace_s,
            )
            return gone

        assert add(b"old", 0) == []
        before = feeds.read(tree).products("images")
        assert add(b"new", 3600) == []
        gone = set(add(b"newer", 0))
        after = feeds.paths_of(feeds.read(tree).products("images"))
        assert feeds.paths_of(before) - after < gone
        assert {entry.path for entry in tree.list("images/")} == after


class InParts:
    """What trees promise besides that keep parts of large files as objects."""

    def left(self, tree: Tree) -> list[str]:
        return [entry.path for entry in cast("Holder", tree).every(HIDDEN)]

    def test_what_nobody_goes_on_with_is_removed_after_a_day(
        self, tree: Tree, small_parts: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(TreeUnavailable):
            tree.write("f", _cut(IN_PARTS, 11 << 20), size=len(IN_PARTS), mark="cafe")
        with tree.exclusive("a test"):
            assert len(self.left(tree)) == 3, "two parts, and what tells of them"
        monkeypatch.setattr(parts, "_UNFINISHED_S", -3600)
        with tree.exclusive("a test"):
            assert self.left(tree) == []

    def test_a_file_stays_whole_whose_writer_was_killed_right_after_it(
        self, tree: Tree, small_parts: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(parts.Parts, "_remove", killed)
            tree.write("f", io.BytesIO(IN_PARTS), size=len(IN_PARTS), mark="cafe")
        monkeypatch.setattr(parts, "_UNFINISHED_S", -3600)
        with tree.exclusive("a test"), tree.open("f") as opened:
            assert b"".join(opened) == IN_PARTS
        tree.delete("f")
        assert self.left(tree) == []

    def test_a_large_file_that_is_replaced_leaves_nothing(self, tree: Tree, small_parts: None) -> None:
        for body, mark in ((IN_PARTS, "cafe"), (IN_PARTS[::-1], "beef")):
            tree.write("f", io.BytesIO(body), size=len(body), mark=mark)
        with tree.open("f") as opened:
            assert b"".join(opened) == IN_PARTS[::-1]
        tree.delete("f")
        assert self.left(tree) == []


class TestDirectory(TreeContract):
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path / "feeds" / "tree"

    @pytest.fixture
    def tree(self, root: Path) -> Tree:
        return DirectoryTree(root)

    def test_others_may_read_it_whatever_the_mask_is(self, tree: Tree, root: Path) -> None:
        before = os.umask(0o077)
        try:
            tree.write("streams/v1/index.json", b"{}")
        finally:
            os.umask(before)
        file = root / "streams/v1/index.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o644
        assert {stat.S_IMODE(each.stat().st_mode) for each in (root, root.parent, *file.parents[:2])} == {0o755}

    def test_what_a_killed_writer_left_is_not_listed_and_goes_after_a_day(self, tree: Tree, root: Path) -> None:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            with os.fdopen(reading, "rb") as never_ends:
                tree.write("a/large.img", never_ends)
        os.close(reading)
        os.write(writing, b"x" * 4096)
        while not list(root.glob("a/.headwater-*")):
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(writing)
        [left] = root.glob("a/.headwater-*")
        assert list(tree.list()) == []
        with tree.exclusive("a test"):
            assert left.exists(), "somebody may still be writing it"
        os.utime(left, (0, 0))
        with tree.exclusive("a test"):
            assert not left.exists()

    def test_a_killed_holder_lets_go(self, tree: Tree) -> None:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            with tree.exclusive("the killed"):
                os.write(writing, b"x")
                time.sleep(600)
        os.read(reading, 1)
        with pytest.raises(TreeInUse, match=f"the killed, process {child}"), tree.exclusive("another"):
            pass
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with tree.exclusive("another"):
            pass

    def test_many_who_expect_the_same_lose_nothing(self, tree: Tree) -> None:
        tree.write("count", b"0")
        threads = [threading.Thread(target=_count_up, args=(tree,)) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert tree.read("count").body == b"80"

    def test_what_cannot_be_read_or_written_is_named(self, tree: Tree, root: Path) -> None:
        tree.write("a/b", b"x")
        os.mkfifo(root / "pipe")
        (root / "circle").symlink_to(root)
        (root / "nowhere").symlink_to("gone")
        Path(os.fsdecode(bytes(root) + b"/\xff.img")).write_bytes(b"a name that is no text")
        for path in ("pipe", "a", "nowhere"):
            with pytest.raises(PathNotFound):
                tree.read(path)
        assert [entry.path for entry in tree.list()] == ["a/b"]
        with pytest.raises(HeadwaterError, match="a: a file and a directory"):
            tree.write("a", b"")
        with pytest.raises(TreeRefused, match="kept for"):
            tree.write(".headwater-lock", b"")
        with pytest.raises(HeadwaterError, match="File name too long"):
            tree.write("x" * 300, b"")
        with pytest.raises(TreeRefused, match="a/b: it cannot be made there: No such file"):
            DirectoryTree(Path("/proc/nobody-makes-this")).write("a/b", b"")

    def test_a_place_where_no_directory_can_be_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        for place, reason in (
            (tmp_path / "file", "there is a file on this path; name another directory"),
            (tmp_path / "file" / "below", "there is a file on this path; name another directory"),
            (Path("/proc/nobody-makes-this"), "the directory cannot be made there: No such file"),
        ):
            tree = DirectoryTree(place)
            with pytest.raises(TreeRefused, match=f"{place}: {reason}"):
                tree.prepare()
            with pytest.raises(TreeRefused, match=f"{place}: {reason}"):
                tree.exclusive("a test").__enter__()

    def test_a_directory_that_may_not_be_written_is_named(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        tree = DirectoryTree(root)
        tree.prepare()
        monkeypatch.setattr("headwater.streams.trees.directory.os.open", refused)
        with pytest.raises(
            TreeRefused, match=r"index\.json: this user may not: Permission denied; let this user write"
        ):
            tree.write("index.json", b"")


def _count_up(tree: Tree) -> None:
    for _ in range(10):
        while True:
            found = tree.read("count")
            try:
                tree.write("count", str(int(found.body) + 1).encode(), expect=found.tag)
            except PathChanged:
                continue
            break


@pytest.fixture(scope="module")
def swift_session(swift: Swift) -> Session:
    return Session(auth=PasswordPlugin(swift.auth_url, swift.writer.name, swift.writer.key))


@pytest.fixture(scope="module")
def container(swift: Swift) -> str:
    return swift.container()


class TestSwift(TreeContract, InParts):
    @pytest.fixture
    def tree(self, swift_session: Session, container: str) -> Iterator[Tree]:
        tree = SwiftTree(swift_session, container, f"tree-{uuid.uuid4().hex[:8]}")
        yield tree
        tree.close()

    def test_what_is_public_is_read_without_a_token(self, swift: Swift, swift_session: Session) -> None:
        name = f"public-{uuid.uuid4().hex[:8]}"
        tree = SwiftTree(swift_session, name, "data")
        tree.prepare(public=True)
        tree.write("streams/v1/index.json", b"{}\n")
        everybody = WebTree(f"{swift.storage_url}/{name}/data")
        found = everybody.read("streams/v1/index.json")
        assert (found.body, found.media_type) == (b"{}\n", JSON)
        everybody.close()
        tree.close()

    def test_a_large_file_is_for_everybody_who_may_read_the_container(
        self, swift: Swift, swift_session: Session, small_parts: None
    ) -> None:
        name = f"public-{uuid.uuid4().hex[:8]}"
        tree = SwiftTree(swift_session, name, "data")
        tree.prepare(public=True)
        for path, mark in (("marked.img", "cafe"), ("unmarked.img", None)):
            tree.write(path, io.BytesIO(IN_PARTS), size=len(IN_PARTS) if mark else None, mark=mark)
            everybody = WebTree(f"{swift.storage_url}/{name}/data")
            with everybody.open(path) as opened:
                assert b"".join(opened) == IN_PARTS
            everybody.close()
        tree.close()

    def test_a_container_that_is_not_there_is_named_to_writers(self, swift_session: Session) -> None:
        tree = SwiftTree(swift_session, "nothing-here")
        with pytest.raises(TreeRefused, match="no container nothing-here"):
            tree.write("f", b"")
        with pytest.raises(PathNotFound):
            tree.read("f")
        assert list(tree.list()) == []

    def test_a_lease_that_nobody_renews_ends(self, tree: Tree) -> None:
        clock = iter([0, 10**18, 10**18, 10**18]).__next__
        with lease.leased(tree, "the killed", clock), lease.leased(tree, "another", clock):
            pass
        soon = now() + 3600 * 1_000_000
        tree.write(lease.NAME, b'{"holder": "x", "own": "y", "until": %d}' % soon)
        with pytest.raises(TreeInUse, match=f"x .if that was killed, it counts until {timestamp(soon)}"):
            tree.exclusive("another").__enter__()
        tree.write(lease.NAME, b'{"holder": "x", "own": "y", "until": %d}' % 10**40)
        with tree.exclusive("another"):
            pass
        tree.write(lease.NAME, b"not json")
        with tree.exclusive("another"):
            pass


class TestS3(TreeContract, InParts):
    @pytest.fixture
    def tree(self, swift: Swift, container: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tree]:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", swift.writer.name)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", swift.writer.key)
        tree = S3Tree(container, f"tree-{uuid.uuid4().hex[:8]}", endpoint=swift.s3_url, region=swift.region)
        yield tree
        tree.close()

    def test_who_may_not_is_told_and_secrets_are_not(self, swift: Swift, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with pytest.raises(TreeRefused, match="AWS_ACCESS_KEY_ID"):
            S3Tree("bucket", endpoint=swift.s3_url).read("f")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", swift.writer.name)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
        with pytest.raises(TreeRefused) as refused:
            S3Tree("bucket", endpoint=swift.s3_url, region=swift.region).read("f")
        assert "wrong-secret" not in str(refused.value)


class _Dripping(io.BytesIO):
    """A file that gives less than it is asked for, as one does that comes over a network."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(100_000 if size is None or size < 0 else min(size, 100_000))

    def seekable(self) -> bool:
        return False

    def seek(self, *_: object) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


class _Cut(io.RawIOBase):
    """A file whose reading ends with an error."""

    def __init__(self, body: bytes, error: HeadwaterError) -> None:
        super().__init__()
        self._body, self._error = io.BytesIO(body), error

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        piece = self._body.read(min(size, PIECE) if size >= 0 else PIECE)
        if not piece:
            raise self._error
        return piece


def _cut(body: bytes, at: int, error: HeadwaterError | None = None) -> BinaryIO:
    return cast("BinaryIO", _Cut(body[:at], error or TreeUnavailable("the source", "it broke off")))


class TestWeb:
    """A tree that is read only; its server's faults are those of many."""

    @pytest.fixture
    def server(self) -> Iterator[WebServer]:
        server = WebServer()
        yield server
        server.close()

    @pytest.fixture
    def tree(self, server: WebServer) -> Iterator[Tree]:
        tree = WebTree(server.url("/feeds/"), sleep=lambda _: None, timeout_s=5)
        yield tree
        tree.close()

    def test_a_file_is_read(self, server: WebServer, tree: Tree) -> None:
        server.pages["/feeds/streams/v1/a:b%20c.json"] = _answer(200, b"{}\n", b'ETag: "1"', b"Content-Type: a/b")
        found = tree.read("streams/v1/a:b c.json")
        assert (found.body, found.tag, found.media_type) == (b"{}\n", '"1"', "a/b")
        with tree.open("streams/v1/a:b c.json") as opened:
            assert (opened.size, opened.start, opened.tag) == (3, 0, '"1"')
            assert b"".join(opened) == b"{}\n"

    def test_reading_goes_on_where_it_ended_or_begins_anew(self, server: WebServer, tree: Tree) -> None:
        server.pages["/feeds/f"] = _answer(206, b"rest", b'ETag: "1"', b"Content-Range: bytes 5-8/9")
        with tree.open("f", 5, tag='"1"') as opened:
            assert (opened.size, opened.start, b"".join(opened)) == (9, 5, b"rest")
        assert (server.asked[-1].headers["range"], server.asked[-1].headers["if-range"]) == ("bytes=5-", '"1"')
        server.pages["/feeds/f"] = _answer(200, b"beginrest", b'ETag: "1"')
        with tree.open("f", 5, tag='"1"') as opened:
            assert (opened.size, opened.start, b"".join(opened)) == (9, 0, b"beginrest")
        server.pages["/feeds/f"] = _answer(200, b"another", b'ETag: "2"')
        with pytest.raises(PathChanged):
            tree.open("f", 5, tag='"1"')

    @pytest.mark.parametrize(
        ("status", "error", "asked"),
        [
            (404, PathNotFound, 1),
            (410, PathNotFound, 1),
            (401, TreeRefused, 1),
            (403, TreeRefused, 1),
            (204, TreeRefused, 1),
            (500, TreeUnavailable, 3),
            (503, TreeUnavailable, 3),
            (429, TreeUnavailable, 3),
        ],
    )
    def test_what_a_server_answers_is_told_apart(
        self, server: WebServer, tree: Tree, status: int, error: type[HeadwaterError], asked: int
    ) -> None:
        server.pages["/feeds/f"] = _answer(status, b"" if status == 204 else b"no")
        with pytest.raises(error, match="f") as raised:
            tree.read("f")
        assert getattr(raised.value, "status", status) == status
        assert len(server.asked) == asked

    def test_a_server_that_works_again_is_not_seen_to_have_failed(self, server: WebServer, tree: Tree) -> None:
        def first_not(asked: Asked, send: SendBytes) -> None:
            _answer(503 if len(server.asked) < 3 else 200, b"x")(asked, send)

        server.pages["/feeds/f"] = first_not
        assert tree.read("f").body == b"x"

    def test_data_that_ends_too_early_is_an_error(self, server: WebServer, tree: Tree) -> None:
        server.pages["/feeds/f"] = lambda _, send: send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        with pytest.raises(TreeUnavailable):
            tree.read("f")
        with tree.open("f") as opened, pytest.raises(TreeUnavailable):
            list(opened)

    def test_what_proves_who_asks_stays_with_the_server(self, server: WebServer) -> None:
        elsewhere = WebServer("127.0.0.2")
        elsewhere.pages["/f"] = _answer(200, b"x")
        server.pages["/f"] = lambda _, send: send(
            b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n"
            % elsewhere.url("/f", "127.0.0.2").encode()
        )
        for tree in (
            WebTree(server.url("").replace("//", "//user:p%40ss@")),
            WebTree(server.url(""), authorization="Bearer secret"),
        ):
            assert tree.read("f").body == b"x"
            assert "authorization" in server.asked[-1].headers
            assert "authorization" not in elsewhere.asked[-1].headers
            assert "ss" not in tree.place
            assert "secret" not in tree.place
            tree.close()
        elsewhere.close()

    def test_packed_documents_are_unpacked_and_bombs_are_not(self, server: WebServer, tree: Tree) -> None:
        server.pages["/feeds/f"] = _answer(200, gzip.compress(b"x" * 1000), b"Content-Encoding: gzip")
        assert tree.read("f").body == b"x" * 1000
        with pytest.raises(TreeRefused, match="999"):
            tree.read("f", 999)
        with pytest.raises(TreeRefused, match="packs"):
            tree.open("f")

    def test_it_cannot_be_listed_or_written(self, tree: Tree) -> None:
        for ask in (
            lambda: list(tree.list()),
            lambda: tree.write("f", b""),
            lambda: tree.delete("f"),
            tree.prepare,
            lambda: tree.exclusive("x").__enter__(),
        ):
            with pytest.raises(TreeCannot):
                ask()


def _answer(status: int, body: bytes, *headers: bytes) -> Answer:
    head = b"".join(each + b"\r\n" for each in headers)

    def answer(asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 %d Answer\r\nContent-Length: %d\r\n%s\r\n" % (status, len(body), head))
        if asked.method != "HEAD":
            send(body)

    return answer
