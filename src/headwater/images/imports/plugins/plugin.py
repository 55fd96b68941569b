"""What an import plugin is: it takes the data of an import, and returns the data that the image is to have.

A plugin may read all bytes and give others (``pieces`` to ``pieces``, with a bounded part of them in memory), ask for
them as a file of the scratch directory and give another such file, or change only what is said of the data: its
formats and the image's properties. The plugins of an import work one after the other, in the order of the settings;
what the last one returns is inspected as an upload is, so that no plugin has to be trusted with that.

A package offers a plugin by an entry point of the group ``headwater.import_plugins`` whose value is a ``PluginType``;
those of Headwater itself are offered in the same way (``registry.py``).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from headwater.config import Section
from headwater.errors import Invalid
from headwater.images.data.session import ImageTooLarge
from headwater.images.inspection.inspect import Rules

HEAD = 512  # bytes
PIECE = 1 << 20  # bytes of the pieces that files are read in


class PluginFailed(Invalid):
    """A plugin cannot work on this data. The message is for the task."""

    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(f"{plugin}: {reason}")
        self.plugin, self.reason = plugin, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Bytes on their way into an image, and what is said of them."""

    disk_format: str
    container_format: str
    properties: Mapping[str, str] = field(default_factory=dict)  # of the image
    pieces: Iterator[bytes]  # all bytes in their order; read once
    head: bytes = b""  # the first of them: HEAD, or fewer where there are no more
    size: int | None = None  # of all of them; None: nobody knows before they are read
    file: Path | None = None  # where they lie, in the scratch directory

    def holding(self, pieces: Iterable[bytes], *, size: int | None = None, file: Path | None = None) -> Data:
        """Return other bytes of which the same is said; the first of them are read for that."""
        rest, head = iter(pieces), b""
        read: list[bytes] = []
        while len(head) < HEAD and (piece := next(rest, None)) is not None:
            read.append(piece)
            head += piece[: HEAD - len(head)]
        return replace(self, pieces=itertools.chain(read, rest), head=head, size=size, file=file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What plugins may use while they work on one import."""

    scratch: Path  # a directory of this import alone, which goes with it
    size_cap: int  # the most bytes of an image
    rules: Rules  # how data is inspected
    roles: frozenset[str]  # of whoever asked for the import
    is_signed: bool  # the image's signature is one of the data as it came
    advance: Callable[[int, int | None], None]
    """Note how many bytes are done, of how many; raises what ends the import. To be called each second or so."""

    def spooled(self, data: Data, name: str) -> tuple[Data, Path]:
        """Return the data, and where it lies as a file. Who reads that file changes nothing in it.

        Args:
            name: Of the file, if one has to be written.

        Raises:
            ImageTooLarge: It has more than ``size_cap`` bytes.
        """
        if data.file is not None:
            return data, data.file
        file, size = self.scratch / name, 0
        with file.open("xb") as out:
            for piece in data.pieces:
                size += len(piece)
                if size > self.size_cap:
                    raise ImageTooLarge(self.size_cap)
                out.write(piece)
        return data.holding(read(file), size=size, file=file), file


class Plugin(Protocol):
    """Works on imports; safe to use from several threads, and keeps nothing of an import."""

    def wants(self, data: Data, work: Work) -> bool:
        """Return whether ``apply`` will read this data, of which ``head`` tells.

        Data that no plugin wants is not read for them: what is staged stays where it lies.
        """

    def apply(self, data: Data, work: Work) -> Data:
        """Return the data that goes on to the next plugin.

        Raises:
            PluginFailed: The image cannot have this data.
        """


S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True)
class PluginType(Generic[S]):
    """One plugin that the settings may name."""

    name: str
    settings: type[S]  # of its section
    open: Callable[[S], Plugin]


def read(file: Path) -> Iterator[bytes]:
    """Yield the bytes of a file."""
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            yield piece
