"""Where we answer otherwise than Nova on purpose: its answers, made into what is right.

Each correction counts how often it was needed, so that none stays that Nova needs no more.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from beside_nova.machines import Machine
from headwater.instances.trees import ec2, openstack

Tree = dict[str, tuple[str, bytes]]  # from a path to the type and the bytes of what is there

JSON, TEXT, BYTES = "application/json", "text/plain; charset=UTF-8", "text/plain; charset=ISO-8859-1"
_VERSIONS = (*ec2.VERSIONS, ec2.LATEST)


class Why(StrEnum):
    """Why an answer of ours is another than Nova's."""

    NO_PUBLIC_ADDRESS = "an empty address is none: guests take it for one"
    NO_LOCAL_ADDRESS = "the address that asks is not the machine's, as with a proxy between them"
    NO_FLAVOR = "a machine without a flavor"
    NO_GROUP = "no group is no name of one"
    NO_ZONE_DIRECTORY = "no zone is not a zone called None"
    CERTIFICATE_AS_KEY = "a certificate would be a broken line of authorized_keys"
    PASSWORD_IS_TEXT = "a password is text, and no HTML"
    BYTES_ARE_NO_TEXT = "bytes are not said to be UTF-8"
    OURS_ALONE = "dynamic and ipv6 are ours alone"
    NOT_LISTED = "what is not listed is not there"
    NETWORK_IS_JSON = "network_data.json is JSON"
    NO_LINK = "network_data.json without a link makes cloud-init configure nothing"
    MTU_WITH_DHCP = "the MTU is told where there is DHCP too"
    NO_PASSWORD_KEPT = "no password is kept that could be told"
    NO_ZONE = "no zone is left out"
    CERTIFICATE_AMONG_KEYS = "a certificate is no public key of SSH"
    ONE_DOMAIN = "a host name that has a domain gets no second one"


# A leaf of the EC2 tree that Nova gives and we do not, when, and why.
NOT_THERE: dict[str, tuple[Callable[[Machine, bytes], bool], Why]] = {
    "public-ipv4": (lambda _, body: not body, Why.NO_PUBLIC_ADDRESS),
    "local-ipv4": (
        lambda machine, body: body.decode() == machine["address"],
        Why.NO_LOCAL_ADDRESS,
    ),
    "instance-type": (lambda _, body: not body, Why.NO_FLAVOR),
    "security-groups": (lambda _, body: not body, Why.NO_GROUP),
    "placement": (
        lambda machine, _: machine["server"]["OS-EXT-AZ:availability_zone"] is None,
        Why.NO_ZONE_DIRECTORY,
    ),
    "public-keys": (
        lambda machine, _: machine["keypair"]["type"] == "x509",
        Why.CERTIFICATE_AS_KEY,
    ),
}


@dataclass
class Corrected:
    """What Nova told of one machine, corrected."""

    machine: Machine
    ours: Tree  # where something is ours alone
    used: Counter[Why] = field(default_factory=Counter)

    def http(self, told: Tree) -> Tree:
        """Return the two trees."""
        tree = {path.rstrip("/") or "/": found for path, found in told.items()}
        for version in _VERSIONS:
            self._without_what_is_not_there(tree, version)
        self._with_what_is_ours(tree)
        for path in list(tree):
            name = path.rpartition("/")[2]
            if name == "network_data.json":
                self._network_data(tree, path)
            elif name == "meta_data.json":
                tree[path] = JSON, self._meta_data(tree[path][1])
            elif name == "password":
                self.used[Why.PASSWORD_IS_TEXT] += 1
                tree[path] = TEXT, tree[path][1]
            elif name in ("user_data", "user-data") and not _is_text(tree[path][1]):
                self.used[Why.BYTES_ARE_NO_TEXT] += 1
                tree[path] = BYTES, tree[path][1]
            elif name.endswith("hostname"):
                tree[path] = TEXT, self._hostname(tree[path][1].decode()).encode()
        return tree

    def drive(self, told: dict[str, bytes]) -> dict[str, bytes]:
        """Return the files of the config drive."""
        files = dict(told)
        for path, data in told.items():
            name = path.rpartition("/")[2]
            if name == "meta_data.json":
                files[path] = self._meta_data(data)
            elif name == "meta-data.json":
                files[path] = self._meta_data_of_ec2(data)
            elif name == "network_data.json":
                found = self._network(data)
                if found is None:
                    del files[path]
                else:
                    files[path] = found
        return files

    def _without_what_is_not_there(self, tree: Tree, version: str) -> None:
        listing = f"/{version}/meta-data"
        for name, (applies, why) in NOT_THERE.items():
            path = f"{listing}/{name}"
            if path not in tree or not applies(self.machine, tree[path][1]):
                continue
            self.used[why] += 1
            for gone in [each for each in tree if each == path or each.startswith(f"{path}/")]:
                del tree[gone]
            _relist(tree, listing, partial(_without, name))

    def _with_what_is_ours(self, tree: Tree) -> None:
        for path, found in self.ours.items():
            if path.startswith("/latest/dynamic") or path == "/latest/meta-data/ipv6":
                assert path not in tree
                self.used[Why.OURS_ALONE] += 1
                tree[path] = found
                if path == "/latest/meta-data/ipv6":
                    _relist(tree, "/latest/meta-data", lambda names: names | {"ipv6"})
        _relist(tree, "/latest", lambda names: names | {"dynamic/"})

    def _network_data(self, tree: Tree, path: str) -> None:
        version, found = path.split("/")[2], self._network(tree[path][1])
        if version < openstack.LIBERTY:
            self.used[Why.NOT_LISTED] += 1
            del tree[path]
        elif found is None:
            del tree[path]
            kind, names = tree[f"/openstack/{version}"]
            left = [name for name in names.split(b"\n") if name != b"network_data.json"]
            tree[f"/openstack/{version}"] = kind, b"\n".join(left)
        else:
            self.used[Why.NETWORK_IS_JSON] += 1
            tree[path] = JSON, found

    def _network(self, data: bytes) -> bytes | None:
        document = json.loads(data)
        if not document or not document["links"]:
            self.used[Why.NO_LINK] += 1
            return None
        mtus = {each["id"]: each["mtu"] for each in self.machine["networks"]}
        of_ports = {each["id"]: mtus[each["network_id"]] for each in self.machine["ports"]}
        for link in document["links"]:
            if link["mtu"] is None:
                self.used[Why.MTU_WITH_DHCP] += 1
                link["mtu"] = of_ports[link["vif_id"]]
        return json.dumps(document).encode()

    def _meta_data(self, data: bytes) -> bytes:
        document = json.loads(data)
        if "admin_pass" in document:
            self.used[Why.NO_PASSWORD_KEPT] += 1
            del document["admin_pass"]
        if document["availability_zone"] is None:
            self.used[Why.NO_ZONE] += 1
            del document["availability_zone"]
        if self.machine["keypair"] is not None and self.machine["keypair"]["type"] == "x509":
            self.used[Why.CERTIFICATE_AMONG_KEYS] += 1
            del document["public_keys"]
        document["hostname"] = self._hostname(document["hostname"])
        return json.dumps(document).encode()

    def _meta_data_of_ec2(self, data: bytes) -> bytes:
        document = json.loads(data)
        for name, (applies, _) in NOT_THERE.items():
            value: Any = document.get(name)
            body = value.encode() if isinstance(value, str) else b"\n".join(each.encode() for each in value or ())
            if name in document and applies(self.machine, body):
                del document[name]
        for name in ("hostname", "local-hostname", "public-hostname"):
            document[name] = self._hostname(document[name])
        return json.dumps(document).encode()

    def _hostname(self, told: str) -> str:
        own = self.machine["server"]["OS-EXT-SRV-ATTR:hostname"]
        if "." in own:
            self.used[Why.ONE_DOMAIN] += 1
            return str(own)
        return told


def _relist(tree: Tree, path: str, change: Callable[[set[str]], set[str]]) -> None:
    kind, body = tree[path]
    tree[path] = kind, "\n".join(sorted(change(set(body.decode().split("\n"))))).encode()


def _without(name: str, names: set[str]) -> set[str]:
    return names - {name, f"{name}/"}


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
