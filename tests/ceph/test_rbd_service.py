"""The real program with its images in a real Ceph, and what Nova does with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from ceph.pools import Pool
from functional.headwater_process import HeadwaterProcess, wait_until
from headwater.stores.rbd.bindings import ceph_bindings
from headwater.testing.object_store import some_bytes

DATA = some_bytes(20 << 20)


@pytest.fixture
def service(tmp_path: Path, pool: Pool) -> Iterator[HeadwaterProcess]:
    settings = pool.settings()
    toml = (
        "[images]\nshow_image_direct_url = true\n"
        f'[stores.ceph]\ntype = "rbd"\npool = "{pool.name}"\nuser = "{pool.user}"\n'
        f"conf = {json.dumps(str(settings.conf))}\nkeyring = {json.dumps(str(settings.keyring))}\n"
    )
    process = HeadwaterProcess(tmp_path, toml=toml, workers=2)
    process.start()
    try:
        yield process
    finally:
        process.kill()


def test_an_image_is_uploaded_cloned_by_its_url_and_deleted_when_the_clone_is_gone(
    service: HeadwaterProcess, pool: Pool
) -> None:
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        document = {"disk_format": "raw", "container_format": "bare"}
        image = http.post("/v2/images", json=document).raise_for_status().json()
        path = f"/v2/images/{image['id']}"
        octets = {"Content-Type": "application/octet-stream"}
        http.put(f"{path}/file", content=DATA, headers=octets).raise_for_status()
        assert http.get(f"{path}/file").content == DATA
        assert http.get(f"{path}/file", headers={"Range": "bytes=9000000-9000099"}).content == DATA[9000000:9000100]

        # As Nova reads the URL: rbd://FSID/POOL/IMAGE/SNAPSHOT.
        url = http.get(path).json()["direct_url"]
        fsid, name, parent, snapshot = url.removeprefix("rbd://").split("/")
        assert (fsid, name, snapshot) == (pool.ceph.fsid, pool.name, "snap")
        rbd = ceph_bindings().rbd
        with pool.looked_into() as ioctx:
            rbd.RBD().clone(ioctx, parent, snapshot, ioctx, "disk", features=rbd.RBD_FEATURE_LAYERING)
            with rbd.Image(ioctx, "disk") as disk:
                assert disk.read(0, len(DATA)) == DATA
            refused = http.delete(path)
            assert (refused.status_code, "in use" in refused.text) == (409, True)
            assert http.get(path).json()["status"] == "active"
            assert http.get(f"{path}/file").content == DATA
            rbd.RBD().remove(ioctx, "disk")
        http.delete(path).raise_for_status()
        assert (pool.names(), pool.trash()) == ([], [])
    assert service.stop() == 0


def test_workers_are_forked_from_a_process_without_threads_of_ceph(service: HeadwaterProcess) -> None:
    names = [each.read_text().strip() for each in Path(f"/proc/{service.pid}/task").glob("*/comm")]
    assert [
        name for name in names if name.startswith(("msgr-", "ms_", "log", "service", "io_context", "safe_timer"))
    ] == []


def test_the_service_ends_quickly_with_a_cluster_that_does_not_answer(service: HeadwaterProcess, pool: Pool) -> None:
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        assert http.get("/v2/images").status_code == 200
        with pool.ceph.osd.standing_still():
            assert http.get("/v2/images").status_code == 200
            assert service.stop() == 0


def test_the_service_starts_without_the_cluster_and_uses_it_when_it_answers(
    service: HeadwaterProcess, pool: Pool
) -> None:
    with httpx.Client(base_url=service.images_url, timeout=120) as http:
        image = http.post("/v2/images", json={"disk_format": "raw", "container_format": "bare"}).json()
        file = f"/v2/images/{image['id']}/file"
        http.put(file, content=b"bytes", headers={"Content-Type": "application/octet-stream"}).raise_for_status()
        service.stop()
        with pool.ceph.monitor.standing_still():
            service.start()
            assert http.get("/v2/images").status_code == 200
            answer = http.get(file)
            assert (answer.status_code, "The store ceph does not work" in answer.text) == (503, True)
        assert "a store is down" in service.stderr()
        wait_until(lambda: http.get(file).content == b"bytes", "it is used again", 120)
        http.delete(file.removesuffix("/file")).raise_for_status()
    assert service.stop() == 0
