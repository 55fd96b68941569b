"""What a search did, step by step, for people who ask why something was not found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from headwater.errors import HeadwaterError


class Kind(StrEnum):
    """What a step did."""

    SOURCE = "source"  # begun to look here
    SKIPPED = "skipped"  # not looked here
    READ = "read"  # a file is there and is what it should be
    ABSENT = "absent"  # there is no such file or no such thing; the search goes on as if this were normal
    FAILED = "failed"  # an error, which ends the attempt
    UNSIGNED = "unsigned"  # the attempt with signatures came to nothing; the one without follows
    TAKEN = "taken"
    PASSED_OVER = "passed over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a search."""

    source: str  # description of the source, as Juju names it
    kind: Kind
    what: str  # a URL, the key of an index entry, a product, a version, the id of an image
    why: str = ""

    def __str__(self) -> str:
        """Write it in one line."""
        return printable(f"{self.kind}: {self.what}{f': {self.why}' if self.why else ''}")

    def to_dict(self) -> dict[str, Any]:
        return {"source": self.source, "kind": self.kind, "what": self.what, "why": self.why}


def printable(text: str) -> str:
    """Return what others wrote into their feed as one line that does nothing to a terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


class Trace:
    """The steps of a search, which grow while it runs."""

    def __init__(self, source: str, steps: list[Step] | None = None) -> None:
        self.source = source
        self.steps: list[Step] = [] if steps is None else steps

    def of(self, source: str) -> Trace:
        """Return a trace for what is done in another source, whose steps go to the same list."""
        return Trace(source, self.steps)

    def add(self, kind: Kind, what: str, why: str = "") -> None:
        self.steps.append(Step(source=self.source, kind=kind, what=what, why=why))


class LookupFailed(HeadwaterError):
    """A source gives no answer; Juju shows this text."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class DataNotFound(LookupFailed):
    """The source has no such data: no index, none of the kind asked for, or none for the cloud."""
