"""Behind Neutron: who asks is whom its agents sign for, and every answer survives the real agent and haproxy."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from botocore.utils import InstanceMetadataRegionFetcher

from functional.headwater_process import HeadwaterProcess
from servers.openstack.neutron import network_id, neutron

SECRET, OLD = "s3cr3t", "the one before"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
ZONE = "attic"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6/Vd6bZLg2P6nTYxKGBSSmOF0hbnOdCxUZcmNBYxCG a@b"
TOML = f"""\
[metadata.neutron]
shared_secrets = ["{SECRET}", "{OLD}"]
agents = ["127.0.0.1"]
"""
WEB, BINARY, PACKED, STRICT, LOOSE = (f"b65cee2f-8c69-4aeb-be2f-f7974254{number}" for number in range(8000, 8005))
USER_DATA = {
    WEB: "#cloud-config\nfqdn: wörld\n".encode(),
    BINARY: bytes(range(1, 256)),
    PACKED: gzip.compress(b"#!/bin/sh\necho packed\n", mtime=0),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    directory = tmp_path_factory.mktemp("neutron")
    process = HeadwaterProcess(directory, toml=TOML, workers=2)
    process.start()
    for name, instance_id, *more in (
        ("web", WEB, "--project-id", "blue", "--meta", "role=ünïcode", "--availability-zone", ZONE),
        ("binary", BINARY, "--project-id", "blue", "--address", "127.0.0.1"),
        ("packed", PACKED, "--project-id", "blue"),
        ("strict", STRICT, "--project-id", "blue", "--tokens", "required"),
        ("loose", LOOSE),
    ):
        (directory / name).write_bytes(USER_DATA.get(instance_id, b"plain"))
        told = ("--user-data", f"@{directory / name}", "--ssh-key", KEY)
        done = process.command("instance", "add", "--name", name, "--id", instance_id, *told, *more)
        assert done.returncode == 0, done.stderr
    yield process
    process.stop()


@pytest.fixture(scope="module", params=["ml2", "ovn"])
def gateways(
    service: HeadwaterProcess, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    """The URLs at which two networks of the guests have their metadata."""
    ports = {f"127.0.0.{number}": (each, "blue") for number, each in enumerate((WEB, BINARY, PACKED, STRICT), 11)}
    ports["127.0.0.1"] = (WEB, "blue")  # whence clients send that cannot be told their address
    stranger = {"127.0.0.21": ("b65cee2f-8c69-4aeb-be2f-f79742549999", "blue"), "127.0.0.22": (WEB, "red")}
    metadata_port = httpx.URL(service.metadata_url).port
    assert metadata_port is not None
    networks = [ports | stranger, {"127.0.0.11": (BINARY, "blue")}]
    home = tmp_path_factory.mktemp("agent")
    with neutron(home, metadata_port, SECRET, networks, agent=request.param) as found:
        yield [f"http://127.0.0.1:{port}" for port in found]


@pytest.fixture(scope="module")
def gateway(gateways: list[str]) -> str:
    """The URL at which the first of them has it."""
    return gateways[0]


def guest(gateway: str, number: int) -> httpx.Client:
    """Return a client that sends from the address that ends so."""
    transport = httpx.HTTPTransport(local_address=f"127.0.0.{number}")
    return httpx.Client(base_url=gateway, transport=transport, timeout=60)


def signed(instance_id: str, project: str = "blue", *, secret: str = SECRET, **more: str) -> dict[str, str]:
    signature = hmac.new(secret.encode(), instance_id.encode(), hashlib.sha256).hexdigest()
    named = {"X-Instance-ID": instance_id, "X-Tenant-ID": project, "X-Instance-ID-Signature": signature}
    return {**named, "X-Forwarded-For": "10.0.0.5", **more}


@pytest.fixture
def agent(service: HeadwaterProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.metadata_url) as client:
        yield client


# --- The signature -------------------------------------------------------------------------------


def test_the_signature_is_neutrons() -> None:
    """Source: the example of the protocol."""
    assert signed("b65cee2f-8c69-4aeb-be2f-f79742548fc2")["X-Instance-ID-Signature"] == (
        "823491c9c66985fac0685c45d8eda8869d581ff62c4661479451ee51e2946737"
    )


@pytest.mark.parametrize("secret", [SECRET, OLD])
def test_each_of_the_secrets_signs(agent: httpx.Client, secret: str) -> None:
    assert agent.get("/latest/meta-data/hostname", headers=signed(WEB, secret=secret)).text == "web"


def test_the_address_tells_nothing(agent: httpx.Client) -> None:
    """One of the instances is registered with the address of the agent."""
    assert agent.get("/latest/user-data").status_code == 400
    assert agent.get("/latest/user-data", headers=signed(WEB)).content == USER_DATA[WEB]


@pytest.mark.parametrize("name", ["X-Instance-ID", "X-Instance-ID-Signature", "X-Tenant-ID"])
def test_what_an_agent_always_sends_is_sent_once(agent: httpx.Client, name: str) -> None:
    headers = signed(WEB)
    twice = [*headers.items(), (name, headers[name])]
    without = {key: value for key, value in headers.items() if key != name}
    for each in (without, twice, {**headers, name: ""}):
        answer = agent.get("/latest/user-data", headers=each)
        assert answer.status_code == 400
        assert f"The header {name} " in answer.text


def test_a_forged_signature_is_refused_and_told_to_nobody(agent: httpx.Client, service: HeadwaterProcess) -> None:
    right = signed(WEB)["X-Instance-ID-Signature"]
    for wrong in (
        right.upper(),
        right[:-1],
        right + "0",
        "é",
        signed(BINARY)["X-Instance-ID-Signature"],
        signed(WEB, secret="guessed")["X-Instance-ID-Signature"],
    ):
        forged = {key.encode(): value.encode() for key, value in signed(WEB).items()}
        answer = agent.get("/latest/user-data", headers={**forged, b"X-Instance-ID-Signature": wrong.encode()})
        assert (answer.status_code, "signature" in answer.text) == (403, True)
        assert right not in answer.text
    assert right not in service.stderr()
    assert SECRET not in service.stderr()


def test_a_machine_of_another_project_looks_like_one_that_is_not_there(agent: httpx.Client) -> None:
    unknown = "b65cee2f-8c69-4aeb-be2f-f79742549999"
    texts = set()
    for instance_id, project in ((WEB, "red"), (unknown, "blue"), (LOOSE, "blue"), ("../..", "blue"), ("x" * 300, "b")):
        answer = agent.get("/latest/user-data", headers=signed(instance_id, project))
        assert answer.status_code == 404
        texts.add(answer.text.replace(instance_id[:64], "ID"))
    assert len(texts) == 1


def test_only_an_agent_may_sign(service: HeadwaterProcess) -> None:
    with guest(service.metadata_url, 99) as elsewhere:
        assert elsewhere.get("/latest/user-data", headers=signed(WEB)).status_code == 403


def test_the_versions_are_told_to_everybody(agent: httpx.Client) -> None:
    assert agent.get("/").text.splitlines()[-1] == "latest"


def test_no_answer_has_a_status_that_an_agent_does_not_pass_on(agent: httpx.Client) -> None:
    asked = [
        ("PUT", "/latest/api/token", 404),
        ("PUT", "/latest/user-data", 400),
        ("DELETE", "/openstack/latest/meta_data.json", 400),
        ("POST", "/openstack/latest/password", 400),
        ("GET", "/latest/../user-data", 404),
        ("GET", "/latest/%2e%2e/user-data", 400),
        ("GET", "/nothing", 404),
    ]
    for method, path, status in asked:
        assert agent.request(method, path, headers=signed(WEB)).status_code == status, (method, path)
    long = agent.post("/openstack/latest/password", content=b"x" * 100_000, headers=signed(WEB))
    assert long.status_code == 400
    coded = agent.post("/openstack/latest/password", content=b"x", headers=signed(WEB, **{"Content-Encoding": "gzip"}))
    assert (coded.status_code, coded.text.splitlines()[0]) == (400, "400 Bad Request")
    wrong_token = {"X-aws-ec2-metadata-token": "of somebody"}
    assert agent.get("/latest/user-data", headers=signed(WEB, **wrong_token)).status_code == 403
    assert agent.get("/latest/user-data", headers=signed(STRICT)).status_code == 403


def test_without_an_agent_between_tokens_come_and_statuses_are_what_they_are(agent: httpx.Client) -> None:
    def of(instance_id: str, **more: str) -> dict[str, str]:
        headers = signed(instance_id, **more)
        del headers["X-Forwarded-For"]
        return headers

    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    assert agent.get("/latest/user-data", headers=of(STRICT)).status_code == 401
    given = agent.put("/latest/api/token", headers=of(STRICT, **ttl))
    assert (given.status_code, given.headers["X-aws-ec2-metadata-token-ttl-seconds"]) == (200, "60")
    shown = {"X-aws-ec2-metadata-token": given.text}
    assert agent.get("/latest/user-data", headers=of(STRICT, **shown)).content == b"plain"
    assert agent.get("/latest/user-data", headers=of(WEB, **shown)).status_code == 401  # of another machine
    assert agent.get("/latest/user-data", headers=signed(STRICT, **shown)).status_code == 403
    assert agent.put("/latest/user-data", headers=of(WEB)).status_code == 405
    forged = {**of(STRICT, **ttl), "X-Metadata-Provider": "b8f0", "Forwarded": "for=10.0.0.9"}
    assert agent.put("/latest/api/token", headers=forged).status_code == 400


def test_a_secret_path_is_as_good_as_ever(agent: httpx.Client, service: HeadwaterProcess) -> None:
    seed = json.loads(service.command("instance", "seed", "binary", "--json").stdout)
    assert agent.get(f"{seed['path']}user-data").content == USER_DATA[BINARY]


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('[metadata.neutron]\nshared_secrets = [""]', "with that anybody could sign"),
        ('[metadata.neutron]\nagents = ["host"]', "key 'agents'"),
        (
            '[server]\nmetadata_trusted_proxies = ["10.0.0.1"]\n[metadata.neutron]\nshared_secrets = ["x"]',
            "leave one of them out",
        ),
    ],
)
def test_settings_by_which_anybody_could_be_anybody_are_refused(tmp_path: Path, toml: str, said: str) -> None:
    done = HeadwaterProcess(tmp_path, toml=toml).command("instance", "list")
    assert done.returncode == 2
    assert said in done.stderr


# --- Neutron itself ------------------------------------------------------------------------------


def paths(agent: httpx.Client, instance_id: str) -> list[str]:
    """Return every path of both trees and of NoCloud that the listings name."""
    found, left = (
        [],
        ["/latest/", "/2009-04-04/", "/openstack/", "/openstack/latest/", "/openstack/2018-08-27/", "/nocloud/"],
    )
    while left:
        path = left.pop()
        found.append(path)
        if path.endswith("/"):
            for line in agent.get(path, headers=signed(instance_id)).text.splitlines():
                name = f"{line.partition('=')[0]}/" if path.endswith("public-keys/") else line
                if not name[:4].isdigit():
                    left.append(f"{path}{name}")
    return sorted(found)


def comparable(answer: httpx.Response) -> tuple[int, str, Any]:
    content: Any = answer.content
    if answer.headers["content-type"] == "application/json":
        content = answer.json()
        if isinstance(content, dict) and "random_seed" in content:
            content["random_seed"] = len(content["random_seed"])
    return answer.status_code, answer.headers["content-type"], content


@pytest.mark.parametrize(("number", "instance_id"), [(11, WEB), (12, BINARY)])
def test_every_answer_survives_neutron(gateway: str, agent: httpx.Client, number: int, instance_id: str) -> None:
    asked = paths(agent, instance_id)
    assert len(asked) > 30
    with guest(gateway, number) as client:
        for path in asked:
            assert comparable(client.get(path)) == comparable(agent.get(path, headers=signed(instance_id))), path


def test_packed_user_data_comes_unpacked(gateway: str) -> None:
    """The agent takes it for a coding of the answer; cloud-init and cloudbase-init read either."""
    with guest(gateway, 13) as client:
        assert client.get("/latest/user-data").content == gzip.decompress(USER_DATA[PACKED])


def test_a_machine_gets_a_token_of_its_identity_through_neutron(gateway: str) -> None:
    with guest(gateway, 11) as client:
        answer = client.post("/latest/dynamic/instance-identity/token", params={"audience": "vault"})
        assert (answer.status_code, answer.text.count(".")) == (200, 2)
        assert client.post("/latest/dynamic/instance-identity/token").status_code == 400


def test_the_sdk_of_aws_reads_without_a_token_through_neutron(gateway: str) -> None:
    assert httpx.put(f"{gateway}/latest/api/token", headers={TTL: "60"}).status_code == 404
    fetcher = InstanceMetadataRegionFetcher(num_attempts=1, base_url=f"{gateway}/")
    assert fetcher.retrieve_region() == ZONE[:-1]


def test_errors_survive_neutron(gateway: str) -> None:
    with guest(gateway, 11) as client:
        assert client.get("/latest/nothing").status_code == 404
        assert client.put("/latest/api/token").status_code == 404
        assert client.put("/latest/user-data").status_code == 400
        assert client.get("/openstack/latest/password").status_code == 200
    for number, status in ((14, 403), (21, 404), (22, 404), (31, 404)):
        with guest(gateway, number) as client:
            assert client.get("/latest/user-data").status_code == status, number


def test_a_guest_cannot_say_who_it_is(gateway: str) -> None:
    with guest(gateway, 12) as client:
        assert client.get("/latest/meta-data/hostname", headers=signed(WEB)).status_code in (200, 400, 502)
        forged = {key: value for key, value in signed(WEB).items() if key != "X-Forwarded-For"}
        assert client.get("/latest/meta-data/hostname", headers=forged).text == "binary"


def test_one_address_on_two_networks_is_two_machines(gateways: list[str]) -> None:
    names = []
    for url in gateways:
        with guest(url, 11) as client:
            names.append(client.get("/latest/meta-data/hostname").text)
    assert names == ["web", "binary"]


@pytest.mark.parametrize("name", ["X-Neutron-Network-ID", "X-OVN-Network-ID"])
def test_a_guest_cannot_say_on_which_network_it_is(gateway: str, name: str) -> None:
    """OVN's haproxy adds its header to the guest's, and its agent finds no network that is called by both."""
    with guest(gateway, 11) as client:
        answer = client.get("/latest/meta-data/hostname", headers={name: network_id(1)})
        assert answer.status_code == 404 or answer.text == "web"
