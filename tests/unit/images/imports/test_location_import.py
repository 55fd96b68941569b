"""The job of a location import: what counts as an attempt, and how long its task is shown."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import pytest

from contracts.image_catalogue import NOON
from headwater.database.engine import Database
from headwater.fetching.fetcher import RemoteFailed
from headwater.images.catalogue.tasks import TaskRows
from headwater.images.imports.location_import import LocationImport
from headwater.images.model import RIGHT, Image, ImageLocation, Location, Status
from headwater.images.settings import ImagesSettings
from headwater.images.task import Task, TaskStatus
from headwater.jobs.queue import Job, Jobs
from headwater.jobs.runner import Later, TryAgain
from unit.images.inspection.disk_images import qcow2
from unit.images.locations.test_rules import OWNER, SAME, URL, Parts

HOUR = 3600 * 1_000_000


@pytest.fixture
def parts(database: Database, monkeypatch: pytest.MonkeyPatch) -> Parts:
    made = Parts(database, ImagesSettings(task_time_to_live_h=1, http_retries=2))
    monkeypatch.setattr(made.fetcher, "open", lambda _url, **_look: nullcontext([b"01234", b"56789"]))
    return made


def begun(parts: Parts) -> tuple[str, Job]:
    """Ask for an import; return its task's id and its job."""
    task = parts.imports.begin(OWNER, parts.image().id, {"url": URL, "validation_data": {}})
    (job,) = Jobs(parts.database).claim(["location_import"], "here", NOON, limit=9)
    return task.id, job


def test_a_task_that_is_over_is_shown_for_as_long_as_the_settings_say(parts: Parts) -> None:
    task_id, job = begun(parts)
    parts.imports.run(job)
    over = TaskRows(parts.database).get(task_id)
    assert (over.status, over.expires_at) == (TaskStatus.SUCCESS, NOON + HOUR)


def test_a_task_that_failed_is_shown_for_as_long(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    task_id, job = begun(parts)
    monkeypatch.setattr(parts.fetcher, "size", lambda _url, **_look: None)
    parts.imports.run(job)
    over = TaskRows(parts.database).get(task_id)
    assert (over.status, over.expires_at) == (TaskStatus.FAILURE, NOON + HOUR)


def test_a_stop_is_no_attempt_and_a_server_that_fails_is_one(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    task_id, job = begun(parts)
    monkeypatch.setattr(parts.imports, "_stopping", lambda: True)
    with pytest.raises(Later):
        parts.imports.run(job)

    def fails(_url: str, **_look: object) -> AbstractContextManager[list[bytes]]:
        raise RemoteFailed(URL, "the server answered 503", 503)

    monkeypatch.setattr(parts.fetcher, "open", fails)
    for attempt in (1, 2):
        with pytest.raises(TryAgain):
            parts.imports.run(replace(job, attempts=attempt))
    parts.imports.run(replace(job, attempts=3))
    over = TaskRows(parts.database).get(task_id)
    assert (over.status, "503" in over.message) == (TaskStatus.SUCCESS, True)  # the image is active, without hashes


# --- What the data is -------------------------------------------------------------------------------------

DISK = qcow2()
UNSAFE = qcow2(backing="/etc/passwd")


def brings(parts: Parts, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let the server of others have this data."""
    monkeypatch.setattr(parts.fetcher, "size", lambda _url, **_look: len(data))
    monkeypatch.setattr(parts.fetcher, "open", lambda _url, **_look: nullcontext([data[:100], data[100:]]))


def imported(parts: Parts, image: Image, validation: dict[str, str] | None = None) -> Task:
    """Import from the location, and return the task as it ended."""
    task = parts.imports.begin(OWNER, image.id, {"url": URL, "validation_data": validation or {}})
    (job,) = Jobs(parts.database).claim(["location_import"], "here", NOON, limit=9)
    parts.imports.run(job)
    return TaskRows(parts.database).get(task.id)


def sha512(data: bytes) -> dict[str, str]:
    return {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(data).hexdigest()}


@pytest.mark.parametrize("with_hash", [True, False])
@pytest.mark.parametrize(
    ("declared", "data", "reason"),
    [("qcow2", bytes(2000), "does not match"), ("qcow2", UNSAFE, "safety check"), ("raw", UNSAFE, "safety check")],
)
def test_data_that_no_upload_could_bring_is_taken_from_no_location(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, declared: str, data: bytes, reason: str, with_hash: bool
) -> None:
    brings(parts, monkeypatch, data)
    image = parts.image(disk_format=declared)
    task = imported(parts, image, sha512(data) if with_hash else None)
    assert (task.status, reason in task.message) == (TaskStatus.FAILURE, True)
    after = parts.catalogue.get(image.id)
    assert (after.status, after.size, after.os_hash_algo, after.os_hash_value) == (Status.QUEUED, None, None, None)
    assert parts.rows.of(image.id) == ()


def test_data_that_is_signed_by_nobody_here_is_taken_from_no_location(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    brings(parts, monkeypatch, DISK)
    signed = {
        "img_signature": "c2lnbmF0dXJl",
        "img_signature_hash_method": "SHA-256",
        "img_signature_key_type": "RSA-PSS",
        "img_signature_certificate_uuid": "5f9a1d9c-7c4e-4a8f-9a77-0d4e1c4d3b11",
    }
    image = parts.image(disk_format="qcow2", properties=signed)
    task = imported(parts, image)
    assert (task.status, "no source of certificates" in task.message) == (TaskStatus.FAILURE, True)
    assert (parts.catalogue.get(image.id).status, parts.rows.of(image.id)) == (Status.QUEUED, ())


@pytest.mark.parametrize("with_hash", [True, False])
def test_data_that_was_read_and_found_right_is_known_to_be(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, with_hash: bool
) -> None:
    brings(parts, monkeypatch, DISK)
    image = parts.image(disk_format="qcow2")
    assert imported(parts, image, sha512(DISK) if with_hash else None).status is TaskStatus.SUCCESS
    after = parts.catalogue.get(image.id)
    assert (after.status, after.os_hash_value) == (Status.ACTIVE, hashlib.sha512(DISK).hexdigest())
    assert after.virtual_size == 1 << 30
    assert [each.verdict for each in parts.rows.of(image.id)] == [RIGHT]


def test_data_that_nobody_has_read_is_known_to_be_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(database, ImagesSettings(do_secure_hash=False))
    brings(parts, monkeypatch, UNSAFE)
    image = parts.image(disk_format="qcow2")
    assert imported(parts, image, sha512(UNSAFE)).status is TaskStatus.SUCCESS
    assert [each.verdict for each in parts.rows.of(image.id)] == [None]


def test_an_image_that_lies_elsewhere_too_loses_only_what_was_refused(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    brings(parts, monkeypatch, UNSAFE)
    image = parts.image(disk_format="qcow2")
    other = ImageLocation(at=Location("web", SAME))
    monkeypatch.setattr(
        parts.imports,
        "_present",
        lambda work: (
            parts.rows.change(image.id, lambda image, held: (image, (*held, other) if len(held) == 1 else held), NOON),
            LocationImport._present(parts.imports, work),
        )[1],
    )
    monkeypatch.setattr("headwater.images.imports.tries.LOOK_EVERY_S", -1)
    assert imported(parts, image).status is TaskStatus.FAILURE
    assert (parts.catalogue.get(image.id).status, parts.rows.of(image.id)) == (Status.ACTIVE, (other,))
