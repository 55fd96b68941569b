from __future__ import annotations

import pytest
from pydantic import ValidationError

from headwater.fetching.url_filter import NotResolved, UrlFilter, UrlFilterSettings, UrlRefused, redacted


def judged(url: str, addresses: list[str] | None = None, **settings: object) -> list[str]:
    url_filter = UrlFilter(UrlFilterSettings.model_validate(settings), lambda _host, _port: addresses or [])
    return url_filter.addresses(url_filter.target(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1/",
        "http://127.0.0.01/",
        "http://0177.0.0.1/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://127.0.0.1./",
        "http://127.0.0.1.:80/",
        "http://name.0x7f/",
        "http://name.1/",
        "http://１２７.0.0.1/",
        "http://①②⑦.0.0.1/",
        "http://127。0。0。1/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::FFFF:8.8.8.8]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[fe80::1%25eth0]/",
        "http://[2001:db8::1/",
        "http://example.org./",
        "http://example..org/",
        "http://-example.org/",
        "http://%65xample.org/",
        "http://user:pw@example.org/",
        "http://@example.org/",
        "http://example.org:80@127.0.0.1/",
        "http://example.org\\@127.0.0.1/",
        "http://example.org:/",
        "http://example.org:0/",
        "http://example.org:080/",
        "http://example.org:99999/",
        "http://example.org:８０/",
        "http:///path",
        "http:/example.org/",
        "http:example.org",
        "//example.org/",
        "example.org",
        "",
        " http://example.org/",
        "http://example.org/\r\nX: y",
        "http://example.org/a b",
        "http://example.org/\x00",
        "http://example.org/" + "a" * 2048,
        "file:///etc/passwd",
        "FILE://example.org/etc/passwd",
        "ftp://example.org/",
        "gopher://example.org/",
    ],
)
def test_a_url_of_an_odd_spelling_is_refused_before_anything_is_resolved(url: str) -> None:
    url_filter = UrlFilter(UrlFilterSettings(allowed_ports=()), lambda *_: pytest.fail("it was resolved"))
    with pytest.raises(UrlRefused):
        url_filter.addresses(url_filter.target(url))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "FILE://example.org/x"])
def test_a_scheme_that_nobody_fetches_is_told(url: str) -> None:
    with pytest.raises(UrlRefused, match=r"the scheme '(file|ftp)' is not allowed"):
        UrlFilter(UrlFilterSettings()).target(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.0.9",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "fd00:ec2::254",
    ],
)
def test_a_name_that_leads_to_an_address_of_the_machine_or_its_cloud_is_refused(address: str) -> None:
    with pytest.raises(UrlRefused, match="no address that may be asked"):
        judged("http://example.org/", [address])


def test_what_is_no_web_address_is_refused_for_its_scheme() -> None:
    for url in ("file:///etc/passwd", "FILE:///etc/passwd", "unix:///run/docker.sock"):
        with pytest.raises(UrlRefused, match=r"the scheme '(file|unix)' is not allowed"):
            judged(url)


def test_such_an_address_in_the_url_is_refused_too() -> None:
    for url in ("http://127.0.0.1/", "http://169.254.169.254/latest/", "http://[::1]/", "http://[fd00:ec2::254]/"):
        with pytest.raises(UrlRefused):
            judged(url)


def test_of_several_addresses_the_good_ones_are_left_in_their_order() -> None:
    found = ["127.0.0.1", "2606:4700::2", "::1", "93.184.216.34", "2606:4700::2"]
    assert judged("https://example.org/", found) == ["2606:4700::2", "93.184.216.34"]


def test_a_host_on_the_allow_list_may_be_loopback_and_others_are_refused() -> None:
    allowed = {"allowed_hosts": ["localhost", "[::1]"], "allowed_ports": []}
    assert judged("http://LOCALHOST:8080/x", ["127.0.0.1"], **allowed) == ["127.0.0.1"]
    assert judged("http://[::1]:8080/x", **allowed) == ["::1"]
    with pytest.raises(UrlRefused, match="not among those that are allowed"):
        judged("http://example.org/", ["93.184.216.34"], **allowed)


def test_what_is_disallowed_is_refused_by_name_by_address_and_through_a_translated_address() -> None:
    rules = {"disallowed_hosts": ["Bad.example.org", "192.0.2.7", "10.0.0.0/8"]}
    with pytest.raises(UrlRefused):
        judged("http://bad.EXAMPLE.org/", ["93.184.216.34"], **rules)
    for address in ("192.0.2.7", "10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"):
        with pytest.raises(UrlRefused):
            judged("http://example.org/", [address], **rules)
    with pytest.raises(UrlRefused):
        judged("http://example.org/", ["10.1.2.3"], allowed_hosts=["example.org"], **rules)


def test_private_networks_are_not_asked_unless_the_operator_says_so() -> None:
    never_given_out = ("192.0.0.8", "192.0.0.170", "192.88.99.1", "3fff::1", "5f00::1", "200::1", "4000::1", "1::1")
    for address in ("10.0.0.1", "192.168.0.1", "172.16.0.1", "100.64.0.1", "fc00::1", *never_given_out):
        assert judged("http://example.org/", [address], private_networks=True) == [address]
        with pytest.raises(UrlRefused):
            judged("http://example.org/", [address])
    assert judged("http://example.org/", ["93.184.216.34"]) == ["93.184.216.34"]


def test_single_private_networks_can_be_allowed() -> None:
    allowed = {"allowed_networks": ["10.20.0.0/16", "100.64.0.0/10", "127.0.0.0/8"]}
    assert judged("http://example.org/", ["10.20.1.2", "10.21.0.1"], **allowed) == ["10.20.1.2"]
    assert judged("http://10.20.1.2/", **allowed) == ["10.20.1.2"]
    for address in ("100.100.100.200", "127.0.0.1", "192.168.0.1"):
        with pytest.raises(UrlRefused):
            judged("http://example.org/", [address], **allowed)
    with pytest.raises(UrlRefused):
        judged("http://example.org/", ["10.20.1.2"], disallowed_hosts=["10.20.1.2"], **allowed)
    for wrong in ("10.20.0.1/16", "example.org"):
        with pytest.raises(ValidationError):
            UrlFilterSettings(allowed_networks=(wrong,))


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize(
    "form",
    [
        "::ffff:{}",  # mapped
        "::{}",  # compatible
        "::ffff:0:{}",  # translated
        "64:ff9b::{}",  # NAT64
        "2001:4860::5efe:{}",  # ISATAP, and its universal form
        "2001:4860::200:5efe:{}",
    ],
)
def test_an_address_with_an_ipv4_address_inside_is_judged_by_that_one(form: str, private: bool) -> None:
    for inner in ("127.0.0.1", "169.254.169.254", "0.0.0.1", *(() if private else ("10.0.0.1", "192.168.1.1"))):
        with pytest.raises(UrlRefused):
            judged("http://example.org/", [form.format(inner)], private_networks=private)
    assert judged("http://example.org/", [form.format("93.184.216.34")], private_networks=private)


def test_ports_and_schemes_are_those_of_the_lists() -> None:
    here = ["93.184.216.34"]
    for url in ("http://example.org:8080/", "https://example.org:22/"):
        with pytest.raises(UrlRefused, match="port"):
            judged(url, here)
    assert judged("http://example.org:8080/", here, allowed_ports=[8080]) == here
    with pytest.raises(UrlRefused, match="port"):
        judged("http://example.org/", here, allowed_ports=[8080])
    with pytest.raises(UrlRefused, match="port"):
        judged("http://example.org/", here, allowed_ports=[], disallowed_ports=[80])
    with pytest.raises(UrlRefused, match="scheme"):
        judged("http://example.org/", here, allowed_schemes=["https"])
    with pytest.raises(UrlRefused, match="scheme"):
        judged("http://example.org/", here, disallowed_schemes=["http"])
    with pytest.raises(ValidationError, match="http"):
        UrlFilterSettings(allowed_schemes=("file",))


def test_a_name_without_an_address_is_told_apart() -> None:
    with pytest.raises(NotResolved):
        judged("http://example.org/", [])


def test_what_is_sent_is_what_was_read() -> None:
    target = UrlFilter(UrlFilterSettings()).target("HTTPS://Example.ORG:443/a/../b%2f?q=1&x=[]#frag")
    assert (target.scheme, target.host, target.port) == ("https", "example.org", 443)
    assert (target.path, target.authority) == ("/a/../b%2f?q=1&x=[]", "example.org")
    assert str(UrlFilter(UrlFilterSettings()).target("http://[2606:4700::2]")) == "http://[2606:4700::2]/"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://user:pw@example.org/path?token=1#x", "http://example.org/path"),
        ("http://a@b:pw@example.org/", "http://example.org/"),
        ("http://user:p w@example.org/", "the URL"),
        ("user:pw@example.org", "the URL"),
    ],
)
def test_no_message_holds_a_password_or_a_query(url: str, said: str) -> None:
    assert redacted(url) == said
    with pytest.raises(UrlRefused) as refused:
        UrlFilter(UrlFilterSettings()).target(url)
    assert "pw" not in str(refused.value)
    assert "token" not in str(refused.value)
