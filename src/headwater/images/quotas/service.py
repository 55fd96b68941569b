"""What a project uses, what it may use, and the refusal of what would be more.

A use case reads the limits before its transaction (``Quotas.allowance``: Keystone may be asked) and lets
``Allowance.guarded`` hear of what is kept, when that is written and counts already. The project is then
locked until the commit, so of two that take the last place at once the second counts both, and is undone.
Nothing of this happens for images that no project owns, nor where a project has no limit.

Who is over a limit that was lowered keeps what is there and gets no more; what adds nothing to a resource is
not held up by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Connection

from headwater.database.engine import Database
from headwater.errors import TooLarge
from headwater.identity.caller import Caller
from headwater.images.catalogue import usage as project_usage
from headwater.images.catalogue.rows import Keep
from headwater.images.model import Image, Status
from headwater.images.quotas.limits import MIB, NO_LIMITS, RESOURCES, SIZES, LimitsOf, LimitSource


class ProjectOverLimit(TooLarge):
    """A project would use more than it may."""

    def __init__(self, project_id: str, resource: str, limit: int) -> None:
        amount = f"{limit} bytes" if resource in SIZES else f"{limit} images"
        super().__init__(
            f"Project {project_id} would exceed its limit {resource} of {amount}: "
            "delete what is not needed, or ask for a higher limit"
        )
        self.project_id, self.resource, self.limit = project_id, resource, limit


_Count = Callable[[Connection, str, int], int]

# How much of each a project uses, counted a little beyond what would be too much.
_USED: Mapping[str, _Count] = MappingProxyType(
    {
        "image_size_total": lambda connection, project_id, _most: project_usage.stored_size(connection, project_id),
        "image_stage_total": lambda connection, project_id, _most: project_usage.staged_size(connection, project_id),
        "image_count_total": project_usage.image_count,
        "image_count_uploading": project_usage.uploading_count,
    }
)


_IMPORTED = frozenset({Status.UPLOADING, Status.IMPORTING})


def taken_by(image: Image | None) -> frozenset[str]:
    """Return the resources that an image takes something of, in its present state."""
    if image is None:
        return frozenset()
    if image.status in _IMPORTED:
        return frozenset({"image_count_total", "image_count_uploading", "image_stage_total"})
    if image.status is Status.SAVING:
        return frozenset({"image_count_total", "image_count_uploading", "image_size_total"})
    return frozenset({"image_count_total", "image_size_total"} if image.size else {"image_count_total"})


@dataclass(frozen=True, slots=True)
class Allowance:
    """What every project may use, for the length of one transaction."""

    limits: LimitsOf

    def limit(self, owner: str | None, resource: str) -> int | None:
        """Return how much the owner of an image may use, sizes in bytes; ``None``: any amount."""
        limit: int | None = getattr(NO_LIMITS if owner is None else self.limits(owner), resource)
        return limit

    def guarded(self, keep: Keep) -> Keep:
        """Return a ``Keep`` that refuses what takes an image's owner beyond its limits, and tells ``keep`` of the rest.

        It raises ``ProjectOverLimit``. Looked at is what the image newly takes something of: for its owner, or because
        of the state that it has come to. Who gives an image more bytes in the same state calls ``require`` as well.
        """
        if self is UNLIMITED:
            return keep

        def work(connection: Connection, before: Image | None, after: Image | None) -> None:
            if after is not None:
                had = taken_by(before) if before is not None and before.owner == after.owner else frozenset()
                self.require(connection, after.owner, *sorted(taken_by(after) - had))
            keep(connection, before, after)

        return work

    def require(self, connection: Connection, owner: str | None, *resources: str) -> None:
        """Raise ``ProjectOverLimit`` when the owner uses more than it may, as this transaction leaves it.

        Args:
            resources: Of what the transaction took more.
        """
        for resource in resources:
            if self.excess(connection, owner, resource) > 0:
                raise self.refusal(owner, resource)

    def refusal(self, owner: str | None, resource: str) -> ProjectOverLimit:
        """Return what tells that the owner would use more than it may."""
        return ProjectOverLimit(owner or "", resource, self.limit(owner, resource) or 0)

    def excess(self, connection: Connection, owner: str | None, resource: str) -> int:
        """Return how much more of it the owner uses than it may; 0 or less when it may.

        From here to the end of the transaction nobody else takes anything for this project.
        """
        limit = self.limit(owner, resource)
        if limit is None or owner is None:
            return 0
        project_usage.lock(connection, owner)
        return _USED[resource](connection, owner, limit + 1) - limit


UNLIMITED = Allowance(lambda _project_id: NO_LIMITS)

Allowances = Callable[[], Allowance]  # what may be used now; not to be called inside a transaction


def unlimited() -> Allowance:
    """Return the allowance of everybody where no limits are set."""
    return UNLIMITED


class Quotas:
    """The use cases; safe to use from several threads."""

    def __init__(self, source: LimitSource | None, database: Database) -> None:
        """Take what they work on.

        Args:
            source: Knows the limits; ``None``: there are none.
        """
        self._source = source
        self._database = database

    def allowance(self) -> Allowance:
        """Return what projects may use now; not to be called inside a transaction.

        Raises:
            Unavailable: Nobody knows.
        """
        return UNLIMITED if self._source is None else Allowance(self._source.read())

    def usage(self, caller: Caller) -> dict[str, dict[str, int]]:
        """Return what the caller's project uses of each resource and what it may use, sizes in MiB.

        A limit of -1 is none. Empty where no limits are set, and for who calls for no project.

        Raises:
            Unavailable: Nobody knows the limits.
        """
        if self._source is None or caller.project_id is None:
            return {}
        limits = self._source.read()(caller.project_id)
        project_id = caller.project_id

        def work(connection: Connection) -> dict[str, int]:
            return {
                "image_size_total": _mebibytes(project_usage.stored_size(connection, project_id)),
                "image_stage_total": _mebibytes(project_usage.staged_size(connection, project_id)),
                "image_count_total": project_usage.image_count(connection, project_id),
                "image_count_uploading": project_usage.uploading_count(connection, project_id),
            }

        used = self._database.read(work)
        return {name: {"usage": used[name], "limit": _shown(name, getattr(limits, name))} for name in RESOURCES}


def _mebibytes(size: int) -> int:
    return -(-size // MIB)  # rounded up: who has used all of a limit sees that


def _shown(resource: str, limit: int | None) -> int:
    if limit is None:
        return -1
    return limit // MIB if resource in SIZES else limit
