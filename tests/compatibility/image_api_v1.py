"""The Image API v1 as its clients know it: one row a fact.

Every caller is an administrator of no project here (no authentication is configured); what others may do is in
tests/unit/images/v1.
"""

from __future__ import annotations

import hashlib
from typing import Any

from compatibility.rows import Row

META = "x-image-meta-"
OCTETS = {"Content-Type": "application/octet-stream"}
FORMATS = {f"{META}disk_format": "raw", f"{META}container_format": "bare"}
NOBODY = "00000000-0000-4000-8000-000000000000"
DATA = b"0123456789" * 10  # what the state "active" holds
MD5 = hashlib.md5(DATA).hexdigest()
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def _meta(**said: str) -> dict[str, str]:
    """Return headers that say this of an image; ``property_x`` is the property x."""
    return {META + name.replace("property_", "property-", 1): value for name, value in said.items()}


def _create(said: dict[str, str], status: int = 201, **more: Any) -> Row:
    return Row(
        **{"source": "15", "request": "POST /v1/images", "headers": {**FORMATS, **said}, "status": status, **more}
    )


def _bring(said: dict[str, str], status: int = 201, body: bytes = DATA, **more: Any) -> Row:
    return _create({**OCTETS, **said}, status, body=body, **more)


def _update(said: dict[str, str], status: int = 200, **more: Any) -> Row:
    return Row(
        **{
            "source": "15",
            "given": "queued",
            "request": "PUT /v1/images/{id}",
            "headers": said,
            "status": status,
            **more,
        }
    )


def _list(query: str, *names: str, **more: Any) -> Row:
    return Row(
        **{
            "source": "15",
            "given": "several",
            "request": f"GET /v1/images/detail?property-row={{mark}}&is_public=None&{query}",
            "status": 200,
            "names": names,
            **more,
        }
    )


def _bad_list(query: str, says: str) -> Row:
    return Row(source="15", request=f"GET /v1/images?{query}", status=400, says=says)


URLS = [
    Row(source="15", request="GET /versions", status=200, says='"id":"v1.1","status":"DEPRECATED"'),
    Row(source="15", request="GET /versions", status=200, says='"id":"v1.0","status":"DEPRECATED"'),
    Row(source="15", request="GET /versions", status=200, says='{"rel":"self","href":"{url}/v1/"}'),
    Row(source="15", request="GET /v1/images", status=200, says='{"images":['),
    Row(source="15", request="GET /v1.0/images", status=200, says='{"images":['),
    Row(source="15", request="GET /v1.1/images/detail", status=200, says='{"images":['),
    Row(source="15", request="GET /v1.2/images", status=300, says='"versions":['),
    Row(source="15", request="HEAD /v1/images/detail", status=200, data=b"", differs="Glance answers 405"),
    Row(source="15", request="HEAD /v1/images", status=200, data=b"", differs="Glance answers 405"),
    Row(source="15", request="PUT /v1/images", status=405, sends={"allow": "GET, HEAD, POST"}),
    Row(
        source="15",
        request="POST /v1/images/{id}",
        given="queued",
        status=405,
        sends={"allow": "DELETE, GET, HEAD, PUT"},
    ),
    Row(
        source="15",
        request="GET /v1/images/{id}/members/p2",
        given="queued",
        status=405,
        sends={"allow": "DELETE, PUT"},
    ),
    Row(
        source="15",
        request="POST /v1/images/{id}/members",
        given="queued",
        status=405,
        sends={"allow": "GET, HEAD, PUT"},
    ),
    Row(source="15", request="GET /v1/nothing", status=404),
    Row(source="15", request="GET /v1/images/", status=404),
    Row(
        source="2", request=f"GET /v1/images/{NOBODY}", headers={"Accept": "*/*"}, status=404, says="<h1>404 Not Found"
    ),
    Row(source="2", request=f"GET /v1/images/{NOBODY}", headers={"Accept": ""}, status=404, says="404 Not Found\n\n"),
]

CREATE = [
    _create(
        {**_meta(name="x", property_a="b", min_ram="512", min_disk="3", protected="False", is_public="True")},
        gives={
            "name": "x",
            "status": "queued",
            "size": 0,
            "checksum": None,
            "virtual_size": None,
            "disk_format": "raw",
            "container_format": "bare",
            "is_public": True,
            "protected": False,
            "min_ram": 512,
            "min_disk": 3,
            "deleted": False,
            "deleted_at": None,
            "owner": None,
        },
        says='"a":"b"',
        sends={"location": "{url}/v1/images/*", "content-type": "application/json", "etag": None},
    ),
    _create({}, gives={"is_public": False}, then={"visibility": "shared"}),
    _create(_meta(is_public="None"), gives={"is_public": False}, source="15 (CLI)"),
    _create(_meta(owner="p7"), gives={"owner": "p7"}),
    _create(
        {"X-Image-Meta-Name": "x", "X-IMAGE-META-PROPERTY-OS-Distro": "u"}, gives={"name": "x"}, says='"os_distro":"u"'
    ),
    _create({f"{META}is-public": "true", f"{META}min-ram": "7"}, gives={"is_public": True, "min_ram": 7}),
    _create(_meta(name="a%20b%C3%A9"), gives={"name": "a bé"}, source="19.1 (glanceclient 2.17)"),
    _create(_meta(name="100%25 sure"), gives={"name": "100%25 sure"}, source="15"),
    _create({f"{META}name": "é".encode().decode("latin-1")}, gives={"name": "é"}),
    _create(_meta(property_a=""), says='"a":""'),
    _create(_meta(id="AAAAAAAA-0000-4000-9000-{n12}"), gives={"id": "aaaaaaaa-0000-4000-9000-{n12}"}),
    _create(_meta(id="nonsense"), 400, says="id"),
    _create(_meta(id="{id}"), 409, given="queued", says="already exists"),
    _create(_meta(id="{id}"), 409, given="deleted", says="already exists"),
    _create(
        _meta(status="active", created_at="2001-01-01T00:00:00", deleted="True"),
        gives={"status": "queued", "deleted": False},
    ),
    _create(
        _meta(virtual_size="None", checksum="None", deleted_at=""), gives={"checksum": None}, source="15 (replicator)"
    ),
    *[
        _create({f"{META}{name}": "x"}, 400, says=f"Bad header: {META}{name}")
        for name in ("visibility", "tags", "os_hidden", "direct_url", "foo")
    ],
    _create(_meta(size="many"), 400, says="Cannot convert image size 'many' to an integer"),
    _create(_meta(size="-1"), 400, says="Cannot be a negative value"),
    _create(_meta(min_ram="1.5"), 400, says="min_ram"),
    _create(_meta(min_disk="99999999999999999999"), 400, says="min_disk"),
    _create(_meta(is_public="maybe"), 400, says="True or False"),
    _create(_meta(name="x" * 256), 400, says="'name'"),
    _create(_meta(disk_format="floppy"), 400, says="disk_format"),
    _create(_meta(container_format="tar"), 400, says="container_format"),
    _create(_meta(store="nowhere"), 400, says="no store 'nowhere'"),
    _create({f"{META}property-status": "x"}, 403, says="'status' is reserved"),
    _create({f"{META}property-os_glance_x": "x"}, 403, says="reserved"),
    _create({f"{META}property-": "x"}, 400, says="names no property"),
    _create({f"{META}name": "\xff"}, 400, says="UTF-8"),
    _create({f"{META}property-p{n}": "x" for n in range(60)}, says='"p59":"x"'),
    _create({**_meta(disk_format="ami"), f"{META}container_format": "ami"}, gives={"container_format": "ami"}),
    *[
        _create(
            {f"{META}disk_format": kind, f"{META}container_format": ""},
            gives={"container_format": kind, "disk_format": kind},
        )
        for kind in ("aki", "ari", "ami")
    ],
    _create({f"{META}disk_format": "", f"{META}container_format": "ami"}, gives={"disk_format": "ami"}),
    _create(_meta(disk_format="aki"), 400, says="Invalid mix of disk and container formats"),
    _create({**_meta(disk_format="ami"), f"{META}container_format": "aki"}, 400, says="Invalid mix"),
    _create(_meta(size="0"), gives={"status": "active", "size": 0, "checksum": EMPTY_MD5}),
    _create(
        {f"{META}size": "0", f"{META}disk_format": "", f"{META}container_format": ""},
        gives={"status": "active", "disk_format": None},
        source="19.4 (Nova, v1)",
    ),
    _create(_meta(size="12345"), gives={"status": "queued", "size": 12345}),
    _create(_meta(size=str(2 << 40)), 413, says="larger than"),
]

SOURCES = [
    _bring({**_meta(location="http://127.0.0.1/x")}, 400, says="multiple image sources"),
    _bring({"x-glance-api-copy-from": "http://127.0.0.1/x"}, 400, says="multiple image sources"),
    _create(
        {**_meta(location="http://127.0.0.1/x"), "x-glance-api-copy-from": "http://127.0.0.1/x"}, 400, says="multiple"
    ),
    *[
        _create({header: url}, 400, source="15, 20")
        for header in ("x-glance-api-copy-from", f"{META}copy_from", f"{META}location")
        for url in (
            "file:///etc/passwd",
            "filesystem:///etc/passwd",
            "swift+config://a/b",
            "nonsense",
            "http://0x7f000001/",
        )
    ],
    _create({"x-glance-api-copy-from": "http://169.254.169.254/latest"}, 400, says="refused", source="20.2"),
    _create({"x-glance-api-copy-from": "http://user:secret@127.0.0.1/x"}, 400, says="user name", source="20.2"),
]

DATA_IN = [
    _bring({}, gives={"status": "active", "size": 100, "checksum": MD5, "virtual_size": 100}, sends={"etag": MD5}),
    _bring({"Transfer-Encoding": "chunked"}, gives={"status": "active", "size": 100}),
    _bring(_meta(size="100", checksum=MD5), gives={"status": "active"}),
    _bring(_meta(size="100", checksum=MD5.upper()), gives={"checksum": MD5}),
    _bring({**_meta(size="99"), **_meta(name="k{mark}")}, 400, says="Size mismatch", source="15 (killed)"),
    _bring(_meta(size="101"), 400, says="Size mismatch"),
    _bring(_meta(checksum="0" * 32), 400, says="Checksum mismatch"),
    _create(_meta(checksum="sha"), 400, says="32 hexadecimal digits", differs="no data could have it"),
    _bring({"Content-Type": "text/plain"}, 400, says="Content-Type must be application/octet-stream"),
    _bring({"Content-Type": ""}, 400, says="Content-Type must be application/octet-stream"),
    _bring({f"{META}disk_format": ""}, 400, says="Property disk_format must be set"),
    _bring({f"{META}container_format": ""}, 400, says="Property container_format must be set"),
    _bring(_meta(disk_format="qcow2"), 415, says="does not match", source="2.2"),
    _update(OCTETS, body=DATA, gives={"status": "active", "checksum": MD5, "size": 100}, sends={"etag": MD5}),
    _update({**OCTETS, **_meta(size="7")}, 400, body=DATA, says="Size mismatch", then={"status": "killed"}),
    _update({**OCTETS, **_meta(checksum="0" * 32)}, 400, body=DATA, says="Checksum", then={"status": "killed"}),
    _update(OCTETS, 400, given="announced", body=DATA, says="expected 7 bytes", then={"status": "killed"}),
    _update(OCTETS, 409, given="active", body=DATA, says="Cannot upload to an unqueued image"),
    _update(OCTETS, 409, given="deactivated", body=DATA, says="Cannot upload to an unqueued image"),
    _update({**OCTETS, "Content-Type": "text/plain"}, 400, body=DATA, then={"status": "queued"}),
    _update(
        OCTETS,
        400,
        given="formless",
        body=DATA,
        says="disk_format and container_format must be set",
        then={"status": "queued"},
    ),
    _update({**OCTETS, **_meta(property_new="1")}, body=DATA, says='"p":"old"'),  # data never purges
]

UPDATE = [
    _update(_meta(name="after"), gives={"name": "after", "properties": {}}),  # a change purges
    _update({**_meta(property_new="1"), "x-glance-registry-purge-props": "true"}, gives={"properties": {"new": "1"}}),
    _update({"x-glance-registry-purge-props": "False", **_meta(property_new="1")}, says='"p":"old"'),
    _update({"x-glance-registry-purge-props": "false"}, gives={"name": "before"}, says='"p":"old"'),
    _update(_meta(property_p="new"), says='"p":"new"'),
    _update(_meta(is_public="True"), gives={"is_public": True}, then={"visibility": "public"}),
    _update(_meta(is_public="False"), given="public", gives={"is_public": False}, then={"visibility": "shared"}),
    _update(_meta(is_public="False"), given="private", gives={"is_public": False}, then={"visibility": "private"}),
    _update(_meta(name="x"), given="private", gives={"name": "x"}, then={"visibility": "private"}),
    _update(_meta(protected="True"), gives={"protected": True}),
    _update(_meta(owner="p9"), gives={"owner": "p9"}),
    _update(_meta(status="active"), 403, says="Forbidden to modify 'status'", source="20 (OSSA-2015-019)"),
    _update(_meta(status="queued"), gives={"status": "queued"}),
    _update(
        _meta(status="queued"), 403, given="active", says="Forbidden to modify 'status'", source="20 (OSSA-2015-019)"
    ),
    _update(_meta(id=NOBODY), 403, says="Forbidden to modify 'id'"),
    _update(_meta(id="{id}"), gives={"id": "{id}"}),
    _update(
        _meta(size="5"),
        403,
        given="active",
        says="Forbidden to modify 'size' of active image",
        differs="an admin could",
    ),
    _update(
        _meta(checksum="0" * 32), 403, given="active", says="Forbidden to modify 'checksum'", differs="an admin could"
    ),
    _update(_meta(size="100", checksum=MD5, status="active"), given="active", gives={"size": 100}),
    _update(_meta(disk_format="qcow2"), 403, given="active", says="disk_format", differs="Glance's v1 did it"),
    _update(_meta(disk_format="qcow2"), gives={"disk_format": "qcow2"}),
    _update(_meta(disk_format="aki"), gives={"disk_format": "aki", "container_format": "aki"}),
    _update(_meta(size="77", checksum=MD5), gives={"size": 77, "checksum": MD5}),
    _update(_meta(foo="x"), 400, says="Bad header"),
    _update(_meta(name="x"), 403, given="deleted", says="Forbidden to update deleted image"),
    _update({"x-glance-api-copy-from": "http://203.0.114.1/x"}, 400, given="active", says="not in queued status"),
    Row(source="15", request=f"PUT /v1/images/{NOBODY}", status=404),
]

SHOW = [
    Row(
        source="15",
        given="active",
        request="HEAD /v1/images/{id}",
        status=200,
        data=b"",
        sends={
            "x-image-meta-id": "{id}",
            "x-image-meta-status": "active",
            "x-image-meta-size": "100",
            "x-image-meta-checksum": MD5,
            "x-image-meta-is_public": "False",
            "x-image-meta-protected": "False",
            "x-image-meta-deleted": "False",
            "x-image-meta-deleted_at": "",
            "x-image-meta-owner": "",
            "x-image-meta-min_ram": "0",
            "x-image-meta-created_at": "20??-??-??T??:??:??",
            "x-image-meta-property-row": "{mark}",
            "x-image-meta-location": None,
            "etag": MD5,
            "location": "{url}/v1/images/{id}",
            "content-length": "100",
            "content-type": "application/octet-stream",
        },
        differs="Glance says of the length that it is 0, which is not what GET sends",
    ),
    Row(source="15", given="queued", request="HEAD /v1/images/{id}", status=200, sends={"content-length": "0"}),
    Row(source="15", given="active", request="HEAD /v1/images/{ID}", status=200, sends={"x-image-meta-id": "{id}"}),
    Row(source="15", given="active", request="GET /v1/images/{ID}", status=200, sends={"x-image-meta-id": "{id}"}),
    Row(source="15", given="active", request="DELETE /v1/images/{ID}", status=200),
    Row(source="15", given="active", request="GET /v1/images/{ID}/members", status=200),
    Row(source="15", given="active", request="GET /v1/images?marker={ID}&limit=0", status=200),
    Row(source="15", request="GET /v1/images?limit=1" + "0" * 30, status=200),
    Row(source="15", request="GET /v1/images?size_min=1" + "0" * 30, status=200, names=()),
    Row(source="15", request="GET /v1/images?name=debian:12", status=200, names=()),
    Row(source="15", request="PUT /v1/images/detail", status=405, sends={"allow": "GET, HEAD"}),
    Row(
        source="15",
        given="active",
        request="GET /v1/images/{id}",
        status=200,
        data=DATA,
        sends={
            "content-length": "100",
            "content-type": "application/octet-stream",
            "etag": MD5,
            "x-image-meta-status": "active",
            "x-image-meta-location": None,
        },
    ),
    Row(source="15", given="queued", request="GET /v1/images/{id}", status=404, says="is not active"),
    Row(source="15", given="queued", request="HEAD /v1/images/{id}", status=200, sends={"x-image-meta-size": "0"}),
    Row(source="15", given="deleted", request="GET /v1/images/{id}", status=404),
    Row(
        source="15",
        given="deleted",
        request="HEAD /v1/images/{id}",
        status=200,
        sends={
            "x-image-meta-status": "deleted",
            "x-image-meta-deleted": "True",
            "x-image-meta-deleted_at": "20??-??-??T??:??:??",
        },
    ),
    Row(source="15", request=f"HEAD /v1/images/{NOBODY}", status=404),
    Row(
        source="15",
        given="odd",
        request="HEAD /v1/images/{id}",
        status=200,
        sends={"x-image-meta-name": "a%0Ab: c", "x-image-meta-property-two%20words": "x"},
    ),
    Row(source="15", given="active", request="DELETE /v1/images/{id}", status=200, data=b""),
    Row(source="15", given="protected", request="DELETE /v1/images/{id}", status=403, says="protected"),
    Row(source="15", given="deleted", request="DELETE /v1/images/{id}", status=404),
    Row(source="15", request=f"DELETE /v1/images/{NOBODY}", status=404),
]

ALL = ("d", "c", "b", "a")  # what the state "several" makes, newest first
LISTS = [
    _list("", *ALL),
    _list("sort_dir=asc", "a", "b", "c", "d"),
    _list("sort_key=name&sort_dir=asc", "a", "b", "c", "d"),
    _list("sort_key=size&sort_dir=desc&limit=2", "a", "c"),
    _list("limit=2", "d", "c"),
    _list("limit=0"),
    _list("marker={id}&sort_dir=asc", "b", "c", "d"),
    _list("name=b", "b"),
    _list("status=active", "c", "a"),
    _list("status=queued", "d", "b"),
    _list("disk_format=qcow2", "b"),
    _list("container_format=ovf", "d"),
    _list("min_ram=512", "b"),
    _list("min_disk=3", "b"),
    _list("size_min=50", "a"),
    _list("size_min=1&size_max=50", "c"),
    _list("protected=True", "b"),
    _list("protected=0", "d", "c", "a"),
    _list("property-os=u", "c", "a"),
    _list("property-os=u&property-kind=x", "a"),
    _list("deleted=False", *ALL),
    _list("changes-since=2001-01-01T00:00:00", *ALL),
    _list("changes-since=2001-01-01T00:00:00%2B02:00", *ALL),
    _list("changes-since=2101-01-01T00:00:00Z"),
    _list("something=else", *ALL),
    Row(
        source="15",
        given="several",
        request="GET /v1/images/detail?property-row={mark}&is_public=True",
        status=200,
        names=("c",),
        differs="an admin without a project has no own images; Glance too shows the public ones",
    ),
    Row(
        source="15",
        given="several",
        request="GET /v1/images?property-row={mark}&is_public=False",
        status=200,
        names=("d", "b", "a"),
    ),
    Row(
        source="15",
        given="deleted",
        request="GET /v1/images/detail?property-row={mark}&deleted=True",
        status=200,
        names=("gone",),
    ),
    Row(
        source="15",
        given="deleted",
        request="GET /v1/images/detail?property-row={mark}&is_public=None&changes-since=2001-01-01",
        status=200,
        names=("gone",),
        says='"status":"deleted"',
    ),
    Row(
        source="15",
        given="deleted",
        request="GET /v1/images/detail?property-row={mark}&is_public=None",
        status=200,
        names=(),
    ),
    Row(source="15", given="killed", request="GET /v1/images?property-row={mark}&is_public=None", status=200, names=()),
    Row(
        source="15",
        given="active",
        request="GET /v1/images?property-row={mark}&is_public=None",
        status=200,
        says=f'"name":null,"disk_format":"raw","container_format":"bare","size":100,"checksum":"{MD5}"',
    ),
    _bad_list("limit=x", "limit param must be an integer"),
    _bad_list("limit=-1", "limit param must be positive"),
    _bad_list("marker=x", "Invalid marker format"),
    _bad_list(f"marker={NOBODY}", NOBODY),
    _bad_list("sort_key=colour", "Unsupported sort_key"),
    _bad_list("sort_dir=up", "Unsupported sort_dir"),
    _bad_list("size_min=x", "Bad value passed to filter size_min got 'x'"),
    _bad_list("size_max=-1", "size_max"),
    _bad_list("min_ram=x", "min_ram"),
    _bad_list("is_public=x", "None, True or False"),
    _bad_list("protected=x", "protected"),
    _bad_list("deleted=x", "deleted"),
    _bad_list("changes-since=yesterday", "Unrecognized changes-since value"),
]

_ONE: dict[str, Any] = {"memberships": [{"member_id": "p3", "can_share": True}]}
MEMBERS = [
    Row(source="15", given="queued", request="GET /v1/images/{id}/members", status=200, data=b'{"members":[]}'),
    Row(
        source="15",
        given="shared",
        request="GET /v1/images/{id}/members",
        status=200,
        data=b'{"members":[{"member_id":"p1","can_share":true},{"member_id":"p2","can_share":false}]}',
    ),
    Row(source="15", given="queued", request="PUT /v1/images/{id}/members/p2", status=204, data=b""),
    Row(
        source="15",
        given="queued",
        request="PUT /v1/images/{id}/members/p2",
        json={"member": {"can_share": True}},
        status=204,
    ),
    Row(source="15", given="shared", request="PUT /v1/images/{id}/members/p1", status=204),
    Row(
        source="15",
        given="queued",
        request="PUT /v1/images/{id}/members/p2",
        json={"x": 1},
        status=400,
        says="membership",
    ),
    Row(source="15", given="shared", request="PUT /v1/images/{id}/members", json=_ONE, status=204, data=b""),
    Row(source="15", given="shared", request="PUT /v1/images/{id}/members", json={"memberships": []}, status=204),
    Row(source="15", given="queued", request="PUT /v1/images/{id}/members", json={}, status=400, says="memberships"),
    Row(source="15", given="queued", request="PUT /v1/images/{id}/members", status=400),
    Row(
        source="15",
        given="queued",
        request="PUT /v1/images/{id}/members",
        json={"memberships": [{}]},
        status=400,
        says="member_id",
    ),
    Row(
        source="15",
        given="queued",
        request="PUT /v1/images/{id}/members",
        json={"memberships": [{"member_id": "x", "can_share": "yes"}]},
        status=400,
        says="can_share",
    ),
    Row(source="15", given="private", request="PUT /v1/images/{id}/members/p2", status=403, says="private"),
    Row(source="15", given="public", request="PUT /v1/images/{id}/members/p2", status=204),
    Row(source="15", given="shared", request="DELETE /v1/images/{id}/members/p1", status=204, data=b""),
    Row(source="15", given="shared", request="DELETE /v1/images/{id}/members/p9", status=404),
    Row(source="15", request=f"GET /v1/images/{NOBODY}/members", status=404),
    Row(source="15", request=f"PUT /v1/images/{NOBODY}/members/p1", status=404),
    Row(source="15", request="GET /v1/shared-images/nobody-{n12}", status=200, data=b'{"shared_images":[]}'),
    Row(
        source="15",
        given="shared",
        request="GET /v1/shared-images/p1",
        status=200,
        says='{"image_id":"{id}","can_share":true}',
    ),
    # In v2 the member has accepted. Source: OSSN-0005: v1 has no step of acceptance.
    Row(source="15", given="shared", request="GET /v2/images/{id}/members", status=200, says='"status":"accepted"'),
]

ROWS = {
    "urls": URLS,
    "create": CREATE,
    "sources": SOURCES,
    "data": DATA_IN,
    "update": UPDATE,
    "show": SHOW,
    "lists": LISTS,
    "members": MEMBERS,
}
