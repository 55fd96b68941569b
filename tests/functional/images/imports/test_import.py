"""Staging and import: data that comes in by ways other than an upload, to one store or to several."""

from __future__ import annotations

import hashlib
import random
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional import clients
from functional.clients import Client
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, show, upload
from functional.import_requests import ended, make, stage
from servers.http.web import Asked, SendBytes, WebServer, content, redirect, web_server
from unit.images.inspection.disk_images import qcow2

MIB = 1 << 20
BLOB = random.Random(9).randbytes(12 * MIB + 5)
MD5, SHA256 = hashlib.md5(BLOB).hexdigest(), hashlib.sha256(BLOB).hexdigest()
V21 = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
TOML = """\
[images]
size_cap = 41943040
show_multiple_locations = true
http_retries = 1
[stores.fast]
type = "file"
[stores.cheap]
type = "file"
[stores.web]
type = "http"
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
read_timeout_s = 2
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("import"), toml=TOML, workers=2)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def http(service: HeadwaterProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.images_url, timeout=60, headers={"Accept": "application/json"}) as client:
        yield client


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages["/image"] = content(BLOB)
        yield server


def bring(http: httpx.Client, image_id: str, name: str = "glance-direct", **more: Any) -> httpx.Response:
    method = {"name": name} | {
        each: more.pop(each) for each in ("uri", "os_hash_algo", "os_hash_value") if each in more
    }
    return http.post(f"/v2/images/{image_id}/import", json={"method": method, **more})


def lying(service: HeadwaterProcess, image_id: str) -> dict[str, list[bytes]]:
    """Return what of an image lies in each store, whole or not."""
    found: dict[str, list[bytes]] = {}
    for file in service.data_dir.glob(f"stores/*/*/**/{image_id}.*"):
        found.setdefault(file.relative_to(service.data_dir).parts[1], []).append(file.read_bytes())
    return found


def require_active(http: httpx.Client, service: HeadwaterProcess, image_id: str, *stores: str) -> None:
    image = show(http, image_id)
    assert (image["status"], image["size"], image["checksum"]) == ("active", len(BLOB), MD5)
    assert image["os_hash_value"] == hashlib.sha512(BLOB).hexdigest()
    assert (image["os_glance_importing_to_stores"], image["os_glance_failed_import"]) == ("", "")
    assert "os_glance_import_task" not in image
    assert http.get(f"/v2/images/{image_id}/file").content == BLOB
    assert lying(service, image_id) == {name: [BLOB] for name in stores}


def require_queued(http: httpx.Client, service: HeadwaterProcess, image_id: str) -> dict[str, Any]:
    image = show(http, image_id)
    assert (image["status"], image["size"], image["checksum"], image["virtual_size"]) == ("queued", None, None, None)
    assert image["os_glance_importing_to_stores"] == ""
    assert "os_glance_import_task" not in image
    wait_until(lambda: lying(service, image_id) == {}, "no byte of it is in a store")
    return image


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


# --- copy-image -------------------------------------------------------------------------------------


def uploaded(http: httpx.Client) -> str:
    image_id = make(http)
    assert upload(http, image_id, BLOB).status_code == 204
    return image_id


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


# --- What clients may say ----------------------------------------------------------------------------


def test_marks_of_imports_are_not_for_clients_to_set_and_patches_leave_them(
    http: httpx.Client, service: HeadwaterProcess
) -> None:
    image_id = uploaded(http)
    assert bring(http, image_id, "copy-image", stores=["cheap"]).status_code == 202
    assert ended(http, image_id)["status"] == "success"
    for name in ("os_glance_import_task", "os_glance_failed_import"):
        patch = [{"op": "replace", "path": f"/{name}", "value": "x"}]
        assert http.patch(f"/v2/images/{image_id}", json=patch, headers=V21).status_code == 403
    patch = [{"op": "add", "path": "/os_distro", "value": "ubuntu"}]
    changed = http.patch(f"/v2/images/{image_id}", json=patch, headers=V21)
    assert changed.status_code == 200
    assert changed.json()["os_glance_failed_import"] == ""


def test_methods_are_told(http: httpx.Client) -> None:
    told = http.get("/v2/info/import").json()["import-methods"]
    assert told["value"] == ["glance-direct", "web-download", "copy-image"]
    created = http.post("/v2/images", json={})
    assert created.headers["OpenStack-image-import-methods"] == "glance-direct,web-download,copy-image"


def test_an_image_deleted_during_its_import_leaves_nothing(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer
) -> None:
    def slow(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BLOB))
        for at in range(0, len(BLOB), 64 << 10):
            send(BLOB[at : at + (64 << 10)])
            gone.wait(0.05)

    gone = threading.Event()
    web.pages["/slow"] = slow
    image_id = make(http)
    assert bring(http, image_id, "web-download", uri=web.url("/slow"), all_stores=True).status_code == 202
    wait_until(lambda: bool(lying(service, image_id)), "bytes arrive", 30)
    assert show(http, image_id)["os_glance_importing_to_stores"] == "fast,cheap"
    assert bring(http, image_id, "web-download", uri=web.url("/image")).status_code == 409
    assert http.delete(f"/v2/images/{image_id}").status_code == 204
    gone.set()
    wait_until(lambda: lying(service, image_id) == {}, "no byte of it is in a store", 30)


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


# --- What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "Import request requires a 'method' field."),
        ({"method": "web-download"}, "Import request requires a 'method' field."),
        ({"method": {}}, "Import request requires a 'name' field."),
        ({"method": {"name": "foo"}}, "Unknown import method name 'foo'."),
        ({"method": {"name": ["x"]}}, "Unknown import method name"),
        ({"method": {"name": "web-download"}}, "URI for web-download does not pass filtering: None"),
        ({"method": {"name": "web-download", "uri": 5}}, "'uri' must be a string"),
        ({"method": {"name": "web-download", "uri": "file:///etc/passwd"}}, "does not pass filtering"),
        ({"method": {"name": "web-download", "uri": "http://169.254.169.254/x"}}, "does not pass filtering"),
        ({"method": {"name": "web-download", "uri": "http://me:secret@127.0.0.1/"}}, "does not pass filtering"),
        ({"method": {"name": "web-download", "uri": "http://a/", "os_hash_algo": "crc32"}}, "os_hash_algo"),
        ({"method": {"name": "web-download", "uri": "http://a/", "os_hash_value": "ab"}}, "os_hash_algo"),
        (
            {"method": {"name": "web-download", "uri": "http://a/", "os_hash_algo": "md5", "os_hash_value": "ab"}},
            "32 hexadecimal digits",
        ),
        ({"method": {"name": "web-download", "uri": "http://a/"}, "all_stores": "yes"}, "must be boolean value only"),
        (
            {"method": {"name": "web-download", "uri": "http://a/"}, "all_stores_must_succeed": 1},
            "must be boolean value only",
        ),
        (
            {"method": {"name": "web-download", "uri": "http://a/"}, "all_stores": True, "stores": ["fast"]},
            "cannot be set beside",
        ),
        ({"method": {"name": "web-download", "uri": "http://a/"}, "stores": 5}, "'stores' must be a list"),
        ({"method": {"name": "web-download", "uri": "http://a/"}, "stores": [5]}, "'stores' must be a list"),
    ],
)
def test_a_body_that_asks_for_no_import_is_refused(http: httpx.Client, document: Any, says: str) -> None:
    image_id = make(http)
    answer = http.post(f"/v2/images/{image_id}/import", json=document)
    assert answer.status_code == 400, answer.text
    assert says in answer.text
    assert "secret" not in answer.text
    assert http.get(f"/v2/images/{image_id}/tasks").json()["tasks"] == []
    assert show(http, image_id)["status"] == "queued"


def test_an_import_that_the_image_does_not_wait_for_is_a_conflict(http: httpx.Client, web: WebServer) -> None:
    queued, formless, active = make(http), make(http, disk_format=None), uploaded(http)
    staged = make(http)
    stage(http, staged, BLOB)
    url = web.url("/image")
    for image_id, name, says in (
        (queued, "glance-direct", "Image needs to be staged before 'glance-direct' method can be used"),
        (queued, "copy-image", "Only images with status active can be targeted for copying"),
        (staged, "web-download", "Image needs to be in 'queued' state"),
        (formless, "web-download", "'disk_format' needs to be set before import"),
        (active, "web-download", "Image with status active cannot be target for import"),
        (active, "glance-direct", "Image with status active cannot be target for import"),
    ):
        answer = bring(http, image_id, name, uri=url)
        assert answer.status_code == 409, answer.text
        assert says in answer.text
    assert bring(http, queued, "web-download", uri=url, stores=["nope"]).status_code == 409
    letters = bring(http, queued, "web-download", uri=url, stores="fast")
    assert (letters.status_code, "Store for identifier f not found" in letters.text) == (409, True)
    both = http.post(
        f"/v2/images/{queued}/import",
        json={"method": {"name": "web-download", "uri": url}, "stores": ["fast"]},
        headers={"X-Image-Meta-Store": "fast"},
    )
    assert both.status_code == 400
    missing = http.post(f"/v2/images/{uuid.uuid4()}/import", json={"method": {"name": "glance-direct"}})
    assert missing.status_code == 404
    assert http.put(f"/v2/images/{uuid.uuid4()}/stage", content=b"", headers=OCTETS).status_code == 404


def test_one_store_takes_what_is_said_of_several(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater()
    with httpx.Client(base_url=service.images_url, timeout=60, headers={"Accept": "application/json"}) as http:
        image_id = make(http)
        stage(http, image_id, BLOB)
        refused = bring(http, image_id, all_stores_must_succeed=False)
        assert (refused.status_code, "All_stores_must_succeed" in refused.text) == (400, True)
        assert bring(http, image_id, stores=["nope"], all_stores_must_succeed=True).status_code == 202
        assert ended(http, image_id)["status"] == "success"
        require_active(http, service, image_id, "file")
        assert bring(http, image_id, "copy-image", all_stores=True).status_code == 202
        assert bring(http, image_id, "copy-image").status_code == 400


def test_what_is_not_offered_is_not_there(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(toml="[images]\nimport_methods = []\n")
    with httpx.Client(base_url=service.images_url, timeout=60, headers={"Accept": "application/json"}) as http:
        image_id = make(http)
        assert http.put(f"/v2/images/{image_id}/stage", content=b"x", headers=OCTETS).status_code == 404
        assert bring(http, image_id).status_code == 400
        assert http.get("/v2/info/import").json()["import-methods"]["value"] == []
        assert "OpenStack-image-import-methods" not in http.post("/v2/images", json={}).headers


def test_what_is_staged_and_imported_counts(fresh_headwater: FreshHeadwater, web: WebServer) -> None:
    service = fresh_headwater(
        toml="[quotas]\nimage_stage_total = 20\nimage_count_uploading = 2\nimage_size_total = 40\n"
        '[fetch]\nallowed_hosts = ["127.0.0.1"]\nallowed_ports = []\n'
        '[stores.a]\ntype = "file"\n[stores.b]\ntype = "file"\n'
    )
    with httpx.Client(base_url=service.images_url, timeout=60, headers={"Accept": "application/json"}) as http:
        first, second, third = (make(http, owner="p") for _ in range(3))
        stage(http, first, BLOB)
        too_much = http.put(f"/v2/images/{second}/stage", content=BLOB, headers=OCTETS)
        assert (too_much.status_code, "image_stage_total" in too_much.text) == (413, True)
        chunked = http.put(f"/v2/images/{second}/stage", content=iter([BLOB]), headers=OCTETS)
        assert (chunked.status_code, "image_stage_total" in chunked.text) == (413, True)
        assert show(http, second)["status"] == "queued"
        stage(http, second, BLOB[:MIB])
        refused = bring(http, third, "web-download", uri=web.url("/image"))
        assert (refused.status_code, "image_count_uploading" in refused.text) == (413, True)
        assert bring(http, first, all_stores=True).status_code == 202
        assert ended(http, first)["status"] == "success"
        assert bring(http, third, "web-download", uri=web.url("/image"), all_stores=True).status_code == 202
        task = ended(http, third)  # 24 MiB are there, and 24 would come
        assert (task["status"], "image_size_total" in task["message"]) == ("failure", True)
        require_queued(http, service, third)


def test_an_import_goes_on_after_a_restart(fresh_headwater: FreshHeadwater, web: WebServer) -> None:
    """What was staged before it is still there, and a download begins again."""
    release = threading.Event()

    def slow(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BLOB))
        send(BLOB[: 4 * MIB])
        release.wait(20)
        send(BLOB[4 * MIB :])

    web.pages["/slow"] = slow
    service = fresh_headwater(toml='[fetch]\nallowed_hosts = ["127.0.0.1"]\nallowed_ports = []\n')
    with httpx.Client(base_url=service.images_url, timeout=60, headers={"Accept": "application/json"}) as http:
        staged, coming = make(http), make(http)
        stage(http, staged, BLOB)
        assert bring(http, coming, "web-download", uri=web.url("/slow")).status_code == 202
        wait_until(lambda: bool(lying(service, coming)), "bytes arrive")
        service.kill()
        release.set()
    service.start()
    with httpx.Client(base_url=service.images_url, timeout=60, headers={"Accept": "application/json"}) as http:
        assert show(http, staged)["status"] == "uploading"
        assert bring(http, staged).status_code == 202
        for image_id in (staged, coming):
            assert ended(http, image_id)["status"] == "success"
            require_active(http, service, image_id, "file")


# --- Several at once, and several processes ----------------------------------------------------------


def test_of_imports_at_once_one_begins(http: httpx.Client, service: HeadwaterProcess) -> None:
    image_id = make(http)
    stage(http, image_id, BLOB)
    answers: list[int] = []
    start = threading.Barrier(4)

    def send() -> None:
        with httpx.Client(base_url=service.images_url, timeout=60) as client:
            start.wait()
            answers.append(bring(client, image_id, all_stores=True).status_code)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [202, 409, 409, 409]
    assert ended(http, image_id)["status"] == "success"
    require_active(http, service, image_id, "fast", "cheap")
    copies = [bring(http, image_id, "copy-image", stores=["cheap"]).status_code for _ in range(2)]
    assert copies == [400, 400]


def test_what_a_replica_staged_that_is_gone_another_one_imports(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    catalogue = f'[database]\nurl = "sqlite:///{tmp_path}/catalogue.db"\n'
    toml = f'{catalogue}[stores.file]\ntype = "file"\nroot = "{tmp_path}/store"\n'
    one, other = fresh_headwater(toml=toml), fresh_headwater(toml=toml)
    with httpx.Client(base_url=one.images_url, timeout=60) as http:
        kept, removed = make(http), make(http)
        stage(http, kept, BLOB)
        stage(http, removed, BLOB)
    one.kill()
    with httpx.Client(base_url=other.images_url, timeout=60) as http:
        assert bring(http, kept).status_code == 202
        assert ended(http, kept)["status"] == "success"
        assert http.get(f"/v2/images/{kept}/file").content == BLOB
        assert http.delete(f"/v2/images/{removed}").status_code == 204
        objects = [file.name for file in (tmp_path / "store" / "objects").rglob("*") if file.is_file()]
        assert [name.partition(".")[0] for name in objects] == [kept]


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
