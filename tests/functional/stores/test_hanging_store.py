"""A store that hangs, beside one that works: as its clients and its operator see them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx

from functional import image_requests as images
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
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
    image_id = images.an_image(service)
    images.upload(service, image_id, DATA).raise_for_status()
    return f"/v2/images/{image_id}/file"


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
        assert health.status_code == 200  # whoever asks for what lies in others is not kept away
        assert "The store mount does not" in health.text
        metrics = http.get("/metrics").text
    assert 'headwater_store_failures_total{operation="stat",store="mount"}' in metrics
    assert 'headwater_store_bytes_total{direction="write",store="file"} 256000.0' in metrics
    assert service.stderr().count("a store hangs") == 1
    gone.unlink()
    deadline = time.monotonic() + 20
    while get(on_mount)[:2] != (200, DATA):
        assert time.monotonic() < deadline
    assert service.stop() == 0


def test_a_store_that_hangs_keeps_no_image_from_being_deleted_and_forgets_none(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    installed = {"PYTHONPATH": str(package(tmp_path / "packages", "mounts", MOUNT, {"mount": "MOUNT"}))}
    toml = f"""
[stores.mount]
type = "mount"
deadline_s = {DEADLINE_S}
[stores.file]
type = "file"
[images]
delayed_delete_s = 1
"""
    service = fresh_headwater(toml=toml, env=installed)
    on_mount = upload(service).removesuffix("/file")
    gone = service.data_dir / "gone"
    lying = service.data_dir / "mount" / "objects"
    gone.touch()
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        assert http.delete(on_mount).status_code == 204
        assert http.get(on_mount).status_code == 404

        def discarded() -> bool:
            return 'headwater_discarded_objects{store="mount"} 1.0' in http.get("/metrics").text

        wait_until(discarded, "its bytes are to be removed", timeout_s=60)
        on_file = images.an_image(http)
        images.upload(http, on_file, DATA, headers={"X-Image-Meta-Store": "file"}).raise_for_status()
        assert http.delete(f"/v2/images/{on_file}").status_code == 204
        beside = service.data_dir / "stores" / "file" / "objects"
        wait_until(lambda: not list(beside.glob("*/*")), "another store is scrubbed meanwhile", timeout_s=60)
    assert list(lying.glob("*/*"))
    gone.unlink()
    wait_until(lambda: not list(lying.glob("*/*")), "its bytes are removed", timeout_s=90)


def test_a_store_that_hangs_at_the_start_holds_up_nothing_else(fresh_headwater: FreshHeadwater, tmp_path: Path) -> None:
    """Also without a deadline."""
    installed = {"PYTHONPATH": str(package(tmp_path / "packages", "mounts", MOUNT, {"mount": "MOUNT"}))}
    toml = '[server]\nstop_timeout_s = 5\n[stores.mount]\ntype = "mount"\n[stores.file]\ntype = "file"\n'
    service = fresh_headwater(toml=toml, env=installed, workers=2)
    on_mount = upload(service)
    gone = service.data_dir / "gone"
    service.kill()
    gone.touch()
    service.config_file.write_text(f'{toml}[images]\nstore = "file"\n')
    service.start()
    on_file = upload(service)
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        assert http.get(on_file).content == DATA
        detail = {each["id"]: each for each in http.get("/v2/info/stores/detail").json()["stores"]}
        assert (detail["mount"]["status"], "did not answer" in detail["mount"]["fault"]) == ("down", True)
        assert detail["file"]["status"] == "up"
        gone.unlink()
        assert http.get(on_mount).content == DATA
