"""What the paths of both versions of the Image API have in common, and where they are not found."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from headwater.errors import NotFound
from headwater.http.routes import VERBS, Face, UnknownVerb, require_text
from headwater.http.values import canonical_id

_IDS = ("image_id", "task_id")


class NoSuchPath(NotFound):
    """The API has no such path, or no such thing is named by it."""

    def __init__(self) -> None:
        super().__init__("The resource could not be found.")


def check_path(request: Request) -> None:
    """Write the ids of a path as the catalogue has them.

    Raises:
        NotText, NoSuchPath: It is no text, or names what cannot be there.
    """
    require_text(request.scope)
    named = request.path_params
    for name, value in named.items():
        # PostgreSQL refuses to look for text with a NUL; nothing has such a name.
        if "\x00" in value:
            raise NoSuchPath
        if name in _IDS:
            named[name] = canonical_id(value)


IMAGE_API = Face(check=check_path, names=("member", "name", "store", "tag"))


async def not_found(scope: Scope, _receive: Receive, _send: Send) -> None:
    """Answer a path below a version that is none."""
    if scope["method"] not in VERBS:
        raise UnknownVerb(scope["method"])
    raise NoSuchPath
