"""What the operator tells every instance: a file, and services that are asked about each of them."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pycdlib
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, run_headwater, wait_until
from needs import CHECKOUT
from servers.certificates import Authority
from servers.http.vendor_data import SECRET, VendorDataServices, vendor_data_services
from servers.openstack.keystone import Keystone

TARGETS = ("join", "empty", "bad", "huge", "text", "elsewhere", "cloud-init", "moody")
FILE = {"mirror": "http://mirror.example", "cloud-init": "#cloud-config\nmotd: from the file\n"}
JOINED = {"name": "Grün"}
OPENSTACK2 = "/openstack/latest/vendor_data2.json"


@dataclass
class Place:
    service: HeadwaterProcess
    services: VendorDataServices
    file: Path
    ids: dict[str, str]

    def guest(self, number: int) -> httpx.Client:
        """Return a client of the machine web1, web2 ..."""
        transport = httpx.HTTPTransport(local_address=f"127.0.0.{number}")
        return httpx.Client(base_url=self.service.metadata_url, transport=transport, timeout=30)

    def read(self, number: int, path: str = OPENSTACK2) -> Any:
        with self.guest(number) as guest:
            answer = guest.get(path)
            assert answer.status_code == 200, answer.text
            return answer.json() if path.endswith(".json") else answer.text

    def metric(self, target: str, what: str) -> float:
        name = f'headwater_vendor_data_total{{target="{target}",what="{what}"}}'
        lines = httpx.get(f"{self.service.images_url}/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


def toml(targets: dict[str, str], **more: Any) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    lines += ["[metadata.vendor_data.targets]", *(f"{name} = {json.dumps(url)}" for name, url in targets.items())]
    return "\n".join(["[metadata]", "rate = 0", "[metadata.vendor_data]", *lines, ""])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("vendor-data")
    file = directory / "vendor.json"
    file.write_text(json.dumps(FILE))
    with vendor_data_services() as services:
        targets = {name: services.url(f"/{name}") for name in TARGETS}
        settings = toml(targets, file=str(file), timeout_s=20, retries=1, size_limit=4096)
        service = HeadwaterProcess(directory, toml=settings)
        service.start()
        ids = {}
        for number in range(1, 7):
            more: list[str] = []
            if number == 1:
                user_data = directory / "user-data"
                user_data.write_bytes(b"#cloud-config\nhostname: x\n")
                more = ["--project-id", "blue", "--user-data", f"@{user_data}", "--meta", "role=web"]
            if number == 2:
                more = ["--vendor-data", '{"mine": 1}']
            words = ("--name", f"web{number}", "--address", f"127.0.0.{number}", *more)
            done = service.command("instance", "add", *words, "--json")
            assert done.returncode == 0, done.stderr
            ids[f"web{number}"] = json.loads(done.stdout)["id"]
        yield Place(service, services, file, ids)
        service.stop()


def test_what_services_say_stands_beside_the_file_and_a_bad_one_harms_no_other(place: Place) -> None:
    found = place.read(1)
    cloud_init = "#cloud-config\nntp: {enabled: true}\n"
    nothing: dict[str, Any] = {"empty": {}, "bad": {}, "huge": {}, "text": {}}
    assert found == {
        "static": FILE,
        "join": {"host": "web1", **JOINED},
        **nothing,
        "elsewhere": {},
        "cloud-init": cloud_init,
        "moody": {"host": "web1", **JOINED},
    }
    assert list(found) == ["static", *TARGETS]
    assert place.read(1, "/openstack/latest/vendor_data.json") == FILE
    assert place.metric("huge", "failed") == 1
    assert place.metric("join", "answered") == 1


def test_a_service_that_hangs_or_dribbles_is_waited_for_so_long_and_no_longer(
    place: Place, fresh_headwater: FreshHeadwater
) -> None:
    slow = {name: place.services.url(f"/{name}") for name in ("hanging", "trickling")}
    service = fresh_headwater(toml=toml(slow, timeout_s=0.5))
    assert service.command("instance", "add", "--name", "web1", "--address", "127.0.0.1").returncode == 0
    found = httpx.get(f"{service.metadata_url}{OPENSTACK2}", timeout=30)
    assert found.json() == {"static": {}, "hanging": {}, "trickling": {}}
    assert service.stderr().count("the server did not answer in time") == 2


def test_services_are_asked_as_nova_asks_them(place: Place) -> None:
    place.read(1)
    _, headers, document = next(each for each in place.services.asked if each[2]["instance-id"] == place.ids["web1"])
    assert (headers["content-type"], headers["accept"]) == ("application/json", "application/json")
    assert headers["user-agent"] == "openstack-nova-vendordata"
    assert "x-auth-token" not in headers
    assert document == {
        "project-id": "blue",
        "instance-id": place.ids["web1"],
        "image-id": None,
        "user-data": base64.b64encode(b"#cloud-config\nhostname: x\n").decode(),
        "hostname": "web1",
        "metadata": {"role": "web"},
        "boot-roles": "",
    }


def test_vendor_data_of_the_record_stands_in_place_of_the_file(place: Place) -> None:
    assert place.read(2)["static"] == {"mine": 1}
    assert place.read(2, "/openstack/latest/vendor_data.json") == {"mine": 1}


def test_many_readers_are_one_question_until_the_record_changes(place: Place) -> None:
    with ThreadPoolExecutor(8) as readers:
        found = list(readers.map(lambda _: place.read(3)["join"], range(8)))
    assert found == [{"host": "web3", **JOINED}] * 8
    count = f"/join {place.ids['web3']}"
    assert place.services.counts[count] == 1
    assert place.service.command("instance", "set", "web3", "--hostname", "other").returncode == 0
    assert place.read(3)["join"] == {"host": "other", **JOINED}
    assert place.services.counts[count] == 2


def test_what_fails_is_asked_again_and_said_once(place: Place) -> None:
    place.read(4)
    assert place.services.counts[f"/bad {place.ids['web4']}"] == 2
    place.read(5)
    log = place.service.stderr()
    said = [json.loads(line) for line in log.splitlines() if '"target": "bad"' in line or '"target":"bad"' in line]
    assert [each["reason"] for each in said] == ["it answers 500"]
    assert SECRET not in log


def test_a_service_that_is_back_is_heard(place: Place) -> None:
    place.services.is_well = False
    assert place.read(6)["moody"] == {}
    place.services.is_well = True
    assert place.service.command("instance", "set", "web6", "--hostname", "w6").returncode == 0
    assert place.read(6)["moody"] == {"host": "w6", **JOINED}
    assert "answers again" in place.service.stderr()


def test_nocloud_has_what_cloud_init_reads_of_both(place: Place) -> None:
    head, _, rest = place.read(1, "/nocloud/vendor-data").partition("\n")
    assert head == "#cloud-config-archive"
    assert json.loads(rest) == [FILE["cloud-init"], "#cloud-config\nntp: {enabled: true}\n"]
    assert place.read(2, "/nocloud/vendor-data") == "#cloud-config\nntp: {enabled: true}\n"


def test_cloud_init_takes_what_services_say(place: Place, clients_python: Path, cloud_init_modules: Path) -> None:
    def read(kind: str, url: str) -> dict[str, Any]:
        done = subprocess.run(
            [clients_python, "-m", "functional.instances.cloud_init.harness", kind, url],
            env={
                "PYTHONPATH": f"{cloud_init_modules}{os.pathsep}{CHECKOUT / 'tests'}",
                "PATH": os.environ["PATH"],
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        understood: dict[str, Any] = json.loads(done.stdout)
        return understood

    found = read("openstack", place.service.metadata_url)
    assert found["found"] is True
    assert found["vendor_data"] == FILE["cloud-init"]
    assert found["vendor_data2"] == "#cloud-config\nntp: {enabled: true}\n"


def test_other_documents_wait_for_no_service(place: Place) -> None:
    asked = len(place.services.asked)
    assert place.read(2, "/openstack/latest/meta_data.json")["name"] == "web2"
    assert place.read(2, "/latest/meta-data/hostname") == "web2"
    assert len(place.services.asked) == asked


def test_a_medium_holds_what_services_say(place: Place, tmp_path: Path) -> None:
    def built(*options: str) -> tuple[dict[str, Any], dict[str, Any]]:
        drive = tmp_path / "drive.iso"
        done = place.service.command("config-drive", "build", "web1", "-o", str(drive), "--force", "--json", *options)
        assert done.returncode == 0, done.stderr
        image = pycdlib.PyCdlib()
        image.open(str(drive))
        with image.open_file_from_iso(joliet_path=OPENSTACK2) as file:
            found = json.loads(file.read())
        image.close()
        return found, json.loads(done.stdout)

    found, said = built()
    assert found == place.read(1)
    assert set(said["failing_targets"]) == set(TARGETS) - {"join", "empty", "cloud-init", "moody"}
    assert built("--no-dynamic")[0] == {"static": FILE}


def test_commands_say_which_services_have_nothing_for_a_machine(place: Place) -> None:
    failing = set(TARGETS) - {"join", "empty", "cloud-init", "moody"}
    shown = place.service.command("instance", "show", "web1", "--json")
    assert json.loads(shown.stdout)["name"] == "web1"
    lines = shown.stderr.splitlines()
    assert {line.split("'")[1] for line in lines} == failing
    assert "the target 'bad' of vendor data: it answers 500; the machine reads {} in its place" in lines
    rule = "vendor-data-target-fails"

    def linted(*words: str) -> set[str]:
        done = place.service.command("instance", "lint", *words, "--json")
        return {each["field"] for each in json.loads(done.stdout)["findings"] if each["rule"] == rule}

    assert linted("web1") == {f"vendor_data2: {name}" for name in failing}
    asked = len(place.services.asked)
    assert place.service.command("instance", "show", "web1", "--no-dynamic").stderr == ""
    assert linted("web1", "--no-dynamic") == linted("--all") == set()
    assert len(place.services.asked) == asked


def test_the_file_is_read_again_when_it_changes_and_a_bad_one_changes_nothing(place: Place) -> None:
    path = "/openstack/latest/vendor_data.json"
    try:
        place.file.write_text('{"mirror": ')

        def is_refused() -> bool:
            assert place.read(1, path) == FILE
            return "the file cannot be used" in place.service.stderr()

        wait_until(is_refused, "the file is looked at")
        (place.file.parent / "new").write_text('{"mirror": "other"}')
        (place.file.parent / "new").replace(place.file)
        wait_until(lambda: place.read(1, path) == {"mirror": "other"}, "the new file is told")
        assert place.read(1)["static"] == {"mirror": "other"}
    finally:
        place.file.write_text(json.dumps(FILE))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("no_json", '{"a": 1,\n "b" 2}', "is no JSON at line 2, column 6"),
        ("null", "null", "must be a JSON object, list or text"),
        ("cloud_init", '{"cloud-init": {}}', "'cloud-init' must hold a text or a list"),
        ("constant", '{"a": NaN}', "NaN is no number of JSON"),
    ],
    ids=["no-json", "null", "cloud-init", "constant"],
)
def test_a_file_that_guests_cannot_use_stops_the_start(tmp_path: Path, name: str, text: str, says: str) -> None:
    file = tmp_path / f"{name}.json"
    file.write_text(text)
    (tmp_path / "settings.toml").write_text(f'[metadata.vendor_data]\nfile = "{file}"\n')
    done = run_headwater("--config", "settings.toml", "serve", directory=tmp_path, timeout_s=30)
    assert (done.returncode, done.stdout) == (2, "")
    for part in ("section [metadata.vendor_data], key 'file'", file.name, says):
        assert part in done.stderr


def test_services_that_want_to_know_who_asks_are_shown_a_token(
    keystone: Keystone, fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(authority.certificate())
    user = keystone.user(keystone.project("service"), "service")
    proof = {"auth_url": keystone.url, "username": user.name, "password": user.password}
    with vendor_data_services(tls) as services:
        settings = toml({"far": services.url("/far")}, send_token=True, cache_s=0, cafile=str(authority.file))
        settings += "\n".join(["[auth.keystone]", *(f"{key} = {json.dumps(value)}" for key, value in proof.items())])
        service = fresh_headwater(toml=settings)
        assert service.command("instance", "add", "--name", "web1", "--address", "127.0.0.1").returncode == 0
        for _ in range(2):
            assert httpx.get(f"{service.metadata_url}{OPENSTACK2}").json()["far"] == {"host": "web1", **JOINED}
        (first, again) = (headers["x-auth-token"] for _, headers, _ in services.asked)
        assert first == again
        assert keystone.knows(first)
        services.refused_tokens.add(first)
        assert httpx.get(f"{service.metadata_url}{OPENSTACK2}").json()["far"] == {"host": "web1", **JOINED}
        assert services.asked[-1][1]["x-auth-token"] != first
        assert first not in service.stderr()
