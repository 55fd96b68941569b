"""A store that hangs, beside one that works: as its clients and its operator see them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess
from packages import package

DATA = bytes(range(256)) * 1000
DEADLINE_S = 2.0

# A directory of a file server that goes away: whoever asks for anything waits until it is back.
MOUNT = """
import contextlib
import time

from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.store_type import StoreType


class MountSettings(FileStoreSettings):
    type: str


class Mount(FileStore):
    @contextlib.contextmanager
    def _looked_up(self):
        while self._root.with_name("gone").exists():
            time.sleep(0.05)
        with super()._looked_up() as root:
            yield root


MOUNT = StoreType(
    "mount", MountSettings, lambda name, settings, around: Mount(name, settings, around.data_dir / "mount")
)
"""


def upload(service: HeadwaterProcess) -> str:
    """Return the path of the data of a new image."""
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        document = {"disk_format": "raw", "container_format": "bare"}
        image = http.post("/v2/images", json=document).raise_for_status().json()
        file = f"/v2/images/{image['id']}/file"
        http.put(file, content=DATA, headers={"Content-Type": "application/octet-stream"}).raise_for_status()
        return file


def test_a_store_that_hangs_holds_up_nobody_who_asks_another(fresh_headwater: FreshHeadwater, tmp_path: Path) -> None:
    installed = {"PYTHONPATH": str(package(tmp_path / "packages", "mounts", MOUNT, {"mount": "MOUNT"}))}
    toml = f"""
[server]
catalogue_threads = 2
transfer_threads = 2
[stores.mount]
type = "mount"
deadline_s = {DEADLINE_S}
[stores.file]
type = "file"
"""
    service = fresh_headwater(toml=toml, env=installed)
    on_mount = upload(service)
    service.stop()
    service.config_file.write_text(f'{toml}[images]\nstore = "file"\n')
    service.start()
    on_file = upload(service)
    gone = service.data_dir / "gone"

    def get(file: str) -> tuple[int, bytes, float]:
        began = time.monotonic()
        with httpx.Client(base_url=service.images_url, timeout=60) as http:
            answer = http.get(file)
        return answer.status_code, answer.content, time.monotonic() - began

    assert get(on_mount)[:2] == (200, DATA)
    gone.touch()
    with ThreadPoolExecutor(12) as clients:
        hanging = [clients.submit(get, on_mount) for _ in range(12)]
        began = time.monotonic()
        served = 0
        while not all(each.done() for each in hanging) or served < 5:
            status, content, took_s = get(on_file)
            assert (status, content) == (200, DATA)
            served += 1
            # One call at a time waits for a store that hangs, and each worker has two threads for such calls.
            assert took_s < 2 * DEADLINE_S + 1
        assert time.monotonic() - began < 10 * DEADLINE_S
    answers = [each.result() for each in hanging]
    assert {status for status, _, _ in answers} == {503}
    assert b"The store mount does not work at the moment" in answers[0][1]
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        # The first that asks may be the one who tries whether it is back, and that takes longer than the answer may.
        health = http.get("/healthcheck")
        assert health.status_code == 503
        assert "The store mount does not" in health.text
        metrics = http.get("/metrics").text
    assert 'headwater_store_failures_total{operation="path",store="mount"}' in metrics
    assert 'headwater_store_bytes_total{direction="write",store="file"} 256000.0' in metrics
    assert service.stderr().count("a store hangs") == 1
    gone.unlink()
    deadline = time.monotonic() + 20
    while get(on_mount)[:2] != (200, DATA):
        assert time.monotonic() < deadline
    assert service.stop() == 0
