"""The store of ``docs/how-to/write-a-store.md``: what the page shows is in the example, and the example works."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx2 as httpx
import pytest

from docs.pages import DOCS, blocks
from functional.headwater_process import HeadwaterProcess
from needs import CHECKOUT
from packages import package

EXAMPLE = CHECKOUT / "examples" / "sqlite_store"
MODULE = EXAMPLE / "headwater_sqlite_store.py"


def test_what_the_page_shows_stands_in_the_example() -> None:
    files = "\n".join(path.read_text() for path in EXAMPLE.iterdir() if path.is_file())
    shown = [block.text for block in blocks((DOCS / "how-to" / "write-a-store.md").read_text())]
    assert len(shown) == 5
    assert [text for text in shown if text not in files and "[stores.small]" not in text] == []


def test_the_example_keeps_the_contract(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            os.devnull,
            "--rootdir",
            EXAMPLE,
            "-p",
            "no:cacheprovider",
            EXAMPLE,
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.slow
def test_images_lie_in_the_store_of_the_example(tmp_path: Path) -> None:
    offered = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["entry-points"]["headwater.stores"]
    stores = {name: value.partition(":")[2] for name, value in offered.items()}
    place = package(tmp_path / "packages", MODULE.stem, MODULE.read_text(), stores)
    (settings,) = [
        block.text
        for block in blocks((DOCS / "how-to" / "write-a-store.md").read_text())
        if block.text.startswith("[stores.")
    ]
    toml = settings.replace("/var/lib/headwater/small.sqlite", str(tmp_path / "small.sqlite"))
    service = HeadwaterProcess(tmp_path, toml=toml, env={"PYTHONPATH": str(place)}, workers=2)
    service.start()
    try:
        with httpx.Client(base_url=service.images_url, timeout=60) as http:
            image = http.post("/v2/images", json={"disk_format": "raw", "container_format": "bare"}).json()
            file, data = f"/v2/images/{image['id']}/file", bytes(range(256)) * 5000
            http.put(file, content=data, headers={"Content-Type": "application/octet-stream"}).raise_for_status()
            assert http.get(file).content == data
            assert http.get(file, headers={"Range": "bytes=5-9"}).content == data[5:10]
            service.restart()
            assert http.get(file).content == data
            http.delete(f"/v2/images/{image['id']}").raise_for_status()
        assert (tmp_path / "small.sqlite").exists()
    finally:
        service.kill()
