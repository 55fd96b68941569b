"""The NoCloud files: all four are there for every machine, and say what its record says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from headwater.instances.trees import nocloud
from unit.instances.examples import BARE, BOND, KEY, WEB_1

FILES = ["network-config", "meta-data", "user-data", "vendor-data"]


def test_all_files_are_there_for_a_machine_that_has_nothing() -> None:
    tree = nocloud.tree(BARE)
    assert tree["nocloud"].body.decode().split() == [*FILES, "v1/"]
    for root in ("nocloud", "nocloud/v1"):
        assert [tree[f"{root}/{name}"].body for name in ("network-config", "user-data", "vendor-data")] == [b""] * 3
        assert yaml.safe_load(tree[f"{root}/meta-data"].body) == {
            "instance-id": BARE.id,
            "local-hostname": BARE.hostname,
            **({} if BARE.availability_zone is None else {"availability-zone": BARE.availability_zone}),
        }


def test_the_facts_are_those_of_the_record() -> None:
    found = yaml.safe_load(nocloud.files(WEB_1)["meta-data"].body)
    assert (found["instance-id"], found["local-hostname"]) == (WEB_1.id, WEB_1.hostname)
    assert found["public-keys"] == [KEY]
    assert found["meta"] == dict(WEB_1.meta)
    assert nocloud.files(WEB_1)["user-data"].body == WEB_1.user_data


@pytest.mark.parametrize(
    ("given", "file"),
    [
        (None, ""),
        ({"mirror": "x"}, ""),
        ("#cloud-config\n{}\n", "#cloud-config\n{}\n"),
        ({"cloud-init": "#!/bin/sh\n", "mirror": "x"}, "#!/bin/sh\n"),
    ],
)
def test_vendor_data_is_the_part_that_cloud_init_reads(given: Any, file: str) -> None:
    assert nocloud.files(replace(WEB_1, vendor_data=given))["vendor-data"].body.decode() == file


def test_several_pieces_of_vendor_data_are_an_archive() -> None:
    pieces = ["#cloud-config\n{}\n", "#!/bin/sh\n"]
    for given in (pieces, {"cloud-init": pieces}):
        head, _, rest = nocloud.files(replace(WEB_1, vendor_data=given))["vendor-data"].body.decode().partition("\n")
        assert (head, json.loads(rest)) == ("#cloud-config-archive", pieces)


def test_a_bond_with_a_vlan_on_it_has_both_forms() -> None:
    machine = replace(WEB_1, network_data=BOND)
    newer = yaml.safe_load(nocloud.files(machine)["network-config"].body)
    (bond,), (vlan,) = newer["bonds"].values(), newer["vlans"].values()
    assert set(bond["interfaces"]) <= set(newer["ethernets"])
    assert (vlan["link"], vlan["id"]) == (next(iter(newer["bonds"])), 101)
    older = yaml.safe_load(nocloud.files(machine, version=1)["network-config"].body)
    names = {each["name"]: each for each in older["config"]}
    assert names["bond0"]["bond_interfaces"] == ["eth0", "eth1"]
    assert names["bond0.101"]["vlan_link"] == "bond0"
