"""Instances of an OpenStack cloud are answered without being registered: by the real service, with a real Keystone.

Nova and Neutron are stand-ins (``servers/openstack/openstack_cloud.py``, which says why).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from functional.headwater_process import HeadwaterProcess
from headwater.instances.media.reading.open import medium_at
from servers.openstack import openstack_cloud
from servers.openstack.keystone import Keystone, User
from servers.openstack.openstack_cloud import ID, PORTS, PROJECT, StandInCloud, server

SECRET = "s3cr3t"
OTHER = "b65cee2f-8c69-4aeb-be2f-f79742540001"


def toml(keystone: Keystone, user: User, *more: str, signed: bool = True) -> str:
    neutron = f'[metadata.neutron]\nshared_secrets = ["{SECRET}"]\n' if signed else ""
    lines = (
        "[metadata.openstack]",
        f'auth_url = "{keystone.url}"',
        f'username = "{user.name}"',
        f'password = "{user.password}"',
        'project_name = "admin"',
        'interface = "public"',
        *more,
    )
    return neutron + "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def admin(keystone: Keystone) -> User:
    return keystone.user(keystone.admin_project, "admin")


@pytest.fixture(scope="module")
def shared_cloud(keystone: Keystone) -> Iterator[StandInCloud]:
    cloud = StandInCloud()
    cloud.start()
    keystone.endpoint("compute", "nova", f"{cloud.url}/v2.1")
    keystone.endpoint("network", "neutron", cloud.url)
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def service(
    keystone: Keystone, admin: User, shared_cloud: StandInCloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HeadwaterProcess]:
    quick = ("refresh_s = 0.2", "missing_s = 0.2", "stale_s = 600")
    process = HeadwaterProcess(tmp_path_factory.mktemp("cloud"), toml=toml(keystone, admin, *quick), workers=1)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def cloud(shared_cloud: StandInCloud) -> Iterator[StandInCloud]:
    yield shared_cloud
    shared_cloud.status = None
    shared_cloud.answers.set()
    shared_cloud.servers = {ID: server()}


@pytest.fixture
def known(cloud: StandInCloud) -> str:
    """The id of an instance that nobody has asked for."""
    instance_id = f"b65cee2f-8c69-4aeb-be2f-f797{secrets.token_hex(4)}"
    cloud.servers[instance_id] = server(id=instance_id)
    return instance_id


def signed(instance_id: str, project: str = PROJECT) -> dict[str, str]:
    signature = hmac.new(SECRET.encode(), instance_id.encode(), hashlib.sha256).hexdigest()
    named = {"X-Instance-ID": instance_id, "X-Tenant-ID": project, "X-Instance-ID-Signature": signature}
    return {**named, "X-Forwarded-For": "10.0.0.5"}


def get(service: HeadwaterProcess, path: str, instance_id: str = ID, project: str = PROJECT) -> httpx.Response:
    return httpx.get(f"{service.metadata_url}{path}", headers=signed(instance_id, project), timeout=60)


def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(100):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come about within 10 s")


def loads(cloud: StandInCloud, instance_id: str) -> int:
    return cloud.asked[f"/v2.1/servers/{instance_id}"]


def test_an_instance_of_the_cloud_reads_what_its_own_service_would_tell(
    service: HeadwaterProcess, cloud: StandInCloud
) -> None:
    meta = get(service, "/openstack/latest/meta_data.json").json()
    del meta["random_seed"]
    assert meta == {
        "uuid": ID,
        "meta": {"role": "webservers", "essential": "false"},
        "public_keys": {"mykey": openstack_cloud.KEY},
        "keys": [{"name": "mykey", "type": "ssh", "data": openstack_cloud.KEY}],
        "hostname": "web-1.novalocal",
        "name": "Web 1",
        "launch_index": 0,
        "availability_zone": "nova",
        "project_id": PROJECT,
        "devices": [],
        "dedicated_cpus": [],
    }
    network = get(service, "/openstack/latest/network_data.json").json()
    assert [each["type"] for each in network["networks"]] == ["ipv4_dhcp", "ipv6_slaac", "ipv4", "ipv6"]
    assert get(service, "/openstack/latest/user_data").content == openstack_cloud.USER_DATA
    told = {name: get(service, f"/latest/meta-data/{name}").text for name in ("public-ipv4", "instance-type")}
    assert told == {"public-ipv4": "203.0.113.9", "instance-type": "m1.small"}
    assert cloud.tokens


def test_the_volumes_of_an_instance_are_told_and_one_that_may_not_be_seen_costs_nothing_else(
    service: HeadwaterProcess, cloud: StandInCloud, known: str
) -> None:
    attached = {"os-extended-volumes:volumes_attached": [{"id": "v", "delete_on_termination": False}]}
    cloud.servers[known] = server(id=known, **attached)
    cloud.volumes[known] = ["/dev/vdc", None, "/dev/vdb"]
    devices = "/latest/meta-data/block-device-mapping/"
    assert get(service, devices, known).text == "ami\nebs0\nebs1\nroot"
    assert [get(service, f"{devices}ebs{n}", known).text for n in (0, 1)] == ["/dev/vdb", "/dev/vdc"]
    other = known[:-8] + secrets.token_hex(4)
    cloud.servers[other], cloud.volumes[other] = server(id=other, **attached), []
    cloud.refused.add(f"/v2.1/servers/{other}/os-volume_attachments")
    assert get(service, devices, other).text == "ami\nroot"


def test_a_password_of_an_instance_of_the_cloud_is_kept_until_its_owner_takes_it_away(
    service: HeadwaterProcess, cloud: StandInCloud, known: str, tmp_path: Path
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    secret, other = (base64.b64encode(key.public_key().encrypt(each, PKCS1v15())) for each in (b"pa55", b"another"))
    cloud.servers[known]["name"] = f"win-{known[-8:]}"

    def post(body: bytes) -> int:
        url = f"{service.metadata_url}/openstack/2013-04-04/password"
        return httpx.post(url, headers=signed(known), content=body, timeout=60).status_code

    path = "/openstack/latest/password"
    assert (get(service, path, known).status_code, get(service, path, known).text) == (200, "")
    assert [post(each) for each in (b"", b"x" * 1021, secret, secret, other)] == [400, 400, 200, 200, 409]
    assert get(service, path, known).content == secret
    waits = get(service, f"{path}?wait_for_change=true", known)
    assert (waits.status_code, "cannot be waited for" in waits.text) == (400, True)
    for name in (known, cloud.servers[known]["name"]):
        done = service.command("instance", "password", name, "--key", str(file))
        assert (done.returncode, done.stdout.strip()) == (0, "pa55")
    assert service.command("instance", "password", known, "--clear").returncode == 0
    assert [post(other), get(service, path, known).content == other] == [200, True]
    answer = httpx.get(f"{service.images_url}/instances/v1/instances/{known}/password")
    assert answer.json() == {"password": other.decode()}
    assert httpx.delete(str(answer.url)).status_code == 204
    assert httpx.get(str(answer.url)).json() == {"password": ""}
    unknown = known[:-8] + secrets.token_hex(4)
    never = service.command("instance", "password", unknown)
    assert (never.returncode != 0, "has asked this service for nothing" in never.stderr) == (True, True)


def test_what_an_instance_of_the_cloud_fetched_is_shown_with_a_verdict(
    service: HeadwaterProcess, cloud: StandInCloud, known: str
) -> None:
    get(service, "/openstack", known)
    get(service, "/openstack/latest/meta_data.json", known)
    url = f"{service.images_url}/instances/v1/instances/{known}/boot-log"
    eventually(lambda: httpx.get(url).text.count('"document"') == 2)
    told = httpx.get(url).json()
    assert [each["document"] for each in told["entries"]] == ["openstack", "openstack/latest/meta_data.json"]
    done = service.command("instance", "boot-log", known, "--json")
    assert json.loads(done.stdout) == told
    assert told["verdict"]["sentences"] == [
        "Web 1 read the list of versions once and meta_data.json once and never its user data"
    ]
    assert httpx.get(url, params={"all": "1"}).status_code == 400


@pytest.mark.parametrize("layout", ["openstack", "nocloud"])
def test_a_config_drive_of_an_instance_of_the_cloud_holds_what_the_trees_answer_byte_for_byte(
    service: HeadwaterProcess, cloud: StandInCloud, tmp_path: Path, layout: str
) -> None:
    file = tmp_path / "drive.iso"
    done = service.command("config-drive", "build", ID, "-o", file, "--layout", layout)
    assert (done.returncode, done.stderr) == (0, "")
    files = {path: found.read() for path, found in medium_at(file).files.items()}
    below = "" if layout == "openstack" else "nocloud/"
    as_files = {path: data for path, data in files.items() if not path.startswith("ec2/")}
    answers = {path: get(service, f"/{below}{path}").content for path in as_files}
    assert {"openstack/latest/network_data.json", "network-config"} & answers.keys()
    assert {path: _without_seed(data) for path, data in answers.items()} == {
        path: _without_seed(data) for path, data in as_files.items()
    }
    if layout == "openstack":
        user_data, ec2 = get(service, "/latest/user-data").content, files["ec2/latest/meta-data.json"]
        assert files["ec2/latest/user-data"] == user_data == openstack_cloud.USER_DATA
        assert json.loads(ec2)["hostname"] == get(service, "/latest/meta-data/hostname").text


def _without_seed(document: bytes) -> bytes:
    return re.sub(rb'"random_seed": "[^"]+"', b"", document)


def test_commands_know_an_instance_of_the_cloud_that_has_never_asked_and_leave_it_to_the_cloud(
    service: HeadwaterProcess, cloud: StandInCloud, known: str, tmp_path: Path
) -> None:
    shown = service.command("instance", "show", known)
    assert "openstack: it is changed there, and not here" in shown.stdout
    assert service.command("instance", "lint", known, "--level", "error").returncode == 0
    said = service.command("instance", "arguments", known, "--directory", tmp_path, "--json")
    assert json.loads(said.stdout)["id"] == known
    assert service.command("instance", "show", "Never Seen").stderr.count("once it has asked for metadata") == 1
    for words in (("set", known, "--meta", "a=b"), ("remove", known), ("seed", known), ("seed", known, "--revoke")):
        refused = service.command("instance", *words, "--json")
        error = json.loads(refused.stderr)["error"]
        assert (refused.returncode, error["instance_id"], error["name"]) == (1, known, "Web 1")
        assert error["type"] == ("NoPathOfCloud" if "seed" in words else "MachineOfCloud")


def test_an_instance_of_the_cloud_is_answered_on_a_channel_of_its_own(
    service: HeadwaterProcess, cloud: StandInCloud, known: str
) -> None:
    asked = b"GET /openstack/latest/user_data HTTP/1.0\r\n\r\n"
    done = service.command("metadata-proxy", "--instance", known, input=asked)
    assert done.stdout.replace("\r\n", "\n").partition("\n\n")[2].encode() == openstack_cloud.USER_DATA
    log = service.command("instance", "boot-log", known, "--json")
    assert [each["document"] for each in json.loads(log.stdout)["entries"]] == ["openstack/latest/user_data"]


def test_over_http_an_instance_of_the_cloud_is_shown_and_listed_and_not_changed(
    service: HeadwaterProcess, cloud: StandInCloud, known: str
) -> None:
    name = cloud.servers[known]["name"] = f"web-{known[-8:]}"
    every = f"{service.images_url}/instances/v1/instances"
    by_id = httpx.get(f"{every}/{known}")  # it has never asked, and now it is known by its name
    by_name: list[httpx.Response] = []
    eventually(lambda: by_name.append(httpx.get(f"{every}/{name}")) or by_name[-1].status_code == 200)  # type: ignore[func-returns-value]
    document = by_name[-1].json()
    assert (document["source"], document["hostname"]) == ("openstack", "web-1.novalocal")
    assert base64.b64decode(document["user_data_base64"]) == openstack_cloud.USER_DATA
    assert {**by_id.json(), "told_at": 0} == {**document, "told_at": 0}
    shown = json.loads(service.command("instance", "show", name, "--json").stdout)
    assert {**shown, "told_at": 0}.items() >= {**document, "told_at": 0}.items()
    for answer in (
        httpx.patch(f"{every}/{known}", json={"name": "x"}),
        httpx.patch(f"{every}/{name}", json={}, headers={"If-Match": by_id.headers["ETag"]}),
        httpx.delete(f"{every}/{known}"),
    ):
        assert (answer.status_code, "change it there" in answer.text) == (403, True)
    listed = httpx.get(every, params={"source": "openstack", "name": name}).json()["instances"]
    assert [each["id"] for each in listed] == [known]
    assert listed[0] == {key: document[key] for key in listed[0]} | {"told_at": listed[0]["told_at"]}
    assert known not in httpx.get(every, params={"name": name}).text
    table = service.command("instance", "list", "--source", "openstack", "--name", name)
    assert known in table.stdout
    twin = known[:-8] + secrets.token_hex(4)
    cloud.servers[twin] = server(id=twin, name=name)
    assert httpx.get(f"{every}/{twin}").status_code == 200
    eventually(lambda: httpx.get(f"{every}/{name}").status_code == 409)
    page = httpx.get(every, params={"source": "openstack", "name": name, "limit": "1"}).json()
    following = httpx.get(f"{service.images_url}{page['next']}").json()
    assert [each["instances"][0]["id"] for each in (page, following)] == sorted((known, twin))
    assert "next" not in following
    for wrong in ("source=aws", "source=openstack&image=x", "source=openstack&project_id=x"):
        assert httpx.get(f"{every}?{wrong}").status_code == 400


def test_over_http_an_instance_of_the_cloud_is_its_projects_alone(
    keystone: Keystone, admin: User, tmp_path: Path
) -> None:
    cloud, projects = StandInCloud(), [keystone.project() for _ in range(2)]
    cloud.servers = {ID: server(tenant_id=projects[0]), OTHER: server(id=OTHER, tenant_id=projects[1])}
    cloud.start()
    more = (f'compute_endpoint = "{cloud.url}/v2.1"', f'network_endpoint = "{cloud.url}"', "refresh_s = 600")
    auth = (
        f'auth_url = "{keystone.url}"\nusername = "{admin.name}"\npassword = "{admin.password}"\nproject_name = "admin"'
    )
    text = f'{toml(keystone, admin, *more)}[auth]\nmode = "keystone"\n[auth.keystone]\n{auth}\n'
    process = HeadwaterProcess(tmp_path, toml=text, workers=1)
    try:
        process.start()
        tokens = [keystone.token(keystone.user(project, "member"), project) for project in projects]
        every = f"{process.images_url}/instances/v1/instances"

        def ask(number: int, path: str = "", method: str = "GET", **more: Any) -> httpx.Response:
            headers = {"X-Auth-Token": tokens[number], "Accept": "application/json", **more.pop("headers", {})}
            return httpx.request(method, f"{every}{path}", headers=headers, timeout=60, **more)

        assert ask(0, f"/{ID}").status_code == 404  # it has not asked
        assert loads(cloud, ID) == 0  # nor has the cloud been
        get(process, "/latest/meta-data/hostname", project=projects[0])
        get(process, "/latest/meta-data/hostname", OTHER, projects[1])
        eventually(
            lambda: [ask(number, f"/{each}").status_code for number, each in enumerate((ID, OTHER))] == [200, 200]
        )
        assert [ask(number, "/Web 1").json()["id"] for number in (0, 1)] == [ID, OTHER]
        held = {"If-None-Match": ask(0, f"/{ID}").headers["ETag"]}
        assert ask(0, f"/{ID}", headers=held).status_code == 304
        absent = str(uuid.uuid4())
        for method in ("GET", "PATCH", "DELETE"):
            json_of: dict[str, Any] = {"json": {}} if method == "PATCH" else {}
            refused = [ask(1, f"/{each}", method, **json_of) for each in (ID, absent)]
            assert [each.status_code for each in refused] == [404, 404]
            assert len({re.sub(r"[0-9a-f]{8}-[-0-9a-f]{27}", "", each.json()["message"]) for each in refused}) == 1
        assert ask(0, f"/{ID}", "PATCH", json={}).status_code == ask(0, f"/{ID}", "DELETE").status_code == 403
        named = [ask(number, "?source=openstack&name=Web%201").json()["instances"] for number in (0, 1)]
        assert [[each["id"] for each in found] for found in named] == [[ID], [OTHER]]
        assert (ask(0, "?source=openstack").status_code, ask(0).json()) == (403, {"instances": []})
    finally:
        process.kill()
        cloud.stop()


def test_while_the_cloud_does_not_answer_people_get_its_last_word_with_its_age(
    service: HeadwaterProcess, cloud: StandInCloud, known: str, tmp_path: Path
) -> None:
    every = f"{service.images_url}/instances/v1/instances"
    get(service, "/latest/meta-data/hostname", known)
    eventually(lambda: httpx.get(f"{every}/{known}").status_code == 200)
    cloud.stop()
    try:
        time.sleep(1)
        done = service.command("config-drive", "build", known, "-o", tmp_path / "drive.iso")
        assert (done.returncode, "the cloud does not answer (" in done.stderr) == (0, True)
        assert re.search(r"this is what it said of Web 1 \d+ seconds ago, at 20", done.stderr)
        assert httpx.get(f"{every}/{known}").json()["id"] == known
        unknown = known[:-8] + secrets.token_hex(4)
        silent = service.command("instance", "show", unknown)
        assert (silent.returncode, f"no instance {unknown!r} is registered, and the cloud" in silent.stderr) == (
            1,
            True,
        )
        assert httpx.get(f"{every}/{unknown}").status_code == 503
    finally:
        cloud.start()


def test_after_a_restart_without_its_cloud_an_old_answer_is_given_and_its_age_told(
    keystone: Keystone, admin: User, tmp_path: Path
) -> None:
    cloud = StandInCloud()
    more = (f'compute_endpoint = "{cloud.url}/v2.1"', f'network_endpoint = "{cloud.url}"', "refresh_s = 0.2")
    process = HeadwaterProcess(tmp_path, toml=toml(keystone, admin, *more), workers=2)
    cloud.start()
    try:
        process.start()
        assert get(process, "/latest/meta-data/hostname").text == "web-1.novalocal"
        cloud.stop()
        process.stop()
        time.sleep(1)  # past the time in which the answer is given while the cloud is asked again
        process.start()
        told = get(process, "/openstack/latest/user_data")
        assert (told.status_code, told.content) == (200, openstack_cloud.USER_DATA)
        assert get(process, "/openstack/latest/user_data", project="red").status_code == 404
        metrics = httpx.get(f"{process.images_url}/metrics").text
        assert _metric(metrics, 'headwater_cloud_answers_total{how="stale"}') >= 1
        assert _metric(metrics, "headwater_cloud_oldest_answer_seconds") > 0.2
        assert get(process, "/latest/meta-data/hostname", OTHER).status_code == 503
    finally:
        process.kill()
        cloud.stop()


def test_many_workers_ask_for_a_machine_once(keystone: Keystone, admin: User, tmp_path: Path) -> None:
    cloud = StandInCloud()
    more = (f'compute_endpoint = "{cloud.url}/v2.1"', f'network_endpoint = "{cloud.url}"', "refresh_s = 600")
    process = HeadwaterProcess(tmp_path, toml=toml(keystone, admin, *more), workers=4)
    cloud.start()
    try:
        process.start()
        cloud.answers.clear()
        with ThreadPoolExecutor(32) as threads:
            asking = [threads.submit(get, process, "/openstack/latest/user_data") for _ in range(32)]
            eventually(lambda: loads(cloud, ID) > 0)
            time.sleep(0.5)  # the others have come to wait
            cloud.answers.set()
            assert {each.result().content for each in asking} == {openstack_cloud.USER_DATA}
            later = [threads.submit(get, process, "/latest/meta-data/hostname") for _ in range(32)]
            assert {each.result().text for each in later} == {"web-1.novalocal"}
        assert loads(cloud, ID) == 1
    finally:
        process.kill()
        cloud.stop()


def test_who_waits_for_a_change_is_told_what_the_cloud_says(
    service: HeadwaterProcess, cloud: StandInCloud, known: str
) -> None:
    path = "/openstack/latest/meta_data.json"
    get(service, path, known)
    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(get, service, "/latest/meta-data/hostname?wait_for_change=true&timeout_sec=50", known)
        time.sleep(1)
        assert not waits.done()
        cloud.servers[known] = server(id=known, **{"OS-EXT-SRV-ATTR:hostname": "web-2"})
        assert waits.result().text == "web-2.novalocal"


def test_the_registry_comes_first(service: HeadwaterProcess, cloud: StandInCloud) -> None:
    cloud.servers[OTHER] = server(id=OTHER)
    given = ("--name", "ours", "--id", OTHER, "--project-id", "blue")
    assert service.command("instance", "add", *given).returncode == 0
    assert get(service, "/latest/meta-data/hostname", OTHER, "blue").text == "ours"
    assert loads(cloud, OTHER) == 0
    # Nobody takes a machine's answers away by registering its id in another project.
    assert get(service, "/latest/meta-data/hostname", OTHER, PROJECT).text == "web-1.novalocal"
    assert get(service, "/latest/meta-data/hostname", OTHER, "red").status_code == 404


def test_what_the_cloud_does_not_know_or_is_of_another_project_is_404(
    service: HeadwaterProcess, cloud: StandInCloud, known: str
) -> None:
    unknown = known[:-8] + secrets.token_hex(4)
    strange = [get(service, "/latest/meta-data/", known, "red"), get(service, "/latest/meta-data/", unknown)]
    assert [each.status_code for each in strange] == [404, 404]
    assert {each.text.replace(known, "").replace(unknown, "") for each in strange} == {
        strange[0].text.replace(known, "")
    }
    for nonsense in ("..%2f..", "nonsense"):
        assert get(service, "/latest/meta-data/", nonsense).status_code == 404
    assert not [path for path in cloud.asked if "nonsense" in path or ".." in path]


def test_a_change_in_the_cloud_is_told_and_what_it_took_away_can_be_read_to_the_end(
    service: HeadwaterProcess, cloud: StandInCloud, known: str
) -> None:
    assert "user_data" in get(service, "/openstack/latest", known).text
    wait = "?wait_for_change=true&timeout_sec=1"
    assert get(service, f"/openstack/latest/user_data{wait}", known).content == openstack_cloud.USER_DATA
    cloud.servers[known] = server(id=known, metadata={"role": "db"}, **{"OS-EXT-SRV-ATTR:user_data": None})
    eventually(lambda: get(service, "/openstack/latest/meta_data.json", known).json().get("meta") == {"role": "db"})
    assert "user_data" not in get(service, "/openstack/latest", known).text.split("\n")
    assert get(service, "/openstack/latest/user_data", known).content == openstack_cloud.USER_DATA


@pytest.mark.parametrize("fault", ["500", "away", "nonsense"])
def test_an_old_answer_is_given_while_the_cloud_does_not_answer(
    service: HeadwaterProcess, cloud: StandInCloud, known: str, fault: str
) -> None:
    assert get(service, "/latest/meta-data/hostname", known).text == "web-1.novalocal"
    if fault == "500":
        cloud.status = 500
    elif fault == "away":
        cloud.stop()
    else:
        cloud.servers[known] = {"id": known}
    try:
        time.sleep(1)  # past the time in which the answer is good by itself
        assert get(service, "/latest/meta-data/hostname", known).text == "web-1.novalocal"
    finally:
        if fault == "away":
            cloud.start()
    metrics = httpx.get(f"{service.images_url}/metrics").text
    assert _metric(metrics, 'headwater_cloud_answers_total{how="stale"}') >= 1
    assert _metric(metrics, "headwater_cloud_oldest_answer_seconds") >= 1


def _metric(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def test_a_service_starts_without_its_cloud_and_asks_one_question_for_many_once_that_is_there(
    keystone: Keystone, admin: User, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cloud = StandInCloud()
    more = (f'compute_endpoint = "{cloud.url}/v2.1"', f'network_endpoint = "{cloud.url}/"')
    process = HeadwaterProcess(tmp_path_factory.mktemp("alone"), toml=toml(keystone, admin, *more), workers=1)
    process.start()
    try:
        answer = get(process, "/latest/meta-data/hostname")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        metrics = httpx.get(f"{process.images_url}/metrics").text
        assert _metric(metrics, 'headwater_cloud_answers_total{how="failed"}') >= 1
        before = loads(cloud, ID)
        cloud.answers.clear()
        cloud.start()
        with ThreadPoolExecutor(24) as threads:
            asking = [threads.submit(get, process, "/openstack/latest/user_data") for _ in range(24)]
            eventually(lambda: loads(cloud, ID) > before)
            cloud.answers.set()
            assert {each.result().content for each in asking} == {openstack_cloud.USER_DATA}
        assert loads(cloud, ID) == before + 1
        said = process.stderr() + json.dumps(process.logs())
        assert "cannot be reached" in said
        for secret in (admin.password, *cloud.tokens, openstack_cloud.server()["OS-EXT-SRV-ATTR:user_data"]):
            assert secret not in said
    finally:
        process.kill()
        cloud.stop()


def test_an_address_tells_who_asks_where_no_agent_does(
    keystone: Keystone, admin: User, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cloud = StandInCloud()
    cloud.ports = [_at("127.0.0.9", ID), _at("127.0.0.10", ID), _at("127.0.0.10", OTHER), *PORTS]
    cloud.start()
    more = (f'compute_endpoint = "{cloud.url}/v2.1"', f'network_endpoint = "{cloud.url}"', "refresh_s = 0.2")
    text = toml(keystone, admin, *more, signed=False)
    process = HeadwaterProcess(tmp_path_factory.mktemp("addresses"), toml=text, workers=1)
    process.start()
    try:

        def at(address: str) -> tuple[int, str]:
            with httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=60) as client:
                answer = client.get(f"{process.metadata_url}/latest/meta-data/hostname")
                return answer.status_code, answer.text

        assert at("127.0.0.9") == (200, "web-1.novalocal")
        assert [at(address)[0] for address in ("127.0.0.10", "127.0.0.11")] == [404, 404]  # two have it; nobody
        cloud.ports = list(PORTS)
        time.sleep(0.3)
        assert at("127.0.0.9")[0] == 404  # at once: it may be another's by now
    finally:
        process.kill()
        cloud.stop()


def _at(address: str, instance_id: str) -> dict[str, Any]:
    mac = "fa:16:3e:00:00:" + address.rpartition(".")[2].zfill(2)
    return {
        **PORTS[1],
        "id": str(uuid.uuid4()),
        "mac_address": mac,
        "device_id": instance_id,
        "fixed_ips": [{"subnet_id": "s1", "ip_address": address}],
    }


def test_settings_that_cannot_work_stop_the_start(tmp_path_factory: pytest.TempPathFactory) -> None:
    for text, told in (
        ('username = "x"', "'username' is set and 'auth_url', which turns the lookup on, is not"),
        ('auth_url = "http://127.0.0.1:1"\nusername = "x"', "password missing"),
    ):
        directory = tmp_path_factory.mktemp("wrong")
        process = HeadwaterProcess(directory, toml=f"[metadata.openstack]\n{text}\n", workers=1)
        done = process.command("config", "check")
        assert done.returncode != 0
        assert told in done.stderr
