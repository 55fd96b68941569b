"""Resource types, properties, objects and tags over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from headwater.images.metadefs.reading import TAGS_LIMIT
from unit.images.metadefs.api import NAMESPACES, Api

NS = f"{NAMESPACES}/a"
TEXT = {"title": "P", "type": "string"}


@pytest.fixture(autouse=True)
def _namespace(api: Api) -> None:
    api.must(201, "POST", NAMESPACES, {"namespace": "a", "visibility": "public"})


def tag_names(api: Api, query: str = "") -> list[str]:
    document = api.must(200, "GET", f"{NS}/tags{query}").json
    assert all(list(tag) == ["name"] for tag in document["tags"])
    return [tag["name"] for tag in document["tags"]]


def test_nothing_is_below_a_namespace_that_is_not_there(api: Api) -> None:
    none = f"{NAMESPACES}/none"
    for kind, body in {"properties": {"name": "q", **TEXT}, "objects": {"name": "q"}, "tags": {"tags": []}}.items():
        api.must(404, "GET", f"{none}/{kind}")
        api.must(404, "POST", f"{none}/{kind}", body)
        api.must(404, "DELETE", f"{none}/{kind}")
        api.must(404, "GET", f"{none}/{kind}/q")
        api.must(404, "DELETE", f"{none}/{kind}/q")
    api.must(404, "GET", f"{none}/resource_types")
    api.must(404, "POST", f"{none}/resource_types", {"name": "q"})


# --- Resource types -------------------------------------------------------------------------------


def test_a_namespace_is_associated_with_a_new_resource_type(api: Api) -> None:
    assert api.must(200, "GET", "/v2/metadefs/resource_types").json == {"resource_types": []}
    made = api.must(201, "POST", f"{NS}/resource_types", {"name": "OS::X", "prefix": "x_"}).json
    assert set(made) == {"name", "prefix", "created_at", "updated_at"}
    assert api.must(200, "GET", f"{NS}/resource_types").json == {"resource_type_associations": [made]}
    (known,) = api.must(200, "GET", "/v2/metadefs/resource_types").json["resource_types"]
    assert known["name"] == "OS::X"
    assert set(known) == {"name", "created_at", "updated_at"}
    api.must(409, "POST", f"{NS}/resource_types", {"name": "OS::X", "prefix": "y_"})
    assert api.must(204, "DELETE", f"{NS}/resource_types/OS::X").body == b""
    api.must(404, "DELETE", f"{NS}/resource_types/OS::X")
    assert len(api.must(200, "GET", "/v2/metadefs/resource_types").json["resource_types"]) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"name": 1}, 400),
        ({"name": ""}, 400),
        ({"name": "x" * 81}, 400),
        ({"name": "x", "prefix": "y" * 81}, 400),
        ({"name": "x", "properties_target": None}, 400),
        ({"name": "x", "more": 1}, 400),
        ({"name": "x", "created_at": "now"}, 403),
    ],
)
def test_an_association_that_cannot_be_is_refused(api: Api, body: dict[str, Any], status: int) -> None:
    api.must(status, "POST", f"{NS}/resource_types", body)
    assert api.must(200, "GET", f"{NS}/resource_types").json == {"resource_type_associations": []}


# --- Properties -----------------------------------------------------------------------------------


def test_a_property_shows_the_keys_that_were_set_and_no_others(api: Api) -> None:
    whole = {
        "name": "p",
        "title": "P",
        "description": "All keys",
        "operators": ["<in>", "<or>"],
        "type": "array",
        "required": ["q"],
        "minimum": 0.5,
        "maximum": 10**30,
        "maxLength": 9,
        "minLength": 0,
        "pattern": "^[a-z]+$",
        "enum": ["a", 1, None],
        "readonly": True,
        "default": {"deep": [1, "2"]},
        "items": {"type": "string", "enum": ["a"]},
        "maxItems": 3,
        "minItems": 0,
        "uniqueItems": True,
        "additionalItems": False,
    }
    assert api.must(201, "POST", f"{NS}/properties", whole).json == whole
    assert api.must(200, "GET", f"{NS}/properties/p").json == whole
    small = {"name": "q", **TEXT}
    assert api.must(201, "POST", f"{NS}/properties", small).json == small
    listed = api.must(200, "GET", f"{NS}/properties").json
    assert listed == {"properties": {"p": {k: v for k, v in whole.items() if k != "name"}, "q": TEXT}}


def test_a_property_is_replaced_renamed_and_deleted(api: Api) -> None:
    for name in ("p", "q"):
        api.must(201, "POST", f"{NS}/properties", {"name": name, **TEXT, "enum": ["a"]})
    api.must(409, "POST", f"{NS}/properties", {"name": "p", **TEXT})
    api.must(409, "PUT", f"{NS}/properties/p", {"name": "q", **TEXT})
    assert api.must(200, "PUT", f"{NS}/properties/p", {"name": "r", **TEXT}).json == {"name": "r", **TEXT}
    api.must(404, "GET", f"{NS}/properties/p")
    api.must(404, "PUT", f"{NS}/properties/p", {"name": "p", **TEXT})
    assert list(api.must(200, "GET", f"{NS}/properties").json["properties"]) == ["r", "q"]
    api.must(204, "DELETE", f"{NS}/properties/r")
    api.must(404, "DELETE", f"{NS}/properties/r")
    api.must(204, "DELETE", f"{NS}/properties")
    assert api.must(200, "GET", f"{NS}/properties").json == {"properties": {}}


def test_a_count_is_a_whole_number_however_it_is_written(api: Api) -> None:
    for name, text in {"a": "9.0", "b": "9e0", "c": "90e-1"}.items():
        body = f'{{"name": "{name}", "title": "P", "type": "string", "maxLength": {text}}}'.encode()
        assert api.must(201, "POST", f"{NS}/properties", body).json["maxLength"] == 9


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_a_name_that_no_url_reaches_is_refused(api: Api, name: str) -> None:
    for kind, body in {
        "properties": {"name": name, **TEXT},
        "objects": {"name": name},
        "tags": {"tags": [{"name": name}]},
        "resource_types": {"name": name},
    }.items():
        api.must(400, "POST", f"{NS}/{kind}", body)
    api.must(400, "POST", NAMESPACES, {"namespace": name})


@pytest.mark.parametrize("name", ["?a=b", "#", " a ", "a\n", "...", "\ufffd", "a%2Fb", "a;b", "\\", "ä::b"])
def test_a_name_that_looks_like_something_else_is_reached(api: Api, name: str) -> None:
    api.must(201, "POST", NAMESPACES, {"namespace": name, "visibility": "public"})
    there = f"{NAMESPACES}/{quote(name, safe='')}"
    for kind in ("properties", "objects", "tags"):
        body: dict[str, Any] = {"name": name, **(TEXT if kind == "properties" else {})}
        api.must(201, "POST", f"{there}/{kind}", {"tags": [body]} if kind == "tags" else body)
        assert api.must(200, "GET", f"{there}/{kind}/{quote(name, safe='')}").json["name"] == name
        api.must(204, "DELETE", f"{there}/{kind}/{quote(name, safe='')}")
    api.must(204, "DELETE", there)


def test_a_property_is_found_by_its_name_on_a_resource_type(api: Api) -> None:
    api.must(201, "POST", f"{NS}/properties", {"name": "p", **TEXT})
    api.must(201, "POST", f"{NS}/resource_types", {"name": "X", "prefix": "x_"})
    api.must(201, "POST", f"{NS}/resource_types", {"name": "Y"})
    assert api.must(200, "GET", f"{NS}/properties/x_p?resource_type=X").json["name"] == "p"
    for target in ("p?resource_type=X", "x_q?resource_type=X", "x_p", "x_p?resource_type=Z", "p?resource_type=Y"):
        api.must(404, "GET", f"{NS}/properties/{target}")


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"name": None}, 400),
        ({"name": "x" * 81}, 400),
        ({"title": None}, 400),
        ({"type": "text"}, 400),
        ({"type": None}, 400),
        ({"enum": {}}, 400),
        ({"maxLength": -1}, 400),
        ({"maxLength": 1.5}, 400),
        ({"minimum": "1"}, 400),
        ({"pattern": "["}, 400),
        ({"operators": "<or>"}, 400),
        ({"items": []}, 400),
        ({"uniqueItems": 1}, 400),
        ({"unknown": 1}, 400),
        ({"created_at": "now"}, 403),
    ],
)
def test_a_property_that_cannot_be_is_refused(api: Api, wrong: dict[str, Any], status: int) -> None:
    api.must(201, "POST", f"{NS}/properties", {"name": "p", **TEXT})
    api.must(status, "POST", f"{NS}/properties", {"name": "q", **TEXT, **wrong})
    api.must(status, "PUT", f"{NS}/properties/p", {"name": "p", **TEXT, **wrong})
    assert api.must(200, "GET", f"{NS}/properties").json == {"properties": {"p": TEXT}}


# --- Objects --------------------------------------------------------------------------------------


def test_an_object_tells_its_required_properties_but_when_it_is_made(api: Api) -> None:
    made = api.must(201, "POST", f"{NS}/objects", {"name": "My group", "properties": {"x": TEXT}}).json
    assert set(made) == {"name", "properties", "created_at", "updated_at", "self", "schema"}
    assert made["self"] == f"{NS}/objects/My%20group"
    assert made["schema"] == "/v2/schemas/metadefs/object"
    shown = api.must(200, "GET", f"{NS}/objects/My group").json
    assert shown == {**made, "required": []}
    listed = api.must(200, "GET", f"{NS}/objects").json
    assert listed == {"objects": [shown], "schema": "v2/schemas/metadefs/objects"}


def test_an_object_is_replaced_renamed_and_deleted(api: Api) -> None:
    for name in ("p", "q"):
        api.must(201, "POST", f"{NS}/objects", {"name": name, "description": "D", "required": ["x"]})
    api.must(409, "POST", f"{NS}/objects", {"name": "p"})
    api.must(409, "PUT", f"{NS}/objects/p", {"name": "q"})
    shown = api.must(200, "PUT", f"{NS}/objects/p", {"name": "r"}).json
    assert shown["name"] == "r"
    assert "description" not in shown
    assert shown["required"] == []
    assert shown["updated_at"] > shown["created_at"]
    api.must(404, "PUT", f"{NS}/objects/p", {"name": "p"})
    api.must(204, "DELETE", f"{NS}/objects/r")
    api.must(404, "GET", f"{NS}/objects/r")
    api.must(404, "DELETE", f"{NS}/objects/r")
    api.must(204, "DELETE", f"{NS}/objects")
    assert api.must(200, "GET", f"{NS}/objects").json["objects"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"name": ""}, 400),
        ({"name": "x" * 81}, 400),
        ({"name": "x", "required": [1]}, 400),
        ({"name": "x", "properties": {"p": {"type": "string"}}}, 400),
        ({"name": "x", "properties": {"p" * 81: TEXT}}, 400),
        ({"name": "x", "more": 1}, 400),
        ({"name": "x", "self": "/"}, 403),
        ({"name": "x", "schema": "/"}, 403),
        ({"name": "x", "updated_at": "now"}, 403),
    ],
)
def test_an_object_that_cannot_be_is_refused(api: Api, body: dict[str, Any], status: int) -> None:
    api.must(status, "POST", f"{NS}/objects", body)
    assert api.must(200, "GET", f"{NS}/objects").json["objects"] == []


def test_objects_are_listed_by_page(api: Api) -> None:
    for name in ("b", "a", "c"):
        api.must(201, "POST", f"{NS}/objects", {"name": name})

    def names(query: str) -> str:
        return "".join(each["name"] for each in api.must(200, "GET", f"{NS}/objects{query}").json["objects"])

    assert names("") == "cab"
    assert names("?limit=2") == "ca"
    assert names("?limit=2&marker=a") == "b"
    assert names("?sort_key=name&sort_dir=asc") == "abc"
    assert names("?sort_key=updated_at&sort_dir=asc&marker=b") == "ac"
    assert names("?limit=0") == ""
    api.must(404, "GET", f"{NS}/objects?marker=none")
    for wrong in ("limit=x", "limit=-1", "sort_key=description", "sort_dir=up", "marker=%00"):
        api.must(400, "GET", f"{NS}/objects?{wrong}")


# --- Tags -----------------------------------------------------------------------------------------


def test_a_tag_is_made_without_a_body(api: Api) -> None:
    made = api.must(201, "POST", f"{NS}/tags/My tag").json
    assert set(made) == {"name", "created_at", "updated_at"}
    assert api.must(200, "GET", f"{NS}/tags/My tag").json == made
    api.must(409, "POST", f"{NS}/tags/mY TAG")
    api.must(404, "GET", f"{NS}/tags/my tag")
    api.must(400, "POST", f"{NS}/tags/{'x' * 81}")
    api.must(404, "POST", f"{NS}/tags/a\0")
    assert tag_names(api) == ["My tag"]


def test_a_tag_is_renamed(api: Api) -> None:
    api.must(201, "POST", f"{NS}/tags/p")
    api.must(201, "POST", f"{NS}/tags/q")
    api.must(409, "PUT", f"{NS}/tags/p", {"name": "Q"})
    shown = api.must(200, "PUT", f"{NS}/tags/p", {"name": "P"}).json
    assert shown["name"] == "P"
    assert shown["updated_at"] > shown["created_at"]
    api.must(404, "PUT", f"{NS}/tags/p", {"name": "x"})
    api.must(400, "PUT", f"{NS}/tags/P", {})
    api.must(400, "PUT", f"{NS}/tags/P", {"name": "x" * 81})
    api.must(403, "PUT", f"{NS}/tags/P", {"name": "x", "created_at": "now"})
    api.must(204, "DELETE", f"{NS}/tags/P")
    api.must(404, "DELETE", f"{NS}/tags/P")
    assert tag_names(api) == ["q"]


def test_a_list_of_tags_replaces_all_unless_it_is_appended(api: Api) -> None:
    body = {"tags": [{"name": "a"}, {"name": "b"}]}
    assert api.must(201, "POST", f"{NS}/tags", body).json == body
    api.must(201, "POST", f"{NS}/tags", {"tags": [{"name": "B"}]}, headers={"X-Openstack-Append": "False"})
    assert tag_names(api) == ["B"]
    api.must(201, "POST", f"{NS}/tags", {"tags": [{"name": "c"}]}, headers={"X-Openstack-Append": "True"})
    assert tag_names(api) == ["c", "B"]
    api.must(409, "POST", f"{NS}/tags", {"tags": [{"name": "d"}, {"name": "b"}]}, headers={"X-Openstack-Append": "1"})
    api.must(409, "POST", f"{NS}/tags", {"tags": [{"name": "d"}, {"name": "D"}]})
    assert tag_names(api) == ["c", "B"]
    api.must(204, "DELETE", f"{NS}/tags")
    assert tag_names(api) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"tags": {}}, 400),
        ({"tags": ["a"]}, 400),
        ({"tags": [{"name": ""}]}, 400),
        ({"tags": [{"name": "x" * 81}]}, 400),
        ({"tags": [{"name": "a"}], "more": 1}, 400),
        ({"tags": [{"name": str(number)} for number in range(TAGS_LIMIT + 1)]}, 413),
    ],
)
def test_a_list_of_tags_that_cannot_be_is_refused(api: Api, body: dict[str, Any], status: int) -> None:
    api.must(201, "POST", f"{NS}/tags/p")
    api.must(status, "POST", f"{NS}/tags", body)
    assert tag_names(api) == ["p"]


def test_tags_are_listed_by_page(api: Api) -> None:
    api.must(201, "POST", f"{NS}/tags", {"tags": [{"name": name} for name in "bac"]})
    assert tag_names(api, "?sort_key=created_at&sort_dir=asc") == ["b", "a", "c"]
    assert tag_names(api, "?sort_key=name&sort_dir=asc&limit=2") == ["a", "b"]
    assert tag_names(api, "?sort_key=name&sort_dir=desc&marker=c&limit=1") == ["b"]
    api.must(404, "GET", f"{NS}/tags?marker=none")
    api.must(204, "DELETE", f"{NS}/tags/c")
    assert tag_names(api, "?sort_key=name&sort_dir=desc&marker=c") == ["b", "a"]
    assert tag_names(api, "?sort_key=name&sort_dir=asc&marker=aa") == ["b"]
    for wrong in ("limit=x", "limit=-1", "sort_key=id", "sort_dir=up"):
        api.must(400, "GET", f"{NS}/tags?{wrong}")
