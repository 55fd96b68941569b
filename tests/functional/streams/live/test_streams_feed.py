"""The live feed beside the real catalogue: every change is seen at once, by each worker."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.clients import Client
from functional.conftest import FreshHeadwater, NewImage
from functional.headwater_process import bare_environment
from functional.users import proof, users_file
from needs import program

V1 = "/simplestreams/images/streams/v1"
PRODUCTS = f"{V1}/com.ubuntu.cloud-released-imagemetadata.json"
NOBLE = "com.ubuntu.cloud:server:24.04:amd64"
IS_NOBLE: dict[str, Any] = {"os_distro": "ubuntu", "os_version": "24.04", "architecture": "x86_64"}


def listed(http: httpx.Client) -> set[str]:
    """Return the ids in the products file, read as Juju reads it."""
    document = http.get(PRODUCTS).raise_for_status().json()
    return {
        item["id"]
        for product in document["products"].values()
        for version in product["versions"].values()
        for item in version["items"].values()
    }


def patch(http: httpx.Client, image_id: str, **changes: object) -> None:
    operations = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in changes.items()]
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    http.patch(f"/v2/images/{image_id}", json=operations, headers=kind).raise_for_status()


def test_an_image_of_the_openstack_client_is_listed_at_once(
    openstack: Client, http: httpx.Client, new_image: NewImage
) -> None:
    image = new_image(b"some bytes")
    given = [word for name, value in IS_NOBLE.items() for word in ("--property", f"{name}={value}")]
    openstack("image", "set", "--public", *given, image["id"])

    for name in ("index.json", "index2.json"):
        answer = http.get(f"{V1}/{name}").raise_for_status()
        assert answer.headers["Content-Type"] == "application/json"
        index = answer.json()
        assert index["format"] == "index:1.0"
        (entry,) = index["index"].values()
        assert (entry["datatype"], entry["format"]) == ("image-ids", "products:1.0")
        assert NOBLE in entry["products"]
        assert http.get(f"/simplestreams/images/{entry['path']}").status_code == 200
    assert http.get(f"{V1}/mirrors.json").json() == {"mirrors": {}}

    document = http.get(PRODUCTS).json()
    assert document["format"] == "products:1.0"
    versions = document["products"][NOBLE]["versions"]
    assert image["id"] in {item["id"] for version in versions.values() for item in version["items"].values()}


@pytest.mark.parametrize(
    "change", [{"visibility": "private"}, {"visibility": "shared"}, {"visibility": "community"}, {"os_hidden": True}]
)
def test_an_image_that_is_not_for_all_is_not_listed(
    http: httpx.Client, new_image: NewImage, change: dict[str, Any]
) -> None:
    image = new_image(b"some bytes", visibility="public", **IS_NOBLE)
    assert image["id"] in listed(http)
    patch(http, image["id"], **change)
    assert image["id"] not in listed(http)


def test_an_image_is_listed_while_it_is_active_only(http: httpx.Client, new_image: NewImage) -> None:
    image = new_image(visibility="public", **IS_NOBLE)
    assert image["id"] not in listed(http)
    kind = {"Content-Type": "application/octet-stream"}
    http.put(f"/v2/images/{image['id']}/file", content=b"some bytes", headers=kind).raise_for_status()
    assert image["id"] in listed(http)
    http.post(f"/v2/images/{image['id']}/actions/deactivate").raise_for_status()
    assert image["id"] not in listed(http)
    http.post(f"/v2/images/{image['id']}/actions/reactivate").raise_for_status()
    assert image["id"] in listed(http)
    http.delete(f"/v2/images/{image['id']}").raise_for_status()
    assert image["id"] not in listed(http)


def test_who_has_the_newest_document_is_told_so(http: httpx.Client, new_image: NewImage) -> None:
    first = http.get(PRODUCTS)
    again = {"If-None-Match": first.headers["ETag"]}
    held = http.get(PRODUCTS, headers=again)
    assert (held.status_code, held.content, held.headers["ETag"]) == (304, b"", first.headers["ETag"])
    new_image(b"some bytes", visibility="public", **IS_NOBLE)
    changed = http.get(PRODUCTS, headers=again)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_curl_gets_the_feed_compressed_in_parts_and_by_the_path_of_its_index(
    http: httpx.Client, new_image: NewImage, tmp_path: Path
) -> None:
    new_image(b"some bytes", visibility="public", **IS_NOBLE)

    def curl(*words: str) -> bytes:
        command = [str(program("curl")), "-sf", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=True).stdout

    index = f"{http.base_url}{V1}/index.json"
    plain = curl(index)
    assert curl("--compressed", index) == plain
    assert gzip.decompress(curl("-H", "Accept-Encoding: gzip", index)) == plain
    assert curl("-r", "3-17", index) == plain[3:18]
    (entry,) = json.loads(plain)["index"].values()
    assert json.loads(curl(f"{http.base_url}/simplestreams/images/{entry['path']}"))["products"].keys() == set(
        entry["products"]
    )
    curl("--etag-save", "etag", "-o", "kept", "--compressed", index)
    written = curl("--etag-compare", "etag", "-o", "again", "-w", "%{http_code}", "--compressed", index)
    assert written == b"304"


@pytest.mark.parametrize(
    "path",
    [
        "/simplestreams",
        "/simplestreams/",
        "/simplestreams/images",
        "/simplestreams/images/streams/v1/",
        f"{V1}/index.sjson",
        f"{V1}/nothing.json",
        "/simplestreams/images/streams/v2/index.json",
        f"{V1}/../v1/index.json/x",
    ],
)
def test_what_is_not_there_is_a_plain_404(http: httpx.Client, path: str) -> None:
    answer = http.get(path, follow_redirects=False)
    assert answer.status_code == 404
    assert "Location" not in answer.headers


CD = bytes(32768) + b"\x01CD001\x01" + bytes(73) + (20).to_bytes(4, "little") + bytes(40000)  # ECMA-119, 8.4
NOT_FRESH: list[dict[str, Any]] = [
    {"image_type": "snapshot"},
    {"instance_uuid": "6c1fae2a-7a40-4b3c-9c53-3d0f8f7f4b0e"},
    {"disk_format": "iso"},
    {"container_format": "ovf"},
    {"hypervisor_type": "lxc"},
]


@pytest.mark.parametrize("changes", NOT_FRESH, ids=lambda changes: next(iter(changes.values())))
def test_what_boots_no_fresh_server_is_not_listed_and_its_owner_learns_why(
    http: httpx.Client, new_image: NewImage, changes: dict[str, Any]
) -> None:
    plain = new_image(b"some bytes", visibility="public", **IS_NOBLE)
    other = new_image(CD if "iso" in changes.values() else b"some bytes", visibility="public", **IS_NOBLE, **changes)
    assert plain["id"] in listed(http)
    assert other["id"] not in listed(http)
    told = http.get(f"/simplestreams/why/{other['id']}").raise_for_status().json()
    (reason,) = told["reasons"]
    assert (told["listed"], next(iter(changes)) in reason) == (False, True)
    told = http.get(f"/simplestreams/why/{plain['id']}").raise_for_status().json()
    assert (told["listed"], told["reasons"], told["product"], told["newest"]) == (True, [], NOBLE, plain["id"])


def test_only_who_sees_an_image_learns_why_it_is_not_listed(fresh_headwater: FreshHeadwater, tmp_path: Path) -> None:
    users = users_file(tmp_path, ann=("a", "member"), ben=("b", "member"), root=("r", "admin"))
    with httpx.Client(base_url=fresh_headwater(toml=users).images_url) as http:
        made = http.post("/v2/images", json={"visibility": "private", **IS_NOBLE}, headers=proof("ann")).json()
        why = f"/simplestreams/why/{made['id']}"
        for user in ("ann", "root"):
            told = http.get(why, headers=proof(user)).raise_for_status()
            assert told.headers["Cache-Control"] == "no-store"
            assert [word in " ".join(told.json()["reasons"]) for word in ("private", "queued", "iso")] == [
                True,
                True,
                False,
            ]
        unseen, absent = (http.get(path, headers=proof("ben")) for path in (why, f"{why[:-4]}0000"))
        assert (unseen.status_code, absent.status_code) == (404, 404)
        assert unseen.text.replace(made["id"], "") == absent.text.replace(f"{made['id'][:-4]}0000", "")
        heads = [http.head(path, headers=proof("ben")) for path in (why, f"{why[:-4]}0000")]
        assert [(head.status_code, head.content, head.headers["Content-Length"]) for head in heads] == [
            (404, b"", str(len(unseen.content)))
        ] * 2
        nobody = http.get(why)
        assert (nobody.status_code, nobody.headers["WWW-Authenticate"]) == (401, 'Basic realm="headwater"')
        # The feed itself stays open.
        assert http.get(PRODUCTS).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("why/", 404), ("why", 404), ("why/a/b", 404), ("why/%00", 404)])
def test_no_other_path_is_asked_why(http: httpx.Client, path: str, status: int) -> None:
    assert http.get(f"/simplestreams/{path}").status_code == status


def test_a_head_of_why_has_the_headers_of_the_get(http: httpx.Client, new_image: NewImage) -> None:
    path = f"/simplestreams/why/{new_image()['id']}"
    got, head = http.get(path), http.head(path)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(got.content)))


class GnuPG:
    """GnuPG with a home of its own and one key."""

    def __init__(self, home: Path) -> None:
        home.chmod(0o700)
        self._gpg = program("gpg")
        self._env = {**bare_environment(home), "GNUPGHOME": str(home)}
        user = "Image streams <images@example.test>"
        self.run("--passphrase", "", "--quick-gen-key", user, "rsa3072", "sign,cert", "1y")

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
        command = [self._gpg, "--batch", "--pinentry-mode", "loopback", *words]
        return subprocess.run(command, env=self._env, capture_output=True, timeout=60, check=True)

    def close(self) -> None:
        subprocess.run([program("gpgconf"), "--kill", "all"], env=self._env, timeout=60, check=True)


@pytest.fixture
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnuPG]:
    made = GnuPG(tmp_path_factory.mktemp("gnupg"))
    yield made
    made.close()


def test_gpg_verifies_every_signed_document_of_the_served_feed(
    fresh_headwater: FreshHeadwater, gnupg: GnuPG, tmp_path: Path
) -> None:
    key = tmp_path / "streams.asc"
    key.write_bytes(gnupg.run("--armor", "--export-secret-keys").stdout)
    signing = fresh_headwater(toml=f'[streams]\nsigning_key = "{key}"\n')
    with httpx.Client(base_url=signing.images_url) as http:
        image = http.post("/v2/images", json={"visibility": "public", "disk_format": "raw", **IS_NOBLE}).json()
        patch(http, image["id"], container_format="bare")
        kind = {"Content-Type": "application/octet-stream"}
        http.put(f"/v2/images/{image['id']}/file", content=b"some bytes", headers=kind).raise_for_status()

        products = PRODUCTS.rpartition("/")[2].replace(".json", ".sjson")
        for name in ("index.sjson", "index2.sjson", "mirrors.sjson", products):
            answer = http.get(f"{V1}/{name}").raise_for_status()
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert answer.text.startswith("-----BEGIN PGP SIGNED MESSAGE-----\nHash: ")
            assert answer.text.partition("\n\n")[0].count("Hash:") == 1
            signed = tmp_path / name
            signed.write_bytes(answer.content)
            assert b"Good signature" in gnupg.run("--verify", signed).stderr
            document = gnupg.run("--decrypt", signed).stdout.decode()
            if name.startswith("index"):
                (entry,) = json.loads(document)["index"].values()
                assert re.sub("-[0-9a-f]{16}[.]", ".", entry["path"]).endswith(f"/{products}")
                fitting = http.get(f"/simplestreams/images/{entry['path']}").raise_for_status()
                assert fitting.text.startswith("-----BEGIN PGP SIGNED MESSAGE-----")
            if name == products:
                assert image["id"] in document
        # Juju with a feed found in the catalog reads the unsigned ones.
        assert image["id"] in listed(http)


def test_a_large_document_of_the_served_feed_is_signed_and_the_service_ends_in_order(
    fresh_headwater: FreshHeadwater, gnupg: GnuPG, tmp_path: Path
) -> None:
    key = tmp_path / "streams.asc"
    key.write_bytes(gnupg.run("--armor", "--export-secret-keys").stdout)
    regions = [f"{number:0200}" for number in range(700)]  # each stands in the document twice
    endpoint = 'endpoint = "http://127.0.0.1:5000/v3"'
    clouds = "".join(f'[[streams.clouds]]\nregion = "{region}"\n{endpoint}\n' for region in regions)
    signing = fresh_headwater(toml=f'[streams]\nsigning_key = "{key}"\n{clouds}')
    with httpx.Client(base_url=signing.images_url) as http:
        shown = {"visibility": "public", "disk_format": "raw", "container_format": "bare", **IS_NOBLE}
        image = http.post("/v2/images", json=shown).json()
        kind = {"Content-Type": "application/octet-stream"}
        http.put(f"/v2/images/{image['id']}/file", content=b"some bytes", headers=kind).raise_for_status()
        signed = http.get(PRODUCTS.replace(".json", ".sjson")).raise_for_status().content
        assert http.get(PRODUCTS).content in signed
        assert len(signed) > 256 << 10
    file = tmp_path / "products.sjson"
    file.write_bytes(signed)
    assert b"Good signature" in gnupg.run("--verify", str(file)).stderr
    assert signing.stop(20) == 0
