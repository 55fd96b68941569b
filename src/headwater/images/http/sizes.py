"""How many bytes of data a request announces, whichever API it is of."""

from __future__ import annotations

from starlette.datastructures import Headers

from headwater.http import requests
from headwater.images.data.session import SizeMismatch


def announced_size(headers: Headers, *others: int) -> int | None:
    """Return how many bytes will come, if the client said so.

    Args:
        others: What fields of one API say of it.

    Raises:
        SizeMismatch: Two fields contradict each other.
    """
    length = headers.get("content-length", "")
    size = int(length) if length.isdigit() else None
    for said in (*others, requests.said_length(headers)):
        if said is not None and size is not None and size != said:
            raise SizeMismatch(said, size)
        size = said if size is None else size
    return size
