"""Uploads by tus 1.0: what its specification asks of a server, and a client that loses its connection."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater, NewImage
from functional.headwater_process import HeadwaterProcess
from functional.raw_http import HalfRequest
from headwater.testing.object_store import some_bytes

DATA = some_bytes(3_000_001)
TUS = {"Tus-Resumable": "1.0.0"}
PART = {**TUS, "Content-Type": "application/offset+octet-stream"}
BLANK = {"disk_format": "raw", "container_format": "bare"}


def create(http: httpx.Client, image_id: str, *pieces: bytes, **fields: str) -> httpx.Response:
    more = {name.replace("_", "-"): value for name, value in fields.items()}
    data = b"".join(pieces)
    kind = PART if data else TUS
    return http.post(f"/v2/images/{image_id}/file/tus", content=data, headers={**kind, **more})


def begun(http: httpx.Client, image_id: str, length: int | None = len(DATA)) -> str:
    """Begin an upload, and return its path."""
    said = {"Upload_Defer_Length": "1"} if length is None else {"Upload_Length": str(length)}
    answer = create(http, image_id, **said)
    assert (answer.status_code, answer.headers["Tus-Resumable"], answer.headers["Upload-Offset"]) == (201, "1.0.0", "0")
    return urlsplit(answer.headers["Location"]).path


def append(http: httpx.Client, path: str, offset: int, data: bytes | Iterator[bytes], **more: str) -> httpx.Response:
    fields = {name.replace("_", "-"): value for name, value in more.items()}
    return http.patch(path, content=data, headers={**PART, "Upload-Offset": str(offset), **fields})


def offset_of(http: httpx.Client, path: str) -> int:
    answer = http.head(path, headers=TUS)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (204, "no-store")
    return int(answer.headers["Upload-Offset"])


def require_whole(http: httpx.Client, image_id: str, data: bytes = DATA) -> None:
    image = http.get(f"/v2/images/{image_id}").json()
    assert (image["status"], image["size"], image["checksum"]) == ("active", len(data), hashlib.md5(data).hexdigest())
    assert http.get(f"/v2/images/{image_id}/file").content == data


def test_options_tells_what_there_is(http: httpx.Client, new_image: NewImage) -> None:
    """Without Tus-Resumable, which OPTIONS does not need."""
    for path in ("tus", "tus/x"):
        told = http.options(f"/v2/images/{new_image()['id']}/file/{path}").headers
        assert (told["Tus-Version"], told["Tus-Resumable"], told["Tus-Max-Size"]) == ("1.0.0", "1.0.0", str(1 << 40))
        extensions = set(told["Tus-Extension"].split(","))
        creation = {"creation", "creation-with-upload", "creation-defer-length"}
        assert {*creation, "expiration", "termination", "checksum"} == extensions
        assert told["Tus-Checksum-Algorithm"] == "sha1,sha256,sha512,md5"


def test_an_upload_comes_in_parts_and_the_one_that_reaches_the_length_is_the_last(
    http: httpx.Client, new_image: NewImage
) -> None:
    image_id = new_image()["id"]
    path = begun(http, image_id)
    for start, end in ((0, 1_000_000), (1_000_000, 1_000_000), (1_000_000, len(DATA))):
        assert http.get(f"/v2/images/{image_id}").json()["status"] == "saving"
        answer = append(http, path, start, DATA[start:end])
        assert (answer.status_code, answer.headers["Upload-Offset"], answer.content) == (204, str(end), b"")
        assert answer.headers["Tus-Resumable"] == "1.0.0"
        assert parsedate_to_datetime(answer.headers["Upload-Expires"]).timestamp() > time.time() + 3600
    require_whole(http, image_id)
    head = http.head(path, headers=TUS)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == (str(len(DATA)), str(len(DATA)))


def test_a_part_of_unknown_length_that_reaches_the_length_is_the_last_too(
    http: httpx.Client, new_image: NewImage
) -> None:
    image_id = new_image()["id"]
    path = begun(http, image_id)
    assert append(http, path, 0, iter([DATA[:5], DATA[5:]])).headers["Upload-Offset"] == str(len(DATA))
    require_whole(http, image_id)


@pytest.mark.parametrize("whole", [b"", b"x", DATA])
def test_an_upload_may_be_all_there_when_it_is_begun(http: httpx.Client, new_image: NewImage, whole: bytes) -> None:
    image_id = new_image()["id"]
    answer = create(http, image_id, whole, Upload_Length=str(len(whole)), Upload_Metadata="filename d29ybGQ=")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, str(len(whole)))
    require_whole(http, image_id, whole)


def test_a_length_may_be_said_later(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    path = begun(http, image_id, None)
    assert http.head(path, headers=TUS).headers["Upload-Defer-Length"] == "1"
    assert append(http, path, 0, DATA[:10]).status_code == 204
    answer = append(http, path, 10, DATA[10:], Upload_Length=str(len(DATA)))
    assert (answer.status_code, answer.headers["Upload-Length"]) == (204, str(len(DATA)))
    require_whole(http, image_id)


@pytest.mark.parametrize("rudely", [True, False])
def test_an_upload_goes_on_after_its_connection_and_its_service_are_lost(
    fresh_headwater: FreshHeadwater, rudely: bool
) -> None:
    process = fresh_headwater()
    with httpx.Client(base_url=process.images_url, timeout=60) as http:
        image_id = http.post("/v2/images", json=BLANK).json()["id"]
        path = begun(http, image_id)
        fields = {**PART, "Upload-Offset": "0"}
        with HalfRequest(process.images_url, "PATCH", path, length=len(DATA), headers=fields) as half:
            half.send(DATA[:2_000_000])
            time.sleep(0.3)  # for what was sent to arrive: a reset drops what was not read
            half.leave(rudely=rudely)
        kept = offset_of(http, path)
        assert 0 < kept <= 2_000_000
    process.kill()
    process.start()
    with httpx.Client(base_url=process.images_url, timeout=60) as http:
        assert offset_of(http, path) == kept
        assert append(http, path, kept, DATA[kept:]).status_code == 204
        require_whole(http, image_id)


def test_all_bytes_that_came_without_an_answer_are_the_image_s_when_their_client_asks(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage
) -> None:
    """A client that finds all of its bytes there is content, and sends nothing more."""
    image_id = new_image()["id"]
    path = begun(http, image_id)
    draft = path.replace("/tus/", "/uploads/")  # where such a part is not the last
    fields = {"Content-Type": "application/partial-upload", "Upload-Offset": "0", "Upload-Complete": "?0"}
    assert http.patch(draft, content=DATA, headers=fields).status_code == 204
    assert http.get(f"/v2/images/{image_id}").json()["status"] == "saving"
    assert offset_of(http, path) == len(DATA)
    require_whole(http, image_id)


def test_another_offset_is_refused_and_changes_nothing(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    path = begun(http, image_id)
    assert append(http, path, 0, DATA[:10]).status_code == 204
    for offset in (0, 9, 11):
        answer = append(http, path, offset, b"x")
        assert (answer.status_code, answer.headers["Upload-Offset"], answer.headers["Tus-Resumable"]) == (
            409,
            "10",
            "1.0.0",
        )
    assert http.patch(path, content=b"x", headers=PART).status_code == 400
    assert http.patch(path, content=b"x", headers={**TUS, "Upload-Offset": "10"}).status_code == 415
    assert offset_of(http, path) == 10


def checksum(data: bytes, algorithm: str = "sha1") -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "md5"])
def test_a_part_that_is_not_what_its_checksum_says_is_not_kept(
    http: httpx.Client, new_image: NewImage, algorithm: str
) -> None:
    image_id = new_image()["id"]
    path = begun(http, image_id)
    middle = 1_000_003  # no disk has blocks of that
    assert append(http, path, 0, DATA[:middle], Upload_Checksum=checksum(DATA[:middle], algorithm)).status_code == 204
    for end in (2_000_000, len(DATA)):  # one that is not the last, and one that is
        answer = append(http, path, middle, bytes(end - middle), Upload_Checksum=checksum(DATA[middle:end], algorithm))
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (460, str(middle))
        assert answer.headers["Tus-Resumable"] == "1.0.0"
        assert offset_of(http, path) == middle
    rest = DATA[middle:]
    assert append(http, path, middle, iter([rest]), Upload_Checksum=checksum(rest, algorithm)).status_code == 204
    require_whole(http, image_id)


@pytest.mark.parametrize("given", ["", "sha1", "crc32 AAAAAA==", "sha1 AAAA", "sha1 -", "sha1 " + "A" * 40, "SHA1 x"])
def test_a_checksum_that_no_part_could_have_is_refused(http: httpx.Client, new_image: NewImage, given: str) -> None:
    path = begun(http, new_image()["id"])
    answer = append(http, path, 0, b"x", Upload_Checksum=given)
    assert (answer.status_code, "sha1, sha256" in answer.text) == (400, True)
    assert offset_of(http, path) == 0


def test_of_a_part_with_a_checksum_that_breaks_off_nothing_is_kept(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage
) -> None:
    path = begun(http, new_image()["id"])
    assert append(http, path, 0, DATA[:10]).status_code == 204
    fields = {**PART, "Upload-Offset": "10", "Upload-Checksum": checksum(DATA[10:])}
    with HalfRequest(headwater.images_url, "PATCH", path, length=len(DATA) - 10, headers=fields) as half:
        half.send(DATA[10:2_000_000])
        time.sleep(0.3)
        half.leave(rudely=False)
    assert offset_of(http, path) == 10


def test_a_first_part_that_is_wrong_leaves_the_image_as_it_was(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    answer = create(http, image_id, DATA, Upload_Length=str(len(DATA)), Upload_Checksum=checksum(b"other"))
    assert (answer.status_code, "Location" in answer.headers) == (460, False)
    assert http.get(f"/v2/images/{image_id}").json()["status"] == "queued"
    right = checksum(DATA)
    assert create(http, image_id, DATA, Upload_Length=str(len(DATA)), Upload_Checksum=right).status_code == 201
    require_whole(http, image_id)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("said", "named", "name"),
    [
        (f"filename {encoded('Büro.qcow2')},filetype {encoded('x/y')}", None, "Büro.qcow2"),
        (f"relativePath, name {encoded('Disk 9.41 AM.img')}", None, "Disk 9.41 AM.img"),
        (f"filename {encoded('disk.img')}", "mine", "mine"),
        ("is_secret", None, None),
        ("filename", None, None),
    ],
)
def test_the_name_of_the_file_is_that_of_an_image_which_has_none(
    http: httpx.Client, new_image: NewImage, said: str, named: str | None, name: str | None
) -> None:
    image_id = new_image(name=named)["id"]
    assert create(http, image_id, DATA, Upload_Length=str(len(DATA)), Upload_Metadata=said).status_code == 201
    assert http.get(f"/v2/images/{image_id}").json()["name"] == name
    require_whole(http, image_id)


@pytest.mark.parametrize("said", ["filename !", "filename /w==", "a,a", f"filename {'YWFh' * 86}", "filename Cg=="])
def test_metadata_that_says_nothing_is_refused(http: httpx.Client, new_image: NewImage, said: str) -> None:
    answer = create(http, new_image()["id"], Upload_Length="1", Upload_Metadata=said)
    assert (answer.status_code, "Upload-Metadata" in answer.text) == (400, True)


@pytest.mark.parametrize("version", [None, "0.2.2", "2.0.0"])
def test_another_version_is_refused_and_told_which_one_is_spoken(
    http: httpx.Client, new_image: NewImage, version: str | None
) -> None:
    image_id = new_image()["id"]
    path = begun(http, image_id)
    spoken = {} if version is None else {"Tus-Resumable": version}
    other = new_image()["id"]
    for method, target in (("POST", f"/v2/images/{other}/file/tus"), ("PATCH", path), ("HEAD", path), ("DELETE", path)):
        fields = {"Upload-Length": "1", "Upload-Offset": "0", **spoken}
        answer = http.request(method, target, headers=fields)
        assert (answer.status_code, answer.headers["Tus-Version"]) == (412, "1.0.0"), method
    assert http.get(f"/v2/images/{other}").json()["status"] == "queued"
    assert offset_of(http, path) == 0


@pytest.mark.parametrize(
    "fields",
    [{}, {"Upload_Length": "-1"}, {"Upload_Length": "1", "Upload_Defer_Length": "1"}, {"Upload_Defer_Length": "2"}],
)
def test_a_beginning_without_a_length_is_refused(
    http: httpx.Client, new_image: NewImage, fields: dict[str, str]
) -> None:
    image_id = new_image()["id"]
    assert create(http, image_id, **fields).status_code == 400
    assert http.get(f"/v2/images/{image_id}").json()["status"] == "queued"


def test_more_than_may_be_is_413_and_more_than_was_said_400(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    assert create(http, image_id, Upload_Length=str((1 << 40) + 1)).status_code == 413
    path = begun(http, image_id, 5)
    assert append(http, path, 0, b"sixsix").status_code == 400


def test_numbers_count_by_their_value_however_many_digits_they_have(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    assert create(http, image_id, Upload_Length="9" * 40).status_code == 413
    path = urlsplit(create(http, image_id, Upload_Length=f"{len(DATA):032}").headers["Location"]).path
    answer = http.patch(path, content=DATA, headers={**PART, "Upload-Offset": "0" * 32})
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(len(DATA)))
    require_whole(http, image_id)


def test_an_upload_is_given_up_and_is_gone(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    path = begun(http, image_id)
    assert append(http, path, 0, DATA[:10]).status_code == 204
    answer = http.delete(path, headers=TUS)
    assert (answer.status_code, answer.headers["Tus-Resumable"]) == (204, "1.0.0")
    assert http.head(path, headers=TUS).status_code == 404
    assert http.get(f"/v2/images/{image_id}").json()["status"] == "queued"


def test_the_method_may_stand_in_a_header(http: httpx.Client, new_image: NewImage) -> None:
    image_id = new_image()["id"]
    path = begun(http, image_id, 5)
    fields = {**PART, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert http.post(path, content=b"hello", headers=fields).status_code == 204
    require_whole(http, image_id, b"hello")
    other = begun(http, new_image()["id"], 5)
    assert http.post(other, headers={**TUS, "X-HTTP-Method-Override": "PUT"}).status_code == 405
    assert http.post(other, headers=TUS).status_code == 405
    assert http.post(other, headers={**TUS, "X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert http.head(other, headers=TUS).status_code == 404


@pytest.mark.parametrize(("digest", "status"), [(DATA, 204), (b"other", 400)])
def test_the_data_is_held_to_what_was_said_of_it(
    http: httpx.Client, new_image: NewImage, digest: bytes, status: int
) -> None:
    image_id = new_image()["id"]
    said = base64.b64encode(hashlib.sha256(digest).digest()).decode()
    answer = create(http, image_id, Upload_Length=str(len(DATA)), Repr_Digest=f"sha-256=:{said}:")
    path = urlsplit(answer.headers["Location"]).path
    assert append(http, path, 0, DATA).status_code == status
    assert http.get(f"/v2/images/{image_id}").json()["status"] == ("active" if status == 204 else "queued")
