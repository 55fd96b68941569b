"""``headwater image`` and ``headwater replicate`` where somebody has to prove who calls: to Keystone, by a password."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from functional.headwater_process import HeadwaterProcess, bare_environment, run_headwater
from functional.identity.test_identity import Place, toml
from headwater.testing.object_store import some_bytes
from servers.openstack.keystone import Keystone

DATA = some_bytes(3_000_001)
PASSWORD = "pass:wörd"


@pytest.fixture(scope="module")
def place(keystone: Keystone) -> Place:
    return Place(keystone)


@pytest.fixture
def proved(keystone: Keystone, place: Place, tmp_path: Path) -> Iterator[HeadwaterProcess]:
    directory = tmp_path / "proved"
    directory.mkdir()
    process = HeadwaterProcess(directory, toml=toml(keystone.url, place.service))
    process.start()
    yield process
    process.kill()


@pytest.fixture
def basic(tmp_path: Path) -> Iterator[HeadwaterProcess]:
    directory = tmp_path / "basic"
    directory.mkdir()
    users = directory / "users"
    users.write_text(f"ada:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
    settings = f'[auth]\nmode = "basic"\nhtpasswd_file = "{users}"\n'
    process = HeadwaterProcess(directory, toml=settings)
    process.start()
    yield process
    process.kill()


def run(home: Path, variables: dict[str, str], *words: str, code: int = 0) -> Any:
    environment = {**bare_environment(home), "XDG_CACHE_HOME": str(home / "cache"), **variables}
    done = run_headwater(*words, "--json", directory=home, env=environment, timeout_s=120)
    assert done.returncode == code, (done.stdout, done.stderr)
    for name, value in variables.items():
        assert not name.endswith("PASSWORD") or value not in done.stdout + done.stderr
    return json.loads(done.stdout or done.stderr)


def test_images_go_from_keystone_to_a_password(
    keystone: Keystone, place: Place, proved: HeadwaterProcess, basic: HeadwaterProcess, tmp_path: Path
) -> None:
    by_keystone = {
        "OS_AUTH_URL": keystone.url,
        "OS_USERNAME": place.member.name,
        "OS_USER_DOMAIN_ID": "default",
        "OS_PASSWORD": place.member.password,
        "OS_PROJECT_ID": place.project,
    }
    by_password = {"OS_AUTH_TYPE": "http_basic", "OS_USERNAME": "ada", "OS_PASSWORD": PASSWORD}
    file = tmp_path / "disk.img"
    file.write_bytes(DATA)
    made = run(tmp_path, by_keystone, "image", "upload", str(file), "--url", proved.images_url)
    sides = {f"FROM_{key}": value for key, value in by_keystone.items()}
    sides |= {f"TO_{key}": value for key, value in by_password.items()}
    urls = ("--from", proved.images_url, "--to", basic.images_url)
    assert run(tmp_path, sides, "replicate", *urls)["counts"] == {"done": 1}
    copy = tmp_path / "copy.img"
    run(tmp_path, by_password, "image", "download", made["id"], str(copy), "--url", basic.images_url)
    assert copy.read_bytes() == DATA
    refused = run(tmp_path, {**sides, "TO_OS_PASSWORD": "not-the-password"}, "replicate", *urls, code=1)
    assert "401" in refused["error"]["message"]
