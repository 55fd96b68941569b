"""Images in the Compute API as its clients know them: one row a fact.

``ann`` is a member of project ``a``, ``ray`` a reader of it, ``bob`` a member of project ``b``. The images of ``given``
are ann's. Sources: "api-ref" is the reference of the Compute API v2.1 (images, image metadata, faults, microversions).
"""

from __future__ import annotations

from typing import Any

from compatibility.rows import Row

NOBODY = "00000000-0000-4000-8000-000000000000"
SERVER = "3f1c4ad2-6f0a-4c0a-9a51-6ea4ad0d2b5c"
V = "/compute/v2.1"


def _row(request: str, status: int, **more: Any) -> Row:
    return Row(**{"who": "ann", "source": "api-ref", "request": request, "status": status, **more})


def _show(**more: Any) -> Row:
    return _row(f"GET {V}/images/{{id}}", 200, **{"given": "snapshot", **more})


def _list(query: str, *names: str, **more: Any) -> Row:
    request = f"GET {V}/images/detail?property-row={{mark}}&{query}"
    return _row(request, 200, **{"given": "several", "names": names, **more})


def _metadata(request: str, status: int, path: str = "/metadata", **more: Any) -> Row:
    method = request
    return _row(f"{method} {V}/images/{{id}}{path}", status, **{"given": "snapshot", **more})


def _at(version: str, request: str, status: int, header: str = "X-OpenStack-Nova-API-Version", **more: Any) -> Row:
    return _row(request, status, **{"given": "snapshot", "headers": {header: version}, **more})


VERSIONS = [
    _row("GET /compute", 200, who="nobody", says='"id":"v2.1","status":"CURRENT","version":"2.35","min_version":"2.1"'),
    _row("GET /compute/", 200, who="nobody", says='"id":"v2.0","status":"SUPPORTED","version":"","min_version":""'),
    _row(f"GET {V}", 200, who="nobody", says='{"version":{"id":"v2.1"'),
    _row(f"GET {V}/", 200, who="nobody", says='{"rel":"self","href":"{url}/compute/v2.1/"}'),
    _row(f"GET {V}/", 200, who="nobody", says='"type":"application/vnd.openstack.compute+json;version=2.1"'),
    _row("GET /compute/v2/", 200, who="nobody", says='{"version":{"id":"v2.0"'),
    _row("GET /compute/v3/", 404, who="nobody", says='{"itemNotFound":{"code":404'),
    _row(f"GET {V}/images", 401, who="nobody"),
    _row("GET /compute/v2/a/images", 401, who="nobody"),
]

SHOW = [
    _show(gives={"id": "{id}", "name": "n", "status": "ACTIVE", "progress": 100, "minRam": 512, "minDisk": 3}),
    _show(gives={"OS-EXT-IMG-SIZE:size": 100}),
    _show(says='"metadata":{'),
    _show(gives={"OS-DCF:diskConfig": "AUTO"}),
    _show(says=f'"server":{{"id":"{SERVER}","links":[{{"rel":"self","href":"{{url}}{V}/servers/{SERVER}"}}'),
    _show(says=f'{{"rel":"bookmark","href":"{{url}}/compute/servers/{SERVER}"}}'),
    _show(says=f'{{"rel":"self","href":"{{url}}{V}/images/{{id}}"}}'),
    _show(says='{"rel":"bookmark","href":"{url}/compute/images/{id}"}'),
    _show(
        says='{"rel":"alternate","type":"application/vnd.openstack.image","href":"{url}/v2/images/{id}"}',
        differs="Nova names a path that Glance does not have",
    ),
    _show(given="queued", gives={"status": "SAVING", "progress": 25, "OS-EXT-IMG-SIZE:size": 0}),
    _show(given="queued", lacks=("server", "OS-DCF:diskConfig")),
    _show(given="deactivated", gives={"status": "UNKNOWN", "progress": 0}),
    _row(f"GET {V}/a/images/{{id}}", 200, given="queued", says=f'"href":"{{url}}{V}/a/images/{{id}}"'),
    _row("GET /compute/v2/a/images/{id}", 200, given="queued", says='"href":"{url}/compute/v2/a/images/{id}"'),
    _row("GET /compute/v2/images/{id}", 200, given="queued", gives={"id": "{id}"}),
    _row(f"GET {V}/images/{{ID}}", 200, given="queued", gives={"id": "{id}"}),
    _row(f"GET {V}/b/images/{{id}}", 400, given="queued", says="URL's project_id 'b' doesn't match Context's"),
    _row(f"GET {V}/images/{NOBODY}", 404, says='{"itemNotFound":{"code":404,"message":"'),
    _row(f"GET {V}/images/nothing", 404, says='{"itemNotFound":'),
    _row(f"GET {V}/images/{{id}}", 404, given="queued", who="bob", says="No image found with ID {id}"),
    _row(f"HEAD {V}/images/{NOBODY}", 404, data=b""),
    _row(f"POST {V}/images", 405, json={}, says='{"badMethod":{"code":405', sends={"allow": "GET, HEAD"}),
    _row(f"GET {V}/servers", 404, says='{"itemNotFound":'),
    _row(f"GET {V}/flavors/detail", 404, says='{"itemNotFound":'),
]

# Source: what the clients sent to this service; Nova's URL map and its router took it.
SPELLINGS = [
    _row(f"GET {V}/a//images/{{id}}/metadata", 200, given="snapshot", says='"kind":"x"', source="fog-openstack 1.0.8"),
    _row(f"GET {V}//images/{{id}}", 200, given="queued", gives={"id": "{id}"}, source="fog-openstack 1.0.8"),
    _row(f"GET {V}//images/{{id}}", 401, given="queued", who="nobody", source="fog-openstack 1.0.8"),
    _row("GET /compute//v2.1/images", 404, source="fog-openstack 1.0.8"),
    _row("GET /compute//v2.1/images", 404, who="nobody", source="fog-openstack 1.0.8"),
    _row(f"GET {V}//", 404, source="fog-openstack 1.0.8"),
    _row("GET /compute/v2/a/images.json", 200, given="queued", says='"images":[', source="fog 1"),
    _row("GET /compute/v2/a/images/detail.json?status=SAVING", 200, given="queued", says='"minRam"', source="fog 1"),
    _row("GET /compute/v2/a/images/{id}.json", 200, given="queued", gives={"id": "{id}"}, source="fog 1"),
    _row("GET /compute/v2/a//images/{id}/metadata.json", 200, given="snapshot", says='"kind":"x"', source="fog 1"),
    _row(f"GET {V}/images/{{id}}/metadata/kind.json", 404, given="snapshot", says="has no 'kind.json'"),
    _row(f"GET {V}/images/{{id}}//metadata//kind", 200, given="snapshot", says='{"meta":{"kind":"x"}}'),
]

LISTS = [
    _list("", "d", "c", "b", "a"),
    _list("name=c", "c"),
    _list("name=nothing"),
    _list("status=ACTIVE", "c", "a"),
    _list("status=active", "c", "a"),
    _list("status=SAVING", "d", "b"),
    _list("status=queued", "d", "b"),
    _list("status=DELETED"),
    _list("status=ERROR"),
    _list("status=nonsense"),
    _list("minRam=512", "b"),
    _list("minDisk=3", "b"),
    _list("minDisk=0&name=a", "a"),
    _list(f"server={SERVER}", "c"),
    _list(f"server=http://nova.example.org/v2.1/servers/{SERVER}", "c"),
    _list("server=other"),
    _list("type=snapshot", "c"),
    _list("type=base"),
    _list("property-os=u", "c", "a"),
    _list("changes-since=2001-01-01T00:00:00Z", "d", "c", "b", "a"),
    _list("changes-since=2001-01-01T00:00:00%2B02:00", "d", "c", "b", "a"),
    _list("changes-since=2199-01-01T00:00:00"),
    _list("limit=2", "d", "c", says='"images_links":[{"rel":"next","href":"{url}/compute/v2.1/images/detail?'),
    _list("limit=2", "d", "c", says="&limit=2&marker="),
    _list("marker={id}"),
    _list("limit=0"),
    _list("unheard=of", "d", "c", "b", "a"),
    _list("status=ACTIVE", who="bob"),
    _row(
        f"GET {V}/images?property-row={{mark}}&limit=1",
        200,
        given="several",
        says="{url}/compute/v2.1/images?",
        names=("d",),
    ),
    _row(f"GET {V}/images?property-row={{mark}}", 200, given="queued", says='{"id":"{id}","name":"n","links":['),
    _row(f"GET {V}/a/images?property-row={{mark}}&limit=1", 200, given="queued", says="{url}/compute/v2.1/a/images?"),
    _row(f"GET {V}/images?limit=x", 400, says='{"badRequest":{"code":400,"message":"limit param must be an integer'),
    _row(f"GET {V}/images?limit=-1", 400, says="limit param must be positive"),
    _row(f"GET {V}/images?marker=x", 400, says="marker [x] not found"),
    _row(f"GET {V}/images?marker={NOBODY}", 400, says='{"badRequest":'),
    _row(f"GET {V}/images?minRam=x", 400, says="minRam='x'"),
    _row(f"GET {V}/images?minDisk=-1", 400, says="minDisk='-1'"),
    _row(f"GET {V}/images?changes-since=x", 400, says="Invalid changes-since 'x'"),
    _row(f"GET {V}/images?name=%00", 400, says="NUL"),
    _row(f"GET {V}/images?{'&'.join(f'property-{n}=x' for n in range(60))}", 400, says="at most 50 filters"),
]

DELETE = [
    _row(f"DELETE {V}/images/{{id}}", 204, given="snapshot", data=b""),
    _row("DELETE /compute/v2/a/images/{id}", 204, given="queued"),
    _row(f"DELETE {V}/images/{{id}}", 403, given="protected", says='{"forbidden":{"code":403,"message":"Image {id} is'),
    _row(f"DELETE {V}/images/{{id}}", 403, given="queued", who="ray", says='{"forbidden":'),
    _row(f"DELETE {V}/images/{{id}}", 404, given="queued", who="bob", says='{"itemNotFound":'),
    _row(f"DELETE {V}/images/{NOBODY}", 404, says='{"itemNotFound":'),
]

METADATA = [
    _metadata("GET", 200, says='"instance_uuid"'),
    _metadata("GET", 404, who="bob", says='{"itemNotFound":'),
    _metadata("GET", 200, "/metadata/kind", says='{"meta":{"kind":"x"}}'),
    _metadata("GET", 404, "/metadata/none", says="has no 'none'"),
    _metadata("POST", 200, json={"metadata": {"kind": "y", "new": "z"}}, then={"kind": "y", "new": "z", "os": "u"}),
    _metadata("POST", 200, json={"metadata": {}}, then={"kind": "x", "os": "u"}),
    _metadata("POST", 200, json={"metadata": {"a b:c.d-e_f": ""}}, then={"a b:c.d-e_f": ""}),
    _metadata("PUT", 200, json={"metadata": {"only": "this"}}, says='{"metadata":{"only":"this"}}'),
    _metadata("PUT", 200, json={"metadata": {"kind": "x", "only": "1"}}, then={"kind": "x", "only": "1", "os": None}),
    _metadata("PUT", 200, json={"metadata": {}}, says='{"metadata":{}}', then={"kind": None, "name": "n"}),
    _metadata("PUT", 200, "/metadata/new", json={"meta": {"new": "v"}}, says='{"meta":{"new":"v"}}', then={"new": "v"}),
    _metadata("PUT", 200, "/metadata/kind", json={"meta": {"kind": "v"}}, then={"kind": "v", "os": "u"}),
    _metadata("PUT", 400, "/metadata/kind", json={"meta": {"other": "v"}}, says="Request body and URI mismatch"),
    _metadata("PUT", 400, "/metadata/a", json={"meta": {"a": "v", "b": "w"}}, says='{"badRequest":'),
    _metadata("PUT", 400, "/metadata/a", json={"meta": {}}, says='{"badRequest":'),
    _metadata("PUT", 400, "/metadata/a", json={"metadata": {"a": "v"}}, says='{"badRequest":'),
    _metadata("PUT", 400, "/metadata/a", body=b"{", says='{"badRequest":'),
    _metadata("PUT", 400, "/metadata/a", json=["a"], says='{"badRequest":'),
    _metadata("POST", 400, json={"metadata": "x"}, says='{"badRequest":'),
    _metadata("POST", 400, json={"metadata": {}, "more": 1}, says='{"badRequest":'),
    _metadata("POST", 400, json={"metadata": {"a": 1}}, says="field/attribute a"),
    _metadata("POST", 400, json={"metadata": {"a": None}}, says="field/attribute a"),
    _metadata("POST", 400, json={"metadata": {"a/b": "v"}}, says="the key 'a/b'"),
    _metadata("POST", 400, json={"metadata": {"": "v"}}, says="the key ''"),
    _metadata("POST", 400, json={"metadata": {"k" * 256: "v"}}, says='{"badRequest":'),
    _metadata(
        "POST", 200, json={"metadata": {"k": "v" * 256}}, differs="Nova takes 255 characters, Glance 65535 bytes"
    ),
    _metadata("POST", 413, json={"metadata": {"k": "v" * 65537}}, says='"overLimit":{"code":413'),
    _metadata(
        "POST", 400, json={"metadata": {"min_ram": "1"}}, says="'min_ram' is an attribute", differs="Nova changes it"
    ),
    _metadata("POST", 403, json={"metadata": {"os_glance_x": "1"}}, says='{"forbidden":'),
    _metadata("POST", 403, json={"metadata": {f"k{n}": "" for n in range(140)}}, says="Image metadata limit exceeded"),
    _metadata("POST", 403, who="ray", json={"metadata": {"a": "b"}}, says='{"forbidden":'),
    _metadata("POST", 404, who="bob", json={"metadata": {"a": "b"}}, says='{"itemNotFound":'),
    _metadata("DELETE", 204, "/metadata/kind", data=b"", then={"kind": None, "os": "u"}),
    _metadata("DELETE", 404, "/metadata/none", says="Invalid metadata key"),
    _metadata("DELETE", 403, "/metadata/kind", who="ray", says='{"forbidden":'),
    _metadata("DELETE", 405, says='{"badMethod":'),
    _metadata("POST", 405, "/metadata/kind", json={}, says='{"badMethod":'),
]

_OLD, _NEW = "X-OpenStack-Nova-API-Version", "OpenStack-API-Version"

MICROVERSIONS = [
    _row(f"GET {V}/images", 200, sends={"x-openstack-nova-api-version": "2.1", "openstack-api-version": "compute 2.1"}),
    _row(f"GET {V}/images", 200, sends={"vary": f"{_NEW}, {_OLD}"}),
    _at("2.35", f"GET {V}/images", 200, sends={"x-openstack-nova-api-version": "2.35"}),
    _at("2.36", f"GET {V}/images", 404, says='{"itemNotFound":'),
    _at("2.36", f"GET {V}/images/detail", 404, says='{"itemNotFound":'),
    _at("2.36", f"GET {V}/images/{{id}}", 404, says="ask the Image API"),
    _at("2.36", f"DELETE {V}/images/{{id}}", 404, says='{"itemNotFound":', then={"name": "n"}),
    _at("2.90", f"GET {V}/images", 404, says='{"itemNotFound":'),
    _at("2.38", f"GET {V}/images/{{id}}/metadata", 200, sends={"openstack-api-version": "compute 2.38"}),
    _at("2.39", f"GET {V}/images/{{id}}/metadata", 404, says='{"itemNotFound":'),
    _at("2.39", f"DELETE {V}/images/{{id}}/metadata/kind", 404, then={"kind": "x"}),
    _at("compute 2.36", f"GET {V}/images", 404, _NEW),
    _at("volume 3.0, compute 2.20", f"GET {V}/images", 200, _NEW, sends={"openstack-api-version": "compute 2.20"}),
    _at("volume 3.50", f"GET {V}/images", 200, _NEW, sends={"openstack-api-version": "compute 2.1"}),
    _at("latest", f"GET {V}/images", 200, sends={"x-openstack-nova-api-version": "2.35"}, differs="Nova answers 404"),
    _at("2.x", f"GET {V}/images", 400, says="is of invalid format. Must be of format MajorNum.MinorNum."),
    _at("2.0", f"GET {V}/images", 406, says='{"notAcceptable":{"code":406,"message":"Version 2.0 is not supported'),
    _at("3.1", f"GET {V}/images", 406, says="Minimum is 2.1 and maximum is 2.35."),
    _at("2.90", "GET /compute/v2/images", 200, sends={"x-openstack-nova-api-version": None}),
]

ROWS = {
    "versions": VERSIONS,
    "show": SHOW,
    "spellings": SPELLINGS,
    "lists": LISTS,
    "delete": DELETE,
    "metadata": METADATA,
    "microversions": MICROVERSIONS,
}
