from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.instances.errors import InstanceInvalid, UserDataTooLarge
from headwater.instances.model import Instance
from headwater.instances.names import hostname_from, require_hostname
from unit.instances.examples import BARE, WEB_1


def changed(**fields: Any) -> Instance:
    return Instance.from_dict({**WEB_1.to_dict(), **fields})


@pytest.mark.parametrize("instance", [WEB_1, BARE])
def test_an_instance_survives_json(instance: Instance) -> None:
    assert Instance.from_dict(json.loads(json.dumps(instance.to_dict()))) == instance


def test_user_data_is_base64_in_json() -> None:
    assert WEB_1.to_dict()["user_data"] == "I2Nsb3VkLWNvbmZpZwpob3N0bmFtZTogeAo="


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "B65CEE2F-8c69-4aeb-be2f-f79742548fc2"),
        ("id", "../../etc/passwd"),
        ("id", None),
        ("name", ""),
        ("name", "a\nb"),
        ("name", " a"),
        ("name", "x" * 256),
        ("name", "b65cee2f-8c69-4aeb-be2f-f79742548fc2"),
        ("name", "B65CEE2F-8C69-4AEB-BE2F-F79742548FC2"),
        ("name", "\udcff"),
        ("hostname", "-web"),
        ("hostname", "web_1"),
        ("hostname", "web..1"),
        ("hostname", "web\n"),
        ("hostname", "x" * 64),
        ("hostname", ".".join(["x" * 63] * 4)),
        ("addresses", ["::ffff:10.0.0.5"]),
        ("addresses", ["10.0.0.5", "10.0.0.5"]),
        ("addresses", ["web1"]),
        ("public_ipv4", "2001:db8::1"),
        ("keys", [{"name": "k", "data": "d"}, {"name": "k", "data": "e"}]),
        ("keys", [{"name": "k", "data": "d", "type": "pgp"}]),
        ("user_data", "*not base64*"),
        ("vendor_data", 1),
        ("vendor_data", True),
        ("vendor_data", ""),
        ("vendor_data", {"cloud-init": {"an": "object"}}),
        ("vendor_data", ["\ud800"]),
        ("meta", {"": "x"}),
        ("meta", {"a\nb": "x"}),
        ("meta", {"a": 1}),
        ("meta", {"a": "\udcff"}),
        ("image_id", "noble"),
        ("launch_index", -1),
        ("launch_index", "0"),
        ("security_groups", ["a\nb"]),
        ("availability_zone", ""),
        ("block_devices", {"ami/x": "vda"}),
        ("devices", [{"type": "nic", "mac": "FA:16:3E:9C:BF:3D"}]),
        ("devices", [{"type": "nic", "mac": "fa:16:3e:9c:bf:3d", "vlan": 4095}]),
        ("devices", [{"type": "gpu"}]),
        ("devices", [{"type": "disk", "colour": "red"}]),
        ("network_data", {"links": []}),
        ("files", [{"path": "etc/motd", "data": ""}]),
        ("files", [{"path": "/etc/../shadow", "data": ""}]),
        ("files", [{"path": "/a", "data": ""}, {"path": "/a", "data": ""}]),
    ],
)
def test_what_a_guest_could_not_use_is_refused(field: str, value: object) -> None:
    with pytest.raises(InstanceInvalid):
        changed(**{field: value})


@pytest.mark.parametrize("missing", ["id", "name", "hostname", "created_at", "updated_at"])
def test_a_document_without_what_it_needs_is_refused(missing: str) -> None:
    document = WEB_1.to_dict()
    del document[missing]
    with pytest.raises(InstanceInvalid, match=missing):
        Instance.from_dict(document)


@pytest.mark.parametrize("vendor_data", [{}, [], "#cloud-config\n", {"cloud-init": "#!/bin/sh\n"}, {"cloud-init": []}])
def test_vendor_data_that_guests_read_is_taken(vendor_data: object) -> None:
    assert changed(vendor_data=vendor_data).vendor_data == vendor_data


def test_user_data_has_a_limit_in_bytes() -> None:
    WEB_1.require_user_data_within(len(WEB_1.user_data or b""))
    BARE.require_user_data_within(0)
    with pytest.raises(UserDataTooLarge, match="26 bytes are more than the 25 allowed"):
        WEB_1.require_user_data_within(25)


@pytest.mark.parametrize(
    ("name", "hostname"),
    [
        ("Web 1", "web-1"),
        ("web_1.Example.ORG", "web-1.example.org"),
        ("☃", "host-b65cee2f"),
        ("--", "host-b65cee2f"),
        ("a..b", "a.b"),
        ("x" * 80, "x" * 63),
    ],
)
def test_a_host_name_is_made_from_a_name(name: str, hostname: str) -> None:
    assert hostname_from(name, WEB_1.id) == hostname


@given(st.text(max_size=300))
def test_a_host_name_can_be_made_from_any_name(name: str) -> None:
    require_hostname(hostname_from(name, WEB_1.id))
