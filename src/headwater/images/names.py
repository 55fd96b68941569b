"""Names that end a URL: whatever a body may call a thing, the thing's own URL has to reach."""

from __future__ import annotations

from typing import TypeGuard


def is_project(name: object) -> TypeGuard[str]:
    """Return whether ``name`` can be the id of a project: text of 1 to 255 characters that ends a URL, without NUL."""
    return isinstance(name, str) and len(name) <= 255 and "\x00" not in name and is_reachable(name)


def is_reachable(name: str) -> bool:
    """Return whether a path can end in ``name``, percent-encoded where need be.

    Clients take ``.`` and ``..`` out of a path before they send it, encoded or not: RFC 3986, section 5.2.4.
    """
    return name not in ("", ".", "..")
