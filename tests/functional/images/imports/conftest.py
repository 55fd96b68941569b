"""A service of several stores that imports, and a web server with data."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess
from functional.images.imports.image_imports import BLOB, TOML
from servers.http.web import WebServer, content, web_server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("import"), toml=TOML, workers=2)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def http(service: HeadwaterProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.images_url, timeout=60, headers={"Accept": "application/json"}) as client:
        yield client


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages["/image"] = content(BLOB)
        yield server
