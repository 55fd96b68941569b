"""Ids as clients write them."""

from __future__ import annotations

import re

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def canonical_id(text: str) -> str:
    """Return an id as the catalogue has it: in lower case, whatever the client wrote. What is no id stays as it is."""
    return text.lower() if _UUID.fullmatch(text) else text
