"""What draft-ietf-httpbis-resumable-upload asks of a server, one by one, each with the section that says it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import h11
import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater, NewImage
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS
from functional.raw_http import HalfRequest
from headwater.testing.object_store import some_bytes
from needs import program

DATA = some_bytes(200)
CAP = 1000
LARGE = some_bytes(3_000_001)
PART = {"Content-Type": "application/partial-upload"}
BLANK = {"disk_format": "raw", "container_format": "bare"}
WHOLE = {**OCTETS, "Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"}
PROBLEM = "https://iana.org/assignments/http-problem-types#"


def sha256(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One requirement: a request for an upload in some state, and what its answer must be."""

    section: str
    says: str
    state: str = "begun"  # "none", "begun" (100 of 200 bytes), "open" (100 bytes, no length), "done" (200 of 200)
    method: str = "PATCH"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = b""
    status: int
    has: Mapping[str, str] = field(default_factory=dict)  # headers of the answer, each a regular expression
    lacks: tuple[str, ...] = ()
    problem: Mapping[str, object] = field(default_factory=dict)
    then: str | None = "?0 100"  # what HEAD says afterwards; None: there is no such upload


def last(offset: int, **more: str) -> dict[str, str]:
    fields = {name.replace("_", "-"): value for name, value in more.items()}
    return {**PART, "Upload-Offset": str(offset), "Upload-Complete": "?1", **fields}


def middle(offset: int, **more: str) -> dict[str, str]:
    return {**last(offset, **more), "Upload-Complete": "?0"}


ANY = r".+"
LIMIT = rf"max-size={CAP}\b.*"
ROWS = [
    Row(
        section="4.1.1", says="an Upload-Offset that is no integer is ignored, and so missing",
        headers={**last(100), "Upload-Offset": '"100"'}, body=DATA[100:], status=400,
    ),
    Row(
        section="4.1.2", says="an Upload-Complete that is no boolean is ignored: this is a plain upload",
        state="none", method="PUT", headers={**OCTETS, "Upload-Complete": "1"}, body=DATA,
        status=204, lacks=("Upload-Complete", "Location"),
    ),
    Row(
        section="4.1.3", says="Content-Length and Upload-Length of the last part must match",
        headers=last(100, Upload_Length="201"), body=DATA[100:], status=400,
        problem={"type": f"{PROBLEM}inconsistent-upload-length"},
    ),
    Row(
        section="4.1.3", says="the same of an upload that comes at once",
        state="none", method="PUT", headers={**WHOLE, "Upload-Length": "201"}, body=DATA, status=400,
        problem={"type": f"{PROBLEM}inconsistent-upload-length"},
    ),
    Row(
        section="4.1.3", says="the same of one that cannot be resumed",
        state="none", method="PUT", headers={**OCTETS, "Upload-Complete": "?1", "Upload-Length": "201"}, body=DATA,
        status=400, problem={"type": f"{PROBLEM}inconsistent-upload-length"},
    ),
    Row(
        section="4.1.3", says="a length must be that of the request before",
        headers=middle(100, Upload_Length="201"), body=b"x", status=400,
        problem={"type": f"{PROBLEM}inconsistent-upload-length"},
    ),
    Row(
        section="4.1.3", says="that holds for the length of the last part too",
        headers=last(100), body=b"x" * 99, status=400, problem={"type": f"{PROBLEM}inconsistent-upload-length"},
    ),
    Row(
        section="4.1.3", says="an Upload-Length that is no integer is ignored",
        headers=middle(100, Upload_Length="x"), body=DATA[100:], status=204,
        has={"Upload-Length": "200"}, then="?0 200",
    ),
    Row(
        section="4.1.4", says="413 for a limit has Upload-Limit: at the beginning, by Upload-Length",
        state="none", method="PUT", headers={**OCTETS, "Upload-Complete": "?0", "Upload-Length": str(CAP + 1)},
        status=413, has={"Upload-Limit": LIMIT},
    ),
    Row(
        section="4.1.4", says="413 of an upload that comes at once, by Content-Length",
        state="none", method="PUT", headers=WHOLE, body=bytes(CAP + 1), status=413, has={"Upload-Limit": LIMIT},
    ),
    Row(
        section="4.1.4", says="413 of one that cannot be resumed",
        state="none", method="PUT", headers={**OCTETS, "Upload-Complete": "?1"}, body=bytes(CAP + 1),
        status=413, has={"Upload-Limit": LIMIT},
    ),
    Row(
        section="4.1.4", says="413 of a part", state="open",
        headers=middle(100), body=bytes(CAP), status=413, has={"Upload-Limit": LIMIT}, then=None,
    ),
    Row(
        section="4.1.4", says="413 of the last part, which is known before any of it came", state="open",
        headers=last(100), body=bytes(CAP), status=413, has={"Upload-Limit": LIMIT},
    ),
    Row(
        section="4.1.4", says="OPTIONS of what takes uploads has Accept-Patch, and the limits",
        state="none", method="OPTIONS", status=200,
        has={"Accept-Patch": ".*application/partial-upload.*", "Upload-Limit": LIMIT},
    ),
    Row(
        section="4.2.2", says="an upload that is begun has Location and Upload-Limit",
        state="none", method="PUT", headers={**OCTETS, "Upload-Complete": "?0"}, body=DATA[:7],
        status=201, has={"Location": r"http://.+/file/uploads/\w{32}", "Upload-Limit": LIMIT, "Upload-Offset": "7"},
    ),
    Row(
        section="4.2.2", says="what came at once is answered as ever, and Upload-Complete says what that is about",
        state="none", method="PUT", headers=WHOLE, body=DATA,
        status=204, has={"Upload-Complete": r"\?1", "Upload-Limit": LIMIT},
    ),
    Row(
        section="4.3.2", says="HEAD has offset, completeness, length and limits, and is not cached",
        method="HEAD", status=204,
        has={
            "Upload-Offset": "100", "Upload-Complete": r"\?0", "Upload-Length": "200",
            "Upload-Limit": rf"max-size={CAP}, max-age=\d+", "Cache-Control": "no-store",
        },
    ),
    Row(
        section="4.3.2", says="HEAD has no length that the client has not said",
        state="open", method="HEAD", status=204, has={"Upload-Offset": "100"}, lacks=("Upload-Length",),
    ),
    Row(
        section="4.3.2", says="HEAD of a complete upload has the same", state="done", method="HEAD", status=204,
        has={"Upload-Offset": "200", "Upload-Complete": r"\?1", "Upload-Length": "200", "Upload-Limit": LIMIT},
        then="?1 200",
    ),
    Row(
        section="4.4.2", says="another offset is 409, with the right one",
        headers=middle(99), body=b"x", status=409, has={"Upload-Offset": "100", "Upload-Complete": r"\?0"},
        problem={
            "type": f"{PROBLEM}mismatching-upload-offset", "expected-offset": 100, "provided-offset": 99, "status": 409,
        },
    ),
    Row(
        section="4.4.2", says="another offset is 409 when the upload is complete, too", state="done",
        headers=last(100), body=DATA[100:], status=409, has={"Upload-Offset": "200", "Upload-Complete": r"\?1"},
        problem={"type": f"{PROBLEM}mismatching-upload-offset", "expected-offset": 200, "provided-offset": 100},
        then="?1 200",
    ),
    Row(
        section="4.4.2", says="more data for a complete upload is an inconsistent length", state="done",
        headers=last(200), body=b"x", status=400, has={"Upload-Complete": r"\?1"},
        problem={"type": f"{PROBLEM}inconsistent-upload-length"}, then="?1 200",
    ),
    Row(
        section="4.4.2", says="nothing more for a complete upload says that it is complete", state="done",
        headers=last(200), status=409, problem={"type": f"{PROBLEM}completed-upload"}, then="?1 200",
    ),
    Row(
        section="4.4.2", says="the last part is answered with Upload-Complete, and no more than its upload would be",
        headers=last(100), body=DATA[100:], status=204,
        has={"Upload-Complete": r"\?1", "Upload-Offset": "200", "Upload-Length": "200"}, lacks=("Location",),
        then="?1 200",
    ),
    Row(
        section="4.4.2", says="so is a last part whose data is refused, once all of it came",
        headers=last(100, Repr_Digest=sha256(b"other")), body=DATA[100:],
        status=400, has={"Upload-Complete": r"\?1", "Upload-Limit": LIMIT}, then=None,
    ),
    Row(
        section="4.4.2", says="so is what came at once and is refused",
        state="none", method="PUT", headers={**WHOLE, "Repr-Digest": sha256(b"other")}, body=DATA,
        status=400, has={"Upload-Complete": r"\?1"},
    ),
    Row(
        section="4.4.2", says="a part in the middle is answered with Upload-Complete: ?0, also at the length",
        headers=middle(100), body=DATA[100:], status=204, has={"Upload-Complete": r"\?0"}, then="?0 200",
    ),
    Row(
        section="4.4.2", says="more than the length invalidates the upload",
        headers=middle(100), body=b"x" * 101, status=400, then=None,
    ),
    Row(
        section="4.5.2", says="DELETE ends the upload", method="DELETE", status=204, then=None,
    ),
    Row(
        section="6", says="a part of another media type is refused, with Accept-Patch",
        headers={**last(100), **OCTETS}, body=DATA[100:], status=415, has={"Accept-Patch": ANY},
    ),
    Row(
        section="10.1", says="Repr-Digest of all the data is compared",
        headers=last(100, Repr_Digest=sha256(DATA)), body=DATA[100:], status=204, then="?1 200",
    ),
    Row(
        section="10.1", says="the answer tells the digest that the client wants",
        headers=last(100, Want_Repr_Digest="md5=5"), body=DATA[100:], status=204,
        has={"Repr-Digest": re.escape(f"md5=:{base64.b64encode(hashlib.md5(DATA).digest()).decode()}:")},
        then="?1 200",
    ),
    Row(
        section="10.1", says="HEAD of a complete upload tells it as well", state="done", method="HEAD",
        status=204, has={"Repr-Digest": "sha-512=:.+:"}, then="?1 200",
    ),
    Row(
        section="10.2", says="Content-Digest of a part is compared",
        headers=middle(100, Content_Digest=sha256(DATA[100:])), body=DATA[100:], status=204, then="?0 200",
    ),
    Row(
        section="10.2", says="a part with another Content-Digest is not kept",
        headers=middle(100, Content_Digest=sha256(DATA)), body=DATA[100:], status=400, then="?0 100",
    ),
    Row(
        section="10.2", says="a last part with another Content-Digest is not kept",
        headers=last(100, Content_Digest=sha256(DATA)), body=DATA[100:], status=400, then="?0 100",
    ),
    Row(
        section="10.2", says="Content-Digest of all the data is compared",
        state="none", method="PUT", headers={**WHOLE, "Content-Digest": sha256(b"other")}, body=DATA, status=400,
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    """A service whose images have a thousand bytes at most."""
    process = HeadwaterProcess(tmp_path_factory.mktemp("small"), toml=f"[images]\nsize_cap = {CAP}\n")
    process.start()
    yield process
    process.stop()


def begun(http: httpx.Client, image_id: str, state: str) -> str | None:
    """Bring an upload into a state, and return its path."""
    if state == "none":
        return None
    fields = {**OCTETS, "Upload-Complete": "?0", **({} if state == "open" else {"Upload-Length": "200"})}
    answer = http.put(f"/v2/images/{image_id}/file", content=DATA[:100], headers=fields)
    path = urlsplit(answer.headers["Location"]).path
    if state == "done":
        assert http.patch(path, content=DATA[100:], headers=last(100)).status_code == 204
    return path


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.section} {row.says}" for row in ROWS])
def test_the_draft_is_kept(small: HeadwaterProcess, row: Row) -> None:
    with httpx.Client(base_url=small.images_url, timeout=30) as http:
        image_id = http.post("/v2/images", json=BLANK).json()["id"]
        path = begun(http, image_id, row.state)
        answer = http.request(
            row.method, path or f"/v2/images/{image_id}/file", content=row.body or None, headers=dict(row.headers)
        )
        assert answer.status_code == row.status, answer.text
        for name, pattern in row.has.items():
            assert re.fullmatch(pattern, answer.headers.get(name, "")), (name, answer.headers)
        assert [name for name in row.lacks if name in answer.headers] == []
        if row.problem:
            assert answer.headers["Content-Type"] == "application/problem+json"
            document = answer.json()
            assert {name: document[name] for name in row.problem} == row.problem
            assert {"title", "detail"} <= document.keys()
        if path is not None:
            head = http.head(path)
            told = f"{head.headers.get('Upload-Complete')} {head.headers.get('Upload-Offset')}"
            assert (told if head.status_code == 204 else None) == row.then


# --- 104 (Upload Resumption Supported), section 5 ---------------------------------------------------


def interim(half: HalfRequest) -> dict[str, str]:
    """Return the headers of the interim answer that comes first."""
    status, *lines = half.answer().decode().split("\r\n")
    assert status == "HTTP/1.1 104 Upload Resumption Supported"
    return dict(line.split(": ", 1) for line in lines if line)


def path_of(headers: Mapping[str, str]) -> str:
    return urlsplit(headers["location"]).path


def require_whole(http: httpx.Client, image_id: str, data: bytes) -> None:
    image = http.get(f"/v2/images/{image_id}").json()
    assert (image["status"], image["size"], image["checksum"]) == ("active", len(data), hashlib.md5(data).hexdigest())
    assert http.get(f"/v2/images/{image_id}/file").content == data


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("complete", [True, False])
def test_an_upload_that_was_told_of_is_gone_on_with_after_its_connection_is_lost(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage, complete: bool, chunked: bool
) -> None:
    image_id = new_image()["id"]
    fields = {**WHOLE, "Upload-Complete": f"?{complete:d}"}
    length = None if chunked else len(LARGE)
    with HalfRequest(headwater.images_url, "PUT", f"/v2/images/{image_id}/file", length=length, headers=fields) as half:
        told = interim(half)
        assert re.fullmatch(r"max-size=\d+, max-age=\d+", told["upload-limit"])
        assert told["upload-draft-interop-version"] == "8"
        half.send(LARGE[:2_000_000])
        half.leave(rudely=False)
    path = path_of(told)
    head = http.head(path)
    assert (head.status_code, head.headers.get("Upload-Complete")) == (204, "?0")
    assert head.headers.get("Upload-Length") == (str(len(LARGE)) if complete and not chunked else None)
    kept = int(head.headers["Upload-Offset"])
    assert 0 < kept <= 2_000_000
    assert http.patch(path, content=LARGE[kept:], headers=last(kept)).status_code == 204
    require_whole(http, image_id, LARGE)


def test_what_is_told_of_an_upload_is_the_same_in_each_answer(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage
) -> None:
    image_id = new_image()["id"]
    fields = {**WHOLE, "Upload-Complete": "?0"}
    with HalfRequest(headwater.images_url, "PUT", f"/v2/images/{image_id}/file", length=5, headers=fields) as half:
        told = interim(half)
        half.send(b"hello")
        answer = half.answer().decode().lower()
    assert answer.startswith("http/1.1 201 ")
    assert f"\r\nlocation: {told['location']}\r\n" in answer


def test_nothing_at_once_is_an_upload_too(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    assert http.put(f"/v2/images/{image_id}/file", content=b"", headers=WHOLE).status_code == 204
    require_whole(http, image_id, b"")


@pytest.mark.parametrize("version", [None, "7", "9", '"8"', "8.0", "?1"])
def test_who_does_not_speak_the_version_is_told_of_nothing_and_leaves_nothing(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage, version: str | None
) -> None:
    image_id = new_image()["id"]
    fields = {name: value for name, value in WHOLE.items() if name != "Upload-Draft-Interop-Version"}
    if version is not None:
        fields["Upload-Draft-Interop-Version"] = version
    path = f"/v2/images/{image_id}/file"
    with HalfRequest(headwater.images_url, "PUT", path, length=10, headers=fields) as half:
        half.send(b"hello")
        wait_until(lambda: http.get(f"/v2/images/{image_id}").json()["status"] == "saving", "the data comes")
        half.leave(rudely=False)
    wait_until(lambda: http.get(f"/v2/images/{image_id}").json()["status"] == "queued", "the image waits again")
    with HalfRequest(headwater.images_url, "PUT", path, length=5, headers=fields) as half:
        half.send(b"hello")
        assert half.status() == 204


def test_who_waits_for_100_gets_both(headwater: HeadwaterProcess, new_image: NewImage) -> None:
    fields = {**WHOLE, "Expect": "100-continue"}
    path = f"/v2/images/{new_image()['id']}/file"
    with HalfRequest(headwater.images_url, "PUT", path, length=5, headers=fields) as half:
        received = half.answer()
        while b"100 Continue\r\n\r\n" not in received:
            received += half.answer()
        assert received.index(b" 104 ") < received.index(b" 100 ")
        half.send(b"hello")
        assert half.status() == 204


def test_a_digest_behind_the_data_is_compared_as_ever(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage
) -> None:
    """Such an upload is a plain one."""
    for data, status in ((b"hello", 204), (b"other", 400)):
        image_id = new_image()["id"]
        fields = {**WHOLE, "Trailer": "Repr-Digest"}
        path = f"/v2/images/{image_id}/file"
        with HalfRequest(headwater.images_url, "PUT", path, length=None, headers=fields) as half:
            half.send(data)
            half.end(f"Repr-Digest: {sha256(b'hello')}")
            assert half.status() == status


def test_a_library_that_reads_interim_answers_resumes(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage
) -> None:
    """With h11, as any client that shows its caller what came before the answer."""
    image_id = new_image()["id"]
    place = urlsplit(headwater.images_url)
    client = h11.Connection(h11.CLIENT)
    headers = [("Host", place.netloc), ("Content-Length", str(len(LARGE))), *WHOLE.items()]
    with socket.create_connection((place.hostname or "", place.port or 0), 30) as connected:
        connected.sendall(client.send(h11.Request(method="PUT", target=f"/v2/images/{image_id}/file", headers=headers)))
        event = client.next_event()
        while event is h11.NEED_DATA:
            client.receive_data(connected.recv(65536))
            event = client.next_event()
        assert isinstance(event, h11.InformationalResponse)
        assert event.status_code == 104
        connected.sendall(client.send(h11.Data(data=LARGE[:1_000_000])) or b"")
    path = path_of({name.decode(): value.decode() for name, value in event.headers})
    kept = int(http.head(path).headers["Upload-Offset"])
    assert http.patch(path, content=LARGE[kept:], headers=last(kept)).status_code == 204
    require_whole(http, image_id, LARGE)


def test_curl_shows_where_to_go_on_and_finishes(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage, tmp_path: Path
) -> None:
    image_id = new_image()["id"]
    file = tmp_path / "data"
    file.write_bytes(LARGE)
    words = [word for name, value in WHOLE.items() for word in ("--header", f"{name}: {value}")]
    url = f"{headwater.images_url}/v2/images/{image_id}/file"
    shown = subprocess.run(
        [
            program("curl"),
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--include",
            *words,
            "--upload-file",
            file,
            url,
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert re.search(r"^HTTP/1.1 104 [^\n]+\nlocation: http://[^\n]+/file/uploads/", shown, re.MULTILINE), shown
    assert "HTTP/1.1 204 " in shown
    require_whole(http, image_id, LARGE)


def test_a_second_upload_is_told_where_the_first_goes_on(http: httpx.Client, new_image: NewImage) -> None:
    """For a client to which the answer that told of it was lost."""
    image_id = new_image()["id"]
    url = f"/v2/images/{image_id}/file"
    first = http.put(url, content=b"", headers={**OCTETS, "Upload-Complete": "?0"})
    for fields in ({**OCTETS, "Upload-Complete": "?0"}, WHOLE):
        second = http.put(url, content=b"", headers=fields)
        assert (second.status_code, second.headers["Location"]) == (409, first.headers["Location"])
    plain = http.put(url, content=b"", headers=OCTETS)
    assert (plain.status_code, plain.headers.get("Location")) == (409, None)
    assert http.delete(urlsplit(first.headers["Location"]).path).status_code == 204


def test_an_upload_at_once_survives_kills_of_the_service(fresh_headwater: FreshHeadwater) -> None:
    process = fresh_headwater(workers=1)
    with httpx.Client(base_url=process.images_url, timeout=60) as http:
        image_id = http.post("/v2/images", json=BLANK).json()["id"]
        path = f"/v2/images/{image_id}/file"
        with HalfRequest(process.images_url, "PUT", path, length=len(LARGE), headers=WHOLE) as half:
            upload = path_of(interim(half))
            half.send(LARGE[:2_000_000])
            for worker in process.workers():
                os.kill(worker, signal.SIGKILL)
            process.kill()
    process.start()
    with httpx.Client(base_url=process.images_url, timeout=60) as http:
        assert http.get(f"/v2/images/{image_id}").json()["status"] == "saving"
        kept = int(http.head(upload).headers["Upload-Offset"])
        assert http.patch(upload, content=LARGE[kept:], headers=last(kept)).status_code == 204
        require_whole(http, image_id, LARGE)
