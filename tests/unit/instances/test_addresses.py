from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.instances.addresses import canonical, canonical_mac, on_network, parted
from headwater.instances.callers.by_address import source_address
from headwater.instances.errors import CallerUnknown, InstanceInvalid


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("10.0.0.5", "10.0.0.5"),
        ("::ffff:10.0.0.5", "10.0.0.5"),
        ("::FFFF:0a00:0005", "10.0.0.5"),
        ("2001:DB8:0:0::5", "2001:db8::5"),
        ("127.0.0.1", "127.0.0.1"),
        ("fe80::f816:3eff:fe9c:bf3d", "fe80::f816:3eff:fe9c:bf3d"),
    ],
)
def test_each_address_has_one_spelling(given_text: str, expected: str) -> None:
    assert canonical(given_text) == expected
    assert source_address((given_text, 1)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "web1", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.5/24", " 10.0.0.5", "10.0.0.5\n", "1", "::%eth0"),
        *("fe80::1%eth0", "0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1", "::ffff:0.0.0.0", "٣.1.1.1"),
    ],
)
def test_what_no_single_machine_sends_from_is_refused(text: str) -> None:
    with pytest.raises(InstanceInvalid, match="address"):
        canonical(text)


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("blue/10.0.0.5", "blue/10.0.0.5"),
        ("blue/::ffff:10.0.0.5", "blue/10.0.0.5"),
        ("Blue_2-x/FE80::1", "Blue_2-x/fe80::1"),
        ("10/10.0.0.5", "10/10.0.0.5"),
    ],
)
def test_an_address_may_name_its_network(given_text: str, expected: str) -> None:
    assert canonical(given_text) == expected
    network, plain = parted(expected)
    assert source_address((plain, 1), network) == expected
    assert on_network(network, plain) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("/10.0.0.5", "blue/", "blue/web1", "-blue/10.0.0.5", "a.b/10.0.0.5", "blue/red/10.0.0.5", "10.0.0.5/24"),
        *(
            "blue/10.0.0.0/24",
            "bl ue/10.0.0.5",
            f"{'n' * 65}/10.0.0.5",
            "blue\n/10.0.0.5",
            "blue/fe80::1%br0",
            "ü/10.0.0.5",
        ),
    ],
)
def test_what_names_no_network_or_no_address_on_it_is_refused(text: str) -> None:
    with pytest.raises(InstanceInvalid, match="address"):
        canonical(text)


def test_who_gives_an_interface_is_told_of_networks() -> None:
    with pytest.raises(InstanceInvalid, match="NETWORK/fe80::1"):
        canonical("fe80::1%eth0")


def test_a_zone_does_not_hide_a_caller() -> None:
    assert source_address(("fe80::1%eth0", 1)) == "fe80::1"


@pytest.mark.parametrize("client", [None, ("", 0), ("unix:/run/x.sock", 0)])
def test_a_caller_without_an_address_is_unknown(client: tuple[str, int] | None) -> None:
    with pytest.raises(CallerUnknown):
        source_address(client)


@given(st.ip_addresses())
def test_the_spelling_of_a_spelling_is_itself(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    once = source_address((str(address), 1))
    assert source_address((once, 1)) == once


def test_a_mac_address_is_lower_case_with_colons() -> None:
    for written in ("FA-16-3E-9C-BF-3D", "Fa:16:3e:9c:bf:3d", "FA16.3E9C.BF3D", "fa163e9cbf3d"):
        assert canonical_mac(written) == "fa:16:3e:9c:bf:3d"
    assert canonical_mac("0:c:29:1:2:AB") == "00:0c:29:01:02:ab"
    for wrong in ("", "fa:16:3e:9c:bf", "fa:16:3e:9c:bf:3g", "fa:16:3e:9c:bf:3d\n"):
        with pytest.raises(InstanceInvalid, match="MAC"):
            canonical_mac(wrong)
