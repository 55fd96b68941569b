"""Every attack by an image or by its URL, over every way by which one comes in; nothing of it is kept or given out."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest
import zstandard

from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, PATCH
from functional.import_requests import ended, make, stage
from needs import CHECKOUT
from servers.http.web import WebServer, content, redirect, web_server
from servers.openstack.keystone import Keystone
from unit.images.inspection.disk_images import qcow2, vmdk, vmdk_text

pytestmark = pytest.mark.slow
MIB = 1 << 20
CAP = 8 * MIB
FETCH = """
[fetch]
allowed_ports = []
connect_timeout_s = 1
"""
SETTINGS = f"""
[images]
import_methods = ["glance-direct", "web-download", "copy-image", "glance-download"]
show_multiple_locations = true
http_retries = 0
size_cap = {CAP}
[stores.fast]
type = "file"
[stores.cheap]
type = "file"
[stores.web]
type = "http"
"""
PLUGINS = """
[import_plugins]
use = ["image_decompression", "image_conversion"]
[import_plugins.image_conversion]
uploads = true
"""
# Names that have a public address when they are looked at first, and a loopback one after that.
REBINDING = """
import socket
_real, _asked = socket.getaddrinfo, {}
def _rebinding(host, port, *more, **named):
    name = str(host).rstrip(".")
    if not name.endswith(".rebinds.test"):
        return _real(host, port, *more, **named)
    _asked[name] = _asked.get(name, 0) + 1
    address = "93.184.216.34" if _asked[name] == 1 else "127.0.0.1"
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]
socket.getaddrinfo = _rebinding
"""


@dataclass
class Place:
    """A service, its administrator, and a web server beside it."""

    service: HeadwaterProcess
    http: httpx.Client
    web: WebServer
    region: str  # whose Image service is the web server

    def lying(self, image_id: str) -> list[Path]:
        """Return what the stores have of an image, whole or not."""
        return list(self.service.data_dir.glob(f"stores/*/objects/**/{image_id}.*"))

    def task(self, image_id: str) -> str:
        """Return why the newest task of an image failed."""
        task = ended(self.http, image_id)
        assert task["status"] == "failure", task
        return str(task["message"])

    def import_(self, image_id: str, name: str, **method: str) -> httpx.Response:
        body = {"method": {"name": name, **method}, "stores": ["cheap"]}
        return self.http.post(f"/v2/images/{image_id}/import", json=body)

    def url(self, data: bytes) -> str:
        """Return where the web server has the data."""
        path = f"/{uuid.uuid4().hex}"
        self.web.pages[path] = content(data)
        return self.web.url(path)

    def said(self, answer: httpx.Response) -> str:
        """Return why a request was refused."""
        assert 400 <= answer.status_code < 500, answer.text
        return str(answer.json()["message"])


class Cloud:
    """Services in three forms, one Keystone, one web server."""

    def __init__(self, keystone: Keystone, web: WebServer, directory: Path) -> None:
        user = keystone.user(keystone.admin_project, "service", "admin", "member")
        toml = f"""
[auth]
mode = "keystone"
[auth.keystone]
auth_url = "{keystone.url}"
username = "{user.name}"
password = "{user.password}"
project_name = "admin"
"""
        self.keystone = keystone
        self.regions = {kind: f"{kind}-{uuid.uuid4().hex[:6]}" for kind in ("web", "rebinding", "named", "metadata")}
        urls = {
            "web": web.url("/image"),
            "rebinding": f"http://region.rebinds.test:{web.port}/image",
            "named": f"http://somebody:hunter2@127.0.0.1:{web.port}/image",
            "metadata": "http://169.254.169.254/image",
        }
        service = keystone.endpoint("image", "glance", "http://127.0.0.1:9")
        for kind, region in self.regions.items():
            keystone.add_region(region)
            keystone.place(service, urls[kind], region=region)
        (directory / "site").mkdir()
        (directory / "site" / "sitecustomize.py").write_text(REBINDING)
        here = FETCH + 'allowed_hosts = ["127.0.0.1"]\n'
        forms = {"plain": here, "converting": here + PLUGINS, "guarded": FETCH}
        self.places: dict[str, Place] = {}
        for form, more in forms.items():
            home = directory / form
            home.mkdir()
            path = f"{CHECKOUT / 'src'}" + (f":{directory / 'site'}" if form == "guarded" else "")
            process = HeadwaterProcess(
                home, toml=toml + SETTINGS + more, env={"PYTHONPATH": path}, first_start=form == "guarded"
            )
            process.start()
            headers = {"Accept": "application/json", "X-Auth-Token": keystone.token(user, keystone.admin_project)}
            http = httpx.Client(base_url=process.images_url, timeout=60, headers=headers, trust_env=False)
            self.places[form] = Place(process, http, web, self.regions["web"])


@pytest.fixture(scope="module")
def cloud(keystone: Keystone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with web_server() as web:
        made = Cloud(keystone, web, tmp_path_factory.mktemp("attacks"))
        yield made
        for place in made.places.values():
            place.http.close()
            place.service.stop()


# --- Ways: each brings data to a new image of the declared format, and returns why it was refused -----


def upload(place: Place, image_id: str, data: bytes, declared: str) -> str:
    answer = place.http.put(f"/v2/images/{image_id}/file", content=data, headers=OCTETS)
    return place.task(image_id) if answer.status_code == 204 else place.said(answer)


def upload_in_parts(place: Place, image_id: str, data: bytes, declared: str) -> str:
    path = f"/v2/images/{image_id}/file"
    begun = place.http.put(path, content=data[:100], headers={**OCTETS, "Upload-Complete": "?0"})
    assert begun.status_code == 201, begun.text
    headers = {"Content-Type": "application/partial-upload", "Upload-Offset": "100", "Upload-Complete": "?1"}
    answer = place.http.patch(begun.headers["Location"], content=data[100:], headers=headers)
    return place.task(image_id) if answer.status_code == 204 else place.said(answer)


def stage_and_import(place: Place, image_id: str, data: bytes, declared: str) -> str:
    stage(place.http, image_id, data)
    assert place.import_(image_id, "glance-direct").status_code == 202
    return place.task(image_id)


def web_download(place: Place, image_id: str, data: bytes, declared: str) -> str:
    assert place.import_(image_id, "web-download", uri=place.url(data)).status_code == 202
    return place.task(image_id)


def glance_download(place: Place, image_id: str, data: bytes, declared: str) -> str:
    remote_id = str(uuid.uuid4())
    document = {
        "status": "active",
        "disk_format": declared,
        "container_format": "bare",
        "os_hash_algo": "sha512",
        "os_hash_value": hashlib.sha512(data).hexdigest(),
    }
    place.web.pages[f"/image/v2/images/{remote_id}"] = content(json.dumps(document).encode())
    place.web.pages[f"/image/v2/images/{remote_id}/file"] = content(data)
    asked = {"glance_region": place.region, "glance_image_id": remote_id}
    assert place.import_(image_id, "glance-download", **asked).status_code == 202
    return place.task(image_id)


def _located(place: Place, image_id: str, data: bytes) -> None:
    change = [{"op": "add", "path": "/locations/-", "value": {"url": place.url(data), "metadata": {}}}]
    assert place.http.patch(f"/v2/images/{image_id}", json=change, headers=PATCH).status_code == 200


def copy(place: Place, image_id: str, data: bytes, declared: str) -> str:
    _located(place, image_id, data)
    assert place.import_(image_id, "copy-image").status_code == 202
    return place.task(image_id)


def old_location(place: Place, image_id: str, data: bytes, declared: str) -> str:
    _located(place, image_id, data)
    answer = place.http.get(f"/v2/images/{image_id}/file")
    assert answer.status_code >= 400, "the data was given out"
    return str(answer.json()["message"])


def new_location(place: Place, image_id: str, data: bytes, declared: str) -> str:
    answer = place.http.post(f"/v2/images/{image_id}/locations", json={"url": place.url(data)})
    assert answer.status_code == 202, answer.text
    return place.task(image_id)


Way = Callable[[Place, str, bytes, str], str]
WAYS: tuple[Way, ...] = (
    upload,
    upload_in_parts,
    stage_and_import,
    web_download,
    glance_download,
    copy,
    old_location,
    new_location,
)
UNPACKING: tuple[Way, ...] = (stage_and_import, web_download, glance_download)
CONVERTING: tuple[Way, ...] = (upload, upload_in_parts, *UNPACKING)


def named(value: object) -> str | None:
    return getattr(value, "__name__", None)


def require_nothing_kept(place: Place, image_id: str) -> None:
    wait_until(lambda: not place.lying(image_id), "no byte of it is kept")
    answer = place.http.get(f"/v2/images/{image_id}/file")
    assert answer.status_code == 204 or answer.status_code >= 400, answer.status_code
    scratch = place.service.data_dir / "scratch"
    assert not scratch.exists() or list(scratch.iterdir()) == []


# --- What is in the data ------------------------------------------------------------------------------

DISKS = {
    "qcow2 with a backing file": ("qcow2", qcow2(backing="/etc/passwd"), "backing file"),
    "qcow2 with a backing file, declared raw": ("raw", qcow2(backing="/etc/passwd"), "backing file"),
    "qcow2 with its data in another file": ("qcow2", qcow2(data_elsewhere=True), "data_file"),
    "qcow2 with its data in another file, declared raw": ("raw", qcow2(data_elsewhere=True), "data_file"),
    "vmdk of a flat file of the host": ("vmdk", vmdk_text(), "Unsupported subformat"),
    "vmdk with a foreign extent": ("vmdk", vmdk(extent='RW 2048 SPARSE "/etc/passwd"'), "extent"),
    "vmdk with a parent": ("vmdk", vmdk(parent="/etc/passwd"), "parent"),
    "another format than the declared one": ("vmdk", qcow2(), "does not match stream data"),
    "no format at all": ("qcow2", b"\x01" * 5000, "does not match stream data"),
}


# With plugins the data goes another way to the same judge.
WITH_PLUGINS = [disk for disk in DISKS if "declared" not in disk and "parent" not in disk]


@pytest.mark.parametrize("way", WAYS, ids=named)
@pytest.mark.parametrize(
    ("form", "disk"), [*(("plain", disk) for disk in DISKS), *(("converting", disk) for disk in WITH_PLUGINS)]
)
def test_a_disk_that_would_harm_its_host_does_not_come_in(cloud: Cloud, form: str, disk: str, way: Way) -> None:
    place = cloud.places[form]
    declared, data, reason = DISKS[disk]
    image_id = make(place.http, disk_format=declared)
    message = way(place, image_id, data, declared)
    assert reason in message
    require_nothing_kept(place, image_id)
    if way not in (copy, old_location):  # whose image is at its location, and is judged where that is read
        assert place.http.get(f"/v2/images/{image_id}").json()["status"] == "queued"


def _zipped(data: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writing:
        writing.writestr("disk", data)
    return archive.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": zstandard.compress,
    "zip": _zipped,
}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("way", UNPACKING, ids=named)
def test_a_bomb_of_any_compression_is_refused(cloud: Cloud, way: Way, kind: str) -> None:
    place = cloud.places["converting"]
    image_id = make(place.http)
    message = way(place, image_id, PACKED[kind](bytes(CAP + MIB)), "raw")
    assert f"the {kind} data unpacks to more than {CAP} bytes" in message
    require_nothing_kept(place, image_id)


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("way", UNPACKING, ids=named)
def test_a_disk_that_would_harm_its_host_does_not_come_in_packed(cloud: Cloud, way: Way, kind: str) -> None:
    place = cloud.places["converting"]
    image_id = make(place.http, disk_format="qcow2")
    assert "backing file" in way(place, image_id, PACKED[kind](qcow2(backing="/etc/passwd")), "qcow2")
    require_nothing_kept(place, image_id)


@pytest.mark.parametrize("way", CONVERTING, ids=named)
def test_a_disk_that_is_larger_than_any_image_is_not_converted(cloud: Cloud, way: Way) -> None:
    place = cloud.places["converting"]
    image_id = make(place.http, disk_format="qcow2")
    message = way(place, image_id, qcow2(size=1 << 40), "qcow2")
    assert f"the disk has {1 << 40} bytes, and an image {CAP} at most" in message
    require_nothing_kept(place, image_id)


# --- What the URL leads to ------------------------------------------------------------------------------


def _refused_or_failed(place: Place, image_id: str, answer: httpx.Response) -> str:
    return place.task(image_id) if answer.status_code == 202 else place.said(answer)


def by_web_download(place: Place, url: str) -> str:
    image_id = make(place.http)
    return _refused_or_failed(place, image_id, place.import_(image_id, "web-download", uri=url))


def by_new_location(place: Place, url: str) -> str:
    image_id = make(place.http)
    answer = place.http.post(f"/v2/images/{image_id}/locations", json={"url": url})
    return _refused_or_failed(place, image_id, answer)


def by_old_location(place: Place, url: str) -> str:
    image_id = make(place.http)
    change = [{"op": "add", "path": "/locations/-", "value": {"url": url, "metadata": {}}}]
    answer = place.http.patch(f"/v2/images/{image_id}", json=change, headers=PATCH)
    if answer.status_code == 200:
        answer = place.http.get(f"/v2/images/{image_id}/file")
    assert answer.status_code >= 400, "the data was given out"
    return str(answer.json()["message"])


def by_task(place: Place, url: str) -> str:
    properties = {"disk_format": "raw", "container_format": "bare"}
    asked = {"import_from": url, "import_from_format": "raw", "image_properties": properties}
    answer = place.http.post("/v2/tasks", json={"type": "import", "input": asked})
    if answer.status_code != 201:
        return place.said(answer)
    path = answer.json()["self"]
    wait_until(lambda: place.http.get(path).json()["status"] == "failure", "the task has failed", 30)
    return str(place.http.get(path).json()["message"])


BY_URL: tuple[Callable[[Place, str], str], ...] = (by_web_download, by_new_location, by_old_location, by_task)
URLS = {
    "a file": "file:///etc/passwd",
    "a file of another name": "filesystem:///etc/passwd",
    "another scheme": "gopher://127.0.0.1:{port}/secret",
    "a user and a password": "http://somebody:hunter2@127.0.0.1:{port}/secret",
    "loopback": "http://127.0.0.1:{port}/secret",
    "loopback by its name": "http://localhost:{port}/secret",
    "loopback, short": "http://127.1:{port}/secret",
    "loopback, one number": "http://2130706433:{port}/secret",
    "loopback, hexadecimal": "http://0x7f000001:{port}/secret",
    "loopback in IPv6": "http://[::1]:{port}/secret",
    "loopback mapped into IPv6": "http://[::ffff:127.0.0.1]:{port}/secret",
    "secrets of the cloud": "http://169.254.169.254/latest/meta-data",
    "a private network": "http://10.0.0.1/secret",
}

OTHERS = [url for url in URLS if url != "loopback"]  # which a service allows that has a server beside it to redirect


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("way", BY_URL, ids=named)
def test_a_url_to_what_only_the_service_can_reach_is_refused_and_not_asked(
    cloud: Cloud, way: Callable[[Place, str], str], url: str
) -> None:
    place = cloud.places["guarded"]
    place.web.pages["/secret"] = content(b"secret")
    before = place.web.connections
    message = way(place, URLS[url].format(port=place.web.port))
    assert "hunter2" not in message
    assert place.web.connections == before
    assert "hunter2" not in place.service.stderr()


@pytest.mark.parametrize("way", BY_URL, ids=named)
def test_a_name_that_rebinds_leads_nowhere(cloud: Cloud, way: Callable[[Place, str], str]) -> None:
    place = cloud.places["guarded"]
    place.web.pages["/secret"] = content(b"secret")
    before = place.web.connections
    message = way(place, f"http://{named(way)}.rebinds.test:{place.web.port}/secret".replace("_", "-"))
    assert message
    assert place.web.connections == before


@pytest.mark.parametrize("to", OTHERS)
@pytest.mark.parametrize("way", BY_URL, ids=named)
def test_a_redirect_leads_nowhere_that_a_url_may_not(cloud: Cloud, way: Callable[[Place, str], str], to: str) -> None:
    place = cloud.places["plain"]
    place.web.pages |= {"/secret": content(b"secret"), "/there": redirect(URLS[to].format(port=place.web.port))}
    asked = len(place.web.asked)
    message = way(place, place.web.url("/there"))
    assert "hunter2" not in message
    assert {each.path for each in place.web.asked[asked:]} == {"/there"}


@pytest.mark.parametrize("region", ["rebinding", "named", "metadata", "web"])
def test_a_region_at_a_place_that_a_url_may_not_name_is_not_asked(cloud: Cloud, region: str) -> None:
    place = cloud.places["guarded"]
    image_id, before = make(place.http), place.web.connections
    method = {"glance_region": cloud.regions[region], "glance_image_id": str(uuid.uuid4())}
    assert place.import_(image_id, "glance-download", **method).status_code == 202
    assert "hunter2" not in place.task(image_id)
    assert place.web.connections == before
    assert "hunter2" not in place.service.stderr()


@pytest.mark.parametrize("to", OTHERS)
def test_a_region_redirects_nowhere_that_a_url_may_not_name(cloud: Cloud, to: str) -> None:
    place, remote_id = cloud.places["plain"], str(uuid.uuid4())
    place.web.pages["/secret"] = content(b"secret")
    place.web.pages[f"/image/v2/images/{remote_id}"] = redirect(URLS[to].format(port=place.web.port))
    image_id, asked = make(place.http), len(place.web.asked)
    method = {"glance_region": place.region, "glance_image_id": remote_id}
    assert place.import_(image_id, "glance-download", **method).status_code == 202
    assert "hunter2" not in place.task(image_id)
    assert [each.path for each in place.web.asked[asked:]] == [f"/image/v2/images/{remote_id}"]
