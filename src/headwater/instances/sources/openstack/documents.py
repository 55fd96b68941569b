"""The parts of Nova's and Neutron's answers that are used; whatever else they hold is passed over.

Source: the Compute API reference (microversion 2.47: ``OS-EXT-SRV-ATTR:*`` since 2.3, the flavor whole since 2.47, key
pairs of other users since 2.10) and the Networking API reference v2.0.
"""

from __future__ import annotations

from typing import Any

import msgspec

MICROVERSION = "2.47"


class Address(msgspec.Struct, kw_only=True):
    """One address as Nova lists it, below the name of its network."""

    addr: str
    version: int = 4
    kind: str | None = msgspec.field(default=None, name="OS-EXT-IPS:type")  # fixed, floating
    mac: str | None = msgspec.field(default=None, name="OS-EXT-IPS-MAC:mac_addr")


class Named(msgspec.Struct, kw_only=True):
    """A security group."""

    name: str


class Flavor(msgspec.Struct, kw_only=True):
    """The size of a server, as it was when that was made."""

    original_name: str | None = None


class Volume(msgspec.Struct, kw_only=True):
    """A volume that a server has."""

    id: str


class Server(msgspec.Struct, kw_only=True):
    """A server of Nova."""

    id: str
    name: str
    tenant_id: str
    user_id: str
    created: str
    metadata: dict[str, str] = {}
    image: Any = ""  # an object with an id; empty text: it starts from a volume
    flavor: Flavor = msgspec.field(default_factory=Flavor)
    addresses: dict[str, list[Address]] = {}
    key_name: str | None = None
    security_groups: list[Named] = []
    availability_zone: str | None = msgspec.field(default=None, name="OS-EXT-AZ:availability_zone")
    hostname: str | None = msgspec.field(default=None, name="OS-EXT-SRV-ATTR:hostname")
    reservation_id: str | None = msgspec.field(default=None, name="OS-EXT-SRV-ATTR:reservation_id")
    launch_index: int | None = msgspec.field(default=None, name="OS-EXT-SRV-ATTR:launch_index")
    kernel_id: str | None = msgspec.field(default=None, name="OS-EXT-SRV-ATTR:kernel_id")
    ramdisk_id: str | None = msgspec.field(default=None, name="OS-EXT-SRV-ATTR:ramdisk_id")
    root_device_name: str | None = msgspec.field(default=None, name="OS-EXT-SRV-ATTR:root_device_name")
    user_data: str | None = msgspec.field(default=None, name="OS-EXT-SRV-ATTR:user_data")  # base64
    volumes: list[Volume] = msgspec.field(default_factory=list, name="os-extended-volumes:volumes_attached")


class Attachment(msgspec.Struct, kw_only=True):
    """Where a server has a volume."""

    device: str | None = None  # /dev/vdb; Nova may not know


class KeyPair(msgspec.Struct, kw_only=True):
    """A key pair of Nova's; the private half is nobody's here."""

    name: str
    public_key: str
    type: str = "ssh"


class FixedIp(msgspec.Struct, kw_only=True):
    """An address of a port."""

    subnet_id: str
    ip_address: str


class Port(msgspec.Struct, kw_only=True):
    """A port of Neutron."""

    id: str
    network_id: str
    mac_address: str
    fixed_ips: list[FixedIp] = []
    device_id: str = ""
    device_owner: str = ""
    vif_type: str | None = msgspec.field(default=None, name="binding:vif_type")


class HostRoute(msgspec.Struct, kw_only=True):
    """A route that a subnet gives to its machines."""

    destination: str
    nexthop: str


class Subnet(msgspec.Struct, kw_only=True):
    """A subnet of Neutron."""

    id: str
    ip_version: int
    cidr: str
    gateway_ip: str | None = None
    enable_dhcp: bool = False
    host_routes: list[HostRoute] = []
    dns_nameservers: list[str] = []
    ipv6_address_mode: str | None = None


class Network(msgspec.Struct, kw_only=True):
    """A network of Neutron."""

    id: str
    mtu: int | None = None


class ServerAnswer(msgspec.Struct):
    """What ``/servers/ID`` answers."""

    server: Server


class KeyPairAnswer(msgspec.Struct):
    """What ``/os-keypairs/NAME`` answers."""

    keypair: KeyPair


class AttachmentsAnswer(msgspec.Struct):
    """What ``/servers/ID/os-volume_attachments`` answers."""

    attachments: list[Attachment] = msgspec.field(name="volumeAttachments")


class PortsAnswer(msgspec.Struct):
    """What ``/v2.0/ports`` answers."""

    ports: list[Port]


class SubnetsAnswer(msgspec.Struct):
    """What ``/v2.0/subnets`` answers."""

    subnets: list[Subnet]


class NetworksAnswer(msgspec.Struct):
    """What ``/v2.0/networks`` answers."""

    networks: list[Network]
