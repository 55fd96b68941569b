"""The file of a medium, opened: whichever kind it is."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

from headwater.instances.media.reading import fat, iso
from headwater.instances.media.reading.medium import SIZE_LIMIT, Medium, MediumUnreadable, NotAMedium, unwrapped


def medium_at(path: Path) -> Medium:
    """Return what is in a file.

    Raises:
        MediumUnreadable: The file is not there, or may not be read.
        NotAMedium: It is none.
    """
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else None
        raise MediumUnreadable(path, reason or str(error)) from error
    return medium_in(data)


def medium_in(data: bytes) -> Medium:
    """Return what is in an image.

    Raises:
        NotAMedium: It is none.
    """
    if len(data) > SIZE_LIMIT:
        raise NotAMedium(f"it is larger than {SIZE_LIMIT >> 20} MiB")
    image, coding = unwrapped(data)
    try:
        if iso.is_iso(image):
            found = iso.read(image)
        elif fat.is_fat(image):
            found = fat.read(image)
        else:
            raise NotAMedium("it is neither ISO 9660 nor FAT, nor gzip (or base64 of gzip) with one in it")
    except (struct.error, IndexError) as error:
        raise NotAMedium("it is cut off") from error
    return replace(found, coding=coding)
