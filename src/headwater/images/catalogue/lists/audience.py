"""Whose usual lists show an image, as one word that indexes begin with.

A member's list is made of what everybody is shown, what its own project has, and what is shared with it.
The first two are one word each, and hidden images, which only lists of hidden images show, have words of their own.
So a page of either is one range of an index, however many images others have or hide.

The word follows from the image, and is written with it in one statement. No list asks for visibility and owner
besides: a planner takes them for further conditions, expects hardly any image to be left, and sorts them all.
"""

from __future__ import annotations

from headwater.images.model import Image, Visibility

NOBODY = ""  # an image without an owner that is not public: only admins are shown it
_HIDDEN = "hidden "


def everybody(*, hidden: bool) -> str:
    """Return the audience of public images."""
    return f"{_HIDDEN if hidden else ''}everybody"


def project(project_id: str, *, hidden: bool) -> str:
    """Return the audience of what is a project's own and not public; no id makes it one of the other words."""
    return f"{_HIDDEN if hidden else ''}project:{project_id}"


def of(image: Image) -> str:
    """Return the audience of an image."""
    if image.visibility is Visibility.PUBLIC:
        return everybody(hidden=image.os_hidden)
    return NOBODY if image.owner is None else project(image.owner, hidden=image.os_hidden)
