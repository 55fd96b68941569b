"""``headwater image``: the commands against the real service, over connections that are lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from functional import program as programs
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, bare_environment, run_headwater, wait_until
from functional.program import Process
from headwater.testing.object_store import some_bytes
from needs import program

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
    """The command line of one user; ``anew``: each command is a start of Python."""

    def __init__(self, home: Path, url: str, *, anew: bool = False) -> None:
        self._home, self._url, self._anew = home, url, anew
        self._environment = {**bare_environment(home), "XDG_CACHE_HOME": str(home / "cache")}

    def start(self, *words: str) -> Process:
        with (self._home / "said").open("wb") as said:
            return programs.start(
                self._arguments(words),
                directory=self._home,
                env=self._environment,
                stdout=said,
                stderr=said,
                anew=self._anew,
            )

    def run(self, *words: str, code: int = 0, **more: str) -> str:
        environment = {**self._environment, **more}
        done = run_headwater(
            *self._arguments(words), directory=self._home, env=environment, timeout_s=120, anew=self._anew
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        if code == 0:
            assert done.stderr == ""  # in a file nothing is shown of the progress
        return done.stdout if code == 0 else done.stderr

    def _arguments(self, words: Sequence[str]) -> list[str]:
        return ["image", *words, "--url", self._url]

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


def test_a_file_goes_up_and_comes_down(command: Command, line: Line, file: Path, tmp_path: Path) -> None:
    by_itself = Command(tmp_path, line.url, anew=True)
    made = by_itself.json("upload", str(file), "--property", "os_distro=debian", "--tag", "a", "--tag", "b")
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
    by_itself.run("download", made["id"], "down")
    assert (tmp_path / "down").read_bytes() == DATA
    assert "--force" in command.run("download", made["id"], "down", code=2)
    command.run("delete", made["id"])
    assert "there is no image" in command.run("delete", made["id"], code=1)


@pytest.mark.parametrize("prefix", ["in:", "gt:", 'in:"'])
def test_a_name_that_looks_like_an_operator_names_its_image(
    command: Command, http: httpx.Client, file: Path, prefix: str
) -> None:
    name = f"{prefix}{file.name},other-{file.name}"
    other = http.post("/v2/images", json={"name": f"other-{file.name}"}).json()["id"]
    made = command.json("upload", str(file), "--name", name)["id"]
    assert [each["id"] for each in command.json("list", "--name", name)] == [made]
    assert command.json("show", name)["id"] == made
    command.run("delete", name)
    assert http.get(f"/v2/images/{made}").status_code == 404
    assert http.get(f"/v2/images/{other}").status_code == 200


def test_what_is_wrong_is_told_and_ends_the_command(command: Command, file: Path) -> None:
    assert "there is no image 'nobody'" in command.run("show", "nobody", code=1)
    assert "no file" in command.run("upload", "nothing.img", code=2)
    assert "NAME=VALUE" in command.run("upload", str(file), "--property", "x", code=2)
    assert "--id" in command.run("upload", str(file), "--resume", code=2)
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


def test_whoever_waits_for_a_service_that_is_away_is_told(command: Command, line: Line, file: Path) -> None:
    line.is_down = True
    said = command.run("upload", str(file), "--patience", "1", code=1)
    waiting, error = said.splitlines()
    away = f"the service at {line.url} does not answer: "
    assert waiting.startswith(away)
    assert waiting.endswith("; trying again for 1 s")
    assert error.startswith(f"headwater: {away}")
    told = json.loads(command.run("upload", str(file), "--patience", "1", "--json", code=1))  # and nothing else
    assert told["error"]["type"] == "Unreachable"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_upload_that_was_ended_goes_on_with_the_next_run(
    command: Command, line: Line, file: Path, http: httpx.Client, end: signal.Signals
) -> None:
    line.up_to, line.goes_down = 3_500_000, True
    process = command.start("upload", str(file))
    wait_until(lambda: line.cuts >= 1, "a part of the file was sent")
    process.send_signal(end)
    assert process.wait(60) not in (0, 1)
    assert len(command.states) == 1
    line.up_to, line.is_down, cuts = 0, False, line.cuts
    (begun,) = called(http, file.name)
    assert begun["status"] == "saving"
    made = command.json("upload", str(file))
    assert (made["id"], made["status"], line.cuts) == (begun["id"], "active", cuts)
    assert http.get(f"/v2/images/{made['id']}/file").content == DATA
    assert len(called(http, file.name)) == 1
    assert command.states == []


@pytest.mark.parametrize("same", [True, False])
def test_what_another_program_has_begun_at_once_goes_on_after_kills_of_it_and_of_the_service(
    fresh_headwater: FreshHeadwater, tmp_path: Path, file: Path, same: bool
) -> None:
    process = fresh_headwater()
    with httpx.Client(base_url=process.images_url, timeout=60) as http:
        image_id = http.post("/v2/images", json={"disk_format": "raw", "container_format": "bare"}).json()["id"]
    headers = ("Content-Type: application/octet-stream", "Upload-Complete: ?1", "Upload-Draft-Interop-Version: 8")
    sent = file
    if not same:
        sent = tmp_path / "other"
        sent.write_bytes(bytes(len(DATA)))
    words = [word for each in headers for word in ("--header", each)]
    words += ["--noproxy", "*", "--limit-rate", "2M", "--upload-file", str(sent)]
    address = f"{process.images_url}/v2/images/{image_id}/file"
    curl = subprocess.Popen([program("curl"), *words, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: kept(process.data_dir, image_id) > 1 << 20, "a part of the file was sent")
    finally:
        curl.kill()
        curl.wait()
    process.kill()
    process.start()
    command = Command(tmp_path, process.images_url)
    assert "--resume" in command.run("upload", str(file), "--id", image_id, code=1)
    with httpx.Client(base_url=process.images_url, timeout=60) as http:
        assert http.get(f"/v2/images/{image_id}").json()["status"] == "saving"
        if same:
            made = command.json("upload", str(file), "--id", image_id, "--resume")
            assert (made["id"], made["status"], made["size"]) == (image_id, "active", len(DATA))
            assert http.get(f"/v2/images/{image_id}/file").content == DATA
        else:
            assert "Digest mismatch" in command.run("upload", str(file), "--id", image_id, "--resume", code=1)
            assert http.get(f"/v2/images/{image_id}").json()["status"] == "queued"
    assert command.states == []


def kept(data_dir: Path, image_id: str) -> int:
    """Return how many bytes of an image there are in the store."""
    return sum(path.stat().st_size for path in (data_dir / "stores").rglob("*") if image_id in path.name)


def test_an_upload_whose_beginning_was_answered_to_nobody_goes_on(
    command: Command, line: Line, file: Path, http: httpx.Client
) -> None:
    """The image is the command's own, so what brings its data is the command's own as well."""
    line.up_to, line.goes_down = 3_500_000, True
    process = command.start("upload", str(file))
    wait_until(lambda: line.cuts >= 1, "a part of the file was sent")
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    (state,) = command.states
    known = json.loads(state.read_text())
    state.write_text(json.dumps({**known, "upload": None}))
    line.up_to, line.is_down = 0, False
    made = command.json("upload", str(file))
    assert (made["id"], made["status"]) == (known["image_id"], "active")
    assert http.get(f"/v2/images/{made['id']}/file").content == DATA


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
