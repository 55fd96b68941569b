"""Trees with images, read by clients of LXD and Incus; no daemon runs."""

from __future__ import annotations

import io
import ssl
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from functional.streams.image_clients import NAMES, ImageClient, image_client, program_of
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.writing import boot_images, image_files, image_ids
from headwater.streams.writing import feed as feeds
from headwater.streams.writing.boot_images import BootDescription
from headwater.streams.writing.files import Content
from headwater.streams.writing.image_files import Added, ImageDescription, Root
from headwater.streams.writing.image_ids import ImageId
from headwater.streams.writing.merging import Place
from servers.certificates import Authority

SQUASHFS = b"hsqs" + b"a file system" * 5000
DISK = b"QFI\xfb" + b"a disk" * 9000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "tree"
    directory.mkdir()
    return directory


@pytest.fixture(params=NAMES)
def client(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Iterator[ImageClient]:
    program_of(request.param)
    authority = Authority(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.certificate())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"https://127.0.0.1:{server.server_address[1]}"
        yield image_client(request.param, url, authority, tmp_path / "home")
    finally:
        server.shutdown()
        server.server_close()


def content(tmp_path: Path, name: str, body: bytes) -> Content:
    file = tmp_path / name
    file.write_bytes(body)
    return Content.of_file(file)


def disk(tmp_path: Path) -> Root:
    return Root(content=content(tmp_path, "disk", DISK), ftype="disk-kvm.img")


def add(tree: Path, image: ImageDescription, *roots: Root, version: str = "20260101_0000") -> Added:
    return feeds.edit(DirectoryTree(tree), lambda feed: image_files.add(feed, image, roots, version=version))


def test_containers_and_virtual_machines_are_listed_shown_and_exported(
    client: ImageClient, root: Path, tmp_path: Path
) -> None:
    image = ImageDescription(os="TestOS", release="noble", requirements={"secureboot": "false"})
    container = Root(content=content(tmp_path, "rootfs", SQUASHFS), ftype="squashfs")
    machine = disk(tmp_path)
    add(root, image, container)
    added = add(root, image, machine)
    listed = client.run("image", "list", "t:", "--format", "csv", "--columns", "Ft")
    assert sorted(listed.split()) == sorted(
        [
            f"{added.fingerprints['squashfs']},CONTAINER",
            f"{added.fingerprints['disk-kvm.img']},VIRTUAL-MACHINE",
        ]
    )
    told = client.run("image", "info", "t:testos/noble")
    assert added.fingerprints["squashfs"] in told
    assert "Testos" in told or "TestOS" in told
    for kind, body in (("container", SQUASHFS), ("machine", DISK)):
        there = tmp_path / kind
        there.mkdir()
        vm = ["--vm"] if kind == "machine" else []
        client.run("image", "export", "t:testos/noble/default", there, *vm)
        assert body in [file.read_bytes() for file in there.iterdir()]


def test_a_tree_that_other_readers_share_is_read_as_one_of_their_own(
    client: ImageClient, root: Path, tmp_path: Path
) -> None:
    """Ids for Juju, boot images for MAAS and a file of no known kind stand in the same index."""
    tree = DirectoryTree(root)
    image = ImageId(id="an-id", region="RegionOne", endpoints=("https://keystone.example:5000/v3",), version="24.04")
    boot = BootDescription(os="ubuntu", release="noble", version="24.04")
    files = {name: Content.of_bytes(name, name.encode()) for name in (*boot_images.KERNEL_TYPES, "squashfs")}
    iso = Content.of_bytes("an.iso", b"CD001")

    def change(feed: feeds.Feed) -> None:
        image_ids.add(feed, image)
        boot_images.add(feed, boot, files)
        image_files.add_other(feed, iso, Place("an:iso", "20260101", "an.iso"), "iso", content_id="isos", facts={})

    feeds.edit(tree, change)
    added = add(root, ImageDescription(os="TestOS", release="noble"), disk(tmp_path))
    listed = client.run("image", "list", "t:", "--format", "csv", "--columns", "F")
    assert listed.split() == list(added.fingerprints.values())


def test_a_tarball_of_everything_is_exported(client: ImageClient, root: Path, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("metadata.yaml")
        text = b"architecture: x86_64\ncreation_date: 1\n"
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    unified = content(tmp_path, "unified", packed.getvalue())
    add(root, ImageDescription(os="TestOS", release="noble"), Root(content=unified, ftype="lxd_combined.tar.gz"))
    there = tmp_path / "exported"
    there.mkdir()
    client.run("image", "export", "t:testos/noble", there)
    assert [file.read_bytes() for file in there.iterdir()] == [packed.getvalue()]
