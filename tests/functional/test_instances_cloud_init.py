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

from headwater.database.engine import Database
from headwater.instances.http import application
from headwater.instances.media.config_drive import write_config_drive
from headwater.instances.model import File, Instance
from headwater.instances.registry import Registry
from headwater.instances.snapshot import Snapshots
from headwater.server.edge.listener import Listener
from headwater.threads import Pool
from needs import CHECKOUT, program
from templates import sqlite_catalogue
from unit.instances.examples import BARE, BOND, KEY, WEB_1

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
    registry: Registry

    def becomes(self, instance: Instance) -> None:
        """Let this machine's address belong to ``instance``, and to no other."""
        for other in self.registry.page():
            self.registry.remove(other.id)
        self.registry.add(replace(instance, updated_at=time.time_ns() // 1000))


async def in_thread(work: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(work)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    database = Database(sqlite_catalogue(tmp_path_factory.mktemp("instances") / "catalogue.db"))
    registry = Registry(database)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    ends: list[Callable[[], object]] = []

    async def serve() -> None:
        files = Pool("files", 1)
        listener = Listener(application(Snapshots(registry), in_thread), "127.0.0.1", number, files)
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
    yield Port(url, registry)
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
            [self.python, "-m", "functional.cloud_init.harness", kind, source],
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
    assert "192.168.50.7/24" in found["netplan"]
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


def test_binary_user_data_arrives_byte_for_byte(port: Port, cloud_init: CloudInit) -> None:
    every_byte = bytes(range(256)) * 3
    port.becomes(replace(GUEST, user_data=every_byte))
    for kind in ("openstack", "ec2"):
        assert base64.b64decode(cloud_init.read(kind, port.url)["user_data"]) == every_byte


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
    netplan = cloud_init.read("openstack", port.url)["netplan"]
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
    assert "192.168.50.7/24" in found["netplan"]
    assert found["ec2"]["instance-id"] == "i-b65cee2f"
    assert {path: base64.b64decode(data) for path, data in found["injected"].items()} == {"/etc/motd": b"hello \xff"}


def test_the_drive_is_found_by_its_label(tmp_path: Path) -> None:
    write_config_drive(GUEST, tmp_path / "drive.iso", 1_700_000_000)
    done = subprocess.run(
        [program("blkid"), "-p", "-o", "export", tmp_path / "drive.iso"], capture_output=True, text=True, check=True
    )
    assert {"LABEL=config-2", "TYPE=iso9660"} <= set(done.stdout.splitlines())


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
    code = f"import pathlib; from functional.cloud_init.guards import Guards; Guards(pathlib.Path('/nowhere')); {deed}"
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
