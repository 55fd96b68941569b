from __future__ import annotations

from dataclasses import replace

import pytest

from headwater.instances.identity.proofs import SIGNED
from headwater.instances.keys import Key
from headwater.instances.trees import ec2
from headwater.instances.trees.document import BYTES, TEXT, Document
from unit.instances.examples import BARE, KEY, WEB_1

TREE = ec2.tree(WEB_1)


def body(path: str) -> str:
    return TREE[f"ec2/{path}"].body.decode()


def test_the_root_lists_the_versions() -> None:
    assert TREE["ec2"].body == (
        b"1.0\n2007-01-19\n2007-03-01\n2007-08-29\n2007-10-10\n2007-12-15\n2008-02-01\n2008-09-01\n2009-04-04\nlatest"
    )


FIRST = [
    *("ami-id", "ami-launch-index", "ami-manifest-path", "hostname", "instance-id", "local-ipv4", "public-keys/"),
    *("reservation-id", "security-groups"),
]
HOSTS = ["local-hostname", "public-hostname", "public-ipv4"]


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("1.0", []),
        ("2007-01-19", HOSTS),
        ("2007-03-01", HOSTS),
        ("2007-08-29", [*HOSTS, "instance-type"]),
        ("2007-10-10", [*HOSTS, "instance-type"]),
        ("2007-12-15", [*HOSTS, "instance-type", "block-device-mapping/"]),
        ("2008-02-01", [*HOSTS, "instance-type", "block-device-mapping/", "placement/"]),
        ("2008-09-01", [*HOSTS, "instance-type", "block-device-mapping/", "placement/", "instance-action"]),
        ("2009-04-04", [*HOSTS, "instance-type", "block-device-mapping/", "placement/", "instance-action"]),
        ("latest", [*HOSTS, "instance-type", "block-device-mapping/", "placement/", "instance-action"]),
    ],
)
def test_each_version_lists_its_keys(version: str, more: list[str]) -> None:
    assert body(f"{version}/meta-data").split("\n") == sorted([*FIRST, *more])
    assert body(version) == ("dynamic/\n" if version == "latest" else "") + "meta-data/\nuser-data"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("ami-id", "ami-70a599e0"),
        ("ami-launch-index", "0"),
        ("ami-manifest-path", "FIXME"),
        ("block-device-mapping", "ami\nephemeral0\nroot\nswap"),
        ("block-device-mapping/ami", "vda"),
        ("block-device-mapping/root", "/dev/vda"),
        ("hostname", "web-1.novalocal"),
        ("instance-action", "none"),
        ("instance-id", "i-b65cee2f"),
        ("instance-type", "m1.small"),
        ("local-hostname", "web-1.novalocal"),
        ("local-ipv4", "10.0.0.5"),
        ("placement", "availability-zone"),
        ("placement/availability-zone", "nova"),
        ("public-hostname", "web-1.novalocal"),
        ("public-ipv4", "203.0.113.10"),
        ("public-keys", "0=mykey"),
        ("public-keys/0", "openssh-key"),
        ("public-keys/0/openssh-key", KEY),
        ("reservation-id", "r-abcdefgh"),
        ("security-groups", "default\nweb"),
    ],
)
def test_each_key_has_its_value(path: str, expected: str) -> None:
    assert body(f"latest/meta-data/{path}") == expected
    assert TREE[f"ec2/latest/meta-data/{path}"].content_type == TEXT


def test_a_bare_machine_has_what_every_guest_needs_and_lists_nothing_that_is_not_there() -> None:
    tree = ec2.tree(BARE)
    assert tree["ec2/latest"].body == b"dynamic/\nmeta-data/"
    assert tree["ec2/latest/meta-data/instance-id"].body == b"i-11111111"
    assert tree["ec2/latest/meta-data/ami-id"].body == b"ami-00000000"
    assert tree["ec2/latest/meta-data/reservation-id"].body == b"r-11111111"
    assert tree["ec2/latest/meta-data/block-device-mapping/root"].body == b"/dev/sda1"
    absent = ["public-keys", "placement", "instance-type", "kernel-id", "ramdisk-id", "local-ipv4", "public-ipv4"]
    for version in (*ec2.VERSIONS, "latest"):
        names = [line.rstrip("/") for line in tree[f"ec2/{version}/meta-data"].body.decode().split("\n")]
        assert not set(absent) & set(names)
        assert not [name for name in absent if f"ec2/{version}/meta-data/{name}" in tree]


def test_no_value_is_empty() -> None:
    """CoreOS' agent dies of "" as an address, and a guest asks for what a listing names."""
    tree = ec2.tree(replace(BARE, security_groups=(), block_devices={}, addresses=("2001:db8::5",)))
    assert [path for path, document in tree.items() if not document.body] == []


def test_kernel_and_ramdisk_are_there_from_their_version_on() -> None:
    uuid = "0badcafe-31e7-49b7-b260-868f441e862b"
    tree = ec2.tree(replace(WEB_1, kernel_id=uuid, ramdisk_id=uuid))
    assert tree["ec2/2007-12-15/meta-data/kernel-id"].body == b"aki-0badcafe"
    assert tree["ec2/2007-12-15/meta-data/ramdisk-id"].body == b"ari-0badcafe"
    assert "ec2/2007-10-10/meta-data/kernel-id" not in tree


def test_a_certificate_is_no_key_for_ssh() -> None:
    tree = ec2.tree(replace(WEB_1, keys=(Key(name="c", data="PEM", type="x509"), Key(name="k", data=KEY))))
    assert tree["ec2/latest/meta-data/public-keys"].body == b"0=k"
    assert "ec2/latest/meta-data/public-keys" not in ec2.tree(
        replace(WEB_1, keys=(Key(name="c", data="PEM", type="x509"),))
    )


def test_the_first_ipv4_address_is_the_local_one() -> None:
    tree = ec2.tree(replace(WEB_1, addresses=("2001:db8::5", "10.0.0.7", "10.0.0.6")))
    assert tree["ec2/latest/meta-data/local-ipv4"].body == b"10.0.0.7"


@pytest.mark.parametrize(
    ("user_data", "content_type"),
    [(b"", TEXT), ("#cloud-config\n# ☃".encode(), TEXT), (b"\x1f\x8b\x08\xff", BYTES)],
)
def test_user_data_is_the_bytes_that_were_given(user_data: bytes, content_type: str) -> None:
    tree = ec2.tree(replace(WEB_1, user_data=user_data))
    for version in (*ec2.VERSIONS, "latest"):
        document = tree[f"ec2/{version}/user-data"]
        assert (document.body, document.content_type) == (user_data, content_type)


def test_every_entry_of_every_listing_is_there() -> None:
    for instance in (WEB_1, BARE):
        tree = ec2.tree(instance)
        reached = {"ec2"}
        waiting = [(f"ec2/{version}", line) for version in (*ec2.VERSIONS, "latest") for line in listing(tree, version)]
        reached |= {f"ec2/{version}" for version in (*ec2.VERSIONS, "latest")}
        while waiting:
            parent, line = waiting.pop()
            name, _, label = line.rstrip("/").partition("=")
            path = f"{parent}/{name}"
            assert path in tree or path in SIGNED, path
            reached.add(path)
            if line.endswith("/") or label:
                waiting += [(path, inner) for inner in tree[path].body.decode().split("\n")]
        assert reached == set(tree) | SIGNED


def listing(tree: dict[str, Document], version: str) -> list[str]:
    return tree[f"ec2/{version}"].body.decode().split("\n")
