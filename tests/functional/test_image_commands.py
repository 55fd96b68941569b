"""``headwater image``: the commands against the real service, over connections that are lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, bare_environment, wait_until
from headwater.testing.object_store import some_bytes

DATA = some_bytes(12_000_001)


class Line:
    """A way to the service that is cut after so many bytes, each time; 0: not any more."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._there = (place.hostname or "", place.port or 0)
        self.up_to = 0
        self.cuts = 0
        self.is_down = self.goes_down = False  # goes_down: it is down after the next cut
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.is_down:
                client.close()
                continue
            server = socket.create_connection(self._there)
            self._sockets += (client, server)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                target.sendall(piece)
                carried += len(piece)
                if self.up_to and carried > self.up_to:
                    self.is_down = self.goes_down
                    self.cuts += 1
                    break
        _shut(source, target)

    def close(self) -> None:
        _shut(self._listener)
        self._listener.close()
        self._accepting.join(20)
        _shut(*self._sockets)
        for each in self._sockets:
            each.close()


def _shut(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(headwater: HeadwaterProcess) -> Iterator[Line]:
    made = Line(headwater.images_url)
    yield made
    made.close()


class Command:
    """The command line of one user."""

    def __init__(self, home: Path, url: str) -> None:
        self._home, self._url = home, url
        self._environment = {**bare_environment(home), "XDG_CACHE_HOME": str(home / "cache")}

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "headwater.cli.main", "image", *words, "--url", self._url],
            env={**self._environment, **more},
            cwd=self._home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A run of the tests in the background ignores it, and so would what it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - nothing else is done there
        )

    def run(self, *words: str, code: int = 0, **more: str) -> str:
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, (out, err)
        if code == 0:
            assert err == ""  # in a pipe nothing is shown of the progress
        return out if code == 0 else err

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    @property
    def states(self) -> list[Path]:
        return list((self._home / "cache").rglob("*.json"))


@pytest.fixture
def command(line: Line, tmp_path: Path) -> Command:
    return Command(tmp_path, line.url)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / f"image-{os.urandom(4).hex()}.img"
    made.write_bytes(DATA)
    return made


def called(http: httpx.Client, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/v2/images", params={"name": name}).json()["images"]
    return found


def test_a_file_goes_up_and_comes_down(command: Command, file: Path, tmp_path: Path) -> None:
    made = command.json("upload", str(file), "--property", "os_distro=debian", "--tag", "a", "--tag", "b")
    assert (made["status"], made["size"], made["disk_format"], made["os_distro"]) == (
        "active",
        len(DATA),
        "raw",
        "debian",
    )
    assert command.states == []
    assert made["id"] in command.run("list", "--name", file.name)
    assert [each["id"] for each in command.json("list", "--name", file.name)] == [made["id"]]
    assert command.json("show", file.name) == command.json("show", made["id"])
    changed = command.json(
        "set", made["id"], "--name", "new", "--property", "x=y", "--remove", "os_distro", "--tag", "c"
    )
    assert (changed["name"], changed["x"], changed["tags"], "os_distro" in changed) == ("new", "y", ["c"], False)
    command.run("download", made["id"], "down")
    assert (tmp_path / "down").read_bytes() == DATA
    assert "--force" in command.run("download", made["id"], "down", code=2)
    command.run("delete", made["id"])
    assert "there is no image" in command.run("delete", made["id"], code=1)


def test_what_is_wrong_is_told_and_ends_the_command(command: Command, file: Path) -> None:
    assert "there is no image 'nobody'" in command.run("show", "nobody", code=1)
    assert "no file" in command.run("upload", "nothing.img", code=2)
    assert "NAME=VALUE" in command.run("upload", str(file), "--property", "x", code=2)
    assert "415" in command.run("upload", str(file), "--disk-format", "qcow2", code=1)
    assert (command.states, command.json("list", "--name", file.name)) == ([], [])
    secret = {"OS_AUTH_TYPE": "http_basic", "OS_USERNAME": "u", "OS_PASSWORD": "very-secret"}
    assert "very-secret" not in command.run("show", "nobody", code=1, **secret)
    assert "OS_PASSWORD is not set" in command.run("list", code=2, OS_AUTH_TYPE="http_basic", OS_USERNAME="u")


def test_an_upload_goes_on_over_lost_connections(command: Command, line: Line, file: Path, http: httpx.Client) -> None:
    line.up_to = 3_500_000
    made = command.json("upload", str(file))
    assert line.cuts >= 3
    assert (made["status"], made["size"]) == ("active", len(DATA))
    assert http.get(f"/v2/images/{made['id']}/file").content == DATA
    assert len(called(http, file.name)) == 1
    assert command.states == []


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_upload_that_was_ended_goes_on_with_the_next_run(
    command: Command, line: Line, file: Path, http: httpx.Client, end: signal.Signals
) -> None:
    line.up_to, line.goes_down = 3_500_000, True
    process = command.start("upload", str(file))
    wait_until(lambda: line.cuts >= 1, "a part of the file was sent")
    process.send_signal(end)
    process.communicate(timeout=60)
    assert process.returncode not in (0, 1)
    assert len(command.states) == 1
    line.up_to, line.is_down, cuts = 0, False, line.cuts
    (begun,) = called(http, file.name)
    assert begun["status"] == "saving"
    made = command.json("upload", str(file))
    assert (made["id"], made["status"], line.cuts) == (begun["id"], "active", cuts)
    assert http.get(f"/v2/images/{made['id']}/file").content == DATA
    assert len(called(http, file.name)) == 1
    assert command.states == []


def test_an_upload_gives_up_when_its_patience_is_over_and_keeps_what_it_has(
    command: Command, line: Line, file: Path
) -> None:
    line.up_to = 1  # no answer comes through
    assert "does not answer" in command.run("upload", str(file), "--patience", "1", code=1)
    assert len(command.states) == 1
    line.up_to = 0
    assert command.json("upload", str(file))["status"] == "active"


def test_a_download_goes_on_over_lost_connections_and_runs(
    command: Command, line: Line, file: Path, tmp_path: Path
) -> None:
    image_id = command.json("upload", str(file))["id"]
    line.up_to = 3_500_000
    command.run("download", image_id, "down")
    assert line.cuts >= 3
    assert (tmp_path / "down").read_bytes() == DATA
    part = tmp_path / f".again.{image_id}.part"
    for left in (DATA[:5_000_000], b"x" * 5_000_000, DATA, DATA + b"x"):
        line.up_to = 0
        part.write_bytes(left)
        good = DATA.startswith(left)
        told = command.run("download", image_id, "again", "--force", code=0 if good or len(left) > len(DATA) else 1)
        assert not part.exists()
        assert good or len(left) > len(DATA) or "sha512" in told
    assert (tmp_path / "again").read_bytes() == DATA
