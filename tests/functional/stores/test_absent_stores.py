"""A store that goes away and comes back, as its clients and its operator see it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from functional import image_requests as images
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterDidNotStart, HeadwaterProcess, wait_until
from functional.image_requests import OCTETS

DATA = bytes(range(256)) * 5000


class Place:
    """Where a store lies, which can be taken away: then an empty directory is at its path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._away = path.with_name("away")
        path.mkdir()

    def take_away(self) -> None:
        self.path.rename(self._away)
        self.path.mkdir()

    def bring_back(self) -> None:
        shutil.rmtree(self.path)
        self._away.rename(self.path)

    def close(self) -> None:
        """Nothing is left to do."""


class MountedPlace(Place):
    """The same with a real file system, unmounted under whoever uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = path.with_name("kept")
        path.mkdir()
        self._kept.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=16m", "headwater-test", self._kept], capture_output=True, check=False
        )
        if mounted.returncode != 0:
            pytest.skip("this container may not mount; directories are exchanged instead")
        self.bring_back()

    def take_away(self) -> None:
        subprocess.run(["umount", "-l", self.path], check=True)

    def bring_back(self) -> None:
        subprocess.run(["mount", "--bind", self._kept, self.path], check=True)

    def close(self) -> None:
        for path in (self.path, self._kept):
            subprocess.run(["umount", "-l", path], check=False, capture_output=True)


@pytest.fixture(params=[Place, MountedPlace], ids=["directory", "mount"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param is MountedPlace and (sys.platform != "linux" or os.geteuid() != 0):
        pytest.skip("only root may mount; directories are exchanged instead")
    made = request.param(tmp_path / "images")
    try:
        yield made
    finally:
        made.close()


def toml(place: Place) -> str:
    return f'[stores.files]\ntype = "file"\nroot = "{place.path}"\n'


def an_image(service: HeadwaterProcess, data: bytes | None = DATA) -> str:
    image_id = images.an_image(service)
    if data is not None:
        assert upload(service, image_id, data) == 204
    return image_id


def file_of(service: HeadwaterProcess, image_id: str) -> str:
    return f"{images.url(service, image_id)}/file"


def upload(service: HeadwaterProcess, image_id: str, data: bytes = DATA) -> int:
    return images.upload(service, image_id, data).status_code


def objects(place: Place) -> list[str]:
    return sorted(path.name for path in place.path.rglob("*") if path.is_file() and path.parent != place.path)


@contextmanager
def refused(service: HeadwaterProcess, *parts: str) -> Iterator[None]:
    """Demand that a start is refused with one sentence that has these parts."""
    with pytest.raises(HeadwaterDidNotStart) as caught:
        service.start()
    assert caught.value.code == 2
    sentences = [line for line in caught.value.stderr.splitlines() if line.startswith("headwater: ")]
    assert len(sentences) == 1, caught.value.stderr
    for part in parts:
        assert part in sentences[0]
    yield


def test_a_store_that_goes_away_is_unavailable_and_well_when_it_is_back(
    fresh_headwater: FreshHeadwater, place: Place
) -> None:
    service = fresh_headwater(toml=toml(place), workers=2)
    kept, deleted, empty = an_image(service), an_image(service), an_image(service, None)
    place.take_away()
    whole = httpx.get(file_of(service, kept))
    assert whole.status_code == 503
    assert "delete" not in whole.text
    assert httpx.get(file_of(service, kept), headers={"Range": "bytes=5-9"}).status_code == 503
    assert upload(service, empty) == 503
    assert httpx.delete(f"{service.images_url}/v2/images/{deleted}").status_code == 204
    health = httpx.get(f"{service.images_url}/healthcheck")
    assert (health.status_code, health.text) == (503, "The store files does not work at the moment. Try again later.")
    assert list(place.path.iterdir()) == []
    place.bring_back()
    assert httpx.get(f"{service.images_url}/healthcheck").status_code == 200
    assert httpx.get(file_of(service, kept)).content == DATA
    wait_until(lambda: not any(deleted in name for name in objects(place)), "the deleted bytes are gone", 60)
    assert upload(service, empty) == 204
    assert len(objects(place)) == 2


def metric(service: HeadwaterProcess, name: str, store: str) -> float:
    lines = httpx.get(f"{service.images_url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f'{name}{{store="{store}"}}'))


def test_a_service_that_starts_without_its_store_says_so_and_works_when_it_is_back(
    fresh_headwater: FreshHeadwater, place: Place
) -> None:
    service = fresh_headwater(toml=toml(place), workers=2)
    kept, deleted, empty = an_image(service), an_image(service), an_image(service, None)
    place.take_away()
    assert httpx.delete(f"{service.images_url}/v2/images/{deleted}").status_code == 204
    service.kill()
    service.start()
    for answer in (httpx.get(file_of(service, kept)), httpx.put(file_of(service, empty), content=b"x", headers=OCTETS)):
        assert (answer.status_code, "The store files does not work" in answer.text) == (503, True)
    assert httpx.get(f"{service.images_url}/v2/images/{kept}").json()["status"] == "active"
    assert httpx.get(f"{service.images_url}/healthcheck").status_code == 503
    assert metric(service, "headwater_store_up", "files") == 0
    for part in ("a store is down", '"store":"files"', str(place.path), "is it mounted?"):
        assert part in service.stderr()
    assert list(place.path.iterdir()) == []
    place.bring_back()
    assert httpx.get(file_of(service, kept)).content == DATA
    assert upload(service, empty) == 204
    wait_until(lambda: not any(deleted in name for name in objects(place)), "the deleted bytes are gone", 60)
    wait_until(lambda: metric(service, "headwater_store_up", "files") == 1, "the store is seen to work", 60)
    assert "a store works again" in service.stderr()


def test_a_store_that_is_down_at_the_start_keeps_nobody_from_the_others(
    fresh_headwater: FreshHeadwater, place: Place, tmp_path: Path
) -> None:
    both = f'{toml(place)}weight = 9\n[stores.near]\ntype = "file"\n[images]\nstore = "near"\n'
    service = fresh_headwater(toml=both)
    copied = an_image(service)
    copy_in = {"method": {"name": "copy-image"}, "stores": ["files"]}
    httpx.post(f"{service.images_url}/v2/images/{copied}/import", json=copy_in).raise_for_status()
    show = f"{service.images_url}/v2/images/{copied}"
    wait_until(lambda: httpx.get(show).json()["stores"] == "files,near", "it lies in both", 30)
    place.take_away()
    service.kill()
    blocked = tmp_path / "blocked"
    blocked.write_text("what was never a store cannot be marked here")
    service.config_file.write_text(f'{both}[stores.new]\ntype = "file"\nroot = "{blocked}"\n')
    service.start()
    assert httpx.get(file_of(service, copied)).content == DATA
    assert httpx.get(file_of(service, an_image(service))).content == DATA
    health = httpx.get(f"{service.images_url}/healthcheck")
    assert (health.status_code, health.text.splitlines()[0]) == (200, "OK")
    assert sorted(health.text.splitlines()[1:]) == [
        "The store files does not work at the moment. Try again later.",
        "The store new does not work at the moment. Try again later.",
    ]
    assert _told_of(service) == {"files": "down", "near": "up", "new": "down"}
    there = {"X-Image-Meta-Store": "new", **OCTETS}
    waiting = an_image(service, None)
    assert httpx.put(file_of(service, waiting), content=DATA, headers=there).status_code == 503
    blocked.unlink()
    place.bring_back()
    wait_until(lambda: set(_told_of(service).values()) == {"up"}, "all are up", 60)
    assert httpx.put(file_of(service, waiting), content=DATA, headers=there).status_code == 204
    assert (blocked / "store-id").exists()
    assert httpx.get(f"{service.images_url}/healthcheck").text == "OK"
    service.restart()
    assert httpx.get(file_of(service, waiting)).content == DATA


def _told_of(service: HeadwaterProcess) -> dict[str, str]:
    stores = httpx.get(f"{service.images_url}/v2/info/stores/detail").raise_for_status().json()["stores"]
    assert all(("fault" in each) == (each["status"] != "up") for each in stores)
    return {each["id"]: each["status"] for each in stores}


def test_a_store_that_gives_what_it_holds_and_takes_nothing_is_not_said_to_be_up(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    far = tmp_path / "far"
    both = f'[stores.far]\ntype = "file"\nroot = "{far}"\n[stores.near]\ntype = "file"\n[images]\nstore = "near"\n'
    service = fresh_headwater(toml=both)
    wait_until(lambda: _told_of(service) == {"far": "up", "near": "up"}, "both are up", 20)
    (far / "incoming").rename(far / "away")
    there = {"X-Image-Meta-Store": "far", **OCTETS}
    waiting = an_image(service, None)
    assert httpx.put(file_of(service, waiting), content=DATA, headers=there).status_code == 503
    wait_until(lambda: _told_of(service) == {"far": "down", "near": "up"}, "what failed is looked at", 20)
    (far / "away").rename(far / "incoming")
    wait_until(lambda: _told_of(service) == {"far": "up", "near": "up"}, "it is looked at again", 60)
    assert httpx.put(file_of(service, waiting), content=DATA, headers=there).status_code == 204


def test_a_start_with_another_store_in_the_place_of_one_is_refused(
    fresh_headwater: FreshHeadwater, place: Place
) -> None:
    service = fresh_headwater(toml=toml(place))
    kept = an_image(service)
    service.stop()
    place.take_away()
    for name in ("objects", "incoming"):
        (place.path / name).mkdir()
    (place.path / "store-id").write_text("b" * 32)
    with refused(service, "section [stores.files]", str(place.path), "another store", "headwater store adopt files"):
        pass
    place.bring_back()
    service.start()
    assert httpx.get(file_of(service, kept)).content == DATA


def test_a_store_of_an_earlier_release_is_known_by_its_objects(fresh_headwater: FreshHeadwater, place: Place) -> None:
    service = fresh_headwater(toml=toml(place))
    kept = an_image(service)
    service.kill()
    _forget_marks(service, place)
    place.take_away()
    with refused(service, "1 of 1 objects are not there", "headwater store adopt files"):
        assert list(place.path.iterdir()) == []
    place.bring_back()
    service.start()
    assert httpx.get(file_of(service, kept)).content == DATA
    assert (place.path / "store-id").exists()


def _forget_marks(service: HeadwaterProcess, place: Place) -> None:
    """Make the installation as one that was never marked."""
    (place.path / "store-id").unlink()
    shutil.rmtree(place.path / "incoming")
    (place.path / "incoming").mkdir()
    script = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('DELETE FROM stores'); d.commit()"
    subprocess.run([sys.executable, "-c", script, service.data_dir / "headwater.db"], check=True)


def test_an_empty_store_is_taken_for_a_lost_one_when_the_operator_says_so(
    fresh_headwater: FreshHeadwater, place: Place
) -> None:
    service = fresh_headwater(toml=toml(place))
    lost = an_image(service)
    service.stop()
    place.take_away()
    done = service.command("store", "adopt", "files")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "store files: adopted, 0 of 1 objects that were looked for are there\n",
        "",
    )
    service.start()
    assert httpx.get(file_of(service, lost)).status_code == 410
    assert httpx.get(file_of(service, an_image(service))).content == DATA


@pytest.mark.parametrize("remove", [Path.unlink, lambda file: file.rename(file.with_name("moved"))])
def test_a_start_with_a_new_catalogue_beside_old_objects_is_refused(
    fresh_headwater: FreshHeadwater, remove: Callable[[Path], object]
) -> None:
    service = fresh_headwater()
    an_image(service)
    service.stop()
    for file in service.data_dir.glob("headwater.db*"):
        remove(file) if file.name == "headwater.db" else file.unlink()
    with refused(service, "section [stores.file]", "headwater.db", "Restore the catalogue", "store adopt file"):
        pass
    assert service.command("store", "adopt", "file").returncode == 0
    service.start()
    assert httpx.get(f"{service.images_url}/v2/images").json()["images"] == []


def test_a_full_store_makes_the_service_unhealthy_and_says_so(fresh_headwater: FreshHeadwater, tmp_path: Path) -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount; tests/unit/stores/test_file.py refuses the writes instead")
    place = MountedPlace(tmp_path / "images")
    try:
        service = fresh_headwater(toml=toml(place))
        kept = an_image(service)
        (place.path / "filling").write_bytes(bytes(os.statvfs(place.path).f_bavail * os.statvfs(place.path).f_frsize))
        health = httpx.get(f"{service.images_url}/healthcheck")
        assert health.status_code == 503
        assert health.text.startswith("The store files takes no data at the moment: it is full")
        assert httpx.get(file_of(service, kept)).content == DATA
        service.restart()  # a full store is no reason to refuse the start
        assert httpx.delete(f"{service.images_url}/v2/images/{kept}").status_code == 204
        assert httpx.get(f"{service.images_url}/healthcheck").status_code == 200
    finally:
        place.close()


def test_the_first_store_that_takes_uploads_takes_them(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(
        toml='[stores.web]\ntype = "http"\n[stores.file]\ntype = "file"\n[images]\napi_v1 = true\n'
    )
    assert httpx.get(file_of(service, an_image(service))).content == DATA
    headers = {
        "x-image-meta-name": "v1",
        "x-image-meta-disk_format": "raw",
        "x-image-meta-container_format": "bare",
        "x-image-meta-store": "web",
        **OCTETS,
    }
    refused = httpx.post(f"{service.images_url}/v1/images", headers=headers, content=DATA)
    assert refused.status_code == 400
    headers["x-image-meta-store"] = "file"
    assert httpx.post(f"{service.images_url}/v1/images", headers=headers, content=DATA).status_code == 201


def test_all_that_a_service_makes_is_its_owners_only(fresh_headwater: FreshHeadwater) -> None:
    before = os.umask(0)
    try:
        service = fresh_headwater(start=False)
        service.data_dir.mkdir(0o755)
        service.start()
    finally:
        os.umask(before)
    an_image(service)
    made = [service.data_dir, *service.data_dir.rglob("*")]
    assert {path.name for path in made} >= {"headwater.db", "headwater.db-wal", "headwater.db-shm", "store-id"}
    assert [f"{path.stat().st_mode:o} {path}" for path in made if path.stat().st_mode & 0o077] == []


def test_a_store_into_whose_directory_others_may_look_is_told_of(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    place = tmp_path / "open to others"
    place.mkdir()
    place.chmod(0o750)
    service = fresh_headwater(toml=f'[stores.files]\ntype = "file"\nroot = "{place}"\n')
    told = [each for each in service.logs() if "others may look into a directory" in each["event"]]
    assert [(each["path"], each["mode"]) for each in told] == [(str(place), "750")]
