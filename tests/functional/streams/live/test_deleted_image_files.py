"""Files of deleted public images: readers with an index of before have them for a time, and the API has nothing."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import wait_until
from functional.inputs import DiskImage
from functional.streams.image_clients import image_client
from functional.streams.live.test_live_image_files import FEED, Service, combined, secure
from functional.streams.views.test_streams_views import Site
from functional.users import proof, users_file
from servers.certificates import Authority
from servers.http.web import WebServer, content, redirect

ANN, BEN = proof("ann"), proof("ben")
RANGE = {"Range": "bytes=0-3"}


@pytest.fixture
def qcow2(disks: Any) -> bytes:
    disk: DiskImage = disks["qcow2"]
    return disk.data


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60, trust_env=False) as client:
        yield client


def kept_in(root: Path) -> int:
    return sum(file.is_file() and file.stat().st_size > 1000 for file in root.glob("*/**/*"))


def _as_read_now(service: Service, paths: list[str], authority: Authority) -> WebServer:
    """Return what gives the index of now for ever, as a daemon does for an hour, and leads to the files."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.certificate(name="before"))
    server = WebServer(tls=context)
    entries = service.get("streams/v1/index.json").json()["index"].values()
    for path in ("streams/v1/index.json", *(entry["path"] for entry in entries)):
        server.pages[f"/old/{path}"] = content(service.get(path).raise_for_status().content)
    for path in paths:
        server.pages[f"/old/{path}"] = redirect(f"{secure(service.process)}{FEED}/{path}")
    return server


def test_a_client_exports_what_was_deleted_since_it_read_the_index_also_from_who_was_killed(
    fresh_headwater: FreshHeadwater, qcow2: bytes, tmp_path: Path
) -> None:
    authority, root = Authority(tmp_path), tmp_path / "files"
    toml = f'[stores.files]\ntype = "file"\nroot = "{root}"\n[server.tls]\ncertificate = "{authority.certificate()}"\n'
    process = fresh_headwater(toml=toml)
    trusting = ssl.create_default_context(cafile=str(authority.file))
    with httpx.Client(base_url=secure(process), verify=trusting, timeout=60) as http:
        service = Service(process, http)
        image_id = service.add(qcow2)
        paths = [service.path_of(image_id, end) for end in ("disk.qcow2", "metadata.tar.xz")]
        item = service.files()[paths[1]]
        fingerprint = item[combined(item)]
        before = _as_read_now(service, paths, authority)
        client = image_client("lxc", before.url("/old"), authority, tmp_path / "home")
        assert fingerprint in client.run("image", "list", "t:", "--format", "csv", "--columns", "F")

        http.delete(f"/v2/images/{image_id}").raise_for_status()
        assert service.files() == {}
        for path in (f"/v2/images/{image_id}", f"/v2/images/{image_id}/file"):
            assert http.get(path).status_code == 404
        process.kill()
        process.start()
        there = tmp_path / "there"
        there.mkdir()
        client.run("image", "export", f"t:{fingerprint}", there, "--vm")
        assert qcow2 in [file.read_bytes() for file in there.iterdir()]
        assert service.get(paths[0], **RANGE).content == qcow2[:4]
        assert http.head(f"{FEED}/{paths[0]}").headers["Content-Length"] == str(len(qcow2))
        assert service.get(paths[0].replace("disk.qcow2", "root.squashfs")).status_code == 404

        listed = json.loads(process.command("trash", "list", "--json").stdout)
        assert [(each["id"], each["kept_for"]) for each in listed] == [(image_id, "feeds")]
        assert listed[0]["scrub_at"] == listed[0]["served_until"]
        assert kept_in(root) == 1
        assert process.command("trash", "empty", image_id, "--yes").returncode == 0
        assert kept_in(root) == 0
        assert {service.get(path).status_code for path in paths} == {404}
        before.close()


def test_after_its_time_it_is_gone_and_any_process_removes_it(
    fresh_headwater: FreshHeadwater, qcow2: bytes, http: httpx.Client, tmp_path: Path
) -> None:
    root = tmp_path / "files"
    toml = f'[stores.files]\ntype = "file"\nroot = "{root}"\n[streams]\ndeleted_files_s = 2\n'
    process = fresh_headwater(toml=toml)
    http.base_url = process.images_url
    service = Service(process, http)
    image_id = service.add(qcow2)
    path = service.path_of(image_id, "disk.qcow2")
    http.delete(f"/v2/images/{image_id}").raise_for_status()
    assert service.get(path).content == qcow2
    process.kill()
    assert kept_in(root) == 1
    process.start()
    wait_until(lambda: service.get(path).status_code == 404, "the time is over")
    process.kill()
    assert process.command("trash", "scrub").returncode == 0
    assert kept_in(root) == 0


@pytest.fixture
def site(fresh_headwater: FreshHeadwater, tmp_path: Path) -> Iterator[Site]:
    users = users_file(tmp_path, ann=("a", "admin"), ben=("b", "member"))
    made = Site(fresh_headwater(toml=f"{users}\n[streams]\nimage_files = true\n"), tmp_path)
    yield made
    made.http.close()


def test_every_view_that_named_a_public_image_gives_its_file_to_those_who_have_it(site: Site, qcow2: bytes) -> None:
    public = site.image(ANN, "shown", qcow2, disk_format="qcow2", visibility="public")
    private = site.image(ANN, "own", qcow2 + b"1", disk_format="qcow2")
    secrets = {who: site.path(headers)["below"] for who, headers in (("ann", ANN), ("ben", BEN))}
    names = {digest: name for name, digest in site.sums("/streams/project", headers=ANN).items()}
    name, own = (names[hashlib.sha512(each).hexdigest()] for each in (qcow2, qcow2 + b"1"))
    wait_until(lambda: name in site.sums("/streams/public/a", "SHA256SUMS"), "it is hashed")
    for image in (public, private):
        site.http.delete(f"/v2/images/{image['id']}", headers=ANN).raise_for_status()

    where: list[tuple[str, dict[str, str]]] = [
        ("/streams/public/a", {}),
        ("/streams/public/a/families/shown", {}),
        ("/streams/project", ANN),
        ("/streams/project-and-community", BEN),
        (secrets["ann"], {}),
        (secrets["ben"], {}),
    ]
    for below, headers in where:
        assert site.http.get(f"{below}/{name}", headers=headers).content == qcow2
        head = site.http.head(f"{below}/{name}", headers=headers)
        assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(qcow2)))
        assert site.http.get(f"{below}/{own}", headers=headers).status_code == 404
    for below, headers in (
        ("/streams/public/b", {}),
        ("/streams/public/a/families/other", {}),
        ("/streams/private/no-secret-at-all", {}),
    ):
        assert site.http.get(f"{below}/{name}", headers=headers).status_code == 404
    assert site.http.get(f"/streams/project/{name}").status_code == 401
    for headers in (ANN, BEN):
        assert name not in site.sums("/streams/project", headers=headers)
