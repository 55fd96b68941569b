"""What callers are told that may not know of the instances of others."""

from __future__ import annotations

from headwater.errors import Conflict, Forbidden, Invalid, NotFound


class NoSuchInstance(NotFound):
    """There is none of this id or name, or it is not the caller's to see."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"there is no instance {wanted[:255]!r} among those that you may see")
        self.wanted = wanted


class Taken(Conflict):
    """An id, a name or an address belongs to another instance, whosever that is."""

    def __init__(self, what: str, value: str) -> None:
        super().__init__(f"the {what} {value} belongs to another instance already; give another {what}")
        self.what, self.value = what, value


class RevisionDiffers(Conflict):
    """A change names another revision than the one that is there."""

    def __init__(self, instance_id: str, expected: int, found: int) -> None:
        super().__init__(
            f"instance {instance_id} is at revision {found}, not {expected}; read it again and repeat the change"
        )
        self.instance_id, self.expected, self.found = instance_id, expected, found


class ImageUnusable(Invalid):
    """No image, or no single one, is meant."""

    def __init__(self, wanted: str, several: bool) -> None:
        problem = "means several of the images that you see; give its id" if several else "is no image that you see"
        super().__init__(f"image: {wanted[:255]!r} {problem}")
        self.wanted = wanted


class DocumentWrong(Invalid):
    """A body does not say what an instance is."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the instance: {problem}")
        self.problem = problem


class ProjectOfOthers(Forbidden):
    """Only an admin gives an instance to another project."""

    def __init__(self) -> None:
        super().__init__("project_id: only an admin registers instances of other projects, or gives one to another")
