"""An instance that `headwater instance add` registered reads itself on the metadata port and from its drive."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pycdlib
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from needs import CHECKOUT, program

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6/Vd6bZLg2P6nTYxKGBSSmOF0hbnOdCxUZcmNBYxCG me@laptop"
USER_DATA = b"#cloud-config\nhostname: web1\npackages: [nginx]\n"


@pytest.fixture
def service(fresh_headwater: FreshHeadwater) -> HeadwaterProcess:
    return fresh_headwater(workers=2)


@pytest.fixture
def web1(service: HeadwaterProcess) -> HeadwaterProcess:
    """The service, after an image and the instance web1 on this address have been registered."""
    image = {"name": "noble", "disk_format": "raw", "container_format": "bare"}
    httpx.post(f"{service.images_url}/v2/images", json=image).raise_for_status()
    (service.directory / "key.pub").write_text(KEY + "\n")
    (service.directory / "user-data").write_bytes(USER_DATA)
    words = "--name web1 --address 127.0.0.1 --ssh-key @key.pub --user-data @user-data --image noble --json"
    done = service.command("instance", "add", *words.split())
    assert done.returncode == 0, done.stderr
    return service


def read(service: HeadwaterProcess, path: str, *, source: str = "127.0.0.1") -> httpx.Response:
    """Read as the machine with the address ``source`` would."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as client:
        return client.get(f"{service.metadata_url}{path}", timeout=30)


def test_a_registered_instance_reads_who_it_is(web1: HeadwaterProcess) -> None:
    shown = json.loads(web1.command("instance", "show", "web1", "--json").stdout)
    for version in ("latest", "2009-04-04"):
        names = read(web1, f"/{version}/meta-data/").text.splitlines()
        assert {"instance-id", "hostname", "local-ipv4", "public-keys/", "ami-id"} <= set(names)
        assert read(web1, f"/{version}/meta-data/hostname").text.startswith("web1")
        assert read(web1, f"/{version}/meta-data/local-ipv4").text == "127.0.0.1"
        assert read(web1, f"/{version}/meta-data/instance-id").text == f"i-{shown['id'][:8]}"
        assert read(web1, f"/{version}/meta-data/public-keys/0/openssh-key").text.strip() == KEY
        assert read(web1, f"/{version}/user-data").content == USER_DATA
    document = read(web1, "/openstack/latest/meta_data.json").json()
    assert (document["uuid"], document["name"]) == (shown["id"], "web1")
    assert list(document["public_keys"].values()) == [KEY]
    assert len(base64.b64decode(document["random_seed"])) == 512
    assert read(web1, "/openstack/latest/user_data").content == USER_DATA


@pytest.mark.parametrize(
    "path", ["/", "/latest/meta-data/", "/2009-04-04/user-data", "/openstack/latest/meta_data.json"]
)
def test_a_caller_that_nobody_registered_gets_404(web1: HeadwaterProcess, path: str) -> None:
    assert read(web1, path).status_code == 200
    assert read(web1, path, source="127.0.0.9").status_code == 404


def test_a_header_does_not_make_a_caller_another_one(web1: HeadwaterProcess) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.9")) as stranger:
        for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Instance-ID"):
            answer = stranger.get(f"{web1.metadata_url}/latest/meta-data/", headers={name: "127.0.0.1"})
            assert answer.status_code == 404


def test_a_removed_instance_gets_404_from_the_next_request_on(web1: HeadwaterProcess) -> None:
    assert read(web1, "/latest/meta-data/hostname").status_code == 200
    assert web1.command("instance", "remove", "web1").returncode == 0
    for _ in range(10):  # whichever worker answers
        assert read(web1, "/latest/meta-data/hostname").status_code == 404


def test_an_instance_is_still_known_after_a_restart(web1: HeadwaterProcess) -> None:
    web1.restart()
    assert read(web1, "/latest/meta-data/hostname").status_code == 200


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--name web2 --user-data @missing", "--user-data: cannot read the file 'missing': No such file or directory"),
        ("--name web2 --ssh-key @user-data", "ssh key: this is no OpenSSH public key"),
        ("--name web2 --image nothing", "no image has the id or name 'nothing'"),
        ("--name web2 --address 127.0.0.1", "127.0.0.1"),
        ("--name web2 --address 300.0.0.1", "300.0.0.1"),
        ("--name web1", "web1"),
    ],
)
def test_what_cannot_be_registered_changes_nothing(web1: HeadwaterProcess, words: str, says: str) -> None:
    done = web1.command("instance", "add", *words.split())
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    names = [each["name"] for each in json.loads(web1.command("instance", "list", "--json").stdout)]
    assert names == ["web1"]


def test_the_config_drive_holds_what_the_port_tells(web1: HeadwaterProcess, tmp_path: Path) -> None:
    done = web1.command("config-drive", "build", "web1", "-o", tmp_path / "web1.iso")
    assert done.returncode == 0, done.stderr
    with mounted(tmp_path / "web1.iso", tmp_path / "drive") as drive:
        assert (drive / "openstack/latest/user_data").read_bytes() == USER_DATA
        assert (drive / "ec2/latest/user-data").read_bytes() == USER_DATA
        versions = read(web1, "/openstack").text.split()
        assert sorted(path.name for path in (drive / "openstack").iterdir() if path.name != "content") == versions
        for version in versions:
            on_drive = json.loads((drive / "openstack" / version / "meta_data.json").read_text())
            on_port = read(web1, f"/openstack/{version}/meta_data.json").json()
            for document in (on_drive, on_port):
                document.pop("random_seed", None)  # new on every read
            assert on_drive == on_port
        ec2 = json.loads((drive / "ec2/latest/meta-data.json").read_text())
        assert ec2["instance-id"] == read(web1, "/latest/meta-data/instance-id").text
    assert web1.command("config-drive", "build", "web1", "-o", tmp_path / "web1.iso").returncode == 1
    assert web1.command("config-drive", "build", "web1", "--force", "-o", tmp_path / "web1.iso").returncode == 0


@contextmanager
def mounted(iso: Path, at: Path) -> Iterator[Path]:
    """Show what an ISO image holds: mounted where the kernel lets us, otherwise unpacked by a reader of ISO 9660."""
    at.mkdir()
    if os.geteuid() == 0:
        command = [str(word) for word in (program("mount"), "-o", "loop,ro", "-t", "iso9660", iso, at)]
        if subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0:
            try:
                yield at
            finally:
                subprocess.run([program("umount"), at], timeout=60, check=True)
            return
    image = pycdlib.PyCdlib()
    image.open(str(iso))
    try:
        for directory, _, names in image.walk(joliet_path="/"):
            (at / directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
            for name in names:
                body = io.BytesIO()
                image.get_file_from_iso_fp(body, joliet_path=f"{directory.rstrip('/')}/{name}")
                (at / directory.lstrip("/") / name).write_bytes(body.getvalue())
    finally:
        image.close()
    yield at


def test_real_cloud_init_understands_what_the_service_tells(
    web1: HeadwaterProcess, clients_python: Path, cloud_init_modules: Path
) -> None:
    done = subprocess.run(
        [clients_python, "-m", "functional.instances.cloud_init.harness", "openstack", web1.metadata_url],
        env={
            "PYTHONPATH": f"{cloud_init_modules}{os.pathsep}{CHECKOUT / 'tests'}",
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found["found"] is True
    assert found["metadata"]["name"] == "web1"
    assert found["public_keys"] == [KEY]
    assert base64.b64decode(found["user_data"]) == USER_DATA

    def verdict() -> dict[str, Any]:
        said = web1.command("instance", "boot-log", "web1", "--json").stdout
        understood: dict[str, Any] = json.loads(said)["verdict"]
        return understood

    wait_until(lambda: verdict()["requests"] >= len(found["requests"]), "the requests are written down")
    assert (verdict()["complete"], verdict()["source"]) == (True, "OpenStack")
    assert verdict()["program"] == f"cloud-init {found['release']}"
