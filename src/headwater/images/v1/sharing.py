"""Sharing an image in the API v1: who is named sees it at once, and may be allowed to share it further.

Source: Glance before 2018, ``registry/api/v1/members.py``. There is no step of acceptance, so a member that is made
here has accepted. ``can_share`` is kept for v1 alone; v2 neither shows nor minds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from sqlalchemy import Connection

from headwater.activity.journal import Deed, Journal
from headwater.clock import Clock, now
from headwater.errors import Forbidden, HeadwaterError, Invalid
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue.members import Members
from headwater.images.member import MayNotShare, Member
from headwater.images.model import Image, Visibility
from headwater.images.names import is_reachable

# A public image may have members for the day when it is not public any more.
_SHARABLE = frozenset({Visibility.SHARED, Visibility.PUBLIC})


class BadMembership(Invalid):
    """A body that names no members."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"Invalid membership association: {problem}")


class KeptFromSharing(Forbidden):
    """Its owner made the image private, or one for everybody, in a way that v1 has no word for."""

    def __init__(self, image_id: str, visibility: str) -> None:
        super().__init__(
            f"Not allowed to create members for image {image_id}: it is {visibility}; make it shared with the API v2"
        )
        self.image_id = image_id


class SharingV1:
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

    def members(self, caller: Caller, image_id: str) -> list[Member]:
        """Return the members that the caller may know: all for those who may share the image, else itself."""
        image = self._access.visible(caller, image_id)
        found = self._members.of(image_id)
        own = next((each for each in found if each.member == caller.project_id), None)
        self._access.require("get_members", caller, image, member_id=own.member if own else None)
        if self._manages(caller, image) or (own is not None and own.can_share):
            return found
        return [own] if own is not None else []

    def replace(self, caller: Caller, image_id: str, document: Any) -> None:
        """Make the members of an image those that ``document["memberships"]`` names."""
        self._put(caller, image_id, read(document), others_stay=False)

    def put(self, caller: Caller, image_id: str, member: str, document: Any) -> None:
        """Share an image with one project; ``document["member"]["can_share"]`` may say that it may share it too."""
        can_share = None
        if document is not None:
            inner = document.get("member") if isinstance(document, dict) else None
            if not isinstance(inner, dict):
                raise BadMembership('the body is {"member": {"can_share": true}}, or there is none')
            can_share = _switch(inner)
        self._put(caller, image_id, {_project(member): can_share}, others_stay=True)

    def remove(self, caller: Caller, image_id: str, member: str) -> None:
        """Share the image with this project no more; raise ``MemberNotFound`` when it was not."""
        with self._journal.entry(caller, "image.member.delete", image_id) as entry:
            sharer, allowed = self._may_share(caller, self._access.visible(caller, image_id), "delete_member")
            self._members.remove(image_id, member, allowed, entry.keep, sharer=sharer)

    def shared_with(self, caller: Caller, project: str) -> list[Member]:
        """Return what is shared with a project: its own callers and admins are told all, others of their own images."""
        found = self._members.with_project(project)
        sees_all = self._access.is_admin(caller) or project == caller.project_id
        return [
            member
            for member, owner, visibility in found
            if visibility in _SHARABLE and (sees_all or (owner is not None and owner == caller.project_id))
        ]

    def _put(self, caller: Caller, image_id: str, wanted: Mapping[str, bool | None], *, others_stay: bool) -> None:
        told: dict[tuple[str, str], Deed] = {}
        with ExitStack() as deeds:

            def keep(connection: Connection, before: Member | None, after: Member | None) -> None:
                """Tell of each member by itself."""
                kind = "create" if before is None else "update" if after is not None else "delete"
                key = (kind, (after or before).member)  # type: ignore[union-attr]  # one of them is there
                if key not in told:
                    told[key] = deeds.enter_context(self._journal.entry(caller, f"image.member.{kind}", image_id))
                told[key].keep(connection, before, after)

            try:
                sharer, allowed = self._may_share(caller, self._access.visible(caller, image_id), "add_member")
                at = self._clock()
                self._members.put(
                    image_id, wanted, self._quota, allowed, keep, at=at, others_stay=others_stay, sharer=sharer
                )
            except HeadwaterError:
                if not told:
                    with self._journal.entry(caller, "image.member.create", image_id):
                        raise
                raise

    def _may_share(self, caller: Caller, image: Image, rule: str) -> tuple[str | None, Callable[[Image], None]]:
        """Return which member must still be allowed to share, and what raises when an image is not to be shared."""
        sharer = None if self._manages(caller, image) else caller.project_id
        if sharer is not None:
            own = self._members.get(image.id, sharer)
            if own is None or not own.can_share:
                raise MayNotShare(image.id)

        def allowed(image: Image) -> None:
            if sharer is None:  # else its owner said so, whatever the policy says of strangers
                self._access.require(rule, caller, image)
            if image.visibility not in _SHARABLE:
                raise KeptFromSharing(image.id, image.visibility)

        return sharer, allowed

    def _manages(self, caller: Caller, image: Image) -> bool:
        return self._access.is_admin(caller) or (image.owner is not None and image.owner == caller.project_id)


def read(document: Any) -> dict[str, bool | None]:
    """Return the members that ``{"memberships": [{"member_id": …, "can_share": …}]}`` names."""
    found = document.get("memberships") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise BadMembership('the body is {"memberships": [{"member_id": "PROJECT", "can_share": false}]}')
    wanted: dict[str, bool | None] = {}
    for each in found:
        if not isinstance(each, dict) or "member_id" not in each:
            raise BadMembership("each membership is an object with a member_id")
        wanted[_project(each["member_id"])] = _switch(each)
    return wanted


def _project(member: Any) -> str:
    if not isinstance(member, str) or len(member) > 255 or "\x00" in member or not is_reachable(member):
        raise BadMembership("a member_id is the id of a project: 1 to 255 characters, without NUL, not just dots")
    return member


def _switch(document: Mapping[str, Any]) -> bool | None:
    value = document.get("can_share")
    if value is not None and not isinstance(value, bool):
        raise BadMembership("can_share is true or false")
    return value
