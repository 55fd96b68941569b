"""What plugins make of imported data: unpacked, converted, looked at, and given properties."""

from __future__ import annotations

import gzip
import hashlib
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, run_headwater, wait_until
from functional.image_requests import OCTETS, upload
from functional.import_requests import ended, make, stage
from servers.http.web import WebServer, content, web_server

MIB = 1 << 20
DISK = random.Random(6).randbytes(2 * MIB) + bytes(30 * MIB)
TOML = """\
[images]
size_cap = 67108864
http_retries = 0
[import_plugins]
use = ["image_decompression", "image_conversion", "inject_image_metadata", "guest_inspection"]
scratch_dir = "data/scratch"
[import_plugins.image_conversion]
output_format = "raw"
uploads = true
[import_plugins.inject_image_metadata]
inject = { hw_disk_bus = "scsi", hw_scsi_model = "virtio-scsi" }
ignore_user_roles = ["nobody"]
[stores.fast]
type = "file"
[stores.cheap]
type = "file"
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("plugins"), toml=TOML, workers=1)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def qcow2(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return converted(tmp_path_factory.mktemp("qcow2"), "qcow2")


def converted(directory: Path, kind: str, *options: str) -> bytes:
    (directory / "disk").write_bytes(DISK)
    command = ["qemu-img", "convert", "-f", "raw", "-O", kind, *options, "disk", "converted"]
    subprocess.run(command, cwd=directory, check=True)
    return (directory / "converted").read_bytes()


def bring(http: httpx.Client, image_id: str, **method: Any) -> dict[str, Any]:
    """Import, and return the task when it is over."""
    body = {"method": {"name": "glance-direct", **method}, "stores": ["fast"]}
    answer = http.post(f"/v2/images/{image_id}/import", json=body)
    assert answer.status_code == 202, answer.text

    return ended(http, image_id)


def staged(http: httpx.Client, image_id: str, web: WebServer, data: bytes) -> dict[str, Any]:
    stage(http, image_id, data)
    return bring(http, image_id)


def downloaded(http: httpx.Client, image_id: str, web: WebServer, data: bytes) -> dict[str, Any]:
    web.pages["/image"] = content(data)
    return bring(http, image_id, name="web-download", uri=web.url("/image"))


WAYS: dict[str, Callable[[httpx.Client, str, WebServer, bytes], dict[str, Any]]] = {
    "glance-direct": staged,
    "web-download": downloaded,
}


def require_disk(http: httpx.Client, service: HeadwaterProcess, image_id: str) -> dict[str, Any]:
    """Check that an image is the raw disk, and that nothing else is left anywhere."""
    image: dict[str, Any] = http.get(f"/v2/images/{image_id}").raise_for_status().json()
    assert (image["status"], image["disk_format"], image["container_format"]) == ("active", "raw", "bare")
    assert (image["size"], image["virtual_size"]) == (len(DISK), len(DISK))
    assert image["os_hash_value"] == hashlib.sha512(DISK).hexdigest()
    assert http.get(f"/v2/images/{image_id}/file").content == DISK
    wait_until(lambda: len(lying(service, image_id)) == 1, "one object is left")
    assert list((service.data_dir / "scratch").iterdir()) == []
    return image


def require_refused(http: httpx.Client, service: HeadwaterProcess, image_id: str) -> None:
    assert http.get(f"/v2/images/{image_id}").json()["status"] == "queued"
    wait_until(lambda: not lying(service, image_id), "no byte of it is left")
    assert list((service.data_dir / "scratch").iterdir()) == []


def lying(service: HeadwaterProcess, image_id: str) -> list[Path]:
    return list(service.data_dir.glob(f"stores/*/objects/**/{image_id}.*"))


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_compressed_and_in_another_format_becomes_a_raw_disk(
    way: str, http: httpx.Client, service: HeadwaterProcess, web: WebServer, qcow2: bytes
) -> None:
    image_id = make(http, disk_format="qcow2", hw_disk_bus="ide")
    task = WAYS[way](http, image_id, web, gzip.compress(qcow2))
    assert (task["status"], task["message"]) == ("success", "")
    image = require_disk(http, service, image_id)
    assert (image["hw_disk_bus"], image["hw_scsi_model"]) == ("scsi", "virtio-scsi")


@pytest.mark.parametrize("kind", ["vmdk", "vdi", "vpc", "vhdx"])
def test_disks_of_other_makers_become_raw(
    kind: str, http: httpx.Client, service: HeadwaterProcess, web: WebServer, tmp_path: Path
) -> None:
    image_id = make(http, disk_format="vhd" if kind == "vpc" else kind)
    options = ("-o", "force_size=on") if kind == "vpc" else ()
    assert staged(http, image_id, web, converted(tmp_path, kind, *options))["message"] == ""
    require_disk(http, service, image_id)


def test_the_hash_that_is_asked_for_is_that_of_the_data_as_it_came(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, qcow2: bytes
) -> None:
    packed = gzip.compress(qcow2)
    web.pages["/image"] = content(packed)
    said = {"name": "web-download", "uri": web.url("/image"), "os_hash_algo": "sha256"}
    image_id = make(http, disk_format="qcow2")
    task = bring(http, image_id, **said, os_hash_value=hashlib.sha256(qcow2).hexdigest())
    assert task["message"].startswith("the sha256 of the data is ")
    require_refused(http, service, image_id)
    assert bring(http, image_id, **said, os_hash_value=hashlib.sha256(packed).hexdigest())["status"] == "success"
    require_disk(http, service, image_id)


def test_staged_data_that_no_plugin_reads_stays_where_it_lies(
    http: httpx.Client, service: HeadwaterProcess, tmp_path: Path
) -> None:
    image_id = make(http, disk_format="iso")
    data = bytes(0x8000) + b"\x01CD001\x01" + bytes(2 * MIB)
    stage(http, image_id, data)
    (before,) = lying(service, image_id)
    assert bring(http, image_id)["message"] == ""
    assert lying(service, image_id) == [before]
    assert http.get(f"/v2/images/{image_id}").json()["hw_scsi_model"] == "virtio-scsi"


@pytest.mark.parametrize("way", WAYS)
def test_a_bomb_is_refused_and_says_so(way: str, http: httpx.Client, service: HeadwaterProcess, web: WebServer) -> None:
    image_id = make(http, disk_format="raw")
    task = WAYS[way](http, image_id, web, gzip.compress(bytes(80 * MIB)))
    assert "the gzip data unpacks to more than 67108864 bytes, the most of an image" in task["message"]
    require_refused(http, service, image_id)


@pytest.mark.parametrize("option", ["backing", "data_file"])
@pytest.mark.parametrize("way", WAYS)
def test_a_disk_that_would_read_a_file_of_the_host_is_refused(
    way: str, option: str, http: httpx.Client, service: HeadwaterProcess, web: WebServer, tmp_path: Path
) -> None:
    more = {
        "backing": ["-b", "/etc/passwd", "-F", "raw", "disk", "1M"],
        "data_file": ["-o", "data_file=other,data_file_raw=on", "disk", "1M"],
    }
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-u", *more[option]], cwd=tmp_path, check=True)
    image_id = make(http, disk_format="qcow2")
    packed = gzip.compress((tmp_path / "disk").read_bytes())
    task = WAYS[way](http, image_id, web, packed)
    assert "fails its safety check" in task["message"]
    require_refused(http, service, image_id)


def test_a_vmdk_with_the_extent_of_another_file_is_refused(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer
) -> None:
    text = '# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 8 FLAT "/etc/passwd" 0\n'
    image_id = make(http, disk_format="vmdk")
    task = staged(http, image_id, web, gzip.compress(text.encode().ljust(2 * MIB, b"\0")))
    assert "its data lies in other files" in task["message"] or "subformat" in task["message"]
    require_refused(http, service, image_id)


def test_a_disk_that_is_not_what_it_is_declared_to_be_is_refused(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, qcow2: bytes
) -> None:
    image_id = make(http, disk_format="vmdk")
    task = staged(http, image_id, web, qcow2)
    assert "disk_format vmdk does not match stream data qcow2" in task["message"]
    require_refused(http, service, image_id)


def test_a_small_file_that_tells_of_a_large_disk_is_refused(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, tmp_path: Path
) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "disk", "1T"], cwd=tmp_path, check=True)
    image_id = make(http, disk_format="qcow2")
    task = staged(http, image_id, web, (tmp_path / "disk").read_bytes())
    assert "the disk has 1099511627776 bytes, and an image 67108864 at most" in task["message"]
    require_refused(http, service, image_id)


def test_a_raw_disk_that_holds_a_disk_which_reads_other_files_is_refused(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, tmp_path: Path
) -> None:
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", "inner", "1M"]
    subprocess.run(create, cwd=tmp_path, check=True)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "inner", "outer"], cwd=tmp_path, check=True)
    image_id = make(http, disk_format="qcow2")
    task = staged(http, image_id, web, (tmp_path / "outer").read_bytes())
    assert "fails its safety check" in task["message"]
    require_refused(http, service, image_id)


def test_a_damaged_disk_tells_what_qemu_says(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, qcow2: bytes
) -> None:
    image_id = make(http, disk_format="qcow2")
    damaged = qcow2[:40] + b"\xff" * 8 + qcow2[48:]  # where its first table lies
    task = staged(http, image_id, web, damaged)
    assert task["message"].startswith("image_conversion: from qcow2 to raw: qemu-img failed")
    assert "scratch" not in task["message"]
    require_refused(http, service, image_id)


def test_an_upload_of_another_format_is_converted(http: httpx.Client, service: HeadwaterProcess, qcow2: bytes) -> None:
    image_id = make(http, disk_format="qcow2")
    assert upload(http, image_id, qcow2).status_code == 204
    status = http.get(f"/v2/images/{image_id}").json()["status"]
    assert status in ("importing", "active")
    wait_until(lambda: http.get(f"/v2/images/{image_id}").json()["status"] == "active", "it is converted", 60)
    require_disk(http, service, image_id)


def put_in_parts(http: httpx.Client, image_id: str, data: bytes) -> httpx.Response:
    """Upload by three requests, and return the answer to the last one."""
    begun = http.put(f"/v2/images/{image_id}/file", content=data[:1000], headers={**OCTETS, "Upload-Complete": "?0"})
    assert begun.status_code == 201, begun.text
    path, middle = begun.headers["Location"].removeprefix(str(http.base_url).rstrip("/")), len(data) // 2
    for start, end in ((1000, middle), (middle, len(data))):
        headers = {"Upload-Offset": str(start), "Upload-Complete": "?1" if end == len(data) else "?0"}
        headers["Content-Type"] = "application/partial-upload"
        answer = http.patch(path, content=data[start:end], headers=headers)
    return answer


def test_an_upload_in_parts_is_converted_as_one_in_one_request_is(
    http: httpx.Client, service: HeadwaterProcess, qcow2: bytes
) -> None:
    image_id = make(http, disk_format="qcow2")
    answer = put_in_parts(http, image_id, qcow2)
    assert (answer.status_code, answer.headers["Upload-Complete"]) == (204, "?1")
    assert ended(http, image_id)["message"] == ""
    require_disk(http, service, image_id)


def test_an_upload_in_parts_that_is_to_be_converted_is_refused_as_others_are(
    http: httpx.Client, service: HeadwaterProcess
) -> None:
    image_id = make(http, disk_format="qcow2")
    answer = put_in_parts(http, image_id, bytes(MIB))
    assert answer.status_code == 415
    assert "disk_format qcow2 does not match stream data" in answer.json()["message"]
    assert http.get(f"/v2/images/{image_id}/tasks").json()["tasks"] == []
    require_refused(http, service, image_id)
    assert put_in_parts(http, make(http), bytes(MIB)).status_code == 204


def test_an_upload_in_parts_that_is_given_up_leaves_a_queued_image(
    http: httpx.Client, service: HeadwaterProcess, qcow2: bytes
) -> None:
    image_id = make(http, disk_format="qcow2")
    begun = http.put(f"/v2/images/{image_id}/file", content=qcow2[:1000], headers={**OCTETS, "Upload-Complete": "?0"})
    path = begun.headers["Location"].removeprefix(str(http.base_url).rstrip("/"))
    assert http.get(f"/v2/images/{image_id}").json()["status"] == "uploading"
    assert http.delete(path).status_code == 204
    assert http.get(f"/v2/images/{image_id}").json()["status"] == "queued"
    wait_until(lambda: not lying(service, image_id), "no byte of it is left")


def test_the_command_uploads_what_is_converted(
    http: httpx.Client, service: HeadwaterProcess, qcow2: bytes, tmp_path: Path
) -> None:
    (tmp_path / "disk.qcow2").write_bytes(qcow2)
    said = ("--name", "by the command", "--disk-format", "qcow2", "--url", service.images_url)
    done = run_headwater("image", "upload", tmp_path / "disk.qcow2", *said, directory=tmp_path)
    assert done.returncode == 0, done.stderr
    (image,) = http.get("/v2/images?name=by the command").json()["images"]
    assert ended(http, image["id"])["message"] == ""
    require_disk(http, service, image["id"])


def test_an_upload_that_needs_no_conversion_is_active_at_once(http: httpx.Client) -> None:
    image_id = make(http, disk_format="raw")
    assert upload(http, image_id, DISK).status_code == 204
    image = http.get(f"/v2/images/{image_id}").json()
    assert (image["status"], "os_glance_importing_to_stores" in image) == ("active", False)


def test_an_upload_that_is_to_be_converted_is_refused_as_others_are(
    http: httpx.Client, service: HeadwaterProcess, qcow2: bytes
) -> None:
    image_id = make(http, disk_format="vmdk")
    answer = upload(http, image_id, qcow2)
    assert answer.status_code == 415
    assert "does not match stream data qcow2" in answer.text
    require_refused(http, service, image_id)


def test_copies_are_left_alone(http: httpx.Client, service: HeadwaterProcess) -> None:
    disk = bytes(0x8000) + b"\x01CD001\x01" + bytes(MIB)
    image_id = make(http, disk_format="iso")
    assert upload(http, image_id, disk).status_code == 204
    body = {"method": {"name": "copy-image"}, "stores": ["cheap"]}
    assert http.post(f"/v2/images/{image_id}/import", json=body).status_code == 202
    wait_until(lambda: len(lying(service, image_id)) == 2, "it is copied")
    image = http.get(f"/v2/images/{image_id}").json()
    assert (image["disk_format"], image["size"], "hw_scsi_model" in image) == ("iso", len(disk), False)
