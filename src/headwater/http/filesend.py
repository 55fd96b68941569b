"""Files that the server sends itself: what our edge (``headwater.server.edge``) has beside ASGI.

A message of this type carries ``path``, ``offset`` and ``count``, and is the whole body of an answer. When the file
fails in the middle, whoever sent the message may send what is missing as ordinary pieces of the body.
"""

from __future__ import annotations

from pathlib import Path

FILESEND = "headwater.filesend"


class FileFailed(Exception):
    """A file could not be sent as far as was announced: its disk failed, or it is shorter. The client is there."""

    def __init__(self, path: Path, sent: int, error: OSError | None = None) -> None:
        """Take what happened after ``sent`` bytes of the part that was to be sent; ``None``: the file ends there."""
        reason = "it ends too early" if error is None else error.strerror or "it cannot be read"
        super().__init__(f"{path}: {reason}, after {sent} bytes of it were sent")
        self.path, self.sent, self.is_short = path, sent, error is None
