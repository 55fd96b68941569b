from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.instances.errors import InstanceInvalid
from headwater.instances.model import Instance
from headwater.instances.network.data import canonical_network_data, require_shape
from unit.instances.examples import BOND, NETWORK_DATA, WEB_1

MAC = "fa:16:3e:9c:bf:3d"
EMPTY: dict[str, Any] = {"links": [], "networks": [], "services": []}
LINK = {"id": "a", "type": "phy", "ethernet_mac_address": "fa:16:3e:00:00:01"}
STATIC = {"id": "n", "link": "a", "type": "ipv4", "ip_address": "10.0.0.5", "netmask": "255.255.255.0"}
ROUTE = {"network": "172.16.0.0", "netmask": "255.240.0.0", "gateway": "10.0.0.1"}
MEMBERS = BOND["links"][:2]


@pytest.mark.parametrize("document", [EMPTY, NETWORK_DATA, BOND])
def test_what_guests_understand_is_taken_as_it_is(document: dict[str, Any]) -> None:
    before = copy.deepcopy(document)
    assert canonical_network_data(document) == document == before


def registered(network: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """Return a network as it is registered, beside others."""
    document = canonical_network_data({"links": [LINK], "networks": [network, *more], "services": []})
    found: dict[str, Any] = document["networks"][0]
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"ip_address": "10.0.0.5/24", "netmask": None},
        {"ip_address": "10.0.0.5/24"},
        {"netmask": "24"},
        {"netmask": 24},
    ],
)
def test_a_prefix_length_becomes_a_netmask(change: dict[str, Any]) -> None:
    found = registered({**STATIC, **change})
    assert (found["ip_address"], found["netmask"]) == ("10.0.0.5", "255.255.255.0")
    found = registered({**STATIC, "type": "ipv6", "ip_address": "2001:DB8:0::5/64", "netmask": None})
    assert (found["ip_address"], found["netmask"]) == ("2001:db8::5", "ffff:ffff:ffff:ffff::")


def test_keys_that_are_not_known_stay() -> None:
    assert registered({**STATIC, "link_local": True})["link_local"] is True


@pytest.mark.parametrize(
    "written", ["FA-16-3E-9C-BF-3D", "FA:16:3e:9c:bf:3d", "fa16.3e9c.bf3d", "FA163E9CBF3D", "fa:16:3e:9c:bf:3d"]
)
def test_mac_addresses_have_one_spelling(written: str) -> None:
    """Guests compare them as text with those of their interfaces."""
    links = [
        {**LINK, "ethernet_mac_address": written},
        {**BOND["links"][3], "vlan_link": "b", "vlan_mac_address": written},
        {**BOND["links"][2], "id": "b", "bond_links": ["a"], "ethernet_mac_address": written},
    ]
    found = canonical_network_data({**EMPTY, "links": links})["links"]
    assert [link.get("vlan_mac_address", link.get("ethernet_mac_address")) for link in found] == [MAC] * 3


def test_ip_addresses_have_one_spelling() -> None:
    mask = "FFFF:FFFF:FFFF:FFFF:0:0:0:0"
    route = {"network": "2001:DB8:1:0::", "netmask": mask, "gateway": "FE80::0001"}
    dns = [{"type": "dns", "address": "2001:4860:4860:0::8888"}]
    network = {**STATIC, "type": "ipv6", "ip_address": "2001:DB8::0:5", "netmask": mask, "gateway": "FE80::1"}
    found = registered(
        {**network, "routes": [{**route, "services": dns}], "services": dns, "dns_nameservers": ["::0:5"]}
    )
    assert (found["ip_address"], found["netmask"], found["gateway"]) == (
        "2001:db8::5",
        "ffff:ffff:ffff:ffff::",
        "fe80::1",
    )
    assert {key: found["routes"][0][key] for key in route} == {
        "network": "2001:db8:1::",
        "netmask": "ffff:ffff:ffff:ffff::",
        "gateway": "fe80::1",
    }
    assert found["services"] == found["routes"][0]["services"] == [{"type": "dns", "address": "2001:4860:4860::8888"}]
    assert found["dns_nameservers"] == ["::5"]
    assert canonical_network_data({**EMPTY, "services": dns})["services"] == found["services"]


def test_a_network_has_the_names_that_novas_schema_requires() -> None:
    unnamed = {key: value for key, value in STATIC.items() if key != "id"}
    assert (registered(unnamed)["id"], registered(unnamed)["network_id"]) == ("network0", "network0")
    assert registered(unnamed, {**STATIC, "id": "network0"})["id"] == "network1"
    assert registered(STATIC)["network_id"] == "n"


def test_a_document_that_an_older_version_registered_is_still_read() -> None:
    old = {
        "links": [{**LINK, "ethernet_mac_address": "FA-16-3E-00-00-01"}],
        "networks": [{"link": "x"}],
        "services": [],
    }
    require_shape(old)
    stored = replace(WEB_1, network_data=old).to_dict()
    assert Instance.from_dict(stored).network_data == old


@pytest.mark.parametrize("document", [None, [], "x", {}, {"links": [], "networks": []}, {**EMPTY, "links": {}}])
def test_what_is_no_network_document_is_refused(document: object) -> None:
    with pytest.raises(InstanceInvalid, match="network data"):
        canonical_network_data(document)


@pytest.mark.parametrize(
    ("links", "names"),
    [
        ([{}], r"links\[0\]: id"),
        ([LINK, LINK], r"links\[1\]: the id 'a' is used twice"),
        ([{"id": "a", "type": "phy"}], "ethernet_mac_address"),
        ([{**LINK, "ethernet_mac_address": "x"}], "MAC address"),
        ([{**LINK, "ethernet_mac_address": "01:00:5E:00:00:01"}], "01:00:5e:00:00:01 is no address that an interface"),
        ([{**LINK, "ethernet_mac_address": "ff-ff-ff-ff-ff-ff"}], "that of a group, or zero"),
        ([{**LINK, "ethernet_mac_address": "000000000000"}], "that of a group, or zero"),
        ([{**LINK, "id": "a\nb"}], r"links\[0\]: id must be one line"),
        ([LINK, {**BOND["links"][2], "bond_links": ["a"], "bond_miimon": -1}], "bond_miimon must be a whole number"),
        ([LINK, {**BOND["links"][2], "bond_links": ["a"], "bond_xmit_hash_policy": "l2"}], "must be one of layer2, "),
        ([{**LINK, "type": None}], "type"),
        ([{**LINK, "mtu": "1500"}], "mtu"),
        ([{**LINK, "mtu": True}], "mtu"),
        ([{**LINK, "mtu": 1}], "mtu"),
        ([{**LINK, "type": "bond", "bond_mode": "x", "bond_links": ["a"]}], "bond_mode"),
        ([{**LINK, "type": "bond", "bond_mode": [], "bond_links": ["a"]}], "bond_mode"),
        ([{**LINK, "type": "bond", "bond_mode": "802.3ad", "bond_links": []}], "bond_links"),
        ([{**LINK, "type": "bond", "bond_mode": "802.3ad", "bond_links": ["b"]}], "'b'"),
        ([{"id": "v", "type": "vlan", "vlan_id": 1, "vlan_link": "a"}], "vlan_mac_address"),
        ([{**BOND["links"][3], "vlan_id": 4095}], "vlan_id"),
        ([BOND["links"][3]], "vlan_link"),
        ([1], "links"),
        ([{**BOND["links"][2], "id": "a", "bond_links": ["a"]}], "'a' stands on itself"),
        ([{**BOND["links"][3], "id": "v", "vlan_link": "v"}], "'v' stands on itself"),
        ([*MEMBERS, {**BOND["links"][2], "bond_links": ["a", "v"]}, BOND["links"][3]], "stands on itself"),
        ([*MEMBERS, {**BOND["links"][2], "bond_links": ["a", "a"]}], "'a', which is in a bond already"),
        ([*BOND["links"], {**BOND["links"][2], "id": "c", "ethernet_mac_address": MAC}], "'a', which is in a bond"),
        ([*MEMBERS, {**BOND["links"][2], "bond_links": ["b"], "id": "c"}], "belongs to the link 'a'"),
        ([*BOND["links"], {**BOND["links"][2], "id": "c", "bond_links": ["bond0"]}], "'bond0', which is a bond"),
        ([*BOND["links"], {**BOND["links"][3], "id": "w"}], "vlan_id 101 on 'bond0' is that of the link 'v' already"),
        ([LINK, {**LINK, "id": "b"}], "fa:16:3e:00:00:01 belongs to the link 'a'"),
        ([LINK, {**LINK, "id": "b", "ethernet_mac_address": "FA-16-3E-00-00-01"}], "belongs to the link 'a'"),
        ([*MEMBERS, {**BOND["links"][3], "vlan_link": "b", "vlan_mac_address": "fa163e00000"}], "MAC address"),
        ([*MEMBERS, {**BOND["links"][3], "vlan_link": "b", "vlan_mac_address": "fa163e000001"}], "belongs to the link"),
    ],
)
def test_a_link_that_guests_break_on_is_named(links: list[object], names: str) -> None:
    with pytest.raises(InstanceInvalid, match=names):
        canonical_network_data({**EMPTY, "links": links})


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"link": "b"}, "link names a link that is not in links: 'b'"),
        ({"link": None}, "link"),
        ({"type": "ipx"}, "'ipx'"),
        ({"ip_address": "10.0.0.256"}, "ip_address"),
        ({"ip_address": "2001:db8::1"}, "IPv4"),
        ({"ip_address": "10.0.0.5/33"}, "prefix"),
        ({"ip_address": f"10.0.0.5/{'1' * 5000}"}, "prefix"),
        ({"netmask": None}, "netmask"),
        ({"netmask": "255.0.255.0"}, "netmask"),
        ({"type": "ipv6"}, "IPv6"),
        ({"routes": {}}, "routes"),
        ({"routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0"}]}, r"routes\[0\]: gateway"),
        ({"services": [{"type": "dns", "address": "dns.example"}]}, r"services\[0\]: address"),
        ({"services": [{}]}, "type"),
        ({"services": [{"type": "dns", "address": "2001:db8::1"}]}, r"services\[0\]: address must be an IPv4"),
        ({"services": [{"type": "dns", "address": "224.0.0.1"}]}, "one machine"),
        ({"gateway": "x"}, "gateway must be an IP address"),
        ({"gateway": "2001:db8::1"}, "gateway must be an IPv4"),
        ({"gateway": ""}, "gateway"),
        ({"broadcast": "x"}, "broadcast"),
        ({"dns_nameservers": "1.1.1.1"}, "dns_nameservers must be a list"),
        ({"dns_nameservers": ["x"]}, "dns_nameservers"),
        ({"routes": [{**ROUTE, "network": "x"}]}, r"routes\[0\]: network"),
        ({"routes": [{**ROUTE, "network": "2001:db8::"}]}, "network must be an IPv4"),
        ({"routes": [{**ROUTE, "gateway": "2001:db8::1"}]}, "gateway must be an IPv4"),
        ({"routes": [ROUTE, {**ROUTE, "netmask": "255.0.255.0"}]}, r"routes\[1\]: netmask '255.0.255.0' is no netmask"),
        ({"routes": [{**ROUTE, "netmask": 33}]}, "33 bits"),
        ({"routes": [{**ROUTE, "services": [{"type": "dns", "address": "x"}]}]}, r"routes\[0\].services\[0\]: address"),
        ({"ip_address": "10.0.0.5/16"}, "netmask is another one than the 16 bits"),
        ({"ip_address": "0.0.0.0"}, "one machine"),
        ({"type": "ipv6", "ip_address": "fe80::1%eth0"}, "link does that"),
        ({"type": "ipv4_dhcp", "ip_address": "2001:db8::1"}, "IPv4"),
        ({"type": "ipv6_slaac", "ip_address": None, "netmask": "255.0.0.0"}, "IPv6"),
        ({"id": ""}, "id must be a text"),
        ({"id": 7}, "id must be a text"),
        ({"network_id": 7}, "network_id must be a text"),
    ],
)
def test_a_network_that_guests_break_on_is_named(change: dict[str, Any], names: str) -> None:
    with pytest.raises(InstanceInvalid, match=names):
        canonical_network_data({"links": [LINK], "networks": [{**STATIC, **change}], "services": []})


def test_a_network_of_an_id_that_another_has_is_named() -> None:
    with pytest.raises(InstanceInvalid, match=r"networks\[1\]: the id 'n' is used twice"):
        registered(STATIC, STATIC)


def test_links_that_stand_on_each_other_may_share_an_address() -> None:
    mac = MEMBERS[0]["ethernet_mac_address"]
    bond = BOND["links"][2]
    vlans = [{**BOND["links"][3], "id": f"v{number}", "vlan_mac_address": mac, "vlan_id": number} for number in (1, 2)]
    links = [*vlans, bond, *MEMBERS]  # in any order
    assert canonical_network_data({**EMPTY, "links": links})["links"] == links


def test_a_wrong_service_is_named() -> None:
    with pytest.raises(InstanceInvalid, match=r"services\[0\]"):
        canonical_network_data({**EMPTY, "services": [{"type": "dns", "address": 8}]})


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=4)
    | st.sampled_from(["a", "vlan", "bond", "10.0.0.1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(st.data())
def test_any_change_of_any_value_is_taken_or_refused_and_nothing_else(data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from([NETWORK_DATA, BOND])))
    part = document[data.draw(st.sampled_from(["links", "networks"]))]
    entry = part[data.draw(st.integers(0, len(part) - 1))]
    entry[data.draw(st.sampled_from(sorted(entry)))] = data.draw(JUNK)
    try:
        again = canonical_network_data(document)
        assert canonical_network_data(again) == again
    except InstanceInvalid as error:
        assert error.field == "network data"
