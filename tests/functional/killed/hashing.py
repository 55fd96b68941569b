"""Hashing of a process that is killed at a step: lines of standard input are ``DIRECTORY NUMBER``.

A step is a transaction of the catalogue; the try dies before its first one with number 1, after it with number 2, and
so on, and with number -1 in the middle of an image's data. It answers ``killed``, or ``done`` when there are fewer
steps; nothing dies with number 0, which lets go of what the dead held, as every process does.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from functional.killed.imports import act_at, die, opened
from headwater.clock import now
from headwater.images.catalogue.fingerprints.image_fingerprints import FingerprintRows
from headwater.jobs import leases
from headwater.jobs.queue import Jobs
from headwater.jobs.runner import Later
from headwater.stores.file import FileStore
from headwater.streams.live.files.hashing import KIND, Hashing


def tried(directory: Path, number: int) -> None:
    with opened(directory) as (service, database):
        jobs, runner = Jobs(database), leases.writer_name()
        if number < 0:
            _die_in_the_data()
        elif number:
            act_at(number, die)
        else:
            jobs.release_dead(now())
        jobs.ensure([KIND], now())
        hashing = Hashing(service.public, FingerprintRows(database), service.downloads.places_of, rate=1 << 40)
        for job in jobs.claim([KIND], runner, now(), limit=1):
            with suppress(Later):
                hashing.run(job)
            jobs.again(job, runner, now(), counts=False)


def _die_in_the_data() -> None:
    """Let the process die in the middle of the data of the first image that it reads."""
    usual = FileStore.read

    @functools.wraps(usual)
    def read(self: FileStore, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        yield next(iter(usual(self, key, start, length)))
        die()

    FileStore.read = read  # type: ignore[method-assign]  # in this process, which ends


def main() -> None:
    for line in sys.stdin:
        directory, number = line.split()
        process = os.fork()
        if process == 0:
            tried(Path(directory), int(number))
            os._exit(0)
        _, status = os.waitpid(process, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print("killed" if killed else "done" if status == 0 else f"failed: {status}", flush=True)


if __name__ == "__main__":
    main()
