from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headwater.cli.main import app

WHAT = ("--os", "TestOS", "--release", "noble", "--version-name", "20260101_0000")


def streams(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["streams", *map(str, words)])


def file(directory: Path, beginning: bytes, name: str = "file") -> Path:
    found = directory / name
    found.write_bytes(beginning + b" and more" * 100)
    return found


def test_a_disk_becomes_an_image(tmp_path: Path) -> None:
    tree, disk = tmp_path / "tree", file(tmp_path, b"QFI\xfb")
    added = streams("add-file", tree, disk, *WHAT, "--alias", "mine", "--requirement", "secureboot=false", "--json")
    assert added.exit_code == 0, added.output
    told = json.loads(added.stdout)
    assert (told["product"], told["version"]) == ("testos:noble:amd64:default", "20260101_0000")
    assert len(told["fingerprints"]["disk-kvm.img"]) == 64
    [product] = json.loads((tree / "streams/v1/images.json").read_text())["products"].values()
    assert (product["aliases"], product["requirements"]) == ("mine", {"secureboot": "false"})
    modes = {stat.S_IMODE(each.stat().st_mode) for each in tree.rglob("*") if each.is_file()}
    assert modes == {0o644}
    assert told["fingerprints"]["disk-kvm.img"] in streams("add-file", tree, disk, *WHAT).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "none of these kinds"),
        (("--requirement", "secureboot"), "NAME=VALUE"),
        (("--ftype", "iso"), "no type of a root"),
        (("--ftype", "squashfs", "--delta", "20250101=nowhere"), "cannot be read"),
        (("--arch", "vax"), "pass over"),
    ],
)
def test_what_makes_no_image_is_refused(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    tree, text = tmp_path / "tree", file(tmp_path, b"text")
    done = streams("add-file", tree, text, *WHAT, *words)
    assert said in str(done.exception)
    assert not (tree / "streams").exists()


def test_a_delta_is_made_where_there_is_a_program_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "tree"
    streams("add-file", tree, file(tmp_path, b"hsqs 1"), *WHAT)
    new = ("add-file", tree, file(tmp_path, b"hsqs 2"), *WHAT, "--version-name", "20260102", "--delta-from")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "xdelta3 is not installed" in str(streams(*new, "20260101_0000").exception)
    program = file(tmp_path, b"", "xdelta3")
    program.write_text("#!/bin/sh\nfor last; do :; done\nprintf '\\326\\303\\304 a delta' > \"$last\"\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(program))
    assert "has no version" in str(streams(*new, "20250101").exception)
    made = streams(*new, "20260101_0000", "--json")
    assert "root.20260101_0000.vcdiff" in json.loads(made.stdout)["items"]


def test_versions_are_pruned_and_their_files_deleted_later(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for day in ("20260101", "20260102"):
        streams("add-file", tree, file(tmp_path, b"hsqs" + day.encode()), *WHAT[:4], "--version-name", day)
    [old] = [each for each in tree.rglob("root.squashfs") if b"20260101" in each.read_bytes()]
    assert streams("prune", tree, "--keep", "1", "--dry-run").exit_code == 0
    pruned = json.loads(streams("prune", tree, "--keep", "1", "--json").stdout)
    assert (pruned["removed"], pruned["deleted"]) == (
        [{"product": "testos:noble:amd64:default", "version": "20260101"}],
        [],
    )
    assert old.exists()
    assert f"{old.relative_to(tree)} is deleted" in streams("prune", tree, "--grace", "0").stdout
    assert not old.exists()
    assert not (tree / "headwater-deletions.json").exists()
    assert len(list(tree.rglob("root.squashfs"))) == 1


def test_a_product_or_one_version_or_one_item_of_it_is_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for day in ("20260101", "20260102"):
        both = file(tmp_path, b"hsqs" + day.encode()), file(tmp_path, b"QFI\xfb" + day.encode(), "disk")
        streams("add-file", tree, *both, *WHAT[:4], "--version-name", day)
    product = "testos:noble:amd64:default"
    one = streams("remove", tree, product, "--version-name", "20260102", "--item", "disk.qcow2", "--json")
    assert json.loads(one.stdout)["removed"] == [{"product": product, "version": "20260102", "item": "disk.qcow2"}]
    assert (
        len(json.loads(streams("remove", tree, product, "--version-name", "20260101", "--json").stdout)["removed"]) == 4
    )
    assert "is not in it" in streams("remove", tree, product, "--version-name", "20250101").stdout
    assert len(json.loads(streams("list", tree, "--json").stdout)) == 3
    assert "is gone from" in streams("remove", tree, product).stdout
    assert json.loads(streams("list", tree, "--json").stdout) == []


def test_a_tarball_of_metadata_may_be_named_beside_its_root(tmp_path: Path) -> None:
    tree, squashfs = tmp_path / "tree", file(tmp_path, b"hsqs", "rootfs.squashfs")
    made = json.loads(streams("add-file", tmp_path / "other", squashfs, *WHAT, "--json").stdout)
    [metadata] = (tmp_path / "other").rglob("metadata.tar.xz")
    added = json.loads(streams("add-file", tree, metadata, squashfs, *WHAT, "--json").stdout)
    assert added["fingerprints"] == made["fingerprints"]


def test_a_file_of_another_kind_stands_where_it_is_said(tmp_path: Path) -> None:
    tree, iso = tmp_path / "tree", file(tmp_path, b"CD001", "installer.iso")
    where = (
        "--product",
        "example.org:installer:1.0:amd64",
        "--version-name",
        "20260101",
        "--content-id",
        "example:iso",
    )
    added = streams("add-file", tree, iso, *where, "--ftype", "iso", "--property", "label=release", "--json")
    assert json.loads(added.stdout)["items"] == ["installer.iso"]
    [product] = json.loads((tree / "streams/v1/example-iso.json").read_text())["products"].values()
    assert (product["label"], product["arch"]) == ("release", "amd64")
    item = product["versions"]["20260101"]["items"]["installer.iso"]
    assert (item["ftype"], (tree / item["path"]).read_bytes()) == ("iso", iso.read_bytes())
    assert "--ftype says" in str(streams("add-file", tree, iso, *where).exception)
    assert "name the operating system" in str(streams("add-file", tree, iso, "--ftype", "squashfs").exception)


def test_a_boot_image_is_added(tmp_path: Path) -> None:
    parts = [
        word
        for name in ("kernel", "initrd", "squashfs", "manifest")
        for word in (f"--{name}", file(tmp_path, b"x", name))
    ]
    where = ("--os", "ubuntu", "--release", "noble", "--version", "24.04", "--version-name", "20260101")
    done = streams("add-boot-image", tmp_path / "tree", *where, *parts, "--fact", "kflavor=generic", "--json")
    assert json.loads(done.stdout)["product"] == "com.ubuntu.maas.stable:v3:boot:24.04:amd64:generic"
    refused = streams(
        "add-boot-image", tmp_path / "tree", *where, *parts[:2], "--release", "jammy", "--version", "22.04"
    )
    assert "MAAS refuses" in str(refused.exception)


def test_agents_are_added(tmp_path: Path) -> None:
    for stream in ("released", "proposed"):
        (tmp_path / "in" / stream).mkdir(parents=True)
        file(tmp_path / "in" / stream, b"\x1f\x8b", "juju-3.6.27-ubuntu-amd64.tgz")
    added = json.loads(streams("add-agent", tmp_path / "tree", tmp_path / "in", "--json").stdout)
    assert sorted(each["stream"] for each in added["streams"]) == ["proposed", "released"]
    assert (tmp_path / "tree/proposed/juju-3.6.27-ubuntu-amd64.tgz").exists()
    again = streams("add-agent", tmp_path / "tree", tmp_path / "in")
    assert again.stdout.count("nothing is new") == 2


@pytest.mark.parametrize("last", ["add-agent", "add-boot-image"])
def test_agents_beside_boot_images_are_told_of_in_the_words_of_lint(tmp_path: Path, last: str) -> None:
    agent = file(tmp_path, b"\x1f\x8b", "juju-3.6.27-ubuntu-amd64.tgz")
    names = ("kernel", "initrd", "squashfs", "manifest")
    parts = [word for name in names for word in (f"--{name}", file(tmp_path, b"x", name))]
    boot = ("--os", "ubuntu", "--release", "noble", "--version", "24.04", "--version-name", "20260101", *parts)
    words: dict[str, tuple[str | Path, ...]] = {
        "add-agent": (tmp_path / "tree", agent),
        "add-boot-image": (tmp_path / "tree", *boot),
    }
    (first,) = set(words) - {last}
    alone = streams(first, *words[first])
    assert (alone.exit_code, alone.stderr) == (0, "")
    done = streams(last, *words[last])
    assert "warning maas-datatype: " in done.stderr
    (told,) = json.loads(streams(last, *words[last], "--json").stdout)["warnings"]
    found = json.loads(streams("lint", tmp_path / "tree", "--json", "--consumer", "maas").stdout)["findings"]
    (linted,) = [each for each in found if each["rule"] == "maas-datatype"]
    assert (told["message"], told["fix"]) == (linted["message"], linted["fix"])
    assert f"{told['message']}\n  fix: {told['fix']}\n" in done.stderr
