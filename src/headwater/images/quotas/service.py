"""What a project uses, what it may use, and the refusal of what would be more.

A change reads the limits before its transaction (``Quotas.allowance``: Keystone may be asked) and, when all is written
and counts already, lets ``Allowance.require_for`` look at what moved. The project is then locked until the commit, so
of two that take the last place at once the second counts both, and is undone. Nothing of this happens for images that
no project owns, nor where a project has no limit.

Who is over a limit that was lowered keeps what is there and gets no more; what adds nothing to a resource is
not held up by it.
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.errors import TooLarge
from headwater.identity.caller import Caller
from headwater.images.catalogue.usage import ProjectUsage, Used
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

    def require_for(self, used: Used, before: Image | None, after: Image | None) -> None:
        """Raise ``ProjectOverLimit`` when what became of an image takes its owner beyond its limits.

        Looked at is what the image newly takes something of: for its owner, or because of the state that it has come
        to. What gives an image more bytes in the same state is for ``require``.
        """
        if after is not None:
            had = taken_by(before) if before is not None and before.owner == after.owner else frozenset()
            self.require(used, after.owner, *sorted(taken_by(after) - had))

    def require(self, used: Used, owner: str | None, *resources: str) -> None:
        """Raise ``ProjectOverLimit`` when the owner uses more than it may, as this transaction leaves it.

        Args:
            resources: Of what the transaction took more.
        """
        for resource in resources:
            if self.excess(used, owner, resource) > 0:
                raise self.refusal(owner, resource)

    def refusal(self, owner: str | None, resource: str) -> ProjectOverLimit:
        """Return what tells that the owner would use more than it may."""
        return ProjectOverLimit(owner or "", resource, self.limit(owner, resource) or 0)

    def excess(self, used: Used, owner: str | None, resource: str) -> int:
        """Return how much more of it the owner uses than it may; 0 or less when it may.

        From here to the end of the transaction nobody else takes anything for this project.
        """
        limit = self.limit(owner, resource)
        if limit is None or owner is None:
            return 0
        return used.of(owner, resource, limit + 1) - limit


class Quotas:
    """The use cases; safe to use from several threads."""

    def __init__(self, source: LimitSource | None, usage: ProjectUsage) -> None:
        """Take what they work on.

        Args:
            source: Knows the limits; ``None``: there are none.
        """
        self._source = source
        self._usage = usage

    def allowance(self) -> Allowance | None:
        """Return what projects may use now, ``None`` for any amount; not to be called inside a transaction.

        Raises:
            Unavailable: Nobody knows.
        """
        return None if self._source is None else Allowance(self._source.read())

    def usage(self, caller: Caller) -> dict[str, dict[str, int]]:
        """Return what the caller's project uses of each resource and what it may use, sizes in MiB.

        A limit of -1 is none. Empty where no limits are set, and for who calls for no project.

        Raises:
            Unavailable: Nobody knows the limits.
        """
        if self._source is None or caller.project_id is None:
            return {}
        limits = self._source.read()(caller.project_id)
        used = self._usage.of(caller.project_id)
        used |= {name: _mebibytes(used[name]) for name in SIZES}
        return {name: {"usage": used[name], "limit": _shown(name, getattr(limits, name))} for name in RESOURCES}


def _mebibytes(size: int) -> int:
    return -(-size // MIB)  # rounded up: who has used all of a limit sees that


def _shown(resource: str, limit: int | None) -> int:
    if limit is None:
        return -1
    return limit // MIB if resource in SIZES else limit
