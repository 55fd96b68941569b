"""What clients may ask of imports, what is refused, and several at once."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, show
from functional.images.imports.image_imports import (
    BLOB,
    MIB,
    V21,
    bring,
    lying,
    require_active,
    require_queued,
    uploaded,
)
from functional.import_requests import ended, make, stage
from servers.http.web import Asked, SendBytes, WebServer

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
