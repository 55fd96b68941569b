"""Two dozen machines as the Compute and the Networking API tell of them, with what these leave out.

Each is one JSON object: ``server``, ``keypair``, ``ports``, ``subnets`` and ``networks`` as the APIs answer them;
``devices``, ``dedicated_cpus``, ``files``, ``volumes`` (with ``block_devices``, which come of them) and ``ec2_ids`` as
the compute node knows them.
"""

from __future__ import annotations

import base64
import copy
import uuid
from typing import Any

Machine = dict[str, Any]

SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6/Vd6bZLg2P6nTYxKGBSSmOF0hbnOdCxUZcmNBYxCG me@laptop"
X509 = "-----BEGIN CERTIFICATE-----\nMIIBszCCARwCAQAwDQYJKoZIhvcNAQEFBQAwIjEgMB4GA1UE\n-----END CERTIFICATE-----\n"
IMAGE = "70a599e0-31e7-49b7-b260-868f441e862b"
_NETWORK, _STATIC = "99e88329-f20d-4741-9593-25bf07847b16", "11111111-f20d-4741-9593-25bf07847b16"
_SUBNETS: tuple[Machine, ...] = (
    {
        "id": "dhcp4",
        "ip_version": 4,
        "cidr": "10.0.0.0/24",
        "gateway_ip": "10.0.0.1",
        "enable_dhcp": True,
        "dhcp_server": "10.0.0.2",
        "dns_nameservers": ["8.8.8.8"],
    },
    {
        "id": "static4",
        "ip_version": 4,
        "cidr": "192.168.50.0/24",
        "gateway_ip": "192.168.50.1",
        "host_routes": [{"destination": "172.16.0.0/12", "nexthop": "192.168.50.254"}],
        "dns_nameservers": ["1.1.1.1", "8.8.8.8"],
    },
    {"id": "island4", "ip_version": 4, "cidr": "203.0.113.0/28"},
    {
        "id": "slaac6",
        "ip_version": 6,
        "cidr": "2001:db8::/64",
        "gateway_ip": "2001:db8::1",
        "enable_dhcp": True,
        "dhcp_server": "2001:db8::2",
        "ipv6_address_mode": "slaac",
        "dns_nameservers": ["2001:4860:4860::8888"],
    },
    {
        "id": "stateful6",
        "ip_version": 6,
        "cidr": "2001:db8:2::/64",
        "gateway_ip": "2001:db8:2::1",
        "enable_dhcp": True,
        "dhcp_server": "2001:db8:2::2",
        "ipv6_address_mode": "dhcpv6-stateful",
    },
    {
        "id": "static6",
        "ip_version": 6,
        "cidr": "2001:db8:1::/64",
        "gateway_ip": "2001:db8:1::1",
        "host_routes": [{"destination": "2001:db8:9::/48", "nexthop": "2001:db8:1::fe"}],
    },
)


def machines() -> dict[str, Machine]:
    """Return all of them, by a name that says what is special about each."""
    dhcp, static = a_port(1, _NETWORK, dhcp4="10.0.0.5"), a_port(2, _STATIC, static4="192.168.50.7")
    both = a_port(3, _NETWORK, dhcp4="10.0.0.6", slaac6="2001:db8::f816:3eff:fe9c:bf3d")
    return {
        "one port": a_machine("one port", ports=[dhcp]),
        "no network": a_machine("no network"),
        "everything empty": a_machine("everything empty", groups=[], flavor=""),
        "ipv6 alone": a_machine("ipv6 alone", ports=[a_port(4, _STATIC, static6="2001:db8:1::7")]),
        "slaac alone": a_machine("slaac alone", ports=[a_port(5, _NETWORK, slaac6="2001:db8::5")]),
        "stateful dhcp": a_machine("stateful dhcp", ports=[a_port(6, _NETWORK, stateful6="2001:db8:2::5")]),
        "both families": a_machine("both families", ports=[both]),
        "static addresses": a_machine("static addresses", ports=[static]),
        "a network without a gateway": a_machine("island", ports=[a_port(7, _STATIC, island4="203.0.113.3")]),
        "four ports of all kinds": a_machine(
            "four ports",
            ports=[
                both,
                static,
                a_port(8, _STATIC, static6="2001:db8:1::8"),
                a_port(9, _STATIC, island4="203.0.113.4", kind="bridge"),
            ],
        ),
        "a port that is passed through": a_machine(
            "sriov", ports=[a_port(10, _NETWORK, dhcp4="10.0.0.7", kind="hw_veb")]
        ),
        "a port of another kind": a_machine("macvtap", ports=[a_port(11, _NETWORK, dhcp4="10.0.0.8", kind="macvtap")]),
        "several addresses of one subnet": a_machine(
            "several", ports=[a_port(12, _STATIC, static4="192.168.50.8", more={"static4": "192.168.50.9"})]
        ),
        "a floating address": a_machine(
            "floating", ports=[a_port(13, _NETWORK, dhcp4="10.0.0.9", floating="198.51.100.9")], keypair=SSH
        ),
        "a key": a_machine("with a key", ports=[dhcp], keypair=SSH),
        "windows with a certificate": a_machine(
            "win-1",
            ports=[dhcp],
            keypair=X509,
            user_data=b"#ps1_sysnative\r\nWrite-Host hello\r\n",
            meta={"admin_username": "Admin"},
            admin_pass="S3cret-42",
        ),
        "a name of many scripts": a_machine(
            "Вебсервер 1 – käse 網", hostname="server-b65cee2f", ports=[dhcp], meta={"ключ": "значение", "emoji": "🐧"}
        ),
        "a host name with a domain": a_machine("db.example.org", hostname="db.example.org", ports=[dhcp]),
        "user data of any bytes": a_machine("binary", ports=[dhcp], user_data=bytes(range(256)) * 3),
        "user data that is empty": a_machine("empty user data", ports=[dhcp], user_data=b""),
        "user data as long as it may be": a_machine("long", ports=[dhcp], user_data=b"#!/bin/sh\n" + b"a" * 49_000),
        "files and meta": a_machine(
            "with files",
            ports=[dhcp],
            meta={"role": "webservers", "essential": "false", " with spaces ": " as well "},
            files={"/etc/motd": b"hello\n", "/opt/binary": bytes(range(256))},
        ),
        "devices of every kind": {
            **a_machine("devices", ports=[dhcp, static]),
            "devices": [
                a_device("nic", "pci", "0000:00:03.0", mac=dhcp["mac_address"], tags=["public"]),
                a_device("nic", "pci", "0000:00:04.0", mac="fa:16:3e:d4:57:ad", vlan=1000),
                a_device("nic", "pci", "0000:05:10.1", mac="fa:16:3e:d4:57:ae", vf_trusted=True),
                a_device("nic", mac="fa:16:3e:d4:57:af"),
                a_device("disk", "scsi", "0:0:0:1", serial="vol-2352423", path="/dev/sda", tags=["db"]),
                a_device("disk", "ide", "0:0", tags=["swap", "scratch"]),
                a_device("disk", "usb", "1:1", serial="usb-1"),
                a_device("share", share_id="ca3c176e-fd5a-438b-b595-e18a358f6909", tag="my_share"),
            ],
        },
        "pinned processors": {**a_machine("pinned", ports=[dhcp]), "dedicated_cpus": [5, 0, 4, 1]},
        "kernel and ramdisk": a_machine(
            "direct boot",
            ports=[dhcp],
            kernel="8e1f9a11-31e7-49b7-b260-868f441e862b",
            ramdisk="9e1f9a11-31e7-49b7-b260-868f441e862b",
        ),
        "a root device by name": a_machine("vda", ports=[dhcp], root="/dev/vda"),
        "volumes and blank disks": {
            **a_machine("volumes", ports=[dhcp], root="/dev/vda"),
            "volumes": [
                {"destination_type": "volume", "source_type": "volume", "device_name": "/dev/vdd"},
                {"destination_type": "volume", "source_type": "volume", "device_name": "/dev/vdb"},
                {
                    "destination_type": "local",
                    "source_type": "blank",
                    "device_name": "/dev/vdc",
                    "guest_format": "swap",
                },
                {"destination_type": "local", "source_type": "blank", "device_name": "/dev/vde", "guest_format": None},
            ],
            "block_devices": {
                "ami": "vda",
                "root": "/dev/vda",
                "ebs0": "/dev/vdb",
                "ebs1": "/dev/vdd",
                "swap": "/dev/vdc",
                "ephemeral0": "/dev/vde",
            },
        },
        "the third of a group": a_machine(
            "group-3", ports=[dhcp], launch_index=2, zone=None, groups=["default", "web tier"]
        ),
    }


def a_machine(
    name: str,
    *,
    ports: list[Machine] | None = None,
    hostname: str | None = None,
    keypair: str | None = None,
    user_data: bytes | None = None,
    meta: dict[str, str] | None = None,
    files: dict[str, bytes] | None = None,
    admin_pass: str | None = None,
    groups: list[str] | None = None,
    flavor: str = "m1.small",
    kernel: str | None = None,
    ramdisk: str | None = None,
    root: str | None = None,
    launch_index: int = 0,
    zone: str | None = "nova",
) -> Machine:
    instance_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
    short: Machine = {"instance_id": f"i-{instance_id[:8]}", "ami_id": f"ami-{IMAGE[:8]}"}
    short |= {"kernel_id": None if kernel is None else f"aki-{kernel[:8]}"}
    short |= {"ramdisk_id": None if ramdisk is None else f"ari-{ramdisk[:8]}"}
    server = {
        "id": instance_id,
        "name": name,
        "tenant_id": "f7ac731cc11f40efbc03a9f9e1d1d21f",
        "user_id": "u",
        "created": "2026-05-04T03:02:01Z",
        "metadata": meta or {},
        "image": {"id": IMAGE},
        "flavor": {"original_name": flavor},
        "addresses": {"net": [_floating(port) for port in ports or [] if _floating(port)]},
        "security_groups": [{"name": each} for each in (["default"] if groups is None else groups)],
        "OS-EXT-AZ:availability_zone": zone,
        "OS-EXT-SRV-ATTR:hostname": hostname or name.replace(" ", "-"),
        "OS-EXT-SRV-ATTR:reservation_id": "r-8u4m1nk9",
        "OS-EXT-SRV-ATTR:launch_index": launch_index,
        "OS-EXT-SRV-ATTR:kernel_id": kernel or "",
        "OS-EXT-SRV-ATTR:ramdisk_id": ramdisk or "",
        "OS-EXT-SRV-ATTR:root_device_name": root,
        "OS-EXT-SRV-ATTR:user_data": None if user_data is None else base64.b64encode(user_data).decode(),
    }
    key = None
    if keypair is not None:
        key = {"name": "mykey", "type": "ssh" if keypair.startswith("ssh") else "x509", "public_key": keypair}
    networks = [{"id": _NETWORK, "mtu": 1450}, {"id": _STATIC, "mtu": 9000}]
    return {
        "server": server,
        "keypair": key,
        "ports": ports or [],
        "subnets": list(copy.deepcopy(_SUBNETS)),
        "networks": networks,
        "files": [{"path": path, "data": base64.b64encode(data).decode()} for path, data in (files or {}).items()],
        "admin_pass": admin_pass,
        "volumes": [],
        "ec2_ids": short,
        "address": "10.0.0.99",  # by which it asks
    }


def a_port(
    number: int, network: str, *, kind: str = "ovs", floating: str = "", more: Any = None, **addresses: str
) -> Machine:
    fixed: list[Machine] = [{"subnet_id": subnet, "ip_address": address} for subnet, address in addresses.items()]
    fixed += [{"subnet_id": subnet, "ip_address": address} for subnet, address in (more or {}).items()]
    if floating:
        fixed[0]["floating"] = [floating]
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"port {number}")),
        "network_id": network,
        "mac_address": f"fa:16:3e:9c:bf:{number:02x}",
        "fixed_ips": fixed,
        "binding:vif_type": kind,
    }


def a_device(kind: str, bus: str = "none", address: str = "none", **more: Any) -> Machine:
    return {"type": kind, "bus": bus, "address": address, **more}


def a_blank_disk(name: str, guest_format: str | None) -> Machine:
    return {"destination_type": "local", "source_type": "blank", "device_name": name, "guest_format": guest_format}


def _floating(port: Machine) -> Machine:
    for each in port["fixed_ips"]:
        for address in each.get("floating", ()):
            return {"addr": address, "version": 4, "OS-EXT-IPS:type": "floating"}
    return {}
