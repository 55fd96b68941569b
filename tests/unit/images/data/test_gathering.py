from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import cast

import pytest

from headwater.images.data.buffers import MARGIN, Memory, ThreadBuffers
from headwater.images.data.gathering import Gathering
from headwater.images.data.pipeline import BUFFER
from headwater.images.data.session import UploadSession


class Pieces:
    """What a session was given, given back at once."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.data = b""

    def put(self, view: memoryview, release: Callable[[], None]) -> None:
        self.sizes.append(len(view))
        self.data += view
        release()


@pytest.mark.parametrize("most", [100_000, BUFFER - 1, BUFFER, BUFFER + 1, BUFFER + MARGIN])
def test_pieces_are_full_whatever_is_received_at_once(most: int) -> None:
    sent = random.Random(3).randbytes(2 * BUFFER + 4000)
    buffers, pieces, offset = ThreadBuffers(Memory()), Pieces(), 0
    with contextlib.closing(Gathering(cast("UploadSession", pieces), buffers)) as gathering:
        while offset < len(sent) or gathering.is_over:
            if gathering.needs_buffer:
                gathering.use(buffers.take())
            with gathering.room() as room:
                count = min(len(room), most, len(sent) - offset)
                room[:count] = sent[offset : offset + count]
            gathering.filled(count)
            offset += count
        gathering.flush()
    assert pieces.sizes == [BUFFER, BUFFER, 4000]
    assert pieces.data == sent
    buffers.settle()
    buffers.close()
