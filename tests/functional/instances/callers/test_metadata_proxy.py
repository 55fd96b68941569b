"""``headwater metadata-proxy`` answers one machine on a channel of its own, as the metadata port would."""

from __future__ import annotations

import errno
import json
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from functional import program
from functional.headwater_process import HeadwaterProcess, bare_environment, wait_until

START_S = 30


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    """One with a machine that no address tells, and another one."""
    process = HeadwaterProcess(tmp_path_factory.mktemp("proxy"))
    process.start()
    for name in ("web1", "web2"):
        done = process.command("instance", "add", "--name", name, "--user-data", f"of {name}")
        assert done.returncode == 0, done.stderr
    yield process
    process.stop()


def command(service: HeadwaterProcess, *words: str, instance: str = "web1") -> list[str]:
    places = ["--config", str(service.config_file), "--data-dir", str(service.data_dir)]
    return [str(program.program()), *places, "metadata-proxy", "--instance", instance, *words]


@contextmanager
def proxy(service: HeadwaterProcess, channel: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = bare_environment(service.directory)
    with subprocess.Popen(command(service, "--listen", channel), env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.fixture
def path(service: HeadwaterProcess) -> Iterator[Path]:
    path = service.directory / "channel"
    with proxy(service, f"unix:{path}"):
        wait_until(path.exists, "it listens", START_S)
        yield path


@pytest.fixture
def guest(path: Path) -> Iterator[httpx.Client]:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://169.254.169.254") as client:
        yield client


def through(service: HeadwaterProcess, asked: bytes, *, instance: str = "web1") -> bytes:
    """Return what the command answers on its standard output."""
    done = subprocess.run(
        command(service, instance=instance),
        input=asked,
        env=bare_environment(service.directory),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_machine_reads_all_of_its_documents_by_a_unix_socket(guest: httpx.Client) -> None:
    assert guest.get("/latest/meta-data/hostname").text == "web1"
    assert guest.get("/latest/user-data").text == "of web1"
    assert guest.get("/openstack/latest/meta_data.json").json()["name"] == "web1"
    assert guest.get("/nocloud/user-data").text == "of web1"
    assert guest.get("/latest/nothing").status_code == 404


def test_tokens_and_passwords_work_as_on_the_metadata_port(guest: httpx.Client, service: HeadwaterProcess) -> None:
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = guest.put("/latest/api/token", headers=lifetime)
    shown = {"X-aws-ec2-metadata-token": token.text}
    assert guest.get("/latest/meta-data/hostname", headers=shown).status_code == 200
    assert guest.get("/latest/meta-data/hostname", headers={"X-aws-ec2-metadata-token": "no"}).status_code == 401
    forwarded = {**lifetime, "X-Forwarded-For": "10.0.0.1"}
    assert guest.put("/latest/api/token", headers=forwarded).status_code == 400
    assert guest.post("/openstack/latest/password", content=b"c2VjcmV0").status_code == 200
    assert service.command("instance", "password", "web1").stdout.strip() == "c2VjcmV0"


def test_nobody_but_the_machine_is_read_there(guest: httpx.Client, service: HeadwaterProcess) -> None:
    seed = json.loads(service.command("instance", "seed", "web2", "--json").stdout)
    direct = httpx.get(f"{service.metadata_url}{seed['path']}user-data")
    assert (direct.status_code, direct.text) == (200, "of web2")
    assert guest.get(f"{seed['path']}user-data").status_code == 404
    headers = {"X-Forwarded-For": "10.0.0.2", "X-Instance-ID": seed["id"]}
    assert guest.get("/latest/user-data", headers=headers).text == "of web1"


def test_what_the_machine_reads_is_in_its_boot_log(service: HeadwaterProcess) -> None:
    assert service.command("instance", "add", "--name", "logged").returncode == 0
    through(service, b"GET /openstack/latest/meta_data.json HTTP/1.0\r\n\r\n", instance="logged")
    log = service.command("instance", "boot-log", "logged", "--all", "--json")
    assert "openstack/latest/meta_data.json" in log.stdout


def test_a_change_shows_at_once_and_a_machine_that_is_removed_is_not_answered(
    service: HeadwaterProcess, tmp_path: Path
) -> None:
    assert service.command("instance", "add", "--name", "brief").returncode == 0
    channel = tmp_path / "channel"
    words = command(service, "--listen", f"unix:{channel}", instance="brief")
    with subprocess.Popen(words, env=bare_environment(tmp_path), stderr=subprocess.DEVNULL) as process:
        wait_until(channel.exists, "it listens", START_S)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(channel)), base_url="http://guest") as guest:
            assert guest.get("/latest/meta-data/hostname").text == "brief"
            assert service.command("instance", "remove", "brief").returncode == 0
            assert guest.get("/latest/meta-data/hostname").status_code == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_S) == 0
    assert not channel.exists()


def test_the_socket_is_for_one_account_and_has_one_server(path: Path, service: HeadwaterProcess) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second = subprocess.run(
        command(service, "--listen", f"unix:{path}"),
        env=bare_environment(service.directory),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (second.returncode, second.stderr) == (
        2,
        f"headwater: --listen unix:{path}: another process listens there\n".encode(),
    )


def test_a_socket_that_a_killed_proxy_left_is_replaced_and_a_file_is_not(
    service: HeadwaterProcess, tmp_path: Path
) -> None:
    left = tmp_path / "left"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(left))
    with proxy(service, f"unix:{left}"), socket.socket(socket.AF_UNIX) as guest:
        wait_until(lambda: guest.connect_ex(str(left)) == 0, "it listens", START_S)
    (tmp_path / "file").write_text("mine")
    for channel, problem in {
        f"unix:{tmp_path / 'file'}": "something that is no socket is there",
        f"unix:{tmp_path / 'no' / 'dir'}": "No such file or directory",
        "vsock:x:1": "CID and PORT are numbers below 2^32",
        "tcp:1": "say unix:PATH, vsock:PORT or vsock:CID:PORT",
    }.items():
        done = service.command("metadata-proxy", "--instance", "web1", "--listen", channel)
        assert (done.returncode, done.stderr) == (2, f"headwater: --listen {channel}: {problem}\n")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_instance_that_is_not_there_is_named(service: HeadwaterProcess) -> None:
    done = service.command("metadata-proxy", "--instance", "nobody")
    assert done.returncode != 0
    assert "nobody" in done.stderr


def test_one_connection_is_answered_on_standard_input_and_output(service: HeadwaterProcess) -> None:
    asked = b"GET /latest/meta-data/hostname HTTP/1.1\r\nHost: x\r\n\r\nGET /latest/user-data HTTP/1.0\r\n\r\n"
    first, second = through(service, asked).split(b"HTTP/1.1 200 OK")[1:]
    assert first.partition(b"\r\n\r\n")[2] == b"web1"
    assert second.partition(b"\r\n\r\n")[2] == b"of web1"


def test_what_is_no_request_is_refused_on_standard_output(service: HeadwaterProcess) -> None:
    assert through(service, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert through(service, b"") == b""


def test_one_socket_for_both_as_qemu_gives_it_is_used_as_it_is(service: HeadwaterProcess) -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    with subprocess.Popen(
        command(service),
        stdin=theirs.fileno(),
        stdout=theirs.fileno(),
        stderr=theirs.fileno(),
        env=bare_environment(service.directory),
    ) as process:
        theirs.close()
        for _ in range(3):
            ours.sendall(b"GET /latest/user-data HTTP/1.1\r\nHost: x\r\n\r\n")
            said = b""
            while not said.endswith(b"of web1"):
                said += ours.recv(65536)
            assert said.startswith(b"HTTP/1.1 200 OK\r\n")  # and nothing of the log
        ours.close()
        assert process.wait(START_S) == 0


def test_a_machine_reads_by_vsock(service: HeadwaterProcess) -> None:
    local = 1  # VMADDR_CID_LOCAL
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((local, socket.VMADDR_PORT_ANY))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            pytest.skip("this kernel has no loopback of vsock (vsock_loopback), and no guest is here")
        port = probe.getsockname()[1]
    with proxy(service, f"vsock:{local}:{port}"), socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as guest:
        deadline = time.monotonic() + START_S
        while guest.connect_ex((local, port)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        guest.sendall(b"GET /latest/user-data HTTP/1.0\r\n\r\n")
        said = b""
        while data := guest.recv(65536):
            said += data
        assert said.endswith(b"of web1")
