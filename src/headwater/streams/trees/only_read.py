"""A tree that others write: a web server's, for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, NoReturn

from headwater.streams.trees.tree import Entry, TreeCannot


class OnlyRead:
    """What such a tree cannot do; the parent of those that know how to read one."""

    place: str

    def list(self, prefix: str = "") -> Iterator[Entry]:
        raise TreeCannot(self.place, "listed")

    def write(
        self,
        path: str,
        body: bytes | BinaryIO,
        *,
        size: int | None = None,
        media_type: str | None = None,
        expect: str | None = None,
        max_age_s: int | None = None,
        mark: str | None = None,
    ) -> NoReturn:
        raise TreeCannot(self.place, "written")

    def begun(self, path: str, mark: str) -> None:
        return None

    def delete(self, path: str) -> NoReturn:
        raise TreeCannot(self.place, "written")

    def prepare(self, *, public: bool = False) -> NoReturn:
        raise TreeCannot(self.place, "written")

    def exclusive(self, purpose: str) -> AbstractContextManager[None]:
        raise TreeCannot(self.place, "written")

    def public_url(self) -> str:
        return self.place
