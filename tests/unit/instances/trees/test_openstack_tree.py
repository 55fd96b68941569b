from __future__ import annotations

import json
from dataclasses import replace

import pytest

from headwater.instances.keys import Key
from headwater.instances.model import File
from headwater.instances.trees import openstack
from headwater.instances.trees.document import BYTES, JSON, TEXT
from unit.instances.examples import BARE, KEY, META_DATA, NETWORK_DATA, WEB_1, zeros

TREE = openstack.tree(WEB_1)

EARLY = ["meta_data.json", "user_data"]
GRIZZLY = [*EARLY, "password"]
HAVANA = [*GRIZZLY, "vendor_data.json"]
LIBERTY = [*HAVANA, "network_data.json"]
NEWTON_2 = [*LIBERTY, "vendor_data2.json"]


def test_the_root_lists_the_versions() -> None:
    assert TREE["openstack"].body == (
        b"2012-08-10\n2013-04-04\n2013-10-17\n2015-10-15\n2016-06-30\n2016-10-06\n"
        b"2017-02-22\n2018-08-27\n2020-10-14\n2025-04-04\nlatest"
    )


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("2012-08-10", EARLY),
        ("2013-04-04", GRIZZLY),
        ("2013-10-17", HAVANA),
        ("2015-10-15", LIBERTY),
        ("2016-06-30", LIBERTY),
        ("2016-10-06", NEWTON_2),
        ("2017-02-22", NEWTON_2),
        ("2018-08-27", NEWTON_2),
        ("2020-10-14", NEWTON_2),
        ("2025-04-04", NEWTON_2),
        ("latest", NEWTON_2),
    ],
)
def test_each_version_lists_exactly_the_files_it_has(version: str, names: list[str]) -> None:
    assert TREE[f"openstack/{version}"].body.decode() == "\n".join(names)
    assert TREE[f"openstack/{version}"].content_type == TEXT
    assert sorted(path for path in TREE if path.startswith(f"openstack/{version}/")) == sorted(
        f"openstack/{version}/{name}" for name in names
    )


def test_meta_data_of_the_newest_version_is_the_worked_example() -> None:
    for version in ("latest", "2025-04-04"):
        document = TREE[f"openstack/{version}/meta_data.json"]
        assert document.read(zeros) == META_DATA
        assert document.content_type == JSON


ALWAYS = {"uuid", "meta", "public_keys", "keys", "hostname", "name", "launch_index", "availability_zone"}


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("2012-08-10", set()),
        ("2013-04-04", {"random_seed"}),
        ("2013-10-17", {"random_seed"}),
        ("2015-10-15", {"random_seed", "project_id"}),
        ("2016-06-30", {"random_seed", "project_id", "devices"}),
        ("2018-08-27", {"random_seed", "project_id", "devices"}),
        ("2020-10-14", {"random_seed", "project_id", "devices", "dedicated_cpus"}),
    ],
)
def test_each_version_has_its_keys(version: str, more: set[str]) -> None:
    document = json.loads(TREE[f"openstack/{version}/meta_data.json"].read(zeros))
    assert set(document) == ALWAYS | more


def devices(version: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(TREE[f"openstack/{version}/meta_data.json"].read(zeros))["devices"]
    return found


def test_devices_say_what_their_version_knows() -> None:
    assert [device["type"] for device in devices("2016-06-30")] == ["nic", "disk"]
    assert "vlan" not in devices("2016-10-06")[0]
    assert [device["type"] for device in devices("2017-02-22")] == ["nic", "nic", "disk"]
    assert devices("2017-02-22")[1]["vlan"] == 1000
    assert "vf_trusted" not in devices("2017-02-22")[1]
    assert devices("2018-08-27")[1]["vf_trusted"] is False
    assert [device["type"] for device in devices("2020-10-14")] == ["nic", "nic", "disk"]
    assert [device["type"] for device in devices("2025-04-04")] == ["nic", "nic", "disk", "share"]


def test_the_random_seed_is_new_on_every_read() -> None:
    numbers = iter(range(256))
    document = TREE["openstack/latest/meta_data.json"]
    first, second = (
        json.loads(document.read(lambda size: bytes([next(numbers)]) * size))["random_seed"] for _ in range(2)
    )
    assert first != second
    assert len(first) == len(second) == 684


def test_a_bare_machine_has_neither_keys_nor_meta_nor_user_data() -> None:
    tree = openstack.tree(BARE)
    document = json.loads(tree["openstack/latest/meta_data.json"].read(zeros))
    assert not {"meta", "keys", "public_keys", "files"} & set(document)
    assert document["devices"] == []
    assert document["dedicated_cpus"] == []
    assert not {"availability_zone", "project_id"} & set(document)
    assert None not in document.values()
    assert len(document["random_seed"]) == 684
    assert tree["openstack/latest"].body == b"meta_data.json\npassword\nvendor_data.json\nvendor_data2.json"
    assert "openstack/latest/user_data" not in tree


def test_a_certificate_is_a_key_but_no_line_for_authorized_keys() -> None:
    instance = replace(WEB_1, keys=(Key(name="c", data="PEM", type="x509"), Key(name="k", data=KEY)))
    document = json.loads(openstack.tree(instance)["openstack/latest/meta_data.json"].read(zeros))
    assert document["public_keys"] == {"k": KEY}
    assert [key["type"] for key in document["keys"]] == ["x509", "ssh"]


def test_network_data_is_json_and_as_it_was_given() -> None:
    document = TREE["openstack/latest/network_data.json"]
    assert (document.body, document.content_type) == (json.dumps(NETWORK_DATA).encode(), JSON)
    assert "openstack/2013-10-17/network_data.json" not in TREE


def test_network_data_without_links_is_not_there_because_guests_would_lose_their_network() -> None:
    tree = openstack.tree(replace(WEB_1, network_data={"links": [], "networks": [], "services": []}))
    assert "openstack/latest/network_data.json" not in tree
    assert b"network_data.json" not in tree["openstack/latest"].body


@pytest.mark.parametrize("vendor_data", [{"cloud-init": "#cloud-config\n", "x": [None, "☃"]}, ["a"], "#cloud-config"])
def test_vendor_data_is_as_it_was_given_and_below_static_in_the_second_file(vendor_data: object) -> None:
    tree = openstack.tree(replace(WEB_1, vendor_data=vendor_data))
    assert tree["openstack/latest/vendor_data.json"].body == json.dumps(vendor_data).encode()
    assert tree["openstack/latest/vendor_data2.json"].body == json.dumps({"static": vendor_data}).encode()


def test_without_vendor_data_both_files_are_empty_objects_because_null_breaks_guests() -> None:
    assert TREE["openstack/latest/vendor_data.json"].body == b"{}"
    assert TREE["openstack/latest/vendor_data2.json"].body == b'{"static": {}}'


@pytest.mark.parametrize(("user_data", "content_type"), [(b"", TEXT), (b"#!/bin/sh\n", TEXT), (b"\xff\x00", BYTES)])
def test_user_data_is_the_bytes_that_were_given(user_data: bytes, content_type: str) -> None:
    document = openstack.tree(replace(WEB_1, user_data=user_data))["openstack/2012-08-10/user_data"]
    assert (document.body, document.content_type) == (user_data, content_type)


def test_the_password_is_empty_while_none_is_set() -> None:
    assert TREE["openstack/latest/password"].body == b""


def test_injected_files_are_on_drives_only() -> None:
    instance = replace(WEB_1, files=(File(path="/etc/motd", data=b"hello"), File(path="/etc/x", data=b"\xff")))
    served = json.loads(openstack.tree(instance)["openstack/latest/meta_data.json"].read(zeros))
    assert "files" not in served
    on_drive = json.loads(openstack.versions(instance, drive=True)["latest"]["meta_data.json"].read(zeros))
    assert on_drive["files"] == [
        {"path": "/etc/motd", "content_path": "/content/0000"},
        {"path": "/etc/x", "content_path": "/content/0001"},
    ]
    assert openstack.content(instance) == {"content/0000": b"hello", "content/0001": b"\xff"}
    assert "password" not in openstack.versions(instance, drive=True)["latest"]
