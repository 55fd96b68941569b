"""Bad input to the image service: a clear error that names the thing and what would do, and nothing changes."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, an_image, client
from functional.raw_http import HalfRequest

V21 = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
V20 = {"Content-Type": "application/openstack-images-v2.0-json-patch"}
JSON = {"Content-Type": "application/json"}
DATA = bytes(range(256)) * 40
NOT_WAITING = "Image status transition from active to saving is not allowed"


@dataclass(frozen=True)
class Bad:
    """One request that must be refused."""

    what: str  # the line of the requirement, and which case of it
    method: str
    path: str  # after /v2/images; {queued} and {active} stand for the ids of two images
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 400
    names: tuple[str, ...] = ()  # words that the message must have: the thing, and what would do


def _create(what: str, body: bytes | dict[str, Any] | list[Any], *names: str, status: int = 400) -> Bad:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Bad(what, "POST", "", JSON, raw, status, names)


def _patch(what: str, body: Any, *names: str, status: int = 400, image: str = "queued") -> Bad:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Bad(what, "PATCH", f"/{{{image}}}", V21, raw, status, names)


def _replace(name: str, value: Any) -> list[dict[str, Any]]:
    # What comes first is fine: it must not be done either.
    return [
        {"op": "replace", "path": "/name", "value": "changed"},
        {"op": "replace", "path": f"/{name}", "value": value},
    ]


BAD = [
    _create("wrong JSON: nothing", b"", "Body expected"),
    _create("wrong JSON: broken off", b'{"name": "x"', "Malformed JSON"),
    _create("wrong JSON: two values", b"{} {}", "Malformed JSON"),
    _create("wrong JSON: not UTF-8", b'{"name": "\xff\xfe"}', "Malformed JSON"),
    _create("wrong JSON: half a character", b'{"name": "\\ud83d"}', "Malformed JSON"),
    _create("wrong JSON: a number that is none", b'{"min_ram": NaN}', "Malformed JSON"),
    _create("wrong JSON: very deep", b'{"a":' * 50_000, "Malformed JSON"),
    _create("wrong JSON: a list", [], "Expected a JSON object"),
    _create("wrong JSON: a text", b'"text"', "Expected a JSON object"),
    _create("wrong JSON: too much", b'{"p": "' + b"x" * (5 << 20) + b'"}', "bytes at most", status=413),
    _patch("wrong JSON: broken off", b"[", "Malformed JSON"),
    _patch("wrong JSON: an object", {"op": "add"}, "JSON array of operation objects"),
    _create("wrong types: a name", {"name": 5}, "'name'", "is not of type", "'string'"),
    _create("wrong types: a flag", {"protected": "yes"}, "'protected'", "'boolean'"),
    _create("wrong types: a number", {"min_disk": "5"}, "'min_disk'", "'integer'"),
    _create("wrong types: a fraction", {"min_ram": 0.5}, "'min_ram'", "'integer'"),
    _create("wrong types: a property", {"os_distro": ["ubuntu"]}, "'os_distro'", "'string'"),
    _create("wrong types: tags", {"tags": "one"}, "'tags'", "'array'"),
    _create("wrong values: a format", {"disk_format": "floppy"}, "'disk_format'", "'floppy'", "'qcow2'"),
    _create("wrong values: a visibility", {"visibility": "all"}, "'visibility'", "'public'"),
    _create("wrong values: an id", {"id": "../../etc/passwd"}, "'id'"),
    _create("wrong values: a number", {"min_ram": -1}, "'min_ram'", "minimum of 0"),
    _patch("wrong types", _replace("name", 5), "'name'", "'string'"),
    _patch("wrong types: a property", _replace("os_distro", 5), "'os_distro'", "'string'"),
    _patch("unknown attribute: replaced", _replace("nothing", "x"), "Property nothing does not exist", status=409),
    _patch(
        "unknown attribute: removed",
        [{"op": "replace", "path": "/name", "value": "changed"}, {"op": "remove", "path": "/nothing"}],
        "Property nothing does not exist",
        status=409,
    ),
    _patch("unknown path", [{"op": "add", "path": "/a/b", "value": "x"}], "/a/b", "name one attribute, as in /name"),
    _patch("unknown operation", [{"op": "move", "path": "/a"}], "`move`", "add, remove, replace"),
    *[
        _create(f"read-only attribute: {name}", {name: value}, f"'{name}' is read-only", status=403)
        for name, value in (("status", "active"), ("size", 5), ("checksum", "0" * 32), ("file", "/etc/passwd"))
    ],
    *[
        _patch(f"read-only attribute: {name}", _replace(name, "x"), f"'{name}' is read-only", status=403)
        for name in ("status", "id", "size", "checksum", "self", "os_hash_value", "created_at")
    ],
    _patch("format of data that is there", _replace("disk_format", "iso"), "disk_format", status=403, image="active"),
    *[
        _create(f"reserved attribute: {name}", {name: "x"}, f"'{name}' is reserved", status=403)
        for name in ("location", "deleted_at", "os_glance_x")
    ],
    *[
        _patch(f"reserved attribute: {name}", _replace(name, "x"), f"'{name}' is reserved", status=403)
        for name in ("location", "deleted", "os_glance_x")
    ],
    _patch(
        "locations", _replace("locations", [{"url": "file:///etc/passwd", "metadata": {}}]), "locations", status=403
    ),
    Bad("unknown media type: a patch", "PATCH", "/{queued}", JSON, b"[]", 415, ("application/json", "v2.1-json-patch")),
    Bad("unknown media type: none on a patch", "PATCH", "/{queued}", {}, b"[]", 415, ("v2.1-json-patch",)),
    Bad("unknown media type: data", "PUT", "/{queued}/file", JSON, DATA, 415, ("json", "application/octet-stream")),
    Bad("unknown media type: none on data", "PUT", "/{queued}/file", {}, DATA, 415, ("application/octet-stream",)),
    *[
        Bad(f"broken range: {value}", "GET", "/{active}/file", {"Range": value}, b"", 416, (value, "bytes=FIRST-LAST"))
        for value in ("bytes=x-y", "bytes=-", "bytes=1:2", "bytes=0x1-2")  # another unit is ignored
    ],
    *[
        Bad(
            f"range outside: {value}",
            "GET",
            "/{active}/file",
            {"Range": value},
            b"",
            416,
            (value, f"{len(DATA)} bytes"),
        )
        for value in ("bytes=99999-", "bytes=9-5", "bytes=-0")
    ],
    Bad(
        "several ranges", "GET", "/{active}/file", {"Range": "bytes=0-1,5-6"}, b"", 400, ("one range in each request",)
    ),
    *[
        Bad(
            f"a size header that is none: {value}",
            "PUT",
            "/{queued}/file",
            {**OCTETS, "X-OpenStack-Image-Size": value},
            DATA,
            400,
            ("X-OpenStack-Image-Size", "whole number of bytes", value),
        )
        for value in ("huge", "-5", "1e3")
    ],
    *[
        Bad(
            f"a size header that lies: {size} {framing}",
            "PUT",
            "/{queued}/file",
            {**OCTETS, "X-OpenStack-Image-Size": str(size), **more},
            DATA,
            400,
            (f"expected {size} bytes, got",),
        )
        for size in (0, len(DATA) - 1, len(DATA) + 1)
        for framing, more in (("with length", {}), ("chunked", {"Transfer-Encoding": "chunked"}))
    ],
    Bad(
        "more than fits", "PUT", "/{queued}/file", {**OCTETS, "X-OpenStack-Image-Size": "9" * 18}, b"", 400, ("9" * 18,)
    ),
    Bad("an upload to an active image", "PUT", "/{active}/file", OCTETS, DATA, 409, (NOT_WAITING, "{active}")),
    Bad("an empty upload to an active image", "PUT", "/{active}/file", OCTETS, b"", 409, (NOT_WAITING,)),
    Bad("a tag without an end", "PUT", "/{queued}/tags/" + "x" * 256, {}, b"", 400, ("255 characters",)),
    Bad("a tag that is not there", "DELETE", "/{queued}/tags/nothing", {}, b"", 404, ("'nothing'", "{queued}")),
    Bad("an action on a queued image", "POST", "/{queued}/actions/deactivate", {}, b"", 403, ("queued", "deactivate")),
    Bad("an image that is not there", "GET", "/nothing", {}, b"", 404, ("No image found with ID nothing",)),
    Bad("a filter that is none", "GET", "?created_at=today", {}, b"", 400, ("created_at", "2026-11-20T09:53:25Z")),
    Bad("a sort key that is none", "GET", "?sort_key=colour", {}, b"", 400, ("colour", "updated_at")),
]


@pytest.fixture(scope="module")
def service(headwater: HeadwaterProcess) -> HeadwaterProcess:
    return headwater


@dataclass(frozen=True)
class Two:
    """Two images, one that waits for its data and one that has it."""

    url: str
    queued: str
    active: str


@pytest.fixture
def two(service: HeadwaterProcess) -> Iterator[Two]:
    ids = []
    for name in ("queued", "active"):
        ids.append(an_image(service, name=name, tags=["t"], os_distro="x"))
    _upload(service, ids[1], DATA)
    yield Two(service.images_url, *ids)
    for image_id in ids:
        assert client().delete(f"{service.images_url}/v2/images/{image_id}").status_code == 204


def _upload(service: HeadwaterProcess, image_id: str, data: bytes) -> None:
    answer = client().put(f"{service.images_url}/v2/images/{image_id}/file", content=data, headers=OCTETS)
    assert answer.status_code == 204, answer.text


def everything(service: HeadwaterProcess) -> tuple[Any, Any]:
    """Return all that bad input could change: every image with its data, and what lies in the store."""
    # A refused upload passes through "saving": the time of that is all that it leaves.
    images = [
        {name: value for name, value in image.items() if name != "updated_at"}
        for hidden in ("false", "true")
        for image in client().get(f"{service.images_url}/v2/images?limit=1000&os_hidden={hidden}").json()["images"]
    ]
    files = {
        str(file.relative_to(service.data_dir)): file.read_bytes()
        for file in service.data_dir.glob("stores/**/*")
        if file.is_file() and not file.name.startswith(".probe")
    }
    return images, files


@pytest.mark.parametrize("bad", [pytest.param(each, id=each.what) for each in BAD])
def test_bad_input_is_refused_by_name_and_changes_nothing(service: HeadwaterProcess, two: Two, bad: Bad) -> None:
    ids = {"{queued}": two.queued, "{active}": two.active}

    def filled(text: str) -> str:
        for name, image_id in ids.items():
            text = text.replace(name, image_id)
        return text

    before = everything(service)
    chunked = "Transfer-Encoding" in bad.headers
    answer = client().request(
        bad.method,
        f"{two.url}/v2/images{filled(bad.path)}",
        headers={"Accept": "application/json", **bad.headers},
        content=iter([bad.body[:100], bad.body[100:]]) if chunked else bad.body,
    )
    assert answer.status_code == bad.status, answer.text
    said = answer.json()
    assert said["code"].startswith(f"{bad.status} ")
    for word in bad.names:
        assert filled(word) in said["message"]
    assert everything(service) == before


# --- Contents that are not what the image says --------------------------------------------------------

QCOW2 = struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 0, 0, 16, 1 << 30) + bytes(480)
BACKED = struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 512, 11, 16, 1 << 30) + bytes(480) + b"/etc/passwd"
OUTSIDE = struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 0, 0, 16, 1 << 30) + bytes(40) + struct.pack(">Q", 4) + bytes(440)
VMDK = b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 1 FLAT "/etc/passwd" 0\n' + b"\n" * 500


@pytest.mark.parametrize(
    ("declared", "data", "says"),
    [
        pytest.param("qcow2", bytes(100_000), "disk_format qcow2 does not match stream data", id="raw as qcow2"),
        pytest.param("qcow2", b"short", "disk_format qcow2 does not match stream data", id="a few bytes as qcow2"),
        pytest.param("iso", QCOW2, "disk_format iso does not match stream data", id="qcow2 as iso"),
        pytest.param("vmdk", QCOW2, "disk_format vmdk does not match stream data", id="qcow2 as vmdk"),
        pytest.param("qcow2", BACKED, "backing file", id="qcow2 with a backing file"),
        pytest.param("qcow2", OUTSIDE, "data_file", id="qcow2 with its data elsewhere"),
        pytest.param("raw", BACKED, "backing file", id="the same, declared raw"),
        pytest.param("raw", OUTSIDE, "data_file", id="data elsewhere, declared raw"),
        pytest.param("vmdk", VMDK, "Unsupported subformat", id="vmdk that names a file of the host"),
        pytest.param("raw", VMDK, "Unsupported subformat", id="the same vmdk, declared raw"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["with length", "chunked"])
def test_contents_that_are_not_what_the_image_says_are_refused(
    service: HeadwaterProcess, declared: str, data: bytes, says: str, chunked: bool
) -> None:
    image_id = an_image(service, disk_format=declared)
    before_image = client().get(f"{service.images_url}/v2/images/{image_id}").json()
    before = everything(service)[1]
    answer = client().put(
        f"{service.images_url}/v2/images/{image_id}/file",
        content=iter([data[:700], data[700:]]) if chunked else data,
        headers={**OCTETS, "Accept": "application/json"},
    )
    assert answer.status_code == 415, answer.text
    assert says in answer.json()["message"]
    after = client().get(f"{service.images_url}/v2/images/{image_id}").json()
    assert {**after, "updated_at": ""} == {**before_image, "updated_at": ""}
    assert everything(service)[1] == before
    assert client().get(f"{service.images_url}/v2/images/{image_id}/file").status_code == 204
    assert client().delete(f"{service.images_url}/v2/images/{image_id}").status_code == 204


def test_a_large_upload_that_is_refused_early_still_gets_its_answer(service: HeadwaterProcess) -> None:
    """A client that looks for an answer only when it has sent everything is not left with a broken connection."""
    image_id = an_image(service, disk_format="qcow2")
    data = bytes(64 << 20)
    for content in (data, iter([data[at : at + (1 << 20)] for at in range(0, len(data), 1 << 20)])):
        answer = client().put(
            f"{service.images_url}/v2/images/{image_id}/file", content=content, headers=OCTETS, timeout=60
        )
        assert answer.status_code == 415
        assert client().get(f"{service.images_url}/v2/images/{image_id}").json()["status"] == "queued"
    assert client().delete(f"{service.images_url}/v2/images/{image_id}").status_code == 204


def test_of_two_uploads_at_once_one_is_refused_and_changes_nothing(service: HeadwaterProcess, two: Two) -> None:
    answers: list[httpx.Response] = []

    def send() -> None:
        answers.append(client().put(f"{two.url}/v2/images/{two.queued}/file", content=DATA, headers=OCTETS))

    path = f"/v2/images/{two.queued}/file"
    with HalfRequest(two.url, "PUT", path, length=len(DATA)) as first:
        first.send(DATA[:100])
        wait_until(
            lambda: client().get(f"{two.url}/v2/images/{two.queued}").json()["status"] == "saving",
            "the upload has begun",
        )
        before = everything(service)
        second = threading.Thread(target=send)
        second.start()
        second.join()
        assert [answer.status_code for answer in answers] == [409]
        assert "from saving to saving is not allowed" in answers[0].text
        assert two.queued in answers[0].text
        assert everything(service) == before
        first.send(DATA[100:])
        assert first.status() == 204
    assert client().get(f"{two.url}/v2/images/{two.queued}/file").content == DATA


def test_requests_that_are_not_http_leave_the_service_as_it_was(service: HeadwaterProcess, two: Two) -> None:
    before = everything(service)
    for length, body in ((None, b"\x00\xff" * 100), (10, b"")):
        with HalfRequest(two.url, "POST", "/v2/images", length=length, headers=JSON) as half:
            half._socket.sendall(b"zz\r\n" + body)
            half.leave(rudely=True)
    assert everything(service) == before


def test_a_list_of_very_large_images_goes_on_page_by_page(service: HeadwaterProcess) -> None:
    large = {"name": "large"} | {f"p{number}": "x" * 65_000 for number in range(16)}
    sizes, found, link = [], [], "/v2/images?name=large&limit=1000&sort=created_at:asc"
    http = client()
    made = [http.post(f"{service.images_url}/v2/images", json=large).json()["id"] for _ in range(20)]
    while link:
        page = http.get(f"{service.images_url}{link}").json()
        sizes.append(len(page["images"]))
        found += [image["id"] for image in page["images"]]
        link = page.get("next", "")
    for image_id in made:
        http.delete(f"{service.images_url}/v2/images/{image_id}")
    assert (found, len(sizes), max(sizes) < 20) == (made, 2, True)
