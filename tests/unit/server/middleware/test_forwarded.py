from __future__ import annotations

import asyncio
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from headwater.config import load
from headwater.errors import SettingsError
from headwater.server.middleware.forwarded import UNKNOWN, BadForwarding, Told, behind, told, trusting
from headwater.server.settings import Settings

PROXY, OUTER, CLIENT = "10.0.0.1", "10.9.9.9", "203.0.113.7"
trusts = trusting(["10.0.0.0/8", "::1", "fd00::/8"])


def lines(*named: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in named]


def forwarded(*values: str) -> Told:
    return told(lines(*(("Forwarded", value) for value in values)), trusts)


def x_forwarded(**values: str) -> Told:
    return told(lines(*((f"X-Forwarded-{name}", value) for name, value in values.items())), trusts)


# --- What one proxy says -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=203.0.113.7", CLIENT),
        ('For="203.0.113.7:4711"', CLIENT),
        ('for="[2001:db8::17]"', "2001:db8::17"),
        ('for="[2001:DB8:0::17]:4711"', "2001:db8::17"),
        ('for="[2001:db8::17]:_port"', "2001:db8::17"),
        ("for=[2001:db8::17]:4711", "2001:db8::17"),  # without the quotes that RFC 7239 wants
        ('for="\\2\\03.0.113.7"', CLIENT),
        ('for="[::ffff:203.0.113.7]"', CLIENT),
        ("for=unknown", UNKNOWN),
        ("for=_hidden", UNKNOWN),
        ('for="_hidden:_port"', UNKNOWN),
        ("by=203.0.113.43;for=203.0.113.7;proto=https", CLIENT),
        (" , ;for=203.0.113.7; ,", CLIENT),
        ("proto=https", None),
        ("", None),
    ],
)
def test_forwarded_names_the_client(value: str, client: str | None) -> None:
    assert forwarded(value).client == client


def test_forwarded_names_scheme_and_host() -> None:
    found = forwarded('for=203.0.113.7;proto=HTTPS;host="images.example.org:8443";ext="a,b;c=\\"d\\""')
    assert found == Told(client=CLIENT, scheme="https", host="images.example.org:8443")


@pytest.mark.parametrize(
    "value",
    [
        'for="203.0.113.7',
        "for=203.0.113.7 proto=https",
        "for = 203.0.113.7",
        "for=",
        "=203.0.113.7",
        "203.0.113.7",
        "for=example.org",
        "for=203.0.113.256",
        'for="[203.0.113.7"',
        'for="2001:db8::17:99999999"',
        'for="203.0.113.7:123456"',
        "for=203.0.113.7;for=203.0.113.8",
        "for=203.0.113.7;proto=ftp",
        "for=203.0.113.7;proto=https:",
        'for=203.0.113.7;host="a b"',
        'for=203.0.113.7;host="a/b"',
        'for=203.0.113.7;host="a\\"b"',
        'for=203.0.113.7;host="user@host"',
        'for=203.0.113.7;host="host:99999"',
        'for=203.0.113.7;host=""',
        'for=203.0.113.7;host="a?b"',
        'for="203.0.113.7\n"',
        "for=203.0.113.7;;;;\x00",
    ],
)
def test_what_makes_no_sense_refuses_the_request(value: str) -> None:
    with pytest.raises(BadForwarding):
        forwarded(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("For", "example.org"),
        ("For", "203.0.113.7, 1.2.3"),
        ("For", "<script>"),
        ("Proto", "javascript"),
        ("Host", "a b"),
        ("Host", "a/b"),
        ("Host", 'a"b'),
        ("Host", "a\\b"),
        ("Port", "http"),
        ("Port", "70000"),
        ("Prefix", "no-slash"),
        ("Prefix", "//evil.example"),
        ("Prefix", '/a"b'),
        ("Prefix", "/a/../b"),
        ("Prefix", "/a?b"),
        ("Prefix", "/a b"),
    ],
)
def test_x_forwarded_that_makes_no_sense_refuses_the_request(name: str, value: str) -> None:
    with pytest.raises(BadForwarding, match=f"^The header X-Forwarded-{name} of this request"):
        x_forwarded(**{name: value})


def test_x_forwarded_names_everything() -> None:
    found = x_forwarded(For=f"{CLIENT}:4711", Proto="https", Host="images.example.org", Port="8443", Prefix="/cloud/")
    assert found == Told(client=CLIENT, scheme="https", host="images.example.org", port="8443", prefix="/cloud")
    assert x_forwarded(For="2001:db8::17").client == "2001:db8::17"
    assert x_forwarded(For="unknown").client == UNKNOWN


# --- Chains --------------------------------------------------------------------------------------


def test_a_chain_is_followed_over_trusted_proxies_and_no_further() -> None:
    assert forwarded(f"for=9.9.9.9, for={CLIENT}, for={OUTER}").client == CLIENT
    assert forwarded("for=9.9.9.9", f"for={CLIENT}", f"for={OUTER}").client == CLIENT  # a line of each
    assert x_forwarded(For=f"9.9.9.9, {CLIENT}, {OUTER}").client == CLIENT
    assert x_forwarded(For=f"9.9.9.9, unknown, {OUTER}").client == UNKNOWN
    assert x_forwarded(For=f"10.1.1.1, {OUTER}").client == "10.1.1.1"  # all trusted: the first of them asks itself


def test_scheme_and_host_are_those_that_the_outermost_trusted_proxy_tells() -> None:
    outer, inner = f"for={CLIENT};proto=https;host=public.example", f"for={OUTER};proto=http;host=inner.example"
    stranger = "for=9.9.9.9;proto=http;host=evil.example"
    assert forwarded(f"{stranger}, {outer}, {inner}") == Told(client=CLIENT, scheme="https", host="public.example")
    assert forwarded(f"{stranger}, for={CLIENT};proto=https, {inner}").host == "inner.example"
    chain = {"For": f"9.9.9.9, {CLIENT}, {OUTER}"}
    found = x_forwarded(**chain, Proto="http, https, http", Host="evil.example, public.example, inner.example")
    assert (found.scheme, found.host) == ("https", "public.example")
    assert x_forwarded(**chain, Proto="https").scheme == "https"  # replaced by each, or passed on by the inner one


def test_a_stranger_s_nonsense_is_not_even_looked_at() -> None:
    assert forwarded('for="', f"for={CLIENT}").client == CLIENT
    assert x_forwarded(For=f"<script>, {CLIENT}").client == CLIENT
    with pytest.raises(BadForwarding):  # in one line nobody can tell where a word of it ends
        forwarded(f'for=", for={CLIENT}')


def test_forwarded_and_x_forwarded_have_to_say_the_same() -> None:
    agreed = lines(("Forwarded", f"for={CLIENT};proto=https"), ("X-Forwarded-For", CLIENT), ("X-Forwarded-Host", "h"))
    assert told(agreed, trusts) == Told(client=CLIENT, scheme="https", host="h")
    for name, other in (("For", "9.9.9.9"), ("Proto", "http"), ("Host", "other.example")):
        said = lines(("Forwarded", f"for={CLIENT};proto=https;host=h"), (f"X-Forwarded-{name}", other))
        with pytest.raises(BadForwarding, match="names another"):
            told(said, trusts)


# --- Any bytes -----------------------------------------------------------------------------------

_HEADERS = ["forwarded", *(f"x-forwarded-{name}" for name in ("for", "proto", "host", "port", "prefix"))]
_PIECES = ["for=", "host=", "proto=", *'"\\;, =[]:/', "::1", "10.0.0.1", CLIENT, ".."]
_values = st.one_of(
    st.lists(st.sampled_from(_PIECES), max_size=12).map("".join),
    st.text(st.characters(max_codepoint=255), max_size=40),
)
_hosts = set(string.ascii_letters + string.digits + "._-:[]")


@given(st.lists(st.tuples(st.sampled_from(_HEADERS), _values), max_size=4))
def test_whatever_comes_is_refused_or_safe_to_follow(headers: list[tuple[str, str]]) -> None:
    try:
        found = told(lines(*headers), trusts)
    except BadForwarding:
        return
    assert found.scheme in (None, "http", "https")
    assert set(found.host or "") <= _hosts
    assert (found.port or "0").isdecimal()
    assert set(found.prefix or "") <= set(string.ascii_letters + string.digits + "/._~!$&()*+;=:@%-")
    assert not (found.prefix or "").startswith("//")


_addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(st.lists(_addresses, min_size=1, max_size=6), st.booleans())
def test_the_client_is_the_rightmost_stranger(addresses: list[Any], quoted: bool) -> None:
    plain = [str(getattr(each, "ipv4_mapped", None) or each) for each in addresses]
    strangers = [each for each in plain if not trusts(each)]
    wanted = strangers[-1] if strangers else plain[0]
    written = [f"[{each}]" if ":" in each else each for each in map(str, addresses)]
    elements = [f'for="{each}:80"' if quoted or ":" in each else f"for={each}" for each in written]
    assert forwarded(", ".join(elements)).client == wanted
    assert x_forwarded(For=",".join(map(str, addresses))).client == wanted


# --- The request ---------------------------------------------------------------------------------


def asked(peer: str | None, *headers: tuple[str, str], proxies: tuple[str, ...] = ("10.0.0.0/8",)) -> Request:
    """Return the request as the application sees it."""
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    async def nothing() -> Message:
        raise AssertionError

    async def nowhere(_message: Message) -> None:
        raise AssertionError

    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/v2/images",
        "query_string": b"",
        "server": ("127.0.0.1", 9292),
        "client": (peer, 4711) if peer else None,
        "headers": lines(("Host", "inner:9292"), *headers),
    }

    async def ask() -> None:
        await behind(app, proxies)(scope, nothing, nowhere)

    asyncio.run(ask())
    assert seen == [scope]  # in place
    return Request(seen[0])


EVERYTHING = (
    ("X-Forwarded-For", CLIENT),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "images.example.org"),
    ("X-Forwarded-Port", "8443"),
    ("X-Forwarded-Prefix", "/cloud"),
)


def test_a_trusted_proxy_decides_on_links_and_the_client() -> None:
    request = asked(PROXY, *EVERYTHING)
    assert str(request.base_url) == "https://images.example.org:8443/cloud/"
    assert request.client is not None
    assert request.client.host == CLIENT
    assert request.scope["path"] == "/v2/images"


@pytest.mark.parametrize("peer", ["203.0.113.1", "11.0.0.1", "::1", "unix", None])
def test_nobody_else_decides_on_anything(peer: str | None) -> None:
    request = asked(peer, *EVERYTHING, ("Forwarded", 'for="nonsense'))
    assert str(request.base_url) == "http://inner:9292/"
    assert (request.client.host if request.client else None) == peer


def test_without_proxies_there_is_nothing_between() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    assert behind(app, ()) is app


@pytest.mark.parametrize(
    ("headers", "links"),
    [
        ([("X-Forwarded-Proto", "https")], "https://inner:9292/"),
        ([("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "h"), ("X-Forwarded-Port", "443")], "https://h/"),
        ([("X-Forwarded-Host", "h:81"), ("X-Forwarded-Port", "82")], "http://h:81/"),
        ([("Forwarded", 'host="[2001:db8::1]:8443";proto=https')], "https://[2001:db8::1]:8443/"),
        ([("X-Forwarded-Prefix", "/")], "http://inner:9292/"),
    ],
)
def test_links_are_made_of_what_was_told(headers: list[tuple[str, str]], links: str) -> None:
    assert str(asked(PROXY, *headers).base_url) == links


def test_a_client_that_a_proxy_hides_has_no_address() -> None:
    assert asked(PROXY, ("Forwarded", "for=_secret")).client is None


def test_a_peer_on_both_protocols_is_known_by_its_older_address() -> None:
    assert asked("::ffff:10.0.0.1", *EVERYTHING).client == (CLIENT, 0)


@pytest.mark.parametrize("wrong", ["proxy.example", "10.0.0.0/33", "10.0.0.1/8", ""])
def test_a_proxy_that_is_no_address_stops_the_start(wrong: str) -> None:
    for key in ("trusted_proxies", "metadata_trusted_proxies"):
        with pytest.raises(SettingsError, match=f"section \\[server\\], key '{key}': .*neither an address nor a net"):
            load(Settings, options={("server", key): [wrong]})
