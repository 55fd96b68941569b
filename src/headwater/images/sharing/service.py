"""Sharing an image with other projects: its members, and what they say to it.

Source: Glance 33. A member sees the image as soon as it is named; whether it accepted only decides
whether its lists show the image. Making the image private keeps the members for the day it is shared again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headwater.activity.journal import Journal
from headwater.clock import Clock, now
from headwater.errors import Forbidden, Invalid
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue.members import Members
from headwater.images.member import Member, MemberNotFound, MemberStatus
from headwater.images.model import Image, Visibility
from headwater.images.names import is_reachable


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
        self, access: Access, members: Members, quota: int, *, journal: Journal | None = None, clock: Clock = now
    ) -> None:
        """Take what they work on.

        Args:
            quota: How many members one image may have; -1: any number.
        """
        self._access = access
        self._members = members
        self._quota = quota
        self._journal = journal or Journal()
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
        if len(member) > 255 or "\x00" in member or not is_reachable(member):
            raise BadMember("A member is the id of a project: 255 characters at most, without NUL, not just dots")
        at = self._clock()
        new = Member(image_id=image_id, member=member, status=MemberStatus.PENDING, created_at=at, updated_at=at)
        with self._journal.entry(caller, "image.member.create", image_id) as entry:
            entry.image = self._access.visible(caller, image_id)
            return self._members.add(new, self._quota, self._sharable(caller, "add_member", "create"), entry.keep)

    def list(self, caller: Caller, image_id: str) -> list[Member]:
        """Return the members that the caller may know: all for the owner and admins, else itself."""
        image = self._access.visible(caller, image_id, "get_members")
        self._require_shared("list", image)
        found = self._members.of(image_id)
        return found if self._manages(caller, image) else [each for each in found if each.member == caller.project_id]

    def get(self, caller: Caller, image_id: str, member: str) -> Member:
        """Return one member, if the caller may know of it."""
        image = self._access.visible(caller, image_id)
        found = self._known(caller, image, member)
        self._require("get_member", caller, image, member)
        return found

    def answer(self, caller: Caller, image_id: str, member: str, document: dict[str, Any]) -> Member:
        """Keep what a member says to the image: ``document["status"]``.

        Raises:
            MemberNotFound: The image has no such member, or the caller may not know of it.
            Forbidden: The caller is not that project, nor an admin.
        """
        said = document.get("status")
        with self._journal.entry(caller, "image.member.update", image_id) as entry:
            entry.image = image = self._access.visible(caller, image_id)
            self._known(caller, image, member)
            self._require("modify_member", caller, image, member)
            if said not in list(MemberStatus):
                raise BadMember('Incorrect request: Status must be "pending", "accepted" or "rejected".')
            return self._members.set_status(image_id, member, MemberStatus(said), self._clock(), entry.keep)

    def remove(self, caller: Caller, image_id: str, member: str) -> None:
        """Share the image with this project no more."""
        with self._journal.entry(caller, "image.member.delete", image_id) as entry:
            entry.image = self._access.visible(caller, image_id)
            allowed = self._sharable(caller, "delete_member", "delete")
            self._members.remove(image_id, member, allowed, entry.keep)

    def _sharable(self, caller: Caller, rule: str, action: str) -> Callable[[Image], None]:
        """Return what raises unless the caller may do ``action`` to the members of an image."""

        def allowed(image: Image) -> None:
            self._access.require(rule, caller, image)
            self._require_shared(action, image)

        return allowed

    def _known(self, caller: Caller, image: Image, member: str) -> Member:
        """Return a member that the caller may know of. One member does not learn who the others are."""
        if image.visibility is Visibility.SHARED and (self._manages(caller, image) or member == caller.project_id):
            found = self._members.get(image.id, member)
            if found is not None:
                return found
        raise MemberNotFound(image.id, member)

    def _manages(self, caller: Caller, image: Image) -> bool:
        return self._access.is_admin(caller) or (image.owner is not None and image.owner == caller.project_id)

    def _require_shared(self, action: str, image: Image) -> None:
        if image.visibility is not Visibility.SHARED:
            raise NotShared(action, image.id)

    def _require(self, rule: str, caller: Caller, image: Image, member: str) -> None:
        self._access.require(rule, caller, image, member_id=member)
