"""A service for images whose data lies on a web server, and that server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from functional.headwater_process import HeadwaterProcess
from functional.images.locations.location_requests import DATA, OTHER, WEB, Api
from servers.http.web import WebServer, content, web_server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("locations"), toml=WEB, workers=2)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def api(service: HeadwaterProcess) -> Iterator[Api]:
    api = Api(service.images_url)
    yield api
    api.http.close()


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages |= {"/data": content(DATA), "/same": content(DATA), "/other": content(OTHER)}
        server.pages["/small"] = content(b"small")
        yield server
