"""Every failure that Headwater raises on purpose.

A type states the case and carries its facts as fields; its parent states the kind of failure. The
edges translate kinds: ``http/errors.py`` into HTTP statuses, ``cli/exits.py`` into exit codes.
A message says what, which one, and what to do, and never holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ProblemType:
    """What programs tell a failure by, where a protocol says so (RFC 9457)."""

    type: str  # a URI
    title: str
    members: Mapping[str, object] = field(default_factory=dict)  # further ones, which the type defines


class HeadwaterError(Exception):
    """The parent of all errors below."""

    problem_type: ProblemType | None = None
    headers: Mapping[str, str] = MappingProxyType({})  # of the answer that tells of it

    @property
    def told(self) -> str:
        """What callers are told. Addresses, paths and what other programs said are for the operator alone."""
        return str(self)


# --- Kinds: what the edges translate -----------------------------------------------------------


class Invalid(HeadwaterError):
    """The request itself is wrong; the same request will fail again."""


class WrongContent(Invalid):
    """What was read is wrong, such as a feed of others; for a command that is no wrong use of it."""


class Unauthenticated(HeadwaterError):
    """Nobody has proved who calls; ``headers`` tells the client how that is done."""

    def __init__(self, message: str, challenge: str) -> None:
        super().__init__(message)
        self.headers = {"WWW-Authenticate": challenge}


class Forbidden(HeadwaterError):
    """The caller may see the thing and may not do this to it."""


class NotFound(HeadwaterError):
    """There is no such thing, or it is not the caller's to see: both look the same."""


class Conflict(HeadwaterError):
    """The thing is in a state that does not allow this now."""


class Gone(HeadwaterError):
    """The thing was deleted while the request worked on it."""


class PreconditionFailed(HeadwaterError):
    """What the request was begun for is no longer so."""


class TooLarge(HeadwaterError):
    """A limit on size or number does not allow this."""


class UnsupportedMedia(HeadwaterError):
    """The body's media type, or what the bytes really are, is not what is taken here."""


class Unprocessable(HeadwaterError):
    """The request can be read, and contradicts one that was made before."""


class RangeNotSatisfiable(HeadwaterError):
    """The range asked for is malformed or outside the data."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class Unavailable(HeadwaterError):
    """Something that Headwater needs does not work at the moment; trying again later is right."""


class Lost(HeadwaterError):
    """What Headwater kept is not there any more; only the operator can help."""


class NotOffered(HeadwaterError):
    """What is asked for is known, and not done here."""


class SettingsError(HeadwaterError):
    """Headwater cannot start with these settings, or a command was called with wrong arguments."""


class ClientDisconnected(HeadwaterError):
    """The connection ended before the request was complete; nobody waits for an answer."""
