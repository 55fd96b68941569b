"""Trees that the service serves: a directory, buckets, Juju's agents, and a feed of others for the clients of LXD."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx2 as httpx
import pytest
from keystoneauth1.session import Session
from swiftclient.authv1 import PasswordPlugin

from functional.conftest import FreshHeadwater
from functional.raw_http import HalfRequest
from functional.streams.image_clients import NAMES, image_client, program_of
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.s3 import S3Tree
from headwater.streams.trees.served.file import NotInTree
from headwater.streams.trees.served.stored import StoredTree
from headwater.streams.trees.swift import SwiftTree
from headwater.streams.trees.tree import Tree
from headwater.streams.writing import feed as feeds
from headwater.streams.writing import image_files
from headwater.streams.writing.files import Content
from headwater.streams.writing.image_files import Added, ImageDescription, Root
from servers.certificates import Authority
from servers.openstack.swift import Swift

AGENT = b"\x1f\x8b" + os.urandom(200_000)
NAME = "juju-3.6.27-ubuntu-amd64.tgz"
SQUASHFS = b"hsqs" + b"a file system" * 50_000


def test_a_directory_of_agents_is_served_after_one_command(fresh_headwater: FreshHeadwater, tmp_path: Path) -> None:
    service = fresh_headwater()
    assert httpx.get(f"{service.images_url}/tools/streams/v1/index2.json").status_code == 404
    tarballs = tmp_path / "tarballs"
    tarballs.mkdir()
    (tarballs / NAME).write_bytes(AGENT)
    service.command("streams", "add-agent", service.data_dir / "streams" / "agents", tarballs)

    url = f"{service.images_url}/tools"
    where = ("--url", url, "--no-defaults", "--region", "One", "--endpoint", "https://keystone.example:5000/v3")
    told = service.command("streams", "find-agent", "--version", "3.6.27", *where, "--json")
    assert told.returncode == 0, told.stderr
    assert NAME in told.stdout
    index = httpx.get(f"{url}/streams/v1/index2.json").json()
    products = httpx.get(f"{url}/{index['index']['com.ubuntu.juju:released:agents']['path']}").json()
    (version,) = products["products"]["com.ubuntu.juju:ubuntu:amd64"]["versions"].values()
    (item,) = version["items"].values()
    # Source: Juju 4 asks for these and takes no other type.
    given = httpx.get(f"{url}/{item['path']}", headers={"Accept": "application/x-gzip,application/gzip"})
    assert given.headers["content-type"] == "application/gzip"
    assert hashlib.sha256(given.content).hexdigest() == item["sha256"]
    assert "content-encoding" not in given.headers


def test_a_directory_gives_its_files_and_nothing_outside(fresh_headwater: FreshHeadwater, tmp_path: Path) -> None:
    root = tmp_path / "site"
    (root / "images").mkdir(parents=True)
    data = os.urandom(3 << 20)
    (root / "images" / "disk.img").write_bytes(data)
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "out").symlink_to(tmp_path / "secret")
    service = fresh_headwater(toml=f'[streams.trees.site]\nurl = "{root}"\n', workers=2)
    with httpx.Client(base_url=f"{service.images_url}/trees/site/") as http:
        assert http.get("images/disk.img").content == data
        part = http.get("images/disk.img", headers={"Range": "bytes=1000-2000000"})
        assert (part.status_code, part.content) == (206, data[1000:2000001])
        assert http.get("out").status_code == 404
        for path in ("images", "images/", ""):
            assert http.get(path).status_code == 404
    # A client library would take the dots away.
    for odd in ("../secret", "%2e%2e/secret", "images/../../secret", "%2fetc/passwd", "..%5csecret", "%00"):
        with HalfRequest(service.images_url, "GET", f"/trees/site/{odd}", length=0) as request:
            assert request.status() in (400, 404), odd


def test_a_tree_of_another_service_is_served(
    fresh_headwater: FreshHeadwater, swift: Swift, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, data = f"trees-{uuid.uuid4().hex[:8]}", os.urandom(3 << 20)
    environment = {
        "AWS_ACCESS_KEY_ID": swift.writer.name,
        "AWS_SECRET_ACCESS_KEY": swift.writer.key,
        "AWS_ENDPOINT_URL": swift.s3_url,
        "AWS_REGION": swift.region,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    filled(S3Tree(bucket, "feed", endpoint=swift.s3_url, region=swift.region), data)
    service = fresh_headwater(toml=f'[streams.trees.site]\nurl = "s3://{bucket}/feed"\n', env=environment)
    with httpx.Client(base_url=f"{service.images_url}/trees/site/") as http:
        index = http.get("streams/v1/index.json")
        assert (index.status_code, index.headers["content-type"]) == (200, "application/json"), index.text
        assert http.get("disk.img").content == data
        assert http.get("disk.img", headers={"Range": "bytes=1000-2000000"}).content == data[1000:2000001]
        assert http.get("disk.img", headers={"Range": "bytes=-5"}).content == data[-5:]
        several = http.get("disk.img", headers={"Range": "bytes=0-1,5-6"})
        assert (several.status_code, several.content) == (200, data)
        held = {"If-None-Match": index.headers["etag"]}
        assert http.get("streams/v1/index.json", headers=held).status_code == 304
        assert http.head("disk.img").headers["content-length"] == str(len(data))
        for path in ("nothing", "", "streams", "../x", "headwater-writer.json"):
            assert http.get(path).status_code == 404, path


def test_a_container_of_swift_gives_files_and_parts_of_them(swift: Swift) -> None:
    data = os.urandom(3 << 20)
    session = Session(auth=PasswordPlugin(swift.auth_url, swift.writer.name, swift.writer.key))
    tree = SwiftTree(session, f"trees-{uuid.uuid4().hex[:8]}", "feed")
    filled(tree, data)
    found = StoredTree("site", tree).find("disk.img")
    assert (found.size, found.media_type) == (len(data), "application/octet-stream")
    for wanted in (range(len(data)), range(1000, 2_000_001), range(len(data) - 5, len(data))):
        pieces = found.begin(wanted)
        assert isinstance(pieces, Iterator)
        assert b"".join(pieces) == data[wanted.start : wanted.stop]
    with pytest.raises(NotInTree):
        StoredTree("site", tree).find("nothing")


def filled(tree: Tree, data: bytes) -> None:
    tree.prepare()
    tree.write("streams/v1/index.json", b'{"index": {}}')
    tree.write("disk.img", data)


# --- A client of LXD -----------------------------------------------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[tuple[str, Added]]:
    """A feed with one image on a web server, its URL and what stands in it."""
    root = tmp_path / "origin"
    file = tmp_path / "rootfs"
    file.write_bytes(SQUASHFS)
    described = ImageDescription(os="TestOS", release="noble")
    roots = [Root(content=Content.of_file(file), ftype="squashfs")]
    added = feeds.edit(
        DirectoryTree(root), lambda feed: image_files.add(feed, described, roots, version="20260101_0000")
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", added
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name", NAMES)
def test_a_client_exports_an_image_of_others_and_again_when_they_are_gone(
    fresh_headwater: FreshHeadwater, origin: tuple[str, Added], tmp_path: Path, name: str
) -> None:
    program_of(name)
    authority = Authority(tmp_path)
    url, added = origin
    service = fresh_headwater(
        toml=f"""
            [server.tls]
            certificate = "{authority.certificate()}"
            [streams.trees.far]
            pull_through = "{url}"
            [streams.trees.far.fetch]
            allowed_hosts = ["127.0.0.1"]
            allowed_ports = []
        """
    )
    ours = service.images_url.replace("http://", "https://")
    client = image_client(name, f"{ours}/trees/far", authority, tmp_path / "home")
    listed = client.run("image", "list", "t:", "--format", "csv", "--columns", "F")
    assert listed.split() == list(added.fingerprints.values())
    for turn in ("first", "second"):
        there = tmp_path / turn
        there.mkdir()
        client.run("image", "export", "t:testos/noble", there)
        assert SQUASHFS in [file.read_bytes() for file in there.iterdir()]
    assert json.loads(service.command("streams", "pulled", "list", "far", "--json").stdout)["files"]
