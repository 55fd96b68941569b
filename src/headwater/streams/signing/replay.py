"""A feed does not go back: who serves an older state, signed as it once was, is found out.

A signature says who wrote a document and not whether it is the present one. What tells is ``updated`` in the document,
against what was seen before: noted in a file, or read from the target that is about to be replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from headwater.errors import Conflict, SettingsError
from headwater.streams.format.json_objects import MalformedDocument, as_object, as_text, parse_json


class OlderThanSeen(Conflict):
    """A document is older than one that was seen in its place: a replay, or a server that lags behind."""

    def __init__(self, place: str, path: str, updated: str | None, seen: str) -> None:
        when = f"was updated {updated}" if updated else "does not say when it was updated"
        super().__init__(
            f"{place}: {path} {when}, and one of {seen} was seen there before; it is an old state that "
            "somebody serves again, or a mirror that lags behind. Read it from its origin, or allow older documents"
        )
        self.place, self.path, self.updated, self.seen = place, path, updated, seen


class SeenUnreadable(SettingsError):
    """The file that keeps what was seen is none."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"{file}: {problem}; it keeps what was seen of feeds. Name another file, or remove it")
        self.file, self.problem = file, problem


def moment(updated: str | None) -> datetime | None:
    """Return the time that ``updated`` tells, as RFC 2822 or RFC 3339 write it; ``None``: none that can be read."""
    if not updated:
        return None
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        with contextlib.suppress(ValueError, OverflowError):
            found = read(updated)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def require_not_older(place: str, path: str, updated: str | None, seen: str | None) -> None:
    """Refuse a document that is older than what was seen in its place; the same time is fine.

    Args:
        updated: As the document says it.
        seen: As the one before said it; ``None``: there was none, or it told no time.

    Raises:
        OlderThanSeen: It is older, or tells no time any more.
    """
    before = moment(seen)
    if seen is None or before is None:
        return
    now = moment(updated)
    if now is None or now < before:
        raise OlderThanSeen(place, path, updated, seen)


class Seen:
    """What was seen of feeds: the newest ``updated`` of each document, by the place of its tree and its path."""

    def __init__(self, updated: Mapping[tuple[str, str], str] | None = None) -> None:
        self._updated = dict(updated or {})

    @classmethod
    def load(cls, file: Path) -> Seen:
        """Read what ``save`` wrote; nothing was seen if there is no such file.

        Raises:
            SeenUnreadable: It cannot be read, or is something else.
        """
        try:
            places = as_object(as_object(parse_json(file.read_bytes()), "top").get("seen"), "seen")
            return cls(
                {
                    (place, path): as_text(updated, f"seen[{place!r}][{path!r}]")
                    for place, paths in places.items()
                    for path, updated in as_object(paths, f"seen[{place!r}]").items()
                }
            )
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise SeenUnreadable(file, f"it can not be read: {error.strerror}") from error
        except MalformedDocument as error:
            raise SeenUnreadable(file, f"{error.where}: {error.problem}") from error

    def see(self, place: str, path: str, updated: str | None) -> None:
        """Take note of a document that was read.

        Raises:
            OlderThanSeen: A newer one was seen before; nothing is noted.
        """
        require_not_older(place, path, updated, self._updated.get((place, path)))
        if updated is not None and moment(updated) is not None:
            self._updated[place, path] = updated

    def save(self, file: Path) -> None:
        """Replace ``file`` by what is known now; a file that is not whole is never there.

        Raises:
            SeenUnreadable: It cannot be written.
        """
        places: dict[str, dict[str, str]] = {}
        for (place, path), updated in sorted(self._updated.items()):
            places.setdefault(place, {})[path] = updated
        unfinished = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            with unfinished.open("x") as written:
                json.dump({"seen": places}, written, indent=1)
                written.flush()
                os.fsync(written.fileno())
            unfinished.replace(file)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise SeenUnreadable(file, f"it can not be written: {error.strerror}") from error
