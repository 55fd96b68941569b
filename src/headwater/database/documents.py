"""Documents kept in rows outlive the release that wrote them, and the release before it reads them in an upgrade."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def known(kind: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the document is a field of the dataclass; what another release adds is passed over."""
    return {each.name: document[each.name] for each in fields(kind) if each.name in document}
