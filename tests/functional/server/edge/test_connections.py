"""Connections as clients really make them: ended on one side, silent, slow, with a body that nobody wants."""

from __future__ import annotations

import http.client
import re
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import an_image, show
from functional.raw_http import HalfRequest
from functional.users import proof, users_file

MiB = 1 << 20
LIMIT_S = 60
OCTETS = "Content-Type: application/octet-stream"
IMAGE = {"name": "x", "disk_format": "raw", "container_format": "bare"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    """One worker, so that its memory and its life are those of the service."""
    process = HeadwaterProcess(tmp_path_factory.mktemp("connections"))
    process.start()
    yield process
    process.stop()


def connect(url: str) -> socket.socket:
    place = urlsplit(url)
    return socket.create_connection((place.hostname or "", place.port or 0), LIMIT_S)


def rest(connection: socket.socket) -> bytes:
    """Return all that comes until the server ends the connection."""
    received = b""
    while more := connection.recv(1 << 20):
        received += more
    return received


def statuses(received: bytes) -> list[int]:
    return [int(each) for each in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", received)]


def queued(service: HeadwaterProcess) -> str:
    return an_image(service, name="x")


def head(method: str, target: str, *lines: str, host: str = "x") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


# --- The end of input --------------------------------------------------------------------------------

PAUSES_S = (0, 0.0005, 0.002)


@pytest.mark.parametrize("pause_s", PAUSES_S)
@pytest.mark.parametrize("lines", [(), ("Connection: close",)])
def test_a_client_that_ends_its_side_gets_its_answer(
    service: HeadwaterProcess, pause_s: float, lines: tuple[str, ...]
) -> None:
    for _ in range(5):
        for url, target in (
            (service.images_url, "/v2/images"),
            (service.metadata_url, "/latest/meta-data/instance-id"),
            (service.metadata_url, "/"),
        ):
            with connect(url) as connection:
                connection.sendall(head("GET", target, *lines))
                time.sleep(pause_s)
                connection.shutdown(socket.SHUT_WR)
                assert len(statuses(rest(connection))) == 1


@pytest.mark.parametrize("pause_s", PAUSES_S)
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 10, 3 * MiB])
def test_an_upload_that_ends_with_its_client_s_side_is_answered(
    service: HeadwaterProcess, pause_s: float, chunked: bool, size: int
) -> None:
    image_id = queued(service)
    body = b"x" * size
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    with connect(service.images_url) as connection:
        connection.sendall(head("PUT", f"/v2/images/{image_id}/file", OCTETS, framing))
        chunk = b"%x\r\n%s\r\n" % (size, body) if size else b""
        connection.sendall(chunk + b"0\r\n\r\n" if chunked else body)
        time.sleep(pause_s)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(rest(connection)) == [204]
    shown = show(service, image_id)
    assert (shown["status"], shown["size"]) == ("active", size)


@pytest.mark.parametrize("pause_s", PAUSES_S)
def test_requests_sent_together_are_answered_in_order(service: HeadwaterProcess, pause_s: float) -> None:
    image_id = queued(service)
    with connect(service.images_url) as connection:
        connection.sendall(
            head("GET", "/nowhere")
            + head("PUT", f"/v2/images/{image_id}/file", OCTETS, "Content-Length: 3")
            + b"abc"
            + head("PUT", f"/v2/images/{image_id}/tags/t", "Content-Length: 0")
            + head("GET", f"/v2/images/{image_id}/file")
            + head("HEAD", "/healthcheck")
            + head("GET", "/healthcheck")
        )
        time.sleep(pause_s)
        connection.shutdown(socket.SHUT_WR)
        received = rest(connection)
    assert statuses(received)[1:4] == [204, 204, 200]
    assert len(statuses(received)) == 6
    assert received.count(b"\r\n\r\nabc") == 1  # a request id may have these letters too


@pytest.mark.parametrize("length", [10, None])
def test_the_end_in_the_middle_of_a_body_is_no_image(service: HeadwaterProcess, length: int | None) -> None:
    image_id = queued(service)
    with HalfRequest(service.images_url, "PUT", f"/v2/images/{image_id}/file", length=length) as upload:
        upload.send(b"abcde")
        upload.end_side()
        assert upload.status() == 400
    wait_until(lambda: show(service, image_id)["status"] == "queued", "the image waits for its data again")


@pytest.mark.parametrize("length", [10, None])
@pytest.mark.parametrize("rudely", [False, True])
def test_a_client_that_leaves_an_upload_leaves_no_image(
    service: HeadwaterProcess, length: int | None, rudely: bool
) -> None:
    image_id = queued(service)
    with HalfRequest(service.images_url, "PUT", f"/v2/images/{image_id}/file", length=length) as upload:
        upload.send(b"abcde")
        wait_until(lambda: show(service, image_id)["status"] == "saving", "the upload began")
        upload.leave(rudely=rudely)
    wait_until(lambda: show(service, image_id)["status"] == "queued", "the image waits for its data again")


def test_who_leaves_a_download_ends_it(service: HeadwaterProcess) -> None:
    image_id = queued(service)
    octets = {"Content-Type": "application/octet-stream"}
    url = f"{service.images_url}/v2/images/{image_id}/file"
    assert httpx.put(url, content=b"x" * (64 * MiB), headers=octets, trust_env=False).status_code == 204
    with connect(service.images_url) as connection:
        connection.sendall(head("GET", f"/v2/images/{image_id}/file"))
        connection.recv(1000)
    wait_until(lambda: bool(service.requests(path=f"/v2/images/{image_id}/file", status=499)), "the log knows")


# --- What is not HTTP/1.1 ----------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["images_url", "metadata_url"])
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 505),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", 501),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 400),
    ],
)
def test_what_is_not_http_1_1_is_told_so_and_ended(
    service: HeadwaterProcess, listener: str, sent: bytes, status: int
) -> None:
    with connect(getattr(service, listener)) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = rest(connection)
    assert statuses(received) == [status]
    assert b"connection: close" in received


def test_the_offer_of_http_2_is_not_taken(service: HeadwaterProcess) -> None:
    image_id = queued(service)
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    with connect(service.images_url) as connection:
        connection.sendall(head("PUT", f"/v2/images/{image_id}/file", OCTETS, "Content-Length: 3", *offer) + b"abc")
        connection.sendall(head("GET", "/healthcheck", "Connection: close"))
        assert statuses(rest(connection)) == [204, 200]
    assert show(service, image_id)["size"] == 3


@pytest.mark.parametrize("broken", [b"5\r\nabc\r\n0\r\n\r\n", b"3\nabc\n0\n\n", b"3\r\nabcd\r\n0\r\n\r\n", b"x\r\n"])
def test_chunks_that_are_none_make_no_image(service: HeadwaterProcess, broken: bytes) -> None:
    image_id = queued(service)
    with connect(service.images_url) as connection:
        connection.sendall(head("PUT", f"/v2/images/{image_id}/file", OCTETS, "Transfer-Encoding: chunked") + broken)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(rest(connection)) == [400]
    assert show(service, image_id)["status"] == "queued"


def test_an_older_client_gets_its_answer_and_the_end(service: HeadwaterProcess) -> None:
    with connect(service.images_url) as connection:
        connection.sendall(b"GET /healthcheck HTTP/1.0\r\n\r\n")
        received = rest(connection)
    assert statuses(received) == [200]
    assert received.endswith(b"\r\n\r\nOK")


# --- Bodies that nobody wants ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    """A service that wants to know who calls."""
    directory = tmp_path_factory.mktemp("guarded")
    process = HeadwaterProcess(directory, toml=users_file(directory, ann=("p1", "member")))
    process.start()
    yield process
    process.stop()


SIZES = [1, 16, 17, 100, 400]


@pytest.mark.parametrize("megabytes", SIZES)
@pytest.mark.parametrize("chunked", [False, True])
def test_who_sends_everything_first_still_reads_why_not(
    service: HeadwaterProcess, guarded: HeadwaterProcess, megabytes: int, chunked: bool
) -> None:
    """As the clients of Python's standard library do. Each layer has its refusal."""
    octets = {"Content-Type": "application/octet-stream"}
    nowhere = f"/v2/images/{uuid.uuid4()}/file"
    for url, method, path, headers, status in (
        (guarded.images_url, "PUT", nowhere, octets, 401),
        (guarded.images_url, "PUT", nowhere, {**octets, **proof("ann")}, 404),
        (service.images_url, "PUT", nowhere, octets, 404),
        (service.images_url, "PUT", nowhere, {**octets, "Content-Encoding": "gzip"}, 415),
        (service.images_url, "PUT", "/v2/images", octets, 405),
    ):
        place = urlsplit(url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=LIMIT_S)
        lengths = {} if chunked else {"Content-Length": str(megabytes * MiB)}
        body = (b"x" * MiB for _ in range(megabytes))
        connection.request(method, path, body, {**headers, **lengths}, encode_chunked=chunked)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status, (method, path)
        connection.close()


@pytest.mark.parametrize("framing", [f"Content-Length: {400 * MiB}", "Transfer-Encoding: chunked"])
def test_a_refusal_does_not_wait_for_the_body(service: HeadwaterProcess, framing: str) -> None:
    for target, status in ((f"/v2/images/{uuid.uuid4()}/file", 404), ("/v2/images", 405)):
        with connect(service.images_url) as connection:
            began = time.monotonic()
            connection.sendall(head("PUT", target, OCTETS, framing))
            received = connection.recv(4096)
            assert time.monotonic() - began < 2
            assert statuses(received) == [status]
            assert b"connection: close" in received


def test_who_asks_first_is_told_to_go_on_only_when_the_body_is_wanted(service: HeadwaterProcess) -> None:
    image_id = queued(service)
    asks = ("Expect: 100-continue", "Content-Length: 3")
    with connect(service.images_url) as connection:
        connection.sendall(head("PUT", f"/v2/images/{uuid.uuid4()}/file", OCTETS, *asks))
        connection.shutdown(socket.SHUT_WR)
        assert statuses(rest(connection)) == [404]
    with connect(service.images_url) as connection:
        connection.sendall(head("PUT", f"/v2/images/{image_id}/file", OCTETS, *asks))
        assert statuses(connection.recv(4096)) == [100]
        connection.sendall(b"abc")
        assert statuses(connection.recv(4096)) == [204]


def test_a_small_rest_is_dropped_for_the_sake_of_the_connection(service: HeadwaterProcess) -> None:
    with connect(service.images_url) as connection:
        connection.sendall(head("PUT", "/v2/images", "Content-Length: 1000"))
        assert statuses(connection.recv(4096)) == [405]
        connection.sendall(b"x" * 1000 + head("GET", "/healthcheck", "Connection: close"))
        assert statuses(rest(connection)) == [200]


def test_half_an_image_or_a_coded_one_is_not_taken(service: HeadwaterProcess) -> None:
    image_id = queued(service)
    http_v2 = httpx.Client(base_url=f"{service.images_url}/v2/images", trust_env=False)
    octets = {"Content-Type": "application/octet-stream"}
    part = http_v2.put(f"/{image_id}/file", content=b"56789", headers={**octets, "Content-Range": "bytes 5-9/10"})
    assert part.status_code == 400
    coded = http_v2.put(f"/{image_id}/file", content=b"\x1f\x8b", headers={**octets, "Content-Encoding": "gzip"})
    assert (coded.status_code, coded.headers["accept-encoding"]) == (415, "identity")
    for method, path in (("POST", ""), ("PATCH", f"/{image_id}"), ("POST", f"/{image_id}/members")):
        answer = http_v2.request(method, path, json={}, headers={"Content-Encoding": "deflate"})
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    assert show(service, image_id)["status"] == "queued"
    http_v2.close()


@pytest.mark.parametrize(
    ("route", "fields"),
    [
        ("stage", {"Upload-Complete": "?0"}),
        ("stage", {"Upload-Length": "10"}),
        ("stage", {"Upload-Complete": "?1", "Upload-Length": "10"}),
        ("stage", {"Upload-Incomplete": "?1", "Upload-Draft-Interop-Version": "3"}),
        ("file", {"Upload-Incomplete": "?1", "Upload-Draft-Interop-Version": "3"}),
        ("file", {"Upload-Length": "10"}),
        ("file", {"Tus-Resumable": "1.0.0", "Upload-Length": "10"}),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_data_that_says_there_is_more_is_not_taken_for_the_whole(
    service: HeadwaterProcess, route: str, fields: dict[str, str], *, chunked: bool
) -> None:
    image_id = queued(service)
    url = f"{service.images_url}/v2/images/{image_id}/{route}"
    octets = {"Content-Type": "application/octet-stream"}
    answer = httpx.put(url, content=iter([b"56789"]) if chunked else b"56789", headers={**octets, **fields})
    assert answer.status_code == 400
    assert show(service, image_id)["status"] == "queued"


def test_sizes_that_contradict_each_other_are_refused(service: HeadwaterProcess) -> None:
    image_id = queued(service)
    sizes = [("Content-Type", "application/octet-stream"), *[("X-OpenStack-Image-Size", size) for size in ("5", "6")]]
    answer = httpx.put(f"{service.images_url}/v2/images/{image_id}/file", content=b"56789", headers=sizes)
    assert (answer.status_code, show(service, image_id)["status"]) == (400, "queued")


# --- Silence -----------------------------------------------------------------------------------------


def test_many_silent_connections_keep_nobody_out(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater()
    silent = []
    try:
        for _ in range(6000):
            silent.append(connect(service.images_url))
    except OSError:
        pass  # our own descriptors are used up
    try:
        for connection in silent[:5]:
            connection.close()
        assert httpx.get(f"{service.images_url}/healthcheck", timeout=10, trust_env=False).status_code == 200
    finally:
        for connection in silent:
            connection.close()


def test_a_worker_stops_at_once_when_only_idle_connections_are_left(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater()
    with connect(service.images_url) as idle, connect(service.metadata_url) as silent:
        idle.sendall(head("GET", "/healthcheck"))
        idle.recv(4096)
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 10
        assert (idle.recv(1), silent.recv(1)) == (b"", b"")


def test_slow_readers_cost_little_memory(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater()
    image_id = queued(service)
    octets = {"Content-Type": "application/octet-stream"}
    url = f"{service.images_url}/v2/images/{image_id}/file"
    assert httpx.put(url, content=b"x" * (30 * MiB), headers=octets, trust_env=False).status_code == 204
    before = _memory(service)
    readers = []
    try:
        for _ in range(300):
            readers.append(connect(service.images_url))
            readers[-1].sendall(head("GET", f"/v2/images/{image_id}/file"))
        for reader in readers:
            assert reader.recv(1024)
        grown = _memory(service) - before
        assert grown < 300 * (64 << 10), grown
    finally:
        for reader in readers:
            reader.close()


def _memory(service: HeadwaterProcess) -> int:
    (worker,) = service.workers()
    said = re.search(r"VmRSS:\s+([0-9]+) kB", Path(f"/proc/{worker}/status").read_text())
    assert said is not None
    return int(said[1]) * 1024
