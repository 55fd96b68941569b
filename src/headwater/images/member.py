"""The projects that an image is shared with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headwater.errors import Conflict, Forbidden, NotFound, TooLarge


class MemberStatus(StrEnum):
    """What a project that an image is shared with has said to it."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class MemberExists(Conflict):
    """The image is shared with this project already."""

    def __init__(self, image_id: str, member: str) -> None:
        super().__init__(f"Image {image_id} is shared with project {member} already")
        self.image_id, self.member = image_id, member


class MemberNotFound(NotFound):
    """The image is not shared with this project, or the caller may not know."""

    def __init__(self, image_id: str, member: str) -> None:
        super().__init__(f"{member} not found in the member list of the image {image_id}.")
        self.image_id, self.member = image_id, member


class MayNotShare(Forbidden):
    """The caller sees the image and was not allowed to share it."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"No permission to share that image: {image_id}")
        self.image_id = image_id


class TooManyMembers(TooLarge):
    """An image is shared with so many projects and no more."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The limit has been exceeded on the number of allowed image members for this image. Maximum: {limit}"
        )
        self.limit = limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One project that one image is shared with."""

    image_id: str
    member: str  # project id; whether there is such a project is not checked
    status: MemberStatus
    created_at: int  # microseconds since 1970, UTC
    updated_at: int
    can_share: bool = False  # it may share the image further; only the API v1 says so
