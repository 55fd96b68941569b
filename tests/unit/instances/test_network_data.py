from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.instances.errors import InstanceInvalid
from headwater.instances.network_data import require_network_data
from unit.instances.examples import BOND, NETWORK_DATA

EMPTY: dict[str, Any] = {"links": [], "networks": [], "services": []}
LINK = {"id": "a", "type": "phy", "ethernet_mac_address": "fa:16:3e:00:00:01"}
STATIC = {"id": "n", "link": "a", "type": "ipv4", "ip_address": "10.0.0.5", "netmask": "255.255.255.0"}


@pytest.mark.parametrize("document", [EMPTY, NETWORK_DATA, BOND])
def test_what_guests_understand_is_taken(document: dict[str, Any]) -> None:
    require_network_data(document)


@pytest.mark.parametrize("change", [{"ip_address": "10.0.0.5/24", "netmask": None}, {"link_local": True}])
def test_a_prefix_length_and_unknown_keys_are_taken(change: dict[str, Any]) -> None:
    require_network_data({"links": [LINK], "networks": [{**STATIC, **change}], "services": []})


@pytest.mark.parametrize("document", [None, [], "x", {}, {"links": [], "networks": []}, {**EMPTY, "links": {}}])
def test_what_is_no_network_document_is_refused(document: object) -> None:
    with pytest.raises(InstanceInvalid, match="network data"):
        require_network_data(document)


@pytest.mark.parametrize(
    ("links", "names"),
    [
        ([{}], r"links\[0\]: id"),
        ([LINK, LINK], r"links\[1\]: the id 'a' is used twice"),
        ([{"id": "a", "type": "phy"}], "ethernet_mac_address"),
        ([{**LINK, "ethernet_mac_address": "x"}], "MAC address"),
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
    ],
)
def test_a_link_that_guests_break_on_is_named(links: list[object], names: str) -> None:
    with pytest.raises(InstanceInvalid, match=names):
        require_network_data({**EMPTY, "links": links})


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
    ],
)
def test_a_network_that_guests_break_on_is_named(change: dict[str, Any], names: str) -> None:
    with pytest.raises(InstanceInvalid, match=names):
        require_network_data({"links": [LINK], "networks": [{**STATIC, **change}], "services": []})


def test_a_wrong_service_is_named() -> None:
    with pytest.raises(InstanceInvalid, match=r"services\[0\]"):
        require_network_data({**EMPTY, "services": [{"type": "dns", "address": 8}]})


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
        require_network_data(document)
    except InstanceInvalid as error:
        assert error.field == "network data"
