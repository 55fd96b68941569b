"""``headwater streams mirror`` from web servers, good and bad ones, into directories, Swift and S3; and killed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from keystoneauth1.session import Session
from swiftclient.authv1 import PasswordPlugin

from functional.conftest import FreshHeadwater
from functional.headwater_process import run_headwater, wait_until
from headwater.streams.format.layout import INDEX
from headwater.streams.mirroring.mirror import mirror
from headwater.streams.query.query import query
from headwater.streams.trees import lease
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.parts import LARGE, PART
from headwater.streams.trees.s3 import S3Tree
from headwater.streams.trees.swift import SwiftTree
from headwater.streams.trees.tree import Tree, TreeRefused
from headwater.streams.trees.web import WebTree
from needs import simplestreams_tool
from servers.http.web import Answer, Asked, SendBytes, WebServer, content, web_server
from servers.openstack.swift import Swift
from unit.streams.mirroring.feeds import data, files, path_of, put, require_whole, two_releases, versions

ONE, TWO = "example:one:amd64", "example:two:amd64"
FILE = f"/{path_of(ONE, '20260102', 'root.squashfs')}"
HEADWATER = (sys.executable, "-m", "headwater.cli.main", "streams", "mirror")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def source(tmp_path: Path, server: WebServer) -> DirectoryTree:
    """Return the tree that the server serves."""
    tree = DirectoryTree(tmp_path / "source")
    put(tree, two_releases())
    for entry in tree.list():
        server.pages[f"/{entry.path}"] = content(tree.read(entry.path).body)
    return tree


@pytest.fixture
def target(tmp_path: Path) -> DirectoryTree:
    return DirectoryTree(tmp_path / "target")


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return run_headwater("streams", "mirror", *words, directory=Path(tempfile.gettempdir()), timeout_s=120)


def report(*words: str | Path) -> tuple[int, dict[str, Any]]:
    done = command(*words, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def status(code: int) -> Answer:
    return lambda _asked, send: send(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % code)


def page(asked: Asked, send: SendBytes) -> None:
    body = b"<!DOCTYPE html><title>Log in</title>"
    send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def test_a_feed_on_a_web_server_is_mirrored_and_told_of(
    server: WebServer, source: DirectoryTree, target: DirectoryTree
) -> None:
    code, told = report(server.url("/"), target.root)
    assert (code, told["good"], told["files"]["fetched"], told["files"]["same"]) == (0, True, 8, 0)
    assert told["files"]["bytes"] == sum(source.stat(path).size for path in files(source))
    assert [each["done"] for each in told["documents"]] == ["added", "added"]
    assert [target.read(each).body for each in files(source)] == [source.read(each).body for each in files(source)]
    server.asked.clear()
    code, told = report(server.url(f"/{INDEX}"), target.root)
    assert (code, told["files"]["fetched"], told["files"]["same"]) == (0, 0, 8)
    assert not [each for each in server.asked if each.path.startswith("/images")]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (status(404), "there is no images/"),
        (status(403), "answered 403"),
        (status(500), "answered 500"),
        (page, "web page"),
        (content(data("something else", 2000)), "the feed says"),
        (lambda _asked, send: send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nfew"), "the feed says"),
    ],
)
def test_what_a_server_answers_wrongly_is_left_out_and_told(
    server: WebServer, source: DirectoryTree, target: DirectoryTree, answer: Answer, problem: str
) -> None:
    server.pages[FILE] = answer
    web = WebTree(server.url("/"), sleep=lambda _: None)
    found = mirror(web, target, sleep=lambda _: None)
    assert [each.file.path for each in found.bad] == [FILE[1:]]
    assert problem in found.bad[0].problem
    assert FILE[1:] in found.bad[0].problem
    assert versions(target) == {ONE: ["20260101"], TWO: ["20260101", "20260102"]}
    require_whole(target)
    web.close()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_breaks_off_goes_on(
    server: WebServer, source: DirectoryTree, target: DirectoryTree, *, ranges: bool
) -> None:
    whole = data("one 20260102 root.squashfs")
    answers: list[str | None] = []

    def breaking(asked: Asked, send: SendBytes) -> None:
        answers.append(asked.headers.get("range"))
        if len(answers) == 1:
            send(b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: %d\r\n\r\n' % len(whole) + whole[:700])
        elif ranges:
            rest = whole[700:]
            send(
                b'HTTP/1.1 206 Partial\r\nETag: "a"\r\nContent-Range: bytes 700-%d/%d\r\n'
                % (len(whole) - 1, len(whole))
            )
            send(b"Content-Length: %d\r\n\r\n" % len(rest) + rest)
        else:
            send(b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: %d\r\n\r\n' % len(whole) + whole)

    server.pages[FILE] = breaking
    web = WebTree(server.url("/"))
    assert mirror(web, target, sleep=lambda _: None).is_good
    assert answers == [None, "bytes=700-"]
    require_whole(target)
    web.close()


def test_a_server_without_head_is_mirrored(server: WebServer, source: DirectoryTree, target: DirectoryTree) -> None:
    for entry in source.list():
        server.pages[f"/{entry.path}"] = content(source.read(entry.path).body, ranges=False, head=False)
    web = WebTree(server.url("/"))
    assert mirror(web, target).is_good
    assert {each.method for each in server.asked} == {"GET"}
    web.close()


def test_a_download_goes_on_where_a_server_tells_a_date_alone(
    server: WebServer, source: DirectoryTree, target: DirectoryTree
) -> None:
    whole = data("one 20260102 root.squashfs")
    date = b"Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    ranges: list[str | None] = []

    def breaking(asked: Asked, send: SendBytes) -> None:
        ranges.append(asked.headers.get("range"))
        if len(ranges) == 1:
            send(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n" % (date, len(whole)) + whole[:700])
            return
        send(b"HTTP/1.1 206 Partial\r\n%sContent-Range: bytes 700-%d/%d\r\n" % (date, len(whole) - 1, len(whole)))
        send(b"Content-Length: %d\r\n\r\n" % len(whole[700:]) + whole[700:])

    server.pages[FILE] = breaking
    web = WebTree(server.url("/"))
    assert mirror(web, target, sleep=lambda _: None).is_good
    assert ranges == [None, "bytes=700-"]
    web.close()


def test_a_server_that_drips_is_given_up(
    server: WebServer, source: DirectoryTree, target: DirectoryTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headwater.streams.trees.web._PATIENCE_S", 0.2)

    def drips(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data("one 20260102 root.squashfs")))
        for _ in range(100):
            send(b"x")
            time.sleep(0.02)

    server.pages[FILE] = drips
    web = WebTree(server.url("/"))
    found = mirror(web, target, sleep=lambda _: None)
    assert "less than" in found.bad[0].problem
    require_whole(target)
    web.close()


def test_exit_codes_tell_what_became_of_it(server: WebServer, source: DirectoryTree, target: DirectoryTree) -> None:
    server.pages[FILE] = status(404)
    done = command(server.url("/"), target.root)
    assert done.returncode == 1
    assert "there is no images/" in done.stderr
    assert "left out example:one:amd64, version 20260102" in done.stdout
    for words in (["--keyring", "x", "-U"], ["--rate", "5"], ["release"], ["--verify", "--repair"]):
        assert command(server.url("/"), target.root, *words).returncode == 2
    server.pages[f"/{INDEX}"] = page
    done = command(server.url("/"), target.root)
    assert done.returncode == 1
    assert "index.json" in done.stderr
    assert "web page" in done.stderr


def test_what_is_spoiled_is_found_and_repaired(server: WebServer, source: DirectoryTree, target: DirectoryTree) -> None:
    report(server.url("/"), target.root)
    path = FILE[1:]
    target.write(path, target.read(path).body[:-1] + b"?")
    code, told = report(server.url("/"), target.root, "--verify")
    assert (code, [each["path"] for each in told["bad"]]) == (1, [path])
    assert report(server.url("/"), target.root)[1]["files"]["fetched"] == 0, "size and document tell, if nobody asks"
    code, told = report(server.url("/"), target.root, "--repair")
    assert (code, told["repaired"]) == (0, [path])
    server.asked.clear()
    assert report(server.url("/"), target.root, "--verify")[0] == 0
    assert server.asked == [], "the source is not asked"


def test_a_mirror_that_is_killed_goes_on_and_was_whole(
    server: WebServer, source: DirectoryTree, target: DirectoryTree
) -> None:
    def hangs(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 2025\r\n\r\n")
        time.sleep(60)

    good, server.pages[FILE] = server.pages[FILE], hangs
    running = subprocess.Popen([*HEADWATER, server.url("/"), target.root, "--parallel", "2"])
    try:
        deadline = time.monotonic() + 60
        while len(files(target)) < 7 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert command(server.url("/"), target.root).returncode == 1, "the first one has it"
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert len(files(target)) == 7
    assert [each.path for each in target.list("streams/")] == [], "nothing names what is not there"
    server.pages[FILE] = good
    code, told = report(server.url("/"), target.root)
    assert (code, told["fetched"], told["files"]["same"]) == (0, [FILE[1:]], 7)
    require_whole(target)


def test_what_a_killed_mirror_had_of_a_large_file_does_not_come_again(
    server: WebServer, tmp_path: Path, target: DirectoryTree
) -> None:
    large = random.Random(7).randbytes(16 << 20)
    source, path = DirectoryTree(tmp_path / "large"), path_of(ONE, "20260101", "root.squashfs")
    put(source, {ONE: {"20260101": {"root.squashfs": large}}})
    server.pages = {f"/{entry.path}": content(source.read(entry.path).body) for entry in source.list()}

    def hangs_half_way(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(large) + large[: len(large) // 2])
        time.sleep(60)

    good, server.pages[f"/{path}"] = server.pages[f"/{path}"], hangs_half_way
    running = subprocess.Popen([*HEADWATER, server.url("/"), target.root])
    try:
        left = target.root / path
        wait_until(
            lambda: sum(each.stat().st_size for each in left.parent.glob(".headwater-*")) >= len(large) // 4,
            "a quarter of the file has come",
        )
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    server.pages[f"/{path}"] = good
    code, told = report(server.url("/"), target.root)
    assert (code, told["fetched"]) == (0, [path])
    assert told["files"]["bytes"] <= len(large) * 3 // 4
    require_whole(target)


def test_what_a_killed_mirror_had_in_a_bucket_does_not_come_again(
    swift: Swift, server: WebServer, tmp_path: Path, target: DirectoryTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", swift.writer.name)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", swift.writer.key)
    monkeypatch.setenv("AWS_ENDPOINT_URL", swift.s3_url)
    monkeypatch.setenv("AWS_REGION", swift.region)
    large = random.Random(8).randbytes(LARGE + (1 << 20))
    source, path = DirectoryTree(tmp_path / "large"), path_of(ONE, "20260101", "root.squashfs")
    put(source, {ONE: {"20260101": {"root.squashfs": large}}})
    server.pages = {f"/{entry.path}": content(source.read(entry.path).body) for entry in source.list()}
    between = S3Tree(f"mirror-{uuid.uuid4().hex[:8]}", "data", endpoint=swift.s3_url, region=swift.region)
    between.prepare()

    def hangs_near_the_end(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(large) + large[: 3 * PART + PART // 2])
        time.sleep(60)

    good, server.pages[f"/{path}"] = server.pages[f"/{path}"], hangs_near_the_end
    running = subprocess.Popen([*HEADWATER, server.url("/"), between.place, "--parallel", "1"])
    try:
        wait_until(lambda: len(list(between.every(".headwater-parts/"))) == 3, "three parts have come")
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert list(between.list("images/")) == []
    between.delete(lease.NAME)  # which a killed process holds for two minutes
    server.pages[f"/{path}"] = good
    words = [*HEADWATER, server.url("/"), between.place, "--json"]
    told = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    assert told["fetched"] == [path]
    assert told["files"]["bytes"] == len(large) - 3 * PART
    assert mirror(between, target).is_good
    require_whole(target)
    between.close()


def trees_of(swift: Swift) -> list[Tree]:
    session = Session(auth=PasswordPlugin(swift.auth_url, swift.writer.name, swift.writer.key))
    return [SwiftTree(session, f"mirror-{uuid.uuid4().hex[:8]}", "data")]


def test_a_feed_is_mirrored_into_swift_and_from_there_into_a_directory(
    swift: Swift, source: DirectoryTree, target: DirectoryTree
) -> None:
    for between in trees_of(swift):
        assert mirror(source, between).is_good
        assert mirror(source, between).same == 8
        assert mirror(between, target).is_good
        require_whole(target)
        between.close()


def test_what_is_wrong_is_never_visible_in_s3(
    swift: Swift, source: DirectoryTree, target: DirectoryTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", swift.writer.name)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", swift.writer.key)
    between = S3Tree(f"mirror-{uuid.uuid4().hex[:8]}", "data", endpoint=swift.s3_url, region="us-east-1")
    body = source.read(FILE[1:]).body
    source.write(FILE[1:], body[:-1] + b"?")
    found = mirror(source, between)
    assert [each.file.path for each in found.bad] == [FILE[1:]]
    assert FILE[1:] not in [entry.path for entry in between.list()]
    source.write(FILE[1:], body)
    assert mirror(source, between).fetched == [FILE[1:]]
    assert mirror(between, target).is_good
    require_whole(target)
    between.close()


def test_a_bucket_that_may_not_be_written_is_named(
    swift: Swift, source: DirectoryTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", swift.writer.name)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    between = S3Tree("nobody", "data", endpoint=swift.s3_url, region="us-east-1")
    with pytest.raises(TreeRefused) as refused:
        mirror(source, between)
    assert "s3://nobody/data" in str(refused.value)
    between.close()


def test_the_simplestreams_tools_read_and_mirror_what_was_filtered(
    source: DirectoryTree, target: DirectoryTree, tmp_path: Path
) -> None:
    assert report(source.root, target.root, "release=one", "--max", "1")[0] == 0
    query: list[str | Path] = [simplestreams_tool("sstream-query"), "--json", "--no-verify", target.root / INDEX]
    rows = json.loads(subprocess.run(query, capture_output=True, text=True, check=True).stdout)
    assert {(row["product_name"], row["version_name"]) for row in rows} == {(ONE, "20260102")}
    theirs = tmp_path / "theirs"
    words: list[str | Path] = [
        simplestreams_tool("sstream-mirror"),
        "--no-verify",
        "--path",
        INDEX,
        f"{target.root}/",
        theirs,
    ]
    subprocess.run(words, capture_output=True, text=True, check=True)
    assert files(DirectoryTree(theirs)) == files(target)


@pytest.mark.parametrize("options", [[], ["--max", "1"]])
@pytest.mark.parametrize("filters", [[], ["release=two"], ["ftype~squashfs", "product_name!=example:two:amd64"]])
def test_the_same_files_come_as_to_the_mirror_of_the_simplestreams_tools(
    source: DirectoryTree, target: DirectoryTree, tmp_path: Path, options: list[str], filters: list[str]
) -> None:
    assert report(source.root, target.root, *filters, *options)[0] == 0
    theirs = tmp_path / "theirs"
    called: list[str | Path] = [simplestreams_tool("sstream-mirror"), "--no-verify", "--path", INDEX, *options]
    subprocess.run([*called, f"{source.root}/", theirs, *filters], capture_output=True, text=True, check=True)
    assert files(target) == files(DirectoryTree(theirs))


def test_the_live_feed_is_mirrored_as_any_other(fresh_headwater: FreshHeadwater, target: DirectoryTree) -> None:
    service = fresh_headwater(toml='[[streams.clouds]]\nregion = "One"\nendpoint = "https://one.example/v3"\n')
    about = {"os_distro": "ubuntu", "os_version": "24.04", "architecture": "x86_64", "visibility": "public"}
    with httpx.Client(base_url=service.images_url) as http:
        document = {"disk_format": "raw", "container_format": "bare", **about}
        image_id = http.post("/v2/images", json=document).raise_for_status().json()["id"]
        kind = {"Content-Type": "application/octet-stream"}
        http.put(f"/v2/images/{image_id}/file", content=b"some bytes", headers=kind).raise_for_status()
    url = f"{service.images_url}/simplestreams/images"
    assert report(url, target.root)[0] == 0
    assert [(row["id"], row["region"]) for row in query(target)] == [(image_id, "One")]
    assert report(url, target.root)[1]["good"]
