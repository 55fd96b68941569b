"""Why imports fail, as their tasks tell: servers that err or are odd, stores that take nothing, wrong signatures."""

from __future__ import annotations

import gzip
import os
import random
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, wait_until
from functional.import_requests import ended, make, stage
from servers.certificates import Authority
from servers.http.web import Answer, Asked, SendBytes, WebServer, content, redirect, web_server
from servers.ports import free_ports
from signers import CERTIFICATE_ID, Signer, signer

MIB = 1 << 20
BLOB = random.Random(48).randbytes(3 * MIB + 1)
PACKED = gzip.compress(BLOB)
CAP = 8 * MIB


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return signer(tmp_path_factory.mktemp("signer"), "RSA-PSS")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, who: Signer) -> Iterator[HeadwaterProcess]:
    home = tmp_path_factory.mktemp("failures")
    (home / f"{CERTIFICATE_ID}.pem").write_bytes(who.certificate.read_bytes())
    toml = f"""
[images]
http_retries = 0
size_cap = {CAP}
[signatures]
certificates = "directory"
directory = "{home}"
[stores.fast]
type = "file"
[stores.cheap]
type = "file"
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
answer_timeout_s = 1
read_timeout_s = 1
redirects = 2
"""
    process = HeadwaterProcess(home, toml=toml)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def bring(http: httpx.Client, image_id: str, name: str, **more: Any) -> dict[str, Any]:
    """Import, and return the task when it is over."""
    stores = more.pop("stores", ["fast"])
    body = {"method": {"name": name, **more}, "stores": stores}
    answer = http.post(f"/v2/images/{image_id}/import", json=body)
    assert answer.status_code == 202, answer.text
    return ended(http, image_id)


def lying(service: HeadwaterProcess, image_id: str) -> list[Path]:
    return list(service.data_dir.glob(f"stores/*/objects/**/{image_id}.*"))


def require_queued(http: httpx.Client, service: HeadwaterProcess, image_id: str) -> None:
    image = http.get(f"/v2/images/{image_id}").json()
    assert (image["status"], image["size"], image["checksum"]) == ("queued", None, None)
    assert "os_glance_import_task" not in image
    wait_until(lambda: not lying(service, image_id), "no byte of it is kept")


def require_staged(http: httpx.Client, service: HeadwaterProcess, image_id: str) -> None:
    """Its data is still there, and is all that is; another import takes it."""
    image = http.get(f"/v2/images/{image_id}").json()
    assert (image["status"], image["size"], image["checksum"]) == ("uploading", len(BLOB), None)
    assert "os_glance_import_task" not in image
    wait_until(lambda: len(lying(service, image_id)) == 1, "what is staged is kept, and nothing else")


def require_active(http: httpx.Client, image_id: str, data: bytes = BLOB) -> None:
    assert http.get(f"/v2/images/{image_id}").json()["status"] == "active"
    assert http.get(f"/v2/images/{image_id}/file").content == data


def answers(status: int) -> Answer:
    return lambda _asked, send: send(b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % status)


def raw(head: bytes, body: bytes = b"") -> Answer:
    return lambda _asked, send: send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body)


def chunked(data: bytes, *, ends: bool = True) -> Answer:
    end = b"0\r\n\r\n" if ends else b""
    return raw(b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n%s" % (len(data), data, end))


def stands_still(_asked: Asked, send: SendBytes) -> None:
    send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    time.sleep(3)


# --- Servers that fail -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (answers(401), "the server answered 401"),
        (answers(403), "the server answered 403"),
        (answers(404), "the server answered 404"),
        (answers(410), "the server answered 410"),
        (answers(500), "the server answered 500"),
        (answers(204), "the server answered 204"),
        (redirect("/page"), "it redirects more than 2 times"),
        (redirect("http://127.0.0.1:1/x"), "127.0.0.1:1/x: the server cannot be reached"),
        (raw(b"Content-Length: 100\r\n", b"short"), "the connection broke off"),
        (chunked(b"a part", ends=False), "the connection broke off"),
        (raw(b"Content-Length: %d\r\n" % (CAP + 1)), f"larger than the {CAP} bytes"),
        (chunked(bytes(CAP + 1)), f"larger than the {CAP} bytes"),
        (raw(b"Content-Encoding: gzip\r\nContent-Length: 3\r\n", b"abc"), "packs the data"),
    ],
    ids=[
        "401", "403", "404", "410", "500", "204", "redirects for ever", "redirects to nobody", "ends early",
        "breaks off", "too large, as it says", "too large, as it does not say", "coded",
    ],
)  # fmt: skip
def test_a_task_tells_what_a_server_did(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, page: Answer, reason: str
) -> None:
    web.pages["/page"] = page
    image_id = make(http)
    task = bring(http, image_id, "web-download", uri=web.url("/page"))
    assert task["status"] == "failure"
    assert reason in task["message"]
    require_queued(http, service, image_id)


def test_a_server_that_says_nothing_any_more_is_not_waited_for(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer
) -> None:
    web.pages |= {"/still": stands_still, "/silent": lambda _asked, _send: time.sleep(3)}
    for path in ("/still", "/silent"):
        image_id = make(http)
        task = bring(http, image_id, "web-download", uri=web.url(path))
        assert "did not answer in time" in task["message"]
        require_queued(http, service, image_id)


def test_a_server_that_proves_nothing_is_not_read(
    http: httpx.Client, service: HeadwaterProcess, tmp_path: Path
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(Authority(tmp_path).certificate())
    with web_server(tls=tls) as web:
        web.pages["/image"] = content(BLOB)
        image_id = make(http)
        task = bring(http, image_id, "web-download", uri=web.url("/image"))
        assert "its certificate does not prove the host" in task["message"]
        assert web.asked == []
    require_queued(http, service, image_id)


def test_no_server_is_told_as_such(http: httpx.Client, service: HeadwaterProcess) -> None:
    image_id, (port, _) = make(http), free_ports(2)
    task = bring(http, image_id, "web-download", uri=f"http://127.0.0.1:{port}/image")
    assert "the server cannot be reached" in task["message"]
    require_queued(http, service, image_id)


# --- Servers that are odd, and give it ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "data"),
    [
        (content(BLOB, ranges=False, head=False), BLOB),
        (chunked(BLOB), BLOB),
        (raw(b"", BLOB), BLOB),
        (raw(b"Content-Encoding: identity\r\nContent-Length: %d\r\n" % len(BLOB), BLOB), BLOB),
        (raw(b"Content-Type: text/html\r\nContent-Length: %d\r\n" % len(BLOB), BLOB), BLOB),
        (chunked(PACKED), PACKED),
        (chunked(b""), b""),
        (raw(b"Content-Length: 0\r\n"), b""),
        (chunked(bytes(CAP)), bytes(CAP)),
    ],
    ids=[
        "no HEAD, no ranges", "no length", "the end of the connection is the end", "says identity", "says it is text",
        "a packed file", "nothing, without a length", "nothing", "as large as may be",
    ],
)  # fmt: skip
def test_a_server_that_knows_little_gives_its_data_all_the_same(
    http: httpx.Client, web: WebServer, page: Answer, data: bytes
) -> None:
    web.pages |= {"/page": page, "/hop": redirect(web.url("/page"), 307), "/start": redirect("/hop", 301)}
    for path in ("/page", "/start"):
        image_id = make(http)
        task = bring(http, image_id, "web-download", uri=web.url(path))
        assert (task["status"], task["message"]) == ("success", "")
        assert task["progress"] == {"bytes": len(data), "of": len(data)}
        require_active(http, image_id, data)
    assert {each.headers["accept-encoding"] for each in web.asked} == {"identity"}


def test_progress_is_told_in_bytes_while_the_data_comes(http: httpx.Client, web: WebServer) -> None:
    seen = threading.Event()

    def slowly(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BLOB))
        at = 0
        while at < len(BLOB):
            step = len(BLOB) if seen.wait(0.1) else 16 << 10
            send(BLOB[at : at + step])
            at += step

    web.pages["/slow"] = slowly
    image_id = make(http)
    asked = {"method": {"name": "web-download", "uri": web.url("/slow")}, "stores": ["fast"]}
    assert http.post(f"/v2/images/{image_id}/import", json=asked).status_code == 202

    def progress() -> dict[str, Any]:
        (task,) = http.get(f"/v2/images/{image_id}/tasks").json()["tasks"]
        found: dict[str, Any] = task["progress"] or {}
        return found

    wait_until(lambda: 0 < progress().get("bytes", 0) < len(BLOB), "some bytes are told of")
    assert progress()["of"] == len(BLOB)
    seen.set()
    assert ended(http, image_id)["progress"] == {"bytes": len(BLOB), "of": len(BLOB)}


# --- Stores that fail ---------------------------------------------------------------------------------------


@pytest.fixture
def broken(service: HeadwaterProcess) -> Iterator[None]:
    """The second store cannot be written to: its directory is a file."""
    objects = service.data_dir / "stores" / "cheap" / "objects"
    aside = objects.with_name("aside")
    objects.rename(aside)
    objects.write_bytes(b"")
    yield
    objects.unlink()
    aside.rename(objects)


def staged(http: httpx.Client, web: WebServer, **said: Any) -> tuple[str, dict[str, Any]]:
    image_id = make(http, **said)
    stage(http, image_id, BLOB)
    return image_id, {"name": "glance-direct"}


def to_download(http: httpx.Client, web: WebServer, **said: Any) -> tuple[str, dict[str, Any]]:
    web.pages["/image"] = content(BLOB)
    return make(http, **said), {"name": "web-download", "uri": web.url("/image")}


Prepare = Callable[..., tuple[str, dict[str, Any]]]


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("all_must", [True, False])
@pytest.mark.parametrize("prepare", [staged, to_download])
def test_a_store_that_is_down_among_several_is_named_and_fails_all_or_is_left_out(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, prepare: Prepare, all_must: bool
) -> None:
    image_id, method = prepare(http, web)
    body = {"method": method, "stores": ["fast", "cheap"], "all_stores_must_succeed": all_must}
    assert http.post(f"/v2/images/{image_id}/import", json=body).status_code == 202
    task, image = ended(http, image_id), http.get(f"/v2/images/{image_id}").json()
    assert (image["os_glance_failed_import"], image["os_glance_importing_to_stores"]) == ("cheap", "")
    if all_must:
        assert task["status"] == "failure"
        assert "store cheap" in task["message"]
        assert str(service.data_dir) not in task["message"]
        if prepare is staged:
            require_staged(http, service, image_id)
            assert bring(http, image_id, **method)["status"] == "success"
            require_active(http, image_id)
        else:
            require_queued(http, service, image_id)
    else:
        assert task["status"] == "success"
        assert "store cheap" in task["message"]
        assert str(service.data_dir) not in task["message"]
        assert image["stores"] == "fast"
        require_active(http, image_id)


@pytest.mark.usefixtures("broken")
def test_a_copy_to_a_store_that_is_down_leaves_the_image_as_it_was(http: httpx.Client, web: WebServer) -> None:
    image_id, method = to_download(http, web)
    assert bring(http, image_id, **method)["status"] == "success"
    task = bring(http, image_id, "copy-image", stores=["cheap"])
    assert task["status"] == "failure"
    assert "store cheap" in task["message"]
    image = http.get(f"/v2/images/{image_id}").json()
    assert (image["stores"], image["os_glance_failed_import"]) == ("fast", "cheap")
    require_active(http, image_id)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "headwater-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user or container may not mount; test_stores.py limits a file instead")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_store_that_turned_read_only_is_refused_as_soon_as_it_is_known_and_keeps_what_is_staged(
    tmp_path: Path, small_disk: Path
) -> None:
    toml = f"""
[images]
http_retries = 0
[stores.large]
type = "file"
[stores.small]
type = "file"
root = "{small_disk}"
[stores.web]
type = "http"
"""
    process = HeadwaterProcess(tmp_path, toml=toml, workers=1)
    process.start()
    try:
        with httpx.Client(base_url=process.images_url, timeout=60, headers={"Accept": "application/json"}) as http:
            image_id, method = make(http), {"name": "glance-direct"}
            stage(http, image_id, BLOB)
            subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
            task = bring(http, image_id, **method, stores=["small"])  # nobody has looked yet
            assert task["status"] == "failure"
            assert "store small" in task["message"]
            require_staged(http, process, image_id)

            def refused() -> bool:
                details = http.get("/v2/info/stores/detail").json()["stores"]
                return [each["status"] for each in details if each["id"] == "small"] == ["read-only"]

            wait_until(refused, "the store is known to be read only")
            body = {"method": method, "stores": ["small"]}
            neither = {"method": method, "stores": ["web", "small"], "all_stores_must_succeed": False}
            for asked in (body, neither):
                answer = http.post(f"/v2/images/{image_id}/import", json=asked)
                assert (answer.status_code, "small takes no data at the moment" in answer.text) == (503, True)
            require_staged(http, process, image_id)
            assert bring(http, image_id, **method, stores=["large"])["status"] == "success"
            require_active(http, image_id)
            again = make(http)
            stage(http, again, BLOB)
            assert http.delete(f"/v2/images/{again}").status_code == 204
            wait_until(lambda: not lying(process, again), "it goes with its image")
    finally:
        process.stop()


@pytest.mark.parametrize("prepare", [staged, to_download])
def test_a_disk_that_is_full_is_told_and_leaves_nothing_but_what_was_staged(
    web: WebServer, tmp_path: Path, small_disk: Path, prepare: Prepare
) -> None:
    toml = f"""
[images]
http_retries = 0
[stores.large]
type = "file"
[stores.small]
type = "file"
root = "{small_disk}"
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
"""
    process = HeadwaterProcess(tmp_path, toml=toml)
    process.start()
    try:
        with httpx.Client(base_url=process.images_url, timeout=60, headers={"Accept": "application/json"}) as http:
            image_id, method = prepare(http, web)
            task = bring(http, image_id, **method, stores=["large", "small"])
            assert task["status"] == "failure"
            assert "store small has no room left" in task["message"]
            assert str(tmp_path) not in task["message"]
            (require_staged if prepare is staged else require_queued)(http, process, image_id)
            wait_until(lambda: not list(small_disk.glob(f"objects/**/{image_id}.*")), "no byte of it is kept there")
    finally:
        process.stop()


# --- Signed images ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stores", [["fast"], ["cheap"], ["fast", "cheap"]], ids=",".join)
@pytest.mark.parametrize("prepare", [staged, to_download])
def test_a_signed_import_is_verified(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, who: Signer, prepare: Prepare, stores: list[str]
) -> None:
    image_id, method = prepare(http, web, **who.properties(BLOB))
    task = bring(http, image_id, **method, stores=stores)
    assert (task["status"], task["message"]) == ("success", "")
    require_active(http, image_id)
    assert len(lying(service, image_id)) == len(stores)


@pytest.mark.parametrize("stores", [["fast"], ["cheap"], ["fast", "cheap"]], ids=",".join)
@pytest.mark.parametrize("prepare", [staged, to_download])
def test_a_signed_import_of_other_data_fails_and_leaves_nothing(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, who: Signer, prepare: Prepare, stores: list[str]
) -> None:
    image_id, method = prepare(http, web, **who.properties(BLOB[:-1] + b"x"))
    task = bring(http, image_id, **method, stores=stores)
    assert task["status"] == "failure"
    assert "the data is not what the key of the certificate" in task["message"]
    require_queued(http, service, image_id)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"img_signature_certificate_uuid": CERTIFICATE_ID.replace("0", "1")}, "there is no certificate"),
        ({"img_signature_certificate_uuid": "../../etc/passwd"}, "which is no UUID"),
        ({"img_signature_hash_method": "MD5"}, "the property img_signature_hash_method is 'MD5'"),
        ({"img_signature_key_type": "DSA"}, "is of type RSA-PSS, and img_signature_key_type says DSA"),
        ({"img_signature": "no base64!"}, "the property img_signature is not base64"),
    ],
)
@pytest.mark.parametrize("prepare", [staged, to_download])
def test_a_task_tells_what_is_wrong_with_a_signature(
    http: httpx.Client,
    service: HeadwaterProcess,
    web: WebServer,
    who: Signer,
    prepare: Prepare,
    change: dict[str, str],
    says: str,
) -> None:
    image_id, method = prepare(http, web, **{**who.properties(BLOB), **change})
    task = bring(http, image_id, **method)
    assert task["status"] == "failure"
    assert says in task["message"]
    require_queued(http, service, image_id)


def test_a_signature_that_comes_between_stage_and_import_counts(
    http: httpx.Client, service: HeadwaterProcess, web: WebServer, who: Signer
) -> None:
    for signed, status in ((BLOB, "success"), (BLOB[1:], "failure")):
        image_id, method = staged(http, web)
        change = [{"op": "add", "path": f"/{name}", "value": value} for name, value in who.properties(signed).items()]
        headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        assert http.patch(f"/v2/images/{image_id}", json=change, headers=headers).status_code == 200
        assert bring(http, image_id, **method)["status"] == status
