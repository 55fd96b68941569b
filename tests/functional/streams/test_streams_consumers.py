"""Every kind of feed that we write or serve, signed and unsigned, read by the simplestreams tools and by us."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from typer.testing import CliRunner

from functional.conftest import FreshHeadwater
from functional.streams.gnupg import GnuPG
from headwater.cli.main import app
from needs import simplestreams_tool

ENDPOINT = "https://keystone.example:5000/v3"
WHERE = ("--region", "RegionOne", "--endpoint", ENDPOINT)
INDEX, SIGNED = "streams/v1/index.json", "streams/v1/index.sjson"
# What sstream-sync calls at every step, with the facts of an item in the environment.
HOOK = '#!/bin/sh\n[ "$HOOK" != insert_item ] || echo "$product_name $version_name $item_name" >> "{}"\n'

_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"


@dataclass(frozen=True)
class Feed:
    """A feed, where the tools read it, and what they are told of keys."""

    root: str
    start: str
    keyring: Path | None

    @property
    def trust(self) -> list[str | Path]:
        return ["--keyring", self.keyring] if self.keyring else ["--no-verify"]


def headwater(*words: str | Path) -> str:
    done = CliRunner().invoke(app, ["streams", *map(str, words)])
    assert done.exit_code == 0, (done.stdout, done.exception)
    return done.stdout


def tool(name: str, *words: str | Path) -> str:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command: list[str | Path] = [simplestreams_tool(name), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnuPG]:
    made = GnuPG(tmp_path_factory.mktemp("gnupg"))
    made.make_key("feed", "rsa3072")
    yield made
    made.attempt("gpgconf", "--kill", "gpg-agent")


@pytest.fixture(scope="module")
def tree(gnupg: GnuPG, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tree with all that the writing commands write, signed by the last of them."""
    directory = tmp_path_factory.mktemp("written")
    root, files = directory / "tree", directory / "files"
    files.mkdir()
    for name, body in (("fs", b"hsqs a file system"), ("disk", b"QFI\xfb a disk"), ("iso", b"CD001")):
        (files / name).write_bytes(body)
    boot = ("manifest", "kernel", "initrd", "squashfs")
    for name in boot:
        (files / name).write_bytes(name.encode())
    agent = files / "juju-3.6.27-ubuntu-amd64.tgz"
    agent.write_bytes(gzip.compress(b"an agent"))
    for version, day in (("24.04", "20260101"), ("24.04", "20260102"), ("22.04", "20260101")):
        headwater("add-image", root, f"{version}-{day}", *WHERE, "--version", version, "--version-name", day)
    for region in ("Two", "Three"):
        where = ("--region", region, "--endpoint", ENDPOINT)
        headwater("add-image", root, f"in-{region}", *where, "--version", "24.04", "--version-name", "20260102")
    headwater("add-file", root, files / "fs", files / "disk", "--os", "TestOS", "--release", "noble")
    headwater("add-agent", root, agent)
    options = [word for name in boot for word in (f"--{name}", files / name)]
    headwater("add-boot-image", root, "--os", "ubuntu", "--release", "noble", "--version", "24.04", *options)
    headwater("add-file", root, files / "iso", "--product", "an:iso", "--ftype", "iso", "--content-id", "isos",
              "--key", gnupg.secret_key("feed"))  # fmt: skip
    return root


@pytest.fixture(params=["written", "written and signed"])
def written(request: pytest.FixtureRequest, tree: Path, gnupg: GnuPG) -> Feed:
    is_signed = request.param == "written and signed"
    return Feed(f"{tree}/", SIGNED if is_signed else INDEX, gnupg.keyring("feed") if is_signed else None)


@pytest.fixture(params=["live", "live and signed"])
def live(request: pytest.FixtureRequest, fresh_headwater: FreshHeadwater, gnupg: GnuPG) -> Feed:
    clouds = "".join(f'[[streams.clouds]]\nregion = "{name}"\nendpoint = "{ENDPOINT}"\n' for name in ("One", "Two"))
    service = fresh_headwater(toml=f'[streams]\nsigning_key = "{gnupg.secret_key("feed")}"\n{clouds}')
    with httpx.Client(base_url=service.images_url) as http:
        for version in ("24.04", "22.04"):
            facts = {"os_distro": "ubuntu", "os_version": version, "architecture": "x86_64"}
            document = {"disk_format": "raw", "container_format": "bare", "visibility": "public", **facts}
            image = http.post("/v2/images", json=document).raise_for_status().json()["id"]
            kind = {"Content-Type": "application/octet-stream"}
            http.put(f"/v2/images/{image}/file", content=b"some bytes", headers=kind).raise_for_status()
    is_signed = request.param == "live and signed"
    root = f"{service.images_url}/simplestreams/images/"
    return Feed(root, SIGNED if is_signed else INDEX, gnupg.keyring("feed") if is_signed else None)


def rows(feed: Feed) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(tool("sstream-query", "--json", *feed.trust, f"{feed.root}{feed.start}"))
    return found


def require_same_rows(feed: Feed) -> list[dict[str, str]]:
    theirs = rows(feed)
    ours = json.loads(headwater("query", f"{feed.root}{feed.start}", "--json", *feed.trust))
    assert ours == theirs
    return theirs


def mirrored(feed: Feed, directory: Path) -> Path:
    out = directory / "mirror"
    tool("sstream-mirror", *feed.trust, "--path", feed.start, feed.root, out)
    return out


def synced(feed: Feed, directory: Path) -> list[str]:
    """Return which items sstream-sync brings, as its hook for each of them says."""
    hook, said = directory / "hook", directory / "said"
    hook.write_text(HOOK.format(said))
    hook.chmod(0o755)
    tool("sstream-sync", *feed.trust, "--hook", hook, "--item-skip-download", "--path", feed.start, feed.root)
    return sorted(said.read_text().splitlines())


def named(found: list[dict[str, str]]) -> list[str]:
    return sorted(f"{row['product_name']} {row['version_name']} {row['item_name']}" for row in found)


def test_a_written_tree_is_read_synced_and_mirrored(written: Feed, tmp_path: Path) -> None:
    found = require_same_rows(written)
    assert {row["datatype"] for row in found} == {"image-ids", "image-downloads", "content-download"}
    assert {row.get("region") for row in found if row.get("id")} == {"RegionOne", "Two", "Three"}
    assert synced(written, tmp_path) == named(found)
    out = mirrored(written, tmp_path)
    source = Path(written.root)
    copied = [file.relative_to(out) for file in out.rglob("*") if file.is_file() and ".data" not in file.parts]
    assert {row["path"] for row in found if "path" in row} <= {str(path) for path in copied}
    for path in copied:
        assert (out / path).read_bytes() == (source / path).read_bytes(), path
    if written.keyring:
        headwater("verify", out, "--keyring", written.keyring)


def test_the_live_feed_is_read_synced_and_mirrored(live: Feed, tmp_path: Path) -> None:
    found = require_same_rows(live)
    assert {row["region"] for row in found} == {"One", "Two"}
    assert {row["version"] for row in found} == {"24.04", "22.04"}
    assert synced(live, tmp_path) == named(found)
    out = mirrored(live, tmp_path)
    with httpx.Client(base_url=live.root) as http:
        for file in (out / "streams/v1").iterdir():
            served = http.get(f"streams/v1/{file.name}").raise_for_status().content
            # Each worker signs for itself, when it is first asked.
            assert file.read_bytes().partition(_SIGNATURE)[0] == served.partition(_SIGNATURE)[0]
    if live.keyring:
        headwater("verify", live.root, "--keyring", live.keyring)


def test_filters_and_the_newest_are_taken_alike(written: Feed, tmp_path: Path) -> None:
    start, filters = f"{written.root}{written.start}", ("region=RegionOne", "version=24.04")
    theirs = json.loads(tool("sstream-query", "--json", "--max=1", *written.trust, start, *filters))
    assert [row["id"] for row in theirs] == ["24.04-20260102"]
    assert theirs == json.loads(headwater("query", start, "--json", "--max=1", *written.trust, *filters))


def test_one_changed_byte_is_told_by_both(written: Feed, tree: Path, tmp_path: Path) -> None:
    if written.keyring is None:
        return
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", tree, copy], check=True)
    index = copy / SIGNED
    index.write_bytes(index.read_bytes().replace(b"RegionOne", b"RegionTwo"))
    theirs = subprocess.run(
        [simplestreams_tool("sstream-query"), *written.trust, index], capture_output=True, check=False, timeout=60
    )
    ours = CliRunner().invoke(app, ["streams", "query", str(index), *map(str, written.trust)])
    assert (theirs.returncode != 0, type(ours.exception).__name__) == (True, "NotVerified")


@pytest.mark.parametrize("who", ["juju", "lxd", "incus", "sstream"])
def test_the_written_tree_holds_something_for_each_consumer_and_nothing_that_stops_it(tree: Path, who: str) -> None:
    told: dict[str, Any] = json.loads(headwater("lint", tree, "--consumer", who, "--files", "--json"))
    assert told["consumers"]
    assert all(each["images_seen"] and not each["images_missed"] for each in told["consumers"])
    assert [each for each in told["findings"] if each["level"] == "error"] == []


def test_juju_s_search_finds_what_was_written(written: Feed) -> None:
    trust = written.trust if written.keyring else []
    cloud = ("--region", "Two", "--endpoint", ENDPOINT, "--no-defaults")
    words = ("--version", "24.04", "--url", written.root, "--for", "bootstrap", *trust, "--json")
    image = json.loads(headwater("find-image", *cloud, *words))["image"]
    assert (image["id"], image["signed"]) == ("in-Two", written.keyring is not None)
    agents = json.loads(headwater("find-agent", "--version", "3.6", "--url", written.root, "--no-defaults", "--json"))
    assert [each["version"] for each in agents["agents"]] == ["3.6.27"]
