"""What the rows ask with, and what their images hold."""

from __future__ import annotations

import hashlib
from typing import Any

from compatibility.rows import Row

V20 = {"Content-Type": "application/openstack-images-v2.0-json-patch"}
V21 = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
OCTETS = {"Content-Type": "application/octet-stream"}
NOBODY = "00000000-0000-4000-8000-000000000000"
LONG = "x" * 256
# How a URL writes tags that look like something else.
ODD_NAMES = {
    "a%2Fb": "a/b",
    "%2F": "/",
    "a%252Fb": "a%2Fb",
    "%3Fa=b": "?a=b",
    "%23": "#",
    "%20a%20": " a ",
    "...": "...",
    "a%0A": "a\n",
    "%EF%BF%BD": "\ufffd",
    "a%5Cb;c,d=e+f": "a\\b;c,d=e+f",
}
BEYOND = "1" + "0" * 30  # more than any catalogue can hold
DATA = b"0123456789" * 10  # what the state "active" holds
MD5 = hashlib.md5(DATA).hexdigest()
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
ABSENT = dict.fromkeys(
    ("size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value")
)  # what an image without data has not


def patch(*operations: dict[str, Any], **more: Any) -> Row:
    return Row(**{"request": "PATCH /v2/images/{id}", "headers": V21, "json": list(operations), **more})


def add(name: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": f"/{name}", "value": value}


def replace(name: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": f"/{name}", "value": value}


def remove(name: str) -> dict[str, Any]:
    return {"op": "remove", "path": f"/{name}"}


def create(document: Any, status: int = 201, **more: Any) -> Row:
    return Row(**{"source": "4.2", "request": "POST /v2/images", "json": document, "status": status, **more})


def listing(query: str, *names: str | None, **more: Any) -> Row:
    return Row(
        **{
            "source": "4.6",
            "given": "several",
            "request": f"GET /v2/images?row={{mark}}&{query}",
            "status": 200,
            "names": names,
            **more,
        }
    )


def bad_list(query: str, says: str = "", **more: Any) -> Row:
    return Row(
        **{"source": "4.6", "request": f"GET /v2/images?{query}", "status": 400, "says": says, **more},
    )


def upload(body: bytes, status: int, **more: Any) -> Row:
    return Row(
        **{
            "source": "5.1",
            "given": "queued",
            "request": "PUT /v2/images/{id}/file",
            "headers": OCTETS,
            "body": body,
            "status": status,
            **more,
        }
    )


def download(status: int, **more: Any) -> Row:
    return Row(**{"source": "5.2", "given": "active", "request": "GET /v2/images/{id}/file", "status": status, **more})


def head_of_data(status: int, **more: Any) -> Row:
    return download(
        status, **{"request": "HEAD /v2/images/{id}/file", "data": b"", "differs": "Glance answers 405", **more}
    )


def part(value: str, data: bytes, content_range: str) -> Row:
    return download(
        206,
        headers={"Range": value},
        data=data,
        sends={"content-range": content_range, "content-length": str(len(data)), "content-md5": MD5},
    )
