"""Both listeners over TLS, as clients meet them, and certificates that change while they are in use."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from functional import clients
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterDidNotStart, HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, an_image
from servers.certificates import Authority

MiB = 1 << 20
LIMIT_S = 60
IMAGE = {"name": "x", "disk_format": "raw", "container_format": "bare"}
GET = b"GET /healthcheck/live HTTP/1.1\r\nHost: x\r\n\r\n"


def settings(certificate: Path, *more: str, section: str = "server.tls") -> str:
    return "\n".join([f"[{section}]", f'certificate = "{certificate}"', *more, ""])


def secure(url: str) -> str:
    return url.replace("http://", "https://")


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


def connect(url: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    place = urlsplit(url)
    plain = socket.create_connection((place.hostname or "", place.port or 0), LIMIT_S)
    return context.wrap_socket(plain, server_hostname=place.hostname)


def serial(url: str, context: ssl.SSLContext) -> str:
    """Return which certificate a new connection is shown."""
    with connect(url, context) as connection:
        shown = connection.getpeercert()
        assert shown is not None
        return str(shown["serialNumber"])


def serial_in(file: Path) -> str:
    shown = ssl._ssl._test_decode_cert(str(file))  # type: ignore[attr-defined]
    return str(shown["serialNumber"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[HeadwaterProcess]:
    """One worker that speaks TLS on both listeners; nothing changes its certificate."""
    file = authority.certificate()
    toml = settings(file) + settings(file, section="server.metadata_tls")
    process = HeadwaterProcess(tmp_path_factory.mktemp("headwater"), toml=toml)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def api(service: HeadwaterProcess, authority: Authority) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=secure(service.images_url), verify=trusting(authority), timeout=LIMIT_S) as client:
        yield client


# --- What is served ------------------------------------------------------------------------------


def test_both_listeners_speak_tls_and_links_say_so(
    service: HeadwaterProcess, api: httpx.Client, authority: Authority
) -> None:
    links = [link["href"] for version in api.get("/").json()["versions"] for link in version["links"]]
    assert set(links) == {f"{secure(service.images_url)}/v2/"}
    made = api.post("/v2/images", json=IMAGE)
    assert made.headers["location"] == f"{secure(service.images_url)}/v2/images/{made.json()['id']}"
    answer = httpx.get(f"{secure(service.metadata_url)}/openstack", verify=trusting(authority))
    assert answer.status_code == 404  # nobody has registered this address
    assert f"images and streams on {secure(service.images_url)}" in service.stdout()


@pytest.mark.parametrize("chunked", [False, True])
def test_data_goes_through_unchanged_and_at_flat_memory(
    service: HeadwaterProcess, api: httpx.Client, *, chunked: bool
) -> None:
    data = os.urandom(MiB) * 96
    image_id = an_image(api)
    (worker,) = service.workers()
    api.get(f"/v2/images/{image_id}")
    before = memory(worker)
    pieces = (data[start : start + MiB] for start in range(0, len(data), MiB))
    answer = api.put(f"/v2/images/{image_id}/file", content=pieces if chunked else data, headers=OCTETS)
    assert answer.status_code == 204
    digest = hashlib.sha256()
    with api.stream("GET", f"/v2/images/{image_id}/file") as got:
        assert got.headers["content-length"] == str(len(data))
        for piece in got.iter_bytes(MiB):
            digest.update(piece)
    assert digest.digest() == hashlib.sha256(data).digest()
    part = api.get(f"/v2/images/{image_id}/file", headers={"Range": "bytes=1000000-3000000"})
    assert part.status_code == 206
    assert part.content == data[1_000_000:3_000_001]
    assert memory(worker) - before < 64 * MiB


def memory(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_a_slow_reader_of_an_image_costs_little_memory(
    service: HeadwaterProcess, api: httpx.Client, authority: Authority
) -> None:
    image_id = an_image(api)
    api.put(f"/v2/images/{image_id}/file", content=bytes(64 * MiB), headers=OCTETS).raise_for_status()
    (worker,) = service.workers()
    before = memory(worker)
    ask = f"GET /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with contextlib.ExitStack() as held:
        readers = [held.enter_context(connect(service.images_url, trusting(authority))) for _ in range(20)]
        for each in readers:
            each.sendall(ask)
            assert each.recv(100).startswith(b"HTTP/1.1 200")
        assert api.get("/healthcheck/live").status_code == 200  # nobody else waits
        time.sleep(1)
        assert memory(worker) - before < 30 * MiB  # a piece each, twice over, and the threads that read them


def test_the_glance_client_uploads_and_downloads(
    service: HeadwaterProcess, authority: Authority, glance_client: Path, tmp_path: Path
) -> None:
    glance = clients.glance(glance_client, tmp_path, secure(service.images_url))
    trusts = ("--os-cacert", authority.file)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(3 * MiB))
    bare = ("--container-format", "bare", "--disk-format", "raw")
    said = glance(*trusts, "image-create", "--name", "over-tls", *bare, "--file", source)
    found = re.search(r"\| id +\| (\S+)", said)
    assert found is not None
    glance(*trusts, "image-download", found[1], "--file", target)
    assert target.read_bytes() == source.read_bytes()


def test_curl_and_openssl_agree_on_a_new_tls(service: HeadwaterProcess, authority: Authority) -> None:
    place = urlsplit(service.images_url).netloc
    url = f"{secure(service.images_url)}/healthcheck"
    curl = ["curl", "-sS", "--cacert", str(authority.file), url]
    assert subprocess.run(curl, capture_output=True, check=True, text=True).stdout == "OK"
    for version in ("-tls1_2", "-tls1_3"):
        words = ["openssl", "s_client", "-connect", place, "-CAfile", str(authority.file), version, "-brief"]
        said = subprocess.run(words, input=b"", capture_output=True, check=False).stderr.decode()
        assert "Verification: OK" in said
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(authority.file)
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        connect(service.images_url, old)


def test_a_client_that_ends_its_side_gets_its_answer(service: HeadwaterProcess, authority: Authority) -> None:
    context = trusting(authority)
    with connect(service.images_url, context) as connection:
        connection.sendall(GET.replace(b"live", b"ready"))
        socket.socket.shutdown(connection, socket.SHUT_WR)  # the TCP connection, without a word of TLS
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, sent, server_hostname="127.0.0.1")
    place = urlsplit(service.images_url)
    with socket.create_connection((place.hostname or "", place.port or 0), LIMIT_S) as plain:
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        while sent.pending:
            plain.sendall(sent.read())
            received.write(plain.recv(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
        tls.write(GET.replace(b"live", b"ready"))
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()  # says the end of what this side sends, with the request
        plain.sendall(sent.read())
        answer = b""
        while more := plain.recv(1 << 16):
            answer += more
    # What OpenSSL calls an answer after the end of one's own side is between it and its callers; it came.
    assert len(answer) > 200


def test_a_refusal_is_read_before_the_connection_ends(service: HeadwaterProcess, authority: Authority) -> None:
    with connect(service.images_url, trusting(authority)) as connection:
        head = b"PUT /v2/images/nope/file HTTP/1.1\r\nHost: x\r\nContent-Length: 52428800\r\n"
        connection.sendall(head + b"Content-Type: application/octet-stream\r\n\r\n")
        for _ in range(50):  # as clients that look at the answer when they have sent everything
            connection.sendall(bytes(MiB))
        assert connection.recv(1000).startswith(b"HTTP/1.1 404")


def test_plain_http_is_not_answered_and_the_log_says_why(service: HeadwaterProcess) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{service.images_url}/healthcheck/live")
    wanted = {"event": "no TLS", "client": "127.0.0.1", "why": "HTTP_REQUEST"}
    wait_until(lambda: any(wanted.items() <= line.items() for line in service.logs()), "the log names it")


def test_a_stop_waits_for_no_half_handshake(authority: Authority, fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(toml=settings(authority.certificate(name="stop")))
    place = urlsplit(service.images_url)
    with socket.create_connection((place.hostname or "", place.port or 0), LIMIT_S):
        serial(service.images_url, trusting(authority))  # taken after the other
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 5


def test_clients_without_a_certificate_stay_out_where_one_is_wanted(
    authority: Authority, fresh_headwater: FreshHeadwater
) -> None:
    wanted = f'client_ca = "{authority.file}"'
    service = fresh_headwater(toml=settings(authority.certificate(name="wanting"), wanted))
    context = trusting(authority)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{secure(service.images_url)}/healthcheck/live", verify=context)
    context.load_cert_chain(authority.certificate(name="client"))
    assert httpx.get(f"{secure(service.images_url)}/healthcheck/live", verify=context).status_code == 200


# --- A certificate that changes ------------------------------------------------------------------


class Asking:
    """Asks again and again on new connections and on one that stays, until it is left; notes what fails."""

    def __init__(self, service: HeadwaterProcess, context: ssl.SSLContext) -> None:
        self._url, self._context = service.images_url, context
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(keeps,)) for keeps in (True, False, False)]
        self.failures: list[Exception] = []
        self.count = 0

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, keeps: bool) -> None:
        place = urlsplit(self._url)
        connection = http.client.HTTPSConnection(place.netloc, timeout=LIMIT_S, context=self._context)
        while not self._over.is_set():
            try:
                connection.request("GET", "/healthcheck/live")
                assert connection.getresponse().read() == b"OK"
                self.count += 1
            except Exception as error:  # noqa: BLE001 - the test looks at it
                self.failures.append(error)
            if not keeps:
                connection.close()
        connection.close()


@pytest.mark.parametrize("how", ["two writes", "renamed", "links turned"])
def test_a_new_certificate_is_shown_and_no_request_fails_meanwhile(
    authority: Authority, fresh_headwater: FreshHeadwater, tmp_path: Path, how: str
) -> None:
    live = tmp_path / "live"
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    for name in ("first", "second"):
        split(authority.certificate(name=f"{name}-{live.parent.name}"), tmp_path / name)
    live.symlink_to("first")
    service = fresh_headwater(toml=settings(live / "tls.crt", f'key = "{live / "tls.key"}"'), workers=2)
    context = trusting(authority)
    assert serial(service.images_url, context) == serial_in(tmp_path / "first" / "tls.crt")
    wanted = serial_in(tmp_path / "second" / "tls.crt")
    with Asking(service, context) as asking:
        time.sleep(0.5)
        if how == "links turned":
            (tmp_path / "new").symlink_to("second")
            (tmp_path / "new").rename(live)
        else:
            for name in ("tls.crt", "tls.key"):
                new = tmp_path / "second" / name
                if how == "renamed":
                    new.rename(live / name)
                else:
                    (live / name).write_bytes(new.read_bytes())
                    time.sleep(1.5)  # long enough for the half of a pair to be met
        wait_until(lambda: {serial(service.images_url, context) for _ in range(8)} == {wanted}, "all workers show it")
    assert asking.failures == []
    assert asking.count > 20


def split(pair: Path, directory: Path) -> None:
    """Write the certificate and the key of a file of both apart."""
    key, begin, certificate = pair.read_text().partition("-----BEGIN CERTIFICATE-----")
    (directory / "tls.crt").write_text(begin + certificate)
    (directory / "tls.key").write_text(key)
    (directory / "tls.key").chmod(0o600)


def test_a_broken_new_pair_leaves_the_old_and_the_log_names_the_file(
    authority: Authority, fresh_headwater: FreshHeadwater
) -> None:
    file = authority.certificate(name="changing")
    service = fresh_headwater(toml=settings(file))
    context = trusting(authority)
    before = serial(service.images_url, context)
    whole = file.read_bytes()
    for broken in (b"", b"no certificate at all", whole[: len(whole) // 2]):
        errors = len([line for line in service.logs() if line["level"] == "error"])
        file.write_bytes(broken)
        wait_until(
            lambda errors=errors: len([line for line in service.logs() if line["level"] == "error"]) > errors,  # type: ignore[misc]
            "the log has an error",
        )
        assert str(file) in [line for line in service.logs() if line["level"] == "error"][-1]["error"]
        assert serial(service.images_url, context) == before
    file.unlink()
    time.sleep(1.5)
    assert serial(service.images_url, context) == before
    authority.certificate(name="changing")
    wait_until(lambda: serial(service.images_url, context) == serial_in(file), "the good one is shown")


# --- What the operator sees ----------------------------------------------------------------------


def test_the_days_left_are_in_the_metrics_and_a_near_end_in_the_log(
    service: HeadwaterProcess, api: httpx.Client
) -> None:
    found = dict(re.findall(r'headwater_certificate_days_left\{listener="(\w+)"\} (\S+)', api.get("/metrics").text))
    assert {name: 0.9 < float(days) <= 1 for name, days in found.items()} == {"images": True, "metadata": True}
    assert any(line["event"] == "a certificate ends soon" for line in service.logs())
    assert any(line["event"].startswith("others may read a private key") for line in service.logs())


def test_a_start_with_a_file_that_does_not_do_is_refused(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(toml=settings(Path("/absent.pem")), start=False)
    with pytest.raises(HeadwaterDidNotStart) as refused:
        service.start()
    assert refused.value.code == 2
    said = "section [server.tls], key 'certificate': /absent.pem cannot be read: No such file"
    assert said in refused.value.stderr
