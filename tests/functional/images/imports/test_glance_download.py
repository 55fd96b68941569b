"""Imports from the Image service of another region: two services, one Keystone, and regions that misbehave."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.clients import Client
from functional.headwater_process import HeadwaterDidNotStart, HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, show
from functional.import_requests import ended, make
from needs import CHECKOUT
from servers.http.web import Asked, SendBytes, WebServer, redirect, web_server
from servers.openstack.keystone import Keystone, User

HERE, THERE, ODD = "here", "there", "odd"  # regions; what answers in the last one a test says
MIB = 1 << 20
BLOB = random.Random(47).randbytes(5 * MIB + 3)
ENV = {"PYTHONPATH": str(CHECKOUT / "src")}


class Cloud:
    """One Keystone, an Image service in each of two regions, and a web server in a third."""

    def __init__(self, keystone: Keystone, web: WebServer, directory: Path) -> None:
        self.keystone, self.web = keystone, web
        self.project, self.other_project = keystone.project(), keystone.project()
        self.member = keystone.user(self.project, "member")
        self.other = keystone.user(self.other_project, "member")
        self.service = keystone.user(keystone.admin_project, "service", "admin")
        self.protections = directory / "protections"
        self.protections.write_text(
            "[^hw_secret.*]\ncreate = admin\nread = admin,member\nupdate = admin\ndelete = admin\n"
            "[.*]\ncreate = admin,member\nread = admin,member\nupdate = admin,member\ndelete = admin,member\n"
        )
        offers = f"""
[images]
import_methods = ["glance-direct", "web-download", "copy-image", "glance-download"]
property_protection_file = "{self.protections}"
http_retries = 1
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
read_timeout_s = 5
"""
        self.here = HeadwaterProcess(_made(directory / "here"), toml=self.toml(self.service) + offers, env=ENV)
        self.there = HeadwaterProcess(_made(directory / "there"), toml=self.toml(self.service), env=ENV)
        self.here.start()
        self.there.start()
        self.regions = {name: f"{name}-{uuid.uuid4().hex[:6]}" for name in (HERE, THERE, ODD)}
        image = keystone.endpoint("image", "glance", "http://127.0.0.1:9")
        urls = (self.here.images_url, f"{self.there.images_url}/v2", f"{web.url('/image')}/")
        for region, url in zip(self.regions.values(), urls, strict=True):
            keystone.add_region(region)
            keystone.place(image, url, region=region, interfaces=["public", "internal"])

    def toml(self, service: User) -> str:
        return f"""
[log]
level = "debug"
[auth]
mode = "keystone"
[auth.keystone]
auth_url = "{self.keystone.url}"
username = "{service.name}"
password = "{service.password}"
project_name = "admin"
"""

    def client(self, process: HeadwaterProcess, user: User | None = None, project: str | None = None) -> httpx.Client:
        token = self.keystone.token(user or self.member, project or self.project)
        headers = {"Accept": "application/json", "X-Auth-Token": token}
        return httpx.Client(base_url=process.images_url, timeout=60, headers=headers, trust_env=False)

    def remote(self, data: bytes = BLOB, **said: Any) -> str:
        """Make an image in the other region, and return its id."""
        with self.client(self.there) as http:
            image_id = make(http, **said)
            answer = http.put(f"/v2/images/{image_id}/file", content=data, headers=OCTETS)
            assert answer.status_code == 204, answer.text
        return image_id


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def cloud(keystone: Keystone, web: WebServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(keystone, web, tmp_path_factory.mktemp("regions"))
    yield made
    made.here.stop()
    made.there.stop()


@pytest.fixture
def http(cloud: Cloud) -> Iterator[httpx.Client]:
    with cloud.client(cloud.here) as client:
        yield client


def empty(http: httpx.Client, **said: Any) -> str:
    """Make an image of which nobody has said what it will be."""
    answer = http.post("/v2/images", json={"name": "from elsewhere", "visibility": "private", **said})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def bring(http: httpx.Client, image_id: str, region: str, remote_id: str, **more: Any) -> httpx.Response:
    method = {"name": "glance-download", "glance_region": region, "glance_image_id": remote_id, **more}
    # Source: tempest says "all_stores" to every service.
    return http.post(f"/v2/images/{image_id}/import", json={"method": method, "all_stores": True})


def require_failed(http: httpx.Client, image_id: str, before: dict[str, Any]) -> str:
    """Return why the import failed; the image is as it was."""
    task = ended(http, image_id)
    assert task["status"] == "failure", task
    after = show(http, image_id)
    assert "os_glance_import_task" not in after
    changing = ("updated_at", "os_glance_importing_to_stores", "os_glance_failed_import")
    left = [{name: value for name, value in each.items() if name not in changing} for each in (before, after)]
    assert left[0] == left[1]
    return str(task["message"])


# --- What is brought ---------------------------------------------------------------------------------


def test_data_formats_and_chosen_properties_come_along_and_are_what_they_were_there(
    http: httpx.Client, cloud: Cloud
) -> None:
    said: dict[str, Any] = {"hw_disk_bus": "scsi", "os_type": "linux", "trait:CUSTOM_X": "required"}
    remote_id = cloud.remote(BLOB, **said, hw_secret_sauce="no", my_own="stays there")
    image_id = empty(http, hw_disk_bus="ide", mine="stays here")
    answer = bring(http, image_id, cloud.regions[THERE], remote_id)
    assert (answer.status_code, answer.content) == (202, b"")
    task = ended(http, image_id)
    assert task["status"] == "success", task
    assert task["progress"] == {"bytes": len(BLOB), "of": len(BLOB)}
    method = task["input"]["import_req"]["method"]
    assert (method["name"], method["glance_image_id"]) == ("glance-download", remote_id)
    image = show(http, image_id)
    assert (image["status"], image["disk_format"], image["container_format"]) == ("active", "raw", "bare")
    assert (image["size"], image["os_hash_value"]) == (len(BLOB), hashlib.sha512(BLOB).hexdigest())
    assert {name: image.get(name) for name in ("hw_disk_bus", "os_type", "trait:CUSTOM_X", "mine", "name")} == {
        "hw_disk_bus": "scsi",
        "os_type": "linux",
        "trait:CUSTOM_X": "required",
        "mine": "stays here",
        "name": "from elsewhere",
    }
    assert "my_own" not in image
    assert "hw_secret_sauce" not in image  # the protections let no member give it to an image
    assert "os_glance_import_task" not in image
    assert http.get(f"/v2/images/{image_id}/file").content == BLOB


def test_no_byte_is_data_in_another_region_too(http: httpx.Client, cloud: Cloud) -> None:
    remote_id, image_id = cloud.remote(b""), empty(http)
    assert bring(http, image_id, cloud.regions[THERE], remote_id).status_code == 202
    assert ended(http, image_id)["status"] == "success"
    assert (show(http, image_id)["status"], show(http, image_id)["size"]) == ("active", 0)


def test_methods_tell_of_it_where_it_is_set(http: httpx.Client, cloud: Cloud) -> None:
    assert "glance-download" in http.get("/v2/info/import").json()["import-methods"]["value"]
    with cloud.client(cloud.there) as other:
        assert "glance-download" not in other.get("/v2/info/import").json()["import-methods"]["value"]
        refused = bring(other, empty(other), cloud.regions[HERE], str(uuid.uuid4()))
    assert refused.status_code == 400
    assert "Unknown import method name 'glance-download'" in refused.text


def test_the_token_is_in_no_file_and_no_log(http: httpx.Client, cloud: Cloud) -> None:
    token = http.headers["X-Auth-Token"].encode()
    held = bytearray()

    def holding(_asked: Asked, send: SendBytes) -> None:
        for file in cloud.here.data_dir.glob("headwater.db*"):
            held.extend(file.read_bytes())
        send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    remote_id = str(uuid.uuid4())
    cloud.web.pages[f"/image/v2/images/{remote_id}"] = holding
    image_id = empty(http)
    assert bring(http, image_id, cloud.regions[ODD], remote_id).status_code == 202
    assert ended(http, image_id)["status"] == "failure"
    assert remote_id.encode() in held
    assert token not in held
    assert token.decode() not in cloud.here.stderr()


# --- What is refused at once -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"glance_image_id": "foo"}, "Remote image id does not look like a UUID: foo"),
        ({"glance_image_id": None}, "'glance_image_id'"),
        ({"glance_region": None}, "'glance_region'"),
        ({"glance_region": ""}, "'glance_region'"),
        ({"glance_region": ["there"]}, "'glance_region'"),
        ({"glance_service_interface": 7}, "'glance_service_interface'"),
    ],
)
def test_a_body_that_names_no_image_elsewhere_is_refused(
    http: httpx.Client, cloud: Cloud, more: dict[str, Any], says: str
) -> None:
    image_id = empty(http)
    answer = bring(http, image_id, cloud.regions[THERE], str(uuid.uuid4()), **more)
    assert answer.status_code == 400
    assert says in answer.text
    assert show(http, image_id)["status"] == "queued"


def test_without_keystone_the_start_is_refused(tmp_path: Path) -> None:
    process = HeadwaterProcess(tmp_path, toml='[images]\nimport_methods = ["glance-download"]\n')
    with pytest.raises(HeadwaterDidNotStart, match="glance-download"):
        process.start()


# --- What fails --------------------------------------------------------------------------------------


def test_what_is_not_to_be_had_fails_with_its_reason_and_leaves_the_image_as_it_was(
    http: httpx.Client, cloud: Cloud
) -> None:
    there, remote_id, missing = cloud.regions[THERE], cloud.remote(hw_disk_bus="scsi"), str(uuid.uuid4())
    with cloud.client(cloud.there) as other:
        waiting = make(other)
    with cloud.client(cloud.there, cloud.other, cloud.other_project) as stranger:
        foreign = make(stranger)
    cases: list[tuple[str, str, dict[str, Any], tuple[str, ...]]] = [
        ("nowhere", remote_id, {}, ("nowhere", "catalogue")),
        (there, remote_id, {"glance_service_interface": "admin"}, ("'admin'", "catalogue")),
        (there, missing, {}, (missing, "is not there")),
        (there, foreign, {}, (foreign, "is not there")),
        (there, waiting, {}, (waiting, "is queued")),
    ]
    for region, wanted, more, reasons in cases:
        image_id = empty(http, mine="stays", disk_format="qcow2")
        before = show(http, image_id)
        assert bring(http, image_id, region, wanted, **more).status_code == 202
        message = require_failed(http, image_id, before)
        assert all(reason in message for reason in reasons), message


def says(remote_id: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {
        "id": remote_id,
        "status": "active",
        "disk_format": "raw",
        "container_format": "bare",
        "size": len(data),
        "checksum": hashlib.md5(data).hexdigest(),
        "os_hash_algo": "sha512",
        "os_hash_value": hashlib.sha512(data).hexdigest(),
        **more,
    }


def tells(cloud: Cloud, remote_id: str, document: Any) -> str:
    """Let the odd region tell of an image, and return the path of its data."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    cloud.web.pages[f"/image/v2/images/{remote_id}"] = lambda _asked, send: send(head + body)
    return f"/image/v2/images/{remote_id}/file"


def gives(data: bytes) -> Any:
    return lambda _asked, send: send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (says("", b"other"), hashlib.sha512(BLOB).hexdigest()),
        ({**says("", b"other"), "os_hash_algo": None, "os_hash_value": None}, hashlib.md5(BLOB).hexdigest()),
        (says("", BLOB, disk_format="luks"), "'luks'"),
        (says("", BLOB, disk_format=None), "disk_format"),
        (says("", BLOB, container_format=["bare"]), "container_format"),
        (says("", BLOB, disk_format="qcow2"), "qcow2"),
        (says("", BLOB, status="deactivated"), "deactivated"),
        (says("", BLOB, **{f"hw_{n}": "x" for n in range(200)}), "properties"),
        (b"[]", "JSON"),
        (b"<html>", "JSON"),
        (b'{"a": "' + b"x" * (5 * MIB) + b'"}', "described by more"),
    ],
    ids=[
        "another hash", "another checksum", "format not offered", "no format", "no container", "not its format",
        "not active", "too many properties", "list", "page", "endless",
    ],
)  # fmt: skip
def test_a_region_that_tells_something_else_than_it_gives_fails_the_import(
    http: httpx.Client, cloud: Cloud, document: Any, reason: str
) -> None:
    remote_id = str(uuid.uuid4())
    cloud.web.pages[tells(cloud, remote_id, document)] = gives(BLOB)
    image_id = empty(http)
    before = show(http, image_id)
    assert bring(http, image_id, cloud.regions[ODD], remote_id).status_code == 202
    assert reason in require_failed(http, image_id, before)
    wait_until(lambda: not list(cloud.here.data_dir.glob(f"stores/*/*/**/{image_id}.*")), "no byte of it is kept")


def test_names_that_are_no_properties_do_not_come_along(http: httpx.Client, cloud: Cloud) -> None:
    remote_id = str(uuid.uuid4())
    odd = {"os_type": ["no", "text"], "hw_rng": 7, "hw_" + "x" * 300: "long", "hw_ok": "yes"}
    cloud.web.pages[tells(cloud, remote_id, says(remote_id, BLOB, **odd))] = gives(BLOB)
    image_id = empty(http)
    assert bring(http, image_id, cloud.regions[ODD], remote_id).status_code == 202
    assert ended(http, image_id)["status"] == "success"
    image = show(http, image_id)
    assert (image["hw_ok"], {"os_type", "hw_rng"} & image.keys()) == ("yes", set())
    assert not any(len(name) > 255 for name in image)


def test_data_that_breaks_off_goes_on_at_the_next_byte_without_a_tag_as_its_hash_proves_it(
    http: httpx.Client, cloud: Cloud
) -> None:
    starts: list[int] = []

    def breaking(asked: Asked, send: SendBytes) -> None:
        start = int(asked.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        starts.append(start)
        assert asked.headers["x-auth-token"] == http.headers["X-Auth-Token"]
        length = b"Content-Length: %d\r\n\r\n" % (len(BLOB) - start)
        if start == 0:
            send(b"HTTP/1.1 200 OK\r\n" + length)
        else:
            parts = b"Content-Range: bytes %d-%d/%d\r\n" % (start, len(BLOB) - 1, len(BLOB))
            send(b"HTTP/1.1 206 Partial Content\r\n" + parts + length)
        send(BLOB[start : start + 2 * MIB])

    remote_id = str(uuid.uuid4())
    cloud.web.pages[tells(cloud, remote_id, says(remote_id, BLOB))] = breaking
    image_id = empty(http)
    assert bring(http, image_id, cloud.regions[ODD], remote_id).status_code == 202
    assert ended(http, image_id)["status"] == "success"
    assert http.get(f"/v2/images/{image_id}/file").content == BLOB
    assert len(starts) == len(set(starts)) == 3


def test_a_redirect_to_another_server_takes_no_token_along(http: httpx.Client, cloud: Cloud) -> None:
    remote_id = str(uuid.uuid4())
    data_path = tells(cloud, remote_id, says(remote_id, BLOB))
    with web_server() as bucket:
        bucket.pages["/object"] = gives(BLOB)
        cloud.web.pages[data_path] = redirect(bucket.url("/object"), 307)
        image_id = empty(http)
        assert bring(http, image_id, cloud.regions[ODD], remote_id).status_code == 202
        assert ended(http, image_id)["status"] == "success"
        (asked,) = bucket.asked
    assert "x-auth-token" not in asked.headers


def test_a_redirect_into_the_cloud_is_refused(http: httpx.Client, cloud: Cloud) -> None:
    remote_id = str(uuid.uuid4())
    cloud.web.pages[tells(cloud, remote_id, says(remote_id, BLOB))] = redirect("http://169.254.169.254/latest")
    image_id = empty(http)
    before = show(http, image_id)
    assert bring(http, image_id, cloud.regions[ODD], remote_id).status_code == 202
    assert "169.254.169.254" in require_failed(http, image_id, before)


def test_a_region_at_an_address_that_the_filter_does_not_allow_is_not_asked(cloud: Cloud, tmp_path: Path) -> None:
    toml = cloud.toml(cloud.service) + '[images]\nimport_methods = ["glance-download"]\n'
    process = HeadwaterProcess(tmp_path, toml=toml, env=ENV)
    process.start()
    try:
        remote_id = cloud.remote()
        with cloud.client(process) as http:
            image_id = empty(http)
            before = show(http, image_id)
            assert bring(http, image_id, cloud.regions[THERE], remote_id).status_code == 202
            assert "is refused" in require_failed(http, image_id, before)
    finally:
        process.stop()


def test_a_token_that_was_revoked_meanwhile_fails_the_import_and_says_so(cloud: Cloud) -> None:
    user = cloud.keystone.user(cloud.project, "member")
    remote_id = cloud.remote()
    with cloud.client(cloud.here, user) as http, cloud.client(cloud.here) as own:
        image_id = empty(http)
        cloud.keystone.revoke(http.headers["X-Auth-Token"])  # which the service knows to be good for a while
        assert bring(http, image_id, cloud.regions[THERE], remote_id).status_code == 202
        assert "not valid any more" in ended(own, image_id)["message"]


# --- Clients -----------------------------------------------------------------------------------------


def test_glance_imports_from_another_region(glance_client: Path, cloud: Cloud, tmp_path: Path) -> None:
    env = {
        "OS_AUTH_URL": cloud.keystone.url,
        "OS_REGION_NAME": cloud.regions[HERE],
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": cloud.member.name,
        "OS_PASSWORD": cloud.member.password,
        "OS_PROJECT_ID": cloud.project,
        "OS_USER_DOMAIN_ID": "default",
    }
    glance = Client(glance_client, tmp_path, env=env)
    remote_id = cloud.remote(os_type="linux")
    with cloud.client(cloud.here) as http:
        image_id = empty(http, disk_format="raw", container_format="bare")  # which the client insists on
        method = ("--import-method", "glance-download", "--remote-region", cloud.regions[THERE])
        glance("image-import", *method, "--remote-image-id", remote_id, image_id)
        assert ended(http, image_id)["status"] == "success"
        image = show(http, image_id)
        assert (image["status"], image["os_type"]) == ("active", "linux")
        made = glance("image-create-via-import", *method, "--remote-image-id", remote_id, "--name", "via import")
        made_id = next(line.split("|")[2].strip() for line in made.splitlines() if line.startswith("| id "))
        assert ended(http, made_id)["status"] == "success"
        assert http.get(f"/v2/images/{made_id}/file").content == BLOB
