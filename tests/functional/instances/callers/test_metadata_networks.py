"""The same address on several networks: each listener knows its own machines, and those of no other."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterDidNotStart, HeadwaterProcess, bare_environment, wait_until
from functional.program import program as headwater
from needs import program
from servers.ports import free_ports

GUEST = "127.0.0.9"
UUID = "b65cee2f-8c69-4aeb-be2f-f79742548fc2"
SWAPPED = "2fee5cb6-698c-eb4a-be2f-f79742548fc2"
PROXY = "127.0.0.8"
_MORE = {"red": f'trusted_proxies = ["{PROXY}"]', "blue": "trusted = true"}


class Site:
    """A service with two networks, ``blue`` and ``red``."""

    def __init__(self, directory: Path) -> None:
        blue, red = free_ports(2)
        self.places = {"red": f"127.0.0.3:{red}", "blue": f"127.0.0.2:{blue}"}
        toml = "".join(
            f'[metadata.networks.{name}]\nbind = "{bind}"\n{_MORE[name]}\n' for name, bind in self.places.items()
        )
        self.service = HeadwaterProcess(directory, toml=f'[metadata]\nhosts = ["md.example.org"]\n{toml}', workers=2)

    def add(self, name: str, *words: str) -> None:
        done = self.service.command("instance", "add", "--name", name, *words)
        assert done.returncode == 0, done.stderr

    def read(self, network: str, path: str, *, source: str = GUEST, **headers: str) -> httpx.Response:
        """Read as who has the address ``source`` on a network; ``""`` is the metadata port."""
        url = f"http://{self.places[network]}" if network else self.service.metadata_url
        with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as client:
            return client.get(f"{url}{path}", headers=headers, timeout=30)

    def host_name(self, network: str, *, source: str = GUEST, **headers: str) -> str | int:
        """Return what the machine is told to be called, or the status of what it is told instead."""
        found = self.read(network, "/latest/meta-data/hostname", source=source, **headers)
        return found.text if found.status_code == 200 else found.status_code


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    found = Site(tmp_path_factory.mktemp("networks"))
    found.service.start()
    found.add("blue1", "--address", f"blue/{GUEST}")
    found.add("red1", "--address", f"red/{GUEST}")
    found.add("red2", "--address", "red/127.0.0.10")
    yield found
    found.service.stop()


def test_one_address_on_two_networks_is_two_machines(site: Site) -> None:
    for _ in range(8):  # whichever worker takes it
        assert (site.host_name("blue"), site.host_name("red")) == ("blue1", "red1")
    document = site.read("blue", "/openstack/latest/meta_data.json").json()
    assert document["name"] == "blue1"
    assert site.read("blue", "/latest/meta-data/local-ipv4").text == GUEST


def test_a_machine_of_a_network_is_unknown_on_any_other_and_on_the_metadata_port(site: Site) -> None:
    assert site.host_name("") == 404
    assert site.host_name("blue", source="127.0.0.10") == 404
    told = site.read("blue", "/latest/meta-data/", source="127.0.0.10")
    assert "blue/127.0.0.10" in told.text


def test_an_address_without_a_network_is_of_the_metadata_port_alone(site: Site) -> None:
    site.add("plain", "--address", "127.0.0.11")
    found = [site.host_name(network, source="127.0.0.11") for network in ("", "blue", "red")]
    assert found == ["plain", 404, 404]


def test_the_proxies_of_a_network_are_believed_there_and_nowhere_else(site: Site) -> None:
    forwarded = {"X-Forwarded-For": GUEST}
    assert site.host_name("red", source=PROXY, **forwarded) == "red1"
    assert site.host_name("blue", source=PROXY, **forwarded) == 404
    assert site.host_name("red", source="127.0.0.12", **forwarded) == 404


@pytest.mark.parametrize(
    ("said", "status"), [(GUEST, 200), (f"{GUEST}:4711", 200), ("::1, 127.0.0.66", 404), (f"::1, {GUEST}", 400)]
)
def test_a_proxy_that_tells_the_port_too_brings_a_token_like_any_other(site: Site, said: str, status: int) -> None:
    url = f"http://{site.places['red']}/latest/api/token"
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60", "X-Forwarded-For": said}
    with httpx.Client(transport=httpx.HTTPTransport(local_address=PROXY)) as client:
        assert client.put(url, headers=headers).status_code == status


@pytest.mark.parametrize("network", ["", "blue"], ids=["port", "blue"])
def test_where_names_are_known_a_page_of_another_name_reads_nothing(site: Site, network: str) -> None:
    if not network:
        site.add("here", "--address", "127.0.0.14")
    source = GUEST if network else "127.0.0.14"
    assert site.read(network, "/latest/user-data", source=source, Host="page.example").status_code == 400
    assert site.read(network, "/latest/meta-data/", source=source, Host="md.example.org").status_code == 200


def test_a_taken_address_is_named_with_its_network_and_a_change_moves_it(site: Site) -> None:
    done = site.service.command("instance", "add", "--name", "late", "--address", f"red/{GUEST}")
    assert done.returncode != 0
    assert f"the address red/{GUEST} belongs to the instance 'red1'" in done.stderr
    site.add("moves", "--address", "blue/127.0.0.13")
    assert site.host_name("blue", source="127.0.0.13") == "moves"
    assert site.service.command("instance", "set", "moves", "--address", "red/127.0.0.13").returncode == 0
    assert [site.host_name(name, source="127.0.0.13") for name in ("blue", "red")] == [404, "moves"]


def test_the_log_says_on_which_network_somebody_asked(site: Site) -> None:
    site.read("red", "/latest/a-name-of-this-test")
    wait_until(lambda: bool(site.service.requests(path="/latest/a-name-of-this-test")), "the request is logged")
    [line] = site.service.requests(path="/latest/a-name-of-this-test")
    assert (line["network"], line["client"], line["listener"]) == ("red", GUEST, "metadata")


def test_hardware_tells_who_asks_on_a_trusted_network_and_on_no_other(site: Site) -> None:
    network_data = json.dumps(
        {
            "links": [{"id": "a", "type": "phy", "ethernet_mac_address": "FA:16:3E:9C:BF:3D"}],
            "networks": [{"id": "n", "link": "a", "type": "ipv4_dhcp"}],
            "services": [],
        }
    )
    site.add("iron", "--id", UUID, "--serial", "SN-1", "--network-data", network_data, "--user-data", "of iron")
    for name in (f"uuid/{UUID}", f"uuid/{SWAPPED.upper()}", "serial/SN-1", "mac/fa-16-3e-9c-bf-3d", "mac/fa163e9cbf3d"):
        there = f"/seed/{name}"
        assert json.loads(site.read("blue", f"{there}/meta-data", source="127.0.0.20").text)["instance-id"] == UUID
        assert site.read("blue", f"{there}/user-data", source="127.0.0.20").text == "of iron"
        assert site.read("blue", f"{there}/vendor-data", source="127.0.0.20").status_code == 200
        assert "fa:16:3e:9c:bf:3d" in site.read("blue", f"{there}/network-config", source="127.0.0.20").text
        nowhere = site.read("", "/seed/nothing/meta-data", source="127.0.0.20")
        for network in ("red", ""):
            refused = site.read(network, f"{there}/meta-data", source="127.0.0.20")
            assert (refused.status_code, refused.text) == (404, nowhere.text)
    for name in ("serial/SN-2", "mac/fa163e9cbf3e", "uuid/x"):
        told = site.read("blue", f"/seed/{name}/meta-data", source="127.0.0.20")
        assert told.status_code == 404
        assert "headwater instance show" in told.text
    [line] = site.service.requests(path="/seed/serial/SN-2/meta-data")
    assert line["network"] == "blue"


def test_serials_are_changed_taken_away_and_unique(site: Site) -> None:
    site.add("with-serial", "--serial", "SN-10")
    done = site.service.command("instance", "add", "--name", "other", "--serial", "SN-10")
    assert done.returncode != 0
    assert "the serial SN-10 belongs to the instance 'with-serial'" in done.stderr
    for words, found in ((("--serial", "SN-11"), [404, 200]), (("--unset", "serial"), [404, 404])):
        done = site.service.command("instance", "set", "with-serial", *words)
        assert done.returncode == 0, done.stderr
        assert [site.read("blue", f"/seed/serial/SN-{n}/meta-data").status_code for n in (10, 11)] == found


def test_an_address_that_is_taken_ends_the_start_and_one_that_is_not_there_does_not(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        bind = f"127.0.0.2:{taken.getsockname()[1]}"
        toml = f'[metadata.networks.blue]\nbind = "{bind}"\n'
        (tmp_path / "taken").mkdir()
        with pytest.raises(HeadwaterDidNotStart, match=rf"\[metadata\.networks\.blue\], key 'bind'.*{bind}"):
            HeadwaterProcess(tmp_path / "taken", toml=toml).start()
    absent = (
        '[metadata.networks.far]\nbind = "192.0.2.77:80"\n'
        '[metadata.networks.later]\nbind = "[fe80::1%hw-none0]:80"\n'
        '[metadata.networks.port]\nbind = "127.0.0.1:8780"\ninterface = "hw-none0"\n'
    )
    service = HeadwaterProcess(tmp_path, toml=absent)
    service.start()
    try:
        told = {line["network"] for line in service.logs() if line["event"].startswith("a network is not there yet")}
        assert told == {"far", "later", "port"}
        assert httpx.get(f"{service.metadata_url}/latest/").status_code == 404
    finally:
        assert service.stop() == 0


def test_a_load_balancer_asks_for_the_machines_of_its_network(tmp_path: Path) -> None:
    toml = '[metadata.neutron]\nshared_secrets = ["s3cr3t"]\nproviders = { "edge-1" = "blue" }\n'
    service = HeadwaterProcess(tmp_path, toml=toml)
    service.start()
    try:
        for words in (("blue1", "blue/10.0.0.5"), ("plain", "10.0.0.5")):
            done = service.command("instance", "add", "--name", words[0], "--address", words[1])
            assert done.returncode == 0, done.stderr
        signature = hmac.new(b"s3cr3t", b"edge-1", hashlib.sha256).hexdigest()
        says = {"X-Metadata-Provider": "edge-1", "X-Forwarded-For": "10.0.0.5"}
        url = f"{service.metadata_url}/latest/meta-data/hostname"
        signed = httpx.get(url, headers={**says, "X-Metadata-Provider-Signature": signature})
        assert (signed.status_code, signed.text) == (200, "blue1")
        statuses = [
            httpx.get(url, headers={**says, "X-Metadata-Provider-Signature": text}).status_code
            for text in ("", "0" * 64)
        ]
        assert statuses == [400, 403]
        chain = {"X-Forwarded-For": "10.0.0.5, 10.0.0.6", "X-Metadata-Provider-Signature": signature}
        assert httpx.get(url, headers={**says, **chain}).status_code == 400
    finally:
        service.stop()


_INTERFACES = """
set -eu
ip link set lo up
mount -t tmpfs none /run
network() {  # a link of its own to a guest that has the addresses of all the others
    ip netns add $1
    ip link add $1 type veth peer name eth0 netns $1
    ip addr add fe80::1/64 dev $1 nodad
    ip addr add 169.254.169.254/32 dev $1
    ip link set $1 up
    ip route add 10.0.0.5/32 dev $1 table $2
    ip rule add oif $1 table $2
    ip -n $1 link set eth0 addrgenmode none
    ip -n $1 addr add fe80::5/64 dev eth0 nodad
    ip -n $1 addr add 10.0.0.5/32 dev eth0
    ip -n $1 link set lo up
    ip -n $1 link set eth0 up
    ip -n $1 route add 169.254.169.254/32 dev eth0
}
ask() {
    ip netns exec $1 curl -s -g --max-time 2 "http://$2/latest/meta-data/hostname" || true
    echo
}
network blue 101
network red 102
"$@" serve --bind 127.0.0.1:9292 --metadata-bind "[::]:8775" > said &
served=$!
for _ in $(seq 300); do grep -q ready said && break; sleep 0.1; done
ask blue "[fe80::1%25eth0]:80"
ask red "[fe80::1%25eth0]:80"
ask blue 169.254.169.254:81
ask red 169.254.169.254:81
ask blue "[fe80::1%25eth0]:8775" | head -n 1
network green 103
for _ in $(seq 100); do [ -n "$(ask green "[fe80::1%25eth0]:80")" ] && break; sleep 0.1; done
ask green "[fe80::1%25eth0]:80"
ip link del green
ip netns del green
sleep 0.1
network green 103
for _ in $(seq 100); do [ -n "$(ask green "[fe80::1%25eth0]:80")" ] && break; sleep 0.1; done
ask green "[fe80::1%25eth0]:80"
kill $served
wait $served
"""


def test_link_local_addresses_and_interfaces_tell_networks_apart_also_when_they_come_later(tmp_path: Path) -> None:
    """On real links: three guests, all of them fe80::5 and 10.0.0.5."""
    alone = [str(program("unshare")), "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    for each in ("ip", "curl"):
        program(each)
    tried = "ip link add one type veth peer name two && mount -t tmpfs none /run && ip netns add three"
    if subprocess.run([*alone, "sh", "-c", tried], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets nobody make a network namespace with interfaces")
    toml = "".join(
        f'[metadata.networks.{name}]\nbind = "[fe80::1%{name}]:80"\n'
        f'[metadata.networks.{name}4]\nbind = "169.254.169.254:81"\ninterface = "{name}"\n'
        for name in ("blue", "red", "green")
    )
    service = HeadwaterProcess(tmp_path, toml=f"[server]\nworkers = 2\n{toml}")
    service.data_dir.mkdir(mode=0o700)
    for name in ("blue", "red", "green"):
        done = service.command(
            *("instance", "add", "--name", f"{name}1", "--address", f"{name}/fe80::5", "--address", f"{name}4/10.0.0.5")
        )
        assert done.returncode == 0, done.stderr
    words = [str(headwater()), "--config", str(service.config_file), "--data-dir", str(service.data_dir)]
    done = subprocess.run(
        [*alone, "sh", "-c", _INTERFACES, "sh", *words],
        cwd=tmp_path,
        env=bare_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["blue1", "red1", "blue1", "red1", "404 Not Found", "green1", "green1"]
