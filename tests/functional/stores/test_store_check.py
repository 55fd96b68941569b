"""``headwater store check`` beside a service whose store was tampered with."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess
from functional.image_requests import an_image, upload

DATA = bytes(range(256)) * 500


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def service(fresh_headwater: FreshHeadwater, root: Path) -> HeadwaterProcess:
    return fresh_headwater(toml=f'[stores.files]\ntype = "file"\nroot = "{root}"\n')


def with_data(service: HeadwaterProcess) -> str:
    """Return the id of a new image that has ``DATA``."""
    image_id = an_image(service)
    assert upload(service, image_id, DATA).status_code == 204
    return image_id


def file_of(root: Path, image_id: str) -> Path:
    (found,) = root.glob(f"objects/*/{image_id}.*")
    return found


def place_of(root: Path, key: str) -> Path:
    """Return where the store keeps an object, and make the directory."""
    directory = root / "objects" / hashlib.sha256(key.encode()).hexdigest()[:2]
    directory.mkdir(exist_ok=True)
    return directory / key


def check(service: HeadwaterProcess, *options: str) -> tuple[int, dict[tuple[str, str], Any], dict[str, Any]]:
    """Return how the check ended, what it found by kind and key, and the totals of the only store."""
    ended = service.command("store", "check", "--json", *options)
    said = json.loads(ended.stdout)
    (totals,) = said["stores"]
    return ended.returncode, {(each["kind"], each["object_key"]): each for each in said["findings"]}, totals


def test_what_was_damaged_removed_and_added_is_found_and_only_the_orphan_is_removed(
    service: HeadwaterProcess, root: Path
) -> None:
    well, cut, changed, gone = (with_data(service) for _ in range(4))
    assert check(service, "--read")[:2] == (0, {})
    files = {image: file_of(root, image) for image in (well, cut, changed, gone)}
    keys = {image: file.name for image, file in files.items()}
    with files[cut].open("r+b") as file:
        file.truncate(1000)
    with files[changed].open("r+b") as file:
        file.write(b"another beginning")
    files[gone].unlink()
    left, foreign = f"{well}.0123456789abcdef", f"{uuid.uuid4()}.0123456789abcdef"
    for name in (left, foreign, "notes.txt"):
        place_of(root, name).write_bytes(b"left")

    code, found, totals = check(service)
    assert (code, set(found)) == (1, {("damaged", keys[cut]), ("missing", keys[gone])})
    assert found["missing", keys[gone]]["image_id"] == gone
    assert totals["missing"] == {"objects": 1, "bytes": len(DATA)}

    code, found, totals = check(service, "files", "--read", "--speed", "0", "--grace", "0")
    assert code == 1
    assert set(found) == {
        ("damaged", keys[cut]),
        ("damaged", keys[changed]),
        ("missing", keys[gone]),
        ("orphan", left),
        ("orphan", foreign),
        ("orphan", "notes.txt"),
    }
    assert totals["orphan"] == {"objects": 3, "bytes": 12}
    assert not any(each["removed"] for each in found.values())

    code, found, totals = check(service, "--grace", "0", "--remove-orphans")
    assert code == 1
    assert [key for (_, key), each in found.items() if each["removed"]] == [left]
    assert totals["removed"] == {"objects": 1, "bytes": 4}
    assert not place_of(root, left).exists()
    assert place_of(root, foreign).exists()
    got = httpx.get(f"{service.images_url}/v2/images/{well}/file")
    assert got.content == DATA


def test_a_file_that_was_touched_is_known_to_be_right_once_it_was_read(service: HeadwaterProcess, root: Path) -> None:
    file = file_of(root, with_data(service))
    was = file.stat().st_mtime_ns
    file.touch()
    touched = file.stat().st_mtime_ns
    assert check(service)[:2] == (0, {})
    assert file.stat().st_mtime_ns == touched
    assert check(service, "--read")[:2] == (0, {})
    assert file.stat().st_mtime_ns % 10**9 == was % 10**9 != touched % 10**9


def test_a_store_that_is_not_mounted_has_lost_nothing(service: HeadwaterProcess, root: Path) -> None:
    image = with_data(service)
    root.rename(root.with_name("away"))
    root.mkdir()
    code, found, totals = check(service, "--remove-orphans")
    assert (code, found) == (1, {})
    assert "is it mounted?" in totals["error"]
    assert image


def test_in_words_each_finding_is_a_line_and_each_store_a_sum(service: HeadwaterProcess, root: Path) -> None:
    image = with_data(service)
    well = service.command("store", "check")
    assert (well.returncode, well.stdout) == (0, f"store files: 1 objects ({len(DATA)} bytes), all is well\n")
    file = file_of(root, image)
    file.unlink()
    bad = service.command("store", "check")
    assert bad.returncode == 1
    assert bad.stdout.splitlines() == [
        f"store files: missing: {file.name} of image {image}, {len(DATA)} bytes: it is not there",
        f"store files: 0 objects (0 bytes), 1 missing ({len(DATA)} bytes)",
    ]


@pytest.mark.parametrize("words", [["nowhere"], ["--speed", "-1"], ["--grace", "x"]])
def test_a_wrong_use_is_told_apart_from_what_is_found(service: HeadwaterProcess, words: list[str]) -> None:
    assert service.command("store", "check", *words).returncode == 2
