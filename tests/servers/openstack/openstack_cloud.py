"""A stand-in for Nova and Neutron: one small HTTP server that answers as the references of their APIs say.

The real ones cannot run in a test: they want message queues, databases, schedulers and a hypervisor, and minutes.
So nothing here proves that a cloud answers so. The documents are those of the Compute API reference (a server as of
microversion 2.47), the Networking API reference v2.0, and the worked example of the specification of network_data.json.
Keystone beside it is a real one. What is asked with an older microversion lacks what came later, as with Nova.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from servers.ports import free_port

ID = "b65cee2f-8c69-4aeb-be2f-f79742548fc2"
PROJECT = "f7ac731cc11f40efbc03a9f9e1d1d21f"
USER = "fake-user"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6/Vd6bZLg2P6nTYxKGBSSmOF0hbnOdCxUZcmNBYxCG user@host"
USER_DATA = b"#cloud-config\nhostname: x\n"
IMAGE = "70a599e0-31e7-49b7-b260-868f441e862b"


def server(**changed: Any) -> dict[str, Any]:
    """Return a server as an administrator sees it."""
    return {
        "id": ID,
        "name": "Web 1",
        "status": "ACTIVE",
        "tenant_id": PROJECT,
        "user_id": USER,
        "metadata": {"role": "webservers", "essential": "false"},
        "hostId": "2091634baaccdc4c5a1d57069c833e402921df696b7f970791b12ec6",
        "image": {"id": IMAGE, "links": [{"href": f"http://nova/images/{IMAGE}", "rel": "bookmark"}]},
        "flavor": {
            "vcpus": 1,
            "ram": 512,
            "disk": 1,
            "ephemeral": 0,
            "swap": 0,
            "original_name": "m1.small",
            "extra_specs": {"hw:numa_nodes": "1"},
        },
        "created": "2026-08-21T12:00:00Z",
        "updated": "2026-08-21T12:00:30Z",
        "addresses": {
            "public": [
                _address("192.168.0.3", 4, "fixed", "fa:16:3e:9c:bf:3d"),
                _address("2001:db8::f816:3eff:fe9c:bf3d", 6, "fixed", "fa:16:3e:9c:bf:3d"),
                _address("203.0.113.9", 4, "floating", "fa:16:3e:9c:bf:3d"),
            ],
            "storage": [
                _address("192.168.50.7", 4, "fixed", "fa:16:3e:d4:57:ad"),
                _address("2001:db8:1::7", 6, "fixed", "fa:16:3e:d4:57:ad"),
            ],
        },
        "accessIPv4": "",
        "accessIPv6": "",
        "links": [],
        "OS-DCF:diskConfig": "AUTO",
        "progress": 0,
        "OS-EXT-AZ:availability_zone": "nova",
        "config_drive": "",
        "key_name": "mykey",
        "OS-SRV-USG:launched_at": "2026-08-21T12:00:29.000000",
        "OS-SRV-USG:terminated_at": None,
        "OS-EXT-SRV-ATTR:host": "compute",
        "OS-EXT-SRV-ATTR:instance_name": "instance-00000001",
        "OS-EXT-SRV-ATTR:hypervisor_hostname": "compute",
        "OS-EXT-SRV-ATTR:reservation_id": "r-0qqq7xpu",
        "OS-EXT-SRV-ATTR:launch_index": 0,
        "OS-EXT-SRV-ATTR:hostname": "web-1",
        "OS-EXT-SRV-ATTR:kernel_id": "",
        "OS-EXT-SRV-ATTR:ramdisk_id": "",
        "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
        "OS-EXT-SRV-ATTR:user_data": base64.b64encode(USER_DATA).decode(),
        "OS-EXT-STS:task_state": None,
        "OS-EXT-STS:vm_state": "active",
        "OS-EXT-STS:power_state": 1,
        "os-extended-volumes:volumes_attached": [],
        "locked": False,
        "description": None,
        "tags": [],
        "host_status": "UP",
        "security_groups": [{"name": "default"}, {"name": "web"}],
        **changed,
    }


def _address(address: str, version: int, kind: str, mac: str) -> dict[str, Any]:
    return {"version": version, "addr": address, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": mac}


def _port(port_id: str, network: str, mac: str, vif_type: str, *fixed: tuple[str, str]) -> dict[str, Any]:
    return {
        "id": port_id,
        "name": "",
        "network_id": network,
        "tenant_id": PROJECT,
        "project_id": PROJECT,
        "mac_address": mac,
        "admin_state_up": True,
        "status": "ACTIVE",
        "device_id": ID,
        "device_owner": "compute:nova",
        "fixed_ips": [{"subnet_id": subnet, "ip_address": address} for subnet, address in fixed],
        "allowed_address_pairs": [],
        "binding:host_id": "compute",
        "binding:vif_type": vif_type,
        "binding:vif_details": {"port_filter": True},
        "binding:vnic_type": "normal",
        "binding:profile": {},
        "security_groups": [],
        "dns_name": "web-1",
        "dns_assignment": [],
    }


def _subnet(subnet_id: str, network: str, version: int, cidr: str, gateway: str, **more: Any) -> dict[str, Any]:
    return {
        "id": subnet_id,
        "name": "",
        "network_id": network,
        "ip_version": version,
        "cidr": cidr,
        "gateway_ip": gateway,
        "enable_dhcp": False,
        "allocation_pools": [],
        "host_routes": [],
        "dns_nameservers": [],
        "ipv6_address_mode": None,
        "ipv6_ra_mode": None,
        **more,
    }


PUBLIC, STORAGE = "99e88329-f20d-4741-9593-25bf07847b16", "11111111-f20d-4741-9593-25bf07847b16"
PORTS = [  # Neutron has no order; the interfaces have one
    _port(
        *("1d2e3f40-4a3a-43ab-a466-994af9db96fc", STORAGE, "fa:16:3e:d4:57:ad", "hostdev_physical"),
        *(("s3", "192.168.50.7"), ("s4", "2001:db8:1::7")),
    ),
    _port(
        *("cd9f6d46-4a3a-43ab-a466-994af9db96fc", PUBLIC, "fa:16:3e:9c:bf:3d", "ovs"),
        *(("s1", "192.168.0.3"), ("s2", "2001:db8::f816:3eff:fe9c:bf3d")),
    ),
]
SUBNETS = [
    _subnet("s1", PUBLIC, 4, "192.168.0.0/24", "192.168.0.1", enable_dhcp=True, dns_nameservers=["8.8.8.8"]),
    _subnet(
        *("s2", PUBLIC, 6, "2001:db8::/64", "2001:db8::1"),
        enable_dhcp=True,
        ipv6_address_mode="slaac",
        ipv6_ra_mode="slaac",
        dns_nameservers=["2001:4860:4860::8888"],
    ),
    _subnet(
        *("s3", STORAGE, 4, "192.168.50.0/24", "192.168.50.1"),
        dns_nameservers=["1.1.1.1"],
        host_routes=[{"destination": "172.16.0.0/12", "nexthop": "192.168.50.254"}],
    ),
    _subnet("s4", STORAGE, 6, "2001:db8:1::/64", "2001:db8:1::1"),
]
NETWORKS = [
    {"id": PUBLIC, "name": "public", "mtu": 1450, "status": "ACTIVE", "subnets": ["s1", "s2"], "shared": False},
    {"id": STORAGE, "name": "storage", "mtu": 9000, "status": "ACTIVE", "subnets": ["s3", "s4"], "shared": False},
]
_SINCE_2_3 = ("reservation_id", "launch_index", "hostname", "kernel_id", "ramdisk_id", "root_device_name", "user_data")


class StandInCloud:
    """Listens from ``start`` to ``stop``, and again at the same port."""

    def __init__(self) -> None:
        self.servers: dict[str, dict[str, Any]] = {ID: server()}
        self.volumes: dict[str, list[str | None]] = {}  # the names of devices, by server
        self.key_pairs = {(USER, "mykey"): KEY}
        self.ports, self.subnets, self.networks = list(PORTS), list(SUBNETS), list(NETWORKS)
        self.asked: Counter[str] = Counter()  # paths, without queries
        self.tokens: set[str] = set()  # that were shown
        self.status: int | None = None  # that everything is answered with
        self.refused: set[str] = set()  # paths that its rules do not let us see
        self.answers = threading.Event()  # while it is not set, nothing is answered
        self.answers.set()
        self.port = free_port()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"cloud": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def found(self, path: str, query: dict[str, list[str]], version: str) -> dict[str, Any] | None:
        """Return the document at a path, ``None`` when there is none."""
        match [unquote(part) for part in path.split("/")[1:]]:
            case ["v2.1", "servers", server_id] if server_id in self.servers:
                return {"server": _as_of(version, self.servers[server_id])}
            case ["v2.1", "servers", server_id, "os-volume_attachments"] if server_id in self.volumes:
                return {"volumeAttachments": [_attachment(server_id, each) for each in self.volumes[server_id]]}
            case ["v2.1", "os-keypairs", name] if (query["user_id"][0], name) in self.key_pairs:
                data = self.key_pairs[query["user_id"][0], name]
                return {"keypair": {"name": name, "public_key": data, "type": "ssh", "user_id": query["user_id"][0]}}
            case ["v2.0", "ports"] if "device_id" in query:
                return {"ports": [each for each in self.ports if each["device_id"] in query["device_id"]]}
            case ["v2.0", "ports"]:
                address = query["fixed_ips"][0].removeprefix("ip_address=")
                having = [each for each in self.ports if address in [ip["ip_address"] for ip in each["fixed_ips"]]]
                return {"ports": having}
            case ["v2.0", "subnets"]:
                return {"subnets": [each for each in self.subnets if each["id"] in query["id"]]}
            case ["v2.0", "networks"]:
                return {"networks": [each for each in self.networks if each["id"] in query["id"]]}
        return None


def _attachment(server_id: str, device: str | None) -> dict[str, Any]:
    volume = "a07f71dc-8151-4e7d-a0cc-cd24a3f11113"
    return {"device": device, "id": volume, "serverId": server_id, "volumeId": volume}


def _as_of(version: str, document: dict[str, Any]) -> dict[str, Any]:
    if version == "compute 2.47":
        return document
    return {key: value for key, value in document.items() if key.rpartition(":")[2] not in _SINCE_2_3}


class _Handler(BaseHTTPRequestHandler):
    cloud: StandInCloud

    def do_GET(self) -> None:
        cloud, split = self.cloud, urlsplit(self.path)
        cloud.asked[split.path] += 1
        cloud.answers.wait(30)
        token = self.headers.get("X-Auth-Token")
        if token is None:
            self._answer(401, {"error": {"code": 401, "message": "The request you have made requires authentication."}})
            return
        cloud.tokens.add(token)
        if cloud.status is not None:
            self._answer(cloud.status, {"computeFault": {"code": cloud.status, "message": "The server has failed."}})
            return
        if split.path in cloud.refused:
            self._answer(403, {"forbidden": {"code": 403, "message": "Policy doesn't allow it to be performed."}})
            return
        found = cloud.found(split.path, parse_qs(split.query), self.headers.get("OpenStack-API-Version", ""))
        missing = {"itemNotFound": {"code": 404, "message": "It could not be found."}}
        self._answer(200 if found is not None else 404, found if found is not None else missing)

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
