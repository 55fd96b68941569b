from __future__ import annotations

from itertools import pairwise

import pytest

from headwater.server.edge.framing import Refused
from headwater.server.edge.limits import HEAD_LIMIT, HEADERS_LIMIT, TARGET_LIMIT
from headwater.server.edge.parsing import Found, Mark, Parser, Request

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
PUT = b"PUT / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = PUT + b"Transfer-Encoding: chunked\r\n\r\n"
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


def found(*pieces: bytes) -> list[Found]:
    """Return what a parser finds in ``pieces``, bodies in one piece each."""
    parser = Parser()
    for piece in pieces:
        parser.feed(memoryview(bytearray(piece)))
    joined: list[Found] = []
    for each in parser.found:
        if joined and isinstance(each, bytes) and isinstance(joined[-1], bytes):
            joined[-1] += each
        else:
            joined.append(each)
    return joined


def kinds(*pieces: bytes) -> list[object]:
    """Return what is found: the methods of requests, bodies, marks, the statuses of refusals."""
    return [
        each.method if isinstance(each, Request) else each.status if isinstance(each, Refused) else each
        for each in found(*pieces)
    ]


def request(head: bytes) -> Request:
    first = found(head)[0]
    assert isinstance(first, Request), first
    return first


def test_a_head_is_what_asgi_wants_of_it() -> None:
    got = request(b"GET /a%20b?c=d&e HTTP/1.1\r\nHOST: x:1\r\nX-Empty:\r\nX-Odd: \t a  b \t\r\n\r\n")
    assert (got.method, got.raw_path, got.query, got.version) == ("GET", b"/a%20b", b"c=d&e", "1.1")
    assert got.headers == [(b"host", b"x:1"), (b"x-empty", b""), (b"x-odd", b"a  b")]
    assert (got.length, got.keep_alive, got.expects_continue) == (0, True, False)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"http://other:1/p?q#f", b"/p", b"q"),
        (b"http://other", b"/", b""),
        (b"/p?a?b#f", b"/p", b"a?b"),
        (b"*", b"*", b""),
        (b"//p", b"//p", b""),
    ],
)
def test_a_target_has_several_forms(target: bytes, path: bytes, query: bytes) -> None:
    got = request(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (got.raw_path, got.query) == (path, query)


STREAM = (
    GET
    + b"\r\n"
    + PUT
    + b"Content-Length: 3\r\n\r\nabc"
    + CHUNKED
    + b"2;x=y\r\nde\r\n1\r\nf\r\n0\r\nT: v\r\n\r\n"
    + GET
    + b"\r\n"
)
IN_IT = ["GET", Mark.END, "PUT", b"abc", Mark.END, "PUT", b"def", Mark.END, "GET", Mark.END]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_requests_are_found_however_they_are_cut(size: int) -> None:
    cuts = [*range(0, len(STREAM), size), len(STREAM)]
    assert kinds(*(STREAM[start:end] for start, end in pairwise(cuts))) == IN_IT


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: 3\r\n\r\nabc", [b"abc"]),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", [b"abc"]),
        (b"\r\n", []),
    ],
)
def test_the_offer_of_another_protocol_changes_nothing(framing: bytes, body: list[bytes], size: int) -> None:
    """llhttp takes what follows for that protocol; a whole image would be an empty one."""
    stream = PUT + OFFER + framing + GET + b"\r\n"
    cuts = [*range(0, len(stream), size), len(stream)]
    got = kinds(*(stream[start:end] for start, end in pairwise(cuts)))
    assert got == ["PUT", *body, Mark.END, "GET", Mark.END]


@pytest.mark.parametrize(
    "stream",
    [
        PUT + b"Content-Length: 3\r\n\r\nab",
        PUT + OFFER + b"Content-Length: 3\r\n\r\nab",
        CHUNKED + b"3\r\nabc\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\nT: v\r\n",
    ],
)
def test_a_body_that_breaks_off_has_no_end(stream: bytes) -> None:
    assert Mark.END not in found(stream)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (GET + b"Host: x\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a'b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: %0d%0a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h:port\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h:1:2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: [::1]]\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\n\r\n", 400),
        (GET + b"A: b\rc\r\n\r\n", 400),
        (GET + b"A: b\x00c\r\n\r\n", 400),
        (GET + b"A : b\r\n\r\n", 400),
        (GET + b": b\r\n\r\n", 400),
        (GET + b"A\r\n\r\n", 400),
        (GET + b" A: b\r\n\r\n", 400),
        (GET + b"A: b\r\n c\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (PUT + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        (PUT + b"Content-Length: 3, 3\r\n\r\nabc", 400),
        (PUT + b"Content-Length: -3\r\n\r\nabc", 400),
        (PUT + b"Content-Length: +3\r\n\r\nabc", 400),
        (PUT + b"Content-Length: \r\n\r\nabc", 400),
        (PUT + b"Content-Length: 99999999999999999999\r\n\r\nabc", 400),
        (PUT + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400),
        (PUT + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
        (PUT + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 400),
        (b"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (PUT + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (PUT + b"Transfer-Encoding: identity\r\n\r\n", 501),
        (PUT + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (PUT + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"FROBNICATE / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /" + b"a" * TARGET_LIMIT + b" HTTP/1.1\r\n", 414),
        (GET + b"A: " + b"b" * HEAD_LIMIT + b"\r\n\r\n", 431),
        (GET + b"A: b\r\n" * HEADERS_LIMIT + b"\r\n", 431),
    ],
)
def test_what_rfc_9112_does_not_allow_is_refused(head: bytes, status: int) -> None:
    assert kinds(head) == [status]
    assert kinds(GET + b"\r\n" + head)[:2] == ["GET", Mark.END]


@pytest.mark.parametrize(
    "body",
    [
        b"3\nabc\n0\n\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3;\na\r\nabc\r\n0\r\n\r\n",
        b"11111111111111111\r\nabc\r\n0\r\n\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_chunks_that_are_none_are_no_end(body: bytes) -> None:
    got = kinds(CHUNKED + body)
    assert got[-1] == 400
    assert Mark.END not in got


@pytest.mark.parametrize("endless", [b"A: " + b"b" * 1000, b"\r\n" * 500])
def test_a_head_without_end_ends(endless: bytes) -> None:
    parser = Parser()
    for _ in range(1000):
        parser.feed(memoryview(endless))
    assert len(parser.found) == 1


def test_trailers_without_end_end() -> None:
    parser = Parser()
    parser.feed(memoryview(CHUNKED + b"0\r\n"))
    for _ in range(1000):
        parser.feed(memoryview(b"T: " + b"v" * 1000 + b"\r\n"))
    assert isinstance(parser.found[-1], Refused)


def test_a_refusal_says_nothing_in_the_words_of_the_client() -> None:
    for head in (b"G\x1bET / HTTP/1.1\r\n", GET + b"\x1b[31m: x\r\n", b"\x1b]0;x\x07 / HTTP/1.1\r\n"):
        (refused,) = found(head)
        assert isinstance(refused, Refused)
        assert refused.reason.isprintable()


@pytest.mark.parametrize(
    ("version", "said", "kept"),
    [("1.1", b"", True), ("1.1", b"close", False), ("1.0", b"", False), ("1.0", b"keep-alive", True)],
)
def test_the_connection_is_kept_as_the_request_says(version: str, said: bytes, kept: bool) -> None:
    line = b"Connection: " + said + b"\r\n" if said else b""
    got = request(b"GET / HTTP/" + version.encode() + b"\r\nHost: x\r\n" + line + b"\r\n")
    assert got.keep_alive is kept


@pytest.mark.parametrize("host", [b"", b"h", b"h.example.", b"my_host:80", b"h:", b"[::1]", b"[fe80::1%25eth0]:9292"])
def test_names_and_addresses_are_hosts(host: bytes) -> None:
    assert (b"host", host) in request(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").headers


def test_the_fields_behind_a_body_are_those_of_its_request() -> None:
    sent = CHUNKED + b"1\r\nx\r\n0\r\nRepr-Digest:  a=:YQ==: \r\nX-More: 2\r\n\r\n"
    expected = [(b"repr-digest", b"a=:YQ==:"), (b"x-more", b"2")]
    for pieces in ([sent * 2], [bytes([each]) for each in sent * 2]):
        requests = [each for each in found(*pieces) if isinstance(each, Request)]
        assert [each.trailers for each in requests] == [expected, expected]
    assert request(PUT + b"Content-Length: 0\r\n\r\n").trailers == []
