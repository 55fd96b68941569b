"""A service, and an image of it that a machine can boot from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess
from needs import CHECKOUT, not_run

DISK = CHECKOUT / ".cache" / "boot" / "debian.qcow2"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("boot"))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def image(service: HeadwaterProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The disk as it comes back from the service, to which it was uploaded; its name there is ``debian``."""
    if not DISK.exists():
        not_run("a disk to boot from (.cache/boot)", "run 'make test-boot'")
    back = tmp_path_factory.mktemp("disk") / "debian.qcow2"
    with httpx.Client(base_url=service.images_url, timeout=120) as http:
        made = http.post("/v2/images", json={"name": "debian", "disk_format": "qcow2", "container_format": "bare"})
        path = f"/v2/images/{made.json()['id']}/file"
        with DISK.open("rb") as data:
            sent = http.put(path, content=data, headers={"Content-Type": "application/octet-stream"})
        assert sent.status_code == 204, sent.text
        with http.stream("GET", path) as answer, back.open("wb") as file:
            for piece in answer.iter_bytes(1 << 20):
                file.write(piece)
    with DISK.open("rb") as ours, back.open("rb") as theirs:
        assert hashlib.file_digest(theirs, "sha256").digest() == hashlib.file_digest(ours, "sha256").digest()
    return back
