"""Work on an image that is cancelled ends soon, whatever it waits for and wherever it runs; the image is as before."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS
from functional.import_requests import ended, make, stage
from functional.users import proof, users_file
from servers.http.web import Asked, SendBytes, WebServer, content, web_server

BLOB = bytes(range(256)) * 4096
TOML = """\
[policy]
enforce_scope = false
[stores.fast]
type = "file"
[stores.cheap]
type = "file"
[stores.web]
type = "http"
[images]
show_multiple_locations = true
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
"""
PEOPLE = {
    "admin": ("a", "admin,member,reader"),
    "ann": ("a", "member,reader"),
    "rhea": ("a", "reader"),
    "bob": ("b", "member,reader"),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    directory = tmp_path_factory.mktemp("cancel")
    process = HeadwaterProcess(directory, toml=TOML + users_file(directory, **PEOPLE), workers=2)
    process.start()
    yield process
    process.stop()


def client(service: HeadwaterProcess, user: str) -> httpx.Client:
    headers = {"Accept": "application/json", **proof(user)}
    return httpx.Client(base_url=service.images_url, timeout=60, headers=headers)


@pytest.fixture
def http(service: HeadwaterProcess) -> Iterator[httpx.Client]:
    with client(service, "ann") as ann:
        yield ann


@pytest.fixture
def admin(service: HeadwaterProcess) -> Iterator[httpx.Client]:
    with client(service, "admin") as one:
        yield one


class Silence:
    """A server that gives some bytes, or not even a head, and then nothing."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.over = threading.Event()

    def before_the_head(self, _asked: Asked, _send: SendBytes) -> None:
        self.asked.set()
        self.over.wait(120)

    def after_some_bytes(self, asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BLOB))
        if asked.method != "HEAD":
            send(BLOB[:1000])
            self.before_the_head(asked, send)

    def slowly(self, asked: Asked, send: SendBytes) -> None:
        self.asked.set()
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BLOB))
        for at in range(0, len(BLOB), 1024):
            send(BLOB[at : at + 1024])
            if self.over.wait(0.1):
                return


@pytest.fixture
def silence(web: WebServer) -> Iterator[Silence]:
    one = Silence()
    web.pages |= {"/headless": one.before_the_head, "/some": one.after_some_bytes, "/slow": one.slowly}
    yield one
    one.over.set()


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages["/image"] = content(BLOB)
        yield server


def begin(http: httpx.Client, image_id: str, name: str, **more: Any) -> str:
    """Begin an import, and return the id of its task."""
    method = {"name": name, **({"uri": more.pop("uri")} if "uri" in more else {})}
    answer = http.post(f"/v2/images/{image_id}/import", json={"method": method, **more})
    assert answer.status_code == 202, answer.text
    return newest(http, image_id)


def newest(http: httpx.Client, image_id: str) -> str:
    return str(http.get(f"/v2/images/{image_id}/tasks").json()["tasks"][-1]["id"])


def cancel(http: httpx.Client, image_id: str, task_id: str) -> int:
    return http.delete(f"/v2/images/{image_id}/tasks/{task_id}").status_code


def lying(service: HeadwaterProcess, image_id: str) -> set[str]:
    files = service.data_dir.glob(f"stores/*/*/**/{image_id}.*")
    return {file.relative_to(service.data_dir).parts[1] for file in files}


def require_as_before(http: httpx.Client, service: HeadwaterProcess, image_id: str, status: str = "queued") -> None:
    image = http.get(f"/v2/images/{image_id}").json()
    assert (image["status"], image["os_glance_importing_to_stores"]) == (status, "")
    assert "os_glance_import_task" not in image
    has = {"fast"} if status == "active" else set()
    wait_until(lambda: lying(service, image_id) == has, "no other byte of it is in a store")


@pytest.mark.parametrize("page", ["/headless", "/some", "/slow"])
def test_a_download_is_cancelled_whatever_its_server_does(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, silence: Silence, page: str
) -> None:
    image_id = make(http)
    task_id = begin(http, image_id, "web-download", uri=web.url(page), all_stores=True)
    assert silence.asked.wait(30)
    assert cancel(http, image_id, task_id) == 202
    task = ended(http, image_id)
    assert (task["status"], task["message"]) == ("failure", "cancelled by user ann")
    assert not silence.over.is_set()  # so it is not the server that has ended it
    require_as_before(http, service, image_id)
    assert cancel(http, image_id, task_id) == 409
    begin(http, image_id, "web-download", uri=web.url("/image"))
    assert ended(http, image_id)["status"] == "success"
    assert http.get(f"/v2/images/{image_id}/file").content == BLOB


def test_an_image_deleted_during_its_import_ends_that_at_once(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, silence: Silence
) -> None:
    for page in ("/headless", "/some"):
        silence.asked.clear()
        image_id = make(http)
        begin(http, image_id, "web-download", uri=web.url(page))
        assert silence.asked.wait(30)
        assert http.delete(f"/v2/images/{image_id}").status_code == 204
        wait_until(partial(has_no_job, service, image_id), "no job is left", 20)
        assert lying(service, image_id) == set()


def test_an_image_deleted_before_the_first_byte_of_its_import_has_come_leaves_no_job_behind(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer
) -> None:
    image_id = make(http)

    def deleting(_asked: Asked, send: SendBytes) -> None:
        http.delete(f"/v2/images/{image_id}")
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BLOB))
        send(BLOB)

    web.pages["/deleting"] = deleting
    begin(http, image_id, "web-download", uri=web.url("/deleting"))
    wait_until(lambda: http.get(f"/v2/images/{image_id}").status_code == 404, "it is deleted")
    wait_until(partial(has_no_job, service, image_id), "no job is left", 20)
    assert lying(service, image_id) == set()


def test_an_image_deleted_while_a_copy_brings_its_data_ends_that_at_once(
    admin: httpx.Client, service: HeadwaterProcess, web: WebServer, silence: Silence
) -> None:
    asked = {"import_from": web.url("/some"), "import_from_format": "raw", "image_properties": {"name": "copied"}}
    image_id = admin.post("/v2/tasks", json={"type": "import", "input": asked}).json()["image_id"]
    assert silence.asked.wait(30)
    assert admin.delete(f"/v2/images/{image_id}").status_code == 204
    wait_until(partial(has_no_job, service, image_id), "no job is left", 20)
    wait_until(lambda: lying(service, image_id) == set(), "no byte of it is in a store")


def has_no_job(service: HeadwaterProcess, image_id: str) -> bool:
    done = service.command("jobs", "list", "--image", image_id, "--json")
    assert done.returncode == 0, done.stderr
    return bool(json.loads(done.stdout) == [])


def test_hashing_at_a_location_is_cancelled(
    http: httpx.Client, admin: httpx.Client, web: WebServer, silence: Silence
) -> None:
    """An image that is active by then stays so, as when its data cannot be read; one that waits for its hash waits."""
    sha512 = hashlib.sha512(BLOB).hexdigest()
    for said, status in (({}, "active"), ({"os_hash_algo": "sha512", "os_hash_value": sha512}, "queued")):
        silence.asked.clear()
        image_id = make(http)
        document = {"url": web.url("/some"), "validation_data": said}
        assert admin.post(f"/v2/images/{image_id}/locations", json=document).status_code == 202
        assert silence.asked.wait(30)
        assert cancel(http, image_id, newest(http, image_id)) == 202
        task = ended(http, image_id)
        assert (task["status"], task["message"]) == ("failure", "cancelled by user ann")
        image = http.get(f"/v2/images/{image_id}").json()
        assert (image["status"], image["os_hash_algo"], image["os_hash_value"]) == (status, None, None)


def test_the_question_how_much_lies_at_a_location_is_cancelled(
    http: httpx.Client, admin: httpx.Client, web: WebServer, silence: Silence
) -> None:
    image_id = make(http)
    assert admin.post(f"/v2/images/{image_id}/locations", json={"url": web.url("/headless")}).status_code == 202
    assert silence.asked.wait(30)
    assert cancel(http, image_id, newest(http, image_id)) == 202
    assert ended(http, image_id)["message"] == "cancelled by user ann"
    assert not silence.over.is_set()
    assert http.get(f"/v2/images/{image_id}").json()["status"] == "queued"


def test_a_copy_of_the_tasks_api_is_cancelled(
    http: httpx.Client, admin: httpx.Client, service: HeadwaterProcess, web: WebServer, silence: Silence
) -> None:
    asked = {"import_from": web.url("/some"), "import_from_format": "raw", "image_properties": {"name": "copied"}}
    task = admin.post("/v2/tasks", json={"type": "import", "input": asked}).json()
    assert silence.asked.wait(30)
    image_id = task["image_id"]
    assert cancel(admin, image_id, task["id"]) == 202
    assert ended(admin, image_id)["message"] == "cancelled by user admin"
    wait_until(lambda: admin.get(f"/v2/images/{image_id}").json()["status"] == "queued", "the image waits")
    wait_until(lambda: lying(service, image_id) == set(), "no byte of it is in a store")


def test_who_may_not_change_an_image_cancels_nothing(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, silence: Silence
) -> None:
    image_id, another = make(http), make(http)
    task_id = begin(http, image_id, "web-download", uri=web.url("/slow"))
    for user, status in (("bob", 404), ("rhea", 403)):
        with client(service, user) as other:
            assert cancel(other, image_id, task_id) == status
    assert cancel(http, another, task_id) == 404
    assert cancel(http, image_id, "9a2b7b2e-0000-4000-8000-000000000000") == 404
    assert cancel(http, "9a2b7b2e-0000-4000-8000-000000000000", task_id) == 404
    assert http.get(f"/v2/images/{image_id}").json()["status"] == "importing"
    assert cancel(http, image_id.upper(), task_id) == 202
    ended(http, image_id)


def test_while_a_task_works_on_an_image_nothing_else_is_begun(
    http: httpx.Client, admin: httpx.Client, web: WebServer, silence: Silence
) -> None:
    image_id = make(http)
    task_id = begin(http, image_id, "web-download", uri=web.url("/slow"))
    assert silence.asked.wait(30)

    def asked(name: str, **more: Any) -> int:
        return admin.post(f"/v2/images/{image_id}/import", json={"method": {"name": name, **more}}).status_code

    assert asked("web-download", uri=web.url("/image")) == 409
    assert asked("glance-direct") == 409
    assert asked("copy-image") == 409
    assert admin.put(f"/v2/images/{image_id}/stage", content=BLOB, headers=OCTETS).status_code == 409
    assert admin.put(f"/v2/images/{image_id}/file", content=BLOB, headers=OCTETS).status_code == 409
    assert admin.post(f"/v2/images/{image_id}/locations", json={"url": web.url("/image")}).status_code == 409
    assert [task["id"] for task in http.get(f"/v2/images/{image_id}/tasks").json()["tasks"]] == [task_id]
    assert cancel(http, image_id, task_id) == 202
    ended(http, image_id)


def test_while_an_active_image_is_copied_no_second_copy_begins(admin: httpx.Client, web: WebServer) -> None:
    """Two are asked for at once, so one of them finds the other's task; never do both begin."""
    image_id = make(admin)
    stage(admin, image_id, BLOB)
    begin(admin, image_id, "glance-direct", stores=["fast"])
    assert ended(admin, image_id)["status"] == "success"
    answers: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=admin.base_url, headers=admin.headers, timeout=60) as one:
            body = {"method": {"name": "copy-image"}, "stores": ["cheap"]}
            answers.append(one.post(f"/v2/images/{image_id}/import", json=body).status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers.count(202) == 1
    assert {*answers} <= {202, 409, 400}  # 400: the copy is there already
    assert ended(admin, image_id)["status"] == "success"


def test_copying_is_for_those_whom_the_policy_lets(http: httpx.Client, admin: httpx.Client, tmp_path: Path) -> None:
    image_id = make(http)
    assert http.put(f"/v2/images/{image_id}/file", content=BLOB, headers=OCTETS).status_code == 204
    body = {"method": {"name": "copy-image"}, "stores": ["cheap"]}
    refused = http.post(f"/v2/images/{image_id}/import", json=body)
    assert refused.status_code == 403
    assert http.get(f"/v2/images/{image_id}/tasks").json()["tasks"] == []
    assert admin.post(f"/v2/images/{image_id}/import", json=body).status_code == 202
    assert ended(http, image_id)["status"] == "success"


def failed_jobs(service: HeadwaterProcess, image_id: str) -> list[dict[str, Any]]:
    done = service.command("jobs", "list", "--state", "failed", "--image", image_id, "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_an_import_that_failed_is_seen_and_begun_again_by_an_operator(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer
) -> None:
    image_id = make(http)
    first = begin(http, image_id, "web-download", uri=web.url("/comes-later"), stores=["fast"])
    assert ended(http, image_id)["status"] == "failure"
    wait_until(lambda: bool(failed_jobs(service, image_id)), "the job is kept")
    (job,) = failed_jobs(service, image_id)
    assert "404" in job["last_error"]
    assert (job["task"], job["project"], job["kind"]) == (first, "a", "import")
    web.pages["/comes-later"] = content(BLOB)
    assert service.command("jobs", "retry", job["id"]).returncode == 0
    wait_until(lambda: newest(http, image_id) != first, "it is begun again", 30)
    assert ended(http, image_id)["status"] == "success"
    assert http.get(f"/v2/images/{image_id}/file").content == BLOB
    wait_until(partial(has_no_job, service, image_id), "no job is left", 20)


def test_an_import_that_nothing_waits_for_any_more_stays_failed(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer
) -> None:
    image_id = make(http)
    begin(http, image_id, "web-download", uri=web.url("/is-not-there"))
    assert ended(http, image_id)["status"] == "failure"
    assert http.put(f"/v2/images/{image_id}/file", content=BLOB, headers=OCTETS).status_code == 204
    wait_until(lambda: bool(failed_jobs(service, image_id)), "the job is kept")
    (job,) = failed_jobs(service, image_id)
    assert service.command("jobs", "retry", job["id"]).returncode == 0
    says = "it cannot be tried again: Image with status active"
    wait_until(lambda: any(says in each["last_error"] for each in failed_jobs(service, image_id)), "it says why", 30)
    assert http.get(f"/v2/images/{image_id}/file").content == BLOB
    assert http.delete(f"/v2/images/{image_id}").status_code == 204
    assert service.command("jobs", "retry", job["id"]).returncode == 0
    wait_until(partial(has_no_job, service, image_id), "no job is left", 20)
