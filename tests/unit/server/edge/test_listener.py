"""Connections are taken while files may be opened; while they may not, the loop turns, and the log has one line."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

import pytest

from headwater.server.edge.listener import Listener
from headwater.threads import Pool


class _Full:
    """A socket whose system has no more files for it; counts how often it was asked."""

    def __init__(self) -> None:
        self.ends = os.pipe()  # always ready to be read, as a socket is by which somebody waits to come in
        os.write(self.ends[1], b"x")
        self.asked = 0

    def fileno(self) -> int:
        return self.ends[0]

    def accept(self) -> tuple[socket.socket, object]:
        self.asked += 1
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def close(self) -> None:
        for each in self.ends:
            os.close(each)


def test_without_files_for_connections_the_loop_does_not_spin_and_the_log_has_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    full, files = _Full(), Pool("files", 1)

    async def app(*_: object) -> None:
        raise AssertionError

    async def listen() -> None:
        listener = Listener(app, full, files)  # type: ignore[arg-type]  # as much of a socket as it asks for
        listener.start()
        while full.asked < 3:
            asked = full.asked
            for _ in range(20):
                await asyncio.sleep(0)
            assert full.asked <= asked + 1  # and then it is left alone for a while
            await asyncio.sleep(0.02)
        listener.stop()

    asyncio.run(asyncio.wait_for(listen(), 60))
    files.close()
    assert [each.message for each in caplog.records] == [
        "no connection can be taken for a moment, and for as long as this lasts"
    ]
