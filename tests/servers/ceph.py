"""A private one-node Ceph for one test run: a monitor, a manager, one OSD on a small sparse file, and RADOS Gateway.

All of it listens on loopback, with its own configuration, keys and directories. ``keeper.py`` runs each daemon, and
stops it when this process lets go of a pipe.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from needs import not_run, program
from servers import process
from servers.mortal import below
from servers.ports import free_port

REMEDY = "run 'make test-ceph'"
_DAEMONS = ("ceph-mon", "ceph-mgr", "ceph-osd", "radosgw")
_DISK = 6 << 30  # bytes, of a sparse file
_WAIT_S = 60

_SETTINGS = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{port}]
public_addr = 127.0.0.1
ms_bind_msgr1 = false
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
keyring = {home}/keyring
run_dir = {home}
admin_socket =
pid_file =
log_file =
log_to_stderr = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_warn_on_pool_no_redundancy = false
# The disk of the machine is shared, and what fills it is not ours.
mon_data_avail_warn = 1
mon_data_avail_crit = 1
[mon]
# A snapshot waits for the next round of the monitors, which is a second later by default.
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
mon_data = {home}/mon/data
mon_cluster_log_file =
[mgr]
mgr_data = {home}/mgr/data
mgr_initial_modules =
mgr_stats_period = 1
[osd]
osd_data = {home}/osd/data
osd_objectstore = bluestore
bluestore_block_size = {disk}
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
osd_memory_target = 1073741824
osd_class_load_list = *
osd_class_default_list = *
[client]
rgw_data = {home}/rgw
"""


class Daemon:
    """One daemon, which a test may stop, kill or let stand still."""

    def __init__(self, command: Sequence[str | Path], home: Path) -> None:
        home.mkdir(exist_ok=True)
        self._server = process.Server(lambda _: command, lambda _: True, None, home, signal.SIGTERM)
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._keeper = process.start(self._server, 0)

    def kill(self) -> None:
        """End it at once; its files stay."""
        assert self._keeper is not None
        self._signal(signal.SIGKILL)
        self._keeper.wait(30)
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper = None

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let it do nothing; its connections stay open."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def close(self) -> None:
        if self._keeper is not None:
            process.stop(self._keeper)
            self._keeper = None

    def log(self) -> str:
        return (self._server.home / "server.log").read_text(errors="replace")[-4000:]

    def _signal(self, number: signal.Signals) -> None:
        assert self._keeper is not None
        for each in below(self._keeper.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, number)


@dataclass(frozen=True)
class Ceph:
    """A running cluster."""

    home: Path
    fsid: str
    monitor: Daemon
    manager: Daemon
    osd: Daemon

    @property
    def conf(self) -> Path:
        return self.home / "ceph.conf"

    def run(self, *words: str) -> Any:
        """Return what a command of the program ``ceph`` gives, as JSON."""
        command: list[str | Path] = [
            program("ceph"),
            "--conf",
            self.conf,
            "--connect-timeout",
            "20",
            "--format",
            "json",
            *words,
        ]
        done = subprocess.run(command, capture_output=True, check=False, timeout=_WAIT_S)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout) if done.stdout.strip() else None

    def make_pool(self, name: str, *, quota: int | None = None) -> str:
        """Make a pool for images, and return its name."""
        self.run("osd", "pool", "create", name, "8")
        self.run("osd", "pool", "application", "enable", name, "rbd")
        if quota is not None:
            self.run("osd", "pool", "set-quota", name, "max_bytes", str(quota))
        return name

    def remove_pool(self, name: str) -> None:
        self.run("osd", "pool", "rm", name, name, "--yes-i-really-really-mean-it")

    def make_user(self, name: str, pool: str) -> Path:
        """Make a user who may what the documentation says, and return the file with its key."""
        of_pool = f"profile rbd pool={pool}"
        return self.user_with(name, mon="profile rbd", osd=of_pool, mgr=of_pool)

    def user_with(self, name: str, **capabilities: str) -> Path:
        """Make a user who may this, and return the file with its key."""
        words = [word for each in capabilities.items() for word in each]
        made = self.run("auth", "get-or-create", f"client.{name}", *words)
        return keyring(self.home / f"{name}.keyring", name, made[0]["key"])

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _WAIT_S
        while not is_so():
            if time.monotonic() > deadline:
                raise process.ServerDidNotStart(f"{self.monitor.log()}\n{self.manager.log()}\n{self.osd.log()}")
            time.sleep(0.1)

    def wait_for_osd(self) -> None:
        """Return when the cluster knows that its OSD works."""
        self.wait_until(lambda: self.run("osd", "stat")["num_up_osds"] == 1)


def keyring(path: Path, user: str, key: str) -> Path:
    """Write a key into a file, and return the file."""
    path.write_text(f"[client.{user}]\nkey = {key}\n")
    return path


@dataclass(frozen=True)
class Gateway:
    """RADOS Gateway: an S3 server."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)


def is_installed() -> bool:
    """Return whether a cluster can be started here."""
    return all(shutil.which(each) is not None for each in (*_DAEMONS, "ceph", "ceph-authtool", "monmaptool", "rbd"))


@contextmanager
def running() -> Iterator[Ceph]:
    """Give a cluster whose OSD is up."""
    home = Path(tempfile.mkdtemp(prefix="headwater-ceph-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        yield _started(home, stack)


@pytest.fixture(scope="session")
def ceph() -> Iterator[Ceph]:
    """Give a cluster whose OSD is up."""
    if not is_installed():
        not_run("Ceph (Debian's packages ceph-mon, ceph-mgr, ceph-osd, ceph-common and radosgw)", REMEDY)
    with running() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def rados_gateway(ceph: Ceph) -> Iterator[Gateway]:
    """Give an S3 server with one user."""
    key_file = ceph.user_with("gateway", mon="allow rw", osd="allow rwx", mgr="allow rw")
    as_gateway = ["--conf", str(ceph.conf), "--name", "client.gateway", "--keyring", str(key_file)]
    access_key, secret_key = secrets.token_hex(10), secrets.token_hex(20)
    user = ["user", "create", "--uid=headwater", "--display-name=headwater"]
    process.prepare(
        [program("radosgw-admin"), *as_gateway, *user, f"--access-key={access_key}", f"--secret-key={secret_key}"],
        owner=None,
        home=ceph.home,
    )
    home = ceph.home / "rgw"
    home.mkdir()

    def command(port: int) -> Sequence[str | Path]:
        return [program("radosgw"), *as_gateway, "-f", f"--rgw-frontends=beast endpoint=127.0.0.1:{port}"]

    with process.listening(command, answers=_answers, owner=None, home=home, stop_signal=signal.SIGTERM) as port:
        yield Gateway(f"http://127.0.0.1:{port}", access_key, secret_key)


def _started(home: Path, stack: ExitStack) -> Ceph:
    fsid, port = str(uuid.uuid4()), free_port()
    conf = home / "ceph.conf"
    conf.write_text(_SETTINGS.format(fsid=fsid, port=port, home=home, disk=_DISK))
    with_conf: list[str | Path] = ["--conf", conf]

    def prepare(name: str, *words: str | Path) -> None:
        process.prepare([program(name), *words], owner=None, home=home)

    def key(name: str, *caps: str) -> None:
        create: list[str | Path] = [] if (home / "keyring").exists() else ["--create-keyring"]
        words = [word for each in caps for word in ("--cap", *each.split(" ", 1))]
        prepare("ceph-authtool", *create, home / "keyring", "--gen-key", "--name", name, *words)

    key("mon.", "mon allow *")
    key("client.admin", "mon allow *", "osd allow *", "mgr allow *")
    key("mgr.x", "mon allow profile mgr", "osd allow *")
    key("osd.0", "mon allow profile osd", "mgr allow profile osd", "osd allow *")
    prepare("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{port}]", "--fsid", fsid, home / "monmap")
    for each in ("mon", "mgr", "osd"):
        (home / each / "data").mkdir(parents=True)
    of_monitor: list[str | Path] = ["--mkfs", "--monmap", home / "monmap", "--keyring", home / "keyring"]
    prepare("ceph-mon", *with_conf, "--id", "a", *of_monitor)

    def daemon(name: str, identity: str) -> Daemon:
        command: list[str | Path] = [program(f"ceph-{name}"), *with_conf, "--id", identity, "-f"]
        made = Daemon(command, home / name)
        stack.callback(made.close)
        return made

    ceph = Ceph(home, fsid, daemon("mon", "a"), daemon("mgr", "x"), daemon("osd", "0"))
    ceph.monitor.start()
    ceph.manager.start()
    disk = str(uuid.uuid4())
    ceph.run("osd", "new", disk, "0")
    prepare("ceph-osd", *with_conf, "--id", "0", "--mkfs", "--osd-uuid", disk)
    ceph.osd.start()
    ceph.wait_for_osd()
    return ceph


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
