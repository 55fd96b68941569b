"""cloudbase-init's own services, as Windows machines run them, read what we serve and write, and post a password."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pycdlib
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from functional.headwater_process import HeadwaterProcess
from needs import client

READER = Path(__file__).with_name("cloudbase_init_reading.py")
PASSWORD = "Grüße-12345"
USER_DATA = b"#ps1_sysnative\r\nWrite-Host '\xe4\xf6'\r\n"  # as an editor of Windows may write it
MAC = "fa:16:3e:00:00:05"
NETWORK: dict[str, Any] = {
    "links": [{"id": "tap0", "type": "ovs", "ethernet_mac_address": MAC, "mtu": 1450, "vif_id": "1"}],
    "networks": [
        {
            "id": "network0",
            "type": "ipv4",
            "link": "tap0",
            "ip_address": "10.0.0.5",
            "netmask": "255.255.255.0",
            "network_id": "11111111-1111-4111-8111-111111111111",
            "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}],
            "services": [{"type": "dns", "address": "10.0.0.2"}],
        }
    ],
    "services": [{"type": "dns", "address": "10.0.0.2"}],
}
KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


@pytest.fixture(scope="module")
def win1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HeadwaterProcess, str]]:
    """Return a service, and the id of a Windows machine that it knows by the address of this one."""
    process = HeadwaterProcess(tmp_path_factory.mktemp("headwater"), workers=1)
    process.start()
    (process.directory / "user-data").write_bytes(USER_DATA)
    (process.directory / "network.json").write_text(json.dumps(NETWORK))
    words = ("--name", "win1", "--address", "127.0.0.1", "--ssh-key", PUBLIC, "--user-data", "@user-data")
    made = process.command("instance", "add", *words, "--network-data", "@network.json", "--json")
    try:
        assert made.returncode == 0, made.stderr
        yield process, json.loads(made.stdout)["id"]
    finally:
        process.stop()


def reads(**asked: str) -> dict[str, Any]:
    command = [client("python"), READER]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def require_win1(said: dict[str, Any], *, network: bool) -> None:
    assert said["host_name"] == "win1"
    assert [key.split()[:2] for key in said["public_keys"]] == [PUBLIC.split()[:2]]
    assert base64.b64decode(said["user_data"]) == USER_DATA
    if network:
        assert [link[1:] for link in said["links"]] == [[MAC, 1450]]
        ((_, address, dns, routes),) = said["networks"]
        assert (address, dns) == ("10.0.0.5/24", ["10.0.0.2"])
        assert ["0.0.0.0/0", "10.0.0.1"] in routes


def test_both_trees_are_read_and_a_password_is_posted_that_the_owner_reads(
    win1: tuple[HeadwaterProcess, str], tmp_path: Path
) -> None:
    service, instance_id = win1
    posted = base64.b64encode(KEY.public_key().encrypt(PASSWORD.encode(), PKCS1v15())).decode()
    said = reads(openstack=service.metadata_url, ec2=service.metadata_url, password=posted)
    require_win1(said["openstack"], network=True)
    assert said["openstack"]["instance_id"] == instance_id
    assert said["openstack"]["can_post_password"]
    require_win1(said["ec2"], network=False)
    assert said["ec2"]["instance_id"].startswith("i-")
    assert (said["posted"], said["is_password_set"]) == (True, True)
    pem = serialization.PrivateFormat.TraditionalOpenSSL
    file = tmp_path / "key"
    file.write_bytes(KEY.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption()))
    assert service.command("instance", "password", "win1", "--key", file).stdout.strip() == PASSWORD


@pytest.mark.parametrize(("layout", "label"), [("openstack", "config_drive"), ("nocloud", "nocloud")])
def test_media_are_read(win1: tuple[HeadwaterProcess, str], tmp_path: Path, layout: str, label: str) -> None:
    service, instance_id = win1
    built = service.command("config-drive", "build", "win1", "-o", tmp_path / "medium.iso", "--layout", layout)
    assert built.returncode == 0, built.stderr
    unpacked(tmp_path / "medium.iso", tmp_path / "medium")
    said = reads(**{label: str(tmp_path / "medium")})[label]
    require_win1(said, network=True)
    assert said["instance_id"] == instance_id


def unpacked(medium: Path, directory: Path) -> None:
    """Write what lies on a medium below a directory, by the names that Windows sees."""
    iso = pycdlib.PyCdlib()
    iso.open(str(medium))
    try:
        for above, _, names in iso.walk(joliet_path="/"):
            for name in names:
                body = io.BytesIO()
                path = f"{above.rstrip('/')}/{name}"
                iso.get_file_from_iso_fp(body, joliet_path=path)
                file = directory / path.lstrip("/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(body.getvalue())
    finally:
        iso.close()
