"""A machine proves to others which one it is: with a token that they check with the keys that we publish."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from functional.headwater_process import HeadwaterProcess

PATH = "/latest/dynamic/instance-identity/token"
ISSUER = "https://images.example.org/glance"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    toml = f'[metadata.identity]\nissuer = "{ISSUER}/"\n[metadata]\nrate = 0\n'
    process = HeadwaterProcess(tmp_path_factory.mktemp("identity"), toml=toml, workers=2)
    process.start()
    for name, address, *more in (
        ("web1", "127.0.0.1", "--project-id", "blue"),
        ("web2", "127.0.0.2", "--tokens", "required"),
    ):
        done = process.command("instance", "add", "--name", name, "--address", address, *more)
        assert done.returncode == 0, done.stderr
    yield process
    process.stop()


@pytest.fixture
def guest(service: HeadwaterProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.metadata_url) as client:
        yield client


def part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def checked(service: HeadwaterProcess, token: str) -> dict[str, Any]:
    """Return what a token says, as somebody finds who knows the service's address alone. (RFC 7515, 7517, 7519)"""
    head, claims, signature = token.split(".")
    header = json.loads(part(head))
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")
    published = httpx.get(f"{service.images_url}/.well-known/jwks.json").json()["keys"]
    (key,) = [each for each in published if each["kid"] == header["kid"]]
    numbers = rsa.RSAPublicNumbers(*(int.from_bytes(part(key[name]), "big") for name in ("e", "n")))
    numbers.public_key().verify(part(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    found: dict[str, Any] = json.loads(part(claims))
    return found


def test_a_token_says_which_machine_for_whom_and_how_long(service: HeadwaterProcess, guest: httpx.Client) -> None:
    shown = json.loads(service.command("instance", "show", "web1", "--json").stdout)
    answer = guest.post(PATH, data={"audience": "https://vault.example.org", "lifetime": "120"})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    claims = checked(service, answer.text)
    assert abs(claims["iat"] - time.time()) < 60
    assert claims.pop("exp") - claims.pop("iat") == 120
    assert claims.pop("jti") != checked(service, guest.post(PATH, data={"audience": "x"}).text)["jti"]
    del claims["nbf"]
    assert claims == {
        "iss": ISSUER,
        "sub": f"instance:{shown['id']}",
        "aud": "https://vault.example.org",
        "instance_id": shown["id"],
        "project_id": "blue",
        "name": "web1",
        "hostname": "web1",
    }


def test_every_worker_signs_with_a_key_that_all_publish(service: HeadwaterProcess) -> None:
    for _ in range(20):
        token = httpx.post(f"{service.metadata_url}{PATH}", data={"audience": "a"}).text
        assert checked(service, token)["name"] == "web1"


def test_whoever_knows_the_issuer_finds_the_keys(service: HeadwaterProcess) -> None:
    found = httpx.get(f"{service.images_url}/.well-known/openid-configuration")
    told = found.json()
    assert (told["issuer"], told["jwks_uri"]) == (ISSUER, f"{ISSUER}/.well-known/jwks.json")
    assert told["id_token_signing_alg_values_supported"] == ["RS256"]
    assert found.headers["access-control-allow-origin"] == "*"
    assert httpx.post(f"{service.images_url}/.well-known/jwks.json").status_code == 405


def test_a_token_that_was_changed_is_found_out(service: HeadwaterProcess, guest: httpx.Client) -> None:
    head, claims, signature = guest.post(PATH, data={"audience": "a"}).text.split(".")
    forged = json.loads(part(claims)) | {"project_id": "red"}
    changed = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
    with pytest.raises(InvalidSignature):
        checked(service, f"{head}.{changed}.{signature}")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "audience: "),
        (b"audience=", "audience: "),
        (b"lifetime=60", "audience: "),
        (b"audience=a&lifetime=59", "lifetime: "),
        (b"audience=a&lifetime=3601", "lifetime: "),
        (b"audience=a&lifetime=1e3", "lifetime: "),
        (b"audience=a&audience=b", "each once"),
        (b"audience=a&sub=root", "each once"),
        (b"audience=" + b"a" * 256, "audience: "),
        (b"audience=%00", "audience: "),
        (b"audience=%ff", "body: no form"),
        (b"x" * 5000, "body: "),
        (b"\xff\xfe", "no form"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(guest: httpx.Client, body: bytes, says: str) -> None:
    answer = guest.post(PATH, content=body)
    assert (answer.status_code, says in answer.text) == (400, True), answer.text


def test_only_the_machine_itself_gets_one(service: HeadwaterProcess, guest: httpx.Client) -> None:
    forwarded = guest.post(PATH, data={"audience": "a"}, headers={"X-Forwarded-For": "10.0.0.9"})
    assert forwarded.status_code == 400
    assert guest.get(PATH).status_code == 405
    for address, status in (("127.0.0.2", 401), ("127.0.0.3", 404)):
        transport = httpx.HTTPTransport(local_address=address)
        with httpx.Client(base_url=service.metadata_url, transport=transport) as other:
            assert other.post(PATH, data={"audience": "a"}).status_code == status
            if status == 401:
                session = other.put("/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
                shown = {"X-aws-ec2-metadata-token": session.text}
                token = other.post(PATH, data={"audience": "a"}, headers=shown).text
                assert checked(service, token)["name"] == "web2"


def test_a_new_key_is_published_beside_the_one_that_signs(service: HeadwaterProcess, guest: httpx.Client) -> None:
    before = guest.post(PATH, data={"audience": "a"}).text
    done = service.command("instance", "rotate-identity-keys", "--json")
    assert done.returncode == 0, done.stderr
    service.restart()
    keys = [each["kid"] for each in httpx.get(f"{service.images_url}/.well-known/jwks.json").json()["keys"]]
    assert json.loads(done.stdout)["kid"] == keys[0]
    assert checked(service, before)["name"] == "web1"


def test_neither_tokens_nor_keys_are_logged(service: HeadwaterProcess, guest: httpx.Client) -> None:
    token = guest.post(PATH, data={"audience": "a"}).text
    assert token.split(".")[2] not in service.stderr()
    assert "PRIVATE KEY" not in service.stderr()
