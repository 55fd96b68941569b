"""What a real Nova tells machines: run by a Python that has it, with a JSON list of machines on standard input.

Each machine is what the Compute and the Networking API tell of it, and what these leave out (``machines.py``). Nova's
own handler answers every path that its listings name and those of ``paths``; its own config drive is written beside.
It prints a list with ``{"http": {PATH: [STATUS, CONTENT-TYPE, BASE64]}, "drive": {PATH: BASE64}}`` of each.

Nothing is asked of a database, a queue or Neutron: what Nova would ask there stands in the machine, and three of its
functions are replaced for that, at the end of this file.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import webob
from nova import objects
from nova.api.metadata import base, handler
from nova.api.metadata.handler import MetadataRequestHandler
from nova.conf import CONF
from nova.network import model, security_group_api
from nova.objects.instance import Instance
from oslo_log import log as oslo_log

Machine = dict[str, Any]


def network_info(machine: Machine) -> model.NetworkInfo:
    """Return the ports as the compute node keeps them."""
    subnets = {each["id"]: each for each in machine["subnets"]}
    networks = {each["id"]: each for each in machine["networks"]}
    vifs = []
    for port in machine["ports"]:
        fixed: dict[str, list[model.FixedIP]] = {}
        for each in port["fixed_ips"]:
            floating = [model.IP(address=found, type="floating") for found in each.get("floating", [])]
            fixed.setdefault(each["subnet_id"], []).append(
                model.FixedIP(address=each["ip_address"], floating_ips=floating)
            )
        found = networks[port["network_id"]]
        network = model.Network(id=found["id"], bridge="br-int", label=found.get("name", "net"), mtu=found["mtu"])
        for subnet_id, ips in fixed.items():
            network.add_subnet(subnet_of(subnets[subnet_id], ips))
        devname = f"tap{port['id']}"[:14]
        vifs.append(
            model.VIF(
                id=port["id"],
                address=port["mac_address"],
                network=network,
                type=port["binding:vif_type"],
                devname=devname,
                active=True,
            )
        )
    return model.NetworkInfo(vifs)


def subnet_of(subnet: Machine, ips: Sequence[model.FixedIP]) -> model.Subnet:
    version = subnet["ip_version"]
    gateway = subnet.get("gateway_ip")
    found = model.Subnet(
        cidr=subnet["cidr"],
        dns=[model.IP(address=each, type="dns") for each in subnet.get("dns_nameservers", [])],
        gateway=None if gateway is None else model.IP(address=gateway, type="gateway"),
        ips=list(ips),
        routes=[
            model.Route(cidr=each["destination"], gateway=model.IP(address=each["nexthop"], type="gateway"))
            for each in subnet.get("host_routes", [])
        ],
        version=version,
    )
    if subnet.get("enable_dhcp"):
        found["meta"]["dhcp_server"] = subnet["dhcp_server"]
    if subnet.get("ipv6_address_mode"):
        found["meta"]["ipv6_address_mode"] = subnet["ipv6_address_mode"]
    return found


def device_of(device: Machine) -> Any:
    fields = dict(device)
    buses = {
        "pci": objects.PCIDeviceBus,
        "usb": objects.USBDeviceBus,
        "scsi": objects.SCSIDeviceBus,
        "ide": objects.IDEDeviceBus,
        "xen": objects.XenDeviceBus,
    }
    kinds = {"nic": objects.NetworkInterfaceMetadata, "disk": objects.DiskMetadata, "share": objects.ShareMetadata}
    kind, bus, address = kinds[fields.pop("type")], fields.pop("bus", "none"), fields.pop("address", "none")
    if bus != "none":
        fields["bus"] = buses[bus](**({} if address == "none" else {"address": address}))
    return kind(**fields)


def instance_of(machine: Machine) -> Instance:
    server = machine["server"]
    key = machine.get("keypair")
    keypairs = objects.KeyPairList(objects=[])
    if key is not None:
        keypairs.objects.append(
            objects.KeyPair(name=key["name"], type=key["type"], public_key=key["public_key"], user_id="u")
        )
    cpus = set(machine.get("dedicated_cpus", []))
    topology = None
    if cpus:
        cell = objects.InstanceNUMACell(id=0, cpuset=set(), pcpuset=cpus, memory=512, cpu_pinning={})
        topology = objects.InstanceNUMATopology(cells=[cell])
    devices = machine.get("devices")
    return Instance(
        id=1,
        uuid=server["id"],
        user_id="u",
        project_id=server["tenant_id"],
        display_name=server["name"],
        hostname=server["OS-EXT-SRV-ATTR:hostname"],
        launch_index=server["OS-EXT-SRV-ATTR:launch_index"],
        reservation_id=server["OS-EXT-SRV-ATTR:reservation_id"],
        root_device_name=server["OS-EXT-SRV-ATTR:root_device_name"],
        default_ephemeral_device=None,
        default_swap_device=None,
        user_data=server["OS-EXT-SRV-ATTR:user_data"],
        availability_zone=server["OS-EXT-AZ:availability_zone"],
        key_name=None if key is None else key["name"],
        key_data=None if key is None else key["public_key"],
        keypairs=keypairs,
        metadata=server["metadata"],
        system_metadata={},
        deleted=False,
        cleaned=False,
        flavor=objects.Flavor(name=server["flavor"]["original_name"]),
        ec2_ids=objects.EC2Ids(**machine["ec2_ids"]),
        device_metadata=None
        if devices is None
        else objects.InstanceDeviceMetadata(devices=[device_of(each) for each in devices]),
        numa_topology=topology,
        info_cache=objects.InstanceInfoCache(network_info=network_info(machine), instance_uuid=server["id"]),
    )


def metadata_of(machine: Machine, **more: Any) -> base.InstanceMetadata:
    asked.clear()
    asked.update(machine)
    return base.InstanceMetadata(instance_of(machine), address=machine["address"], **more)


def answers(metadata: base.InstanceMetadata, paths: Sequence[str]) -> dict[str, list[Any]]:
    """Ask for these paths, and for all that listings name."""
    asked["metadata"] = metadata
    application = MetadataRequestHandler()
    found: dict[str, list[Any]] = {}
    left = [*paths, "/", "/openstack"]
    while left:
        path = left.pop()
        if path in found:
            continue
        answer = webob.Request.blank(path, environ={"REMOTE_ADDR": "10.0.0.5"}).get_response(application)
        found[path] = [answer.status_int, answer.headers["Content-Type"], base64.b64encode(answer.body).decode()]
        if answer.status_int == 200:
            left.extend(below(path, answer.body.decode(errors="replace")))
    return found


def below(path: str, listing: str) -> Iterator[str]:
    """Yield what stands in an answer, where the path is that of a listing."""
    parts = [part for part in path.split("/") if part]
    if path == "/":
        yield from (f"/{name}/" for name in listing.split("\n"))
    elif path == "/openstack":
        yield from (f"/openstack/{name}" for name in listing.split("\n"))
    elif parts[0] == "openstack":
        if len(parts) == 2:
            yield from (f"{path}/{name}" for name in listing.split("\n"))
    elif path.endswith("/") and "user-data" not in parts:
        for name in listing.split("\n"):
            yield f"{path}{name.partition('=')[0]}/" if "=" in name else f"{path}{name}"


def main() -> None:
    said = json.load(sys.stdin)
    oslo_log.register_options(CONF)
    CONF([], project="nova", default_config_files=[])
    CONF.set_override("vendordata_jsonfile_path", said["vendor_data_file"], group="api")
    objects.register_all()
    found = []
    for machine in said["machines"]:
        http = answers(metadata_of(machine), machine["paths"])
        files = [(each["path"], base64.b64decode(each["data"])) for each in machine.get("files", [])]
        password = machine.get("admin_pass")
        extra = {} if password is None else {"admin_pass": password}
        drive = metadata_of(machine, content=files, extra_md=extra).metadata_for_config_drive()
        found.append({"http": http, "drive": {path: base64.b64encode(data).decode() for path, data in drive}})
    json.dump(found, sys.stdout)


# What Nova would ask of others, of the machine that is being rendered.
asked: Machine = {}


def _volumes(_instance: Instance, _context: object = None) -> Any:
    fields = [objects.BlockDeviceMapping(**each) for each in asked["volumes"]]
    return objects.BlockDeviceMappingList(objects=fields)


def _groups(*_: object) -> list[dict[str, str]]:
    return [{"name": each["name"]} for each in asked["server"]["security_groups"]]


def _metadata(_self: MetadataRequestHandler, _address: str) -> Any:
    return asked["metadata"]


Instance.get_bdms = _volumes
security_group_api.get_instance_security_groups = _groups
MetadataRequestHandler.get_metadata_by_remote_address = _metadata
handler.LOG.logger.disabled = True

if __name__ == "__main__":
    main()
