"""Signed images: the real service with certificates from a directory, from a real Barbican, and from a hostile one."""

from __future__ import annotations

import errno
import json
import os
import pty
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from functional import clients
from functional.headwater_process import HeadwaterProcess, bare_environment
from functional.image_requests import OCTETS, an_image, show
from headwater.errors import HeadwaterError, SettingsError
from headwater.identity.caller import Caller
from headwater.identity.keystone.peer import Peer
from headwater.images.signatures.barbican import Barbican as Source
from headwater.images.signatures.certificates import LARGEST, CertificatesUnavailable, CertificateUnusable
from servers.openstack.barbican import Barbican
from servers.openstack.keystone import Keystone, User
from servers.relay import Relay
from signers import CERTIFICATE_ID, Signer, signer

DATA = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return signer(tmp_path_factory.mktemp("signer"), "RSA-PSS")


# --- A directory ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, who: Signer) -> Iterator[HeadwaterProcess]:
    home = tmp_path_factory.mktemp("signed")
    (home / f"{CERTIFICATE_ID}.pem").write_bytes(who.certificate.read_bytes())
    process = HeadwaterProcess(home, toml=f'[signatures]\ncertificates = "directory"\ndirectory = "{home}"\n')
    process.start()
    yield process
    process.stop()


def upload(
    service: HeadwaterProcess, image_id: str, data: bytes = DATA, *, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    pieces = iter([data[start : start + 1000] for start in range(0, len(data), 1000)])  # chunked, in small pieces
    url = f"{service.images_url}/v2/images/{image_id}/file"
    return httpx.put(
        url, content=pieces, headers={**OCTETS, "Accept": "application/json", **(headers or {})}, timeout=60
    )


def test_signed_data_is_taken_and_other_data_leaves_nothing(service: HeadwaterProcess, who: Signer) -> None:
    image_id = an_image(service, who.properties(DATA))
    refused = upload(service, image_id, DATA[:-1] + b"x")
    assert refused.status_code == 400
    assert "the data is not what the key of the certificate" in refused.json()["message"]
    image = show(service, image_id)
    assert (image["status"], image["size"], image["checksum"]) == ("queued", None, None)
    assert httpx.get(f"{service.images_url}/v2/images/{image_id}/file").status_code == 204
    assert not any(path.is_file() for path in (service.data_dir / "stores").rglob(f"*{image_id}*"))
    assert upload(service, image_id).status_code == 204
    assert show(service, image_id)["status"] == "active"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"img_signature_certificate_uuid": CERTIFICATE_ID.replace("0", "1")}, "there is no certificate"),
        ({"img_signature_certificate_uuid": "../../etc/passwd"}, "which is no UUID"),
        ({"img_signature_hash_method": "MD5"}, "the property img_signature_hash_method is 'MD5'"),
        ({"img_signature_key_type": "DSA"}, "is of type RSA-PSS, and img_signature_key_type says DSA"),
        ({"img_signature_key_type": "ECC_SECT571K1"}, "type ECC_SECT571K1 cannot be verified here"),
        ({"img_signature": "no base64!"}, "the property img_signature is not base64"),
    ],
)
def test_the_answer_says_what_is_wrong_with_a_signature(
    service: HeadwaterProcess, who: Signer, change: Mapping[str, str], says: str
) -> None:
    image_id = an_image(service, {**who.properties(DATA), **change})
    refused = upload(service, image_id)
    assert refused.status_code == 400
    assert says in refused.json()["message"]
    assert show(service, image_id)["status"] == "queued"


def in_a_terminal(command: list[str], directory: Path) -> str:
    """Run a program that asks for a password at a terminal, answer with nothing, and return what it said."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=bare_environment(directory),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        close_fds=True,
    )
    os.close(theirs)
    said = b""
    answered = False
    try:
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError as error:
                if error.errno != errno.EIO:  # the last one has closed the terminal
                    raise
                break
            said += piece
            if not answered and b"password" in said:
                os.write(ours, b"\n")
                answered = True
    finally:
        os.close(ours)
        process.wait(120)
    return said.decode()


SIGN = """
import base64, sys
from openstack.image.image_signer import ImageSigner
signer = ImageSigner()
signer.load_private_key(sys.argv[1])
with open(sys.argv[2], "rb") as file:
    print(base64.b64encode(signer.generate_signature(file)).decode())
"""
FORMATS = ["--disk-format", "raw", "--container-format", "bare"]


def test_what_openstacksdk_signs_and_openstack_uploads_is_verified(
    openstack_client: Path, clients_python: Path, service: HeadwaterProcess, who: Signer, tmp_path: Path
) -> None:
    openstack = clients.openstack(openstack_client, tmp_path, service.images_url)
    (tmp_path / "disk").write_bytes(DATA)
    done = subprocess.run([clients_python, "-c", SIGN, who.key, tmp_path / "disk"], capture_output=True, check=True)
    properties = {**who.properties(b""), "img_signature": done.stdout.decode().strip()}
    given = [word for name, value in properties.items() for word in ("--property", f"{name}={value}")]
    image = openstack.json("image", "create", "--file", "disk", *FORMATS, *given, "signed")
    assert image["status"] == "active"
    (tmp_path / "disk").write_bytes(DATA[1:])
    refused = openstack.attempt("image", "create", "--file", "disk", *FORMATS, *given, "forged")
    assert refused.returncode == 1
    assert "Signature verification failed" in refused.stderr


def test_openstack_signs_itself_in_a_way_that_nobody_can_read_and_the_user_reads_that(
    openstack_client: Path, service: HeadwaterProcess, who: Signer, tmp_path: Path
) -> None:
    """python-openstackclient 10.5 sends ``b'…'``: once it does not, this is a test of a verified image."""
    openstack = clients.openstack(openstack_client, tmp_path, service.images_url)
    (tmp_path / "disk").write_bytes(DATA)
    signing = ["--sign-key-path", str(who.key), "--sign-cert-id", CERTIFICATE_ID]
    opening = [str(openstack.program), *map(str, openstack.opening)]
    said = in_a_terminal([*opening, "image", "create", "--file", "disk", *FORMATS, *signing, "signed"], tmp_path)
    assert "Signature verification failed: the property img_signature is not base64; it has b'…' around it" in said


def test_without_a_source_a_signed_image_is_refused(headwater: HeadwaterProcess, who: Signer) -> None:
    image_id = an_image(headwater, who.properties(DATA))
    refused = upload(headwater, image_id)
    assert refused.status_code == 400
    assert "no source of certificates" in refused.json()["message"]
    httpx.delete(f"{headwater.images_url}/v2/images/{image_id}").raise_for_status()


# --- A real Barbican -----------------------------------------------------------------------------


class Place:
    """Two projects with a member each, and the service user of Headwater."""

    def __init__(self, keystone: Keystone) -> None:
        self.keystone = keystone
        self.project, self.other_project = keystone.project(), keystone.project()
        self.member = keystone.user(self.project, "member")
        self.other = keystone.user(self.other_project, "member")
        self.service = keystone.user(keystone.admin_project, "service", "admin")

    def token(self) -> str:
        return self.keystone.token(self.member, self.project)

    def other_token(self) -> str:
        return self.keystone.token(self.other, self.other_project)

    def toml(self, barbican_url: str, ask_as: str = "caller", service: User | None = None) -> str:
        user = service or self.service
        return f"""
[log]
level = "debug"
[auth]
mode = "keystone"
[auth.keystone]
auth_url = "{self.keystone.url}"
username = "{user.name}"
password = "{user.password}"
project_name = "admin"
[signatures]
certificates = "barbican"
[signatures.barbican]
endpoint = "{barbican_url}"
ask_as = "{ask_as}"
timeout_s = 2
"""


@pytest.fixture(scope="module")
def place(keystone: Keystone) -> Place:
    return Place(keystone)


@pytest.fixture(scope="module")
def way(barbican: Barbican) -> Iterator[Relay]:
    relay = Relay(urlsplit(barbican.url).port or 0)
    yield relay
    relay.close()


@pytest.fixture(scope="module")
def with_barbican(place: Place, way: Relay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    toml = place.toml(f"http://127.0.0.1:{way.port}")
    process = HeadwaterProcess(tmp_path_factory.mktemp("barbican"), toml=toml)
    process.start()
    yield process
    process.stop()


def der(who: Signer) -> bytes:
    return x509.load_pem_x509_certificate(who.certificate.read_bytes()).public_bytes(Encoding.DER)


@pytest.mark.slow
def test_a_certificate_in_barbican_is_read_with_the_callers_token(
    with_barbican: HeadwaterProcess, barbican: Barbican, place: Place, who: Signer
) -> None:
    pem = who.certificate.read_bytes()
    token = place.token()
    octets, text = "application/octet-stream", "text/plain"
    for payload, content_type in ((pem, octets), (pem, text), (der(who), octets)):
        secret = barbican.store(token, payload, content_type)
        headers = {"X-Auth-Token": token}
        image_id = an_image(with_barbican, who.properties(DATA, certificate_id=secret), headers=headers)
        assert upload(with_barbican, image_id, DATA[1:], headers=headers).status_code == 400
        assert upload(with_barbican, image_id, headers=headers).status_code == 204
        assert show(with_barbican, image_id, headers=headers)["status"] == "active"
    said = with_barbican.stderr()
    assert token not in said


@pytest.mark.slow
def test_what_barbican_does_not_let_the_caller_read_is_not_there_also_when_another_has_read_it(
    with_barbican: HeadwaterProcess, barbican: Barbican, place: Place, who: Signer
) -> None:
    secret = barbican.store(place.token(), who.certificate.read_bytes(), "text/plain")
    owner, other = {"X-Auth-Token": place.token()}, {"X-Auth-Token": place.other_token()}
    signed = who.properties(DATA, certificate_id=secret)
    assert upload(with_barbican, an_image(with_barbican, signed, headers=owner), headers=owner).status_code == 204
    for its_id in (secret, CERTIFICATE_ID):
        signed = who.properties(DATA, certificate_id=its_id)
        image_id = an_image(with_barbican, signed, headers=other)
        refused = upload(with_barbican, image_id, headers=other)
        assert refused.status_code == 400
        assert f"there is no certificate {its_id}" in refused.json()["message"]
        assert show(with_barbican, image_id, headers=other)["status"] == "queued"


@pytest.mark.slow
def test_a_secret_that_is_no_certificate_is_refused(
    with_barbican: HeadwaterProcess, barbican: Barbican, place: Place, who: Signer
) -> None:
    token = place.token()
    pem = who.certificate.read_bytes()
    for secret, says in (
        (barbican.store(token, pem, "application/octet-stream", secret_type="opaque"), "secret type 'certificate'"),
        (barbican.store(token, b"no certificate", "text/plain"), "not an X.509 certificate"),
        (barbican.store_nothing(token), "no payload"),
    ):
        headers = {"X-Auth-Token": token}
        image_id = an_image(with_barbican, who.properties(DATA, certificate_id=secret), headers=headers)
        refused = upload(with_barbican, image_id, headers=headers)
        assert refused.status_code == 400
        assert says in refused.json()["message"]


@pytest.mark.slow
def test_while_barbican_is_away_the_upload_can_be_made_again_later(
    with_barbican: HeadwaterProcess, barbican: Barbican, place: Place, who: Signer, way: Relay
) -> None:
    headers = {"X-Auth-Token": place.token()}
    secret = barbican.store(place.token(), who.certificate.read_bytes(), "text/plain")
    image_id = an_image(with_barbican, who.properties(DATA, certificate_id=secret), headers=headers)
    for away in (way.cut, way.hanging):
        with away():
            began = time.monotonic()
            refused = upload(with_barbican, image_id, headers=headers)
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert time.monotonic() - began < 10
            assert show(with_barbican, image_id, headers=headers)["status"] == "queued"
    assert upload(with_barbican, image_id, headers=headers).status_code == 204


@pytest.mark.slow
def test_headwaters_own_user_asks_where_that_is_set(
    barbican: Barbican, place: Place, who: Signer, tmp_path: Path
) -> None:
    pem = who.certificate.read_bytes()
    theirs = barbican.store(place.token(), pem, "text/plain")
    ours = barbican.store(place.keystone.token(place.service, place.keystone.admin_project), pem, "text/plain")
    process = HeadwaterProcess(tmp_path, toml=place.toml(f"{barbican.url}/v1/", "service"))
    process.start()
    try:
        headers = {"X-Auth-Token": place.token()}
        image_id = an_image(process, who.properties(DATA, certificate_id=ours), headers=headers)
        assert upload(process, image_id, headers=headers).status_code == 204
        image_id = an_image(process, who.properties(DATA, certificate_id=theirs), headers=headers)
        assert upload(process, image_id, headers=headers).status_code == 400
        assert place.service.password not in process.stderr()
    finally:
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("ask_as", ["service", "caller"])
def test_barbican_is_found_in_the_catalogue(
    barbican: Barbican, place: Place, who: Signer, tmp_path: Path, ask_as: str
) -> None:
    keystone = place.keystone
    service = keystone.endpoint("key-manager", "barbican", "http://127.0.0.1:9/of-another-interface")
    keystone.add_region(f"of-{ask_as}")
    keystone.place(service, barbican.url, region=f"of-{ask_as}", interfaces=["admin"])
    credential, secret = keystone.application_credential(place.service, keystone.admin_project)
    user = f'username = "{place.service.name}"\npassword = "{place.service.password}"\nproject_name = "admin"\n'
    proof = f'application_credential_id = "{credential}"\napplication_credential_secret = "{secret}"\n'
    toml = place.toml("", ask_as).replace('endpoint = ""\n', "")
    toml = toml.replace(user, f'{proof}region = "of-{ask_as}"\ninterface = "admin"\n')
    assert "password" not in toml
    process = HeadwaterProcess(tmp_path, toml=toml)
    process.start()
    try:
        headers = {"X-Auth-Token": place.token()}
        owner = place.token() if ask_as == "caller" else keystone.token(place.service, keystone.admin_project)
        stored = barbican.store(owner, who.certificate.read_bytes(), "text/plain")
        image_id = an_image(process, who.properties(DATA, certificate_id=stored), headers=headers)
        assert upload(process, image_id, headers=headers).status_code == 204
        assert secret not in process.stderr()
    finally:
        process.kill()


# --- A Barbican that means harm ------------------------------------------------------------------

Answer = Callable[[BaseHTTPRequestHandler], None]
GOOD = {"secret_type": "certificate", "content_types": {"default": "text/plain"}}


class Hostile:
    """Answers as a test says, and notes who asked for what."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _handler: None
        self.asked: list[tuple[str, str | None]] = []
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hostile.asked.append((self.path, self.headers.get("X-Auth-Token")))
                hostile.answer(self)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    made = Hostile()
    yield made
    made.close()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    try:
        handler.wfile.write(body)
    except OSError:  # the other side has heard enough
        handler.close_connection = True


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Send a byte every tenth of a second, for longer than anybody waits."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    for _ in range(100):
        try:
            handler.wfile.write(b" ")
        except OSError:
            break
        time.sleep(0.1)


def ask(hostile: Hostile, token: str | None = "t", timeout_s: float = 1) -> bytes:
    peer = Peer(None, cafile=None, cafile_setting="a test", timeout_s=timeout_s)
    source = Source(lambda: hostile.url, peer, ask_as_caller=True, cache_s=60)
    return source.get(Caller(user_id="u", project_id="p", token=token), CERTIFICATE_ID)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda h: send(h, 200, b" " * (LARGEST + 1)), CertificateUnusable),
        (lambda h: send(h, 200, b"[" * 60000), CertificatesUnavailable),
        (lambda h: send(h, 200, b"[]"), CertificatesUnavailable),
        (lambda h: send(h, 200, b"\xff"), CertificatesUnavailable),
        (lambda h: send(h, 200, b""), CertificatesUnavailable),
        (lambda h: send(h, 200, b"{}"), CertificateUnusable),
        (lambda h: send(h, 200, json.dumps({**GOOD, "content_types": [1]}).encode()), CertificateUnusable),
        (
            lambda h: send(h, 200, json.dumps({**GOOD, "content_types": {"default": "a\r\nX: y"}}).encode()),
            CertificateUnusable,
        ),
        (lambda h: send(h, 302, b"", Location="/v1/secrets/elsewhere"), CertificatesUnavailable),
        (lambda h: send(h, 401, b"{}"), CertificatesUnavailable),
        (lambda h: send(h, 500, b"x" * (LARGEST + 1)), HeadwaterError),
        (lambda h: send(h, 200, b"{", Content_Length="5000"), CertificatesUnavailable),
        (lambda h: send(h, 200, b"\x1f\x8b", Content_Encoding="gzip"), CertificatesUnavailable),
        (drip, CertificatesUnavailable),
    ],
    ids=str.split("large deep list bytes empty object types header redirect 401 500 short gzip drip"),
)
def test_an_answer_that_means_harm_is_an_error_in_bounded_time(
    hostile: Hostile, answer: Answer, error: type[HeadwaterError]
) -> None:
    hostile.answer = answer
    began = time.monotonic()
    with pytest.raises(error):
        ask(hostile)
    assert time.monotonic() - began < 4
    assert [path for path, _ in hostile.asked] == [f"/v1/secrets/{CERTIFICATE_ID}"]


def test_a_payload_without_end_is_cut(hostile: Hostile) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.endswith("/payload"):
            send(handler, 200, b"x" * (LARGEST * 100))
        else:
            send(handler, 200, json.dumps(GOOD).encode())

    hostile.answer = answer
    with pytest.raises(CertificateUnusable, match="larger than"):
        ask(hostile)
    assert [token for _, token in hostile.asked] == ["t", "t"]


def test_a_caller_without_a_token_asks_nobody(hostile: Hostile) -> None:
    with pytest.raises(CertificatesUnavailable, match="no token"):
        ask(hostile, token=None)
    assert hostile.asked == []


def test_a_certificate_is_kept_for_the_one_who_may_read_it(hostile: Hostile, who: Signer) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = who.certificate.read_bytes() if handler.path.endswith("/payload") else json.dumps(GOOD).encode()
        send(handler, 200, body)

    hostile.answer = answer
    now = 0.0
    peer = Peer(None, cafile=None, cafile_setting="a test", timeout_s=5)
    source = Source(lambda: hostile.url, peer, ask_as_caller=True, cache_s=60, steady=lambda: now)
    first, second = (Caller(user_id=user, project_id="p", token=user) for user in ("a", "b"))
    for caller in (first, first, second):
        assert source.get(caller, CERTIFICATE_ID) == who.certificate.read_bytes()
    assert [token for _, token in hostile.asked] == ["a", "a", "b", "b"]
    now = 61.0
    source.get(first, CERTIFICATE_ID)
    assert len(hostile.asked) == 6


def test_a_file_of_authorities_that_is_not_there_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a test: there is no file"):
        Peer(None, cafile=tmp_path / "absent", cafile_setting="a test", timeout_s=1)
