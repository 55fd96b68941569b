from __future__ import annotations

import datetime
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from headwater.errors import SettingsError
from headwater.fetching.fetcher import Fetcher, FetchSettings, RemoteChanged, RemoteFailed, RemoteTooLarge
from headwater.fetching.url_filter import Resolve, UrlRefused
from servers.http.web import Asked, SendBytes, WebServer, content, redirect, web_server

DATA = bytes(range(256)) * 1000


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages["/data"] = content(DATA)
        yield server


def fetcher(resolve: Resolve | None = None, **settings: object) -> Fetcher:
    known: dict[str, object] = {"allowed_hosts": ["127.0.0.1", "images.test"], "allowed_ports": []}
    return Fetcher(FetchSettings.model_validate(known | settings), resolve=resolve)


def loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("head", [True, False])
def test_bytes_ranges_and_size(web: WebServer, ranges: bool, head: bool) -> None:
    web.pages["/data"] = content(DATA, ranges=ranges, head=head)
    fetch, url = fetcher(), web.url("/data")
    assert fetch.size(url) == len(DATA)
    for start, length in ((0, None), (0, 10), (1000, None), (1000, 70_000), (len(DATA) - 1, 5), (len(DATA), 5), (7, 0)):
        with fetch.open(url, start, length) as fetched:
            wanted = DATA[start:] if length is None else DATA[start : start + length]
            assert b"".join(fetched) == wanted, (start, length)
            assert fetched.size == len(DATA)


def test_a_size_that_the_server_does_not_tell_is_none(web: WebServer) -> None:
    def chunked(asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        if asked.method == "GET":
            send(b"4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n")

    web.pages["/chunked"] = chunked
    assert fetcher().size(web.url("/chunked")) is None
    assert b"".join(fetcher().open(web.url("/chunked"), 2, 4)) == b"cdef"


_DATE = b"Date: Thu, 26 Nov 2026 12:00:00 GMT\r\n"


@pytest.mark.parametrize(
    ("head", "validator"),
    [
        (b'ETag: "one"\r\n', '"one"'),
        (b'ETag: W/"one"\r\n', None),
        (b"", None),
        (_DATE + b"Last-Modified: Thu, 26 Nov 2026 11:59:00 GMT\r\n", "Thu, 26 Nov 2026 11:59:00 GMT"),
        (_DATE + b"Last-Modified: Thu, 26 Nov 2026 11:59:01 GMT\r\n", None),
        (b"Last-Modified: Thu, 26 Nov 2026 11:59:00 GMT\r\n", None),
        (_DATE + b"Last-Modified: yesterday\r\n", None),
    ],
    ids=["a strong tag", "a weak one", "nothing", "an old date", "a young date", "a date beside none", "no date"],
)
def test_what_tells_data_from_other_data_is_known(web: WebServer, head: bytes, validator: str | None) -> None:
    web.pages["/data"] = lambda _asked, send: send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + head + b"\r\n")
    with fetcher().open(web.url("/data")) as fetched:
        assert fetched.validator == validator


def test_the_rest_of_data_is_of_the_same_data_or_none(web: WebServer) -> None:
    with fetcher().open(web.url("/data"), 100, if_range='"one"') as fetched:
        assert b"".join(fetched) == DATA[100:]
    assert (web.asked[-1].headers["range"], web.asked[-1].headers["if-range"]) == ("bytes=100-", '"one"')
    web.pages["/data"] = lambda _asked, send: send(
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 100-100/%d\r\nContent-Length: 1\r\n"
        b'ETag: "two"\r\n\r\nx' % len(DATA)
    )
    with pytest.raises(RemoteChanged):
        fetcher().open(web.url("/data"), 100, if_range='"one"')
    web.pages["/data"] = content(DATA, ranges=False)
    with pytest.raises(RemoteChanged):
        fetcher().open(web.url("/data"), 100, if_range='"two"')
    # Without it, what comes before is read and dropped.
    with fetcher().open(web.url("/data"), 100) as fetched:
        assert b"".join(fetched) == DATA[100:]


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"identity, gzip"])
def test_packed_data_is_not_taken_for_the_data(web: WebServer, coding: bytes) -> None:
    def packed(asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Encoding: " + coding + b"\r\n\r\n")
        if asked.method == "GET":
            send(b"abcd")

    web.pages["/packed"] = packed
    with pytest.raises(RemoteFailed, match="packs") as refused:
        fetcher().open(web.url("/packed"))
    assert not refused.value.may_pass  # it would be packed again
    with pytest.raises(RemoteFailed, match="packs"):
        fetcher().size(web.url("/packed"))


def test_nothing_of_this_process_goes_along(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_cookie(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 302 Found\r\nSet-Cookie: a=b\r\nLocation: /data\r\n\r\n")

    with web_server() as proxy:
        monkeypatch.setenv("http_proxy", f"http://user:pw@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{proxy.port}")
        web.pages["/cookie"] = with_cookie
        assert b"".join(fetcher(loopback).open(web.url("/cookie?q=1#part", "images.test"))) == DATA
        assert proxy.connections == 0
    assert [asked.path for asked in web.asked] == ["/cookie?q=1", "/data"]
    for asked in web.asked:
        assert asked.headers["host"] == f"images.test:{web.port}"
        assert set(asked.headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}


def test_what_is_said_to_one_server_is_said_to_no_other_one(web: WebServer) -> None:
    secret = {"X-Auth-Token": "secret"}
    with web_server() as other:
        web.pages |= {"/first": redirect("/second"), "/second": redirect(other.url("/back", "images.test"))}
        other.pages["/back"] = redirect(web.url("/data", "images.test"))
        fetched = fetcher(loopback).open(web.url("/first", "images.test"), 1, if_range='"x"', headers=secret)
        with fetched:
            assert b"".join(fetched) == DATA[1:]
        said = [asked.headers.get("x-auth-token") for asked in (*web.asked, *other.asked)]
        assert said == ["secret", "secret", None, None]  # also after it was sent back
        web.pages["/named"] = redirect(web.url("/data", "other.test"))
        anywhere = fetcher(loopback, allowed_hosts=["images.test", "other.test"])
        anywhere.open(web.url("/named", "images.test"), headers=secret).close()
        assert "x-auth-token" not in web.asked[-1].headers


def test_a_redirect_is_checked_like_the_first_url(web: WebServer) -> None:
    with web_server() as inner:
        inner.pages["/secret"] = content(b"secret")
        fetch = fetcher(loopback, allowed_hosts=["images.test"])
        for place in (
            inner.url("/secret"),
            inner.url("/secret", "[::ffff:127.0.0.1]"),
            "file:///etc/passwd",
            "//0x7f.1/",
        ):
            web.pages["/away"] = redirect(place)
            with pytest.raises(UrlRefused):
                fetch.open(web.url("/away", "images.test"))
            with pytest.raises(UrlRefused):
                fetch.size(web.url("/away", "images.test"))
        assert inner.connections == 0


def test_redirects_end(web: WebServer) -> None:
    web.pages["/round"] = redirect("/round")
    with pytest.raises(RemoteFailed, match="redirects more than 3 times"):
        fetcher(redirects=3).open(web.url("/round"))
    assert len(web.asked) == 4
    web.pages["/nowhere"] = lambda _asked, send: send(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(RemoteFailed, match="302"):
        fetcher().open(web.url("/nowhere"))


def test_a_name_that_changes_between_check_and_use_gains_nothing(web: WebServer) -> None:
    """The first answer of the resolver is good, each later one is loopback."""
    answers = iter([["93.184.216.34"]])
    fetch = fetcher(lambda *_: next(answers, ["127.0.0.1"]), allowed_hosts=[])
    fetch.check(web.url("/data", "rebound.test"))
    with pytest.raises(UrlRefused):
        fetch.open(web.url("/data", "rebound.test"))
    assert web.connections == 0


def test_each_connection_resolves_once(web: WebServer) -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    assert b"".join(fetcher(resolve).open(web.url("/data", "images.test"))) == DATA
    assert asked == ["images.test"]


def test_all_good_addresses_are_tried(web: WebServer) -> None:
    addresses = ["127.0.0.9", "::1", "127.0.0.1"]  # nobody listens at the first two
    assert b"".join(fetcher(lambda *_: addresses).open(web.url("/data", "images.test"))) == DATA
    with pytest.raises(RemoteFailed, match="cannot be reached"):
        fetcher(lambda *_: addresses[:2]).open(web.url("/data", "images.test"))
    with pytest.raises(RemoteFailed, match="no address at the moment"):
        fetcher(lambda *_: []).open(web.url("/data", "images.test"))


def test_what_a_server_refuses_is_told_with_its_status(web: WebServer) -> None:
    with pytest.raises(RemoteFailed) as failed:
        fetcher().open(web.url("/absent?signature=secret"))
    assert (failed.value.status, failed.value.is_missing) == (404, True)
    assert str(failed.value) == f"http://127.0.0.1:{web.port}/absent: the server answered 404"


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_a_server_that_drips_or_is_silent_holds_nobody_for_long(web: WebServer, head: bytes) -> None:
    stop = threading.Event()

    def dripping(_asked: Asked, send: SendBytes) -> None:
        send(head)
        while not stop.wait(0.1):
            send(b"X: y\r\n" if head else b"")

    web.pages["/slow"] = dripping
    began = time.monotonic()
    with pytest.raises(RemoteFailed, match="in time"):
        fetcher(answer_timeout_s=0.5).open(web.url("/slow"))
    stop.set()
    assert time.monotonic() - began < 3


def test_data_that_stands_still_or_ends_early_is_an_error(web: WebServer) -> None:
    stop = threading.Event()

    def still(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        stop.wait(5)

    def short(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

    web.pages |= {"/still": still, "/short": short}
    with pytest.raises(RemoteFailed, match="in time"):
        list(fetcher(read_timeout_s=0.3).open(web.url("/still")))
    stop.set()
    with pytest.raises(RemoteFailed, match="broke off"):
        list(fetcher().open(web.url("/short")))


def test_data_that_comes_too_slowly_is_an_error(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.fetching.connection._PATIENCE_S", 0.2)

    def slow(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            send(b"x")
            time.sleep(0.05)

    web.pages["/slow"] = slow
    with pytest.raises(RemoteFailed, match="in time"):
        list(fetcher(min_speed=1000).open(web.url("/slow")))


def test_a_reader_that_is_slow_itself_is_not_the_servers_fault(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.fetching.connection._PATIENCE_S", 0.1)
    got = b""
    for piece in fetcher(min_speed=10_000_000, answer_timeout_s=0.2).open(web.url("/data")):
        got += piece
        time.sleep(0.1)
    assert got == DATA


def test_size_is_bounded_whatever_the_server_says(web: WebServer) -> None:
    def endless(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            send(b"x" * 65536)

    web.pages["/endless"] = endless
    with pytest.raises(RemoteTooLarge):
        list(fetcher(size_limit=1_000_000).open(web.url("/endless")))
    with pytest.raises(RemoteTooLarge):
        fetcher(size_limit=1000).open(web.url("/data"))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-3/10\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"",
    ],
)
def test_answers_that_make_no_sense_are_errors(web: WebServer, answer: bytes) -> None:
    web.pages["/bad"] = lambda _asked, send: send(answer)
    with pytest.raises(RemoteFailed):
        list(fetcher().open(web.url("/bad"), 5, 2))


def test_tls_proves_the_host_of_the_url(tmp_path: Path) -> None:
    tls = certificate(tmp_path, "images.test")
    with web_server(tls=tls) as web:
        web.pages["/data"] = content(DATA)
        trusting = fetcher(loopback, cafile=str(tmp_path / "cert.pem"))
        assert b"".join(trusting.open(web.url("/data", "images.test"))) == DATA
        with pytest.raises(RemoteFailed, match="certificate"):
            trusting.open(web.url("/data"))
        with pytest.raises(RemoteFailed, match="certificate"):
            fetcher(loopback).open(web.url("/data", "images.test"))
        assert len(web.asked) == 1


def test_certificates_that_are_not_there_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cafile"):
        fetcher(cafile=str(tmp_path / "absent"))
    (tmp_path / "empty").touch()
    with pytest.raises(SettingsError, match="cafile"):
        fetcher(cafile=str(tmp_path / "empty"))


def certificate(directory: Path, name: str) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    return context


def test_what_failed_in_a_network_that_is_not_public_is_for_the_log_only(
    web: WebServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """10.0.0.1 leads to a server without the page, 10.0.0.2 to none."""
    monkeypatch.setattr(logging.getLogger("headwater.fetching.fetcher"), "disabled", False)
    connect = httpcore2.SyncBackend.connect_tcp

    def connect_here(self: httpcore2.SyncBackend, host: str, port: int, *more: Any) -> httpcore2.NetworkStream:
        if host == "10.0.0.2":
            raise httpcore2.ConnectError
        return connect(self, "127.0.0.1", port, *more)

    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", connect_here)
    reasons = []
    for address in ("10.0.0.1", "10.0.0.2"):
        url = web.url("/none", address)
        with pytest.raises(RemoteFailed) as failed:
            fetcher(allowed_hosts=[], allowed_networks=["10.0.0.0/8"]).open(url)
        assert str(failed.value) == f"{url}: the server did not give it"
        assert not failed.value.is_missing
        reasons.append(vars(caplog.records[-1])["reason"])
    assert reasons == ["the server answered 404", "the server cannot be reached"]
    with pytest.raises(RemoteFailed, match="the server answered 404"):
        fetcher(lambda *_: ["10.0.0.1"]).open(web.url("/none", "images.test"))
