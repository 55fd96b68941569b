from __future__ import annotations

import json

import pytest

from headwater.instances.errors import InstanceInvalid
from headwater.instances.media.plain import Given, plain_files
from headwater.instances.model import File
from unit.instances.examples import KEY, NETWORK_DATA

MOTD = (File(path="/etc/motd", data=b"hello \xff"),)


def test_files_stand_on_openstacks_medium_and_in_its_document() -> None:
    files = plain_files(Given(files=MOTD), "openstack")
    assert files["openstack/content/0000"] == b"hello \xff"
    document = json.loads(files["openstack/latest/meta_data.json"])
    assert document["files"] == [{"path": "/etc/motd", "content_path": "/content/0000"}]


def test_nocloud_takes_files_as_they_are() -> None:
    given = Given(
        user_data=b"\x1f\x8b\x00",
        meta_data=b"instance-id: one\nlocal-hostname: web\n",
        network_config=b"version: 2\nethernets: {}\n",
        vendor_data=b"#!/bin/sh\n",
    )
    assert plain_files(given, "nocloud") == {
        "network-config": b"version: 2\nethernets: {}\n",
        "meta-data": b"instance-id: one\nlocal-hostname: web\n",
        "user-data": b"\x1f\x8b\x00",
        "vendor-data": b"#!/bin/sh\n",
    }


def test_a_host_name_and_a_key_are_enough() -> None:
    given = Given(hostname="web1.example", ssh_keys=(KEY,))
    nocloud = plain_files(given, "nocloud")
    assert set(nocloud) == {"meta-data", "user-data"}
    meta_data = json.loads(nocloud["meta-data"])
    assert meta_data["local-hostname"] == "web1.example"
    assert meta_data["public-keys"] == [KEY]
    openstack = json.loads(plain_files(given, "openstack")["openstack/latest/meta_data.json"])
    assert openstack["uuid"] == meta_data["instance-id"], "the same machine, whenever and however it is written"
    assert openstack["hostname"] == "web1.example"


def test_openstack_takes_documents() -> None:
    given = Given(
        meta_data=b'{"uuid": "1", "hostname": "h"}',
        network_config=json.dumps(NETWORK_DATA).encode(),
        vendor_data=b'{"cloud-init": "#cloud-config\\n"}',
    )
    files = plain_files(given, "openstack")
    assert files["openstack/latest/meta_data.json"] == given.meta_data
    assert json.loads(files["openstack/latest/network_data.json"]) == NETWORK_DATA
    assert json.loads(files["openstack/latest/vendor_data.json"]) == {"cloud-init": "#cloud-config\n"}
    assert not [path for path in files if path.startswith("ec2/")]


@pytest.mark.parametrize(
    ("given", "layout"),
    [
        (Given(meta_data=b"- a list"), "nocloud"),
        (Given(meta_data=b"{unclosed"), "nocloud"),
        (Given(meta_data=b"\xff\xfe\xfd"), "nocloud"),
        (Given(network_config=b""), "nocloud"),
        (Given(network_config=b"[" * 5000), "nocloud"),
        (Given(meta_data=b"instance-id: x"), "openstack"),
        (Given(meta_data=b'{"hostname": "x"}'), "openstack"),
        (Given(meta_data=b'{"uuid": "1", "uuid": "2"}'), "openstack"),
        (Given(network_config=b"[" * 100_000), "openstack"),
        (Given(vendor_data=b'"'), "openstack"),
        (Given(vendor_data=b'{"a": "\xff"}'), "openstack"),
        (Given(meta_data=b"instance-id: x", hostname="y"), "nocloud"),
        (Given(hostname="not a name"), "nocloud"),
        (Given(ssh_keys=("nonsense",)), "nocloud"),
        (Given(files=MOTD), "nocloud"),
        (Given(files=MOTD * 2), "openstack"),
        (Given(files=MOTD, meta_data=b'{"uuid": "1"}'), "openstack"),
    ],
)
def test_what_a_guest_could_not_read_is_refused(given: Given, layout: str) -> None:
    with pytest.raises(InstanceInvalid):
        plain_files(given, layout)  # type: ignore[arg-type]  # of two values
