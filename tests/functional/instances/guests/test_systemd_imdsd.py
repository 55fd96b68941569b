"""systemd-imdsd, told what our file for its hardware database says, reads a machine that wants tokens of everybody."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from functional.headwater_process import HeadwaterProcess, wait_until
from needs import CHECKOUT

UNPACKED = CHECKOUT / ".cache" / "systemd-newest"
PROGRAM = UNPACKED / "usr" / "lib" / "systemd" / "systemd-imdsd"
FIXED_ADDRESS = "http://169.254.169.254"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6/Vd6bZLg2P6nTYxKGBSSmOF0hbnOdCxUZcmNBYxCG a@b"
USER_DATA = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """What the program needs to run; skips where none could be fetched, or it does not run here."""
    libraries = ":".join(sorted({str(path.parent) for path in UNPACKED.rglob("lib*.so*")}))
    made = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": libraries}
    try:
        done = subprocess.run([PROGRAM, "--version"], env=made, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip(f"systemd-imdsd could not be fetched ({UNPACKED.relative_to(CHECKOUT)})")
    if done.returncode:
        pytest.skip(f"systemd-imdsd does not run on this machine: {done.stderr}")
    return made


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    directory = tmp_path_factory.mktemp("imdsd")
    process = HeadwaterProcess(directory, toml='[metadata]\nregion = "attic"\n')
    process.start()
    (directory / "user-data").write_bytes(USER_DATA)
    words = ["--name", "web", "--hostname", "web.example.org", "--address", "127.0.0.1", "--address", "2001:db8::5"]
    words += ["--public-ipv4", "203.0.113.9", "--availability-zone", "attic-1"]
    words += ["--ssh-key", KEY, "--user-data", f"@{directory / 'user-data'}"]
    done = process.command("instance", "add", *words, "--tokens", "required")
    assert done.returncode == 0, done.stderr
    yield process
    process.stop()


@dataclass(frozen=True)
class Imdsd:
    """The program, told what ``headwater instance hwdb`` prints, but for the address."""

    options: list[str]
    environment: dict[str, str]

    def ask(self, words: str) -> subprocess.CompletedProcess[bytes]:
        # Without an interface it would let a copy of itself ask on each, which it looks for where it is installed.
        command: list[str | Path] = [PROGRAM, "--cache=no", "--interface=lo", *self.options, words]
        return subprocess.run(command, env=self.environment, capture_output=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def imdsd(service: HeadwaterProcess, environment: dict[str, str]) -> Imdsd:
    file = service.command("instance", "hwdb").stdout.replace(FIXED_ADDRESS, service.metadata_url)
    said = dict(re.findall(r"^ IMDS_(\w+)=(.*)$", file, re.MULTILINE))
    keys = {name.removeprefix("KEY_"): said.pop(name) for name in list(said) if name.startswith("KEY_")}
    assert said.pop("ADDRESS_IPV4") == FIXED_ADDRESS.removeprefix("http://")
    options = [f"--{name.lower().replace('_', '-')}={value}" for name, value in said.items()]
    options += [f"--well-known-key={name.lower().replace('_', '-')}:{path}" for name, path in keys.items()]
    return Imdsd(options, environment)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hostname", b"web.example.org"),
        ("region", b"attic"),
        ("zone", b"attic-1"),
        ("ipv4-public", b"203.0.113.9"),
        ("ipv6-public", b"2001:db8::5"),
        ("ssh-key", KEY.encode()),
        ("userdata", USER_DATA),
    ],
    ids=["hostname", "region", "zone", "ipv4-public", "ipv6-public", "ssh-key", "userdata"],
)
def test_each_key_that_it_knows_is_what_the_record_says(imdsd: Imdsd, key: str, value: bytes) -> None:
    done = imdsd.ask(f"--well-known={key}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip(b"\n") == value.rstrip(b"\n")


def test_what_is_not_there_is_an_error_to_it(imdsd: Imdsd) -> None:
    done = imdsd.ask("/meta-data/nothing")
    assert (done.returncode, done.stdout) == (1, b""), done.stderr
    assert b"Requesting data for key '/meta-data/nothing" in done.stderr
    assert imdsd.ask("/meta-data/instance-id").stdout.startswith(b"i-")


def test_the_boot_log_knows_that_it_reads_single_documents(service: HeadwaterProcess, imdsd: Imdsd) -> None:
    assert imdsd.ask("--well-known=hostname").returncode == 0

    def verdict() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(service.command("instance", "boot-log", "web", "--json").stdout)["verdict"]
        return found

    wait_until(lambda: verdict()["requests"] > 1, "the requests are written down")
    found = verdict()
    assert (found["complete"], found["source"]) == (True, None)
    assert found["program"].startswith("systemd-imdsd ")
