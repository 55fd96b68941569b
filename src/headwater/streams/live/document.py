"""One file of a feed as it is sent: as it is, and compressed for those who take that.

It is compressed when somebody first asks for that, once for all; each form has an entity tag of its own.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from headwater.errors import NotFound

T = TypeVar("T")

_LEVEL: Final = 6
_WORTH_IT: Final = 512  # bytes; less than that travels in one packet either way


class StreamNotFound(NotFound):
    """The feed has no document of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no simplestreams document {name!r} here; the feed begins at streams/v1/index.json")
        self.name = name


class Once(Generic[T]):
    """What is made when it is first asked for, by one thread; the others that ask for it wait."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: T | None = None

    @property
    def at_hand(self) -> T | None:
        """What was made; ``None`` before that. Never waits."""
        return self._made

    def __call__(self) -> T:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


@dataclass(frozen=True, slots=True)
class Form:
    """A document's bytes in one coding."""

    body: bytes
    coding: str | None = None  # as Content-Encoding names it
    tag: str | None = None  # another one for another body; None: its digest
    etag: str = field(init=False)  # strong, with its quotes

    def __post_init__(self) -> None:
        tag = (self.tag or hashlib.sha256(self.body).hexdigest())[:32]
        coding = "" if self.tag is None or self.coding is None else f"-{self.coding}"
        object.__setattr__(self, "etag", f'"{tag}{coding}"')


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the feed, ready to be sent."""

    body: bytes
    content_type: str
    modified_at: int  # second since 1970 in which this process first had it in this form
    tag: str | None = None  # another one for another body; None: its digest
    plain: Form = field(init=False, compare=False)
    gzipped: Once[Form] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", Form(self.body, tag=self.tag))
        object.__setattr__(self, "gzipped", Once(self._compressed))

    @property
    def etag(self) -> str:
        """The entity tag of the plain form."""
        return self.plain.etag

    @property
    def is_worth_compressing(self) -> bool:
        """Whether those who take it compressed gain anything."""
        return len(self.body) >= _WORTH_IT

    def _compressed(self) -> Form:
        # Without a time: the same document is the same bytes in every process.
        return Form(gzip.compress(self.body, _LEVEL, mtime=0), "gzip", self.tag)
