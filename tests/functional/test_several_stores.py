"""Several stores, as clients and operators see them."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess

OCTETS = {"Content-Type": "application/octet-stream"}
DATA = random.Random(0).randbytes(9 << 20)
TOML = """
[stores.fast]
type = "file"
description = "New and fast"
[stores.cheap]
type = "file"
[stores.web]
type = "http"
"""


@pytest.fixture
def service(fresh_headwater: FreshHeadwater) -> HeadwaterProcess:
    return fresh_headwater(toml=TOML)


def uploaded(api: httpx.Client, store: str | None = None) -> str:
    """Return the id of a new image with DATA."""
    image_id: str = api.post("/images", json={"disk_format": "raw", "container_format": "bare"}).json()["id"]
    headers = OCTETS if store is None else {**OCTETS, "X-Image-Meta-Store": store}
    assert api.put(f"/images/{image_id}/file", content=DATA, headers=headers).status_code == 204
    return image_id


def object_of(service: HeadwaterProcess, store: str, image_id: str) -> Path:
    """Return the file that holds the data of an image."""
    (found,) = (service.data_dir / "stores" / store).glob(f"objects/*/{image_id}.*")
    return found


def copied(service: HeadwaterProcess, image_id: str, source: str, target: str) -> Path:
    """Give the data of an image a second place, and return the file that holds it there."""
    found = object_of(service, source, image_id)
    copy = service.data_dir / "stores" / target / found.relative_to(service.data_dir / "stores" / source)
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(found, copy)
    with sqlite3.connect(service.data_dir / "headwater.db") as catalogue:
        catalogue.execute(
            "insert into image_locations (image_id, position, store, object_key, metadata) "
            "select image_id, 1, ?, object_key, '{}' from image_locations where image_id = ?",
            (target, image_id),
        )
    return copy


def test_where_a_file_fails_in_the_middle_the_next_store_goes_on(service: HeadwaterProcess) -> None:
    with httpx.Client(base_url=f"{service.images_url}/v2", trust_env=False) as api:
        image_id = uploaded(api)
        file = object_of(service, "fast", image_id)
        copied(service, image_id, "fast", "cheap")
        os.truncate(file, 5_000_003)
        assert api.get(f"/images/{image_id}/file").content == DATA
        part = api.get(f"/images/{image_id}/file", headers={"Range": "bytes=4999999-8999999"})
        assert (part.status_code, part.content) == (206, DATA[4999999:9000000])
        object_of(service, "cheap", image_id).unlink()
        with pytest.raises(httpx.TransportError):  # broken off: half is never taken for the whole
            api.get(f"/images/{image_id}/file")
