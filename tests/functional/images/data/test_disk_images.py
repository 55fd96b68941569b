"""Disk images as qemu-img and mke2fs write them: what is good turns active, and a refusal says what to do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.conftest import NewImage
from functional.headwater_process import bare_environment, run_headwater, wait_until
from functional.image_requests import OCTETS
from functional.program import program as program_of_ours
from needs import program

SIZE = 4 << 20  # bytes of each disk


def run(name: str, *arguments: str | Path) -> None:
    subprocess.run([program(name), *arguments], check=True, capture_output=True, timeout=120)


def created(path: Path, kind: str, *options: str) -> bytes:
    """Return an image that ``qemu-img create`` made of format ``kind``."""
    run("qemu-img", "create", "-f", kind, *options, path, str(SIZE))
    return path.read_bytes()


def bring(http: httpx.Client, image_id: str, data: bytes) -> httpx.Response:
    return http.put(f"/v2/images/{image_id}/file", content=data, headers={**OCTETS, "Accept": "application/json"})


@pytest.mark.parametrize(
    ("disk_format", "kind", "options"),
    [
        pytest.param("vhd", "vpc", ("-o", "subformat=fixed,force_size"), id="fixed vhd"),
        pytest.param("vhd", "vpc", ("-o", "subformat=dynamic,force_size"), id="vhd that grows"),
        pytest.param("vhdx", "vhdx", ("-o", "subformat=fixed"), id="fixed vhdx"),
        pytest.param("vhdx", "vhdx", (), id="vhdx that grows"),
        pytest.param("vdi", "vdi", ("-o", "static=on"), id="fixed vdi"),
        pytest.param("vdi", "vdi", (), id="vdi that grows"),
        pytest.param("vmdk", "vmdk", (), id="sparse vmdk"),
        pytest.param("vmdk", "vmdk", ("-o", "subformat=streamOptimized"), id="vmdk for streaming"),
        pytest.param("qcow2", "qcow2", ("-o", "compat=0.10"), id="old qcow2"),
        pytest.param("qcow2", "qcow2", ("-o", "lazy_refcounts=on,compression_type=zstd"), id="new qcow2"),
    ],
)
def test_an_image_that_holds_its_data_is_taken(
    http: httpx.Client, new_image: NewImage, tmp_path: Path, disk_format: str, kind: str, options: tuple[str, ...]
) -> None:
    image_id = new_image(disk_format=disk_format)["id"]
    answer = bring(http, image_id, created(tmp_path / "disk", kind, *options))
    assert answer.status_code == 204, answer.text
    image = http.get(f"/v2/images/{image_id}").json()
    assert (image["status"], image["virtual_size"]) == ("active", SIZE)


@pytest.mark.parametrize("subformat", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_a_vmdk_in_several_files_is_refused_with_its_subformat_and_the_way_out(
    http: httpx.Client, new_image: NewImage, tmp_path: Path, subformat: str
) -> None:
    image_id = new_image(disk_format="vmdk")["id"]
    answer = bring(http, image_id, created(tmp_path / "disk.vmdk", "vmdk", "-o", f"subformat={subformat}"))
    assert answer.status_code == 415
    assert subformat in answer.json()["message"]
    assert "qemu-img convert -O vmdk -o subformat=streamOptimized" in answer.json()["message"]


@pytest.mark.parametrize("container_format", ["bare", "ovf", "ova", "docker", "compressed", "aki", "ari", "ami"])
@pytest.mark.parametrize("kind", ["qcow2", "vmdk"])
def test_a_backing_file_is_refused_in_every_container(
    http: httpx.Client, new_image: NewImage, tmp_path: Path, container_format: str, kind: str
) -> None:
    created(tmp_path / "base", kind)
    data = created(tmp_path / "disk", kind, "-F", kind, "-b", str(tmp_path / "base"))
    image_id = new_image(disk_format=kind, container_format=container_format)["id"]
    answer = bring(http, image_id, data)
    assert answer.status_code == 415
    assert "backing file" in answer.json()["message"]
    assert http.get(f"/v2/images/{image_id}").json()["status"] == "queued"


def test_a_file_system_with_a_boot_record_is_a_raw_disk(
    http: httpx.Client, new_image: NewImage, tmp_path: Path
) -> None:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(SIZE)
    run("mke2fs", "-q", "-F", "-t", "ext4", path)
    with path.open("r+b") as file:
        file.write(b"\xeb\x58\x90EXTLINUX")
        file.seek(510)
        file.write(b"\x55\xaa")
    image_id = new_image()["id"]
    answer = bring(http, image_id, path.read_bytes())
    assert answer.status_code == 204, answer.text
    assert http.get(f"/v2/images/{image_id}").json()["virtual_size"] == SIZE


@pytest.mark.parametrize("command", [("image", "prepare"), ("try",)], ids=" ".join)
def test_a_command_refuses_an_image_in_one_sentence(tmp_path: Path, command: tuple[str, ...]) -> None:
    created(tmp_path / "layer.qcow2", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw")
    done = run_headwater(*command, "layer.qcow2", directory=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("headwater: The image is qcow2 and fails its safety check: backing_file")
    assert done.stderr.count("\n") == 1


def test_a_command_that_is_terminated_leaves_nothing_behind(tmp_path: Path) -> None:
    scratch, disk = tmp_path / "scratch", tmp_path / "disk.raw"
    scratch.mkdir()
    with disk.open("wb") as opened:
        opened.truncate(1 << 42)  # which is read for hours
    env = {**bare_environment(tmp_path), "TMPDIR": str(scratch)}
    with subprocess.Popen([program_of_ours(), "image", "prepare", disk], env=env, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: any(scratch.iterdir()), "a directory to work in")
            process.terminate()
            assert process.wait(30) == 130
        finally:
            process.kill()
    assert list(scratch.iterdir()) == []
