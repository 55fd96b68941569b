"""Imports of a process that is killed at a step: lines of standard input are ``DIRECTORY ACTION NUMBER``.

``ACTION`` is ``jobs``, which runs the imports that wait, or the id of an image, for which ``DATA`` is staged. A step is
a transaction of the catalogue or a deed of a store (an object begun, made durable, deleted); the try dies before its
first one with number 1, after it with number 2, and so on. It answers ``killed``, or ``done`` when there are fewer
steps, and with number 0 does what every start does first: it clears what others left.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from headwater.activity.notifications.settings import NotificationsSettings
from headwater.clock import now
from headwater.database.engine import Database
from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.identity.caller import Caller
from headwater.identity.policy.engine import Policy
from headwater.identity.settings import KeystoneSettings, PolicySettings
from headwater.images.assembly.parts import ImagePools, Sections
from headwater.images.assembly.service import ImageService
from headwater.images.catalogue.deletions.feed_files import FeedFiles
from headwater.images.data.admission import Admission
from headwater.images.data.session import UploadSession
from headwater.images.imports.plugins.settings import ImportPluginsSettings
from headwater.images.imports.runs.job import KIND
from headwater.images.policies import BY_NAME
from headwater.images.quotas.limits import QuotasSettings
from headwater.images.retention.settings import RetentionSettings
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.settings import SignaturesSettings
from headwater.jobs import leases
from headwater.jobs.queue import Jobs
from headwater.jobs.runner import GivenUp
from headwater.jobs.settings import JobsSettings
from headwater.stores.file import FileStore, FileStoreSettings
from headwater.threads import Pool

DATA = bytes(range(256)) * 5000
ADMIN = Caller(user_id="root", project_id="a", roles=frozenset({"admin", "member", "reader"}), request_id="req-1")
POLICY = Policy(PolicySettings(), BY_NAME)  # once: it takes longer than a try


class Quiet:
    """Counts nothing."""

    def left(self, by_store: Any) -> None:
        """Do nothing."""

    def failed(self, store: str) -> None:
        """Do nothing."""

    def pending(self, images: int, size: int, oldest_s: float) -> None:
        """Do nothing."""

    def wrong(self, store: str) -> None:
        """Do nothing."""

    def missing(self, store: str) -> None:
        """Do nothing."""

    def ran(self, kind: Any, end: Any, seconds: Any) -> None:
        """Do nothing."""

    def jobs(self, counts: Any, now: Any) -> None:
        """Do nothing."""

    def cache_asked(self, result: str) -> None:
        """Do nothing."""

    def cache_fetched(self, count: int) -> None:
        """Do nothing."""

    def cache_holds(self, size: int) -> None:
        """Do nothing."""


@contextmanager
def opened(
    directory: Path,
    plugins: tuple[str, ...] = (),
    *,
    delayed_delete_s: int = 0,
    feeds: FeedFiles = FeedFiles(),  # noqa: B008 - frozen
    retention: RetentionSettings = RetentionSettings(),  # noqa: B008 - frozen
) -> Iterator[tuple[ImageService, Database]]:
    """Open the image service of one process, with two stores."""
    database = Database(f"sqlite:///{directory / 'catalogue.db'}")
    settings = FileStoreSettings(type="file", fsync=False)
    stores = {name: FileStore(name, settings, directory / name) for name in ("fast", "cheap")}
    Admission(database).admit(stores)
    sections = Sections(
        images=ImagesSettings(http_retries=0, delayed_delete_s=delayed_delete_s),
        quotas=QuotasSettings(image_size_total=1 << 40),
        signatures=SignaturesSettings(),
        keystone=KeystoneSettings(),
        notifications=NotificationsSettings(),
        retention=retention,
        import_plugins=ImportPluginsSettings(use=plugins),
        jobs=JobsSettings(),
    )
    fetcher = Fetcher(FetchSettings(allowed_hosts=("127.0.0.1",), allowed_ports=()))
    pools = ImagePools(*(Pool(kind, 2) for kind in ("hashing", "storing", "jobs", "house", "caching")))
    service = ImageService(
        sections, database, stores, fetcher, POLICY, pools=pools, tally=Quiet(), data_dir=directory, feeds=feeds
    )
    try:
        yield service, database
    finally:
        service.close()
        pools.hashing.close()
        pools.storing.close()
        database.close()


def bring(data: UploadSession) -> None:
    back = threading.Event()
    data.put(memoryview(DATA), back.set)
    back.wait()
    data.finish()


def run_jobs(service: ImageService, database: Database) -> None:
    jobs, runner = Jobs(database), leases.writer_name()
    for job in jobs.claim([KIND], runner, now(), limit=9):
        with suppress(GivenUp):
            service.import_runs.run(job)
        jobs.done(job, runner)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def act_at(number: int, act: Callable[[], None], replace: Callable[[Any, str, Any], None] = setattr) -> None:
    """Let ``act`` happen at the step of this number; the steps of ``act`` itself do not count."""
    seen = 0

    def step() -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            act()

    def around(usual: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(usual)
        def both(*arguments: Any, **named: Any) -> Any:
            step()
            result = usual(*arguments, **named)
            step()
            return result

        return both

    def making(usual: Callable[..., Any]) -> Callable[..., Any]:
        def make(*arguments: Any, **named: Any) -> Any:
            writer = usual(*arguments, **named)
            writer.commit = around(writer.commit)
            return writer

        return make

    replace(Database, "write", around(Database.write))
    replace(FileStore, "begin", making(around(FileStore.begin)))
    replace(FileStore, "resume", making(around(FileStore.resume)))
    replace(FileStore, "delete", around(FileStore.delete))


def tried(directory: Path, action: str, number: int) -> None:
    with opened(directory) as (service, database):
        if number:
            act_at(number, die)
        else:
            service.jobs.release_dead()
            service._leftovers.clear_all()
        if action == "jobs":
            run_jobs(service, database)
        else:
            bring(service.staging.begin(ADMIN, action))
        if not number:
            service._leftovers.clear_all()


def main() -> None:
    for line in sys.stdin:
        directory, action, number = line.split()
        process = os.fork()
        if process == 0:
            tried(Path(directory), action, int(number))
            os._exit(0)
        _, status = os.waitpid(process, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print("killed" if killed else "done" if status == 0 else f"failed: {status}", flush=True)


if __name__ == "__main__":
    main()
