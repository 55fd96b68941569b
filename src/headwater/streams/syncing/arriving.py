"""The bytes of one item on their way from the feed: gone on with after lost connections, and verified as they pass.

The last piece is given away only when all of it is what the feed says: a service that was told the size never has as
much as it expects of anything else, so nothing becomes active that does not match.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Final

from headwater.errors import HeadwaterError
from headwater.streams.syncing.items import Item
from headwater.streams.trees.tree import PathChanged, Tree, TreeUnavailable

PAUSES_S: Final = (1.0, 4.0, 15.0)  # while nothing comes


class DataWrong(HeadwaterError):
    """What the feed's server gives is not what the feed says."""

    def __init__(self, place: str, path: str, what: str) -> None:
        super().__init__(
            f"{place}: {path} does not have the {what} that the feed says; it was replaced, damaged, or the feed is "
            "newer than its files: nothing of it was kept"
        )
        self.place, self.path, self.what = place, path, what


class Arriving:
    """One file of a feed, being read; ``made`` has its hashes once all pieces have been taken."""

    def __init__(
        self,
        tree: Tree,
        item: Item,
        *,
        shown: Callable[[int], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take what to read.

        Args:
            shown: Is told how many bytes have come; what it raises ends the reading.
        """
        self._tree, self._item, self._shown, self._sleep = tree, item, shown, sleep
        self.made: dict[str, str] = {}  # hex, by hashlib's names

    def pieces(self) -> Iterator[bytes]:
        """Yield all pieces, from the first one on, whenever it is called.

        Raises:
            DataWrong: It is not what the feed says; the last piece did not come then.
            PathNotFound, PathChanged, TreeRefused, TreeUnavailable: It cannot be read, or changed meanwhile.
        """
        item, self.made = self._item, {}
        # Services tell one of the first two of an image; the third is what most feeds have.
        hashes = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha512", "md5", *item.hashes)}
        held, at = b"", 0
        for piece in self._read():
            at += len(piece)
            if at > item.size:
                raise DataWrong(self._tree.place, item.path, "size")
            for each in hashes.values():
                each.update(piece)
            if held:
                yield held
            held = piece
            self._shown(at)
        if at != item.size:
            raise DataWrong(self._tree.place, item.path, "size")
        self.made = {name: each.hexdigest() for name, each in hashes.items()}
        for name, expected in item.hashes.items():
            if self.made[name] != expected:
                raise DataWrong(self._tree.place, item.path, name)
        if held:
            yield held

    def _read(self) -> Iterator[bytes]:
        at, failures = 0, 0
        while True:
            try:
                # Without a tag: that it is the same file is proved in the end, also where a server tells none.
                with self._tree.open(self._item.path, at) as opened:
                    if opened.start not in (at, 0):
                        raise PathChanged(self._tree.place, self._item.path)
                    skipped = at - opened.start
                    for piece in opened:
                        rest = piece[min(skipped, len(piece)) :]
                        skipped -= len(piece) - len(rest)
                        if rest:
                            at, failures = at + len(rest), 0
                            yield rest
            except TreeUnavailable:
                if failures == len(PAUSES_S):
                    raise
                self._sleep(PAUSES_S[failures])
                failures += 1
            else:
                return
