"""Where a sync brings its images: a service by the name of its cloud, or the catalogue of this machine's settings."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from headwater.cli import options
from headwater.cli.image_service import opened_image_service
from headwater.client.clouds import environment_of
from headwater.client.environment import proof_from
from headwater.client.proof import Proof
from headwater.client.service import ImageService, Patience
from headwater.client.uploading import cache_directory
from headwater.errors import Conflict, HeadwaterError, SettingsError
from headwater.images.assembly.service import ImageService as ImageJobs
from headwater.jobs.leases import RENEW_EVERY_S
from headwater.jobs.runner import POLL_S
from headwater.streams.syncing.targets.catalogue import CatalogueTarget
from headwater.streams.syncing.targets.service import ServiceTarget
from headwater.streams.syncing.targets.target import Target


class SyncRuns(Conflict):
    """Another command brings the same images."""

    def __init__(self, place: str, content_id: str) -> None:
        super().__init__(f"another run brings the images {content_id} to {place}: wait until that has ended")
        self.place, self.content_id = place, content_id


def environment_for(to: str | None) -> dict[str, str]:
    """Return the variables that say who calls: of a cloud of ``clouds.yaml``, if one was named, else as they are."""
    if to is not None and "@" in to.partition("://")[2].partition("/")[0]:
        raise SettingsError("--to: who calls is proved by OS_USERNAME and OS_PASSWORD, and not in the URL")
    environment = dict(os.environ)
    name = to or (None if "OS_AUTH_URL" in environment else environment.get("OS_CLOUD"))
    if name is None or "://" in name:
        return environment
    others = {key: value for key, value in environment.items() if not key.startswith("OS_")}
    return others | environment_of(name, environment)


@contextmanager
def service_of(to: str | None, environment: Mapping[str, str]) -> Iterator[tuple[ImageService, Proof]]:
    """Give the Image service of a URL, or the one that the variables name, and what proves who calls."""
    url = to if to is not None and "://" in to else None
    where, proof = proof_from(environment, url)
    with closing(ImageService(where, proof, ca_file=environment.get("OS_CACERT") or None)) as service:
        yield service, proof


@contextmanager
def service_target(
    to: str | None, environment: Mapping[str, str], project: str | None, patience_s: float
) -> Iterator[Target]:
    """Give the images of the caller's project in such a service."""
    with service_of(to, environment) as (service, proof):
        yield ServiceTarget(
            service,
            proof=proof,
            region=environment.get("OS_REGION_NAME"),
            interface=environment.get("OS_INTERFACE", "public"),
            project=project,
            patience=lambda: Patience(patience_s),
        )


@contextmanager
def local_target(project: str | None) -> Iterator[Target]:
    """Give the catalogue of the current settings, through the image service put together as a worker does it.

    Imports are jobs: a thread does them while the command runs, be there a service beside it or not.
    """
    with opened_image_service(options.sources().load().settings) as service, _working(service):
        yield CatalogueTarget(service, project)


@contextmanager
def _working(service: ImageJobs) -> Iterator[None]:
    """Let a thread say that this process lives, and run the jobs that are entered."""
    over = threading.Event()

    def work() -> None:
        renewed = -RENEW_EVERY_S * 1.0
        while not over.is_set():
            with contextlib.suppress(HeadwaterError):  # the database is away for a moment
                if time.monotonic() - renewed >= RENEW_EVERY_S:
                    service.renew_leases()
                    renewed = time.monotonic()
                service.jobs.look()
            over.wait(POLL_S / 2)

    thread = threading.Thread(target=work, name="sync-jobs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def lock_for(place: str, content_id: str) -> Iterator[None]:
    """Keep other commands of this user and machine from bringing the same images; the system ends it with the process.

    Raises:
        SyncRuns: One does.
        SettingsError: There is no place for the lock.
    """
    directory = cache_directory(dict(os.environ)).with_name("syncs")
    name = hashlib.sha256(f"{place}\0{content_id}".encode()).hexdigest()[:32]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / f"{name}.lock").open("ab")
    except OSError as error:
        raise SettingsError(
            f"{directory}: it cannot be written ({error.strerror}); set XDG_CACHE_HOME to a directory that can"
        ) from error
    with lock as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SyncRuns(place, content_id) from error
        yield
