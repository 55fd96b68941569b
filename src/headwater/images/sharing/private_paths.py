"""Secret paths: whoever knows one sees what a project sees, with any client, until it is revoked or over.

The secret is told once, when it is made.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import SecretStr

from headwater.clock import Clock, now
from headwater.errors import Invalid
from headwater.identity.caller import Caller
from headwater.identity.policy.rules import Rules
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.sharing import private_paths as steps
from headwater.images.catalogue.sharing.private_paths import PathNotFound, PrivatePath, PrivatePathRows
from headwater.images.names import is_project

BELOW: Final = "/streams/private"  # where the server answers those who know a secret
NAME_LIMIT: Final = 255  # characters
LIFETIMES_S: Final = range(60, 10 * 366 * 86400 + 1)
_SECRET_BYTES: Final = 24
_SECOND: Final = 1_000_000  # microseconds
_KNOWN: Final = frozenset({"name", "project_id", "community", "lifetime_s"})


class BadPath(Invalid):
    """What somebody asks for cannot be a private path."""


class PrivatePaths:
    """The use cases; safe to use from several threads."""

    def __init__(
        self,
        rows: PrivatePathRows,
        changes: Changes,
        rules: Rules,
        *,
        clock: Clock = now,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._rows, self._changes, self._rules = rows, changes, rules
        self._clock, self._new_id = clock, new_id

    def create(self, caller: Caller, document: Mapping[str, Any]) -> tuple[PrivatePath, SecretStr]:
        """Make a path to what a project sees, and return it with its secret, which nobody can ask for again.

        Args:
            document: May have ``name``, ``community``, ``lifetime_s`` and, for an admin, ``project_id``.

        Raises:
            BadPath: It has something else, or something that cannot be.
            Forbidden: The caller may not make one for that project.
            TooManyPaths: The project has too many.
        """
        new = self._read(caller, document)
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        with self._changes.told(caller, "private_path.create") as change:
            self._rules.require("add_private_path", caller, _target(new.project_id))
            return change.commit(steps.added(new, secret)), SecretStr(secret)

    def list(self, caller: Caller) -> list[PrivatePath]:
        """Return the paths of the caller's project, those of all projects to an admin; oldest first."""
        self._rules.require("get_private_paths", caller, _target(caller.project_id))
        sees_all = self._rules.allows("context_is_admin", caller, {})
        return self._rows.of(None if sees_all else caller.project_id or "", self._clock())

    def get(self, caller: Caller, path_id: str) -> PrivatePath:
        """Return one path.

        Raises:
            PathNotFound: There is none, or it is not the caller's to see.
        """
        found = self._rows.get(path_id, self._clock())
        if not self._rules.allows("get_private_paths", caller, _target(found.project_id)):
            raise PathNotFound(path_id)
        return found

    def revoke(self, caller: Caller, path_id: str) -> None:
        """Let a path lead nowhere from now on, in every process.

        Raises:
            PathNotFound: There is none, or it is not the caller's to see.
            Forbidden: The caller sees it and may not revoke it.
        """
        with self._changes.told(caller, "private_path.delete") as change:
            found = self.get(caller, path_id)
            self._rules.require("delete_private_path", caller, _target(found.project_id))
            change.commit(steps.removed(path_id))

    def find(self, secret: str) -> PrivatePath | None:
        """Return where a secret leads; ``None``: nowhere, whatever the reason."""
        return self._rows.find(secret, self._clock())

    def _read(self, caller: Caller, document: Mapping[str, Any]) -> PrivatePath:
        unknown = sorted(document.keys() - _KNOWN)
        if unknown:
            raise BadPath(f"A private path has no {unknown[0][:80]!r}: it takes {', '.join(sorted(_KNOWN))}")
        name, community = document.get("name"), document.get("community", False)
        project_id = document.get("project_id", caller.project_id)
        if project_id is None:
            raise BadPath("Name the project whose view the path leads to: project_id")
        if not is_project(project_id):
            raise BadPath("project_id must be the id of a project: 255 characters at most, without NUL, not just dots")
        if name is not None and not (isinstance(name, str) and name.isprintable() and len(name) <= NAME_LIMIT):
            raise BadPath(f"name must be printable text of {NAME_LIMIT} characters at most")
        if not isinstance(community, bool):
            raise BadPath("community must be true or false")
        at = self._clock()
        return PrivatePath(
            id=self._new_id(),
            project_id=project_id,
            user_id=caller.user_id,
            name=name,
            with_community=community,
            created_at=at,
            expires_at=_end(document.get("lifetime_s"), at),
        )


def _end(lifetime_s: object, at: int) -> int | None:
    if lifetime_s is None:
        return None
    if isinstance(lifetime_s, bool) or not isinstance(lifetime_s, int) or lifetime_s not in LIFETIMES_S:
        least, most = LIFETIMES_S[0], LIFETIMES_S[-1]
        raise BadPath(f"lifetime_s must be a whole number of seconds from {least} to {most}, or null: until revoked")
    return at + lifetime_s * _SECOND


def _target(project_id: str | None) -> dict[str, Any]:
    return {"project_id": project_id, "owner": project_id}
