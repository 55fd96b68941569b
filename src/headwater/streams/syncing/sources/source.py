"""A source: what its operator says of it, and what has become of its runs."""

from __future__ import annotations

import base64
import binascii
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator

from headwater.clock import timestamp
from headwater.config import Section
from headwater.errors import Conflict, Invalid, NotFound
from headwater.streams.syncing.terms import SyncTerms

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SHORTEST_S: Final = 60


class Outcome(StrEnum):
    """How the last run of a source stands or ended."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BadSource(Invalid):
    """What was said of a source cannot be."""


class SourceNotFound(NotFound):
    """There is no source of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no source {name[:100]!r}")
        self.name = name


class SourceExists(Conflict):
    """Another source has the name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a source {name!r} already: change it, or choose another name")
        self.name = name


class TooManySources(Conflict):
    """There are as many sources as there may be."""

    def __init__(self, most: int) -> None:
        super().__init__(f"there are {most} sources already: remove one, or give one more filters")


class SourceIdle(Conflict):
    """There is no run that could be ended."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no run of the source {name!r} waits or goes on")
        self.name = name


class SourceSettings(Section):
    """What an operator says of a source."""

    name: str = Field(description="Names it: letters, digits, '.', '_' and '-'.")
    url: str = Field(max_length=2000, description="Of the feed's tree, or of a document in it; http or https.")
    keyring: str | None = Field(
        default=None,
        max_length=1 << 20,
        description="OpenPGP keys of which one has to have signed each document: armored, or a keyring in base64.",
    )
    verify: bool = Field(default=True, description="Whether signatures are looked at; a signed feed needs a keyring.")
    enabled: bool = Field(default=True, description="Whether it runs by itself.")
    interval_s: int = Field(default=86400, ge=SHORTEST_S, le=366 * 86400, description="Seconds between two runs.")
    jitter_s: int = Field(
        default=3600, ge=0, le=366 * 86400, description="Up to so many seconds are added, by chance, before each run."
    )
    terms: SyncTerms = Field(default_factory=SyncTerms, description="What is brought, and what images it becomes.")

    @field_validator("name")
    @classmethod
    def _word(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(
                "a name is 1 to 100 letters, digits, '.', '_' and '-', and begins with one of the first two"
            )
        return name

    @field_validator("url")
    @classmethod
    def _web(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError("it is no URL") from None
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or not url.isprintable():
            raise ValueError("it is http://… or https://…, with a host and a path and nothing more")
        if parts.username is not None or parts.password is not None:
            raise ValueError("it may hold no user and no password: everybody who sees the source would see them")
        return url

    @classmethod
    def of(cls, document: object) -> SourceSettings:
        """Read what a caller says.

        Raises:
            BadSource: It cannot be.
        """
        if not isinstance(document, dict):
            raise BadSource("a source is an object")
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise BadSource(problem_of(error)) from error

    def merged(self, document: object) -> SourceSettings:
        """Return these settings with a merge patch (RFC 7396): a key of ``null`` is as if nobody had said it.

        Raises:
            BadSource: They cannot be so.
        """
        if not isinstance(document, dict):
            raise BadSource("a merge patch is an object")
        return SourceSettings.of(_merged(self.model_dump(mode="json", exclude_unset=True), document))

    def keyring_bytes(self) -> bytes | None:
        """Return the keyring as a file would have it.

        Raises:
            BadSource: It is neither armored nor base64.
        """
        if self.keyring is None or self.keyring.lstrip().startswith("-----BEGIN"):
            return None if self.keyring is None else self.keyring.encode()
        try:
            return base64.b64decode("".join(self.keyring.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadSource("keyring: it is neither armored nor base64") from error

    @property
    def longest_wait_s(self) -> int:
        """How long the source waits after a run at most."""
        return self.interval_s + self.jitter_s

    def next_after(self, at: int, chance: random.Random) -> int | None:
        """Return when the source is due after a run that was due at ``at``; ``None``: never by itself."""
        if not self.enabled:
            return None
        return at + self.interval_s * 1_000_000 + int(chance.random() * self.jitter_s * 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source as the catalogue has it; times in microseconds since 1970."""

    id: str
    settings: SourceSettings
    project_id: str | None  # whose the images are
    created_at: int
    updated_at: int
    next_run_at: int | None = None  # None: not by itself
    job_id: str | None = None  # of the run that was entered last
    began_at: int | None = None
    ended_at: int | None = None
    succeeded_at: int | None = None
    outcome: Outcome | None = None
    error: str | None = None
    report: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        return self.settings.name

    def to_dict(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "id": self.id,
            **self.settings.model_dump(mode="json"),
            "project_id": self.project_id,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "state": {
                "outcome": self.outcome.value if self.outcome else None,
                "began_at": _time(self.began_at),
                "ended_at": _time(self.ended_at),
                "succeeded_at": _time(self.succeeded_at),
                "next_run_at": _time(self.next_run_at),
                "job_id": self.job_id,
                "error": self.error,
                "report": self.report,
            },
        }


def problem_of(error: ValidationError) -> str:
    """Return the first thing that is wrong, as a sentence that quotes nothing."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(each)[:60] for each in first["loc"])
    words = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {words}" if where else words


def _merged(before: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    after = dict(before)
    for name, value in patch.items():
        if value is None:
            after.pop(name, None)
        elif isinstance(value, dict) and isinstance(after.get(name), dict):
            after[name] = _merged(after[name], value)
        else:
            after[name] = value
    return after


def _time(at: int | None) -> str | None:
    return None if at is None else timestamp(at)
