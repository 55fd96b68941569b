"""Each rule is told of a record that breaks it, and not of one that keeps it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.instances.devices import Nic
from headwater.instances.keys import Key
from headwater.instances.lint import check
from headwater.instances.lint.check import CONSUMERS, EVERYONE, Consumer, lint
from headwater.instances.lint.rules import Rule
from headwater.instances.model import File, Instance
from headwater.instances.user_data.composing import composed, part
from unit.instances.examples import BARE, KEY

AWS_ID = "ec2a1111-2222-3333-4444-555555555555"
CONFIG = b"#cloud-config\nhostname: x\n"
IGNITION = b'{"ignition": {"version": "3.4.0"}}'


def rsa(bits: int) -> str:
    """Return a key whose modulus has so many bits; nobody has the other half."""
    parts = [b"ssh-rsa", b"\x01\x00\x01", b"\0" + (1 << (bits - 1)).to_bytes(bits // 8, "big")]
    blob = b"".join(len(each).to_bytes(4, "big") + each for each in parts)
    return f"ssh-rsa {base64.b64encode(blob).decode()} a@b"


def dss() -> str:
    blob = b"\0\0\0\x07ssh-dss\0\0\0\x01a"
    return f"ssh-dss {base64.b64encode(blob).decode()} a@b"


def keys(*lines: str) -> tuple[Key, ...]:
    return tuple(Key(name=f"k{number}", data=line) for number, line in enumerate(lines))


def link(link_id: str = "a", **more: Any) -> dict[str, Any]:
    return {"id": link_id, "type": "phy", "ethernet_mac_address": "fa:16:3e:00:00:01", "mtu": 1500, **more}


def vlan(link_id: str = "v", **more: Any) -> dict[str, Any]:
    return {
        "id": link_id,
        "type": "vlan",
        "vlan_link": "a",
        "vlan_id": 5,
        "vlan_mac_address": "fa:16:3e:00:00:02",
    } | more


V4 = {"id": "n4", "type": "ipv4", "link": "a", "ip_address": "10.0.0.5", "netmask": "255.255.255.0"}
V6 = {"id": "n6", "type": "ipv6", "link": "a", "ip_address": "2001:db8::5", "netmask": "ffff:ffff:ffff:ffff::"}
DHCP = {"id": "n", "type": "ipv4_dhcp", "link": "a"}
DNS4, DNS6 = {"type": "dns", "address": "1.1.1.1"}, {"type": "dns", "address": "2001:db8::53"}


def route(gateway: str, network: str = "0.0.0.0", netmask: str = "0.0.0.0", **more: Any) -> dict[str, Any]:
    return {"network": network, "netmask": netmask, "gateway": gateway, **more}


def net(
    *networks: dict[str, Any],
    links: list[dict[str, Any]] | None = None,
    services: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    return {
        "network_data": {"links": links or [link()], "networks": list(networks), "services": services or []},
    }


SERVICES = "vendor-data-target-fails"


@dataclass
class Case:
    rule: str
    wrong: dict[str, Any]
    right: dict[str, Any]
    field: str


def case(rule: str, at: str, wrong: dict[str, Any], right: dict[str, Any]) -> Case:
    return Case(rule, wrong, right, at)


ROUTED = {**V4, "routes": [route("10.0.0.1")]}
DNS_IN_NETWORK = {**V4, "services": [DNS4]}
DNS_IN_ROUTE = {**V4, "routes": [route("10.0.0.1", services=[DNS4])]}
BOND = {"id": "b0", "type": "bond", "bond_mode": "802.3ad", "ethernet_mac_address": "fa:16:3e:00:00:01"}
SECOND = link("b", ethernet_mac_address="fa:16:3e:00:00:03")


def config(version: str) -> dict[str, bytes]:
    return {"user_data": b'{"ignition": {"version": "%s"}}' % version.encode()}


GENERAL = [
    case("address-missing", "addresses", {}, {"addresses": ("10.0.0.5",)}),
    case("login-missing", "keys", {}, {"keys": keys(KEY)}),
    case("key-duplicate", "keys[1]", {"keys": keys(KEY, KEY + "2")}, {"keys": keys(KEY, rsa(3072))}),
    case("key-dss", "keys[0]", {"keys": keys(dss())}, {"keys": keys(KEY)}),
    case("key-rsa-short", "keys[0]", {"keys": keys(rsa(1024))}, {"keys": keys(rsa(2048))}),
    case("hostname-number", "hostname", {"hostname": "123.example"}, {"hostname": "a123.example"}),
    case("hostname-no-domain", "hostname", {"hostname": "a.novalocal"}, {"hostname": "novalocal"}),
    case("user-data-size", "user_data", {"user_data": b"#!" + bytes(16383)}, {"user_data": b"#!" + bytes(16382)}),
    case("meta-secret", "meta.admin_pass", {"meta": {"admin_pass": "x"}}, {"meta": {"role": "x"}}),
    case(
        "hop-limit-containers",
        "hop_limit",
        {"tokens": "required", "hop_limit": 1},
        {"tokens": "required", "hop_limit": 2},
    ),
    case("hop-limit-without-tokens", "hop_limit", {"hop_limit": 1}, {"hop_limit": 1, "tokens": "required"}),
    case(
        "device-without-link",
        "devices[0]",
        {"devices": (Nic(mac="fa:16:3e:00:00:09"),), **net(DHCP)},
        {"devices": (Nic(mac="fa:16:3e:00:00:01"),), **net(DHCP)},
    ),
    case("mtu-ipv6", "network_data.links[0].mtu", net(V6, links=[link(mtu=1279)]), net(V6, links=[link(mtu=1280)])),
    case(
        "mtu-vlan",
        "network_data.links[1].mtu",
        net(links=[link(), vlan(mtu=1501)]),
        net(links=[link(), vlan(mtu=1500)]),
    ),
    case(
        "gateway-unreachable",
        "network_data.networks[0].routes[0]",
        net({**V4, "routes": [route("10.0.1.1")]}),
        net(ROUTED, {**V6, "routes": [route("fe80::1", "::", "::")]}),
    ),
    case("gateway-own", "network_data.networks[0].gateway", net({**V4, "gateway": "10.0.0.5"}), net(ROUTED)),
    case(
        "route-default-twice",
        "network_data.networks[1].routes[0]",
        net(ROUTED, {**V4, "ip_address": "10.0.0.6", "routes": [route("10.0.0.2")]}),
        net(ROUTED, {**V6, "routes": [route("2001:db8::1", "::", "::")]}),
    ),
    case("route-default-missing", "network_data.networks", net(V4), net(ROUTED)),
    case("dns-missing", "network_data.services", net(V4), net(V4, services=[DNS4])),
    case("dns-family", "network_data.services", net(V6, services=[DNS4]), net(V6, services=[DNS4, DNS6])),
    case(
        "dns-many",
        "network_data.services",
        net(V4, services=[{"type": "dns", "address": f"10.0.0.{n}"} for n in range(1, 5)]),
        net(V4, services=[{"type": "dns", "address": f"10.0.0.{n}"} for n in range(1, 4)]),
    ),
    case(
        "address-elsewhere",
        "addresses[0]",
        {"addresses": ("10.0.0.6",), **net(V4)},
        {"addresses": ("10.0.0.5", "fe80::1"), **net(V4)},
    ),
    case(
        "address-of-network",
        "network_data.networks[0].ip_address",
        net({**V4, "ip_address": "10.0.0.255"}),
        net({**V4, "ip_address": "10.0.0.0", "netmask": "255.255.255.254"}),
    ),
    case(
        "bond-of-one",
        "network_data.links[1].bond_links",
        net(links=[link(), {**BOND, "bond_links": ["a"]}]),
        net(links=[link(), SECOND, {**BOND, "bond_links": ["a", "b"]}]),
    ),
    case("link-without-network", "network_data.links[0]", net(), net(DHCP)),
]

OF_CONSUMERS = [
    case("cloud-init-user-data-kind", "user_data", {"user_data": IGNITION}, {"user_data": CONFIG}),
    case("cloud-init-tokens-elsewhere", "tokens", {"tokens": "required"}, {"tokens": "required", "id": AWS_ID}),
    case("cloud-init-tokens-too-old", "tokens", {"tokens": "required", "id": AWS_ID}, {"tokens": "optional"}),
    case("cloud-init-disabled", "meta.dsmode", {"meta": {"dsmode": "disabled"}}, {"meta": {"dsmode": "net"}}),
    case("cloud-init-mode-unknown", "meta.dsmode", {"meta": {"dsmode": "x"}}, {"meta": {"dsmode": "net"}}),
    case(
        "cloud-init-dns-of-networks",
        "network_data.networks",
        net(DNS_IN_NETWORK),
        net(DNS_IN_NETWORK, services=[DNS4]),
    ),
    case("cloud-init-dns-of-routes", "network_data.networks", net(DNS_IN_ROUTE), net(DNS_IN_ROUTE, services=[DNS4])),
    case(
        "cloud-init-interface-name",
        "network_data.links[1].id",
        net(links=[link(), vlan("x" * 16)]),
        net(links=[link("a" * 16), vlan("x" * 15, vlan_link="a" * 16)]),
    ),
    case(
        "cloud-init-dhcpv6",
        "network_data.networks[0].type",
        net({**DHCP, "type": "ipv6_dhcpv6-stateless"}),
        net({**DHCP, "type": "ipv6_slaac"}),
    ),
    case(
        "cloud-init-vendor-data-unread",
        "vendor_data",
        {"vendor_data": {"mirror": "x"}},
        {"vendor_data": {"cloud-init": "#!/bin/sh", "mirror": "x"}},
    ),
    case(
        "cloud-init-vendor-data-kind",
        "vendor_data.cloud-init",
        {"vendor_data": {"cloud-init": "hello"}},
        {"vendor_data": {"cloud-init": "#cloud-config\n"}},
    ),
    case(
        "cloud-init-vendor-data-items",
        "vendor_data[0]",
        {"vendor_data": [{"a": 1}]},
        {"vendor_data": ["#cloud-config\n"]},
    ),
    case(
        "cloud-init-gzip-behind-neutron",
        "user_data",
        {"user_data": composed([part("a", CONFIG)], compress=True)},
        {"user_data": CONFIG},
    ),
    case("cloud-init-renders", "user_data", {"user_data": b"## template: jinja\n"}, {"user_data": CONFIG}),
    case("cloud-init-include", "user_data", {"user_data": b"#include\nhttp://a/\n"}, {"user_data": CONFIG}),
    case("cloud-init-files", "files", {"files": (File(path="/a", data=b""),)}, {}),
    case("cloudbase-init-files", "files", {"files": (File(path="/a", data=b""),)}, {}),
    case(
        "ignition-files",
        "files",
        {"files": (File(path="/a", data=b""),), "user_data": IGNITION},
        {"user_data": IGNITION},
    ),
    case("cloudbase-init-hostname", "hostname", {"hostname": "a" * 16}, {"hostname": "a" * 15 + ".example.org"}),
    case("cloudbase-init-key", "keys[0]", {"keys": keys(KEY, rsa(2048))}, {"keys": keys(rsa(2048), KEY)}),
    case(
        "cloudbase-init-dynamic",
        "network_data.networks[1].type",
        net(V4, {**DHCP, "type": "ipv6_dhcp"}),
        net(DHCP),
    ),
    case("cloudbase-init-tokens", "tokens", {"tokens": "required"}, {}),
    case("cloudbase-init-user-data-kind", "user_data", {"user_data": b"#part-handler\n"}, {"user_data": b"#ps1\nx"}),
    case(
        "cloudbase-init-keys",
        "user_data",
        {"user_data": b"#cloud-config\npackages: [a]\n"},
        {"user_data": b"#cloud-config\nruncmd: [a]\n"},
    ),
    case(
        "cloudbase-init-multipart",
        "user_data",
        {"user_data": b"MIME-Version: 1.0\n" + composed([part("a", CONFIG)]).replace(b"MIME-Version: 1.0\n", b"", 1)},
        {"user_data": composed([part("a", CONFIG)])},
    ),
    case("ignition-user-data-kind", "user_data", {"user_data": CONFIG}, {"user_data": IGNITION}),
    case("ignition-none", "user_data", {}, {"user_data": IGNITION}),
    case(
        "ignition-wrapped",
        "user_data",
        {"user_data": b"MIME-Version: 1.0\nContent-Type: text/plain\n\n" + IGNITION},
        {"user_data": IGNITION},
    ),
    case("ignition-json", "user_data", {"user_data": IGNITION[:-1]}, {"user_data": IGNITION}),
    case(
        "ignition-version-missing", "user_data: ignition.version", {"user_data": b'{"ignition": {}}'}, config("3.4.0")
    ),
    case("ignition-version-old", "user_data: ignition.version", config("2.3.0"), config("3.0.0")),
    case(
        "ignition-version-experimental",
        "user_data: ignition.version",
        config("3.6.0-experimental"),
        config("3.5.0"),
    ),
    *(
        case(f"ignition-version-{version}", "user_data: ignition.version", config(version), config("3.0.0"))
        for version in ("3.1.0", "3.2.0", "3.3.0", "3.4.0", "3.5.0")
    ),
    case("ignition-tokens", "tokens", {"tokens": "required"}, {}),
    case("ignition-tokens-aws", "tokens", {"tokens": "required"}, {}),
    case("afterburn-hostname-long", "hostname", {"hostname": f"a.{'b' * 63}"}, {"hostname": f"a.{'b' * 62}"}),
    case("afterburn-hostname-refused", "hostname", {"hostname": f"a.{'b' * 63}"}, {"hostname": f"a.{'b' * 62}"}),
    case("afterburn-network", "network_data.networks", net(V4), net(DHCP)),
    case("afterburn-tokens", "tokens", {"tokens": "required"}, {}),
    case("ironic-mtu", "network_data.links[0].mtu", net(DHCP, links=[link(mtu=None)]), net(DHCP)),
    case(
        "ironic-network-empty",
        "network_data",
        {"network_data": {"links": [], "networks": [], "services": []}},
        {"network_data": None},
    ),
]
EVERY = [*GENERAL, *OF_CONSUMERS]
OWNER = {rule.id: consumers[0] for rule, consumers in check.all_rules()}


def found(facts: dict[str, Any], rule: str) -> list[str]:
    """Return the fields of which a rule is told."""
    owner = OWNER[rule]
    instance = replace(BARE, **facts)
    consumers = () if owner == EVERYONE else (Consumer(owner),)
    return [each.field for each in lint(instance, consumers) if each.rule == rule]


@pytest.mark.parametrize("each", EVERY, ids=[each.rule for each in EVERY])
def test_a_rule_is_told_of_what_breaks_it_alone(each: Case) -> None:
    assert found(each.wrong, each.rule) == [each.field]
    assert found(each.right, each.rule) == []


def test_every_rule_for_records_has_a_case() -> None:
    every = {rule.id for rule, _ in check.all_rules() if isinstance(rule, Rule)}
    assert every == {each.rule for each in EVERY} | {SERVICES}


def test_services_that_have_nothing_for_a_machine_are_told_of() -> None:
    failing = {"join": "it answers 500", "{odd}": "its answer is no JSON"}
    (one, two) = [each for each in lint(BARE, failing=failing) if each.rule == SERVICES]
    assert (one.field, two.field) == ("vendor_data2: join", "vendor_data2: {odd}")
    assert one.sentence == "the target 'join' of vendor data has nothing for it: it answers 500"
    assert one.why.startswith("guests read {} in its place")
    assert SERVICES not in [each.rule for each in lint(BARE)]


VERSIONED = [
    (rule, name)
    for name, (_, rules) in CONSUMERS.items()
    for rule in rules
    if rule.versions.before or rule.versions.since
]


@pytest.mark.parametrize(("rule", "name"), VERSIONED, ids=[rule.id for rule, _ in VERSIONED])
def test_a_rule_for_some_releases_is_not_told_of_others(rule: Rule, name: str) -> None:
    [wrong] = [each.wrong for each in EVERY if each.rule == rule.id]

    def told(version: str | None) -> bool:
        return rule.id in [each.rule for each in lint(replace(BARE, **wrong), [Consumer(name, version)])]

    assert told(None)
    if rule.versions.before:
        assert not told(rule.versions.before)
        assert told("0.1")
    if rule.versions.since:
        assert told(rule.versions.since)
        assert not told("0.1")


def test_sentences_are_filled() -> None:
    for each in EVERY:
        owner = OWNER[each.rule]
        for finding in lint(replace(BARE, **each.wrong), () if owner == EVERYONE else (Consumer(owner),)):
            assert "{" not in finding.sentence.replace('{"', "")
            assert finding.fix and finding.why and finding.source


@pytest.mark.parametrize(
    ("networks", "family"),
    [
        ((V4,), 4),
        ((V6,), 6),
        ((ROUTED, V6), 6),
        ((V6, {**DHCP, "type": "ipv4_dhcp"}), 6),
        ((ROUTED,), None),
        ((DHCP,), None),
    ],
)
def test_a_default_route_is_missed_in_each_family(networks: tuple[dict[str, Any], ...], family: int | None) -> None:
    told = [each for each in lint(replace(BARE, **net(*networks))) if each.rule == "route-default-missing"]
    assert [f"IPv{family}" in each.sentence for each in told] == ([] if family is None else [True])


@given(
    st.sampled_from([b"", b"#cloud-config\n", b'{"ignition": ', b"#cloud-config-archive\n", b"Content-Type: a/b\n\n"]),
    st.binary(max_size=200),
)
def test_any_user_data_is_judged_for_every_consumer(prefix: bytes, data: bytes) -> None:
    instance = replace(BARE, user_data=prefix + data)
    for name in CONSUMERS:
        assert lint(instance, [Consumer(name)])


def test_a_record_of_an_older_release_is_judged_though_its_network_is_broken() -> None:
    broken: dict[str, Any] = {
        "links": [{"id": 3}, {}],
        "networks": [{"type": "ipv4", "ip_address": "x", "routes": [{"gateway": "y"}]}, {}],
        "services": [{"type": "dns", "address": "z"}],
    }
    for consumer in CONSUMERS:
        instance: Instance = replace(BARE, network_data=broken, devices=(Nic(mac="fa:16:3e:00:00:01"),))
        assert lint(instance, [Consumer(consumer)])
