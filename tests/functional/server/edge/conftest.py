"""A listener on each kind of event loop, and a file that it sends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from starlette.types import ASGIApp

from functional.server.edge.edge_server import DATA, Edge, Start


@pytest.fixture(params=["uvloop", "asyncio"])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    edges = []
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def begin(app: ASGIApp, limit: int = 100, tls: Callable[[], ssl.SSLContext] | None = None) -> Edge:
        edges.append(Edge(app, lambda: asyncio.Runner(loop_factory=factory), limit, tls))
        return edges[-1]

    yield begin
    for edge in edges:
        edge.stop()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path
