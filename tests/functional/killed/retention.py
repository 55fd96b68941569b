"""Runs of retention by a process that is killed at a step: lines of standard input are ``DIRECTORY NUMBER``.

Steps and answers are those of ``killed_import``; with number 0 nothing dies, and the objects of deleted images go too.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from functional.killed.imports import act_at, die, opened
from headwater.database.engine import Database
from headwater.images.assembly.service import ImageService
from headwater.images.retention.settings import RetentionRule, RetentionSettings

RULES = RetentionSettings(
    rules={
        "ubuntu": RetentionRule(
            names=("Ubuntu *",), older_name="{name} ({date})", hide_after_days=0, delete_unused_days=30, keep=1
        )
    }
)


@contextmanager
def retiring(directory: Path) -> Iterator[tuple[ImageService, Database]]:
    """Open the image service of one process that has a rule."""
    with opened(directory, retention=RULES) as both:
        yield both


def tried(directory: Path, number: int) -> None:
    with retiring(directory) as (service, _):
        if number:
            act_at(number, die)
        for outcome in service.retention.apply():
            if outcome.error is not None:
                raise outcome.error
        if not number:
            for store in ("fast", "cheap"):
                service._sweeping.sweep(store)


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
