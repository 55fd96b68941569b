"""Metadata definitions with the clients that others wrote, against the real server."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx2 as httpx
import pytest

from functional.clients import Client
from functional.conftest import FreshHeadwater

STRING = json.dumps({"type": "string"})


@pytest.fixture
def name() -> str:
    """A namespace of the test's own."""
    return f"Test::{uuid.uuid4().hex[:8]}"


def shown(http: httpx.Client, path: str) -> Any:
    return http.get(f"/v2/metadefs/namespaces/{path}").raise_for_status().json()


def test_glance_lists_and_shows_the_base_set(glance: Client) -> None:
    listed = glance("md-namespace-list")
    for namespace in ("CIM::VirtualSystemSettingData", "OS::Compute::Quota", "OS::Software::WebServers"):
        assert namespace in listed
    flavors = glance("md-namespace-list", "--resource-types", "OS::Nova::Flavor")
    assert "OS::Compute::Quota" in flavors
    assert "OS::Software::WebServers" not in flavors
    assert "hw_watchdog_action" in glance(
        "md-namespace-show", "OS::Compute::Watchdog", "--resource-type", "OS::Glance::Image"
    )
    assert "OS::Trove::Instance" in glance("md-resource-type-list")


def test_glance_changes_everything_of_a_namespace(glance: Client, http: httpx.Client, name: str) -> None:
    glance("md-namespace-create", name, "--visibility", "public", "--display-name", "Mine")
    try:
        glance("md-namespace-update", name, "--description", "hello")
        assert shown(http, name)["description"] == "hello"

        glance("md-property-create", name, "--name", "p", "--title", "P", "--type", "string", "--schema", STRING)
        glance("md-property-update", name, "p", "--title", "Q")
        # Besides what was asked for the client sends "uniqueItems", a default of the schema.
        changed = shown(http, f"{name}/properties/p")
        assert {key: changed[key] for key in ("name", "title", "type")} == {"name": "p", "title": "Q", "type": "string"}
        assert "Q" in glance("md-property-show", name, "p")
        assert "| p " in glance("md-property-list", name)

        inner = json.dumps({"properties": {"x": {"type": "string", "title": "X"}}})
        glance("md-object-create", name, "--name", "o", "--schema", inner)
        glance("md-object-update", name, "o", "--name", "renamed")
        assert shown(http, f"{name}/objects/renamed")["properties"] == {"x": {"title": "X", "type": "string"}}
        assert "| X " in glance("md-object-property-show", name, "renamed", "x")
        assert "renamed" in glance("md-object-list", name)

        glance("md-tag-create", name, "--name", "first")
        glance("md-tag-create-multiple", name, "--names", "a,b")
        glance("md-tag-update", name, "a", "--name", "z")
        assert {tag["name"] for tag in shown(http, name)["tags"]} == {"z", "b"}
        glance("md-tag-delete", name, "z")

        glance("md-resource-type-associate", name, "--name", "OS::Nova::Server", "--prefix", "x_")
        assert "x_p" in glance("md-namespace-show", name, "--resource-type", "OS::Nova::Server")
        glance("md-resource-type-deassociate", name, "OS::Nova::Server")

        glance("md-namespace-tags-delete", name)
        glance("md-namespace-objects-delete", name)
        glance("md-namespace-properties-delete", name)
        assert not {"tags", "objects", "properties"} & set(shown(http, name))
    finally:
        glance("md-namespace-delete", name)
    assert http.get(f"/v2/metadefs/namespaces/{name}").status_code == 404


def test_glance_is_told_why_a_protected_namespace_stays(glance: Client) -> None:
    refused = glance.attempt("md-namespace-delete", "OS::Compute::Quota")
    assert refused.returncode == 1
    assert "protected" in refused.stdout + refused.stderr


def test_openstack_changes_everything_of_a_namespace(openstack: Client, http: httpx.Client, name: str) -> None:
    metadef = ("image", "metadef")
    openstack(*metadef, "namespace", "create", name, "--public", "--display-name", "Mine")
    try:
        assert any(each["namespace"] == name for each in openstack.json(*metadef, "namespace", "list"))
        openstack(
            *metadef, "property", "create", name, "--name", "p", "--title", "P", "--type", "string", "--schema", "{}"
        )
        assert openstack.json(*metadef, "property", "list", name) == [{"name": "p", "title": "P", "type": "string"}]
        openstack(*metadef, "object", "create", "--namespace", name, "o")
        openstack(*metadef, "object", "update", name, "o", "--name", "renamed")
        assert [each["name"] for each in openstack.json(*metadef, "object", "list", name)] == ["renamed"]
        openstack(*metadef, "resource", "type", "association", "create", name, "OS::Nova::Server")
        types = openstack.json(*metadef, "resource", "type", "association", "list", name)
        assert types == [{"Name": "OS::Nova::Server"}]
        openstack(*metadef, "resource", "type", "association", "delete", name, "OS::Nova::Server")
        openstack(*metadef, "object", "delete", name, "renamed")
        openstack(*metadef, "property", "delete", name, "p")
        assert not {"objects", "properties", "resource_type_associations"} & set(shown(http, name))
    finally:
        openstack(*metadef, "namespace", "delete", name)


def test_what_an_operator_changed_survives_a_restart(fresh_headwater: FreshHeadwater) -> None:
    process = fresh_headwater()
    one = "/v2/metadefs/namespaces/OS::Compute::XenAPI"
    with httpx.Client(base_url=process.images_url, timeout=60) as http:
        assert len(http.get("/v2/metadefs/namespaces?limit=100").json()["namespaces"]) == 33
        http.put(one, json={"namespace": "OS::Compute::XenAPI"}).raise_for_status()
        http.delete(one).raise_for_status()
        created = http.post("/v2/metadefs/namespaces", json={"namespace": "Mine"})
        assert created.headers["location"] == f"{process.images_url}/v2/metadefs/namespaces/Mine"
    process.stop()
    process.start()
    with httpx.Client(base_url=process.images_url, timeout=60) as http:
        names = {each["namespace"] for each in http.get("/v2/metadefs/namespaces?limit=100").json()["namespaces"]}
    assert len(names) == 33
    assert "Mine" in names
    assert "OS::Compute::XenAPI" not in names
