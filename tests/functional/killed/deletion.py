"""Deletions of a process that is killed at a step: lines of standard input are ``DIRECTORY ACTION IMAGE NUMBER``.

Actions are ``delete``, ``restore``, ``empty`` and ``scrub``, which lets go of all whose time is over and removes their
objects. Steps and answers are those of ``killed_import``; nothing dies with number 0.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from functional.killed.imports import ADMIN, act_at, die, opened
from headwater.clock import now
from headwater.database.engine import Database
from headwater.images.assembly.service import ImageService
from headwater.images.catalogue.deletions.feed_files import FeedFiles

KEPT_S = 3600


@contextmanager
def keeping(directory: Path) -> Iterator[tuple[ImageService, Database]]:
    """Open the image service of one process that keeps the data of deleted images for an hour.

    It does that for its trash, or, where the directory has a file ``feeds``, for readers of feeds.
    """
    is_for_feeds = (directory / "feeds").exists()
    feeds = FeedFiles(KEPT_S if is_for_feeds else 0, of_everything_public=True)
    with opened(directory, delayed_delete_s=0 if is_for_feeds else KEPT_S, feeds=feeds) as both:
        yield both


def scrub(service: ImageService) -> None:
    """Do in two hours what the standing jobs do."""
    service._trash._clock = lambda: now() + 2 * KEPT_S * 1_000_000
    service._trash.scrub()
    for store in ("fast", "cheap"):
        service._sweeping.sweep(store)


def tried(directory: Path, action: str, image_id: str, number: int) -> None:
    with keeping(directory) as (service, _):
        if number:
            act_at(number, die)
        if action == "delete":
            service.images.delete(ADMIN, image_id)
        elif action == "scrub":
            scrub(service)
        else:
            {"restore": service._trash.restore, "empty": service._trash.empty}[action](ADMIN, image_id)


def main() -> None:
    for line in sys.stdin:
        directory, action, image_id, number = line.split()
        process = os.fork()
        if process == 0:
            tried(Path(directory), action, image_id, int(number))
            os._exit(0)
        _, status = os.waitpid(process, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print("killed" if killed else "done" if status == 0 else f"failed: {status}", flush=True)


if __name__ == "__main__":
    main()
