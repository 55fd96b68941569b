"""Real cloud-init reads our port and our drive, and understands what was registered."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
import httpx2 as httpx
import pycdlib
import pytest
import yaml

from headwater.database.engine import Database
from headwater.instances.bulk import records
from headwater.instances.callers.seeds import digest_of, new_seed
from headwater.instances.http import application
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.media.arguments import carried
from headwater.instances.media.config_drive import Layout, write_config_drive
from headwater.instances.media.writing.file import Kind
from headwater.instances.model import File, Instance
from headwater.instances.password.rows import PasswordRows
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.registry.seeds import SeedRows
from headwater.instances.snapshots.kept import Snapshots
from headwater.instances.tokens.secrets import SecretRows, Secrets
from headwater.instances.tokens.tokens import Tokens
from headwater.server.edge.listener import Listener, listening
from headwater.threads import Pool
from needs import CHECKOUT, program
from servers.ports import free_port
from templates import sqlite_catalogue
from unit.instances.examples import BARE, BOND, KEY, NETWORK_DATA, WEB_1

T = TypeVar("T")
TESTS = CHECKOUT / "tests"

GUEST = replace(
    WEB_1,
    addresses=("127.0.0.1", "2001:db8::5"),
    user_data=b"#cloud-config\nhostname: x\n",
    vendor_data={"cloud-init": "#cloud-config\nntp: {servers: [192.0.2.1]}\n"},
)


@dataclass(frozen=True)
class Port:
    """A metadata port on loopback, and the registry that it answers from."""

    url: str
    registry: InstanceRows
    lists: InstanceLists
    seeds: SeedRows

    def becomes(self, instance: Instance) -> None:
        """Let this machine's address belong to ``instance``, and to no other."""
        for other in self.lists.page().found:
            self.registry.remove(other.id)
        self.registry.add(replace(instance, updated_at=time.time_ns() // 1000))


async def in_thread(work: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(work)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    database = Database(sqlite_catalogue(tmp_path_factory.mktemp("instances") / "catalogue.db"))
    registry = InstanceRows(database)
    number = free_port()
    ends: list[Callable[[], object]] = []

    async def serve() -> None:
        files = Pool("files", 1)
        tokens = Tokens(Secrets(SecretRows(database)), lambda: int(time.time()))
        passwords = PasswordRows(database)
        app = application(Snapshots(registry), in_thread, tokens=tokens, passwords=passwords)
        listener = Listener(app, listening("127.0.0.1", number), files)
        listener.start()
        end = asyncio.Event()
        ends.append(partial(asyncio.get_running_loop().call_soon_threadsafe, end.set))
        await end.wait()
        listener.stop()
        await listener.stopped()
        files.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    url = f"http://127.0.0.1:{number}"
    deadline = time.monotonic() + 20
    while True:
        try:
            httpx.get(url)
            break
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)
    yield Port(url, registry, InstanceLists(database), SeedRows(database))
    ends[0]()
    thread.join(20)
    database.close()


@dataclass(frozen=True)
class CloudInit:
    """The real one, at work on a made-up guest."""

    python: Path
    modules: Path

    def read(self, kind: str, source: str) -> dict[str, Any]:
        done = subprocess.run(
            [self.python, "-m", "functional.instances.cloud_init.harness", kind, source],
            env={
                "PYTHONPATH": f"{self.modules}{os.pathsep}{TESTS}",
                "PATH": os.environ["PATH"],
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        understood: dict[str, Any] = json.loads(done.stdout)
        return understood


@pytest.fixture(scope="module")
def cloud_init(clients_python: Path, cloud_init_modules: Path) -> CloudInit:
    return CloudInit(clients_python, cloud_init_modules)


def test_the_openstack_data_source_understands_our_port(port: Port, cloud_init: CloudInit) -> None:
    port.becomes(GUEST)
    found = cloud_init.read("openstack", port.url)
    assert found["found"] is True
    assert found["version"] == 2
    assert found["instance_id"] == GUEST.id
    assert found["metadata"]["local-hostname"] == "web-1.novalocal"
    assert found["metadata"]["meta"] == {"role": "webservers", "essential": "false"}
    assert len(base64.b64decode(found["metadata"]["random_seed"])) == 512
    assert found["public_keys"] == [KEY]
    assert found["availability_zone"] == "nova"
    assert base64.b64decode(found["user_data"]) == GUEST.user_data
    assert found["user_data_parts"] == ["text/cloud-config"]
    assert found["vendor_data"] == "#cloud-config\nntp: {servers: [192.0.2.1]}\n"
    assert found["vendor_data2"] is None
    assert found["network_json"] == GUEST.network_data
    assert "192.168.50.7/24" in found["network"]["netplan"]
    assert found["ec2"]["instance-id"] == "i-b65cee2f"
    assert found["ec2"]["block-device-mapping"]["root"] == "/dev/vda"
    assert {request.split()[0] for request in found["requests"]} == {"200"}


def test_the_ec2_data_source_understands_our_port(port: Port, cloud_init: CloudInit) -> None:
    port.becomes(GUEST)
    found = cloud_init.read("ec2", port.url)
    assert found["found"] is True
    assert found["instance_id"] == "i-b65cee2f"
    assert found["availability_zone"] == "nova"
    assert found["public_keys"] == [KEY]
    assert base64.b64decode(found["user_data"]) == GUEST.user_data
    assert found["user_data_parts"] == ["text/cloud-config"]
    assert found["metadata"]["placement"] == {"availability-zone": "nova"}
    assert found["metadata"]["public-keys"] == {"mykey": KEY}
    assert found["metadata"]["security-groups"] == ["default", "web"]
    assert found["metadata"]["block-device-mapping"] == GUEST.block_devices
    # It asks for three newer versions first; nothing else may be missing.
    missing = [request for request in found["requests"] if not request.startswith("200")]
    assert missing == [
        f"404 /{version}/meta-data/instance-id" for version in ("2021-03-23", "2018-09-24", "2016-09-02")
    ]


def test_the_ec2_data_source_asks_for_a_token_where_smbios_says_aws(port: Port, cloud_init: CloudInit) -> None:
    guest = replace(GUEST, id="ec2e1916-9099-4caf-bd21-012345abcdef", tokens="required")
    port.becomes(guest)
    assert cloud_init.read("ec2", port.url)["found"] is False
    found = cloud_init.read("aws", port.url)
    assert (found["found"], found["public_keys"]) == (True, [KEY])
    assert base64.b64decode(found["user_data"]) == GUEST.user_data
    assert found["instance_id"].startswith("i-")
    statuses = {request.split()[0] for request in found["requests"]}
    assert statuses <= {"200", "404"}, found["requests"]


@pytest.fixture(params=["address", "seed"])
def nocloud(request: pytest.FixtureRequest, port: Port) -> str:
    """Where a machine is told to look, which is known by its address, or by a secret path."""
    port.becomes(GUEST)
    if request.param == "address":
        return f"{port.url}/nocloud"
    seed = new_seed()
    port.seeds.add(port.registry.get(GUEST.id).id, digest_of(seed), 1)
    return f"{port.url}/seed/{seed}"


@pytest.mark.parametrize("version", ["", "/v1"])
def test_the_nocloud_data_source_understands_our_port(
    port: Port, cloud_init: CloudInit, nocloud: str, version: str
) -> None:
    found = cloud_init.read("nocloud", nocloud + version)
    assert found["found"] is True
    assert (found["instance_id"], found["hostname"]) == (GUEST.id, GUEST.hostname.partition(".")[0])
    assert found["public_keys"] == [KEY]
    assert found["metadata"]["availability-zone"] == "nova"
    assert base64.b64decode(found["user_data"]) == GUEST.user_data
    assert found["user_data_parts"] == ["text/cloud-config"]
    assert "fa:16:3e:9c:bf:3d" in found["network"]["netplan"]
    assert {request.split()[0] for request in found["requests"]} == {"200"}


def test_the_serial_number_that_we_print_leads_the_nocloud_data_source_to_a_seed(
    port: Port, cloud_init: CloudInit, nocloud: str
) -> None:
    serial = carried(GUEST, seed_url=f"{nocloud}/").serial
    assert serial is not None
    found = cloud_init.read("nocloud-serial", serial)
    assert (found["found"], found["instance_id"]) == (True, GUEST.id)
    assert base64.b64decode(found["user_data"]) == GUEST.user_data


def test_a_seed_that_was_revoked_leads_nowhere(port: Port) -> None:
    port.becomes(GUEST)
    seeds = [new_seed(), new_seed()]
    for seed in seeds:
        port.seeds.add(GUEST.id, digest_of(seed), 1)
    assert httpx.get(f"{port.url}/seed/{seeds[0]}/meta-data").status_code == 200
    assert port.seeds.revoke(GUEST.id) == 2
    for seed in [*seeds, new_seed(), "x", ""]:
        for file in ("meta-data", "", "nothing"):
            answer = httpx.get(f"{port.url}/seed/{seed}/{file}")
            assert (answer.status_code, "headwater instance seed" in answer.text) == (404, True)


NETWORKS = {
    "DHCP and SLAAC, static": NETWORK_DATA,
    "a bond with a VLAN on it": BOND,
    "IPv6 only": {
        "links": [{"id": "a", "type": "phy", "ethernet_mac_address": "fa:16:3e:00:00:01", "mtu": 1400}],
        "networks": [
            {
                "id": "n",
                "network_id": "n",
                "link": "a",
                "type": "ipv6",
                "ip_address": "2001:db8::7",
                "netmask": "ffff:ffff:ffff:ffff::",
                "gateway": "2001:db8::1",
            }
        ],
        "services": [],
    },
    "a gateway outside": {
        "links": [{"id": "a", "type": "phy", "ethernet_mac_address": "fa:16:3e:00:00:01"}],
        "networks": [
            {
                "id": "n",
                "network_id": "n",
                "link": "a",
                "type": "ipv4",
                "ip_address": "203.0.113.7",
                "netmask": "255.255.255.255",
                "gateway": "192.0.2.1",
            }
        ],
        "services": [{"type": "dns", "address": "9.9.9.9"}],
    },
}
OUTSIDE = NETWORKS["a gateway outside"]


@pytest.mark.parametrize("version", ["", "/v1"])
@pytest.mark.parametrize("network", list(NETWORKS.values()), ids=list(NETWORKS))
def test_cloud_init_makes_the_same_of_our_configuration_as_of_openstacks_document(
    port: Port, cloud_init: CloudInit, network: dict[str, Any], version: str
) -> None:
    port.becomes(replace(GUEST, network_data=network))
    wanted, found = (
        cloud_init.read(kind, f"{port.url}{path}")["network"]
        for kind, path in (("openstack", ""), ("nocloud", f"/nocloud{version}"))
    )
    assert told(found["netplan"]) == told(wanted["netplan"])
    # Older releases read none of a network from OpenStack's document, and call no gateway on-link.
    assert name_servers(found["netplan"]) >= name_servers(wanted["netplan"])
    assert on_link(found["netplan"]) >= on_link(wanted["netplan"])
    # It warns of what its schema does not know, and netplan does; where netplan is, it leaves the question to it.
    refused = ["'on-link' was unexpected"] if network is OUTSIDE and not version else []
    for said, network_config in (([], wanted), (refused, found)):
        if network_config["refused"] is not None:
            assert len(network_config["refused"]) == len(said), network_config["refused"]
            assert all(part in line for part, line in zip(said, network_config["refused"], strict=True))


def links(netplan: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield kind and MAC address of each interface in a netplan file, and what is said of it."""
    found = yaml.safe_load(netplan)["network"]
    for kind in ("ethernets", "bonds", "vlans"):
        for link in found.get(kind, {}).values():
            yield f"{kind} {link.get('macaddress') or link['match']['macaddress']}", link


def told(netplan: str) -> dict[str, Any]:
    """Return what a netplan file says of each interface: names and how DHCPv6 is begun aside."""
    return {
        name: {
            "dhcp4": link.get("dhcp4", False),
            "takes IPv6 from the network": bool(link.get("dhcp6") or link.get("accept-ra")),
            "addresses": sorted(link.get("addresses", [])),
            "routes": sorted(
                {(destination(each), each["via"]) for each in link.get("routes", [])}
                | {("0.0.0.0/0", each) for each in [link.get("gateway4")] if each}
                | {("::/0", each) for each in [link.get("gateway6")] if each}
            ),
            "mtu": link.get("mtu"),
            "vlan": link.get("id"),
            "members": len(link.get("interfaces", [])),
            "mode": link.get("parameters", {}).get("mode"),
        }
        for name, link in links(netplan)
    }


def destination(route: dict[str, Any]) -> str:
    if route["to"] != "default":
        return str(route["to"])
    return "::/0" if ":" in route["via"] else "0.0.0.0/0"


def name_servers(netplan: str) -> set[str]:
    return {each for _, link in links(netplan) for each in link.get("nameservers", {}).get("addresses", [])}


def on_link(netplan: str) -> set[tuple[str, str]]:
    return {
        (name, each["via"]) for name, link in links(netplan) for each in link.get("routes", []) if "on-link" in each
    }


@pytest.mark.parametrize("network", list(NETWORKS.values()), ids=list(NETWORKS))
def test_every_renderer_of_cloud_init_writes_what_our_older_form_says(
    port: Port, cloud_init: CloudInit, network: dict[str, Any]
) -> None:
    port.becomes(replace(GUEST, network_data=network))
    files = cloud_init.read("nocloud", f"{port.url}/nocloud/v1")["network"]["files"]
    assert sorted(files) == ["eni", "network-manager", "networkd", "sysconfig"]
    static = [each for each in network["networks"] if each["type"] in ("ipv4", "ipv6")]
    gateways = {each["gateway"] for each in static if "gateway" in each}
    gateways |= {route["gateway"] for each in static for route in each.get("routes", [])}
    for wanted in (
        {each["ip_address"] for each in static} | gateways | {each["address"] for each in network["services"]}
    ):
        assert [name for name, text in files.items() if wanted not in text] == [], wanted
    assert ["GatewayOnLink" in files["networkd"]] <= [network is OUTSIDE]


def test_binary_user_data_arrives_byte_for_byte(port: Port, cloud_init: CloudInit) -> None:
    every_byte = bytes(range(256)) * 3
    port.becomes(replace(GUEST, user_data=every_byte))
    for kind, url in (("openstack", port.url), ("ec2", port.url), ("nocloud", f"{port.url}/nocloud")):
        assert base64.b64decode(cloud_init.read(kind, url)["user_data"]) == every_byte


def test_a_machine_with_nothing_but_a_name_configures_itself_by_dhcp(port: Port, cloud_init: CloudInit) -> None:
    port.becomes(replace(BARE, addresses=("127.0.0.1",)))
    found = cloud_init.read("openstack", port.url)
    assert found["found"] is True
    assert found["network_json"] is None
    assert found["public_keys"] == []
    assert found["user_data"] == ""
    missing = [request.rpartition("/")[2] for request in found["requests"] if not request.startswith("200")]
    assert missing == ["user_data", "network_data.json"]


def test_a_bond_with_a_vlan_on_it_is_understood(port: Port, cloud_init: CloudInit) -> None:
    port.becomes(replace(GUEST, network_data=BOND))
    netplan = cloud_init.read("openstack", port.url)["network"]["netplan"]
    assert "bond0.101:" in netplan
    assert "mode: 802.3ad" in netplan


def test_a_machine_that_nobody_registered_finds_no_data_source(port: Port, cloud_init: CloudInit) -> None:
    port.becomes(replace(GUEST, addresses=("10.0.0.5",)))
    found = cloud_init.read("openstack", port.url)
    assert found["found"] is False
    assert found["requests"] == ["404 /openstack"]


def test_the_server_in_front_keeps_our_rules_for_paths(port: Port) -> None:
    port.becomes(GUEST)
    host, _, number = port.url.removeprefix("http://").partition(":")
    for path, status in [
        ("//openstack//latest/meta_data.json", 200),
        ("/latest/meta-data/", 200),
        ("/openstack%2Flatest%2Fuser_data", 200),
        ("/latest/../openstack", 400),
        ("/latest/%2e%2e/openstack", 400),
        ("/latest/%2E./openstack", 400),
        ("/latest/meta-data/hostname/x", 404),
        ("/latest/%252e%252e/x", 404),
        ("/%ff%fe", 404),
        ("/latest/meta-data/hostname%00", 404),
    ]:
        with socket.create_connection((host, int(number)), timeout=10) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert connection.makefile("rb").readline().split()[1] == str(status).encode(), path


ON_DRIVE = replace(GUEST, files=(File(path="/etc/motd", data=b"hello \xff"),))


def extract(iso_path: Path, name_space: str, into: Path) -> None:
    """Write what a drive holds in one of its name spaces into a directory, as a mount would show it."""
    iso = pycdlib.PyCdlib()
    iso.open(str(iso_path))
    try:
        for directory, _, names in iso.walk(**{name_space: "/"}):
            (into / directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
            for name in names:
                body = io.BytesIO()
                iso.get_file_from_iso_fp(body, **{name_space: f"{directory.rstrip('/')}/{name}"})
                (into / directory.lstrip("/") / name.removesuffix(";1")).write_bytes(body.getvalue())
    finally:
        iso.close()


@pytest.mark.parametrize("name_space", ["rr_path", "joliet_path", "iso_path"])
def test_the_config_drive_data_source_understands_our_drive(
    cloud_init: CloudInit, tmp_path: Path, name_space: str
) -> None:
    write_config_drive(ON_DRIVE, tmp_path / "drive.iso", 1_700_000_000)
    extract(tmp_path / "drive.iso", name_space, tmp_path / "mounted")
    found = cloud_init.read("config-drive", str(tmp_path / "mounted"))
    assert found["found"] is True
    assert found["version"] == 2
    assert found["instance_id"] == ON_DRIVE.id
    assert found["metadata"]["local-hostname"] == "web-1.novalocal"
    assert found["metadata"]["meta"] == ON_DRIVE.meta
    assert found["public_keys"] == [KEY]
    assert base64.b64decode(found["user_data"]) == ON_DRIVE.user_data
    assert found["vendor_data"] == "#cloud-config\nntp: {servers: [192.0.2.1]}\n"
    assert found["network_json"] == ON_DRIVE.network_data
    assert "192.168.50.7/24" in found["network"]["netplan"]
    assert found["ec2"]["instance-id"] == "i-b65cee2f"
    assert {path: base64.b64decode(data) for path, data in found["injected"].items()} == {"/etc/motd": b"hello \xff"}


def test_files_of_a_record_are_written_by_a_guest_that_reads_its_drive_and_by_no_other(
    port: Port, cloud_init: CloudInit, tmp_path: Path
) -> None:
    body = bytes(range(256)) * 40
    record = {
        "name": "with-files",
        "addresses": ["127.0.0.1"],
        "files": [
            {"path": "/srv/z", "content_base64": base64.b64encode(body).decode()},
            {"path": "/etc/motd", "content": "wörld\n"},
        ],
    }
    [read] = records.read(yaml.safe_dump([record], allow_unicode=True).encode())
    port.becomes(read.instance)
    [registered] = port.lists.page().found
    write_config_drive(port.registry.get(registered.id), tmp_path / "drive.iso", 1_700_000_000)
    extract(tmp_path / "drive.iso", "rr_path", tmp_path / "mounted")
    assert (tmp_path / "mounted/openstack/content/0000").read_bytes() == body
    found = cloud_init.read("config-drive", str(tmp_path / "mounted"))
    written = {path: base64.b64decode(data) for path, data in found["injected"].items()}
    assert written == {"/srv/z": body, "/etc/motd": "wörld\n".encode()}
    assert list(written) == ["/srv/z", "/etc/motd"]
    assert httpx.get(f"{port.url}/openstack/content/0000").status_code == 404
    assert "files" not in httpx.get(f"{port.url}/openstack/latest/meta_data.json").json()


def extract_fat(image: Path, into: Path) -> None:
    """Do what ``extract`` does, as cloudbase-init reads FAT: with mtools."""
    into.mkdir()
    subprocess.run([program("mcopy"), "-s", "-n", "-i", image, "::*", into], check=True, timeout=60)


@pytest.mark.parametrize("kind", ["rr_path", "joliet_path", "vfat"])
def test_the_nocloud_data_source_understands_our_media(cloud_init: CloudInit, tmp_path: Path, kind: str) -> None:
    image, mounted = tmp_path / "seed", tmp_path / "mounted"
    fat = kind == "vfat"
    write_config_drive(GUEST, image, 1_700_000_000, layout="nocloud", kind="vfat" if fat else "iso9660")
    if fat:
        extract_fat(image, mounted)
    else:
        extract(image, kind, mounted)
    found = cloud_init.read("nocloud-medium", str(mounted))
    assert found["found"] is True
    assert found["instance_id"] == GUEST.id
    assert found["public_keys"] == [KEY]
    assert base64.b64decode(found["user_data"]) == GUEST.user_data
    assert base64.b64decode(found["vendor_data"]) == b"#cloud-config\nntp: {servers: [192.0.2.1]}\n"
    assert "fa:16:3e:9c:bf:3d" in found["network"]["netplan"]


def test_the_config_drive_data_source_understands_our_fat(cloud_init: CloudInit, tmp_path: Path) -> None:
    write_config_drive(ON_DRIVE, tmp_path / "drive.img", 1_700_000_000, kind="vfat")
    extract_fat(tmp_path / "drive.img", tmp_path / "mounted")
    found = cloud_init.read("config-drive", str(tmp_path / "mounted"))
    assert (found["found"], found["instance_id"]) == (True, ON_DRIVE.id)
    assert {path: base64.b64decode(data) for path, data in found["injected"].items()} == {"/etc/motd": b"hello \xff"}


@pytest.mark.parametrize(("layout", "label"), [("openstack", "config-2"), ("nocloud", "cidata")])
@pytest.mark.parametrize("kind", ["iso9660", "vfat"])
def test_the_drive_is_found_by_its_label(tmp_path: Path, layout: Layout, label: str, kind: Kind) -> None:
    write_config_drive(GUEST, tmp_path / "drive", 1_700_000_000, layout=layout, kind=kind)
    done = subprocess.run(
        [program("blkid"), "-p", "-o", "export", tmp_path / "drive"], capture_output=True, text=True, check=True
    )
    assert {f"LABEL={label}", f"TYPE={kind}"} <= set(done.stdout.splitlines())


@pytest.mark.parametrize(
    ("deed", "seen"),
    [
        ("import socket; socket.create_connection(('192.0.2.1', 80), 0.1)", "connects to"),
        ("import socket; socket.getaddrinfo('example.org', 80)", "asks for the address"),
        ("import subprocess; subprocess.run(['true'])", "starts a program"),
        ("open('/var/tmp/headwater-guard', 'w')", "writes"),
        ("import os; os.mkdir('/var/tmp/headwater-guard')", "changes"),
    ],
)
def test_the_guards_end_what_reading_metadata_does_not_need(clients_python: Path, deed: str, seen: str) -> None:
    guard = "from functional.instances.cloud_init.guards import Guards; Guards(pathlib.Path('/nowhere'))"
    code = f"import pathlib; {guard}; {deed}"
    done = subprocess.run(
        [clients_python, "-c", code],
        env={"PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, seen in done.stderr) == (3, True), done.stderr
    assert not Path("/var/tmp/headwater-guard").exists()
