"""Protected properties against the real service: callers with different roles, one file of Glance's form."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import bcrypt
import pytest

from compatibility.test_image_api import Client
from functional.headwater_process import HeadwaterProcess

# Source: the file of Glance's own functional tests has sections of these kinds.
PROTECTIONS = """
[^x_owner_.*]
create = admin,member
read = admin,member
update = admin,member
delete = admin,member
[spl_create_prop]
create = admin,spl_role
read = admin,spl_role
update = admin
delete = admin
[spl_update_prop]
create = admin
read = admin,spl_role
update = admin,spl_role
delete = admin
[spl_delete_prop]
create = admin
read = admin,spl_role
update = admin
delete = admin,spl_role
[^x_all_permitted.*]
create = @
read = @
update = @
delete = @
[^x_none_permitted.*]
create = !
read = !
update = !
delete = !
[^x_blind$]
create = member
read = admin
update = admin
delete = admin
[^open_]
create = @
read = @
update = @
delete = @
"""
USERS = {"admin": "admin", "member": "member", "special": "member,spl_role", "reader": "reader"}

V21 = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
V20 = {"Content-Type": "application/openstack-images-v2.0-json-patch"}
# What the image of each row has, made by an admin.
THERE = {
    "x_owner_foo": "o",
    "spl_update_prop": "u",
    "spl_delete_prop": "d",
    "x_all_permitted_a": "a",
    "x_blind": "b",
    "open_note": "n",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One request of somebody, what must come of it, and where that is written."""

    source: str
    who: str
    request: str
    json: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    status: int
    gives: dict[str, str] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    then: dict[str, str] | None = None  # the properties afterwards, as an admin sees them; None: as before


def patch(who: str, status: int, *operations: dict[str, str], **more: Any) -> Row:
    given = {"source": "14.4", "headers": V21, **more}
    return Row(who=who, request="PATCH /v2/images/{id}", json=list(operations), status=status, **given)


def create(who: str, status: int, **properties: str) -> Row:
    gives = properties if status == 201 else {}
    return Row(source="14.4", who=who, request="POST /v2/images", json=properties, status=status, gives=gives)


def op(kind: str, name: str, value: str | None = None) -> dict[str, str]:
    return {"op": kind, "path": f"/{name}", **({"value": value} if value is not None else {})}


def without(*names: str, **changed: str) -> dict[str, str]:
    return {**{name: value for name, value in THERE.items() if name not in names}, **changed}


SHOW = "GET /v2/images/{id}"
ROWS = [
    Row(source="14.4", who="admin", request=SHOW, status=200, gives=THERE),
    Row(
        source="14.4",
        who="member",
        request=SHOW,
        status=200,
        gives={"x_owner_foo": "o", "x_all_permitted_a": "a", "open_note": "n"},
        lacks=("spl_update_prop", "spl_delete_prop", "x_blind"),
    ),
    Row(source="14.4", who="special", request=SHOW, status=200, gives=without("x_blind"), lacks=("x_blind",)),
    Row(
        source="14.4",
        who="reader",
        request=SHOW,
        status=200,
        gives={"x_all_permitted_a": "a", "open_note": "n"},
        lacks=("x_owner_foo", "spl_update_prop", "spl_delete_prop", "x_blind"),
    ),
    # Create.
    create("member", 201, x_owner_new="1", x_all_permitted_x="2", name="n"),
    create("member", 403, spl_create_prop="1"),
    create("special", 201, spl_create_prop="1"),
    create("member", 403, x_none_permitted_x="1"),
    create("admin", 403, x_none_permitted_x="1"),
    create("admin", 403, nothing_matches="1"),
    create("member", 403, os_glance_x="1"),
    Row(
        source="14.4",
        who="member",
        request="POST /v2/images",
        json={"x_blind": "1", "open_note": "2"},
        status=201,
        gives={"open_note": "2"},
        lacks=("x_blind",),
    ),
    # Change.
    patch("member", 200, op("replace", "x_owner_foo", "2"), then=without(x_owner_foo="2"), lacks=("x_blind",)),
    patch("member", 200, op("add", "x_owner_new", "2"), then=without(x_owner_new="2")),
    patch("member", 200, op("remove", "x_owner_foo"), then=without("x_owner_foo")),
    patch("member", 200, op("replace", "name", "n"), then=without()),
    patch("special", 200, op("replace", "spl_update_prop", "2"), then=without(spl_update_prop="2")),
    patch("special", 403, op("remove", "spl_update_prop")),
    patch("special", 200, op("remove", "spl_delete_prop"), then=without("spl_delete_prop")),
    patch("special", 403, op("replace", "spl_delete_prop", "2")),
    patch("special", 403, op("add", "spl_delete_prop", "2")),
    patch("special", 409, {"add": "/spl_delete_prop", "value": "2"}, headers=V20),
    patch("special", 200, op("add", "spl_create_prop", "1"), then=without(spl_create_prop="1")),
    patch("member", 403, op("add", "spl_create_prop", "1")),
    patch("member", 403, op("add", "nothing_matches", "1")),
    patch("admin", 403, op("add", "x_none_permitted_x", "1")),
    patch("member", 403, op("replace", "open_note", "2"), op("add", "spl_create_prop", "1")),
    # What is not seen is not there.
    patch("member", 409, op("replace", "spl_update_prop", "2")),
    patch("member", 409, op("remove", "spl_update_prop")),
    patch("member", 409, op("replace", "x_none_permitted_x", "2")),
    patch("member", 403, op("add", "spl_update_prop", "2")),
    patch("member", 403, op("add", "x_blind", "2")),
    patch("member", 403, op("add", "os_glance_x", "2")),
]


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    home = tmp_path_factory.mktemp("protected")
    hash_ = bcrypt.hashpw(b"pass", bcrypt.gensalt(4)).decode()
    (home / "users").write_text("".join(f"{name}:{hash_}:p1:{roles}\n" for name, roles in USERS.items()))
    (home / "protections.conf").write_text(PROTECTIONS)
    toml = f"""
[auth]
mode = "basic"
htpasswd_file = "{home / "users"}"
[images]
property_protection_file = "{home / "protections.conf"}"
"""
    process = HeadwaterProcess(home, toml=toml)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def client(protected: HeadwaterProcess) -> Iterator[Client]:
    made = Client(protected.images_url)
    yield made
    made.close()


def proof(who: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{who}:pass".encode()).decode()}


@pytest.fixture
def image_id(client: Client) -> Iterator[str]:
    # Two callers, as nobody alone may create all of them.
    made = client.request("POST", "/v2/images", proof("member"), json.dumps({"x_blind": "b"}).encode()).json["id"]
    operations = [op("add", name, value) for name, value in THERE.items()]
    answer = client.request("PATCH", f"/v2/images/{made}", {**V21, **proof("admin")}, json.dumps(operations).encode())
    assert answer.status == 200, answer.body
    yield made
    assert client.request("DELETE", f"/v2/images/{made}", proof("admin")).status == 204


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{n}-{row.who}-{row.status}") for n, row in enumerate(ROWS)])
def test_a_caller_does_what_its_roles_allow_to_a_property(client: Client, image_id: str, row: Row) -> None:
    method, path = row.request.format(id=image_id).split()
    body = json.dumps(row.json).encode() if row.json is not None else None
    answer = client.request(method, path, {**row.headers, **proof(row.who)}, body)
    assert answer.status == row.status, answer.body
    if row.status == 403:
        assert "is reserved" in answer.json["message"]
    if row.status < 300:
        assert {name: answer.json.get(name) for name in row.gives} == row.gives
        assert not set(row.lacks) & set(answer.json)
    if answer.status == 201:
        assert client.request("DELETE", f"/v2/images/{answer.json['id']}", proof("admin")).status == 204
    after = client.request("GET", f"/v2/images/{image_id}", proof("admin")).json
    wanted = THERE if row.then is None else row.then
    assert {name: value for name, value in after.items() if name in {**THERE, **wanted}} == wanted


def test_nobody_finds_an_image_by_what_it_may_not_read(client: Client, image_id: str) -> None:
    def found(who: str, query: str) -> list[str]:
        answer = client.request("GET", f"/v2/images?{query}", proof(who))
        assert answer.status == 200
        assert "next" not in answer.json
        return [image["id"] for image in answer.json["images"]]

    for query in ("spl_update_prop=u", "spl_update_prop=u&open_note=n", "open_note=n&x_blind=b"):
        assert found("admin", query) == [image_id]
        assert found("member", query) == []
    assert found("special", "spl_update_prop=u&x_owner_foo=o") == [image_id]
    assert found("member", "open_note=n") == [image_id]
    refused = client.request("GET", "/v2/images?spl_update_prop=u&marker=nothing", proof("member"))
    assert refused.status == 400


def test_a_list_shows_what_the_caller_may_read(client: Client, image_id: str) -> None:
    shown = {
        who: client.request("GET", "/v2/images?open_note=n", proof(who)).json["images"][0].keys() & THERE.keys()
        for who in USERS
    }
    assert shown == {
        "admin": set(THERE),
        "member": {"x_owner_foo", "x_all_permitted_a", "open_note"},
        "special": set(THERE) - {"x_blind"},
        "reader": {"x_all_permitted_a", "open_note"},
    }
    assert image_id
