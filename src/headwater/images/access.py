"""What a caller may see and do: the rules of visibility, and the policy's word on each action.

Who sees an image (apart from its owner and from admins, who see all): everybody a public or a community
one, members a shared one whatever they said to it. An image that the caller does not see is not there:
every use case begins with ``visible``. What is seen and may not be done is ``Forbidden``.
Source: Glance 33, its default policies and its database's visibility rules.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from headwater.errors import Forbidden
from headwater.identity.caller import Caller
from headwater.identity.policy.rules import Rules
from headwater.images.catalogue.images import ImageRows, MarkerNotFound
from headwater.images.catalogue.lists.pages import Listed
from headwater.images.catalogue.lists.query import Query, Viewer
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.model import Image, Visibility


class AdminOnly(Forbidden):
    """Only an admin changes this."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Only an admin may set {what}.")


class Access:
    """Images as callers see them; safe to use from several threads."""

    def __init__(self, catalogue: ImageRows, rules: Rules) -> None:
        self._catalogue = catalogue
        self._rules = rules

    def visible(self, caller: Caller, image_id: str, rule: str = "get_image") -> Image:
        """Return the image if the caller sees it.

        Raises:
            ImageNotFound: There is no such image, or the caller does not see it: both are the same.
            Forbidden: The caller sees it, and may not do what ``rule`` guards.
        """
        image, is_member = self._seen(caller, image_id)
        self.require(rule, caller, image, member_id=caller.project_id if is_member else None)
        return image

    def judged(self, caller: Caller, image_id: str, rule: str) -> Image:
        """Return the image if its visibility and ``rule`` let the caller have it, whether or not it may be shown to it.

        Raises:
            ImageNotFound, Forbidden: As ``visible`` says.
        """
        image, is_member = self._within_sight(caller, image_id)
        target = _target(image, caller.project_id if is_member else None)
        if not any(self._rules.allows(each, caller, target) for each in (rule, "get_image")):
            raise ImageNotFound(image_id)
        self._rules.require(rule, caller, target)
        return image

    def page(self, caller: Caller, query: Query, *, as_project: bool = False) -> Listed[Image]:
        """Return one page of what ``query`` asks for and the caller sees.

        Args:
            as_project: Show to an admin what others of its project see.

        Raises:
            Forbidden: The caller may not list images.
            MarkerNotFound: The marker is no image that the caller sees, or saw before it was deleted.
        """
        self._rules.require("get_images", caller, {"project_id": caller.project_id})
        if query.marker is not None:
            query = replace(query, marker=None, after=self.marked(caller, query.marker)[0])
        if query.limit == 0:
            return Listed()
        viewer = Viewer(project_id=caller.project_id, sees_all=not as_project and self.is_admin(caller))
        return self._catalogue.page(replace(query, viewer=viewer))

    def marked(self, caller: Caller, marker: str) -> tuple[Image, int | None]:
        """Return the image that a page begins after, and when it was deleted if that happened after the page before.

        Raises:
            MarkerNotFound: The caller neither sees it nor saw it, or it is purged.
        """
        with contextlib.suppress(ImageNotFound):
            return self._seen(caller, marker)[0], None
        # Looked for also where others have such an image, so that the time of the answer does not tell it.
        try:
            image, deleted_at, was_member = self._catalogue.find_deleted_for(marker, caller.project_id)
        except ImageNotFound as error:
            raise MarkerNotFound(marker) from error
        if not self._saw(caller, image, was_member):
            raise MarkerNotFound(marker)
        return image, deleted_at

    def require(self, rule: str, caller: Caller, image: Image, *, member_id: str | None = None) -> None:
        """Raise ``Forbidden`` when the caller may not do to the image what ``rule`` guards.

        Args:
            member_id: The project, of those that the image is shared with, that this is about.
        """
        self._rules.require(rule, caller, _target(image, member_id))

    def allows(self, rule: str, caller: Caller, image: Image) -> bool:
        """Return whether the caller, who sees the image, may do to it what ``rule`` guards."""
        return self._rules.allows(rule, caller, _target(image, None))

    def require_rule(self, rule: str, caller: Caller) -> None:
        """Raise ``Forbidden`` when the caller may not do what ``rule`` guards, which is about no image."""
        self._rules.require(rule, caller, {"project_id": caller.project_id, "owner": caller.project_id})

    def require_admin(self, caller: Caller, what: str) -> None:
        """Raise ``Forbidden`` unless the caller is an admin."""
        if not self.is_admin(caller):
            raise AdminOnly(what)

    def is_admin(self, caller: Caller) -> bool:
        """Return whether the caller sees and may change what every project has."""
        return self._rules.allows("context_is_admin", caller, {})

    def manages(self, caller: Caller, owner: str | None) -> bool:
        """Return whether the caller is an admin, or of the project that owns what it asks for."""
        return self.is_admin(caller) or (owner is not None and owner == caller.project_id)

    def _seen(self, caller: Caller, image_id: str) -> tuple[Image, bool]:
        """Return the image, and whether it is shared with the caller's project; or raise ``ImageNotFound``.

        An image of others takes the same steps as none at all.
        """
        image, is_member = self._within_sight(caller, image_id)
        if not self._rules.allows("get_image", caller, _target(image, caller.project_id if is_member else None)):
            raise ImageNotFound(image_id)
        return image, is_member

    def _within_sight(self, caller: Caller, image_id: str) -> tuple[Image, bool]:
        """Return what ``_seen`` does, if the image's visibility lets the caller see it, whatever the policy says."""
        get = self._catalogue.get_for if self.is_admin(caller) else self._catalogue.get_seen
        return get(image_id, caller.project_id)

    def _saw(self, caller: Caller, image: Image, was_member: bool) -> bool:
        """Return whether the caller saw an image that is deleted."""
        is_within_sight = (
            self.manages(caller, image.owner)
            or image.visibility in (Visibility.PUBLIC, Visibility.COMMUNITY)
            or (image.visibility is Visibility.SHARED and was_member)
        )
        member_id = caller.project_id if was_member else None
        return is_within_sight and self._rules.allows("get_image", caller, _target(image, member_id))


def _target(image: Image, member_id: str | None) -> dict[str, Any]:
    """Return the image as policy rules see it."""
    return {
        **image.properties,
        "id": image.id,
        "image_id": image.id,
        "name": image.name,
        "owner": image.owner,
        "project_id": image.owner,
        "tenant": image.owner,
        "visibility": image.visibility.value,
        "status": image.status.value,
        "protected": image.protected,
        "os_hidden": image.os_hidden,
        "member_id": member_id,
        "member": member_id,
    }
