"""The data of an upload that can be resumed: sent from where the service has it, until it has all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from headwater.client.service import PARTIAL_UPLOAD, ImageService, Patience, RequestRefused, Unreachable

OVER: Final = frozenset({400, 404, 410, 413, 415})  # an upload that is answered so has to begin anew
CONFLICT: Final = 409


def kept(service: ImageService, upload: str) -> int | None:
    """Return how many bytes of an upload are kept; ``None`` when that is all, and the image has them."""
    with service.answer("HEAD", upload) as answer:
        return None if answer.headers.get("Upload-Complete") == "?1" else int(answer.headers["Upload-Offset"])


def rest_from(offset: int, size: int | None) -> dict[str, str]:
    """Return the headers of the request that brings all that follows on so many bytes.

    Args:
        size: Of all the data; ``None``: nobody knows.
    """
    fields = {"Content-Type": PARTIAL_UPLOAD, "Upload-Complete": "?1", "Upload-Offset": str(offset)}
    if size is not None:
        fields["Content-Length"] = str(size - offset)
    return fields


def send_all(service: ImageService, upload: str, patience: Patience, send: Callable[[int], None]) -> None:
    """Send what is missing, again and again while the service is away, or busy with the request that was lost.

    Args:
        send: Sends all that follows on so many bytes.

    Raises:
        Unreachable, RequestRefused: The patience is over, or the upload is refused.
    """
    reached = -1
    while True:
        offset = patience.answered(lambda: kept(service, upload))
        if offset is None:
            return
        if offset > reached:
            patience.moved()
            reached = offset
        try:
            send(offset)
        except Unreachable as error:
            patience.wait(error)
        except RequestRefused as refused:
            if refused.status != CONFLICT:
                raise
            patience.wait(refused)
        else:
            return
