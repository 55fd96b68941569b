"""What a caller may see and do: the rules of visibility, and the policy's word on each action.

Who sees an image (apart from its owner and from admins, who see all): everybody a public or a community
one, members a shared one whatever they said to it. An image that the caller does not see is not there:
every use case begins with ``visible``. What is seen and may not be done is ``Forbidden``.
Source: Glance 33, its default policies and its database's visibility rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from headwater.errors import Forbidden
from headwater.identity.caller import Caller
from headwater.images.catalogue import ImageCatalogue, MarkerNotFound
from headwater.images.listing import Query, Viewer
from headwater.images.model import Image
from headwater.images.rows import ImageNotFound


class Rules(Protocol):
    """What decides on actions: see ``identity.policy.Policy``."""

    def allows(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> bool:
        """Return whether ``caller`` may do what ``rule`` guards to ``target``."""

    def require(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> None:
        """Raise ``Forbidden`` when it may not."""


class AdminOnly(Forbidden):
    """Only an admin changes this."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Only an admin may set {what}.")


class Access:
    """Images as callers see them; safe to use from several threads."""

    def __init__(self, catalogue: ImageCatalogue, rules: Rules) -> None:
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

    def page(self, caller: Caller, query: Query, *, as_project: bool = False) -> list[Image]:
        """Return one page of what ``query`` asks for and the caller sees.

        Args:
            as_project: Show to an admin what others of its project see.

        Raises:
            Forbidden: The caller may not list images.
            MarkerNotFound: The marker is no image that the caller sees.
        """
        self._rules.require("get_images", caller, {"project_id": caller.project_id})
        if query.marker is not None:
            self._require_marker(caller, query.marker)
        if query.limit == 0:
            return []
        viewer = Viewer(project_id=caller.project_id, sees_all=not as_project and self.is_admin(caller))
        return self._catalogue.page(replace(query, viewer=viewer))

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

    def _seen(self, caller: Caller, image_id: str) -> tuple[Image, bool]:
        """Return the image, and whether it is shared with the caller's project; or raise ``ImageNotFound``.

        An image of others takes the same steps as none at all.
        """
        get = self._catalogue.get_for if self.is_admin(caller) else self._catalogue.get_seen
        image, is_member = get(image_id, caller.project_id)
        member_id = caller.project_id if is_member else None
        if not self._rules.allows("get_image", caller, _target(image, member_id)):
            raise ImageNotFound(image_id)
        return image, is_member

    def _require_marker(self, caller: Caller, marker: str) -> None:
        try:
            self._seen(caller, marker)
        except ImageNotFound as error:
            raise MarkerNotFound(marker) from error


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
