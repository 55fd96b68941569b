"""``headwater instance set`` changes what is named, and its guest is answered by the change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBOkgYVU9SgreA23NuVM8uW9m1ADO7F0F5rik0RRMmFm me@home"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path)
    process.start()
    told = ("--user-data", "one", "--meta", "a=1", "--meta", "b=2", "--project-id", "blue")
    for name, address, *more in (("web1", "127.0.0.1", *told), ("web2", "10.0.0.2")):
        assert process.command("instance", "add", "--name", name, "--address", address, *more).returncode == 0
    yield process
    process.stop()


def shown(service: HeadwaterProcess, name: str = "web1") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(service.command("instance", "show", name, "--json").stdout)
    return found


def put(service: HeadwaterProcess, *words: str) -> tuple[int, str]:
    done = service.command("instance", "set", "web1", *words)
    return done.returncode, done.stderr


def test_what_is_named_changes_and_the_rest_stays(service: HeadwaterProcess) -> None:
    before = shown(service)
    assert put(service, "--user-data", "two", "--ssh-key", KEY, "--meta", "b=3", "--meta", "c=4")[0] == 0
    after = shown(service)
    assert (after["meta"], after["revision"]) == ({"a": "1", "b": "3", "c": "4"}, before["revision"] + 1)
    for name in ("id", "name", "hostname", "addresses", "project_id", "created_at"):
        assert after[name] == before[name]
    assert httpx.get(f"{service.metadata_url}/latest/user-data").text == "two"
    assert httpx.get(f"{service.metadata_url}/latest/meta-data/public-keys/0/openssh-key").text == KEY


def test_what_is_unset_is_gone(service: HeadwaterProcess) -> None:
    assert put(service, "--unset", "user_data", "--unset", "meta.a", "--unset", "project_id")[0] == 0
    after = shown(service)
    assert (after["user_data_base64"], after["meta"], after["project_id"]) == (None, {"b": "2"}, None)
    assert put(service, "--unset", "meta", "--meta", "x=9")[0] == 0
    assert shown(service)["meta"] == {"x": "9"}
    code, said = put(service, "--unset", "name")
    assert (code, "'name' is none that can be taken away" in said) == (2, True)


def test_a_public_address_is_told_while_there_is_one(service: HeadwaterProcess) -> None:
    assert shown(service)["public_ipv4"] is None
    assert httpx.get(f"{service.metadata_url}/latest/meta-data/public-ipv4").status_code == 404
    assert put(service, "--public-ipv4", "203.0.113.9")[0] == 0
    assert httpx.get(f"{service.metadata_url}/latest/meta-data/public-ipv4").text == "203.0.113.9"
    assert put(service, "--unset", "public_ipv4")[0] == 0
    assert shown(service)["public_ipv4"] is None
    for wrong in ("2001:db8::5", "203.0.113.0/24", "203.0.113.009", "::ffff:203.0.113.9"):
        code, said = put(service, "--public-ipv4", wrong)
        assert (code, "public_ipv4: " in said and "is no IPv4 address of a machine" in said) == (2, True), said


def test_a_change_to_what_is_there_is_none(service: HeadwaterProcess) -> None:
    before = shown(service)
    assert put(service, "--user-data", "one")[0] == 0
    assert shown(service) == before


def test_a_change_of_what_somebody_else_has_changed_is_refused(service: HeadwaterProcess) -> None:
    assert put(service, "--hostname", "other", "--revision", "0")[0] == 0
    code, said = put(service, "--hostname", "third", "--revision", "0")
    assert (code != 0, "was changed meanwhile (revision 1, expected 0)" in said) == (True, True)
    assert shown(service)["hostname"] == "other"


def test_what_belongs_to_another_machine_is_not_taken(service: HeadwaterProcess) -> None:
    before = shown(service)
    for words in (("--address", "10.0.0.2"), ("--name", "web2"), ("--address", "10.0.0.999"), ("--image", "none")):
        assert put(service, *words)[0] != 0
    assert shown(service) == before
