"""To change an image: patches, actions, tags."""

from __future__ import annotations

from compatibility.image_api.requests import LONG, MD5, NOBODY, ODD_NAMES, V20, add, create, patch, remove, replace
from compatibility.rows import Row

UPDATE = [
    *[
        patch(
            replace("name", "x"),
            source="4.4",
            given="queued",
            headers={"Content-Type": media_type},
            status=415,
            says="Unsupported Content-Type",
            then={"name": "before"},
        )
        for media_type in ("application/json-patch+json", "application/openstack-images-v2.2-json-patch", "")
    ],
    patch(
        replace("name", "x"),
        source="4.4",
        given="queued",
        headers={"Content-Type": "application/openstack-images-v2.1-json-patch; charset=utf-8"},
        status=200,
        gives={"name": "x"},
    ),
    patch(source="4.4", given="queued", json={"op": "add"}, status=400, says="must be a JSON array of operation"),
    patch(source="4.4", given="queued", json=["add"], status=400, says="Operations must be JSON objects."),
    patch(source="4.4", given="queued", status=200, gives={"name": "before"}),
    *[
        patch(
            {"op": op, "path": "/name", "from": "/x", "value": "y"},
            source="4.4",
            given="queued",
            status=400,
            says=f"Invalid operation: `{op}`. It must be one of the following: add, remove, replace.",
            then={"name": "before"},
        )
        for op in ("move", "copy", "test", "frob")
    ],
    patch(
        add("one", "1"),
        replace("name", "x"),
        remove("one"),
        source="4.4",
        given="queued",
        status=200,
        gives={"name": "x"},
        lacks=("one",),
    ),
    patch(
        replace("name", "x"),
        remove("missing"),
        source="4.4",
        given="queued",
        status=409,
        says="Property missing does not exist.",
        then={"name": "before"},
    ),
    *[
        patch(
            {"op": op, "path": "/name"},
            source="4.4",
            given="queued",
            status=400,
            says=f'Operation "{op}" requires a member named "value".',
        )
        for op in ("add", "replace")
    ],
    patch({**remove("p"), "value": "ignored"}, source="4.4", given="queued", status=200, lacks=("p",)),
    *[
        patch(
            {"op": "add", "path": path, "value": "x"}, source="4.4", given="queued", status=400, then={"name": "before"}
        )
        for path in ("name", "", "/", "//name", "/name/", "/a//b", "/a~2", "/a~", "/p/q", "/tags/-", "/tags/0", 5, None)
    ],
    patch(add("a~1b~0c", "x"), source="4.4", given="queued", status=200, gives={"a/b~c": "x"}),
    patch(replace("nope", "x"), source="4.4", given="queued", status=409, says="Property nope does not exist."),
    patch(remove("nope"), source="4.4", given="queued", status=409, says="Property nope does not exist."),
    patch(add("p", "new"), source="4.4", given="queued", status=200, gives={"p": "new"}),
    patch(replace("p", "new"), source="4.4", given="queued", status=200, gives={"p": "new"}),
    patch(remove("p"), source="4.4", given="queued", status=200, lacks=("p",)),
    patch({"add": "/p", "value": "new"}, source="4.4", given="queued", headers=V20, status=409, says="already present"),
    patch({"add": "/q", "value": "new"}, source="4.4", given="queued", headers=V20, status=200, gives={"q": "new"}),
    patch(
        {"replace": "/name", "value": "x"}, source="4.4", given="queued", headers=V20, status=200, gives={"name": "x"}
    ),
    patch({"remove": "/p"}, source="4.4", given="queued", headers=V20, status=200, lacks=("p",)),
    patch({"move": "/p", "value": "/q"}, source="4.4", given="queued", headers=V20, status=400, says="`move`"),
    patch({"value": "x"}, source="4.4", given="queued", headers=V20, status=400),
    *[
        patch(remove(name), source="4.4", given="queued", status=403, says=f"Property {name} may not be removed.")
        for name in ("name", "visibility", "tags", "protected", "min_ram", "owner", "disk_format", "os_hidden")
    ],
    *[
        patch(replace(name, "x"), source="4.4", given="queued", status=403, says=f"Attribute '{name}' is read-only.")
        for name in ("id", "status", "size", "checksum", "created_at", "updated_at", "file", "self", "os_hash_value")
    ],
    *[
        patch(add(name, "x"), source="4.4", given="queued", status=403, says=f"Attribute '{name}' is reserved.")
        for name in ("deleted", "location", "os_glance_foo")
    ],
    *[
        patch(replace(name, None), source="4.4", given="active", status=403, says=name)
        for name in ("disk_format", "container_format")
    ],
    patch(replace("disk_format", "qcow2"), source="4.4", given="queued", status=200, gives={"disk_format": "qcow2"}),
    patch(
        replace("name", "x"),
        replace("protected", False),
        replace("os_hidden", False),
        replace("min_ram", 7),
        replace("min_disk", 8),
        replace("tags", ["b", "a", "b"]),
        source="4.4",
        given="active",
        status=200,
        gives={"name": "x", "min_ram": 7, "min_disk": 8, "tags": ["b", "a"], "checksum": MD5},
    ),
    *[
        patch(replace("visibility", each), source="4.4", given="queued", status=200, gives={"visibility": each})
        for each in ("public", "private", "community", "shared")
    ],
    *[
        patch(replace(name, value), source="4.4", given="queued", status=400, then={"name": "before", "min_ram": 0})
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
    patch(*[add(f"q{n}", "x") for n in range(128)], source="4.4", given="queued", status=413, lacks=("q0",)),
    patch(
        add("locations/-", {"url": "http://x", "metadata": {}}),
        source="4.4",
        given="queued",
        status=403,
        says="locations are invisible",
    ),
    patch(replace("locations", []), source="4.4", given="active", status=403, then={"status": "active"}),
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
    *[create({"tags": ["ok", tag]}, 400, says="one or two dots", differs="Glance takes it") for tag in ("", ".", "..")],
    patch(add("tags", ["t", ".."]), source="4.8", given="queued", status=400, says="one or two dots"),
    Row(source="4.8", given="queued", request="DELETE /v2/images/{id}/tags/t", status=204, then={"tags": []}),
    Row(source="4.8", given="queued", request="DELETE /v2/images/{id}/tags/T", status=404, then={"tags": ["t"]}),
    Row(source="4.8", request=f"PUT /v2/images/{NOBODY}/tags/t", status=404),
    Row(source="4.8", request=f"DELETE /v2/images/{NOBODY}/tags/t", status=404),
    Row(source="4.8", given="full of tags", request="PUT /v2/images/{id}/tags/more", status=413, says="Maximum: 128"),
    Row(source="4.8", given="full of tags", request="PUT /v2/images/{id}/tags/t5", status=204),
    Row(source="4.8", given="queued", request="GET /v2/images/{id}/tags/t", status=405, sends={"allow": "DELETE, PUT"}),
]
