"""Public images of the catalogue, read from the live feed by the clients of LXD and Incus, and by whoever has a URL."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.images.data.test_tus import append, begun
from functional.inputs import DiskImage
from functional.streams.image_clients import NAMES, image_client, program_of
from functional.users import proof, users_file
from servers.certificates import Authority

FEED = "/simplestreams/images"
INDEX, IMAGES = f"{FEED}/streams/v1/index.json", f"{FEED}/streams/v1/images.json"
NOBLE: dict[str, Any] = {"os_distro": "ubuntu", "os_version": "24.04", "architecture": "x86_64"}
SQUASHFS, TARBALL = b"hsqs" + b"a file system" * 5000, b"\xfd7zXZ\0" + b"a tarball" * 5000
FORMATS = '[images]\ndisk_formats = ["raw", "qcow2", "squashfs", "root-tar"]\n'
OCTETS = {"Content-Type": "application/octet-stream"}
NOBLE_PRODUCT = "ubuntu:noble:amd64:default"
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


class Service:
    """A running service, and its image API."""

    def __init__(self, process: HeadwaterProcess, http: httpx.Client) -> None:
        self.process, self.http = process, http

    def add(self, data: bytes, disk_format: str = "qcow2", **more: Any) -> str:
        """Enter a public image of Ubuntu 24.04 with data, and return its id."""
        about = {"container_format": "bare", "visibility": "public", "disk_format": disk_format, **NOBLE, **more}
        image_id: str = self.http.post("/v2/images", json=about).raise_for_status().json()["id"]
        self.http.put(f"/v2/images/{image_id}/file", content=data, headers=OCTETS).raise_for_status()
        return image_id

    def change(self, image_id: str, **changes: str) -> None:
        operations = [{"op": "add", "path": f"/{name}", "value": value} for name, value in changes.items()]
        self.http.patch(f"/v2/images/{image_id}", json=operations, headers=PATCH).raise_for_status()

    def files(self) -> dict[str, dict[str, Any]]:
        """Return the items of the feed by their paths, each with the name of its product."""
        products = self.http.get(IMAGES).raise_for_status().json()["products"]
        return {
            item["path"]: {**item, "product": name}
            for name, product in products.items()
            for version in product["versions"].values()
            for item in version["items"].values()
        }

    def listed(self) -> set[str]:
        """Return the ids of the images of which there are files."""
        return {path.split("/")[1] for path in self.files()}

    def path_of(self, image_id: str, end: str = "") -> str:
        """Return a path of an image's files, once they are listed."""
        wait_until(lambda: image_id in self.listed(), "the image is in the feed")
        return next(path for path in self.files() if path.split("/")[1] == image_id and path.endswith(end))

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(f"{FEED}/{path}", headers=headers)


@pytest.fixture(scope="module")
def qcow2(disks: Any) -> bytes:
    disk: DiskImage = disks["qcow2"]
    return disk.data


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Service]:
    """Two workers behind TLS."""
    toml = f'{FORMATS}[server.tls]\ncertificate = "{authority.certificate()}"\n'
    process = HeadwaterProcess(tmp_path_factory.mktemp("headwater"), toml=toml, workers=2)
    process.start()
    trusting = ssl.create_default_context(cafile=str(authority.file))
    try:
        with httpx.Client(base_url=secure(process), verify=trusting, timeout=60) as http:
            yield Service(process, http)
    finally:
        process.stop()


def secure(process: HeadwaterProcess) -> str:
    return process.images_url.replace("http://", "https://")


@pytest.fixture(params=NAMES)
def client_name(request: pytest.FixtureRequest) -> str:
    program_of(request.param)
    return str(request.param)


def test_a_client_lists_shows_and_exports_what_the_catalogue_has(
    client_name: str, service: Service, authority: Authority, qcow2: bytes, tmp_path: Path
) -> None:
    variant = f"of-{client_name}"
    roots = {"machine": (qcow2, "qcow2"), "container": (SQUASHFS, "squashfs")}
    made = {kind: service.add(*root, simplestreams_variant=variant) for kind, root in roots.items()}
    tarball = service.add(TARBALL, "root-tar", simplestreams_variant=f"{variant}-tar", description="A tarball")
    paths = {kind: service.path_of(image_id, "metadata.tar.xz") for kind, image_id in made.items()}
    files = service.files()
    fingerprints = {kind: files[path][combined(files[path])] for kind, path in paths.items()}

    client = image_client(client_name, secure(service.process) + FEED, authority, tmp_path / "home")
    listed = client.run("image", "list", "t:", "--format", "csv", "--columns", "Ft")
    assert f"{fingerprints['machine']},VIRTUAL-MACHINE" in listed
    assert f"{fingerprints['container']},CONTAINER" in listed
    told = client.run("image", "info", f"t:ubuntu/noble/{variant}")
    assert fingerprints["container"] in told
    assert fingerprints["machine"] in client.run("image", "info", f"t:ubuntu/24.04/{variant}", "--vm")
    # An export is verified: each file by its hash, both together by the fingerprint.
    for kind, (body, _) in roots.items():
        there = tmp_path / kind
        there.mkdir()
        client.run("image", "export", f"t:ubuntu/noble/{variant}", there, *(["--vm"] if kind == "machine" else []))
        assert body in [file.read_bytes() for file in there.iterdir()]
    there = tmp_path / "tarball"
    there.mkdir()
    service.path_of(tarball)
    image_client(client_name, secure(service.process) + FEED, authority, tmp_path / "anew").run(
        "image", "export", f"t:ubuntu/noble/{variant}-tar/amd64", there
    )
    assert TARBALL in [file.read_bytes() for file in there.iterdir()]


def combined(item: dict[str, Any]) -> str:
    return next(name for name in item if name.startswith("combined_"))


def test_files_are_what_the_feed_says_and_come_whole_in_parts_or_not_again(service: Service, qcow2: bytes) -> None:
    image_id = service.add(qcow2)
    disk, metadata = service.path_of(image_id, "disk.qcow2"), service.path_of(image_id, "metadata.tar.xz")
    files = service.files()
    bodies = {}
    for path, kind in ((disk, "application/octet-stream"), (metadata, "application/x-xz")):
        item, answer = files[path], service.get(path).raise_for_status()
        bodies[path] = answer.content
        assert (len(answer.content), hashlib.sha256(answer.content).hexdigest()) == (item["size"], item["sha256"])
        assert answer.headers["Content-Type"] == kind
        head = service.http.head(f"{FEED}/{path}")
        assert (head.status_code, head.headers["Content-Length"]) == (200, str(item["size"]))
        part = service.get(path, Range="bytes=5-9", **{"If-Range": answer.headers["ETag"]})
        assert (part.status_code, part.content) == (206, answer.content[5:10])
        assert service.get(path, Range=f"bytes={item['size']}-").status_code == 416
        assert service.get(path, **{"If-None-Match": answer.headers["ETag"]}).status_code == 304
        assert service.http.post(f"{FEED}/{path}").status_code == 405
        for told in (answer, head, part, service.http.options(f"{FEED}/{path}")):  # a page of any origin may read it
            assert told.headers["Access-Control-Allow-Origin"] == "*"
    both = hashlib.sha256(bodies[metadata] + bodies[disk]).hexdigest()
    assert files[metadata]["combined_disk-kvm-img_sha256"] == both


def test_an_image_that_becomes_public_later_is_hashed_by_a_job(service: Service, qcow2: bytes) -> None:
    image_id = service.add(qcow2, visibility="private")
    assert image_id not in service.listed()
    service.change(image_id, visibility="public")
    path = service.path_of(image_id, "disk.qcow2")
    assert service.get(path).content == qcow2


def test_an_image_that_is_uploaded_as_a_public_one_is_there_at_once(service: Service, qcow2: bytes) -> None:
    assert service.add(qcow2) in service.listed()


def test_an_upload_in_parts_is_hashed_on_its_way_too(service: Service, qcow2: bytes) -> None:
    about = {"container_format": "bare", "visibility": "public", "disk_format": "qcow2", **NOBLE}
    image_id = service.http.post("/v2/images", json=about).raise_for_status().json()["id"]
    path = begun(service.http, image_id, len(qcow2))
    for start, end in ((0, 1000), (1000, len(qcow2))):
        assert append(service.http, path, start, qcow2[start:end]).status_code == 204
    assert image_id in service.listed()
    metadata = service.path_of(image_id, "metadata.tar.xz")
    fingerprint = hashlib.sha256(service.get(metadata).content + qcow2).hexdigest()
    assert service.files()[metadata]["combined_disk-kvm-img_sha256"] == fingerprint


def test_one_index_names_ids_and_files_and_every_stream(service: Service, qcow2: bytes) -> None:
    image_id = service.add(qcow2, simplestreams_stream="daily")
    service.path_of(image_id)
    index = service.http.get(INDEX).raise_for_status().json()["index"]
    assert {name: entry["datatype"] for name, entry in index.items()} == {
        "com.ubuntu.cloud:released:imagemetadata": "image-ids",
        "com.ubuntu.cloud:daily:imagemetadata": "image-ids",
        "images": "image-downloads",
    }
    for entry in index.values():
        products = service.get(entry["path"]).raise_for_status().json()["products"]
        assert sorted(products) == sorted(entry["products"])
    assert "ubuntu:noble:amd64:daily" in index["images"]["products"]


@pytest.mark.parametrize("change", ["private", "shared", "community", "hidden", "deactivated", "hidden, then deleted"])
def test_who_is_not_public_any_more_is_gone_at_once_with_its_files(service: Service, qcow2: bytes, change: str) -> None:
    image_id = service.add(qcow2)
    paths = [service.path_of(image_id, end) for end in ("disk.qcow2", "metadata.tar.xz")]
    if change.startswith("hidden"):
        operation = [{"op": "replace", "path": "/os_hidden", "value": True}]
        service.http.patch(f"/v2/images/{image_id}", json=operation, headers=PATCH).raise_for_status()
    elif change == "deactivated":
        service.http.post(f"/v2/images/{image_id}/actions/deactivate").raise_for_status()
    else:
        service.change(image_id, visibility=change)
    if change.endswith("deleted"):
        service.http.delete(f"/v2/images/{image_id}").raise_for_status()
    assert image_id not in service.listed()
    gone = [service.get(path) for path in paths]
    never = [service.get(path.replace(image_id, "00000000-0000-4000-8000-000000000000")) for path in paths]
    assert {answer.status_code for answer in gone + never} == {404}
    for mine, none in zip(gone, never, strict=True):
        assert mine.text.replace(image_id, "") == none.text.replace("00000000-0000-4000-8000-000000000000", "")


def test_what_becomes_another_product_is_read_again_and_has_another_fingerprint(service: Service, qcow2: bytes) -> None:
    image_id = service.add(qcow2)
    before = service.path_of(image_id, "metadata.tar.xz")
    first = service.files()[before]["combined_disk-kvm-img_sha256"]
    service.change(image_id, description="said later", support_eol="2029-05-31")
    assert service.files()[before]["combined_disk-kvm-img_sha256"] == first
    service.change(image_id, os_version="22.04")
    assert service.get(before).status_code == 404
    after = service.path_of(image_id, "metadata.tar.xz")
    assert service.files()[after]["product"] == "ubuntu:jammy:amd64:default"
    assert service.files()[after]["combined_disk-kvm-img_sha256"] != first


@pytest.mark.parametrize(
    "path",
    [
        "images",
        "images/",
        "images/x",
        "images/%2e%2e/streams/v1/index.json",
        "images/ID",
        "images/ID/",
        "images/ID/disk.qcow2",
        "images/ID/HASH/",
        "images/ID/HASH/disk.raw",
        "images/ID/HASH/metadata.tar.xz",
        "images/ID/HASH/disk.qcow2/",
        "images/ID/HASH/%2e%2e/HASH/disk.qcow2",
        "images/ID/HASH/disk.qcow2%00",
        "images/%49D/HASH/disk.qcow2",
        "Images/ID/HASH/disk.qcow2",
    ],
)
def test_any_other_path_is_a_plain_404(service: Service, qcow2: bytes, path: str) -> None:
    image_id = service.add(qcow2)
    digest = service.path_of(image_id, "disk.qcow2").split("/")[2]
    answer = service.get(path.replace("ID", image_id).replace("HASH", digest))
    assert answer.status_code == 404
    assert "Location" not in answer.headers


def test_who_asks_why_is_told_of_the_files_too(service: Service, qcow2: bytes) -> None:
    listed, raw = service.add(qcow2), service.add(b"some bytes", "raw")
    service.path_of(listed)
    told = {each: service.http.get(f"/simplestreams/why/{each}").json()["files"] for each in (listed, raw)}
    assert (told[listed]["listed"], told[listed]["reasons"]) == (True, [])
    assert told[listed]["product"] == NOBLE_PRODUCT
    assert told[raw]["reasons"] == ["disk_format is raw, and LXD and Incus take qcow2, squashfs, root-tar"]
    told_here = service.process.command("streams", "explain", listed).stdout
    assert f"image-files (LXD, Incus and the other readers of image files): listed\n  {NOBLE_PRODUCT}" in told_here
    told_here = service.process.command("streams", "why", raw).stdout
    assert "- disk_format is raw, and LXD and Incus take qcow2, squashfs, root-tar" in told_here


def test_data_needs_a_proof_where_the_api_wants_one_unless_the_settings_open_it(
    fresh_headwater: FreshHeadwater, qcow2: bytes, tmp_path: Path
) -> None:
    users = users_file(tmp_path, root=("admins", "admin,member,reader"))
    for is_open in (False, True):
        switch = "[streams]\nimage_files = true\n" if is_open else ""
        process = fresh_headwater(toml=users + switch)
        with httpx.Client(base_url=process.images_url, timeout=60, headers=proof("root")) as http:
            service = Service(process, http)
            image_id = service.add(qcow2)
            if not is_open:
                assert http.get(IMAGES).status_code == 404
                assert list(http.get(INDEX).json()["index"]) == ["com.ubuntu.cloud:released:imagemetadata"]
                why = http.get(f"/simplestreams/why/{image_id}").json()["files"]
                assert why["reasons"] == ["image_files is off: the feed lists no files"]
                continue
            path = service.path_of(image_id, "disk.qcow2")
            assert httpx.get(f"{process.images_url}{FEED}/{path}").content == qcow2
            assert httpx.get(f"{process.images_url}/v2/images/{image_id}/file").status_code == 401


def test_a_client_reads_by_a_secret_path_what_a_project_keeps_for_itself(
    client_name: str, service: Service, authority: Authority, qcow2: bytes, tmp_path: Path
) -> None:
    variant = f"private-{client_name}"
    project = {"owner": "a-project"}
    image_id = service.add(qcow2, visibility="private", simplestreams_variant=variant, **project)
    made = service.http.post("/v2/streams/paths", json={"project_id": project["owner"]})
    secret = made.raise_for_status().json()["url"]
    wait_until(lambda: variant in service.http.get(f"{secret}/streams/v1/images-lxd.json").text, "its data was read")
    assert image_id not in service.listed()

    client = image_client(client_name, secret, authority, tmp_path / "home")
    assert "VIRTUAL-MACHINE" in client.run("image", "list", "t:", variant, "--format", "csv", "--columns", "t")
    client.run("image", "export", f"t:ubuntu/noble/{variant}", tmp_path, "--vm")
    assert qcow2 in [file.read_bytes() for file in tmp_path.iterdir() if file.is_file()]
    products = service.http.get(f"{secret}/streams/v1/images-lxd.json").json()["products"]
    (version,) = next(each for name, each in products.items() if variant in name)["versions"].values()
    for item in version["items"].values():
        head = service.http.head(f"{secret}/{item['path']}")
        assert (head.status_code, head.headers["Content-Length"]) == (200, str(item["size"]))
        part = service.http.get(f"{secret}/{item['path']}", headers={"Range": "bytes=0-3"})
        assert (part.status_code, len(part.content)) == (206, 4)
        assert service.get(item["path"]).status_code == 404
    service.http.delete(f"/v2/streams/paths/{made.json()['id']}").raise_for_status()
    assert service.http.get(f"{secret}/{item['path']}").status_code == 404
