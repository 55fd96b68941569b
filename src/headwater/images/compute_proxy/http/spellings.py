"""Paths as clients of the Compute API's time write them.

fog 1.0 sends two slashes where one is meant, and fog before that ``images/detail.json``: Nova's router took both.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.routing import Router
from starlette.types import Receive, Scope, Send

_SLASHES: Final = re.compile("//+")
_FORMAT: Final = ".json"
_BEFORE_KEY: Final = re.compile(r"^.*?/metadata/+(?=.)", re.DOTALL)


def plain(path: str) -> str:
    """Return a path below a version with single slashes and no ``.json``; the key of a metadata item stays."""
    found = _BEFORE_KEY.match(path)
    if found is not None:
        return _SLASHES.sub("/", found[0]) + path[found.end() :]
    return _SLASHES.sub("/", path).removesuffix(_FORMAT)


class LenientRouter(Router):
    """A router below a version that takes each path as the plain one that it means."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root: str = scope["root_path"]
        path = root + plain(scope["path"].removeprefix(root))
        await super().__call__({**scope, "path": path}, receive, send)
