"""The Image API v2 between projects: who sees an image and who may do what, one row a fact.

``ann`` is a member of project ``a``, ``ray`` a reader of it, ``bob`` a member of project ``b``, ``root`` an
administrator of neither. The images of ``given`` are ann's, and each has data and the tag ``t``.
"""

from __future__ import annotations

from typing import Any

from compatibility.rows import Row

V21 = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
OCTETS = {"Content-Type": "application/octet-stream"}
NOT_THERE = "No image found with ID {id}"


def as_(who: str, request: str, status: int, **more: Any) -> Row:
    """Return a row: who asks for what, and what they get."""
    return Row(**{"who": who, "request": request, "status": status, **more})


def change(who: str, name: str, value: Any, status: int, **more: Any) -> Row:
    """Return a row of somebody who changes one attribute."""
    operations = [{"op": "replace", "path": f"/{name}", "value": value}]
    return as_(who, "PATCH /v2/images/{id}", status, **{"headers": V21, "json": operations, "source": "4.4", **more})


CREATE = [
    as_("ann", "POST /v2/images", 201, json={}, gives={"owner": "a", "visibility": "shared"}, source="4.2"),
    as_("ann", "POST /v2/images", 201, json={"visibility": "community"}, source="4.2"),
    as_("ann", "POST /v2/images", 403, json={"visibility": "public"}, source="4.2"),
    as_("root", "POST /v2/images", 201, json={"visibility": "public"}, source="4.2"),
    as_("ann", "POST /v2/images", 403, json={"owner": "b"}, source="4.2"),
    as_("ann", "POST /v2/images", 403, json={"owner": None}, source="4.2"),
    as_("root", "POST /v2/images", 201, json={"owner": "b"}, gives={"owner": "b"}, source="4.2"),
    as_("ray", "POST /v2/images", 403, json={}, says="You are not authorized to complete add_image", source="4.2"),
    as_("ann", "POST /v2/images", 409, given="private", json={"id": "{id}"}, says="already exists", source="4.2"),
]

SEE = [
    *[as_(who, "GET /v2/images/{id}", 200, given="private", source="4.3") for who in ("ann", "ray", "root")],
    as_("bob", "GET /v2/images/{id}", 404, given="private", says=NOT_THERE, source="4.3"),
    *[
        as_("bob", "GET /v2/images/{id}", 200, given=given, source="4.3")
        for given in ("public", "community", "pending", "accepted", "rejected")
    ],
    as_("bob", "GET /v2/images/{id}", 404, given="shared with others", source="4.3, 6"),
    as_("bob", "GET /v2/images/{id}", 404, given="shared once", source="6"),
    *[
        as_("bob", "GET /v2/images?name={mark}", 200, given=given, names=("{mark}",) if seen else (), source="4.6")
        for given, seen in (
            ("private", False),
            ("public", True),
            ("community", False),
            ("pending", False),
            ("accepted", True),
            ("rejected", False),
        )
    ],
    *[
        as_("bob", f"GET /v2/images?name={{mark}}&{query}", 200, given=given, names=names, source="4.6")
        for given, query, names in (
            ("community", "visibility=community", ("{mark}",)),
            ("community", "visibility=all", ("{mark}",)),
            ("pending", "member_status=pending&visibility=shared", ("{mark}",)),
            ("pending", "member_status=all", ("{mark}",)),
            ("accepted", "visibility=shared", ("{mark}",)),
            ("accepted", "owner=b", ()),
            ("private", "visibility=private", ()),
            ("private", "owner=a", ()),
            ("private", "tag=t", ()),
        )
    ],
    as_("root", "GET /v2/images?name={mark}", 200, given="private", names=("{mark}",), source="4.6"),
    as_("root", "GET /v2/images?name={mark}", 200, given="community", names=(), source="4.6"),
    as_("bob", "GET /v2/images?marker={id}", 400, given="private", says=NOT_THERE, source="4.6"),
]

CHANGE = [
    change("ann", "name", "x", 200, given="private"),
    change("ray", "name", "x", 403, given="private"),
    change("bob", "name", "x", 404, given="private"),
    change("bob", "name", "x", 403, given="public"),
    change("bob", "name", "x", 403, given="accepted"),
    change("ann", "visibility", "public", 403, given="private"),
    change("root", "visibility", "public", 200, given="private"),
    change("ann", "visibility", "community", 200, given="private"),
    change("ann", "owner", "b", 403, given="private"),
    change("root", "owner", "b", 200, given="private"),
    as_("ann", "DELETE /v2/images/{id}", 204, given="private", source="4.5"),
    as_("ray", "DELETE /v2/images/{id}", 403, given="private", source="4.5"),
    as_("bob", "DELETE /v2/images/{id}", 404, given="private", source="4.5"),
    as_("bob", "DELETE /v2/images/{id}", 403, given="public", source="4.5"),
    as_("root", "DELETE /v2/images/{id}", 204, given="private", source="4.5"),
    as_("ray", "PUT /v2/images/{id}/tags/x", 403, given="private", source="4.8"),
    as_("bob", "PUT /v2/images/{id}/tags/x", 404, given="private", source="4.8"),
    as_("bob", "PUT /v2/images/{id}/tags/x", 403, given="community", source="4.8"),
    as_("bob", "DELETE /v2/images/{id}/tags/t", 403, given="accepted", source="4.8"),
    as_("ann", "POST /v2/images/{id}/actions/deactivate", 204, given="private", source="4.7"),
    as_("bob", "POST /v2/images/{id}/actions/deactivate", 403, given="public", source="4.7"),
    as_("bob", "POST /v2/images/{id}/actions/deactivate", 404, given="private", source="4.7"),
]

DATA = [
    as_("ann", "GET /v2/images/{id}/file", 200, given="private", source="5.2"),
    as_("ray", "GET /v2/images/{id}/file", 403, given="private", says="download_image", source="5.2"),
    *[
        as_("bob", "GET /v2/images/{id}/file", 200, given=given, source="5.2, 6")
        for given in ("public", "community", "pending", "rejected")
    ],
    as_("bob", "GET /v2/images/{id}/file", 404, given="private", source="5.2"),
    as_("ann", "GET /v2/images/{id}/file", 403, given="deactivated", source="5.2"),
    as_("root", "GET /v2/images/{id}/file", 200, given="deactivated", source="5.2"),
    as_("bob", "PUT /v2/images/{id}/file", 404, given="private", headers=OCTETS, body=b"x", source="5.1"),
    as_("bob", "PUT /v2/images/{id}/file", 403, given="public", headers=OCTETS, body=b"x", source="5.1"),
    as_("ray", "PUT /v2/images/{id}/file", 403, given="private", headers=OCTETS, body=b"x", source="5.1"),
]

MEMBERS = [
    as_(
        "ann",
        "POST /v2/images/{id}/members",
        200,
        given="shared with others",
        json={"member": "b"},
        gives={"member_id": "b", "image_id": "{id}", "status": "pending", "schema": "/v2/schemas/member"},
        source="6",
    ),
    as_("ann", "POST /v2/images/{id}/members", 409, given="pending", json={"member": "b"}, source="6"),
    as_(
        "ann",
        "POST /v2/images/{id}/members",
        403,
        given="private",
        json={"member": "b"},
        says="Not allowed to create members for image {id}",
        source="2.3, 6",
    ),
    as_("bob", "POST /v2/images/{id}/members", 403, given="accepted", json={"member": "c"}, source="6"),
    as_("bob", "POST /v2/images/{id}/members", 404, given="private", json={"member": "b"}, source="6"),
    as_("ann", "POST /v2/images/{id}/members", 400, given="pending", json={}, says="Member to be added", source="6"),
    as_("ann", "GET /v2/images/{id}/members", 403, given="private", says="Only shared images", source="2.3, 6"),
    as_("bob", "GET /v2/images/{id}/members", 200, given="pending", says='"member_id":"b"', source="6"),
    as_("bob", "GET /v2/images/{id}/members/c", 404, given="pending", source="6"),
    as_("bob", "GET /v2/images/{id}/members/b", 200, given="rejected", gives={"status": "rejected"}, source="6"),
    as_(
        "bob",
        "PUT /v2/images/{id}/members/b",
        200,
        given="pending",
        json={"status": "accepted"},
        gives={"status": "accepted"},
        source="6",
    ),
    as_("ann", "PUT /v2/images/{id}/members/b", 403, given="pending", json={"status": "accepted"}, source="6"),
    as_("ann", "PUT /v2/images/{id}/members/b", 403, given="pending", json={"status": "perhaps"}, source="6"),
    as_("bob", "PUT /v2/images/{id}/members/b", 400, given="pending", json={"status": "perhaps"}, source="6"),
    as_("root", "PUT /v2/images/{id}/members/b", 200, given="pending", json={"status": "accepted"}, source="6"),
    as_("bob", "PUT /v2/images/{id}/members/c", 404, given="pending", json={"status": "accepted"}, source="6"),
    as_(
        "bob",
        "PUT /v2/images/{id}/members/b",
        400,
        given="pending",
        json={"status": "perhaps"},
        says='Status must be "pending", "accepted" or "rejected".',
        source="6",
    ),
    as_("ann", "DELETE /v2/images/{id}/members/b", 204, given="accepted", source="6"),
    as_("bob", "DELETE /v2/images/{id}/members/b", 403, given="accepted", source="6"),
    as_("ann", "DELETE /v2/images/{id}/members/d", 404, given="pending", source="6"),
]

NOBODY = [
    *[
        as_("nobody", request, 401, sends={"www-authenticate": 'Basic realm="headwater"'}, source="2.2")
        for request in (
            "GET /v2/images",
            "GET /v2/images/x",
            "POST /v2/images",
            "GET /v2/nothing",
            "GET /v2.9/images",
            "GET /v2/schemas/image",
        )
    ],
    as_("nobody", "GET /versions", 200, source="1.2"),
    as_("nobody", "GET /", 300, source="1.2"),
    as_("nobody", "GET /openapi.json", 200, source="1.2: as the versions"),
    as_("nobody", "OPTIONS /v2/images", 200, source="1.2"),
    *[
        as_("nobody", "GET /v2/images", 401, headers={"Authorization": bad}, source="2.2")
        for bad in (
            "Basic",
            "Basic !",
            "Basic " + "A" * 10_000,
            "Basic YW5u",
            "Basic OjovOg==",
            "Basic //8=",
            "Bearer x",
            "Basic YW5uOng=, Basic YW5uOng=",
            "\xff",
        )
    ],
]

METADEFS = [
    as_("bob", "GET /v2/metadefs/namespaces/OS::OperatingSystem", 200, source="11"),
    as_("bob", "POST /v2/metadefs/namespaces", 403, json={"namespace": "x"}, source="11"),
    as_("bob", "DELETE /v2/metadefs/namespaces/OS::OperatingSystem", 403, source="11"),
]

ROWS = {
    "create": CREATE,
    "see": SEE,
    "change": CHANGE,
    "data": DATA,
    "members": MEMBERS,
    "nobody": NOBODY,
    "metadefs": METADEFS,
}
