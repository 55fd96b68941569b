"""What projects show and see as feeds, with real clients: who reads what, by which path, and what nobody learns."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from typer.testing import CliRunner

from functional.clients import Client
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess
from functional.streams.gnupg import GnuPG
from functional.users import proof, users_file
from headwater.cli.main import app
from needs import client, program

OCTETS = {"Content-Type": "application/octet-stream"}
NOBLE: dict[str, Any] = {"os_distro": "ubuntu", "os_version": "24.04", "architecture": "x86_64"}
ANN, BEN, ROOT = proof("ann"), proof("ben"), proof("root")
INDEX = "streams/v1/index.json"
STREAMS = "[streams]\nimage_files = true\nsigning_key = "


class Site:
    """A service with two projects, ``a`` of ann and ``b`` of ben."""

    def __init__(self, process: HeadwaterProcess, keyring: Path) -> None:
        self.process, self.keyring = process, keyring
        self.http = httpx.Client(base_url=process.images_url, timeout=60)

    def image(self, who: dict[str, str], name: str, data: bytes, **more: Any) -> dict[str, Any]:
        document = {"name": name, "disk_format": "raw", "container_format": "bare", **NOBLE, **more}
        made: dict[str, Any] = self.http.post("/v2/images", json=document, headers=who).raise_for_status().json()
        self.http.put(f"/v2/images/{made['id']}/file", content=data, headers=who | OCTETS).raise_for_status()
        return made

    def path(self, who: Mapping[str, str], **document: Any) -> dict[str, Any]:
        """Make a private path and return what was answered, with the path alone as ``below``."""
        answer = self.http.post("/v2/streams/paths", json=document, headers=who)
        assert answer.status_code == 201, answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        made: dict[str, Any] = answer.json()
        assert made["url"].startswith(self.process.images_url)
        return {**made, "below": made["url"].removeprefix(self.process.images_url)}

    def sums(self, below: str, name: str = "SHA512SUMS", **more: Any) -> dict[str, str]:
        """Return the checksums of a list, by file name."""
        text = self.http.get(f"{below}/{name}", **more).raise_for_status().text
        return {
            line[129 if "512" in name else 65 :].removeprefix("*"): line.partition(" ")[0] for line in text.splitlines()
        }

    def ids(self, below: str, **more: Any) -> set[str]:
        """Return the images whose ids the feed of a view has, read from its index on."""
        index = self.http.get(f"{below}/{INDEX}", **more).raise_for_status().json()["index"]
        (entry,) = (each for each in index.values() if each["datatype"] == "image-ids")
        products = self.http.get(f"{below}/{entry['path']}", **more).raise_for_status().json()["products"]
        return {
            item["id"]
            for product in products.values()
            for version in product["versions"].values()
            for item in version["items"].values()
        }

    def files(self, below: str, **more: Any) -> dict[str, dict[str, Any]]:
        """Return the files that the feed of a view names, by path."""
        index = self.http.get(f"{below}/{INDEX}", **more).raise_for_status().json()["index"]
        (entry,) = (each for each in index.values() if each["datatype"] == "image-downloads")
        products = self.http.get(f"{below}/{entry['path']}", **more).raise_for_status().json()["products"]
        assert sorted(products) == sorted(entry["products"])
        return {
            item["path"]: item
            for product in products.values()
            for version in product["versions"].values()
            for item in version["items"].values()
        }


@pytest.fixture(scope="module")
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnuPG]:
    made = GnuPG(tmp_path_factory.mktemp("gnupg"))
    made.make_key("site", "ed25519")
    yield made
    made.attempt("gpgconf", "--kill", "gpg-agent")


@pytest.fixture
def site(fresh_headwater: FreshHeadwater, gnupg: GnuPG, tmp_path: Path) -> Iterator[Site]:
    users = users_file(tmp_path, ann=("a", "member"), ben=("b", "member"), root=("r", "admin"))
    toml = f'{users}\n{STREAMS}"{gnupg.secret_key("site")}"\n'
    made = Site(fresh_headwater(toml=toml, workers=2), gnupg.keyring("site"))
    yield made
    made.http.close()


def gpgv(site: Site, *files: Path) -> None:
    done = subprocess.run(
        [program("gpgv"), "--keyring", site.keyring, *files], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_a_project_sees_its_images_with_their_files_and_no_other_project_does(site: Site) -> None:
    mine = site.image(ANN, "mine", b"of a", visibility="private")
    shared = site.image(BEN, "shared", b"of b for a", visibility="shared")
    community = site.image(BEN, "community", b"of b for those who ask", visibility="community")
    public = site.image(ROOT, "public", b"for all", visibility="public")
    other = site.image(BEN, "other", b"of b alone", visibility="private")
    site.http.post(f"/v2/images/{shared['id']}/members", json={"member": "a"}, headers=BEN).raise_for_status()

    seen = {mine["id"], public["id"]}
    assert site.ids("/streams/project", headers=ANN) == seen
    site.http.put(f"/v2/images/{shared['id']}/members/a", json={"status": "accepted"}, headers=ANN).raise_for_status()
    seen |= {shared["id"]}
    assert site.ids("/streams/project", headers=ANN) == seen
    assert site.ids("/streams/project-and-community", headers=ANN) == seen | {community["id"]}
    assert site.ids("/streams/project", headers=BEN) == {shared["id"], community["id"], public["id"], other["id"]}

    secret, wide = site.path(ANN)["below"], site.path(ANN, community=True)["below"]
    assert site.ids(secret) == seen
    assert site.ids(wide) == seen | {community["id"]}
    files = site.files(secret)
    assert {item["image_id"] for item in files.values()} == seen
    for path, item in files.items():
        data = site.http.get(f"{secret}/{path}").raise_for_status().content
        assert (len(data), hashlib.sha512(data).hexdigest()) == (item["size"], item["sha512"])
    theirs = next(
        path for path, item in site.files("/streams/project", headers=BEN).items() if item["image_id"] == other["id"]
    )
    assert site.http.get(f"/streams/project/{theirs}", headers=BEN).content == b"of b alone"
    for below, who in ((secret, {}), ("/streams/project", ANN), ("/streams/public/b", {}), ("/streams/public/a", {})):
        refused = site.http.get(f"{below}/{theirs}", headers=who)
        absent = site.http.get(f"{below}/nothing_20260101.1.00000000.raw", headers=who)
        assert (refused.status_code, refused.text) == (absent.status_code, absent.text) == (404, refused.text)

    # What is a project's no more is gone at once.
    site.http.delete(f"/v2/images/{shared['id']}/members/a", headers=BEN).raise_for_status()
    assert site.ids(secret) == {mine["id"], public["id"]}


def test_the_callers_own_view_needs_a_caller_and_no_cache_keeps_it(site: Site) -> None:
    for below in ("/streams/project", "/streams/project-and-community"):
        for path in (INDEX, "SHA512SUMS", "x_20260101.1.00000000.raw"):
            nobody = site.http.get(f"{below}/{path}", headers={"Origin": "https://page.example"})
            assert (nobody.status_code, nobody.headers["WWW-Authenticate"]) == (401, 'Basic realm="headwater"')
            assert "Access-Control-Allow-Origin" not in nobody.headers
        answer = site.http.get(f"{below}/{INDEX}", headers=ANN | {"Origin": "https://page.example"})
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert "Access-Control-Allow-Origin" not in answer.headers
    curl = [str(program("curl")), "-sf", "-u", "ann:pass:wörd", f"{site.process.images_url}/streams/project/{INDEX}"]
    assert json.loads(subprocess.run(curl, capture_output=True, timeout=60, check=True).stdout)["format"] == "index:1.0"


def test_a_secret_path_leads_until_it_is_revoked_in_every_worker_and_nothing_tells_it(site: Site) -> None:
    site.image(ANN, "mine", b"of a", visibility="private")
    made = site.path(ANN, name="edge")
    secret = made["below"].rpartition("/")[2]
    assert len(secret) >= 22
    listed = site.http.get("/v2/streams/paths", headers=ANN).json()
    assert [(each["id"], each["name"], each["project_id"]) for each in listed["paths"]] == [(made["id"], "edge", "a")]
    shown = site.http.get(f"/v2/streams/paths/{made['id']}", headers=ANN)
    assert secret not in shown.text + json.dumps(listed)

    unknown = f"/streams/private/{'x' * len(secret)}"
    assert site.http.get(f"{made['below']}/{INDEX}").headers["Referrer-Policy"] == "no-referrer"
    for method in ("GET", "HEAD", "POST"):
        site.http.request(method, f"/streams//private/{secret}/{INDEX}")
        site.http.request(method, f"{made['below']}/nothing")
        site.http.request(method, f"{made['below']}/a/b/c")
    site.http.delete(f"/v2/streams/paths/{made['id']}", headers=ANN).raise_for_status()
    for _ in range(10):  # each a connection of its own, so that both workers are asked
        with httpx.Client(base_url=site.process.images_url) as http:
            for path in (INDEX, "SHA512SUMS", "families/x/SHA512SUMS", "x_20260101.1.00000000.raw", "a/b/c"):
                gone, never = http.get(f"{made['below']}/{path}"), http.get(f"{unknown}/{path}")
                assert (gone.status_code, gone.text) == (never.status_code, never.text) == (404, never.text)
                assert set(gone.headers) == set(never.headers)
    assert site.http.delete(f"/v2/streams/paths/{made['id']}", headers=ANN).status_code == 404
    assert site.process.stop() == 0
    said = "".join(file.read_text() for file in (site.process.directory / "stdout", site.process.directory / "stderr"))
    assert f'"/streams/private/.../{INDEX}"' in said or f"/streams/private/.../{INDEX}" in said
    assert secret not in said
    assert made["id"] in said  # the audit trail has who made and revoked it, and the log which path was used
    assert not any(secret.encode() in file.read_bytes() for file in site.process.data_dir.rglob("*") if file.is_file())


def test_private_paths_are_made_and_revoked_by_their_project_only(site: Site) -> None:
    made = site.path(ANN)
    for method in ("GET", "DELETE"):
        theirs = site.http.request(method, f"/v2/streams/paths/{made['id']}", headers=BEN)
        none = site.http.request(method, f"/v2/streams/paths/{made['id'][:-4]}0000", headers=BEN)
        assert (theirs.status_code, none.status_code) == (404, 404)
        assert theirs.text.replace(made["id"], "") == none.text.replace(f"{made['id'][:-4]}0000", "")
    assert site.http.get("/v2/streams/paths", headers=BEN).json() == {"paths": []}
    assert site.http.post("/v2/streams/paths", json={"project_id": "a"}, headers=BEN).status_code == 403
    for_b = site.path(ROOT, project_id="b", lifetime_s=3600)
    assert for_b["expires_at"] > for_b["created_at"]
    assert {each["id"] for each in site.http.get("/v2/streams/paths", headers=ROOT).json()["paths"]} == {
        made["id"],
        for_b["id"],
    }
    for bad in (
        {"lifetime_s": 0},
        {"lifetime_s": True},
        {"lifetime_s": 1.5},
        {"name": "a\nb"},
        {"secret": "x"},
        {"community": 1},
    ):
        assert site.http.post("/v2/streams/paths", json=bad, headers=ANN).status_code == 400
    assert site.http.get("/v2/streams/paths").status_code == 401


def test_the_checksums_are_what_sha512sum_and_gpgv_take_and_curl_resumes_the_files(site: Site, tmp_path: Path) -> None:
    old = site.image(ANN, "ubuntu-24.04-20260701", b"the old one" * 1000, visibility="private")
    site.image(ANN, "ubuntu-24.04-20260801", b"the new one" * 1000, visibility="private")
    site.image(ANN, "debian", b"another" * 1000, visibility="private")
    below = site.path(ANN)["below"]
    url = f"{site.process.images_url}{below}/families/ubuntu-24.04"
    for name in ("SHA512SUMS", "SHA512SUMS.gpg", "SHA256SUMS", "SHA256SUMS.gpg"):
        subprocess.run([program("curl"), "-sfO", f"{url}/{name}"], cwd=tmp_path, timeout=60, check=True)
    gpgv(site, tmp_path / "SHA512SUMS.gpg", tmp_path / "SHA512SUMS")
    gpgv(site, tmp_path / "SHA256SUMS.gpg", tmp_path / "SHA256SUMS")
    assert (tmp_path / "SHA256SUMS").read_bytes() == b""  # nobody has hashed them so
    names = [line.partition(" *")[2] for line in (tmp_path / "SHA512SUMS").read_text().splitlines()]
    assert [name.rpartition("_")[0] for name in names] == ["ubuntu-24.04"] * 2
    assert names == sorted(names)
    assert "_20260701." in names[0] and f".{old['id'][:8]}.raw" in names[0]
    for name in names:
        (tmp_path / name).write_bytes(site.http.get(f"{below}/{name}").content[:100])
        subprocess.run([program("curl"), "-sf", "-C", "-", "-O", f"{url}/{name}"], cwd=tmp_path, timeout=60, check=True)
    done = subprocess.run(["sha512sum", "--strict", "-c", "SHA512SUMS"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done
    assert len(site.sums(below)) == 3


def test_with_sha_256_a_family_is_what_systemd_fetches_and_verifies(
    fresh_headwater: FreshHeadwater, gnupg: GnuPG, tmp_path: Path
) -> None:
    """Its own program is in few distributions: what it does is done here by the programs that it calls, and by hand."""
    users = users_file(tmp_path, root=("r", "admin"))
    toml = f'{users}\n[images]\nhash_algorithm = "sha256"\n{STREAMS}"{gnupg.secret_key("site")}"\n'
    site = Site(fresh_headwater(toml=toml), gnupg.keyring("site"))
    for day, data in (("20260705", b"old"), ("20260805", b"new")):
        site.image(ROOT, f"os-{day}", data * 500, visibility="public")
    site.image(ROOT, "os-extra-20260901", b"another", visibility="public")
    base = "/streams/public/r/families/os"
    for name in ("SHA256SUMS", "SHA256SUMS.gpg"):
        (tmp_path / name).write_bytes(site.http.get(f"{base}/{name}").raise_for_status().content)
    gpgv(site, tmp_path / "SHA256SUMS.gpg", tmp_path / "SHA256SUMS")
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    found = [re.fullmatch(r"([0-9a-f]{64}) [ *](os_([A-Za-z0-9.,_+-]+)\.raw)", line) for line in lines]
    matched = [each for each in found if each is not None]
    assert [each[3][:8] for each in matched] == ["20260705", "20260805"]
    newest = site.http.get(f"{base}/{matched[-1][2]}").content
    assert (newest, hashlib.sha256(newest).hexdigest()) == (b"new" * 500, matched[-1][1])
    site.http.close()


def test_everybody_fetches_what_a_project_has_made_public_and_nothing_else_of_it(site: Site) -> None:
    shown = site.image(ROOT, "release", b"for all" * 100, visibility="public", owner="a")
    site.image(ANN, "draft", b"of a", visibility="private")
    site.image(ANN, "wide", b"of a", visibility="community")
    below = "/streams/public/a"
    (name,) = site.sums(below)
    assert name.startswith("release_") and name.endswith(f".{shown['id'][:8]}.raw")
    got = site.http.get(f"{below}/{name}", headers={"Origin": "https://page.example"})
    assert (got.content, got.headers["Access-Control-Allow-Origin"]) == (b"for all" * 100, "*")
    assert got.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert got.headers["Content-Length"] == "700"
    head = site.http.head(f"{below}/{name}")
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", got.headers["ETag"])
    assert head.headers["Content-Length"] == "700"
    part = site.http.get(f"{below}/{name}", headers={"Range": "bytes=3-6", "If-Range": got.headers["ETag"]})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b" all", "bytes 3-6/700")
    assert site.http.get(f"{below}/{name}", headers={"Range": "bytes=700-"}).status_code == 416
    assert site.http.get(f"{below}/{name}", headers={"If-None-Match": got.headers["ETag"]}).status_code == 304
    assert site.http.options(f"{below}/{name}").status_code == 204
    # No public image and no such project are the same.
    for project in ("b", "nobody", "%2e%2e", "a%2fb"):
        assert site.http.get(f"/streams/public/{project}/SHA512SUMS").status_code == 404
        assert site.http.get(f"/streams/public/{project}/{name}").status_code == 404
    # It is gone as soon as it is public no more.
    changed = [{"op": "replace", "path": "/visibility", "value": "private"}]
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    site.http.patch(f"/v2/images/{shown['id']}", content=json.dumps(changed), headers=ROOT | kind).raise_for_status()
    assert site.http.get(f"{below}/{name}").status_code == 404
    assert site.http.get(f"{below}/SHA512SUMS").status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "a\r\nX-Evil: 1",
        'a"; filename="b',
        "..",
        ".hidden",
        "-rf",
        "ubuntu *fake",
        "SHA256SUMS",
        "ünï ✓",
        "x" * 255,
        "a\\b/c",
        "families",
        "%2e%2e%2f",
        "line\u2028separator",
    ],
)
def test_no_name_of_an_image_leads_anywhere_or_breaks_a_line(site: Site, name: str) -> None:
    data = name.encode()
    site.image(ANN, name, data, visibility="private")
    below = site.path(ANN)["below"]
    (file, digest), *others = site.sums(below).items()
    assert others == []
    assert set(file) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+_-")
    assert file[0] not in ".-"
    answer = site.http.get(f"{below}/{file}")
    assert (answer.content, hashlib.sha512(answer.content).hexdigest()) == (data, digest)
    assert "X-Evil" not in answer.headers
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{file}"'
    family = file.rpartition("_")[0]
    assert list(site.sums(f"{below}/families/{family}")) == [file]


@pytest.mark.parametrize(
    "path", ["../project/SHA512SUMS", "%2e%2e/a/SHA512SUMS", "..%2f..%2fv2%2fimages", "%00", "a%0d%0ab"]
)
def test_a_path_leaves_no_view(site: Site, path: str) -> None:
    site.image(ANN, "mine", b"of a", visibility="private")
    raw = f"{site.process.images_url}{site.path(ANN)['below']}/{path}"
    got = subprocess.run(
        [program("curl"), "-s", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", raw],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert got.stdout == b"404"


def test_the_simplestreams_tools_mirror_a_private_path_with_its_files(site: Site, tmp_path: Path) -> None:
    made = site.image(ANN, "mine", b"of a" * 1000, visibility="private")
    site.image(BEN, "other", b"of b", visibility="private")
    below = site.path(ANN)["below"]
    url = f"{site.process.images_url}{below}/"
    mirror = Client(client("sstream-mirror"), tmp_path)
    for start in ("index.json", "index.sjson"):
        kept = tmp_path / start
        signed = ("--keyring", str(site.keyring)) if start == "index.sjson" else ()
        mirror(*signed, "--path", f"streams/v1/{start}", url, kept)
        (file,) = kept.glob("*.raw")
        assert file.name.endswith(f".{made['id'][:8]}.raw")
        assert file.read_bytes() == b"of a" * 1000
    rows = json.loads(Client(client("sstream-query"), tmp_path)("--json", f"{url}{INDEX}", "datatype=image-downloads"))
    assert [(row["image_id"], row["arch"], row["os"], row["version"]) for row in rows] == [
        (made["id"], "amd64", "ubuntu", "24.04")
    ]


def test_juju_finds_the_image_of_a_private_view_and_lint_no_fault_in_it(site: Site) -> None:
    made = site.image(ANN, "mine", b"of a", visibility="private")
    url = f"{site.process.images_url}{site.path(ANN)['below']}"

    def headwater(*words: str) -> Any:
        done = CliRunner().invoke(app, ["streams", *words, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    cloud = ("--region", "RegionOne", "--endpoint", "http://127.0.0.1:5000/v3")
    found = headwater("find-image", "--url", url, *cloud, "--version", "24.04", "--no-defaults")
    assert made["id"] in json.dumps(found)
    for reader in ("juju-2.9", "juju-3.6", "juju-4", "sstream"):
        verdict = headwater("lint", url, "--consumer", reader, "--files", "--level", "warning")
        (seen,) = verdict["consumers"]
        assert (verdict["findings"], seen["images_missed"], seen["images_seen"] > 0) == ([], 0, True)
