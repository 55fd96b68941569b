"""What Nova and Neutron say of a server becomes what their own metadata service would tell its guest."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from headwater.instances.errors import InstanceInvalid
from headwater.instances.keys import Key
from headwater.instances.model import DEFAULT_BLOCK_DEVICES, Instance
from headwater.instances.sources.openstack.documents import KeyPair, Network, Port, Server, Subnet
from headwater.instances.sources.openstack.networks import network_data
from headwater.instances.sources.openstack.servers import Known, in_order, instance
from servers.openstack import openstack_cloud as cloud
from unit.instances.examples import NETWORK_DATA


def made(
    *,
    key: KeyPair | None = None,
    subnets: list[dict[str, Any]] | None = None,
    ports: list[dict[str, Any]] | None = None,
    domain: str = "novalocal",
    volumes: Sequence[str] = (),
    **changed: Any,
) -> Instance:
    told = msgspec.convert(cloud.server(**changed), Server)
    having = in_order(msgspec.convert(cloud.PORTS if ports is None else ports, list[Port]), told)
    nets = {each.id: each for each in msgspec.convert(cloud.NETWORKS, list[Network])}
    described = {each.id: each for each in msgspec.convert(subnets or cloud.SUBNETS, list[Subnet])}
    network = network_data(having, described, nets)
    known = Known(server=told, key_pair=key, ports=having, network_data=network, volumes=volumes)
    return instance(known, dhcp_domain=domain)


def test_a_server_is_told_whole() -> None:
    found = made(key=KeyPair(name="my/key", public_key=f"{cloud.KEY}\n"))
    assert (found.id, found.name, found.hostname) == (cloud.ID, "Web 1", "web-1.novalocal")
    assert (found.project_id, found.user_data) == (cloud.PROJECT, cloud.USER_DATA)
    assert found.keys == (Key(name="my-key", data=cloud.KEY),)
    assert dict(found.meta) == {"role": "webservers", "essential": "false"}
    assert (found.image_id, found.kernel_id, found.instance_type) == (cloud.IMAGE, None, "m1.small")
    assert (found.availability_zone, found.reservation_id, found.launch_index) == ("nova", "r-0qqq7xpu", 0)
    assert found.security_groups == ("default", "web")
    assert found.block_devices == {"ami": "vda", "root": "/dev/vda"}
    assert found.addresses == (*("192.168.0.3", "2001:db8::f816:3eff:fe9c:bf3d", "192.168.50.7", "2001:db8:1::7"),)
    assert found.public_ipv4 == "203.0.113.9"
    assert found.created_at == found.updated_at == 1787313600_000000


def test_volumes_are_numbered_by_their_devices_where_the_root_is_known() -> None:
    volumes = ("/dev/vdc", "/dev/vda", "/dev/vdb")
    named = {"ebs0": "/dev/vda", "ebs1": "/dev/vdb", "ebs2": "/dev/vdc"}
    assert made(volumes=volumes).block_devices == {"ami": "vda", "root": "/dev/vda", **named}
    unknown: dict[str, Any] = {"OS-EXT-SRV-ATTR:root_device_name": None}
    assert made(volumes=volumes, **unknown).block_devices == DEFAULT_BLOCK_DEVICES


def test_the_network_is_described_as_nova_does() -> None:
    expected = copy.deepcopy(NETWORK_DATA)
    # Every port of Neutron has the name of its interface; and Nova tells no MTU where there is DHCP.
    expected["links"][1]["id"] = "tap1d2e3f40-4a"
    expected["links"][0]["mtu"] = 1450
    for network in expected["networks"][2:]:
        network["link"] = "tap1d2e3f40-4a"
    assert made().network_data == expected


def test_equal_answers_make_equal_instances_whatever_the_order_of_ports() -> None:
    assert made() == made(ports=list(reversed(cloud.PORTS)), updated="2026-08-22T12:00:30Z", progress=7)


def test_a_server_without_ports_has_no_network_document() -> None:
    found = made(ports=[], addresses={})
    assert (found.network_data, found.addresses, found.public_ipv4) == (None, (), None)


@pytest.mark.parametrize(
    ("changed", "name", "hostname"),
    [
        ({"OS-EXT-SRV-ATTR:hostname": "db.example.org"}, "Web 1", "db.example.org"),
        ({"OS-EXT-SRV-ATTR:hostname": None}, "Web 1", "web-1.novalocal"),
        ({"name": " two\nlines "}, "two lines", "web-1.novalocal"),
        ({"name": ""}, "server-b65cee2f", "web-1.novalocal"),
        ({"name": cloud.IMAGE}, f"server-{cloud.IMAGE}", "web-1.novalocal"),
        ({"name": "x" * 300}, "x" * 255, "web-1.novalocal"),
    ],
    ids=["whole", "none", "lines", "empty", "uuid", "long"],
)
def test_names_that_nova_allows_are_names_here(changed: dict[str, Any], name: str, hostname: str) -> None:
    found = made(**changed)
    assert (found.name, found.hostname) == (name, hostname)


def test_without_a_domain_a_host_name_stays_as_it_is() -> None:
    assert made(domain="").hostname == "web-1"


def test_a_server_from_a_volume_has_no_image_and_a_windows_key_is_a_certificate() -> None:
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    found = made(image="", key=KeyPair(name="win", public_key=certificate, type="x509"))
    assert (found.image_id, found.keys) == (None, (Key(name="win", data=certificate, type="x509"),))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"OS-EXT-SRV-ATTR:user_data": "=!"}, "user data"),
        ({"subnets": [{**cloud.SUBNETS[2], "gateway_ip": "nowhere"}]}, "gateway must be an IP address"),
        ({"subnets": [{**cloud.SUBNETS[2], "cidr": "192.168.0.0/99"}]}, "99 bits"),
    ],
    ids=["user_data", "gateway", "cidr"],
)
def test_what_no_guest_could_use_is_refused(more: dict[str, Any], told: str) -> None:
    with pytest.raises(InstanceInvalid, match=told):
        made(**more)
