"""How the worker processes of one service count together, whichever of them is asked."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_log = logging.getLogger(__name__)

_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "headwater-metrics-held-"
_TRIES, _TRY_EVERY_S = 50, 0.01


@contextmanager
def shared_between_processes() -> Iterator[None]:
    """Make the workers that this process starts count together; entered before the first use of ``Metrics``."""
    place = Path(tempfile.gettempdir())
    _remove_left(place)
    new = Path(tempfile.mkdtemp(prefix=".headwater-"))
    # Locked by this process and its workers, as long as one of them lives; named when that is so.
    with _locked(new):
        directory = new.rename(place / f"{_PREFIX}{new.name.removeprefix('.headwater-')}")
        os.environ[_DIRECTORY] = str(directory)
        try:
            yield
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _remove_left(place: Path) -> None:
    """Remove what services left that were killed."""
    for directory in place.glob(f"{_PREFIX}*"):
        # Another's, no directory, or one in use.
        with contextlib.suppress(OSError), _locked(directory):
            if directory.stat().st_uid == os.geteuid():
                shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _locked(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the kernel's lock of a file or directory; raise ``BlockingIOError`` when another process does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def exposition(own: CollectorRegistry) -> tuple[bytes, str]:
    """Return all counts of all processes as Prometheus reads them, and their media type.

    Args:
        own: What this process counts, where no others count with it.
    """
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest  # noqa: PLC0415 - see Metrics
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415 - see Metrics

    if _DIRECTORY not in os.environ:
        return generate_latest(own), CONTENT_TYPE_LATEST
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    with _nothing_moves(fcntl.LOCK_SH):
        return generate_latest(registry), CONTENT_TYPE_LATEST


def forget_process(pid: int) -> None:
    """Stop counting the requests in flight of a process that has ended; add its counts to those of others before it.

    So what ended processes leave stays small however many there are.
    """
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - see Metrics

    try:
        mark_process_dead(pid)
        directory = Path(os.environ[_DIRECTORY])
        with _nothing_moves(fcntl.LOCK_EX) as alone:
            for kind in ("counter", "histogram"):
                left = directory / f"{kind}_{pid}.db"
                if alone and left.exists():
                    _add(left, directory / f"{kind}_ended.db")
    except Exception as error:  # noqa: BLE001 - a full disk, a file that was cut: the counts stay where they are
        _log.warning("counts of an ended worker stay apart", extra={"pid": pid, "error": str(error)})


def _add(left: Path, ended: Path) -> None:
    """Add the counts in one file to those in another, and remove the first."""
    from prometheus_client.mmap_dict import MmapedDict  # noqa: PLC0415 - see Metrics

    if not ended.exists():
        left.rename(ended)
        return
    with ended.open("r+b") as file:
        # A write into a mapping that finds the disk full would end this process; this only raises.
        os.posix_fallocate(file.fileno(), 0, max(ended.stat().st_size, _used(ended) + _used(left)))
    total = MmapedDict(str(ended))
    try:
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(left)):
            total.write_value(key, total.read_value(key)[0] + value, 0.0)
    finally:
        total.close()
    left.unlink()


def _used(counts: Path) -> int:
    """Return how many bytes of a file of counts are in use, which its first four say."""
    with counts.open("rb") as file:
        return int.from_bytes(file.read(4), sys.byteorder)


@contextmanager
def _nothing_moves(kind: int) -> Iterator[bool]:
    """Keep counts from being moved while they are read; yield ``False`` where somebody stands still who does."""
    path = Path(os.environ[_DIRECTORY]) / "lock"
    path.touch(mode=0o600)
    with contextlib.ExitStack() as held:
        for _ in range(_TRIES):
            try:
                held.enter_context(_locked(path, kind))
            except BlockingIOError:
                time.sleep(_TRY_EVERY_S)
            else:
                break
        else:
            yield False
            return
        yield True
