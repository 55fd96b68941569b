"""EC2's instance identity document, read and verified with OpenSSL as Amazon's documentation tells its users."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

import needs
from functional.headwater_process import HeadwaterProcess

DIRECTORY = "/latest/dynamic/instance-identity"
PKCS7_DOCUMENTS = ("pkcs7", "rsa2048")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    toml = '[metadata]\nrate = 0\nregion = "north-1"\n'
    process = HeadwaterProcess(tmp_path_factory.mktemp("identity-document"), toml=toml, workers=2)
    process.start()
    for name, address, *more in (
        ("web1", "127.0.0.1", "--project-id", "blue", "--instance-type", "m1.small"),
        ("web2", "127.0.0.2", "--tokens", "required"),
    ):
        done = process.command("instance", "add", "--name", name, "--address", address, *more)
        assert done.returncode == 0, done.stderr
    yield process
    process.stop()


@pytest.fixture
def guest(service: HeadwaterProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{service.metadata_url}{DIRECTORY}/") as client:
        yield client


def fetched(service: HeadwaterProcess, guest: httpx.Client, directory: Path) -> None:
    """Write what a verifier has: the document, its signatures, the latter with the lines that users put around."""
    (directory / "certificate").write_bytes(
        httpx.get(f"{service.images_url}/.well-known/instance-identity.pem").content
    )
    (directory / "document").write_bytes(guest.get("document").content)
    (directory / "signature").write_bytes(base64.b64decode(guest.get("signature").content))
    for name in PKCS7_DOCUMENTS:
        framed = f"-----BEGIN PKCS7-----\n{guest.get(name).text}\n-----END PKCS7-----\n"
        (directory / name).write_text(framed)


def openssl(directory: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [needs.program("openssl"), *words], cwd=directory, capture_output=True, timeout=60, check=False
    )


def test_the_document_says_what_amazons_does(service: HeadwaterProcess, guest: httpx.Client) -> None:
    shown = json.loads(service.command("instance", "show", "web1", "--json").stdout)
    answer = guest.get("document")
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    found = answer.json()
    assert found.pop("pendingTime") == shown["created_at"]
    assert found == {
        "accountId": "blue",
        "architecture": None,
        "availabilityZone": "nova",
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": None,
        "instanceId": f"i-{shown['id'][:8]}",
        "instanceType": "m1.small",
        "instanceUuid": shown["id"],
        "kernelId": None,
        "privateIp": "127.0.0.1",
        "ramdiskId": None,
        "region": "north-1",
        "version": "2017-09-30",
    }


def test_the_listings_name_what_is_there(service: HeadwaterProcess, guest: httpx.Client) -> None:
    names = guest.get("").text.split("\n")
    assert names == ["document", "pkcs7", "rsa2048", "signature"]
    assert [guest.get(name).status_code for name in names] == [200] * 4
    assert httpx.get(f"{service.metadata_url}/latest/dynamic").text == "instance-identity/"
    assert httpx.get(f"{service.metadata_url}/latest").text.split("\n")[0] == "dynamic/"
    assert guest.post("signature").status_code == 405


def test_every_worker_gives_the_same_bytes(service: HeadwaterProcess) -> None:
    for name in ("document", "pkcs7", "rsa2048", "signature"):
        assert len({httpx.get(f"{service.metadata_url}{DIRECTORY}/{name}").content for _ in range(10)}) == 1
    assert len({httpx.get(f"{service.images_url}/.well-known/instance-identity.pem").content for _ in range(10)}) == 1


@pytest.mark.parametrize("name", PKCS7_DOCUMENTS)
@pytest.mark.parametrize("command", ["smime", "cms"])
def test_openssl_verifies_the_signed_document(
    service: HeadwaterProcess, guest: httpx.Client, tmp_path: Path, name: str, command: str
) -> None:
    fetched(service, guest, tmp_path)
    words = (command, "-verify", "-in", name, "-inform", "PEM")
    # As Amazon's documentation has it, and then as the recipe: a certificate that is trusted, not merely at hand.
    content = ("-content", "document") if command == "smime" else ()  # which is in it already
    known = openssl(tmp_path, *words, *content, "-certfile", "certificate", "-noverify")
    assert known.returncode == 0, known.stderr
    trusted = openssl(tmp_path, *words, "-certfile", "certificate", "-CAfile", "certificate")
    assert trusted.returncode == 0, trusted.stderr
    assert trusted.stdout == (tmp_path / "document").read_bytes()
    assert openssl(tmp_path, *words, "-noverify").returncode != 0, "a certificate came along"


def test_openssl_verifies_the_signature_and_finds_out_a_document_that_was_changed(
    service: HeadwaterProcess, guest: httpx.Client, tmp_path: Path
) -> None:
    fetched(service, guest, tmp_path)
    key = openssl(tmp_path, "x509", "-pubkey", "-noout", "-in", "certificate")
    (tmp_path / "key").write_bytes(key.stdout)
    words = ("dgst", "-sha256", "-verify", "key", "-signature", "signature", "document")
    assert openssl(tmp_path, *words).stdout == b"Verified OK\n"
    document = tmp_path / "document"
    document.write_text(document.read_text().replace('"blue"', '"red!"'))
    assert openssl(tmp_path, *words).returncode != 0


def test_who_needs_a_session_token_needs_it_here_too(service: HeadwaterProcess) -> None:
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=service.metadata_url, transport=transport) as guest:
        paths = [f"{DIRECTORY}/{name}" for name in ("document", "pkcs7", "signature")]
        assert [guest.get(path).status_code for path in paths] == [401] * 3
        session = guest.put("/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}).text
        headers = {"X-aws-ec2-metadata-token": session}
        assert [guest.get(path, headers=headers).status_code for path in paths] == [200] * 3
    transport = httpx.HTTPTransport(local_address="127.0.0.3")
    with httpx.Client(base_url=service.metadata_url, transport=transport) as stranger:
        assert stranger.get(f"{DIRECTORY}/signature").status_code == 404


def test_a_new_key_has_its_certificate_published_after_the_one_that_signs(
    service: HeadwaterProcess, guest: httpx.Client, tmp_path: Path
) -> None:
    assert service.command("instance", "rotate-identity-keys").returncode == 0
    service.restart()
    fetched(service, guest, tmp_path)
    assert (tmp_path / "certificate").read_bytes().count(b"BEGIN CERTIFICATE") == 2
    key = openssl(tmp_path, "x509", "-pubkey", "-noout", "-in", "certificate")
    (tmp_path / "key").write_bytes(key.stdout)
    words = ("dgst", "-sha256", "-verify", "key", "-signature", "signature", "document")
    assert openssl(tmp_path, *words).returncode == 0
    verified = openssl(
        tmp_path,
        "smime",
        "-verify",
        "-in",
        "rsa2048",
        "-inform",
        "PEM",
        "-certfile",
        "certificate",
        "-CAfile",
        "certificate",
    )
    assert verified.returncode == 0, verified.stderr
