"""To create, show and delete an image; ids and numbers as clients write them."""

from __future__ import annotations

from compatibility.image_api.requests import (
    ABSENT,
    DATA,
    LONG,
    MD5,
    NOBODY,
    bad_list,
    create,
    download,
    head_of_data,
    patch,
    replace,
    upload,
)
from compatibility.rows import Row

CREATE = [
    create(
        {},
        gives={
            **ABSENT,
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
    create({"name": "x", "os_distro": "ubuntu"}, gives={"name": "x", "os_distro": "ubuntu"}, source="4.1"),
    create({"id": "AAAAAAAA-0000-4000-8000-{n12}"}, gives={"id": "aaaaaaaa-0000-4000-8000-{n12}"}),
    *[
        create({name: value}, 403, says=f"Attribute '{name}' is read-only.")
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
        create({name: "x"}, 403, says=f"Attribute '{name}' is reserved.")
        for name in ("location", "deleted", "deleted_at", "os_glance_foo", "os_glance_importing_to_stores")
    ],
    create({"locations": [{"url": "file:///etc/passwd", "metadata": {}}]}, 403, says="reserved"),
    create({"deleted": True}, 400, says="'deleted'"),
    *[
        create(
            {name: "0"},
            403,
            says=f"Attribute '{name}' is read-only.",
            source="25 (14)",
            differs="Glance accepts and ignores it",
        )
        for name in ("os_hash_algo", "os_hash_value")
    ],
    create({"id": "{id}"}, 409, given="queued", says="Image ID {id} already exists!"),
    create({"id": "{id}"}, 409, given="deleted", says="Image ID {id} already exists!"),
    *[
        create({"id": bad}, 400, says="'id'")
        for bad in ("not-a-uuid", "", NOBODY + "0", NOBODY + "\n", f"{{{NOBODY}}}", NOBODY.replace("-", ""), 5, None)
    ],
    *[
        create({name: value}, 400, says=f"'{name}'")
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
    create({"tags": ["ok", LONG]}, 400, says="tags/1"),
    create({"tags": [5]}, 400, says="tags/0"),
    create({LONG: "x"}, 400, says="255 characters"),
    create({"": "x"}, 400, says="not empty"),
    create({"min_ram": 2**31 - 1, "min_disk": 2**31 - 1}, gives={"min_ram": 2**31 - 1, "min_disk": 2**31 - 1}),
    create({"name": "x" * 255}, gives={"name": "x" * 255}),
    create(
        {"name": "😀", "😀": "x"},
        gives={"name": "😀", "😀": "x"},
        differs="Glance refuses characters beyond the first 65 536 code points, which its MySQL tables cannot hold",
    ),
    create({"tags": ["b", "a", "b"]}, gives={"tags": ["b", "a"]}, source="4.1"),
    create({f"p{number}": "x" for number in range(128)}, gives={"p127": "x"}),
    create({f"p{number}": "x" for number in range(129)}, 413, says="Maximum: 128"),
    create({"tags": [f"t{number}" for number in range(129)]}, 413, says="Maximum: 128"),
    create({"owner": "another", "visibility": "public"}, gives={"owner": "another", "visibility": "public"}),
    create({"visibility": "community"}, gives={"visibility": "community"}),
    create({"name": "x\x00y"}, 400, differs="Glance stores it where the database can"),
]

SHOW = [
    Row(source="4.3", given="queued", request="GET /v2/images/{id}", status=200, gives={"id": "{id}", **ABSENT}),
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


UPPER = NOBODY.replace("0", "A")  # an id in the spelling that some clients prefer
IDS = [
    create({"id": "6BA7B810-9DAD-41D1-80B4-{N12}"}, gives={"id": "6ba7b810-9dad-41d1-80b4-{n12}"}),
    Row(source="4.3", given="active", request="GET /v2/images/{ID}", status=200, gives={"id": "{id}"}),
    patch(replace("name", "x"), source="4.4", given="queued", request="PATCH /v2/images/{ID}", status=200),
    upload(DATA, 204, request="PUT /v2/images/{ID}/file", then={"status": "active"}),
    download(200, request="GET /v2/images/{ID}/file", data=DATA),
    head_of_data(200, request="HEAD /v2/images/{ID}/file"),
    Row(source="4.5", given="active", request="DELETE /v2/images/{ID}", status=204),
    Row(source="4.5", given="deleted", request="DELETE /v2/images/{ID}", status=404),
    Row(source="4.7", given="active", request="POST /v2/images/{ID}/actions/deactivate", status=204),
    Row(source="4.8", given="queued", request="PUT /v2/images/{ID}/tags/New", status=204, then={"tags": ["t", "New"]}),
    Row(source="6", given="queued", request="POST /v2/images/{ID}/members", json={"member": "P"}, status=200),
    Row(source="6", given="queued", request="GET /v2/images/{ID}/members", status=200),
    Row(source="7.4", given="queued", request="GET /v2/images/{ID}/tasks", status=200),
    Row(source="10", given="queued", request="GET /v2/images/{ID}/locations", status=200),
    create({"id": "{ID}"}, 409, given="queued", says="already exists"),
    create({"id": "{ID}"}, 409, given="deleted", says="already exists"),
    bad_list(f"marker={UPPER}", f"No image found with ID {UPPER.lower()}"),
    *[
        Row(source="4.3", given="queued", request=f"GET /v2/images/{path}", status=404)
        for path in ("%7B{id}%7D", "{id}%0A", "%20{id}")
    ],
]

# A number of JSON is what it says, however it is written. Source: RFC 8259, section 6.
NUMBERS = [
    *[
        create(
            None,
            body=b'{"min_disk": %b, "min_ram": %b}' % (text, text),
            gives={"min_disk": value, "min_ram": value},
            differs="Glance answers 400",
        )
        for text, value in ((b"10.0", 10), (b"1e1", 10), (b"1E+1", 10), (b"100e-1", 10), (b"-0.0", 0), (b"0e9", 0))
    ],
    *[
        create(None, 400, body=b'{"min_disk": %b}' % text)
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
    create(None, 400, body=b'{"p": 1.0}', says="not of type 'string'"),
    *[
        patch(
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
