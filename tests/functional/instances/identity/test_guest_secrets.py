"""Session tokens and passwords, as guests and their owners use them, with the real program."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
from pathlib import Path

import httpx2 as httpx
import pytest
from botocore.utils import InstanceMetadataFetcher, InstanceMetadataRegionFetcher
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, run_headwater, wait_until

TTL, TOKEN = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"
# Linux' IP_MINTTL, which Python does not name: packets that may pass fewer routers than that are dropped.
_MINTTL, _FULL = 21, 64
PASSWORD = "Grüße-12345"


@pytest.fixture
def service(fresh_headwater: FreshHeadwater) -> HeadwaterProcess:
    return fresh_headwater(workers=2)


def register(service: HeadwaterProcess, *words: str) -> dict[str, object]:
    done = service.command("instance", "add", "--name", "web1", "--address", "127.0.0.1", *words, "--json")
    assert done.returncode == 0, done.stderr
    made: dict[str, object] = json.loads(done.stdout)
    return made


def token(service: HeadwaterProcess) -> str:
    return httpx.put(f"{service.metadata_url}/latest/api/token", headers={TTL: "60"}).raise_for_status().text


def test_the_sdk_of_aws_reads_with_a_token_where_none_else_is_let_in(service: HeadwaterProcess) -> None:
    register(service, "--tokens", "required", "--availability-zone", "north-1a")
    assert httpx.get(f"{service.metadata_url}/latest/meta-data/hostname").status_code == 401
    fetcher = InstanceMetadataRegionFetcher(num_attempts=1, base_url=f"{service.metadata_url}/")
    assert fetcher.retrieve_region() == "north-1"
    # Machines have no credentials here, and the SDK goes on to where else there may be some.
    credentials = InstanceMetadataFetcher(num_attempts=1, base_url=f"{service.metadata_url}/")
    assert credentials.retrieve_iam_role_credentials() == {}


def test_every_worker_takes_the_token_of_any_also_after_a_restart(service: HeadwaterProcess) -> None:
    register(service, "--tokens", "required")
    headers = {TOKEN: token(service)}
    for turn in range(2):
        for _ in range(10):  # whichever worker answers
            assert httpx.get(f"{service.metadata_url}/latest/meta-data/hostname", headers=headers).status_code == 200
        if not turn:
            service.restart()


def test_revoked_tokens_end(service: HeadwaterProcess) -> None:
    register(service, "--tokens", "required")
    headers = {TOKEN: token(service)}
    assert service.command("instance", "rotate-tokens").returncode == 0
    service.restart()
    assert httpx.get(f"{service.metadata_url}/", headers=headers).status_code == 200
    assert service.command("instance", "rotate-tokens", "--revoke").returncode == 0
    service.restart()
    assert httpx.get(f"{service.metadata_url}/", headers=headers).status_code == 401
    assert httpx.get(f"{service.metadata_url}/", headers={TOKEN: token(service)}).status_code == 200


def test_a_token_stands_in_no_log(service: HeadwaterProcess) -> None:
    register(service)
    given = token(service)
    assert httpx.get(f"{service.metadata_url}/", headers={TOKEN: given}).status_code == 200
    assert httpx.get(f"{service.metadata_url}/", headers={TOKEN: f"{given}x"}).status_code == 401
    wait_until(lambda: '"status":401' in service.stderr(), "the requests are in the log")
    assert given not in service.stderr()


def test_a_token_travels_no_further_than_its_machine_lets_it(service: HeadwaterProcess) -> None:
    register(service, "--hop-limit", "1")
    address = httpx.URL(service.metadata_url)

    def asked(request: str, least: int) -> bytes:
        with socket.socket() as far:
            far.setsockopt(socket.IPPROTO_IP, _MINTTL, least)
            far.settimeout(2)
            far.connect((str(address.host), address.port or 0))
            far.sendall(f"{request} HTTP/1.1\r\nHost: x\r\n{TTL}: 60\r\nContent-Length: 0\r\n\r\n".encode())
            try:
                return far.recv(65536)
            except TimeoutError:
                return b""

    assert asked("GET /latest/meta-data/hostname", _FULL).startswith(b"HTTP/1.1 200")
    assert asked("PUT /latest/api/token", _FULL) == b""
    assert asked("PUT /latest/api/token", 1).startswith(b"HTTP/1.1 200")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def written(key: rsa.RSAPrivateKey, file: Path, form: serialization.PrivateFormat, passphrase: str = "") -> Path:
    cipher = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, cipher))
    return file


def test_a_machine_posts_its_password_and_the_owner_reads_it(
    service: HeadwaterProcess, key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    register(service, "--ssh-key", public.decode())
    none = service.command("instance", "password", "web1")
    assert (none.returncode, "posted no password" in none.stderr) == (1, True)
    posted = base64.b64encode(key.public_key().encrypt(PASSWORD.encode(), PKCS1v15()))
    path = f"{service.metadata_url}/openstack/2013-04-04/password"
    assert httpx.post(path, content=b"").status_code == 400
    assert httpx.post(path, content=posted).status_code == 200
    assert httpx.post(path, content=posted).status_code == 200
    assert httpx.post(path, content=b"b3RoZXI=").status_code == 409
    assert httpx.get(path).content == posted
    assert service.command("instance", "password", "web1").stdout.strip() == posted.decode()
    openssh = written(key, tmp_path / "openssh", serialization.PrivateFormat.OpenSSH)
    pem = written(key, tmp_path / "pem", serialization.PrivateFormat.TraditionalOpenSSL)
    for file in (openssh, pem):
        assert service.command("instance", "password", "web1", "--key", str(file)).stdout.strip() == PASSWORD
    locked = written(key, tmp_path / "locked", serialization.PrivateFormat.PKCS8, "word")
    command = ("--data-dir", service.data_dir, "instance", "password", "web1", "--key", locked)
    opened = run_headwater(*command, directory=tmp_path, env={"HEADWATER_KEY_PASSPHRASE": "word"})
    assert (opened.stdout.strip(), opened.stderr) == (PASSWORD, "")
    document = json.loads(service.command("instance", "password", "web1", "--key", str(pem), "--json").stdout)
    assert document["password"] == PASSWORD
    # OpenSSL reads it too, which is what nova get-password runs.
    done = subprocess.run(
        ["openssl", "pkeyutl", "-decrypt", "-inkey", pem],
        input=base64.b64decode(posted),
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == PASSWORD
    assert PASSWORD not in service.stderr()
    assert service.command("instance", "password", "web1", "--clear").returncode == 0
    assert httpx.get(path).content == b""
    assert httpx.post(path, content=b"b3RoZXI=").status_code == 200


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("missing", "No such file"),
        ("other", "does not open the password"),
        ("locked", "HEADWATER_KEY_PASSPHRASE"),
        ("text", "no private key"),
        ("public", "no private key"),
    ],
)
def test_a_key_that_does_not_open_it_is_named_with_the_reason(
    service: HeadwaterProcess, key: rsa.RSAPrivateKey, tmp_path: Path, file: str, says: str
) -> None:
    register(service)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    written(other, tmp_path / "other", serialization.PrivateFormat.OpenSSH)
    written(key, tmp_path / "locked", serialization.PrivateFormat.PKCS8, "word")
    (tmp_path / "text").write_text("a text")
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "public").write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, public))
    posted = base64.b64encode(key.public_key().encrypt(PASSWORD.encode(), PKCS1v15()))
    httpx.post(f"{service.metadata_url}/openstack/latest/password", content=posted).raise_for_status()
    done = service.command("instance", "password", "web1", "--key", str(tmp_path / file))
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


# --- Secret paths ---------------------------------------------------------------------------------------


def seed(service: HeadwaterProcess, *words: str) -> dict[str, str]:
    done = service.command("instance", "seed", "web2", *words, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_a_machine_without_an_address_reads_itself_by_its_secret_path(service: HeadwaterProcess) -> None:
    done = service.command("instance", "add", "--name", "web2", "--user-data", "#cloud-config", "--tokens", "required")
    assert done.returncode == 0, done.stderr
    made = seed(service)
    assert made["kernel"] == f"ds=nocloud;s={made['url']}"
    url = f"{service.metadata_url}{made['path']}"
    assert httpx.get(f"{url}user-data").text == "#cloud-config"  # the path is the secret, no token beside it
    assert httpx.get(f"{url}v1/meta-data").json()["local-hostname"] == "web2"
    assert httpx.get(f"{service.metadata_url}/nocloud/user-data").status_code == 404
    other = seed(service)
    assert other["path"] != made["path"]
    secret = made["path"].split("/")[2]
    wait_until(lambda: '"path":"/seed/' in service.stderr(), "the requests are in the log")
    assert secret not in service.stderr()
    assert service.command("instance", "seed", "web2", "--revoke").returncode == 0
    assert httpx.get(f"{url}user-data").status_code == 404
    assert secret not in service.stderr()
    for line in service.command("instance", "show", "web2", "--json").stdout.splitlines():
        assert secret not in line
