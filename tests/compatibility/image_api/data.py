"""Data up and down, and locations."""

from __future__ import annotations

from typing import Any

from compatibility.image_api.requests import (
    ABSENT,
    BEYOND,
    DATA,
    EMPTY_MD5,
    MD5,
    OCTETS,
    add,
    download,
    head_of_data,
    part,
    patch,
    remove,
    replace,
    upload,
)
from compatibility.rows import Row

UPLOAD = [
    upload(DATA, 204, data=b"", then={"status": "active", "size": 100, "virtual_size": 100, "checksum": MD5}),
    upload(DATA, 204, headers={"Content-Type": "application/octet-stream; charset=utf-8"}, then={"size": 100}),
    upload(DATA, 204, headers={**OCTETS, "X-OpenStack-Image-Size": "100"}, then={"size": 100}),
    upload(DATA, 204, headers={**OCTETS, "x-openstack-base-image-ref": "anything"}, then={"size": 100}),
    upload(b"", 204, then={"status": "active", "size": 0, "checksum": EMPTY_MD5}),
    upload(DATA, 204, source="14.1", given="half signed", then={"status": "active"}),
    upload(
        DATA,
        400,
        source="14.1",
        given="signed",
        says="Signature verification failed",
        then={"status": "queued", "size": None, "checksum": None},
    ),
    *[
        upload(DATA, 415, headers={"Content-Type": bad}, says="Content-Type", then={"status": "queued", **ABSENT})
        for bad in ("application/json", "application/x-octet-stream", "")
    ],
    *[
        upload(
            DATA,
            400,
            headers={**OCTETS, "X-OpenStack-Image-Size": bad},
            says="X-OpenStack-Image-Size must be a whole number",
            then={"status": "queued"},
        )
        for bad in ("many", "-1", "1.5", "", "0x64")
    ],
    *[
        upload(
            DATA,
            400,
            headers={**OCTETS, "X-OpenStack-Image-Size": size},
            says=f"Size mismatch: expected {size} bytes, got 100 bytes",
            then={"status": "queued", **ABSENT},
        )
        for size in ("99", "101", "0")
    ],
    *[
        upload(
            DATA,
            400,
            headers={**OCTETS, "X-OpenStack-Image-Size": size},
            says="Size mismatch: expected 9223372036854775807 bytes, got 100 bytes",
            then={"status": "queued", **ABSENT},
        )
        for size in (BEYOND, "9" * 5000)
    ],
    upload(DATA, 204, headers={**OCTETS, "X-OpenStack-Image-Size": "0" * 40 + "100"}, then={"size": 100}),
    *[
        upload(
            DATA,
            400,
            headers={**OCTETS, "X-OpenStack-Image-Size": size, "Transfer-Encoding": "chunked"},
            says=f"Size mismatch: expected {size} bytes, got",
            then={"status": "queued", **ABSENT},
        )
        for size in ("99", "101")
    ],
    upload(DATA, 204, headers={**OCTETS, "Transfer-Encoding": "chunked"}, then={"size": 100, "checksum": MD5}),
    upload(b"", 204, headers={**OCTETS, "Transfer-Encoding": "chunked"}, then={"size": 0, "checksum": EMPTY_MD5}),
    *[
        upload(
            DATA,
            409,
            given=state,
            says=f"Image status transition from {state} to saving is not allowed",
            then={"status": state, "checksum": MD5},
        )
        for state in ("active", "deactivated")
    ],
    upload(DATA, 400, given="formless", says="disk_format and container_format must be set", then={"status": "queued"}),
    upload(
        DATA,
        415,
        given="queued qcow2",
        says="Image disk_format qcow2 does not match stream data",
        source="25 (1)",
        then={"status": "queued", **ABSENT},
        differs="Glance keeps the refused bytes, and gives them out",
    ),
    upload(DATA, 204, given="queued ovf", then={"status": "active", "virtual_size": None}, source="5.1, 20.1"),
    upload(DATA, 404, given="deleted"),
]

DOWNLOAD = [
    download(
        200,
        data=DATA,
        sends={
            "content-type": "application/octet-stream",
            "content-length": "100",
            "content-md5": MD5,
            "accept-ranges": "bytes",
        },
    ),
    download(204, given="queued", data=b""),
    download(200, given="deactivated", data=DATA),
    download(404, given="deleted"),
    download(200, given="active empty", data=b"", sends={"content-length": "0", "content-md5": EMPTY_MD5}),
    part("bytes=0-9", DATA[:10], "bytes 0-9/100"),
    part("bytes=5-5", DATA[5:6], "bytes 5-5/100"),
    part("bytes=95-", DATA[95:], "bytes 95-99/100"),
    part("bytes=-7", DATA[-7:], "bytes 93-99/100"),
    part("bytes=-1000", DATA, "bytes 0-99/100"),
    part("bytes=0-", DATA, "bytes 0-99/100"),
    part("bytes=90-1000", DATA[90:], "bytes 90-99/100"),
    *[
        download(416, headers={"Range": bad}, sends={"content-range": "bytes */100"})
        for bad in (
            "bytes=100-",
            "bytes=100-200",
            "bytes=9-5",
            "bytes=-0",
            "bytes=-",
            "bytes=a-b",
            "bytes",
            "bytes=1",
            "bytes=--5",
            f"bytes={BEYOND}-",
            f"Bytes={BEYOND}-{BEYOND}",
            "bytes=-" + "0" * 40,
            "bytes=,",
            "bytes=0x1-5",
        )
    ],
    part(f"bytes=90-{BEYOND}", DATA[90:], "bytes 90-99/100"),
    part("bytes=90-" + "9" * 5000, DATA[90:], "bytes 90-99/100"),
    part(f"bytes=-{BEYOND}", DATA, "bytes 0-99/100"),
    part("bytes=" + "0" * 30 + "5-6", DATA[5:7], "bytes 5-6/100"),
    part("Bytes=0-3", DATA[:4], "bytes 0-3/100"),
    part("BYTES = 0-3, ,", DATA[:4], "bytes 0-3/100"),
    *[
        download(200, headers={"Range": other}, data=DATA, differs="Glance answers 416")
        for other in ("items=0-3", "lines=0-5,7-9", "seconds=1-", "nonsense")
    ],
    download(416, given="active empty", headers={"Range": "bytes=0-"}),
    *[
        download(400, headers={"Range": several}, says="one range in each request")
        for several in ("bytes=0-1,5-6", "bytes=0-1, 5-6", "bytes=-1,0-")
    ],
    download(206, headers={"Content-Range": "bytes 0-9/*"}, data=DATA[:10], sends={"content-range": "bytes 0-9/100"}),
    download(206, headers={"Content-Range": "bytes 0-9/100"}, data=DATA[:10]),
    download(416, headers={"Content-Range": "bytes 200-300/*"}),
    download(416, headers={"Content-Range": "bytes */100"}, source="25 (7)", differs="Glance answers 500"),
    download(416, headers={"Content-Range": "nonsense"}),
    download(416, headers={"Content-Range": "bytes 3-100/100"}, sends={"content-range": "bytes */100"}),
    download(416, headers={"Content-Range": f"bytes 3-{BEYOND}/{BEYOND}"}),
    download(206, headers={"Content-Range": f"bytes 90-{BEYOND}/*"}, data=DATA[90:]),
    download(
        304,
        headers={"If-None-Match": "*"},
        data=b"",
        differs="Glance sends no ETag, and always all of the data",
    ),
    download(200, headers={"If-None-Match": '"other"'}, data=DATA),
    download(200, headers={"Range": "bytes=0-9", "If-Range": '"other"'}, data=DATA),
    *[
        download(200, headers={"Range": "bytes=0-9", "If-Range": condition}, data=DATA)
        for condition in ("Thu, 26 Nov 2026 01:42:22 GMT", "yesterday", 'W/"other"')
    ],
    *[
        download(200, headers={header: date}, data=DATA)
        for header in ("If-Modified-Since", "If-Unmodified-Since")
        for date in ("Thu, 26 Nov 2026 01:42:22 GMT", "yesterday", "Thu, 26 Nov 99999 01:42:22 GMT")
    ],
    download(412, headers={"If-Match": '"other"'}, says="If-Match", differs="Glance sends no ETag"),
    download(200, headers={"If-Match": "*"}, data=DATA),
    head_of_data(
        200,
        data=b"",
        sends={
            "content-length": "100",
            "content-type": "application/octet-stream",
            "accept-ranges": "bytes",
            "etag": '"*"',
            "content-md5": MD5,
        },
    ),
    head_of_data(200, headers={"Range": "bytes=0-9"}, sends={"content-length": "100", "content-range": None}),
    head_of_data(304, headers={"If-None-Match": "*"}),
    head_of_data(412, headers={"If-Match": '"other"'}),
    head_of_data(200, given="deactivated", sends={"content-length": "100"}),
    head_of_data(200, given="active empty", sends={"content-length": "0"}),
    head_of_data(204, given="queued"),
    head_of_data(404, given="deleted"),
]


_NO_WEB = "http store must be enabled to use location API by normal user."


def location(body: Any, status: int, **more: Any) -> Row:
    request = "POST /v2/images/{id}/locations"
    return Row(**{"source": "10", "given": "queued", "request": request, "json": body, "status": status, **more})


# The service of these rows shows no locations and has no store that reads the web; test_locations.py has both.
LOCATIONS = [
    *[
        location({"url": url}, 403, says=_NO_WEB, then={"status": "queued"})
        for url in ("http://images.example/x", "https://images.example/x", "file:///etc/passwd", "rbd://a/b/c/d", "x")
    ],
    location({}, 400),
    location({"url": 5}, 400),
    location({"url": "http://x", "validation_data": None}, 400),
    location({"url": "http://x", "validation_data": "x"}, 400),
    location({"url": "http://x", "validation_data": {"os_hash_algo": "sha512"}}, 400),
    location({"url": "http://x", "validation_data": {"os_hash_algo": "md5", "os_hash_value": "0" * 31}}, 400),
    location({"url": "http://x", "validation_data": {"os_hash_algo": "crc", "os_hash_value": "0" * 32}}, 400),
    location({"url": "http://x"}, 404, request="POST /v2/images/00000000-0000-4000-8000-000000000000/locations"),
    Row(source="10", given="active", request="GET /v2/images/{id}/locations", status=200, says='"metadata":{'),
    Row(source="10", given="queued", request="GET /v2/images/{id}/locations", status=200, data=b"[]"),
    Row(source="10", given="deleted", request="GET /v2/images/{id}/locations", status=404),
    Row(
        source="25.15",
        given="queued",
        request="PUT /v2/images/{id}/locations",
        status=405,
        sends={"allow": "GET, HEAD, POST"},
        differs="Allow names POST only",
    ),
    Row(source="7.4", given="active", request="GET /v2/images/{id}/tasks", status=200, data=b'{"tasks":[]}'),
    Row(source="7.4", given="deleted", request="GET /v2/images/{id}/tasks", status=404),
    *[
        patch(operation, source="4.4", given="active", status=400, says="Invalid JSON pointer")
        for operation in (
            add("locations", []),
            replace("locations/0", {}),
            remove("locations"),
            add("locations/0/url", "x"),
            add("tags/-", "x"),
        )
    ],
]
