"""A type of store that another package brings, in the real program."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterDidNotStart, run_headwater
from functional.image_requests import an_image, upload
from packages import SHELF, package

DATA = bytes(range(256)) * 5000
SETTINGS = '[stores.third]\ntype = "shelf"\nlabel = "third"\n'


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """Variables with which Python finds a package with a shelf, and one that is broken."""
    place = package(tmp_path / "packages", "outside_shelf", SHELF, {"shelf": "SHELF"})
    package(place, "broken", "raise RuntimeError('not on this machine')", {"tape": "TYPE"})
    return {"PYTHONPATH": str(place)}


def test_images_lie_in_a_store_of_another_package(fresh_headwater: FreshHeadwater, installed: dict[str, str]) -> None:
    service = fresh_headwater(toml=SETTINGS, env=installed, workers=2)
    with httpx.Client(base_url=service.images_url, timeout=30) as http:
        image_id = an_image(http)
        upload(http, image_id, DATA).raise_for_status()
        assert http.get(f"/v2/images/{image_id}/file").content == DATA
        (kept,) = (service.data_dir / "third" / "objects").rglob(f"{image_id}*")
        assert kept.read_bytes() == DATA
        http.delete(f"/v2/images/{image_id}").raise_for_status()
        assert not kept.exists()


def test_its_settings_are_shown(tmp_path: Path, installed: dict[str, str]) -> None:
    (tmp_path / "headwater.toml").write_text(SETTINGS)
    shown = run_headwater("config", "show", "--json", directory=tmp_path, env=installed)
    values = {row["key"]: (row["value"], row["from"]) for row in json.loads(shown.stdout)}
    assert values["stores.third.label"] == ("third", "file headwater.toml")
    assert values["stores.third.fsync"] == (True, "default")


def test_a_package_that_is_broken_stops_the_start_of_who_uses_it(
    fresh_headwater: FreshHeadwater, installed: dict[str, str]
) -> None:
    with pytest.raises(HeadwaterDidNotStart) as refused:
        fresh_headwater(toml='[stores.t]\ntype = "tape"\n', env=installed)
    assert refused.value.code == 2
    for word in ("headwater.toml", "key 't'", "the package broken", "not on this machine"):
        assert word in refused.value.stderr
    assert "Traceback" not in refused.value.stderr
