"""The store ``rbd`` on a real Ceph of one node, beside the program ``rbd`` doing the same: import and export by a pipe.

Ceph is that of ``make test-ceph``, which installs it; so this is measured when it is asked for by its name only. Of the
program everything is counted, its start as well; the memory is that of this process, and so the store's alone.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tools.benches.failure import BenchFailed
from tools.benches.images.stores import IDENTITY, Client, compare
from tools.benches.measuring.source import PIECE, Source, source
from tools.benches.plan import Plan
from tools.benches.results import Results

from headwater.stores.rbd.bindings import NoCephBindings, ceph_bindings
from headwater.stores.rbd.settings import RbdStoreSettings
from headwater.stores.rbd.store import RbdStore
from servers import ceph

BENCH = "rbd"
_POOL = _USER = "bench"


def measure(plan: Plan, results: Results) -> None:
    """Fill in the figures of the store.

    Raises:
        BenchFailed: Ceph is not installed, or what came back is not what was sent.
    """
    plan.room(BENCH)
    try:
        bindings = ceph_bindings()
    except NoCephBindings as error:
        raise BenchFailed(f"Ceph's modules do not load here ({error}): 'tools/test_ceph.sh bench' has them") from error
    if not ceph.is_installed():
        raise BenchFailed("Ceph is not installed: 'make test-ceph' does it")
    with source() as bytes_, ceph.running() as cluster:
        cluster.make_pool(_POOL)
        key = cluster.make_user(_USER, _POOL)
        settings = RbdStoreSettings(type="rbd", pool=_POOL, user=_USER, conf=cluster.conf, keyring=key)
        with contextlib.closing(RbdStore("rbd", settings, bindings)) as store:
            store.expect(store.mark(IDENTITY))
            compare(plan, results, BENCH, "rbd", store, _program(settings, key, bytes_), bytes_)


def _program(settings: RbdStoreSettings, key: Path, bytes_: Source) -> Client:
    command = ["rbd", "--conf", str(settings.conf), "--id", settings.user, "--keyring", str(key), "--no-progress"]

    def upload(name: str, size: int) -> None:
        words = ["import", "--object-size", str(settings.chunk_size), "-", f"{settings.pool}/{name}"]
        with subprocess.Popen([*command, *words], stdin=subprocess.PIPE) as program:
            assert program.stdin is not None
            for piece in bytes_.pieces(size):
                program.stdin.write(piece)
        _require_done(program)

    def download(name: str) -> int:
        words = ["export", f"{settings.pool}/{name}", "-"]
        with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, bufsize=0) as program:
            assert program.stdout is not None
            read = sum(map(len, _pieces(program.stdout.fileno())))
        _require_done(program)
        return read

    return Client("the program rbd", upload, download, is_process=True)


def _pieces(descriptor: int) -> Iterator[bytes]:
    with open(descriptor, "rb", buffering=0, closefd=False) as pipe:
        while piece := pipe.read(PIECE):
            yield piece


def _require_done(program: subprocess.Popen[bytes]) -> None:
    if program.returncode != 0:
        raise BenchFailed(f"rbd ended with {program.returncode}")
