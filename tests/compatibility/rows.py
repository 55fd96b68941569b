"""What a row of a table of compatibility says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = {"Accept": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One request, what must come of it, and where that is written.

    In paths, headers and expectations ``{id}`` stands for the id of the image that ``given`` makes, ``{mark}``
    for the value of the property ``row`` that only images of this row have.
    """

    source: str  # section of the compatibility specification, "Glance" for Glance 33 as it was probed
    who: str = "operator"  # who asks: a user of projects.py; elsewhere everybody is the operator
    given: str = "nothing"  # what is there before: a key of STATES in test_image_api.py
    request: str  # "METHOD /path"
    headers: Mapping[str, str] = field(default_factory=dict)  # Accept is JSON unless it says otherwise
    json: Any = None  # the body, as JSON
    body: bytes | None = None  # the body, as it is
    status: int
    gives: Mapping[str, Any] = field(default_factory=dict)  # keys of the JSON answer that must be so
    lacks: tuple[str, ...] = ()  # keys that it must not have
    says: str = ""  # a part of the answer's text
    data: bytes | None = None  # the whole body of the answer
    sends: Mapping[str, str | None] = field(default_factory=dict)  # headers of the answer; None: absent
    names: tuple[str | None, ...] | None = None  # the names in the list that is answered, in order
    then: Mapping[str, Any] = field(default_factory=dict)  # keys of the image afterwards
    differs: str = ""  # where we do better than Glance on purpose: what Glance does
