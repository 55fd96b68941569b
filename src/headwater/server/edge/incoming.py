"""What a client sends, found piece by piece; read from the socket only when somebody asks for it."""

from __future__ import annotations

import socket

from headwater.server.edge.framing import Refused
from headwater.server.edge.limits import BODY_RECEIVE_SIZE, HEAD_RECEIVE_SIZE
from headwater.server.edge.parsing import Mark, Parser, Request
from headwater.server.edge.stream import Stream


class Incoming:
    """The requests of one connection, and their bodies."""

    def __init__(self, connected: socket.socket) -> None:
        self._parser = Parser()
        self._found = self._parser.found
        self.stream = Stream(connected, self._parser.feed)

    @property
    def has_more(self) -> bool:
        """Something was received that nobody has asked for yet."""
        return bool(self._found)

    @property
    def has_end(self) -> bool:
        """All of the present body was received."""
        return Mark.END in self._found

    @property
    def in_head(self) -> bool:
        """A part of a head was received."""
        return self._parser.in_head

    def takes_end(self) -> bool:
        """Return whether the present body is complete, which it is then known to be."""
        if self._found and self._found[0] is Mark.END:
            self._found.popleft()
            return True
        return False

    def request(self) -> Request | None:
        """Return the next request, if all of its head was received.

        Raises:
            Refused: What was received is none.
        """
        if not self._found:
            return None
        found = self._found.popleft()
        if isinstance(found, Refused):
            raise found
        assert isinstance(found, Request)
        return found

    async def body(self, timeout_s: float) -> tuple[bytes, bool]:
        """Return more of the present body, all that was received, and whether that is its end.

        Raises:
            Refused: It is not framed as HTTP says.
            EOFError: The client has ended its side before that of the body.
            OSError: The connection is gone, or nothing came in time.
        """
        if not self._found:
            assert self._parser.body is not None
            size = self._parser.body.reach + HEAD_RECEIVE_SIZE  # what follows waits for its turn
            if not await self.stream.receive(timeout_s, min(size, BODY_RECEIVE_SIZE)):
                raise EOFError
        pieces: list[bytes] = []
        while self._found and isinstance(self._found[0], bytes):
            pieces.append(self._found.popleft())  # type: ignore[arg-type] # mypy does not follow the index
        complete = self.takes_end()
        if not pieces and not complete and self._found:
            refused = self._found[0]
            assert isinstance(refused, Refused)
            raise refused
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), complete

    async def body_into(self, view: memoryview, timeout_s: float) -> int:
        """Return how many bytes of the present body have arrived in ``view``; 0: what was received has another meaning.

        Raises:
            EOFError, OSError: As for ``body``.
        """
        assert self._parser.body is not None
        count = await self.stream.receive_into(view[: self._parser.body.reach], timeout_s)
        if not count:
            raise EOFError
        return self._parser.undo(view[:count])

    async def receive(self, timeout_s: float) -> bool:
        """Read what the client sends next; return whether there was any (see ``Stream.receive``)."""
        return await self.stream.receive(timeout_s)
