"""Sharing an image with other projects: its members, and what they say to it.

Source: Glance 33. A member sees the image as soon as it is named; whether it accepted only decides
whether its lists show the image. Making the image private keeps the members for the day it is shared again.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from headwater.clock import Clock, now
from headwater.errors import Forbidden, Invalid
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue import members as steps
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.members import MemberRows
from headwater.images.member import Member, MemberNotFound, MemberStatus
from headwater.images.model import Image, Visibility
from headwater.images.names import is_project


class NotShared(Forbidden):
    """Only images of visibility ``shared`` have members."""

    def __init__(self, action: str, image_id: str) -> None:
        super().__init__(f"Not allowed to {action} members for image {image_id}: Only shared images have members.")
        self.image_id = image_id


class BadMember(Invalid):
    """A member, or what it says, that cannot be one."""


class Sharing:
    """The use cases; safe to use from several threads."""

    def __init__(
        self, access: Access, changes: Changes, members: MemberRows, quota: int, *, clock: Clock = now
    ) -> None:
        """Take what they work on.

        Args:
            quota: How many members one image may have; -1: any number.
        """
        self._access = access
        self._changes = changes
        self._members = members
        self._quota = quota
        self._clock = clock

    def add(self, caller: Caller, image_id: str, document: dict[str, Any]) -> Member:
        """Share an image with the project that ``document["member"]`` names.

        Raises:
            ImageNotFound, Forbidden: The image is not there for the caller, or not its to share.
            NotShared: Its visibility is not ``shared``.
            BadMember, MemberExists, TooManyMembers: As their names say.
        """
        member = document.get("member")
        if not isinstance(member, str) or not member:
            raise BadMember("Member to be added not specified: give its project id as 'member'")
        if not is_project(member):
            raise BadMember("A member is the id of a project: 255 characters at most, without NUL, not just dots")
        at = self._clock()
        new = Member(image_id=image_id, member=member, status=MemberStatus.PENDING, created_at=at, updated_at=at)
        with self._changes.of(caller, "image.member.create", image_id, rule="add_member") as change:
            return change.commit(steps.added(new, self._quota, partial(_require_shared, "create")))

    def list(self, caller: Caller, image_id: str) -> list[Member]:
        """Return the members that the caller may know: all for the owner and admins, else itself."""
        image = self._access.visible(caller, image_id, "get_members")
        _require_shared("list", image)
        found = self._members.of(image_id)
        return (
            found
            if self._access.manages(caller, image.owner)
            else [each for each in found if each.member == caller.project_id]
        )

    def get(self, caller: Caller, image_id: str, member: str) -> Member:
        """Return one member, if the caller may know of it."""
        image = self._access.visible(caller, image_id)
        found = self._known(caller, image, member)
        self._access.require("get_member", caller, image, member_id=member)
        return found

    def answer(self, caller: Caller, image_id: str, member: str, document: dict[str, Any]) -> Member:
        """Keep what a member says to the image: ``document["status"]``.

        Raises:
            MemberNotFound: The image has no such member, or the caller may not know of it.
            Forbidden: The caller is not that project, nor an admin.
        """
        said = document.get("status")
        with self._changes.of(caller, "image.member.update", image_id) as change:
            self._known(caller, change.image, member)
            change.require("modify_member", member_id=member)
            if said not in list(MemberStatus):
                raise BadMember('Incorrect request: Status must be "pending", "accepted" or "rejected".')
            return change.commit(steps.answered(image_id, member, MemberStatus(said), self._clock()))

    def remove(self, caller: Caller, image_id: str, member: str) -> None:
        """Share the image with this project no more."""
        with self._changes.of(caller, "image.member.delete", image_id, rule="delete_member") as change:
            change.commit(steps.removed(image_id, member, partial(_require_shared, "delete")))

    def _known(self, caller: Caller, image: Image, member: str) -> Member:
        """Return a member that the caller may know of. One member does not learn who the others are."""
        if image.visibility is Visibility.SHARED and (
            self._access.manages(caller, image.owner) or member == caller.project_id
        ):
            found = self._members.get(image.id, member)
            if found is not None:
                return found
        raise MemberNotFound(image.id, member)


def _require_shared(action: str, image: Image) -> None:
    if image.visibility is not Visibility.SHARED:
        raise NotShared(action, image.id)
