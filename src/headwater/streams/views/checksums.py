"""Lists of checksums, as ``sha256sum`` writes and checks them, and as systemd, Proxmox and people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from headwater.images.model import Image
from headwater.streams.views.names import by_file_name

# Name of the list: the algorithm, by hashlib's name of it.
LISTS: Final[Mapping[str, str]] = MappingProxyType({"SHA256SUMS": "sha256", "SHA512SUMS": "sha512"})
_DIGITS: Final[Mapping[str, int]] = MappingProxyType({"sha256": 64, "sha512": 128, "md5": 32})


def checksums(images: Iterable[Image], algorithm: str, known: Mapping[str, str]) -> bytes:
    """Return the list of the files whose checksum is known, in the order of their names.

    Args:
        known: SHA-256 by image id, where the images themselves do not say it.
    """
    lines = {name: checksum(image, algorithm, known) for name, image in by_file_name(images).items()}
    # Source: sha256sum; the asterisk says that the file is read as it is. systemd takes it, or a second blank.
    return "".join(f"{line} *{name}\n" for name, line in lines.items() if line is not None).encode("ascii")


def checksum(image: Image, algorithm: str, known: Mapping[str, str]) -> str | None:
    """Return a checksum of an image's data in lower-case hex; ``None``: nobody knows it."""
    said = {image.os_hash_algo: image.os_hash_value, "md5": image.checksum}.get(algorithm)
    if said is None and algorithm == "sha256":
        said = known.get(image.id)
    said = (said or "").lower()
    is_one = len(said) == _DIGITS[algorithm] and not said.strip("0123456789abcdef")
    return said if is_one else None
