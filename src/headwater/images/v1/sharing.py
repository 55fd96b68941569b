"""Sharing an image in the API v1: who is named sees it at once, and may be allowed to share it further.

Source: Glance before 2018, ``registry/api/v1/members.py``. There is no step of acceptance, so a member that is made
here has accepted. ``can_share`` is kept for v1 alone; v2 neither shows nor minds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headwater.clock import Clock, now
from headwater.errors import Forbidden, Invalid
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue import members as steps
from headwater.images.catalogue.changes import Change, Changes
from headwater.images.catalogue.members import MemberRows
from headwater.images.member import MayNotShare, Member
from headwater.images.model import Image, Visibility
from headwater.images.names import is_project

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

    def members(self, caller: Caller, image_id: str) -> list[Member]:
        """Return the members that the caller may know: all for those who may share the image, else itself."""
        image = self._access.visible(caller, image_id)
        found = self._members.of(image_id)
        own = next((each for each in found if each.member == caller.project_id), None)
        self._access.require("get_members", caller, image, member_id=own.member if own else None)
        if self._access.manages(caller, image.owner) or (own is not None and own.can_share):
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
        with self._changes.of(caller, "image.member.delete", image_id) as change:
            sharer = self._sharer(caller, change, "delete_member")
            change.commit(steps.removed(image_id, member, _require_sharable, sharer=sharer))

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
        at, quota = self._clock(), self._quota
        with self._changes.of(caller, "image.member.create", image_id, if_moved=True) as change:
            sharer = self._sharer(caller, change, "add_member")
            put = steps.put(image_id, wanted, quota, _require_sharable, at=at, others_stay=others_stay, sharer=sharer)
            change.commit(put)

    def _sharer(self, caller: Caller, change: Change, rule: str) -> str | None:
        """Return which member must still be allowed to share; ``None``: the caller manages the image, by ``rule``."""
        if self._access.manages(caller, change.image.owner) or caller.project_id is None:
            change.require(rule)
            return None
        own = self._members.get(change.image.id, caller.project_id)
        if own is None or not own.can_share:
            raise MayNotShare(change.image.id)
        return own.member  # the owner said so, whatever the policy says of strangers


def _require_sharable(image: Image) -> None:
    if image.visibility not in _SHARABLE:
        raise KeptFromSharing(image.id, image.visibility)


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
    if not is_project(member):
        raise BadMembership("a member_id is the id of a project: 1 to 255 characters, without NUL, not just dots")
    return member


def _switch(document: Mapping[str, Any]) -> bool | None:
    value = document.get("can_share")
    if value is not None and not isinstance(value, bool):
        raise BadMembership("can_share is true or false")
    return value
