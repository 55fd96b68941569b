"""Staging and import: data that comes in by ways other than an upload, to one store or to several."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional import clients
from functional.clients import Client
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, show
from functional.images.imports.image_imports import (
    BLOB,
    MD5,
    MIB,
    SHA256,
    V21,
    bring,
    lying,
    require_active,
    require_queued,
    uploaded,
)
from functional.import_requests import ended, make, stage
from servers.http.web import Asked, SendBytes, WebServer, content, redirect
from unit.images.inspection.disk_images import qcow2

# --- glance-direct ----------------------------------------------------------------------------------


def test_staged_data_becomes_the_images_where_it_lies(http: httpx.Client, service: HeadwaterProcess) -> None:
    image_id = make(http)
    stage(http, image_id, BLOB)
    image = show(http, image_id)
    assert (image["status"], image["size"], image["checksum"]) == ("uploading", len(BLOB), None)
    (staged,) = service.data_dir.glob(f"stores/fast/objects/**/{image_id}.*")
    before = staged.stat()
    answer = bring(http, image_id, stores=["fast"])
    assert (answer.status_code, answer.content) == (202, b"")
    task = ended(http, image_id)
    assert (task["status"], task["message"], task["type"]) == ("success", "", "api_image_import")
    assert task["request_id"] == answer.headers["x-openstack-request-id"]
    assert task["input"]["import_req"]["method"]["name"] == "glance-direct"
    require_active(http, service, image_id, "fast")
    after = staged.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_staged_data_comes_to_every_store(http: httpx.Client, service: HeadwaterProcess) -> None:
    image_id = make(http)
    stage(http, image_id, BLOB)
    assert bring(http, image_id, all_stores=True).status_code == 202
    task = ended(http, image_id)
    assert (task["status"], task["progress"]) == ("success", {"bytes": len(BLOB), "of": len(BLOB)})
    require_active(http, service, image_id, "fast", "cheap")


def test_staged_data_leaves_the_staging_store_for_another(http: httpx.Client, service: HeadwaterProcess) -> None:
    image_id = make(http)
    stage(http, image_id, BLOB)
    headers = {"X-Image-Meta-Store": "cheap"}
    method = {"method": {"name": "glance-direct", "uri": ""}}
    assert http.post(f"/v2/images/{image_id}/import", json=method, headers=headers).status_code == 202
    assert ended(http, image_id)["status"] == "success"
    require_active(http, service, image_id, "cheap")


def test_staged_data_goes_with_its_image(http: httpx.Client, service: HeadwaterProcess) -> None:
    image_id = make(http)
    stage(http, image_id, BLOB)
    assert lying(service, image_id) == {"fast": [BLOB]}
    assert http.delete(f"/v2/images/{image_id}").status_code == 204
    wait_until(lambda: lying(service, image_id) == {}, "no byte of it is in a store")


def test_staged_data_that_is_not_what_the_image_says_fails_the_import(
    http: httpx.Client, service: HeadwaterProcess
) -> None:
    image_id = make(http, disk_format="qcow2")
    stage(http, image_id, BLOB)
    assert bring(http, image_id).status_code == 202
    task = ended(http, image_id)
    assert task["status"] == "failure"
    assert "qcow2" in task["message"]
    require_queued(http, service, image_id)
    stage(http, image_id, BLOB)  # it may be tried again


@pytest.mark.parametrize("stores", [["fast", "web"], ["web"]], ids=["among-others", "alone"])
def test_an_import_to_a_store_that_only_reads_is_refused_and_what_is_staged_stays(
    http: httpx.Client, service: HeadwaterProcess, stores: list[str]
) -> None:
    image_id = make(http)
    stage(http, image_id, BLOB)
    refused = bring(http, image_id, stores=stores)
    assert refused.status_code == 409
    assert "Store web is read-only and takes no data; import to one of" in refused.text
    assert bring(http, image_id, stores=["web"], all_stores_must_succeed=False).status_code == 409
    assert show(http, image_id)["status"] == "uploading"
    assert bring(http, image_id).status_code == 202
    assert ended(http, image_id)["status"] == "success"
    assert http.get(f"/v2/images/{image_id}/file").content == BLOB


def test_where_not_all_stores_must_succeed_one_is_enough(http: httpx.Client, service: HeadwaterProcess) -> None:
    image_id = make(http)
    stage(http, image_id, BLOB)
    assert bring(http, image_id, stores=["cheap", "web"], all_stores_must_succeed=False).status_code == 202
    task, image = ended(http, image_id), show(http, image_id)
    assert (task["status"], task["result"]) == ("success", {"image_id": image_id})
    assert "store web" in task["message"]  # whoever reads which store failed can read why
    assert "read only" in task["message"]
    assert (image["status"], image["os_glance_failed_import"]) == ("active", "web")
    assert lying(service, image_id) == {"cheap": [BLOB]}


def test_a_stage_that_breaks_off_leaves_a_queued_image(http: httpx.Client, service: HeadwaterProcess) -> None:
    image_id = make(http)
    headers = {**OCTETS, "X-OpenStack-Image-Size": "5"}
    assert http.put(f"/v2/images/{image_id}/stage", content=b"four", headers=headers).status_code == 400
    assert show(http, image_id)["status"] == "queued"
    assert lying(service, image_id) == {}
    assert http.put(f"/v2/images/{image_id}/stage", content=b"x", headers={"Content-Type": "a/b"}).status_code == 415
    stage(http, image_id, BLOB)
    assert http.put(f"/v2/images/{image_id}/stage", content=b"x", headers=OCTETS).status_code == 409


# --- web-download -----------------------------------------------------------------------------------


def test_a_download_comes_to_all_stores_from_one_reading(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer
) -> None:
    image_id = make(http)
    asked = {"uri": web.url("/image?signature=secret"), "os_hash_algo": "sha256", "os_hash_value": SHA256}
    assert bring(http, image_id, "web-download", all_stores=True, **asked).status_code == 202
    task = ended(http, image_id)
    assert task["status"] == "success", task
    assert task["progress"] == {"bytes": len(BLOB), "of": len(BLOB)}
    assert "secret" not in str(task)
    require_active(http, service, image_id, "fast", "cheap")
    assert [each.method for each in web.asked] == ["GET"]
    assert web.asked[0].headers["accept-encoding"] == "identity"


def test_a_download_with_another_hash_is_refused_with_both(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer
) -> None:
    image_id = make(http)
    asked = {"uri": web.url("/image"), "os_hash_algo": "sha256", "os_hash_value": "0" * 64}
    assert bring(http, image_id, "web-download", **asked).status_code == 202
    task = ended(http, image_id)
    assert task["status"] == "failure"
    assert SHA256 in task["message"]
    assert "0" * 64 in task["message"]
    require_queued(http, service, image_id)


def test_a_download_that_breaks_off_goes_on_at_the_next_byte(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer
) -> None:
    whole = content(BLOB)

    def breaking(asked: Asked, send: SendBytes) -> None:
        """Give 5 MiB of what is asked for, and end the connection."""
        start = int(asked.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        head = b'ETag: "one"\r\nContent-Length: %d\r\n\r\n' % (len(BLOB) - start)
        if start == 0:
            send(b"HTTP/1.1 200 OK\r\n" + head)
        else:
            assert asked.headers["if-range"] == '"one"'
            parts = b"Content-Range: bytes %d-%d/%d\r\n" % (start, len(BLOB) - 1, len(BLOB))
            send(b"HTTP/1.1 206 Partial Content\r\n" + parts + head)
        send(BLOB[start : start + 5 * MIB])

    assert whole is not None
    web.pages["/breaks"] = breaking
    image_id = make(http)
    assert bring(http, image_id, "web-download", uri=web.url("/breaks"), stores=["cheap"]).status_code == 202
    assert ended(http, image_id)["status"] == "success"
    require_active(http, service, image_id, "cheap")
    starts = [each.headers.get("range", "bytes=0-") for each in web.asked]
    assert len(starts) == 3
    assert len(set(starts)) == 3


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (lambda _a, send: send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "404"),
        (
            lambda _a, send: send(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
            ),
            "packs the data",
        ),
        (lambda _a, send: send(b"HTTP/1.1 200 OK\r\nContent-Length: 41943041\r\n\r\nabcd"), "larger"),
        (redirect("http://169.254.169.254/latest"), "169.254.169.254"),
    ],
    ids=["missing", "coded", "too large", "redirected into the cloud"],
)
def test_what_is_wrong_with_a_download_is_told(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, page: Any, reason: str
) -> None:
    web.pages["/bad"] = page
    image_id = make(http)
    assert bring(http, image_id, "web-download", uri=web.url("/bad")).status_code == 202
    task = ended(http, image_id)
    assert task["status"] == "failure"
    assert reason in task["message"]
    require_queued(http, service, image_id)


def test_a_download_of_unknown_length_after_a_redirect(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer
) -> None:
    web.pages["/chunks"] = lambda _asked, send: send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BLOB), BLOB)
    )
    web.pages["/first"] = redirect("/chunks")
    image_id = make(http)
    assert bring(http, image_id, "web-download", uri=web.url("/first")).status_code == 202
    assert ended(http, image_id)["status"] == "success"
    require_active(http, service, image_id, "fast")


def test_an_image_is_copied_to_the_stores_that_lack_it(http: httpx.Client, service: HeadwaterProcess) -> None:
    image_id = uploaded(http)
    assert bring(http, image_id, "copy-image", stores=["fast"]).status_code == 400
    assert bring(http, image_id, "copy-image", all_stores=True).status_code == 202
    assert ended(http, image_id)["status"] == "success"
    require_active(http, service, image_id, "fast", "cheap")
    again = bring(http, image_id, "copy-image", all_stores=True)
    assert again.status_code == 202
    assert len(http.get(f"/v2/images/{image_id}/tasks").json()["tasks"]) == 1


def copied_from(http: httpx.Client, url: str, disk_format: str) -> tuple[str, dict[str, Any]]:
    """Copy an image that lies on a web server, and was not read before; return its id and how the task ended."""
    image_id = make(http, disk_format=disk_format)
    add = [{"op": "add", "path": "/locations/-", "value": {"url": url, "metadata": {}}}]
    assert http.patch(f"/v2/images/{image_id}", json=add, headers=V21).status_code == 200
    assert bring(http, image_id, "copy-image", stores=["cheap"]).status_code == 202
    return image_id, ended(http, image_id)


def test_what_lies_on_a_web_server_is_looked_at_before_it_is_copied(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer
) -> None:
    web.pages["/unsafe"] = content(qcow2(backing="/etc/passwd"))
    image_id, task = copied_from(http, web.url("/unsafe"), "qcow2")
    assert (task["status"], "safety check" in task["message"]) == ("failure", True), task
    wait_until(lambda: lying(service, image_id) == {}, "no byte of it is in a store")
    image_id, task = copied_from(http, web.url("/image"), "raw")
    assert task["status"] == "success", task
    assert lying(service, image_id) == {"cheap": [BLOB]}


def test_a_damaged_copy_is_not_copied(http: httpx.Client, service: HeadwaterProcess) -> None:
    image_id = uploaded(http)
    (file,) = service.data_dir.glob(f"stores/fast/objects/**/{image_id}.*")
    file.chmod(0o600)
    file.write_bytes(b"x" + BLOB[1:])
    assert bring(http, image_id, "copy-image", stores=["cheap"]).status_code == 202
    task = ended(http, image_id)
    assert task["status"] == "failure"
    assert "damaged" in task["message"]
    image = show(http, image_id)
    assert (image["status"], image["os_glance_importing_to_stores"]) == ("active", "")
    wait_until(lambda: list(lying(service, image_id)) == ["fast"], "the copy is gone")


@pytest.fixture
def glance(glance_client: Path, service: HeadwaterProcess, tmp_path: Path) -> Client:
    return clients.glance(glance_client, tmp_path, service.images_url)


def test_glance_imports_a_file_and_a_url(glance: Client, http: httpx.Client, web: WebServer, tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(BLOB)
    formats = ["--disk-format", "raw", "--container-format", "bare"]
    for way in (["glance-direct", "--file", file], ["web-download", "--uri", web.url("/image")]):
        name = f"imported-{uuid.uuid4().hex[:8]}"
        glance("image-create-via-import", "--name", name, *formats, "--import-method", *way)
        (image,) = http.get("/v2/images", params={"name": name}).json()["images"]
        assert ended(http, image["id"])["status"] == "success"
        assert show(http, image["id"])["checksum"] == MD5


@pytest.fixture
def openstack(openstack_client: Path, service: HeadwaterProcess, tmp_path: Path) -> Client:
    return clients.openstack(openstack_client, tmp_path, service.images_url)


def test_openstack_imports_a_file_and_copies_an_image(
    openstack: Client, http: httpx.Client, service: HeadwaterProcess, tmp_path: Path
) -> None:
    file, name = tmp_path / "disk", f"imported-{uuid.uuid4().hex[:8]}"
    file.write_bytes(BLOB)
    openstack("image", "create", name, "--file", file, "--import", "--disk-format", "raw")
    (image,) = http.get("/v2/images", params={"name": name}).json()["images"]
    assert ended(http, image["id"])["status"] == "success"
    openstack("image", "import", "--method", "copy-image", "--all-stores", image["id"])
    assert ended(http, image["id"])["status"] == "success"
    require_active(http, service, image["id"], "fast", "cheap")


@pytest.mark.parametrize("stores", [["fast"], ["cheap"], ["fast", "cheap"]])
def test_no_byte_is_data_too(http: httpx.Client, service: HeadwaterProcess, web: WebServer, stores: list[str]) -> None:
    web.pages["/nothing"] = content(b"", ranges=False)
    staged, downloaded = make(http), make(http)
    stage(http, staged, b"")
    assert bring(http, staged, stores=stores).status_code == 202
    assert bring(http, downloaded, "web-download", uri=web.url("/nothing"), stores=stores).status_code == 202
    for image_id in (staged, downloaded):
        assert ended(http, image_id)["status"] == "success"
        image = show(http, image_id)
        assert (image["status"], image["size"], image["checksum"]) == ("active", 0, hashlib.md5().hexdigest())
        assert lying(service, image_id) == {name: [b""] for name in stores}


def test_nothing_is_no_disk(http: httpx.Client, service: HeadwaterProcess) -> None:
    image_id = make(http, disk_format="qcow2")
    stage(http, image_id, b"")
    assert bring(http, image_id).status_code == 202
    task = ended(http, image_id)
    assert (task["status"], "qcow2" in task["message"]) == ("failure", True)
    require_queued(http, service, image_id)
