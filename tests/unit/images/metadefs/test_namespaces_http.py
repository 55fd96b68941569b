"""Namespaces over HTTP: statuses, shapes, headers, errors, and who may do what."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft4Validator

from headwater.images.metadefs.catalogue import SORT_KEYS
from headwater.images.metadefs.schemas import schemas
from unit.images.metadefs.api import ADMIN, MEMBER, NAMESPACES, OTHER, Api

FULL: dict[str, Any] = {
    "namespace": "My::Space",
    "display_name": "Mine",
    "description": "What is mine",
    "visibility": "public",
    "protected": False,
    "resource_type_associations": [
        {"name": "OS::Glance::Image", "prefix": "hw_"},
        {"name": "OS::Cinder::Volume", "prefix": "hw_", "properties_target": "image"},
        {"name": "OS::Nova::Aggregate"},
    ],
    "properties": {
        "size": {"title": "Size", "type": "integer", "minimum": 1, "maximum": 9, "default": 3, "readonly": False},
        "kind": {"title": "Kind", "type": "string", "enum": ["a", "b"], "operators": ["<or>"]},
    },
    "objects": [
        {
            "name": "Group",
            "description": "Two of them",
            "required": ["x"],
            "properties": {"x": {"title": "X", "type": "boolean"}, "y": {"title": "Y", "type": "string"}},
        }
    ],
    "tags": [{"name": "red"}, {"name": "blue"}],
}
SELF = "/v2/metadefs/namespaces/My::Space"


def names(answer: Any) -> list[str]:
    return [each["namespace"] for each in answer.json["namespaces"]]


def test_a_small_namespace_is_private_and_shows_only_what_is_set(api: Api) -> None:
    answer = api.must(201, "POST", NAMESPACES, {"namespace": "a"}, caller=ADMIN)
    assert answer.headers["location"] == "http://images.example:9292/v2/metadefs/namespaces/a"
    wanted = {
        "namespace": "a",
        "visibility": "private",
        "protected": False,
        "owner": "p0",
        "created_at": "2023-11-14T22:13:21Z",
        "updated_at": "2023-11-14T22:13:21Z",
        "self": "/v2/metadefs/namespaces/a",
        "schema": "/v2/schemas/metadefs/namespace",
    }
    assert answer.json == wanted
    assert api.must(200, "GET", f"{NAMESPACES}/a", caller=ADMIN).json == wanted


def test_a_full_namespace_comes_back_whole(api: Api) -> None:
    api.must(201, "POST", NAMESPACES, FULL)
    shown = api.must(200, "GET", SELF).json
    assert {key: shown[key] for key in ("namespace", "display_name", "description", "visibility", "protected")} == {
        key: FULL[key] for key in ("namespace", "display_name", "description", "visibility", "protected")
    }
    assert shown["properties"] == FULL["properties"]
    assert shown["tags"] == FULL["tags"]
    associations = shown["resource_type_associations"]
    assert [{k: v for k, v in each.items() if not k.endswith("_at")} for each in associations] == FULL[
        "resource_type_associations"
    ]
    (group,) = shown["objects"]
    assert group == {
        **FULL["objects"][0],
        "created_at": shown["created_at"],
        "updated_at": shown["created_at"],
        "self": f"{SELF}/objects/Group",
        "schema": "/v2/schemas/metadefs/object",
    }


def test_answers_match_the_schemas_that_are_served(api: Api) -> None:
    # glanceclient refuses an answer that does not.
    created = api.must(201, "POST", NAMESPACES, FULL).json
    shown = api.must(200, "GET", SELF).json
    listed = api.must(200, "GET", NAMESPACES).json
    Draft4Validator(schemas()["namespace"]).validate(created)
    Draft4Validator(schemas()["namespace"]).validate(shown)
    Draft4Validator(schemas()["namespaces"]).validate(listed)
    Draft4Validator(schemas()["object"]).validate(api.must(200, "GET", f"{SELF}/objects/Group").json)
    Draft4Validator(schemas()["property"]).validate(api.must(200, "GET", f"{SELF}/properties/kind").json)
    Draft4Validator(schemas()["properties"]).validate(api.must(200, "GET", f"{SELF}/properties").json)
    Draft4Validator(schemas()["tag"]).validate(api.must(200, "GET", f"{SELF}/tags/red").json)
    types = api.must(200, "GET", f"{SELF}/resource_types").json
    Draft4Validator(schemas()["resource_types"]).validate(types)


def test_a_resource_type_puts_its_prefix_before_the_properties(api: Api) -> None:
    api.must(201, "POST", NAMESPACES, FULL)
    shown = api.must(200, "GET", f"{SELF}?resource_type=OS::Glance::Image").json
    assert list(shown["properties"]) == ["hw_size", "hw_kind"]
    assert list(shown["objects"][0]["properties"]) == ["hw_x", "hw_y"]
    assert shown["objects"][0]["required"] == ["hw_x"]
    for other in ("OS::Nova::Aggregate", "OS::Nova::Flavor", ""):
        shown = api.must(200, "GET", f"{SELF}?resource_type={other}").json
        assert list(shown["properties"]) == ["size", "kind"]


def test_a_put_replaces_the_namespace_and_keeps_what_it_holds(api: Api) -> None:
    api.must(201, "POST", NAMESPACES, {**FULL, "protected": True}, caller=ADMIN)
    body = {"namespace": "New", "description": "other", "tags": [{"name": "ignored"}]}
    shown = api.must(200, "PUT", SELF, body, caller=ADMIN).json
    assert shown["namespace"] == "New"
    assert shown["self"] == "/v2/metadefs/namespaces/New"
    assert (shown["visibility"], shown["protected"], shown["description"]) == ("private", False, "other")
    assert "display_name" not in shown
    assert shown["updated_at"] > shown["created_at"]
    api.must(404, "GET", SELF, caller=ADMIN)
    whole = api.must(200, "GET", f"{NAMESPACES}/New", caller=ADMIN).json
    assert whole["properties"] == FULL["properties"]
    assert whole["tags"] == FULL["tags"]
    assert len(whole["resource_type_associations"]) == 3


def test_a_name_is_given_once(api: Api) -> None:
    api.must(201, "POST", NAMESPACES, FULL)
    api.must(201, "POST", NAMESPACES, {"namespace": "b"})
    assert "My::Space" in api.must(409, "POST", NAMESPACES, {"namespace": "My::Space"}).message
    api.must(409, "PUT", f"{NAMESPACES}/b", {"namespace": "My::Space"})
    api.must(200, "PUT", f"{NAMESPACES}/b", {"namespace": "b"})


def test_a_deleted_namespace_and_all_below_it_is_gone(api: Api) -> None:
    api.must(201, "POST", NAMESPACES, FULL)
    answer = api.must(204, "DELETE", SELF)
    assert answer.body == b""
    for path in ("", "/properties", "/properties/size", "/objects", "/objects/Group", "/tags", "/tags/red"):
        api.must(404, "GET", SELF + path)
    api.must(404, "DELETE", SELF)


def test_a_protected_namespace_loses_nothing(api: Api) -> None:
    api.must(201, "POST", NAMESPACES, {**FULL, "protected": True})
    for path in (
        "",
        "/properties",
        "/properties/size",
        "/objects",
        "/objects/Group",
        "/tags",
        "/tags/red",
        "/resource_types/OS::Nova::Aggregate",
    ):
        assert "protected" in api.must(403, "DELETE", SELF + path).message
    api.must(404, "DELETE", f"{SELF}/properties/none")
    api.must(404, "DELETE", f"{SELF}/resource_types/none")
    api.must(201, "POST", f"{SELF}/properties", {"name": "new", "title": "New", "type": "string"})
    api.must(200, "PUT", SELF, {"namespace": "My::Space"})
    api.must(204, "DELETE", SELF)


# --- Lists ----------------------------------------------------------------------------------------


def test_a_list_shows_the_newest_first_with_what_they_are_for(api: Api) -> None:
    for name in ("a", "c", "b"):
        api.must(201, "POST", NAMESPACES, {**FULL, "namespace": name})
    document = api.must(200, "GET", NAMESPACES).json
    assert [each["namespace"] for each in document["namespaces"]] == ["b", "c", "a"]
    assert document["first"] == NAMESPACES
    assert document["schema"] == "/v2/schemas/metadefs/namespaces"
    assert "next" not in document
    assert len(document["namespaces"][0]["resource_type_associations"]) == 3
    assert "properties" not in document["namespaces"][0]


def test_pages_follow_each_other_by_their_next_links(api: Api) -> None:
    for number in range(7):
        api.must(201, "POST", NAMESPACES, {"namespace": f"N::{number} ä&b", "visibility": "public"})
    target = f"{NAMESPACES}?limit=3&sort_key=namespace&sort_dir=asc&x=1&x=2"
    shown: list[str] = []
    for _ in range(3):
        document = api.must(200, "GET", target).json
        assert document["first"] == f"{NAMESPACES}?limit=3&sort_key=namespace&sort_dir=asc&x=1&x=2"
        shown += [each["namespace"] for each in document["namespaces"]]
        target = document.get("next", "")
    assert shown == [f"N::{number} ä&b" for number in range(7)]
    assert target == ""


def test_a_list_has_25_namespaces_unless_told(api: Api) -> None:
    for number in range(26):
        api.must(201, "POST", NAMESPACES, {"namespace": f"n{number}"})
    first = api.must(200, "GET", NAMESPACES)
    assert len(names(first)) == 25
    assert first.json["next"].startswith(f"{NAMESPACES}?marker=n1&after=")
    assert names(api.must(200, "GET", first.json["next"])) == ["n0"]
    assert len(names(api.must(200, "GET", f"{NAMESPACES}?limit=100000"))) == 26
    empty = api.must(200, "GET", f"{NAMESPACES}?limit=0")
    assert names(empty) == []
    assert "next" not in empty.json


def test_lists_are_filtered(api: Api) -> None:
    api.must(201, "POST", NAMESPACES, FULL)
    api.must(201, "POST", NAMESPACES, {"namespace": "b", "owner": "p9"})
    api.must(201, "POST", NAMESPACES, {"namespace": "c", "resource_type_associations": [{"name": "T"}]})
    for query, wanted in {
        "visibility=private": ["c", "b"],
        "visibility=public": ["My::Space"],
        "owner=p9": ["b"],
        "resource_types=T": ["c"],
        "resource_types=T,OS::Glance::Image": ["c", "My::Space"],
        "resource_types=Nothing": [],
        "resource_types=": ["c", "b", "My::Space"],
        "unknown=1": ["c", "b", "My::Space"],
        "sort_key=namespace&sort_dir=desc": ["c", "b", "My::Space"],
        "sort_key=updated_at&sort_dir=asc": ["My::Space", "b", "c"],
    }.items():
        assert names(api.must(200, "GET", f"{NAMESPACES}?{query}")) == wanted, query


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=x", "integer"),  # 500 in Glance 33
        ("limit=", "integer"),
        ("limit=1.5", "integer"),
        ("limit=%D9%A3", "integer"),
        ("limit=-1", "positive"),
        ("sort_key=id;drop", "sort key"),  # 500 in Glance 33
        ("sort_key=document", "sort key"),
        ("sort_dir=up", "sort direction"),
        ("visibility=shared", "visibility"),
        ("owner=%00", "NUL"),
        ("marker=%00", "NUL"),
    ],
)
def test_a_query_that_cannot_be_is_refused(api: Api, query: str, said: str) -> None:
    assert said in api.must(400, "GET", f"{NAMESPACES}?{query}").message


@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
@pytest.mark.parametrize("sort_key", SORT_KEYS)
def test_a_list_goes_on_though_its_marker_was_deleted(api: Api, sort_key: str, sort_dir: str) -> None:
    for number in range(6):
        api.must(201, "POST", NAMESPACES, {"namespace": f"n{number}", **({"display_name": "d"} if number % 2 else {})})
    order = f"sort_key={sort_key}&sort_dir={sort_dir}"
    query = f"?limit=2&{order}"
    whole = names(api.must(200, "GET", f"{NAMESPACES}?limit=9&{order}"))
    page = api.must(200, "GET", f"{NAMESPACES}{query}")
    shown = names(page)
    while "next" in page.json:
        api.must(204, "DELETE", f"{NAMESPACES}/{shown[-1]}")
        page = api.must(200, "GET", page.json["next"])
        shown += names(page)
    assert shown == whole


def test_an_unknown_marker_is_not_found(api: Api) -> None:
    api.must(404, "GET", f"{NAMESPACES}?marker=none")


# --- Bad bodies -----------------------------------------------------------------------------------


WRONG: list[dict[str, Any]] = [
    {"namespace": ""},
    {"namespace": 5},
    {"namespace": None},
    {"namespace": "x" * 81},
    {"namespace": "a\0"},
    {"namespace": "a/b"},
    {"display_name": "x" * 81},
    {"display_name": "a\0"},
    {"display_name": None},
    {"description": "x" * 501},
    {"visibility": "shared"},
    {"protected": "yes"},
    {"owner": "x" * 256},
    {"owner": "a\0"},
    {"unknown": 1},
    {"tags": {}},
    {"tags": ["a"]},
    {"tags": [{}]},
    {"tags": [{"name": 1}]},
    {"tags": [{"name": ""}]},
    {"tags": [{"name": "x" * 81}]},
    {"objects": [{}]},
    {"objects": [{"name": "a", "properties": {"p": {}}}]},
    {"objects": [{"name": "a", "required": ["x", "x"]}]},
    {"objects": [{"name": "a", "properties": {"": {"title": "", "type": "string"}}}]},
    {"properties": []},
    {"properties": {"p": 5}},
    {"properties": {"p": {"title": "P"}}},
    {"properties": {"p": {"title": "P", "type": "text"}}},
    {"properties": {"p": {"title": "P", "type": "string", "enum": "a"}}},
    {"properties": {"p": {"title": "P", "type": "string", "minLength": -1}}},
    {"properties": {"p": {"title": "P", "type": "string", "pattern": "("}}},
    {"properties": {"p" * 81: {"title": "P", "type": "string"}}},
    {"properties": {"a/b": {"title": "P", "type": "string"}}},
    {"resource_type_associations": [{}]},
    {"resource_type_associations": [{"name": "a", "prefix": 1}]},
    {"resource_type_associations": [{"name": "x" * 81}]},
]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b"\xff",
        b'{"namespace": ' + b"[" * 100_000,
        b"{}",
        *(json.dumps({"namespace": "a", **wrong}).encode() for wrong in WRONG),
    ],
    ids=lambda body: body[:60].decode("ascii", "replace"),
)
def test_a_body_that_cannot_be_a_namespace_is_refused_and_changes_nothing(api: Api, body: bytes) -> None:
    assert api.must(400, "POST", NAMESPACES, body).message
    api.must(201, "POST", NAMESPACES, {"namespace": "a"})
    api.must(400, "PUT", f"{NAMESPACES}/a", body)
    assert "tags" not in api.must(200, "GET", f"{NAMESPACES}/a").json


@pytest.mark.parametrize(
    "nested",
    [
        {"tags": [{"name": "Red"}, {"name": "rED"}]},
        {"objects": [{"name": "a"}, {"name": "a"}]},
        {"resource_type_associations": [{"name": "a"}, {"name": "a", "prefix": "x"}]},
    ],
)
def test_a_part_that_is_there_twice_is_a_conflict_and_leaves_no_namespace(api: Api, nested: dict[str, Any]) -> None:
    api.must(409, "POST", NAMESPACES, {"namespace": "a", **nested})
    api.must(404, "GET", f"{NAMESPACES}/a")


@pytest.mark.parametrize("name", ["self", "schema", "created_at", "updated_at"])
def test_what_the_service_sets_itself_is_not_set(api: Api, name: str) -> None:
    assert f"'{name}' is read-only" in api.must(403, "POST", NAMESPACES, {"namespace": "a", name: "x"}).message
    api.must(201, "POST", NAMESPACES, {"namespace": "a"})
    api.must(403, "PUT", f"{NAMESPACES}/a", {"namespace": "a", name: "x"})


def test_other_methods_say_what_the_path_takes(api: Api) -> None:
    for path, allowed in {
        NAMESPACES: "GET, HEAD, POST",
        f"{NAMESPACES}/a": "DELETE, GET, HEAD, PUT",
        f"{NAMESPACES}/a/resource_types": "GET, HEAD, POST",
        f"{NAMESPACES}/a/resource_types/x": "DELETE",
        f"{NAMESPACES}/a/properties": "DELETE, GET, HEAD, POST",
        f"{NAMESPACES}/a/properties/x": "DELETE, GET, HEAD, PUT",
        f"{NAMESPACES}/a/objects": "DELETE, GET, HEAD, POST",
        f"{NAMESPACES}/a/objects/x": "DELETE, GET, HEAD, PUT",
        f"{NAMESPACES}/a/tags": "DELETE, GET, HEAD, POST",
        f"{NAMESPACES}/a/tags/x": "DELETE, GET, HEAD, POST, PUT",
        "/v2/metadefs/resource_types": "GET, HEAD",
    }.items():
        assert api.must(405, "PATCH", path).headers["allow"] == allowed


# --- Who may do what ------------------------------------------------------------------------------

PARTS: dict[str, dict[str, Any]] = {
    "properties": {"name": "q", "title": "Q", "type": "string"},
    "objects": {"name": "q"},
    "tags": {"tags": [{"name": "q"}]},
    "resource_types": {"name": "q"},
}
SINGLE = {"properties": "size", "objects": "Group", "tags": "red"}


def test_members_read_public_namespaces_and_change_none(api: Api) -> None:
    api.must(201, "POST", NAMESPACES, FULL, caller=ADMIN)
    for path in ("", *(f"/{kind}" for kind in PARTS), *(f"/{kind}/{name}" for kind, name in SINGLE.items())):
        api.must(200, "GET", SELF + path, caller=MEMBER)
    api.must(200, "GET", "/v2/metadefs/resource_types", caller=MEMBER)
    assert names(api.must(200, "GET", NAMESPACES, caller=MEMBER)) == ["My::Space"]
    api.must(403, "POST", NAMESPACES, {"namespace": "b"}, caller=MEMBER)
    api.must(403, "PUT", SELF, {"namespace": "b"}, caller=MEMBER)
    api.must(403, "DELETE", SELF, caller=MEMBER)
    for kind, body in PARTS.items():
        api.must(403, "POST", f"{SELF}/{kind}", body, caller=MEMBER)
    for kind, name in SINGLE.items():
        api.must(403, "DELETE", f"{SELF}/{kind}", caller=MEMBER)
        api.must(403, "DELETE", f"{SELF}/{kind}/{name}", caller=MEMBER)
        body = {"name": "q"} if kind == "tags" else PARTS[kind]
        api.must(403, "PUT", f"{SELF}/{kind}/{name}", body, caller=MEMBER)
    api.must(403, "POST", f"{SELF}/tags/new", caller=MEMBER)
    api.must(403, "DELETE", f"{SELF}/resource_types/OS::Nova::Aggregate", caller=MEMBER)
    assert api.must(200, "GET", SELF).json["tags"] == FULL["tags"]


def test_a_private_namespace_of_others_is_as_if_it_were_not_there(api: Api) -> None:
    api.must(201, "POST", NAMESPACES, {**FULL, "visibility": "private", "owner": "p1"}, caller=ADMIN)
    api.must(200, "GET", SELF, caller=MEMBER)
    assert names(api.must(200, "GET", NAMESPACES, caller=MEMBER)) == ["My::Space"]
    assert names(api.must(200, "GET", NAMESPACES, caller=OTHER)) == []
    absent = api.must(404, "GET", f"{NAMESPACES}/My::Other", caller=OTHER).body
    assert api.must(404, "GET", SELF, caller=OTHER).body.replace(b"Space", b"Other") == absent
    api.must(404, "PUT", SELF, {"namespace": "b"}, caller=OTHER)
    api.must(404, "DELETE", SELF, caller=OTHER)
    for kind, body in PARTS.items():
        api.must(404, "GET", f"{SELF}/{kind}", caller=OTHER)
        api.must(404, "POST", f"{SELF}/{kind}", body, caller=OTHER)
    for kind, name in SINGLE.items():
        api.must(404, "GET", f"{SELF}/{kind}/{name}", caller=OTHER)
        api.must(404, "DELETE", f"{SELF}/{kind}/{name}", caller=OTHER)
        api.must(404, "DELETE", f"{SELF}/{kind}", caller=OTHER)
    api.must(404, "POST", f"{SELF}/tags/new", caller=OTHER)


# --- Schemas --------------------------------------------------------------------------------------


def test_every_schema_is_served(api: Api) -> None:
    for path, name in {
        "image": "image",
        "images": "images",
        "member": "member",
        "members": "members",
        "task": "task",
        "tasks": "tasks",
        "metadefs/namespace": "namespace",
        "metadefs/namespaces": "namespaces",
        "metadefs/resource_type": "resource_type_association",
        "metadefs/resource_types": "resource_type_associations",
        "metadefs/property": "property",
        "metadefs/properties": "properties",
        "metadefs/object": "object",
        "metadefs/objects": "objects",
        "metadefs/tag": "tag",
        "metadefs/tags": "tags",
    }.items():
        answer = api.must(200, "GET", f"/v2/schemas/{path}")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json["name"] == name
        Draft4Validator.check_schema(answer.json)


def test_the_schemas_of_lists_hold_those_of_their_items(api: Api) -> None:
    member = api.must(200, "GET", "/v2/schemas/member").json
    assert api.must(200, "GET", "/v2/schemas/members").json["properties"]["members"]["items"] == member
    task = api.must(200, "GET", "/v2/schemas/task").json
    listed = api.must(200, "GET", "/v2/schemas/tasks").json["properties"]["tasks"]["items"]
    assert set(task["properties"]) - set(listed["properties"]) == {"input", "result", "message"}
    namespaces = api.must(200, "GET", "/v2/schemas/metadefs/namespaces").json
    assert set(namespaces["definitions"]) == {"positiveInteger", "positiveIntegerDefault0", "stringArray", "property"}
    assert namespaces["properties"]["namespaces"]["items"]["required"] == ["namespace"]
