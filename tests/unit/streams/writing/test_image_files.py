"""Images for LXD and Incus, written into a feed and found again as their clients find them."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import lzma
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import HeadwaterError
from headwater.streams.format.documents import Products
from headwater.streams.signing.verifying import verify
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import PathNotFound, Tree, TreeInUse
from headwater.streams.writing import deletions, image_files
from headwater.streams.writing import feed as feeds
from headwater.streams.writing.files import Content, FileChanged, FileUnusable
from headwater.streams.writing.image_files import Added, BadImageFile, ImageDescription, Root, ftype_of
from unit.streams.keys import open_key
from unit.streams.writing.trees import Killed, MortalTree

DAY = 1_790_000_000_000_000  # 21 September 2026, 14:13 UTC
HOUR = 3_600_000_000
COMBINED = {"squashfs": "combined_squashfs_sha256", "disk-kvm.img": "combined_disk-kvm-img_sha256"}
_numbers = itertools.count()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return DirectoryTree(tmp_path / "tree")


def noble(**more: Any) -> ImageDescription:
    return ImageDescription(**({"os": "TestOS", "release": "noble"} | more))


def content(directory: Path, body: bytes) -> Content:
    directory.mkdir(exist_ok=True)
    file = directory / f"input-{next(_numbers)}"
    file.write_bytes(body)
    return Content.of_file(file)


def squashfs(directory: Path, text: str = "one", base: str | None = None) -> Root:
    beginning = b"\xd6\xc3\xc4" if base else b"hsqs"
    return Root(content=content(directory, beginning + text.encode()), ftype="squashfs", base=base)


def disk(directory: Path, text: str = "one") -> Root:
    return Root(content=content(directory, b"QFI\xfb" + text.encode()), ftype="disk-kvm.img")


def tarball(directory: Path, document: object, name: str = "metadata.yaml", form: str = "w:xz") -> Content:
    packed = io.BytesIO()
    text = yaml.safe_dump(document).encode()
    with tarfile.open(fileobj=packed, mode=form) as tar:  # type: ignore[call-overload]  # any of its forms
        member = tarfile.TarInfo(name)
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return content(directory, packed.getvalue())


def add(tree: Tree, *roots: Root, image: ImageDescription | None = None, at: int = DAY, **more: Any) -> Added:
    described = image or noble()
    added, _ = deletions.edit(
        tree,
        lambda feed: image_files.add(feed, described, roots, clock=lambda: at, **more),
        purpose="a test",
        clock=lambda: at,
    )
    return added


def client_sees(tree: Tree, metadata_type: str) -> dict[str, tuple[bytes, bytes]]:
    """Return the images that a client sees, metadata and root by fingerprint, as strict as LXD and Incus are."""
    index = json.loads(tree.read("streams/v1/index.json").body)
    found: dict[str, tuple[bytes, bytes]] = {}
    for entry in index["index"].values():
        if entry.get("datatype") != "image-downloads" or not entry.get("products"):
            continue
        products = json.loads(tree.read(entry["path"]).body)["products"]
        for product in products.values():
            assert all(isinstance(value, str) for value in product.get("requirements", {}).values())
            assert product["arch"] in ("amd64", "arm64")
            for version in product["versions"].values():
                found |= _of_version(tree, version["items"], metadata_type)
    return found


def _of_version(tree: Tree, items: Mapping[str, Any], metadata_type: str) -> dict[str, tuple[bytes, bytes]]:
    found = {}
    for about in items.values():
        if about["ftype"] != metadata_type:
            continue
        for root in items.values():
            fingerprint = about.get(COMBINED.get(root["ftype"], ""))
            if fingerprint is None:
                continue
            pair = tree.read(about["path"]).body, tree.read(root["path"]).body
            for item, body in zip((about, root), pair, strict=True):
                assert (item["size"], item["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
            assert hashlib.sha256(b"".join(pair)).hexdigest() == fingerprint
            found[fingerprint] = pair
    return found


def test_lxd_and_incus_see_one_container_and_one_machine(tree: Tree, tmp_path: Path) -> None:
    added = add(tree, squashfs(tmp_path), disk(tmp_path), version="20260101_1230")
    seen = client_sees(tree, "incus.tar.xz")
    assert seen == client_sees(tree, "lxd.tar.xz")
    assert set(seen) == set(added.fingerprints.values())
    metadata, _ = seen[added.fingerprints["squashfs"]]
    with tarfile.open(fileobj=io.BytesIO(metadata)) as tar:
        assert tar.getnames() == ["metadata.yaml"]
        document = yaml.safe_load(tar.extractfile("metadata.yaml"))  # type: ignore[arg-type]
    assert document["architecture"] == "x86_64"
    assert document["creation_date"] == 1_767_270_600  # 1 January 2026, 12:30 UTC
    assert document["properties"]["os"] == "TestOS"


def test_what_stands_where_readers_look_for_it(tree: Tree, tmp_path: Path) -> None:
    add(tree, squashfs(tmp_path), image=noble(requirements={"secureboot": "false"}, arch="aarch64"))
    product = json.loads(tree.read("streams/v1/images.json").body)["products"]["testos:noble:arm64:default"]
    assert product["aliases"] == "testos/noble,testos/noble/default"
    assert (product["arch"], product["requirements"]) == ("arm64", {"secureboot": "false"})
    assert list(product["versions"]) == ["20260921_1413"]
    entry = json.loads(tree.read("streams/v1/index.json").body)["index"]["images"]
    assert (entry["datatype"], entry["products"]) == ("image-downloads", ["testos:noble:arm64:default"])


def test_a_root_that_joins_a_version_shares_its_metadata(tree: Tree, tmp_path: Path) -> None:
    first = add(tree, squashfs(tmp_path), version="20260101")
    second = add(tree, disk(tmp_path), version="20260101", image=noble(release_title="Another"))
    assert first.fingerprints["squashfs"] == second.fingerprints["squashfs"]
    assert set(client_sees(tree, "incus.tar.xz")) == set(second.fingerprints.values())


def test_the_same_image_has_the_same_fingerprint_and_writes_nothing(tree: Tree, tmp_path: Path) -> None:
    first = add(tree, squashfs(tmp_path))
    before = list(tree.list())
    assert add(tree, squashfs(tmp_path)) == first
    assert list(tree.list()) == before
    assert add(DirectoryTree(tmp_path / "other"), squashfs(tmp_path)) == first


def test_metadata_that_is_given_is_taken_for_all_roots_of_the_version(tree: Tree, tmp_path: Path) -> None:
    add(tree, squashfs(tmp_path), version="20260101")
    given = tarball(tmp_path, {"architecture": "x86_64", "creation_date": 5})
    added = add(tree, disk(tmp_path), metadata=given, version="20260101")
    seen = client_sees(tree, "lxd.tar.xz")
    assert set(seen) == set(added.fingerprints.values())
    assert {metadata for metadata, _ in seen.values()} == {b"".join(given.pieces())}


def test_a_tarball_of_everything_is_an_image_by_itself(tree: Tree, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in (("./metadata.yaml", b"{architecture: amd64, creation_date: 5}"), ("rootfs.img", b"")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    unified = content(tmp_path, packed.getvalue())
    add(tree, Root(content=unified, ftype=ftype_of(unified) or ""))
    product = json.loads(tree.read("streams/v1/images.json").body)["products"]["testos:noble:amd64:default"]
    [version] = product["versions"].values()
    assert set(version["items"]) == {"lxd_combined.tar.gz", "incus_combined.tar.gz"}
    for name, item in version["items"].items():
        assert (item["ftype"], item["combined_type"]) == (name, "virtual-machine")
        assert item["sha256"] == unified.sha256


def test_a_delta_names_the_version_that_it_begins_with(tree: Tree, tmp_path: Path) -> None:
    add(tree, squashfs(tmp_path), version="20260101")
    add(tree, squashfs(tmp_path, "two"), squashfs(tmp_path, "how", base="20260101"), version="20260102")
    versions = json.loads(tree.read("streams/v1/images.json").body)["products"]["testos:noble:amd64:default"][
        "versions"
    ]
    delta = versions["20260102"]["items"]["root.20260101.vcdiff"]
    assert (delta["ftype"], delta["delta_base"]) == ("squashfs.vcdiff", "20260101")
    with pytest.raises(BadImageFile, match="has no version '20250101'"):
        add(tree, squashfs(tmp_path, "three"), squashfs(tmp_path, "how", base="20250101"), version="20260103")


def test_a_file_that_nothing_names_any_more_goes_after_its_grace(tree: Tree, tmp_path: Path) -> None:
    old = squashfs(tmp_path, "old")
    add(tree, old, version="20260101")
    add(tree, squashfs(tmp_path, "new"), version="20260101")
    path = f"images/{old.content.sha256}/root.squashfs"
    nothing: Callable[[feeds.Feed], None] = lambda _: None  # noqa: E731  # a change with a type

    def gone(at: int) -> list[str]:
        return deletions.edit(tree, nothing, purpose="a test", clock=lambda: at)[1]

    assert gone(DAY + HOUR) == []
    assert tree.read(path).body.endswith(b"old")
    assert gone(DAY + 2 * HOUR) == [path]
    with pytest.raises(PathNotFound):
        tree.read(path)
    assert len(client_sees(tree, "lxd.tar.xz")) == 1
    with pytest.raises(PathNotFound):
        tree.read(deletions.STATE)


def test_a_file_that_is_named_again_stays(tree: Tree, tmp_path: Path) -> None:
    add(tree, squashfs(tmp_path, "old"), version="20260101")
    add(tree, squashfs(tmp_path, "new"), version="20260101")
    add(tree, squashfs(tmp_path, "old"), version="20260102", at=DAY + HOUR)
    add(tree, disk(tmp_path), version="20260101", at=DAY + 5 * HOUR)
    assert len(client_sees(tree, "lxd.tar.xz")) == 3


def test_nothing_is_removed_while_a_document_cannot_be_read(tree: Tree, tmp_path: Path) -> None:
    old = squashfs(tmp_path, "old")
    add(tree, old, version="20260101")
    index = json.loads(tree.read("streams/v1/index.json").body)
    index["index"]["others"] = {"path": "streams/v1/others.json", "format": "products:1.0"}
    for name in ("index", "index2"):
        tree.write(f"streams/v1/{name}.json", json.dumps(index).encode())
    add(tree, squashfs(tmp_path, "new"), version="20260101")
    add(tree, disk(tmp_path), version="20260101", at=DAY + 5 * HOUR)
    assert tree.read(f"images/{old.content.sha256}/root.squashfs").body.endswith(b"old")


def test_a_writer_that_is_killed_at_any_write_leaves_images_that_are_whole(tmp_path: Path) -> None:
    for dies_at in itertools.count():
        root = tmp_path / str(dies_at)
        before = add(DirectoryTree(root), squashfs(tmp_path, "old"), version="20260101")
        mortal = MortalTree(root, dies_at)
        roots = squashfs(tmp_path, "new"), disk(tmp_path)
        try:
            add(mortal, *roots, version="20260101")
        except Killed:
            seen = client_sees(DirectoryTree(root), "incus.tar.xz")
            assert len(seen) == 2 or set(seen) == set(before.fingerprints.values())
        after = add(DirectoryTree(root), *roots, version="20260101")
        assert set(client_sees(DirectoryTree(root), "incus.tar.xz")) == set(after.fingerprints.values())
        if mortal.writes < dies_at:
            assert dies_at > 5
            return


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"arch": "vax"}, "pass over 'vax'"),
        ({"release": "no ble"}, "release"),
        ({"os": " "}, "os"),
        ({"aliases": ("a, b",)}, "alias"),
        ({"aliases": ("",)}, "alias"),
        ({"support_eol": "soon"}, "support_eol"),
        ({"variant": "a/b"}, "variant"),
    ],
)
def test_what_no_client_would_show_is_refused(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadImageFile, match=problem):
        noble(**more)


@pytest.mark.parametrize("version", ["v1", "20261301", "2026", "20260101 12", "20260101/2"])
def test_a_version_that_clients_do_not_read_is_refused(tree: Tree, tmp_path: Path, version: str) -> None:
    with pytest.raises(BadImageFile, match="begin with a date"):
        add(tree, squashfs(tmp_path), version=version)
    assert list(tree.list()) == []


def _foreign(directory: Path) -> Content:
    return tarball(directory, {"architecture": "aarch64", "creation_date": 5})


def _dateless(directory: Path) -> Content:
    return tarball(directory, {"architecture": "x86_64"})


def _nameless(directory: Path) -> Content:
    return tarball(directory, {"architecture": "x86_64"}, name="other.yaml")


def _cut_off(directory: Path) -> Content:
    whole = b"".join(_foreign(directory).pieces())
    return content(directory, whole[: len(whole) // 2])


def _no_tarball(directory: Path) -> Content:
    return content(directory, lzma.compress(b"text"))


@pytest.mark.parametrize("body", [b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\0 and no more of it"])
def test_a_tarball_of_everything_that_is_none_is_refused(tree: Tree, tmp_path: Path, body: bytes) -> None:
    with pytest.raises(FileUnusable, match="no tarball"):
        add(tree, Root(content=content(tmp_path, body), ftype="lxd_combined.tar.gz"))


@pytest.mark.parametrize("given", [_foreign, _dateless, _nameless, _cut_off, _no_tarball])
def test_metadata_that_is_not_that_of_the_image_is_refused(
    tree: Tree, tmp_path: Path, given: Callable[[Path], Content]
) -> None:
    with pytest.raises(FileUnusable):
        add(tree, squashfs(tmp_path), metadata=given(tmp_path))


def test_a_file_that_changes_meanwhile_is_not_named(tree: Tree, tmp_path: Path) -> None:
    root = squashfs(tmp_path)
    assert root.content.file is not None
    root.content.file.write_bytes(b"hsqs another")
    with pytest.raises(FileChanged):
        add(tree, root)
    assert [entry.path for entry in tree.list("streams")] == []


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name, problem in (("empty", "empty"), ("absent", "cannot be read")):
        with pytest.raises(FileUnusable, match=problem):
            Content.of_file(tmp_path / name)


_ADDED = st.lists(
    st.tuples(
        st.sampled_from(["squashfs", "disk-kvm.img"]),
        st.sampled_from(["20260101", "20260102_0300"]),
        st.sampled_from(["amd64", "arm64"]),
        st.text("ab", min_size=1, max_size=2),
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=20)
@given(_ADDED)
def test_all_that_was_added_is_seen_and_reads_back_equal(added: list[tuple[str, str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tree = DirectoryTree(Path(directory, "tree"))
        for ftype, version, arch, text in added:
            make = squashfs if ftype == "squashfs" else disk
            add(tree, make(Path(directory), text), image=noble(arch=arch), version=version)
        wanted = {(ftype, version, arch): text for ftype, version, arch, text in added}
        seen = client_sees(tree, "lxd.tar.xz")
        assert sorted(root[4:].decode() for _, root in seen.values()) == sorted(wanted.values())
        body = tree.read("streams/v1/images.json").body
        assert Products.from_bytes(body).to_bytes() == body


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(HeadwaterError, match=str(tmp_path / "absent")):
        Content.of_file(tmp_path / "absent")


def test_a_signed_feed_of_images_is_signed_throughout(tree: Tree, tmp_path: Path) -> None:
    key = open_key()
    root = squashfs(tmp_path)
    deletions.edit(tree, lambda feed: image_files.add(feed, noble(), [root]), purpose="a test", signer=key.signer)
    index = json.loads(verify(tree.read("streams/v1/index.sjson").body, [key.certificate], datetime.now(UTC)))
    assert index["index"]["images"]["path"] == "streams/v1/images.sjson"
    signed = verify(tree.read("streams/v1/images.sjson").body, [key.certificate], datetime.now(UTC))
    assert json.loads(signed) == json.loads(tree.read("streams/v1/images.json").body)
    assert len(client_sees(tree, "incus.tar.xz")) == 1
    with pytest.raises(feeds.FeedSigned):
        add(tree, disk(tmp_path))


def test_two_writers_keep_each_other_out(tree: Tree, tmp_path: Path) -> None:
    tree.prepare()
    with tree.exclusive("somebody"), pytest.raises(TreeInUse, match="somebody"):
        add(tree, squashfs(tmp_path))
