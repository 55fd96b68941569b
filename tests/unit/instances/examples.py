"""The instance of the specification's worked examples, and what its guest must read, byte for byte."""

from __future__ import annotations

import json
from typing import Any

from headwater.instances.devices import Disk, Nic, Share
from headwater.instances.keys import Key
from headwater.instances.model import Instance

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6/Vd6bZLg2P6nTYxKGBSSmOF0hbnOdCxUZcmNBYxCG user@host"

# Specification 2.3, the golden example: one port with DHCP and SLAAC, one static.
NETWORK_DATA: dict[str, Any] = {
    "links": [
        {
            "id": "tapcd9f6d46-4a",
            "vif_id": "cd9f6d46-4a3a-43ab-a466-994af9db96fc",
            "type": "ovs",
            "mtu": None,
            "ethernet_mac_address": "fa:16:3e:9c:bf:3d",
        },
        {
            "id": "interface1",
            "vif_id": "1d2e3f40-4a3a-43ab-a466-994af9db96fc",
            "type": "phy",
            "mtu": 9000,
            "ethernet_mac_address": "fa:16:3e:d4:57:ad",
        },
    ],
    "networks": [
        {
            "id": "network0",
            "type": "ipv4_dhcp",
            "link": "tapcd9f6d46-4a",
            "network_id": "99e88329-f20d-4741-9593-25bf07847b16",
        },
        {
            "id": "network1",
            "type": "ipv6_slaac",
            "link": "tapcd9f6d46-4a",
            "ip_address": "2001:db8::f816:3eff:fe9c:bf3d",
            "netmask": "ffff:ffff:ffff:ffff::",
            "routes": [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}],
            "network_id": "99e88329-f20d-4741-9593-25bf07847b16",
            "services": [{"type": "dns", "address": "2001:4860:4860::8888"}],
        },
        {
            "id": "network2",
            "type": "ipv4",
            "link": "interface1",
            "ip_address": "192.168.50.7",
            "netmask": "255.255.255.0",
            "routes": [
                {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.168.50.1"},
                {"network": "172.16.0.0", "netmask": "255.240.0.0", "gateway": "192.168.50.254"},
            ],
            "network_id": "11111111-f20d-4741-9593-25bf07847b16",
            "services": [{"type": "dns", "address": "1.1.1.1"}],
        },
        {
            "id": "network3",
            "type": "ipv6",
            "link": "interface1",
            "ip_address": "2001:db8:1::7",
            "netmask": "ffff:ffff:ffff:ffff::",
            "routes": [{"network": "::", "netmask": "::", "gateway": "2001:db8:1::1"}],
            "network_id": "11111111-f20d-4741-9593-25bf07847b16",
            "services": [],
        },
    ],
    "services": [
        {"type": "dns", "address": "8.8.8.8"},
        {"type": "dns", "address": "2001:4860:4860::8888"},
        {"type": "dns", "address": "1.1.1.1"},
    ],
}

# Specification 2.3: a bond of two links with a VLAN on it.
BOND: dict[str, Any] = {
    "links": [
        {"id": "a", "type": "phy", "ethernet_mac_address": "fa:16:3e:00:00:01"},
        {"id": "b", "type": "phy", "ethernet_mac_address": "fa:16:3e:00:00:02"},
        {
            "id": "bond0",
            "type": "bond",
            "bond_links": ["a", "b"],
            "bond_mode": "802.3ad",
            "bond_miimon": 100,
            "ethernet_mac_address": "fa:16:3e:00:00:01",
        },
        {
            "id": "v",
            "type": "vlan",
            "vlan_link": "bond0",
            "vlan_id": 101,
            "vlan_mac_address": "fa:16:3e:00:00:03",
        },
    ],
    "networks": [{"id": "network0", "type": "ipv4_dhcp", "link": "v", "network_id": "n"}],
    "services": [],
}

WEB_1 = Instance(
    id="b65cee2f-8c69-4aeb-be2f-f79742548fc2",
    name="Web 1",
    hostname="web-1.novalocal",
    created_at=1_700_000_000_000_000,
    updated_at=1_700_000_000_000_000,
    project_id="f7ac731cc11f40efbc03a9f9e1d1d21f",
    addresses=("10.0.0.5",),
    public_ipv4="203.0.113.10",
    keys=(Key(name="mykey", data=KEY),),
    user_data=b"#cloud-config\nhostname: x\n",
    meta={"role": "webservers", "essential": "false"},
    image_id="70a599e0-31e7-49b7-b260-868f441e862b",
    image_name="noble",
    instance_type="m1.small",
    availability_zone="nova",
    reservation_id="r-abcdefgh",
    security_groups=("default", "web"),
    block_devices={"ami": "vda", "root": "/dev/vda", "ephemeral0": "/dev/vdb", "swap": "/dev/vdc"},
    devices=(
        Nic(mac="fa:16:3e:9c:bf:3d", bus="pci", address="0000:00:03.0", tags=("public",)),
        Nic(mac="fa:16:3e:d4:57:ad", bus="pci", address="0000:00:04.0", vlan=1000),
        Disk(serial="disk-vol-2352423", path="/dev/sda", bus="scsi", address="0:0:0:1", tags=("db",)),
        Share(share_id="ca3c176e-fd5a-438b-b595-e18a358f6909", tag="my_share"),
    ),
    dedicated_cpus=(4, 0, 1, 5),
    network_data=NETWORK_DATA,
)

# A new machine with nothing but a name.
BARE = Instance(
    id="11111111-2222-3333-4444-555555555555",
    name="bare",
    hostname="bare",
    created_at=1_700_000_000_000_000,
    updated_at=1_700_000_000_000_000,
)

# Specification 2.2, with the seed that ``zeros`` gives.
META_DATA = json.dumps(
    {
        "uuid": "b65cee2f-8c69-4aeb-be2f-f79742548fc2",
        "meta": {"role": "webservers", "essential": "false"},
        "public_keys": {"mykey": KEY},
        "keys": [{"name": "mykey", "type": "ssh", "data": KEY}],
        "hostname": "web-1.novalocal",
        "name": "Web 1",
        "launch_index": 0,
        "availability_zone": "nova",
        "random_seed": "A" * 683 + "=",
        "project_id": "f7ac731cc11f40efbc03a9f9e1d1d21f",
        "devices": [
            {
                "vf_trusted": False,
                "type": "nic",
                "mac": "fa:16:3e:9c:bf:3d",
                "bus": "pci",
                "address": "0000:00:03.0",
                "tags": ["public"],
            },
            {
                "vlan": 1000,
                "vf_trusted": False,
                "type": "nic",
                "mac": "fa:16:3e:d4:57:ad",
                "bus": "pci",
                "address": "0000:00:04.0",
            },
            {
                "type": "disk",
                "serial": "disk-vol-2352423",
                "path": "/dev/sda",
                "bus": "scsi",
                "address": "0:0:0:1",
                "tags": ["db"],
            },
            {
                "type": "share",
                "share_id": "ca3c176e-fd5a-438b-b595-e18a358f6909",
                "tag": "my_share",
                "bus": "none",
                "address": "none",
            },
        ],
        "dedicated_cpus": [0, 1, 4, 5],
    }
).encode()

# Specification 4.1; the two ids are ours: the first eight digits of the UUIDs.
EC2_META_DATA = json.dumps(
    {
        "ami-id": "ami-70a599e0",
        "ami-launch-index": 0,
        "ami-manifest-path": "FIXME",
        "instance-id": "i-b65cee2f",
        "hostname": "web-1.novalocal",
        "local-ipv4": "10.0.0.5",
        "reservation-id": "r-abcdefgh",
        "security-groups": ["default", "web"],
        "public-keys": {"0": {"_name": "0=mykey", "openssh-key": KEY}},
        "local-hostname": "web-1.novalocal",
        "public-hostname": "web-1.novalocal",
        "public-ipv4": "203.0.113.10",
        "instance-type": "m1.small",
        "block-device-mapping": {"ami": "vda", "root": "/dev/vda", "ephemeral0": "/dev/vdb", "swap": "/dev/vdc"},
        "placement": {"availability-zone": "nova"},
        "instance-action": "none",
    }
).encode()


def zeros(size: int) -> bytes:
    """Randomness that is always the same."""
    return bytes(size)
