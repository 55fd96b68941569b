"""What a caller of the locations API asks for: the URL of an image's data, and what the data hashes to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headwater.errors import Invalid
from headwater.images.locations.rules import Validation, checked

ALGORITHMS = ("sha1", "sha256", "sha512", "md5")


class BadLocation(Invalid):
    """A body that names no location."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asks for."""

    url: str
    validation: Validation | None


def wanted(document: Mapping[str, Any]) -> Wanted:
    """Read the body of a request.

    Raises:
        BadLocation, InvalidLocation: It names no location, or hashes that cannot be.
    """
    url = document.get("url")
    if not isinstance(url, str):
        raise BadLocation("The body needs a key 'url' whose value is a string.")
    if "validation_data" not in document or document["validation_data"] == {}:
        return Wanted(url, None)
    said = document["validation_data"]
    if not isinstance(said, dict) or set(said) != {"os_hash_algo", "os_hash_value"}:
        raise BadLocation("'validation_data' has the keys os_hash_algo and os_hash_value, or none.")
    algorithm, value = said["os_hash_algo"], said["os_hash_value"]
    if algorithm not in ALGORITHMS or not isinstance(value, str):
        raise BadLocation(f"os_hash_algo is one of {', '.join(ALGORITHMS)}, and os_hash_value a string.")
    if not re.fullmatch(r"[0-9a-fA-F]+", value):
        raise BadLocation("os_hash_value is written in hexadecimal digits.")
    return Wanted(url, checked(Validation(algorithm, value.lower())))
