"""What a controller knows after a bootstrap with a directory of metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headwater.streams.lookup.images import FoundImage
from headwater.streams.lookup.records import MetadataNotImported, read_directory
from headwater.streams.lookup.search_path import MetadataDirectoryNotFound, SearchPath
from headwater.streams.lookup.wanted import Juju
from unit.streams.lookup.feeds import IMAGES, INDEX2, NOBLE, clouds, entry, images, index, item, product, version


def written(directory: Path, files: dict[str, Any]) -> Path:
    for path, body in files.items():
        file = directory / "images" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
    return directory


def of(*products: dict[str, Any]) -> dict[str, Any]:
    whole = {name: each for some in products for name, each in some.items()}
    return {INDEX2: index(entry(*whole, clouds=[{"region": "X", "endpoint": "https://x"}])), IMAGES: images(whole)}


def taken(directory: Path, **more: Any) -> list[FoundImage]:
    return read_directory(directory, path=SearchPath(defaults=False), **more)[0]


def test_everything_that_is_released_is_taken_whatever_the_cloud(tmp_path: Path) -> None:
    arm = "com.ubuntu.cloud:server:22.04:arm64"
    daily = "com.ubuntu.cloud.daily:server:22.04:amd64"
    far = item("far", region="Far")
    files = of(
        product(), product(NOBLE, {"1": version(far)}), product(arm, {"1": version(item("arm"))}), product(daily)
    )
    found = taken(written(tmp_path, files))
    assert [(each.id, each.region, each.version, each.arch) for each in found] == [
        ("an-id", "RegionOne", "22.04", "amd64"),
        ("arm", "RegionOne", "22.04", "arm64"),
        ("far", "Far", "24.04", "amd64"),
    ]
    assert {(each.source, each.priority, each.stream) for each in found} == {("custom", 50, "released")}


@pytest.mark.parametrize(("juju", "count"), [(Juju.V2_9, 1), (Juju.V3_6, 1), (Juju.V4, 0)])
def test_only_versions_that_juju_knows_are_taken(tmp_path: Path, juju: Juju, count: int) -> None:
    old = product("com.ubuntu.cloud:server:18.04:amd64", {"1": version(item("old"))})
    assert len(taken(written(tmp_path, of(old)), juju=juju)) == count


def test_the_stream_is_that_of_the_model(tmp_path: Path) -> None:
    [image] = taken(written(tmp_path, of(product())), stream="daily")
    assert image.stream == "daily"


def test_a_directory_without_a_feed_has_nothing(tmp_path: Path) -> None:
    assert taken(tmp_path) == []
    assert taken(written(tmp_path, {"other": b""})) == []
    (tmp_path / "tools").mkdir()
    assert taken(tmp_path / "tools") == []


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MetadataDirectoryNotFound):
        taken(tmp_path / "no")


def test_a_feed_that_cannot_be_read_is_refused_in_jujus_words(tmp_path: Path) -> None:
    with pytest.raises(MetadataNotImported, match="cannot read image metadata in bootstrap metadata: cannot unmarshal"):
        taken(written(tmp_path, {INDEX2: b"{"}))


def test_two_images_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    twice = product(versions={"1": version(item("a"), item("b"))})
    with pytest.raises(MetadataNotImported, match=r'duplicate metadata record for image id b \(key="released:Reg'):
        taken(written(tmp_path, of(twice)))


def test_an_image_without_a_region_is_refused(tmp_path: Path) -> None:
    nowhere = product(versions={"1": version({"id": "an-id"})})
    files = {INDEX2: clouds(), IMAGES: images(nowhere)}
    with pytest.raises(MetadataNotImported, match="missing region: metadata for image an-id not valid"):
        taken(written(tmp_path, files))
