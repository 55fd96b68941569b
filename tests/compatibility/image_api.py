"""The Image API v2 as clients of Glance know it: one row a fact.

Every caller is an administrator here (no authentication is configured), as with Glance's default flavor.
"""

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


def _patch(*operations: dict[str, Any], **more: Any) -> Row:
    return Row(**{"request": "PATCH /v2/images/{id}", "headers": V21, "json": list(operations), **more})


def _add(name: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": f"/{name}", "value": value}


def _replace(name: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": f"/{name}", "value": value}


def _remove(name: str) -> dict[str, Any]:
    return {"op": "remove", "path": f"/{name}"}


def _create(document: Any, status: int = 201, **more: Any) -> Row:
    return Row(**{"source": "4.2", "request": "POST /v2/images", "json": document, "status": status, **more})


def _list(query: str, *names: str | None, **more: Any) -> Row:
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


def _bad_list(query: str, says: str = "", **more: Any) -> Row:
    return Row(
        **{"source": "4.6", "request": f"GET /v2/images?{query}", "status": 400, "says": says, **more},
    )


def _upload(body: bytes, status: int, **more: Any) -> Row:
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


def _download(status: int, **more: Any) -> Row:
    return Row(**{"source": "5.2", "given": "active", "request": "GET /v2/images/{id}/file", "status": status, **more})


def _head_of_data(status: int, **more: Any) -> Row:
    return _download(
        status, **{"request": "HEAD /v2/images/{id}/file", "data": b"", "differs": "Glance answers 405", **more}
    )


def _range(value: str, data: bytes, content_range: str) -> Row:
    return _download(
        206,
        headers={"Range": value},
        data=data,
        sends={"content-range": content_range, "content-length": str(len(data)), "content-md5": MD5},
    )


URLS = [
    Row(source="1.2", request="GET /versions", status=200, says='"id":"v2.0"'),
    Row(source="1.2", request="GET /", status=300, says='"id":"v2.0"'),
    Row(source="1.2", request="GET /v1/images", status=300, says='"versions":['),
    Row(source="1.2", request="GET /v3", status=300, says='"versions":['),
    Row(source="1.2", request="GET /v2.19/images", status=300, says='"versions":['),
    Row(source="1.2", request="GET /anything/else", status=300, says='"versions":['),
    *[
        Row(source="1.2", request=f"GET {path}", status=404, says="/simplestreams", differs="Glance answers 300")
        for path in ("/streams", "/streams/v1/index.sjson", "/streams/v1/index2.json")
    ],
    Row(source="1.2", request="GET /streams-of-words", status=300, says='"versions":['),
    Row(source="1.2", request="GET /v2", status=302, sends={"location": "{url}/v2/"}),
    Row(source="1.2", request="GET /v2/", status=404),
    Row(source="1.2", request="GET /v2/images/", status=404),
    Row(source="1.2", request="DELETE /v2/images/", status=404),
    Row(source="1.2", request="GET /v2/nothing/here", status=404),
    Row(source="1.2", request="GET /v2.0/images", status=200, gives={"first": "/v2/images"}),
    Row(source="1.2", request="GET /v2.7/images", status=200, gives={"first": "/v2/images"}),
    Row(
        source="1.2",
        request="GET /images",
        headers={"Accept": "application/vnd.openstack.images-v2"},
        status=200,
        gives={"schema": "/v2/schemas/images"},
    ),
    *[
        Row(
            source="1.2",
            given="active",
            request=f"HEAD {path}",
            status=status,
            data=b"",
            sends={"content-length": "*", "content-type": "application/json"},
            differs="Glance answers 405: where GET is there is no HEAD",
        )
        for path, status in (
            ("/", 300),
            ("/versions", 200),
            ("/openapi.json", 200),
            ("/v2/images", 200),
            ("/v2/images/{id}", 200),
            (f"/v2/images/{NOBODY}", 404),
            ("/v2/images/{id}/members", 200),
            ("/v2/images/{id}/tasks", 200),
            ("/v2/images/{id}/locations", 200),
            ("/v2/tasks", 200),
            ("/v2/schemas/image", 200),
            ("/v2/metadefs/namespaces", 200),
            ("/v2/metadefs/resource_types", 200),
            ("/v2/info/import", 200),
            ("/v2/info/usage", 200),
        )
    ],
    Row(source="1.2", request="HEAD /healthcheck", status=200, data=b""),
    Row(source="1.2", request="HEAD /v2/info/stores", status=404, data=b""),
    Row(source="1.2", given="active", request="HEAD /v2/images/{id}/actions/deactivate", status=405),
    Row(source="1.2", request="DELETE /v2/images", status=405, sends={"allow": "GET, HEAD, POST"}),
    Row(source="1.2", request="PUT /v2/images", status=405, sends={"allow": "GET, HEAD, POST"}),
    Row(source="1.2", given="queued", request="PUT /v2/images/{id}", status=405),
    Row(
        source="1.2", given="queued", request="POST /v2/images/{id}/file", status=405, sends={"allow": "GET, HEAD, PUT"}
    ),
    Row(source="1.2", given="queued", request="GET /v2/images/{id}/actions/deactivate", status=405),
    Row(source="1.2", request="QUERY /v2/images", status=405, sends={"allow": "GET, HEAD, POST"}),
    Row(source="1.2", request="FROBNICATE /v2/images", status=501),
    Row(source="1.2", request="FROBNICATE /elsewhere", status=501),
    Row(source="1.2", request="OPTIONS /v2/images", status=200, data=b"", sends={"allow": "GET, HEAD, POST"}),
    Row(source="1.2", request="OPTIONS /v2/images/x/file", status=200, data=b"", sends={"allow": "GET, HEAD, PUT"}),
    Row(source="1.2", request="POST /versions", status=405, sends={"allow": "GET, HEAD"}),
    Row(
        source="1.3",
        request="GET /versions",
        status=200,
        gives={
            "versions": [
                {
                    "id": version,
                    "status": "CURRENT" if version == "v2.17" else "SUPPORTED",
                    "links": [{"rel": "self", "href": "{url}/v2/"}],
                }
                for version in (
                    "v2.17",
                    "v2.13",
                    "v2.12",
                    "v2.9",
                    "v2.7",
                    "v2.6",
                    "v2.5",
                    "v2.4",
                    "v2.3",
                    "v2.2",
                    "v2.1",
                    "v2.0",
                )
            ]
        },
        differs="Glance lists 2.15 and 2.17 too, out of order; what they announce is not built yet",
    ),
    Row(source="0.26", request="GET /v2/info/stores", status=404),
    Row(source="0.25", request="GET /v2/info/import", status=200, says='"import-methods"'),
    Row(source="7.1", request="GET /v2/info/usage", status=200, says='{"usage":{}}'),
]

HEADERS = [
    Row(source="1.4", request="GET /v2/images", status=200, sends={"x-openstack-request-id": "req-*"}),
    Row(source="1.4", request="GET /v2/nothing", status=404, sends={"x-openstack-request-id": "req-*"}),
    Row(
        source="1.4",
        request="GET /v2/images",
        headers={"X-Openstack-Request-Id": "req-1-2-3"},
        status=200,
        sends={"x-openstack-request-id": "req-1-2-3"},
    ),
    Row(
        source="1.4",
        request="GET /v2/images",
        headers={"X-Openstack-Request-Id": "mine"},
        status=200,
        sends={"x-openstack-request-id": "req-mine"},
    ),
    Row(
        source="25 (6)",
        request="GET /v2/images",
        headers={"X-Openstack-Request-Id": "x" * 65},
        status=400,
        says="X-Openstack-Request-Id",
        differs="Glance answers 500",
    ),
    Row(
        source="1.4",
        request="POST /v2/images",
        json={},
        status=201,
        sends={"location": "{url}/v2/images/*", "content-type": "application/json"},
    ),
    _patch(
        _replace("name", "x"),
        source="1.4",
        given="queued",
        headers={"Content-Type": "application/json"},
        status=415,
        sends={
            "accept-patch": "application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch"
        },
    ),
    Row(source="1.4", given="queued", request="DELETE /v2/images/{id}", status=204, data=b""),
]

BODIES = [
    Row(source="1.5", request="POST /v2/images", status=400, says="Body expected in request."),
    Row(source="1.5", request="POST /v2/images", body=b"{", status=400, says="Malformed JSON in request body"),
    Row(source="1.5", request="POST /v2/images", body=b'{"name": }', status=400, says="Malformed JSON"),
    Row(source="1.5", request="POST /v2/images", body=b'"text"', status=400, says="Unexpected body type. Expected"),
    Row(source="1.5", request="POST /v2/images", body=b"5", status=400, says="Unexpected body type. Expected"),
    Row(
        source="25 (7)",
        request="POST /v2/images",
        json=[{"name": "x"}],
        status=400,
        says="Unexpected body type",
        differs="Glance answers 500",
    ),
    Row(source="1.5", request="POST /v2/images", body=b'{"name": "\xff"}', status=400, says="Malformed JSON"),
    Row(source="1.5", request="POST /v2/images", body=b'{"name": "\\ud800"}', status=400, says="Malformed JSON"),
    Row(source="1.5", request="POST /v2/images", body=b'{"a":' * 65 + b"1" + b"}" * 65, status=400, says="64 levels"),
    Row(source="1.5", request="POST /v2/images", body=b"[" * 100_000, status=400, says="Malformed JSON"),
    Row(source="1.5", request="POST /v2/images", headers={"Content-Type": "text/plain"}, json={}, status=201),
    Row(
        source="1.5, 25 (18)",
        given="queued",
        request="GET /v2/images/{id}",
        body=b"{}",
        status=200,
        differs="Glance answers 400 where a body is not expected, on some routes",
    ),
    Row(source="1.5", request="GET /v2/images", headers=OCTETS, status=200),
    Row(source="1.5", given="active", request="POST /v2/images/{id}/actions/deactivate", headers=OCTETS, status=204),
]

_NOT_FOUND = f"No image found with ID {NOBODY}"
ERRORS = [
    Row(
        source="2.1",
        request=f"GET /v2/images/{NOBODY}",
        headers={"Accept": "application/json"},
        status=404,
        gives={"message": _NOT_FOUND, "code": "404 Not Found", "title": "Not Found"},
        sends={"content-type": "application/json"},
        differs="Glance adds <br /><br /> and line ends to the message",
    ),
    Row(
        source="2.1",
        request=f"GET /v2/images/{NOBODY}",
        headers={"Accept": "*/*"},
        status=404,
        says=f"<h1>404 Not Found</h1>\n  {_NOT_FOUND}<br /><br />",
        sends={"content-type": "text/html; charset=utf-8"},
    ),
    Row(
        source="2.1",
        request=f"GET /v2/images/{NOBODY}",
        headers={"Accept": "text/html,application/xhtml+xml"},
        status=404,
        says="<title>404 Not Found</title>",
        sends={"content-type": "text/html; charset=utf-8"},
    ),
    *[
        Row(
            source="2.1",
            request=f"GET /v2/images/{NOBODY}",
            headers={"Accept": accept},
            status=404,
            says=f"404 Not Found\n\n{_NOT_FOUND}\n\n",
            sends={"content-type": "text/plain; charset=utf-8"},
        )
        for accept in ("", "text/plain", "application/xml")
    ],
    Row(
        source="2.1",
        request="GET /v2/images?limit=%3Cscript%3E",
        headers={"Accept": "text/html"},
        status=400,
        says="limit param must be an integer, not &#x27;&lt;script&gt;&#x27;",
    ),
    Row(source="2.3", request=f"DELETE /v2/images/{NOBODY}", status=404, says=NOBODY),
    Row(source="2.3", request=f"PATCH /v2/images/{NOBODY}", headers=V21, json=[], status=404, says=NOBODY),
    Row(
        source="2.3",
        request=f"PUT /v2/images/{NOBODY}/file",
        headers=OCTETS,
        body=b"x",
        status=404,
        says=_NOT_FOUND,
    ),
    Row(source="2.3", request=f"GET /v2/images/{NOBODY}/file", status=404, says=_NOT_FOUND),
    Row(source="2.3", request="GET /v2/images/not-a-uuid", status=404, says="No image found with ID not-a-uuid"),
]

_ABSENT = dict.fromkeys(("size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value"))
CREATE = [
    _create(
        {},
        gives={
            **_ABSENT,
            "name": None,
            "disk_format": None,
            "container_format": None,
            "visibility": "shared",
            "status": "queued",
            "protected": False,
            "min_ram": 0,
            "min_disk": 0,
            "os_hidden": False,
            "tags": [],
            "schema": "/v2/schemas/image",
        },
        lacks=("properties", "locations", "direct_url", "stores"),
        source="4.1, 4.2",
    ),
    _create({"name": "x", "os_distro": "ubuntu"}, gives={"name": "x", "os_distro": "ubuntu"}, source="4.1"),
    _create({"id": "AAAAAAAA-0000-4000-8000-{n12}"}, gives={"id": "aaaaaaaa-0000-4000-8000-{n12}"}),
    *[
        _create({name: value}, 403, says=f"Attribute '{name}' is read-only.")
        for name, value in {
            "status": "active",
            "size": 5,
            "checksum": "0" * 32,
            "virtual_size": 5,
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "direct_url": "file:///etc/passwd",
            "self": "/v2/images/x",
            "file": "/v2/images/x/file",
            "schema": "/v2/schemas/image",
            "stores": "file",
        }.items()
    ],
    *[
        _create({name: "x"}, 403, says=f"Attribute '{name}' is reserved.")
        for name in ("location", "deleted", "deleted_at", "os_glance_foo", "os_glance_importing_to_stores")
    ],
    _create({"locations": [{"url": "file:///etc/passwd", "metadata": {}}]}, 403, says="reserved"),
    _create({"deleted": True}, 400, says="'deleted'"),
    *[
        _create(
            {name: "0"},
            403,
            says=f"Attribute '{name}' is read-only.",
            source="25 (14)",
            differs="Glance accepts and ignores it",
        )
        for name in ("os_hash_algo", "os_hash_value")
    ],
    _create({"id": "{id}"}, 409, given="queued", says="Image ID {id} already exists!"),
    _create({"id": "{id}"}, 409, given="deleted", says="Image ID {id} already exists!"),
    *[
        _create({"id": bad}, 400, says="'id'")
        for bad in ("not-a-uuid", "", NOBODY + "0", NOBODY + "\n", f"{{{NOBODY}}}", NOBODY.replace("-", ""), 5, None)
    ],
    *[
        _create({name: value}, 400, says=f"'{name}'")
        for name, value in (
            ("disk_format", "floppy"),
            ("disk_format", "QCOW2"),
            ("container_format", "tar"),
            ("visibility", "secret"),
            ("visibility", None),
            ("name", 5),
            ("name", LONG),
            ("protected", "true"),
            ("os_hidden", 1),
            ("min_ram", "5"),
            ("min_ram", 1.5),
            ("min_ram", True),
            ("min_ram", -1),
            ("min_ram", 2**31),
            ("min_disk", -1),
            ("min_disk", 2**70),
            ("tags", "one"),
            ("tags", {"a": "b"}),
            ("owner", LONG),
            ("custom", 5),
            ("custom", None),
            ("custom", True),
            ("custom", {}),
            ("custom", ["x"]),
        )
    ],
    _create({"tags": ["ok", LONG]}, 400, says="tags/1"),
    _create({"tags": [5]}, 400, says="tags/0"),
    _create({LONG: "x"}, 400, says="255 characters"),
    _create({"": "x"}, 400, says="not empty"),
    _create({"min_ram": 2**31 - 1, "min_disk": 2**31 - 1}, gives={"min_ram": 2**31 - 1, "min_disk": 2**31 - 1}),
    _create({"name": "x" * 255}, gives={"name": "x" * 255}),
    _create(
        {"name": "😀", "😀": "x"},
        gives={"name": "😀", "😀": "x"},
        differs="Glance refuses characters beyond the first 65 536 code points, which its MySQL tables cannot hold",
    ),
    _create({"tags": ["b", "a", "b"]}, gives={"tags": ["b", "a"]}, source="4.1"),
    _create({f"p{number}": "x" for number in range(128)}, gives={"p127": "x"}),
    _create({f"p{number}": "x" for number in range(129)}, 413, says="Maximum: 128"),
    _create({"tags": [f"t{number}" for number in range(129)]}, 413, says="Maximum: 128"),
    _create({"owner": "another", "visibility": "public"}, gives={"owner": "another", "visibility": "public"}),
    _create({"visibility": "community"}, gives={"visibility": "community"}),
    _create({"name": "x\x00y"}, 400, differs="Glance stores it where the database can"),
]

SHOW = [
    Row(source="4.3", given="queued", request="GET /v2/images/{id}", status=200, gives={"id": "{id}", **_ABSENT}),
    Row(source="4.3", given="deleted", request="GET /v2/images/{id}", status=404),
    Row(
        source="4.1",
        given="active",
        request="GET /v2/images/{id}",
        status=200,
        gives={
            "status": "active",
            "size": 100,
            "virtual_size": 100,
            "checksum": MD5,
            "os_hash_algo": "sha512",
            "self": "/v2/images/{id}",
            "file": "/v2/images/{id}/file",
        },
        says='"created_at":"20',
    ),
    Row(source="4.3", given="hidden", request="GET /v2/images/{id}", status=200, gives={"os_hidden": True}),
]

UPDATE = [
    *[
        _patch(
            _replace("name", "x"),
            source="4.4",
            given="queued",
            headers={"Content-Type": media_type},
            status=415,
            says="Unsupported Content-Type",
            then={"name": "before"},
        )
        for media_type in ("application/json-patch+json", "application/openstack-images-v2.2-json-patch", "")
    ],
    _patch(
        _replace("name", "x"),
        source="4.4",
        given="queued",
        headers={"Content-Type": "application/openstack-images-v2.1-json-patch; charset=utf-8"},
        status=200,
        gives={"name": "x"},
    ),
    _patch(source="4.4", given="queued", json={"op": "add"}, status=400, says="must be a JSON array of operation"),
    _patch(source="4.4", given="queued", json=["add"], status=400, says="Operations must be JSON objects."),
    _patch(source="4.4", given="queued", status=200, gives={"name": "before"}),
    *[
        _patch(
            {"op": op, "path": "/name", "from": "/x", "value": "y"},
            source="4.4",
            given="queued",
            status=400,
            says=f"Invalid operation: `{op}`. It must be one of the following: add, remove, replace.",
            then={"name": "before"},
        )
        for op in ("move", "copy", "test", "frob")
    ],
    _patch(
        _add("one", "1"),
        _replace("name", "x"),
        _remove("one"),
        source="4.4",
        given="queued",
        status=200,
        gives={"name": "x"},
        lacks=("one",),
    ),
    _patch(
        _replace("name", "x"),
        _remove("missing"),
        source="4.4",
        given="queued",
        status=409,
        says="Property missing does not exist.",
        then={"name": "before"},
    ),
    *[
        _patch(
            {"op": op, "path": "/name"},
            source="4.4",
            given="queued",
            status=400,
            says=f'Operation "{op}" requires a member named "value".',
        )
        for op in ("add", "replace")
    ],
    _patch({**_remove("p"), "value": "ignored"}, source="4.4", given="queued", status=200, lacks=("p",)),
    *[
        _patch(
            {"op": "add", "path": path, "value": "x"}, source="4.4", given="queued", status=400, then={"name": "before"}
        )
        for path in ("name", "", "/", "//name", "/name/", "/a//b", "/a~2", "/a~", "/p/q", "/tags/-", "/tags/0", 5, None)
    ],
    _patch(_add("a~1b~0c", "x"), source="4.4", given="queued", status=200, gives={"a/b~c": "x"}),
    _patch(_replace("nope", "x"), source="4.4", given="queued", status=409, says="Property nope does not exist."),
    _patch(_remove("nope"), source="4.4", given="queued", status=409, says="Property nope does not exist."),
    _patch(_add("p", "new"), source="4.4", given="queued", status=200, gives={"p": "new"}),
    _patch(_replace("p", "new"), source="4.4", given="queued", status=200, gives={"p": "new"}),
    _patch(_remove("p"), source="4.4", given="queued", status=200, lacks=("p",)),
    _patch(
        {"add": "/p", "value": "new"}, source="4.4", given="queued", headers=V20, status=409, says="already present"
    ),
    _patch({"add": "/q", "value": "new"}, source="4.4", given="queued", headers=V20, status=200, gives={"q": "new"}),
    _patch(
        {"replace": "/name", "value": "x"}, source="4.4", given="queued", headers=V20, status=200, gives={"name": "x"}
    ),
    _patch({"remove": "/p"}, source="4.4", given="queued", headers=V20, status=200, lacks=("p",)),
    _patch({"move": "/p", "value": "/q"}, source="4.4", given="queued", headers=V20, status=400, says="`move`"),
    _patch({"value": "x"}, source="4.4", given="queued", headers=V20, status=400),
    *[
        _patch(_remove(name), source="4.4", given="queued", status=403, says=f"Property {name} may not be removed.")
        for name in ("name", "visibility", "tags", "protected", "min_ram", "owner", "disk_format", "os_hidden")
    ],
    *[
        _patch(_replace(name, "x"), source="4.4", given="queued", status=403, says=f"Attribute '{name}' is read-only.")
        for name in ("id", "status", "size", "checksum", "created_at", "updated_at", "file", "self", "os_hash_value")
    ],
    *[
        _patch(_add(name, "x"), source="4.4", given="queued", status=403, says=f"Attribute '{name}' is reserved.")
        for name in ("deleted", "location", "os_glance_foo")
    ],
    *[
        _patch(_replace(name, None), source="4.4", given="active", status=403, says=name)
        for name in ("disk_format", "container_format")
    ],
    _patch(_replace("disk_format", "qcow2"), source="4.4", given="queued", status=200, gives={"disk_format": "qcow2"}),
    _patch(
        _replace("name", "x"),
        _replace("protected", False),
        _replace("os_hidden", False),
        _replace("min_ram", 7),
        _replace("min_disk", 8),
        _replace("tags", ["b", "a", "b"]),
        source="4.4",
        given="active",
        status=200,
        gives={"name": "x", "min_ram": 7, "min_disk": 8, "tags": ["b", "a"], "checksum": MD5},
    ),
    *[
        _patch(_replace("visibility", each), source="4.4", given="queued", status=200, gives={"visibility": each})
        for each in ("public", "private", "community", "shared")
    ],
    *[
        _patch(_replace(name, value), source="4.4", given="queued", status=400, then={"name": "before", "min_ram": 0})
        for name, value in (
            ("name", 5),
            ("name", LONG),
            ("min_ram", -1),
            ("min_ram", 2**31),
            ("visibility", "x"),
            ("tags", [LONG]),
            ("p", 5),
            ("p", None),
            ("protected", "no"),
            ("disk_format", "x"),
        )
    ],
    _patch(*[_add(f"q{n}", "x") for n in range(128)], source="4.4", given="queued", status=413, lacks=("q0",)),
    _patch(
        _add("locations/-", {"url": "http://x", "metadata": {}}),
        source="4.4",
        given="queued",
        status=403,
        says="locations are invisible",
    ),
    _patch(_replace("locations", []), source="4.4", given="active", status=403, then={"status": "active"}),
]

DELETE = [
    Row(source="4.5", given="active", request="DELETE /v2/images/{id}", status=204, data=b""),
    Row(source="4.5", given="deactivated", request="DELETE /v2/images/{id}", status=204),
    Row(source="4.5", given="deleted", request="DELETE /v2/images/{id}", status=404),
    Row(
        source="4.5, 2.3",
        given="protected",
        request="DELETE /v2/images/{id}",
        status=403,
        says="Image {id} is protected and cannot be deleted.",
        then={"status": "queued"},
    ),
]

# The state "several" has, from the oldest: a (active, 100 bytes, public), b (active, 0 bytes, tagged red), B (queued,
# qcow2, tagged red and blue), one without a name (deactivated), "x:y" (queued, iso), and hidden h.
ALL = ("x:y", None, "B", "b", "a")
LIST = [
    _list("", *ALL, lacks=("next",)),
    _list("limit=3", "x:y", None, "B", gives={"first": "/v2/images?row={mark}&limit=3"}, says='"next":"/v2/images?'),
    _list("limit=5", *ALL, says='"next":"/v2/images?marker='),
    _list("limit=0", lacks=("next",)),
    _list("limit=100000", *ALL),
    _list("os_hidden=false", *ALL),
    _list("os_hidden=true", "h"),
    _list("os_hidden=TRUE", "h"),
    _list("visibility=all", *ALL),
    _list("visibility=public", "a"),
    _list("visibility=community", "B"),
    _list("visibility=shared", "x:y", None, "b"),
    _list("visibility=private"),
    _list("member_status=all", *ALL),
    _list("protected=false", *ALL),
    _list("protected=true"),
    _list("owner=p1", "a"),
    _list("owner=nobody"),
    _list("tag=red", "B", "b"),
    _list("tag=red&tag=blue", "B"),
    _list("tag="),
    _list("tag=" + LONG),
    _list("name=a", "a"),
    _list("name=b", "b"),
    _list("name=B", "B"),
    _list("name="),
    _list("name=in:a,B", "B", "a"),
    _list("name=in:%22a%22,b", "b", "a"),
    _list("name=in:%22x:y%22", "x:y"),
    _list("name=x:y", "x:y", differs="Glance answers 400: x is no operator"),
    _list("name=eq:x:y", "x:y"),
    *[
        _list(f"name={text}", differs="Glance answers 400 where it looks like an operator")
        for text in ("debian:12", ":", ":a", "a:", "IN:a", "in%20:a", "like:a", "http://a/b", "in", "gt", "urn:a:b:c")
    ],
    _list("status=x:y", differs="Glance answers 400"),
    _list("id={ID}", "a"),
    _list("id=eq:{ID}", "a"),
    _list("id=in:%22{ID}%22,{id}", "a"),
    _list("id=in:{ID}x"),
    _list("marker={ID}&sort_dir=asc", "b", "B", None, "x:y"),
    _list(f"limit={BEYOND}", *ALL, differs="Glance answers 500"),
    _list("limit=" + "9" * 5000, *ALL),
    _list("limit=" + "0" * 40 + "1", "x:y"),
    _list("limit=-0"),
    _list(f"size_max={BEYOND}&size_min=-{BEYOND}", None, "b", "a"),
    _list(f"size_min={BEYOND}"),
    _list(f"min_ram={BEYOND}"),
    _list("deleted=true", *ALL, source="4.6"),
    _list("deleted=false", *ALL, source="4.6"),
    _list("deleted=perhaps&limit=1", "x:y", source="4.6"),
    _list("name=eq:a", "a"),
    _list("name=in:%22x:y%22,a&limit=1", "x:y", says="name=in%3A%22x%3Ay%22%2Ca"),
    _list("status=active", "b", "a"),
    _list("status=in:queued,deactivated", "x:y", None, "B"),
    _list("container_format=bare", *ALL),
    _list("disk_format=raw", None, "b", "a"),
    _list("disk_format=in:qcow2,iso", "x:y", "B"),
    _list("id={id}", "a"),
    _list("id=in:{id}", "a"),
    _list("size=100", None, "a"),
    _list("size_min=1", None, "a"),
    _list("size_max=50", "b"),
    _list("size_min=0&size_max=100", None, "b", "a"),
    _list("min_ram=512", "a"),
    _list("min_ram_min=512", "a"),
    _list("min_disk_max=0", *ALL),
    _list(f"checksum={MD5}", None, "a"),
    _list("os_hash_algo=sha512", None, "b", "a"),
    _list("os_distro=ubuntu", "B", "a"),
    _list("os_distro=ubuntu&os_version=24.04", "a"),
    _list("os_distro=Ubuntu"),
    _list("no_such_property=x"),
    _list("created_at=gt:2001-01-01T00:00:00Z", *ALL),
    _list("created_at=lt:2001-01-01T00:00:00Z"),
    _list("created_at=gte:2001-01-01", *ALL),
    _list("updated_at=lte:2100-01-01T00:00:00%2B01:00", *ALL),
    _list("updated_at=neq:2001-01-01T00:00:00Z", *ALL),
    _list("created_at=eq:2001-01-01T00:00:00Z"),
    _list("created_at=2001-01-01T00:00:00Z"),
    _list("sort_key=name&sort_dir=asc", None, "B", "a", "b", "x:y"),
    _list("sort_key=name", "x:y", "b", "a", "B", None),
    _list("sort=name:asc", None, "B", "a", "b", "x:y"),
    _list("sort=name", "x:y", "b", "a", "B", None),
    _list("sort_dir=asc", "a", "b", "B", None, "x:y"),
    _list("sort=status:asc,name:desc", "b", "a", None, "x:y", "B"),
    _list("sort_key=status&sort_key=name&sort_dir=asc", "a", "b", None, "B", "x:y"),
    _list("sort_key=status&sort_dir=asc&sort_key=name&sort_dir=desc", "b", "a", None, "x:y", "B"),
    _list("sort=size:asc,name:asc", "B", "x:y", "b", None, "a"),
    _list("sort=disk_format:asc,name:asc", "x:y", "B", None, "a", "b"),
    *[_list(f"sort={key}&limit=0") for key in ("container_format", "id", "created_at", "updated_at")],
    _list("marker={id}", source="4.6: nothing comes after the oldest"),
    _list("marker={id}&sort_dir=asc&limit=2", "b", "B"),
    _list(
        "tag=red&tag=blue&limit=1",
        "B",
        says="tag=red&tag=blue",
        source="25 (8)",
        differs="Glance keeps only the last of several tags in the link to the next page",
    ),
    _bad_list("limit=x", "limit param must be an integer"),
    _bad_list("limit=-1", "limit param must be positive"),
    _bad_list(f"limit=-{BEYOND}", "limit param must be positive"),
    _bad_list("limit=1e1", "limit param must be an integer"),
    _bad_list("limit=1.5", "limit param must be an integer"),
    _bad_list("limit=", "limit param must be an integer"),
    _bad_list("limit=%C2%B2", "limit param must be an integer"),
    _bad_list("visibility=secret", "Invalid visibility value"),
    _bad_list("member_status=perhaps", "perhaps"),
    _bad_list("os_hidden=maybe", "os_hidden"),
    _bad_list("protected=True", "protected"),
    _bad_list("protected=1", "protected"),
    _bad_list("name=gt:a", "the operator 'gt'"),
    _bad_list("status=neq:active", "the operator 'neq'"),
    _bad_list("name=in:%22a", "quotes in pairs"),
    _bad_list("name=in:a%22b", "quotes in pairs"),
    _bad_list("created_at=yesterday", "yesterday"),
    _bad_list("created_at=near:2026-01-01T00:00:00Z", "near"),
    _bad_list("updated_at=gt:", "updated_at"),
    _bad_list("size_min=x", "size_min"),
    _bad_list("size_max=1e3", "size_max"),
    _bad_list("size=big", "size"),
    _bad_list("changes-since=2026-01-01T00:00:00Z", "changes-since"),
    *[
        _bad_list(f"{name}=1", name, source="25 (7)", differs="Glance answers 500")
        for name in ("properties", "locations", "members", "foo_min", "foo_max")
    ],
    _bad_list(f"marker={NOBODY}", f"No image found with ID {NOBODY}"),
    _bad_list("marker=x", "No image found with ID x"),
    _bad_list("sort_key=foo", "Invalid sort key: foo. It must be one of the following: name, status, container_format"),
    _bad_list("sort_key=owner", "Invalid sort key: owner"),
    _bad_list("sort_dir=up", "Invalid sort direction: up"),
    _bad_list("sort=name:up", "Invalid sort direction: up"),
    _bad_list("sort=,", "Invalid sort key"),
    _bad_list("sort=name&sort_key=name", "cannot be combined"),
    _bad_list("sort=name&sort_dir=asc", "cannot be combined"),
    _bad_list("sort_key=name&sort_key=size&sort_dir=asc&sort_dir=asc&sort_dir=asc", "Number of sort dirs"),
    _bad_list(
        "&".join(f"p{number}=x" for number in range(51)),
        "at most 50 filters",
        differs="Glance asks its database for all of them, however long that takes",
    ),
    _bad_list("name=%ff", "query is not UTF-8", differs="Glance looks for another text"),
    _bad_list("name=a%00b", "NUL", differs="Glance leaves it to the database"),
]

ACTIONS = [
    Row(
        source="4.7",
        given="active",
        request="POST /v2/images/{id}/actions/deactivate",
        status=204,
        then={"status": "deactivated", "checksum": MD5, "size": 100},
    ),
    Row(
        source="4.7",
        given="deactivated",
        request="POST /v2/images/{id}/actions/deactivate",
        status=204,
        then={"status": "deactivated"},
    ),
    Row(
        source="4.7",
        given="deactivated",
        request="POST /v2/images/{id}/actions/reactivate",
        status=204,
        then={"status": "active", "size": 100},
    ),
    Row(
        source="4.7",
        given="active",
        request="POST /v2/images/{id}/actions/reactivate",
        status=204,
        then={"status": "active"},
    ),
    *[
        Row(
            source="4.7",
            given="queued",
            request=f"POST /v2/images/{{id}}/actions/{action}",
            status=403,
            says=f"Not allowed to {action} image in status 'queued'",
            then={"status": "queued"},
        )
        for action in ("deactivate", "reactivate")
    ],
    Row(source="4.7", given="active", request="POST /v2/images/{id}/actions/explode", status=404),
    Row(source="4.7", request=f"POST /v2/images/{NOBODY}/actions/deactivate", status=404),
]

TAGS = [
    Row(source="4.8", given="queued", request="PUT /v2/images/{id}/tags/new", status=204, then={"tags": ["t", "new"]}),
    Row(source="4.8", given="queued", request="PUT /v2/images/{id}/tags/t", status=204, then={"tags": ["t"]}),
    Row(
        source="4.8",
        given="queued",
        request="PUT /v2/images/{id}/tags/%C3%A4%20%F0%9F%98%80",
        status=204,
        then={"tags": ["t", "ä 😀"]},
    ),
    Row(source="4.8", given="queued", request="PUT /v2/images/{id}/tags/" + "x" * 255, status=204),
    Row(
        source="4.8",
        given="queued",
        request="PUT /v2/images/{id}/tags/" + LONG,
        status=400,
        says="255",
        then={"tags": ["t"]},
    ),
    Row(
        source="4.8",
        given="queued",
        request="PUT /v2/images/{id}/tags/%ff",
        status=400,
        says="path is not UTF-8",
        then={"tags": ["t"]},
    ),
    *[
        Row(
            source="4.8",
            given="queued",
            request=f"PUT /v2/images/{{id}}/tags/{path}",
            status=204,
            then={"tags": ["t", tag]},
            differs="Glance answers 404 to a slash",
        )
        for path, tag in {**ODD_NAMES, "a/b": "a/b"}.items()
    ],
    *[
        Row(
            source="4.8",
            given="oddly tagged",
            request=f"DELETE /v2/images/{{id}}/tags/{path}",
            status=204,
            then={"tags": [each for each in ODD_NAMES.values() if each != tag]},
            differs="Glance answers 404 to a slash",
        )
        for path, tag in ODD_NAMES.items()
    ],
    *[
        Row(source="4.8", given="queued", request=f"PUT /v2/images/{{id}}/tags/{path}", status=status)
        for path, status in {".": 400, "%2e%2E": 400, "": 404, "a%00": 404}.items()
    ],
    *[
        _create({"tags": ["ok", tag]}, 400, says="one or two dots", differs="Glance takes it")
        for tag in ("", ".", "..")
    ],
    _patch(_add("tags", ["t", ".."]), source="4.8", given="queued", status=400, says="one or two dots"),
    Row(source="4.8", given="queued", request="DELETE /v2/images/{id}/tags/t", status=204, then={"tags": []}),
    Row(source="4.8", given="queued", request="DELETE /v2/images/{id}/tags/T", status=404, then={"tags": ["t"]}),
    Row(source="4.8", request=f"PUT /v2/images/{NOBODY}/tags/t", status=404),
    Row(source="4.8", request=f"DELETE /v2/images/{NOBODY}/tags/t", status=404),
    Row(source="4.8", given="full of tags", request="PUT /v2/images/{id}/tags/more", status=413, says="Maximum: 128"),
    Row(source="4.8", given="full of tags", request="PUT /v2/images/{id}/tags/t5", status=204),
    Row(source="4.8", given="queued", request="GET /v2/images/{id}/tags/t", status=405, sends={"allow": "DELETE, PUT"}),
]

UPLOAD = [
    _upload(DATA, 204, data=b"", then={"status": "active", "size": 100, "virtual_size": 100, "checksum": MD5}),
    _upload(DATA, 204, headers={"Content-Type": "application/octet-stream; charset=utf-8"}, then={"size": 100}),
    _upload(DATA, 204, headers={**OCTETS, "X-OpenStack-Image-Size": "100"}, then={"size": 100}),
    _upload(DATA, 204, headers={**OCTETS, "x-openstack-base-image-ref": "anything"}, then={"size": 100}),
    _upload(b"", 204, then={"status": "active", "size": 0, "checksum": EMPTY_MD5}),
    _upload(DATA, 204, source="14.1", given="half signed", then={"status": "active"}),
    _upload(
        DATA,
        400,
        source="14.1",
        given="signed",
        says="Signature verification failed",
        then={"status": "queued", "size": None, "checksum": None},
    ),
    *[
        _upload(DATA, 415, headers={"Content-Type": bad}, says="Content-Type", then={"status": "queued", **_ABSENT})
        for bad in ("application/json", "application/x-octet-stream", "")
    ],
    *[
        _upload(
            DATA,
            400,
            headers={**OCTETS, "X-OpenStack-Image-Size": bad},
            says="X-OpenStack-Image-Size must be a whole number",
            then={"status": "queued"},
        )
        for bad in ("many", "-1", "1.5", "", "0x64")
    ],
    *[
        _upload(
            DATA,
            400,
            headers={**OCTETS, "X-OpenStack-Image-Size": size},
            says=f"Size mismatch: expected {size} bytes, got 100 bytes",
            then={"status": "queued", **_ABSENT},
        )
        for size in ("99", "101", "0")
    ],
    *[
        _upload(
            DATA,
            400,
            headers={**OCTETS, "X-OpenStack-Image-Size": size},
            says="Size mismatch: expected 9223372036854775807 bytes, got 100 bytes",
            then={"status": "queued", **_ABSENT},
        )
        for size in (BEYOND, "9" * 5000)
    ],
    _upload(DATA, 204, headers={**OCTETS, "X-OpenStack-Image-Size": "0" * 40 + "100"}, then={"size": 100}),
    *[
        _upload(
            DATA,
            400,
            headers={**OCTETS, "X-OpenStack-Image-Size": size, "Transfer-Encoding": "chunked"},
            says=f"Size mismatch: expected {size} bytes, got",
            then={"status": "queued", **_ABSENT},
        )
        for size in ("99", "101")
    ],
    _upload(DATA, 204, headers={**OCTETS, "Transfer-Encoding": "chunked"}, then={"size": 100, "checksum": MD5}),
    _upload(b"", 204, headers={**OCTETS, "Transfer-Encoding": "chunked"}, then={"size": 0, "checksum": EMPTY_MD5}),
    *[
        _upload(
            DATA,
            409,
            given=state,
            says=f"Image status transition from {state} to saving is not allowed",
            then={"status": state, "checksum": MD5},
        )
        for state in ("active", "deactivated")
    ],
    _upload(
        DATA, 400, given="formless", says="disk_format and container_format must be set", then={"status": "queued"}
    ),
    _upload(
        DATA,
        415,
        given="queued qcow2",
        says="Image disk_format qcow2 does not match stream data",
        source="25 (1)",
        then={"status": "queued", **_ABSENT},
        differs="Glance keeps the refused bytes, and gives them out",
    ),
    _upload(DATA, 204, given="queued ovf", then={"status": "active", "virtual_size": None}, source="5.1, 20.1"),
    _upload(DATA, 404, given="deleted"),
]

DOWNLOAD = [
    _download(
        200,
        data=DATA,
        sends={
            "content-type": "application/octet-stream",
            "content-length": "100",
            "content-md5": MD5,
            "accept-ranges": "bytes",
        },
    ),
    _download(204, given="queued", data=b""),
    _download(200, given="deactivated", data=DATA),
    _download(404, given="deleted"),
    _download(200, given="active empty", data=b"", sends={"content-length": "0", "content-md5": EMPTY_MD5}),
    _range("bytes=0-9", DATA[:10], "bytes 0-9/100"),
    _range("bytes=5-5", DATA[5:6], "bytes 5-5/100"),
    _range("bytes=95-", DATA[95:], "bytes 95-99/100"),
    _range("bytes=-7", DATA[-7:], "bytes 93-99/100"),
    _range("bytes=-1000", DATA, "bytes 0-99/100"),
    _range("bytes=0-", DATA, "bytes 0-99/100"),
    _range("bytes=90-1000", DATA[90:], "bytes 90-99/100"),
    *[
        _download(416, headers={"Range": bad}, sends={"content-range": "bytes */100"})
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
    _range(f"bytes=90-{BEYOND}", DATA[90:], "bytes 90-99/100"),
    _range("bytes=90-" + "9" * 5000, DATA[90:], "bytes 90-99/100"),
    _range(f"bytes=-{BEYOND}", DATA, "bytes 0-99/100"),
    _range("bytes=" + "0" * 30 + "5-6", DATA[5:7], "bytes 5-6/100"),
    _range("Bytes=0-3", DATA[:4], "bytes 0-3/100"),
    _range("BYTES = 0-3, ,", DATA[:4], "bytes 0-3/100"),
    *[
        _download(200, headers={"Range": other}, data=DATA, differs="Glance answers 416")
        for other in ("items=0-3", "lines=0-5,7-9", "seconds=1-", "nonsense")
    ],
    _download(416, given="active empty", headers={"Range": "bytes=0-"}),
    *[
        _download(400, headers={"Range": several}, says="one range in each request")
        for several in ("bytes=0-1,5-6", "bytes=0-1, 5-6", "bytes=-1,0-")
    ],
    _download(206, headers={"Content-Range": "bytes 0-9/*"}, data=DATA[:10], sends={"content-range": "bytes 0-9/100"}),
    _download(206, headers={"Content-Range": "bytes 0-9/100"}, data=DATA[:10]),
    _download(416, headers={"Content-Range": "bytes 200-300/*"}),
    _download(416, headers={"Content-Range": "bytes */100"}, source="25 (7)", differs="Glance answers 500"),
    _download(416, headers={"Content-Range": "nonsense"}),
    _download(416, headers={"Content-Range": "bytes 3-100/100"}, sends={"content-range": "bytes */100"}),
    _download(416, headers={"Content-Range": f"bytes 3-{BEYOND}/{BEYOND}"}),
    _download(206, headers={"Content-Range": f"bytes 90-{BEYOND}/*"}, data=DATA[90:]),
    _download(
        304,
        headers={"If-None-Match": "*"},
        data=b"",
        differs="Glance sends no ETag, and always all of the data",
    ),
    _download(200, headers={"If-None-Match": '"other"'}, data=DATA),
    _download(200, headers={"Range": "bytes=0-9", "If-Range": '"other"'}, data=DATA),
    *[
        _download(200, headers={"Range": "bytes=0-9", "If-Range": condition}, data=DATA)
        for condition in ("Thu, 26 Nov 2026 01:42:22 GMT", "yesterday", 'W/"other"')
    ],
    *[
        _download(200, headers={header: date}, data=DATA)
        for header in ("If-Modified-Since", "If-Unmodified-Since")
        for date in ("Thu, 26 Nov 2026 01:42:22 GMT", "yesterday", "Thu, 26 Nov 99999 01:42:22 GMT")
    ],
    _download(412, headers={"If-Match": '"other"'}, says="If-Match", differs="Glance sends no ETag"),
    _download(200, headers={"If-Match": "*"}, data=DATA),
    _head_of_data(
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
    _head_of_data(200, headers={"Range": "bytes=0-9"}, sends={"content-length": "100", "content-range": None}),
    _head_of_data(304, headers={"If-None-Match": "*"}),
    _head_of_data(412, headers={"If-Match": '"other"'}),
    _head_of_data(200, given="deactivated", sends={"content-length": "100"}),
    _head_of_data(200, given="active empty", sends={"content-length": "0"}),
    _head_of_data(204, given="queued"),
    _head_of_data(404, given="deleted"),
]

UPPER = NOBODY.replace("0", "A")  # an id in the spelling that some clients prefer
IDS = [
    _create({"id": "6BA7B810-9DAD-41D1-80B4-{N12}"}, gives={"id": "6ba7b810-9dad-41d1-80b4-{n12}"}),
    Row(source="4.3", given="active", request="GET /v2/images/{ID}", status=200, gives={"id": "{id}"}),
    _patch(_replace("name", "x"), source="4.4", given="queued", request="PATCH /v2/images/{ID}", status=200),
    _upload(DATA, 204, request="PUT /v2/images/{ID}/file", then={"status": "active"}),
    _download(200, request="GET /v2/images/{ID}/file", data=DATA),
    _head_of_data(200, request="HEAD /v2/images/{ID}/file"),
    Row(source="4.5", given="active", request="DELETE /v2/images/{ID}", status=204),
    Row(source="4.5", given="deleted", request="DELETE /v2/images/{ID}", status=404),
    Row(source="4.7", given="active", request="POST /v2/images/{ID}/actions/deactivate", status=204),
    Row(source="4.8", given="queued", request="PUT /v2/images/{ID}/tags/New", status=204, then={"tags": ["t", "New"]}),
    Row(source="6", given="queued", request="POST /v2/images/{ID}/members", json={"member": "P"}, status=200),
    Row(source="6", given="queued", request="GET /v2/images/{ID}/members", status=200),
    Row(source="7.4", given="queued", request="GET /v2/images/{ID}/tasks", status=200),
    Row(source="10", given="queued", request="GET /v2/images/{ID}/locations", status=200),
    _create({"id": "{ID}"}, 409, given="queued", says="already exists"),
    _create({"id": "{ID}"}, 409, given="deleted", says="already exists"),
    _bad_list(f"marker={UPPER}", f"No image found with ID {UPPER.lower()}"),
    *[
        Row(source="4.3", given="queued", request=f"GET /v2/images/{path}", status=404)
        for path in ("%7B{id}%7D", "{id}%0A", "%20{id}")
    ],
]

# A number of JSON is what it says, however it is written. Source: RFC 8259, section 6.
NUMBERS = [
    *[
        _create(
            None,
            body=b'{"min_disk": %b, "min_ram": %b}' % (text, text),
            gives={"min_disk": value, "min_ram": value},
            differs="Glance answers 400",
        )
        for text, value in ((b"10.0", 10), (b"1e1", 10), (b"1E+1", 10), (b"100e-1", 10), (b"-0.0", 0), (b"0e9", 0))
    ],
    *[
        _create(None, 400, body=b'{"min_disk": %b}' % text)
        for text in (
            b"10.5",
            b"-1.0",
            b"true",
            b'"10"',
            b"1e30",
            b"1e400",
            b"-1e400",
            b"1e999999999999",
            b"9" * 100_000,
            b"NaN",
            b"Infinity",
            b"1.",
            b"2147483648.0",
        )
    ],
    _create(None, 400, body=b'{"p": 1.0}', says="not of type 'string'"),
    *[
        _patch(
            source="4.4",
            given="queued",
            json=None,
            body=b'[{"op": "replace", "path": "/min_ram", "value": %b}]' % text,
            status=status,
            then={"min_ram": value},
        )
        for text, status, value in ((b"512.0", 200, 512), (b"5.12e2", 200, 512), (b"512.5", 400, 0), (b"true", 400, 0))
    ],
]

SCHEMAS = [
    Row(source="13.1", request="GET /v2/schemas/image", status=200, gives={"name": "image"}),
    Row(
        source="13.1",
        request="GET /v2/schemas/image",
        status=200,
        gives={"additionalProperties": {"type": "string"}},
        lacks=("type", "$schema", "required"),
        says='"enum":[null,"ami","ari","aki","vhd","vhdx","vmdk","raw","qcow2","vdi","iso","ploop"]',
    ),
    Row(source="13.1", request="GET /v2/schemas/images", status=200, gives={"name": "images"}),
    Row(source="13.1", request="GET /v2/schemas/nothing", status=404),
]

METADEFS = [
    *[
        Row(
            source="25 (7)",
            request="POST /v2/metadefs/namespaces",
            body=b'{"namespace": "never", "properties": {"p": {"title": "P", "type": "integer", "maximum": %b}}}'
            % text,
            status=400,
            says="Malformed JSON",
        )
        for text in (b"1e400", b"-1e400", b"NaN", b"1" * 5000)
    ],
    Row(source="25 (7)", request=f"GET /v2/metadefs/namespaces?limit={BEYOND}", status=200, differs="Glance: 500"),
    *[
        Row(source="25 (7)", request=f"GET /v2/metadefs/{path}", status=400, says=says, differs="Glance answers 500")
        for path, says in (
            ("namespaces?limit=x", "limit param must be an integer"),
            ("namespaces?sort_key=colour", "Invalid sort key: colour"),
            ("namespaces/OS::OperatingSystem/tags?limit=x", "limit param must be an integer"),
            ("namespaces/OS::OperatingSystem/objects?sort_key=colour", "Invalid sort key: colour"),
        )
    ],
    *[
        Row(
            source="11",
            request=f"{method} /v2/metadefs/namespaces/{path}",
            json={},
            status=404,
            differs="Glance leaves it to the database, and PostgreSQL refuses",
        )
        for method, path in (
            ("GET", "a%00b"),
            ("PUT", "a%00b"),
            ("DELETE", "a%00b"),
            ("GET", "OS::OperatingSystem/properties/a%00b"),
            ("PUT", "OS::OperatingSystem/objects/a%00b"),
            ("POST", "OS::OperatingSystem/tags/a%00b"),
            ("DELETE", "OS::OperatingSystem/resource_types/a%00b"),
        )
    ],
    *[
        Row(
            source="13.1",
            request="POST /v2/metadefs/namespaces/OS::OperatingSystem/properties",
            json={"name": "p", "title": "p", "type": "string", "pattern": pattern},
            status=400,
            says="'pattern'",
        )
        for pattern in ("(", "(" * 10_000, "(?:" * 5000 + ")" * 5000, "a{99999999999999}")
    ],
]

_NO_WEB = "http store must be enabled to use location API by normal user."


def _location(body: Any, status: int, **more: Any) -> Row:
    request = "POST /v2/images/{id}/locations"
    return Row(**{"source": "10", "given": "queued", "request": request, "json": body, "status": status, **more})


# The service of these rows shows no locations and has no store that reads the web; test_locations.py has both.
LOCATIONS = [
    *[
        _location({"url": url}, 403, says=_NO_WEB, then={"status": "queued"})
        for url in ("http://images.example/x", "https://images.example/x", "file:///etc/passwd", "rbd://a/b/c/d", "x")
    ],
    _location({}, 400),
    _location({"url": 5}, 400),
    _location({"url": "http://x", "validation_data": None}, 400),
    _location({"url": "http://x", "validation_data": "x"}, 400),
    _location({"url": "http://x", "validation_data": {"os_hash_algo": "sha512"}}, 400),
    _location({"url": "http://x", "validation_data": {"os_hash_algo": "md5", "os_hash_value": "0" * 31}}, 400),
    _location({"url": "http://x", "validation_data": {"os_hash_algo": "crc", "os_hash_value": "0" * 32}}, 400),
    _location({"url": "http://x"}, 404, request="POST /v2/images/00000000-0000-4000-8000-000000000000/locations"),
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
        _patch(operation, source="4.4", given="active", status=400, says="Invalid JSON pointer")
        for operation in (
            _add("locations", []),
            _replace("locations/0", {}),
            _remove("locations"),
            _add("locations/0/url", "x"),
            _add("tags/-", "x"),
        )
    ],
]

ROWS = {
    "urls": URLS,
    "headers": HEADERS,
    "bodies": BODIES,
    "errors": ERRORS,
    "create": CREATE,
    "show": SHOW,
    "update": UPDATE,
    "delete": DELETE,
    "list": LIST,
    "actions": ACTIONS,
    "tags": TAGS,
    "upload": UPLOAD,
    "download": DOWNLOAD,
    "ids": IDS,
    "numbers": NUMBERS,
    "locations": LOCATIONS,
    "schemas": SCHEMAS,
    "metadefs": METADEFS,
}
