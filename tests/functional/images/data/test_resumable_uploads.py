"""Uploads that go on after lost connections, killed workers and restarts, over HTTP."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import signal
import time
from collections.abc import Iterator

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater, NewImage
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, show
from functional.raw_http import HalfRequest
from headwater.testing.object_store import some_bytes

DATA = some_bytes(5_000_001)
PART = {"Content-Type": "application/partial-upload"}
BLANK = {"disk_format": "raw", "container_format": "bare"}


def begin(http: httpx.Client, image_id: str, data: bytes = b"", **headers: str) -> str:
    """Begin an upload, and return its path."""
    fields = {**OCTETS, "Upload-Complete": "?0", **{name.replace("_", "-"): value for name, value in headers.items()}}
    answer = http.put(f"/v2/images/{image_id}/file", content=data, headers=fields)
    assert (answer.status_code, answer.headers["Upload-Complete"]) == (201, "?0"), answer.text
    assert answer.headers["Upload-Offset"] == str(len(data))
    location: str = answer.headers["Location"]
    return location[location.index("/v2/") :]


def append(http: httpx.Client, path: str, offset: int, data: bytes, *, last: bool, **more: str) -> httpx.Response:
    fields = {**PART, "Upload-Offset": str(offset), "Upload-Complete": f"?{last:d}", **more}
    return http.patch(path, content=data, headers=fields)


def offset_of(http: httpx.Client, path: str) -> int:
    answer = http.head(path)
    assert (answer.status_code, answer.headers["Upload-Complete"]) == (204, "?0")
    return int(answer.headers["Upload-Offset"])


def require_whole(http: httpx.Client, image_id: str, data: bytes = DATA) -> None:
    image = show(http, image_id)
    assert (image["status"], image["size"]) == ("active", len(data))
    assert image["checksum"] == hashlib.md5(data).hexdigest()
    assert image["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert http.get(f"/v2/images/{image_id}/file").content == data


def left_over(process: HeadwaterProcess) -> list[str]:
    return [str(path) for path in (process.data_dir / "stores").rglob("*/*") if path.is_file()]


def test_an_upload_comes_in_parts(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    path = begin(http, image_id, DATA[:10], Upload_Length=str(len(DATA)))
    assert show(http, image_id)["status"] == "saving"
    for start, end in ((10, 3_000_000), (3_000_000, 3_000_000), (3_000_000, 4_096_001)):
        answer = append(http, path, start, DATA[start:end], last=False)
        assert (answer.status_code, answer.headers["Upload-Complete"]) == (204, "?0"), answer.text
        head = http.head(path)
        assert (head.status_code, head.headers["Upload-Offset"]) == (204, str(end))
        assert (head.headers["Upload-Length"], head.headers["Cache-Control"]) == (str(len(DATA)), "no-store")
        assert "max-age=86" in head.headers["Upload-Limit"]
    answer = append(http, path, 4_096_001, DATA[4_096_001:], last=True)
    assert (answer.status_code, answer.headers["Upload-Complete"]) == (204, "?1"), answer.text
    require_whole(http, image_id)
    head = http.head(path)
    assert (head.headers["Upload-Complete"], head.headers["Upload-Offset"]) == ("?1", str(len(DATA)))
    assert append(http, path, len(DATA), b"", last=True).status_code == 409
    assert http.delete(path).status_code == 409
    require_whole(http, image_id)
    http.delete(f"/v2/images/{image_id}")
    assert http.head(path).status_code == 404


@pytest.mark.parametrize("whole", [b"", b"x"])
def test_small_data_comes_in_parts_too(http: httpx.Client, new_image: NewImage, whole: bytes) -> None:
    image_id = new_image()["id"]
    path = begin(http, image_id, whole)
    assert append(http, path, len(whole), b"", last=True).status_code == 204
    require_whole(http, image_id, whole)


@pytest.mark.parametrize("rudely", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_what_came_before_the_connection_was_lost_is_kept(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage, rudely: bool, chunked: bool, last: bool
) -> None:
    image_id = new_image()["id"]
    path = begin(http, image_id)
    sent = 0
    for end in (2_500_000, 4_000_000):
        fields = {**PART, "Upload-Offset": str(sent), "Upload-Complete": f"?{last:d}"}
        length = None if chunked else len(DATA) - sent
        with HalfRequest(headwater.images_url, "PATCH", path, length=length, headers=fields) as half:
            half.send(DATA[sent:end])
            time.sleep(0.3)  # for what was sent to arrive: a reset drops what was not read
            half.leave(rudely=rudely)
        kept = offset_of(http, path)
        assert sent < kept <= end
        assert kept == end or rudely
        sent = kept
    assert append(http, path, sent, DATA[sent:], last=True).status_code == 204
    require_whole(http, image_id)


def test_a_client_that_comes_back_need_not_wait_for_its_old_connection(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage
) -> None:
    image_id = new_image()["id"]
    path = begin(http, image_id)
    fields = {**PART, "Upload-Offset": "0", "Upload-Complete": "?1"}
    with HalfRequest(headwater.images_url, "PATCH", path, length=len(DATA), headers=fields) as old:
        old.send(DATA[:2_100_000])
        time.sleep(0.3)
        kept = offset_of(http, path)  # the old one still stands there, and says nothing
        assert kept <= 2_100_000
        assert old.status() == 409
        assert append(http, path, kept, DATA[kept:], last=True).status_code == 204
    require_whole(http, image_id)


def test_a_part_that_does_not_fit_is_refused_and_changes_nothing(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    path = begin(http, image_id, DATA[:100], Upload_Length="200")
    for offset in (0, 99, 101):
        answer = append(http, path, offset, b"x", last=False)
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, "100")
    for data, more in ((b"x" * 99, {}), (b"x" * 101, {}), (b"x" * 100, {"Upload-Length": "201"})):
        assert append(http, path, 100, data, last=True, **more).status_code == 400
    for missing in ("Upload-Offset", "Upload-Complete"):
        for value in (None, "x", "-1", "?2", '"0"'):
            fields = {**PART, "Upload-Offset": "100", "Upload-Complete": "?1", missing: value}
            given = {name: each for name, each in fields.items() if each is not None}
            assert http.patch(path, content=b"x" * 100, headers=given).status_code == 400
    bad_type = {"Upload-Offset": "100", "Upload-Complete": "?1", **OCTETS}
    answer = http.patch(path, content=b"x" * 100, headers=bad_type)
    assert (answer.status_code, answer.headers["Accept-Patch"]) == (415, "application/partial-upload")
    assert append(http, path, 100, b"x" * 100, last=True, **{"Content-Digest": "md5=:x:"}).status_code == 400
    assert offset_of(http, path) == 100
    assert append(http, path, 100, DATA[100:200], last=True).status_code == 204
    require_whole(http, image_id, DATA[:200])


def sha256(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def test_a_part_is_held_to_its_content_digest_before_or_behind_it(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    path = begin(http, image_id)
    for last in (False, True):
        data = DATA if last else DATA[:5001]
        answer = append(http, path, 0, data, last=last, **{"Content-Digest": sha256(b"other")})
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (400, "0")
        assert offset_of(http, path) == 0
    right = {"Content-Digest": f"unknown=:AA==:, {sha256(DATA[:5001])}"}
    assert append(http, path, 0, DATA[:5001], last=False, **right).status_code == 204
    assert offset_of(http, path) == 5001
    right = {"Content-Digest": sha256(DATA[5001:]), "Repr-Digest": sha256(DATA)}
    assert append(http, path, 5001, DATA[5001:], last=True, **right).status_code == 204
    require_whole(http, image_id)


@pytest.mark.parametrize("is_right", [True, False])
def test_a_part_is_held_to_a_digest_in_its_trailer(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage, is_right: bool
) -> None:
    path = begin(http, new_image()["id"])
    fields = {**PART, "Upload-Offset": "0", "Upload-Complete": "?0", "Trailer": "Content-Digest"}
    with HalfRequest(headwater.images_url, "PATCH", path, length=None, headers=fields) as half:
        half.send(DATA[:5001])
        half.end(f"Content-Digest: {sha256(DATA[:5001] if is_right else DATA)}")
        assert half.status() == (204 if is_right else 400)
    assert offset_of(http, path) == (5001 if is_right else 0)


def test_a_digest_behind_a_part_that_nobody_announced_is_not_taken_for_true(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage
) -> None:
    path = begin(http, new_image()["id"])
    fields = {**PART, "Upload-Offset": "0", "Upload-Complete": "?0"}
    with HalfRequest(headwater.images_url, "PATCH", path, length=None, headers=fields) as half:
        half.send(DATA[:5001])
        half.end(f"Content-Digest: {sha256(DATA[:5001])}")
        assert half.status() == 400
    assert offset_of(http, path) == 5001


def test_all_data_is_held_to_what_any_part_said_of_it(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    path = begin(http, image_id)
    assert append(http, path, 0, DATA[:10], last=False, **{"Repr-Digest": sha256(DATA)}).status_code == 204
    answer = append(http, path, 10, DATA[10:], last=False, **{"Repr-Digest": sha256(b"other")})
    assert (answer.status_code, "was said before" in answer.text) == (400, True)
    assert offset_of(http, path) == 10
    answer = append(http, path, 10, bytes(10), last=True)
    assert (answer.status_code, answer.headers["Upload-Complete"]) == (400, "?1")
    assert http.get(f"/v2/images/{image_id}").json()["status"] == "queued"


def test_more_than_the_length_ends_the_upload(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    path = begin(http, image_id, Upload_Length="10")

    def pieces() -> Iterator[bytes]:
        yield b"x" * 11

    fields = {**PART, "Upload-Offset": "0", "Upload-Complete": "?0"}
    assert http.patch(path, content=pieces(), headers=fields).status_code == 400
    assert http.head(path).status_code == 404
    assert show(http, image_id)["status"] == "queued"


@pytest.mark.parametrize(("declared", "digest"), [("qcow2", DATA), ("raw", b"other")])
def test_data_that_is_not_what_was_said_ends_the_upload_and_leaves_nothing(
    fresh_headwater: FreshHeadwater, declared: str, digest: bytes
) -> None:
    process = fresh_headwater()
    with httpx.Client(base_url=process.images_url, timeout=60) as http:
        image_id = http.post("/v2/images", json={**BLANK, "disk_format": declared}).json()["id"]
        sha256 = base64.b64encode(hashlib.sha256(digest).digest()).decode()
        path = begin(http, image_id, DATA[:1000], Repr_Digest=f"sha-256=:{sha256}:")
        answer = append(http, path, 1000, DATA[1000:], last=True)
        assert answer.status_code == (400 if declared == "raw" else 415)
        assert http.head(path).status_code == 404
        assert show(http, image_id)["status"] == "queued"
        assert [each for each in left_over(process) if image_id in each] == []
        path = begin(http, image_id)
        assert http.delete(path).status_code == 204
        assert show(http, image_id)["status"] == "queued"


def test_an_image_that_is_deleted_takes_its_upload_along(fresh_headwater: FreshHeadwater) -> None:
    process = fresh_headwater()
    with httpx.Client(base_url=process.images_url, timeout=60) as http:
        image_id = http.post("/v2/images", json=BLANK).json()["id"]
        path = begin(http, image_id, DATA)
        assert [each for each in left_over(process) if image_id in each] != []
        assert http.delete(f"/v2/images/{image_id}").status_code == 204
        assert append(http, path, len(DATA), b"", last=True).status_code == 404
        wait_until(lambda: not [each for each in left_over(process) if image_id in each], "the bytes are removed")


def test_an_upload_goes_on_after_kills_at_any_moment(fresh_headwater: FreshHeadwater) -> None:
    """What was told to be kept is there after each, and no kill makes of the data anything else."""
    process = fresh_headwater(workers=2)
    chance = random.Random(1)
    data = some_bytes(24 << 20)
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    with httpx.Client(base_url=process.images_url, timeout=60) as http:
        image_id = http.post("/v2/images", json=BLANK).json()["id"]
        path = begin(http, image_id, Upload_Length=str(len(data)), Repr_Digest=f"sha-512=:{digest}:")
    told = 0
    for turn in range(8):
        fields = {**PART, "Upload-Offset": str(told), "Upload-Complete": f"?{turn % 2}"}
        with HalfRequest(process.images_url, "PATCH", path, length=len(data) - told, headers=fields) as half:
            half.send(data[told : told + chance.randrange(1, 5 << 20)])
            time.sleep(chance.random() * 0.2)
            if turn % 4 == 3:
                process.kill()
                process.start()
            else:
                for worker in process.workers():
                    os.kill(worker, signal.SIGKILL)
        with httpx.Client(base_url=process.images_url, timeout=60, transport=httpx.HTTPTransport(retries=20)) as http:
            wait_until(lambda: is_up(http), "a worker answers")
            assert show(http, image_id)["status"] == "saving"
            now = offset_of(http, path)
        assert told <= now <= len(data)
        told = now
    assert told > 0
    with httpx.Client(base_url=process.images_url, timeout=60) as http:
        answer = append(http, path, told, data[told:], last=True)
        assert answer.status_code == 204, answer.text
        require_whole(http, image_id, data)
    assert len([each for each in left_over(process) if image_id in each]) == 1


def is_up(http: httpx.Client) -> bool:
    try:
        return http.get("/healthcheck/live").status_code == 200
    except httpx.TransportError:
        return False


def test_a_client_is_told_whether_uploads_can_be_resumed(http: httpx.Client, new_image: NewImage) -> None:
    for path in (f"/v2/images/{new_image()['id']}/file", f"/v2/images/{new_image()['id']}/file/uploads/x"):
        answer = http.request("OPTIONS", path)
        assert answer.headers["Accept-Patch"] == "application/partial-upload"
        assert answer.headers["Upload-Limit"].startswith("max-size=")
    assert "Accept-Patch" not in http.request("OPTIONS", "/v2/images").headers


def test_an_upload_that_says_it_is_complete_is_one(http: httpx.Client, new_image: NewImage) -> None:
    for given in ("?1", "x", "?0, ?0"):
        image_id = new_image()["id"]
        answer = http.put(f"/v2/images/{image_id}/file", content=DATA, headers={**OCTETS, "Upload-Complete": given})
        assert answer.status_code == 204
        require_whole(http, image_id)
