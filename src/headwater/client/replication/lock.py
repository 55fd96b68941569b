"""One run at a time from one service to another: two of them would both go on with the same copies.

A file beside the notebooks is locked for as long as a run lasts. The lock ends with its process, however that ends; the
file stays, and says who held it last.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from headwater.errors import Conflict


class ReplicationUnderWay(Conflict):
    """Another run copies from the same service to the same one."""

    def __init__(self, source: str, target: str, holder: str) -> None:
        super().__init__(f"a replication from {source} to {target} runs already: {holder}; try again when it is over")
        self.source, self.target, self.holder = source, target, holder


@contextmanager
def one_run(notebooks: Path, source: str, target: str) -> Iterator[None]:
    """Let nobody else on this machine, or who shares the directory, replicate between these two meanwhile.

    Raises:
        ReplicationUnderWay: Somebody does.
    """
    notebooks.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = hashlib.sha256(msgspec.json.encode([source, target])).hexdigest()[:32]
    descriptor = os.open(notebooks / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            said = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            raise ReplicationUnderWay(source, target, said or "a process that has just begun") from error
        os.ftruncate(descriptor, 0)
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}, since {since}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
