"""What is left when something breaks: a client that leaves, a process that is killed, a disk that fills up.

Always the same: the image waits for its data again, no bytes lie in the store, and an upload works. An
active image has its bytes, whatever happened.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, an_image, client, show, status, upload
from functional.raw_http import HalfRequest

MIB = 1 << 20
BLOB = random.Random(20261120).randbytes(24 * MIB)
V21 = "application/openstack-images-v2.1-json-patch"


def begun(
    service: HeadwaterProcess, image_id: str, *, length: int | None, headers: dict[str, str] | None = None
) -> HalfRequest:
    return HalfRequest(service.images_url, "PUT", f"/v2/images/{image_id}/file", length=length, headers=headers)


def stored(service: HeadwaterProcess, part: str = "*") -> dict[str, int]:
    """Return what lies in the store, whole (``objects``) or not (``incoming``): sizes by name."""
    sizes = {}
    for file in service.data_dir.glob(f"stores/file/{part}/**/*"):
        with contextlib.suppress(FileNotFoundError):
            if file.is_file() and not file.name.startswith(".probe"):
                sizes[file.name] = file.stat().st_size
    return sizes


def require_works(service: HeadwaterProcess, image_id: str, data: bytes = BLOB[:1000]) -> None:
    """The image can be uploaded and read back."""
    answer = upload(service, image_id, data)
    assert answer.status_code == 204, answer.text
    image = show(service, image_id)
    assert (image["status"], image["size"]) == ("active", len(data))
    assert image["checksum"] == hashlib.md5(data).hexdigest()
    assert client().get(f"{service.images_url}/v2/images/{image_id}/file").content == data


def require_nothing_left(service: HeadwaterProcess, image_id: str) -> None:
    """The image waits for its data, and no byte of an earlier try is there."""
    wait_until(lambda: status(service, image_id) == "queued", "the image waits for data again")
    image = show(service, image_id)
    fields = ("size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value")
    assert {name: image[name] for name in fields} == dict.fromkeys(fields)
    wait_until(lambda: stored(service) == {}, "no byte is in the store")


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    """One service for the tests of this file, whose store other tests do not touch."""
    process = HeadwaterProcess(tmp_path_factory.mktemp("crashes"), workers=2)
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def shared(lasting: HeadwaterProcess) -> Iterator[HeadwaterProcess]:
    """The service of the fixture above, with nothing in it before and after."""
    yield lasting
    for image in client().get(f"{lasting.images_url}/v2/images?limit=1000").json()["images"]:
        assert client().delete(f"{lasting.images_url}/v2/images/{image['id']}").status_code == 204
    wait_until(lambda: stored(lasting) == {}, "the store is empty")


# --- Clients ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rudely", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("length", [len(BLOB), None], ids=["with length", "chunked"])
@pytest.mark.parametrize("sent", [0, 100, 5 * MIB + 17], ids=["nothing", "some bytes", "some MiB"])
def test_a_client_that_leaves_leaves_nothing(
    shared: HeadwaterProcess, length: int | None, sent: int, rudely: bool
) -> None:
    image_id = an_image(shared)
    with begun(shared, image_id, length=length) as half:
        if sent:
            half.send(BLOB[:sent])
        wait_until(lambda: status(shared, image_id) == "saving", "the upload has begun")
        half.leave(rudely=rudely)
    require_nothing_left(shared, image_id)
    require_works(shared, image_id)


def test_a_chunk_that_is_no_chunk_leaves_nothing(shared: HeadwaterProcess) -> None:
    image_id = an_image(shared)
    with begun(shared, image_id, length=None) as half:
        half.send(BLOB[:MIB])
        half._socket.sendall(b"not hexadecimal\r\n")
        half.answer()
    require_nothing_left(shared, image_id)
    require_works(shared, image_id)


# --- Several at once --------------------------------------------------------------------------------


def test_of_uploads_at_once_one_wins(shared: HeadwaterProcess) -> None:
    payloads = [bytes([number]) * MIB for number in range(4)]
    for _ in range(3):
        image_id = an_image(shared)
        answers = _upload_at_once(shared, image_id, payloads)
        assert sorted(answers) == [204, 409, 409, 409]
        winner = answers.index(204)
        assert client().get(f"{shared.images_url}/v2/images/{image_id}/file").content == payloads[winner]
    assert list(stored(shared).values()) == [MIB] * 3


def _upload_at_once(service: HeadwaterProcess, image_id: str, payloads: list[bytes]) -> list[int]:
    """Upload each of ``payloads`` to one image at the same moment; return the statuses, in their order."""
    answers = [0] * len(payloads)
    start = threading.Barrier(len(payloads))

    def send(number: int) -> None:
        start.wait()
        answers[number] = upload(service, image_id, payloads[number]).status_code

    threads = [threading.Thread(target=send, args=(number,)) for number in range(len(payloads))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_second_upload_while_one_runs_is_refused_and_the_first_goes_on(shared: HeadwaterProcess) -> None:
    image_id = an_image(shared)
    with begun(shared, image_id, length=2 * MIB) as first:
        first.send(BLOB[:MIB])
        wait_until(lambda: status(shared, image_id) == "saving", "the upload has begun")
        refused = upload(shared, image_id, b"second")
        assert refused.status_code == 409
        assert "from saving to saving is not allowed" in refused.text
        first.send(BLOB[MIB : 2 * MIB])
        assert first.status() == 204
    assert show(shared, image_id)["checksum"] == hashlib.md5(BLOB[: 2 * MIB]).hexdigest()


def test_a_change_during_an_upload_is_kept(shared: HeadwaterProcess) -> None:
    image_id = an_image(shared, name="before")
    with begun(shared, image_id, length=None) as half:
        half.send(BLOB[:MIB])
        wait_until(lambda: status(shared, image_id) == "saving", "the upload has begun")
        operations = [
            {"op": "replace", "path": "/name", "value": "during"},
            {"op": "add", "path": "/os_distro", "value": "ubuntu"},
            {"op": "replace", "path": "/protected", "value": True},
        ]
        changed = client().patch(
            f"{shared.images_url}/v2/images/{image_id}", json=operations, headers={"Content-Type": V21}
        )
        assert changed.status_code == 200, changed.text
        half.send(BLOB[MIB : 3 * MIB])
        half.end()
        assert half.status() == 204
    image = show(shared, image_id)
    assert (image["name"], image["os_distro"], image["protected"]) == ("during", "ubuntu", True)
    assert (image["status"], image["size"]) == ("active", 3 * MIB)
    unprotect = [{"op": "replace", "path": "/protected", "value": False}]
    client().patch(f"{shared.images_url}/v2/images/{image_id}", json=unprotect, headers={"Content-Type": V21})


@pytest.mark.parametrize("length", [3 * MIB, None], ids=["with length", "chunked"])
def test_an_image_deleted_during_its_upload_is_gone_with_its_bytes(
    shared: HeadwaterProcess, length: int | None
) -> None:
    image_id = an_image(shared)
    with begun(shared, image_id, length=length) as half:
        half.send(BLOB[: 2 * MIB])
        wait_until(lambda: status(shared, image_id) == "saving", "the upload has begun")
        assert client().delete(f"{shared.images_url}/v2/images/{image_id}").status_code == 204
        assert client().get(f"{shared.images_url}/v2/images/{image_id}").status_code == 404
        half.send(BLOB[2 * MIB : 3 * MIB])
        half.end()
        assert half.status() == 410
    wait_until(lambda: stored(shared) == {}, "no byte is in the store")


def test_a_download_goes_on_when_its_image_is_deleted(shared: HeadwaterProcess) -> None:
    image_id = an_image(shared)
    assert upload(shared, image_id, BLOB).status_code == 204
    with client().stream("GET", f"{shared.images_url}/v2/images/{image_id}/file") as answer:
        pieces = answer.iter_raw()
        received = next(pieces)
        assert client().delete(f"{shared.images_url}/v2/images/{image_id}").status_code == 204
        for piece in pieces:
            received += piece
    assert hashlib.md5(received).digest() == hashlib.md5(BLOB).digest()
    assert stored(shared) == {}


# --- Processes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [0, 1000, 9 * MIB], ids=["nothing", "some bytes", "some MiB"])
def test_a_killed_service_starts_again_with_nothing_left(fresh_headwater: FreshHeadwater, sent: int) -> None:
    service = fresh_headwater(workers=1)
    kept = an_image(service)
    assert upload(service, kept, BLOB[:MIB]).status_code == 204
    before = stored(service)
    image_id = an_image(service)
    with begun(service, image_id, length=len(BLOB)) as half:
        if sent:
            half.send(BLOB[:sent])
        wait_until(lambda: status(service, image_id) == "saving", "the upload has begun")
        service.kill()
    service.start()
    # Not a moment later: the start has cleared it.
    assert status(service, image_id) == "queued"
    assert stored(service) == before
    assert client().get(f"{service.images_url}/v2/images/{kept}/file").content == BLOB[:MIB]
    require_works(service, image_id)


def test_whenever_the_service_is_killed_active_images_have_their_bytes_and_others_have_none(
    fresh_headwater: FreshHeadwater,
) -> None:
    """Kills at chance times of many uploads, some of them just when a whole object appears."""
    service = fresh_headwater(workers=1)
    chance = random.Random(7)
    sums: dict[str, str] = {}
    for turn in range(8):
        data = BLOB[turn * 1000 : turn * 1000 + chance.choice((5000, 3 * MIB, 8 * MIB))]
        images = [an_image(service) for _ in range(3)]
        sums |= dict.fromkeys(images, hashlib.md5(data).hexdigest())
        before = set(stored(service, "objects"))

        def send(image_id: str, data: bytes = data) -> None:
            with contextlib.suppress(httpx.HTTPError):
                upload(service, image_id, data)

        threads = [threading.Thread(target=send, args=(image_id,)) for image_id in images]
        for thread in threads:
            thread.start()
        if turn % 2:
            time.sleep(chance.uniform(0, 0.08))
        else:  # between the bytes and the catalogue, or just after
            deadline = time.monotonic() + 20
            while set(stored(service, "objects")) == before and time.monotonic() < deadline:
                pass
        service.kill()
        for thread in threads:
            thread.join()
        service.start()
        _require_books_match(service, sums)


def _require_books_match(service: HeadwaterProcess, sums: dict[str, str]) -> None:
    active = 0
    for image_id, checksum in sums.items():
        image = show(service, image_id)
        assert image["status"] in ("queued", "active")
        answer = client().get(f"{service.images_url}/v2/images/{image_id}/file")
        if image["status"] == "active":
            active += 1
            assert image["checksum"] == checksum
            assert hashlib.md5(answer.content).hexdigest() == checksum
        else:
            assert answer.status_code == 204
    whole = stored(service, "objects")
    assert len(whole) == active
    assert stored(service, "incoming") == {}


def test_a_killed_worker_leaves_nothing_and_is_replaced(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=2)
    image_id = an_image(service)
    before = set(service.workers())
    with begun(service, image_id, length=len(BLOB)) as half:
        half.send(BLOB[: 3 * MIB])
        wait_until(lambda: bool(stored(service)), "bytes arrive")
        os.kill(_writer_of(service), signal.SIGKILL)
        wait_until(lambda: len(set(service.workers()) - before) == 1, "another worker took its place")
    # The others look for what it left every 15 s.
    wait_until(lambda: status(service, image_id) == "queued", "the image waits for data again", 40)
    require_nothing_left(service, image_id)
    require_works(service, image_id)
    assert [event for event in service.logs() if event["event"] == "an upload that broke off was cleared"]


def _writer_of(service: HeadwaterProcess) -> int:
    """Return the worker that has a file of the store open."""
    for pid in service.workers():
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if "/incoming/" in str(descriptor.readlink()) and "probe" not in str(descriptor.readlink()):
                    return pid
    raise AssertionError("no worker writes")


def test_a_graceful_stop_lets_an_upload_finish(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=1)
    image_id = an_image(service)
    with begun(service, image_id, length=4 * MIB) as half:
        half.send(BLOB[: 2 * MIB])
        wait_until(lambda: status(service, image_id) == "saving", "the upload has begun")
        os.kill(service.pid, signal.SIGTERM)
        time.sleep(0.5)
        half.send(BLOB[2 * MIB : 4 * MIB])
        assert half.status() == 204
    wait_until(lambda: not service.is_running(), "the service has stopped")
    service.start()
    assert show(service, image_id)["checksum"] == hashlib.md5(BLOB[: 4 * MIB]).hexdigest()


# --- Disks ------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip(
            "only root may mount a small file system; tests/contracts/stores/test_stores.py limits a file instead"
        )
    place = tmp_path / "small-disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "headwater-test", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this container may not mount; tests/contracts/stores/test_stores.py limits a file instead")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("way", ["with length", "chunked"])
def test_a_full_disk_refuses_the_upload_and_leaves_nothing(
    fresh_headwater: FreshHeadwater, small_disk: Path, way: str
) -> None:
    service = fresh_headwater(toml=f'[stores.small]\ntype = "file"\nroot = "{small_disk}"\n', workers=1)
    image_id = an_image(service)
    content = BLOB if way == "with length" else iter([BLOB[at : at + MIB] for at in range(0, len(BLOB), MIB)])
    answer = client().put(
        f"{service.images_url}/v2/images/{image_id}/file", content=content, headers=OCTETS, timeout=60
    )
    assert answer.status_code == 413, answer.text
    assert "store small has no room left" in answer.text
    assert status(service, image_id) == "queued"
    assert [path.name for path in small_disk.rglob("*") if path.is_file()] == ["store-id"]
    assert upload(service, image_id, BLOB[: 4 * MIB]).status_code == 204
    assert client().get(f"{service.images_url}/v2/images/{image_id}/file").content == BLOB[: 4 * MIB]


def test_a_lost_file_is_told_apart_from_an_image_without_data(shared: HeadwaterProcess) -> None:
    image_id = an_image(shared)
    assert upload(shared, image_id, b"lost soon").status_code == 204
    for file in shared.data_dir.glob("stores/file/objects/*/*"):
        file.unlink()
    answer = client().get(f"{shared.images_url}/v2/images/{image_id}/file")
    assert answer.status_code == 410
    assert f"The data of image {image_id} is lost" in answer.text
    assert "store file" not in answer.text
    told = [event["error"] for event in shared.logs() if event["event"] == "data of an image is missing"]
    assert any(f"image {image_id} is missing from store file: restore the object {image_id}." in each for each in told)
