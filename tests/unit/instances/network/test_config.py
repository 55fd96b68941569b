"""The network document in cloud-init's own forms: what its schema and each of its renderers want."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.instances.network.config import version_1, version_2
from headwater.instances.network.data import canonical_network_data
from unit.instances.examples import BOND

LINK = {"id": "a", "type": "phy", "ethernet_mac_address": "fa:16:3e:00:00:01"}


def document(*networks: dict[str, Any], services: tuple[str, ...] = ()) -> dict[str, Any]:
    return canonical_network_data(
        {
            "links": [LINK],
            "networks": [{"link": "a", **each} for each in networks],
            "services": [{"type": "dns", "address": each} for each in services],
        }
    )


@pytest.mark.parametrize(
    ("address", "gateway", "is_outside"),
    [
        ("192.0.2.7/24", "192.0.2.1", False),
        ("203.0.113.7/32", "192.0.2.1", True),
        ("2001:db8::7/64", "2001:db8::1", False),
        ("2001:db8::7/128", "2001:db8::1", True),
        ("2001:db8::7/64", "fe80::1", False),
    ],
    ids=["IPv4", "IPv4 outside", "IPv6", "IPv6 outside", "IPv6 link-local"],
)
def test_a_gateway_outside_of_its_network_is_called_on_link(address: str, gateway: str, is_outside: bool) -> None:
    kind, default = ("ipv6", "::/0") if ":" in address else ("ipv4", "0.0.0.0/0")
    found = document({"type": kind, "ip_address": address, "gateway": gateway})
    [route] = version_2(found)["ethernets"]["a"]["routes"]
    assert route == {"to": default, "via": gateway} | ({"on-link": True} if is_outside else {})
    [subnet] = version_1(found)["config"][0]["subnets"]
    assert (subnet.get("gateway"), "routes" in subnet) == ((gateway, False) if is_outside else (None, True))


def test_a_second_route_by_a_gateway_outside_stays_a_route() -> None:
    route = {"network": "198.51.100.0", "netmask": "255.255.255.0", "gateway": "192.0.2.1"}
    network = {"type": "ipv4", "ip_address": "203.0.113.7/32", "gateway": "192.0.2.1", "routes": [route]}
    [subnet] = version_1(document(network))["config"][0]["subnets"]
    assert subnet["gateway"] == "192.0.2.1"
    assert subnet["routes"] == [{"destination": "198.51.100.0/24", "gateway": "192.0.2.1"}]


def test_name_servers_stand_with_the_networks_of_their_version_too() -> None:
    """Renderers for NetworkManager and for ifupdown leave out those that stand by themselves, by release."""
    slaac = {"type": "ipv6_slaac", "services": [{"type": "dns", "address": "2001:db8::53"}]}
    static = {"type": "ipv4", "ip_address": "192.0.2.7/24", "services": [{"type": "dns", "address": "192.0.2.53"}]}
    found = version_1(document(static, slaac, {"type": "ipv4_dhcp"}, services=("9.9.9.9", "2620:fe::fe")))
    assert [each.get("dns_nameservers") for each in found["config"][0]["subnets"]] == [
        ["192.0.2.53", "9.9.9.9"],
        ["2001:db8::53"],
        None,
    ]
    assert found["config"][1] == {"type": "nameserver", "address": ["9.9.9.9", "2620:fe::fe"]}


def test_parameters_of_a_bond_have_the_types_of_cloud_inits_schema() -> None:
    bond = {**BOND["links"][2], "bond_updelay": "200", "bond_min_links": 1, "bond_lacp_rate": "fast"}
    found = version_2(canonical_network_data({**BOND, "links": [*BOND["links"][:2], bond, BOND["links"][3]]}))
    assert found["bonds"]["bond0"]["parameters"] == {
        "mode": "802.3ad",
        "mii-monitor-interval": "100",
        "up-delay": 200,
        "min-links": 1,
        "lacp-rate": "fast",
    }
