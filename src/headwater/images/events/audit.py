"""Who did what to which image: one structured record of each entry, also of those that were refused.

Records go to the log ``headwater.audit``; where that leads is a setting. They hold names of what changed and
never its values, so that no password in a property gets there.
"""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import Any

from headwater.activity.journal import Entry
from headwater.errors import Forbidden, HeadwaterError
from headwater.images.catalogue.sharing.private_paths import PrivatePath
from headwater.images.member import Member
from headwater.images.metadefs.model import Namespace
from headwater.images.model import Image

_log = logging.getLogger("headwater.audit")

TEXT_LIMIT = 255  # characters of one text; no name that the API takes has more
LIST_LIMIT = 256  # entries of one list; an image of default quotas has half as many properties

# Of each change, or told by others already.
_SILENT = frozenset({"revision", "updated_at", "properties"})


class Audit:
    """A listener of the journal; safe to use from several threads."""

    def moved(self, _entry: Entry) -> tuple[()]:
        """Write nothing yet: the transaction may still fail."""
        return ()

    def ended(self, entry: Entry, error: BaseException | None) -> None:
        """Write the record."""
        record = {**_who(entry), **_what(entry), **_outcome(entry, error)}
        _log.info(entry.action, extra={name: _bounded(value) for name, value in record.items()})


def _bounded(value: Any) -> Any:
    """Return what of ``value`` a record holds: much of it comes from callers, some before it was checked."""
    if isinstance(value, str):
        return value if len(value) <= TEXT_LIMIT else f"{value[:TEXT_LIMIT]}…"
    if isinstance(value, list):
        more = [f"… and {len(value) - LIST_LIMIT} more"] if len(value) > LIST_LIMIT else []
        return [*map(_bounded, value[:LIST_LIMIT]), *more]
    return value


def _who(entry: Entry) -> dict[str, Any]:
    caller = entry.caller
    if caller is None:
        return {"user": None, "project": None, "roles": [], "client": None, "by": "headwater"}
    who: dict[str, Any] = {
        "user": caller.user_id,
        "project": caller.project_id,
        "roles": sorted(caller.roles),
        "client": caller.address,
    }
    if caller.service_roles:
        who["service_roles"] = sorted(caller.service_roles)
    if caller.request_id:
        who["request_id"] = caller.request_id
    return who


def _what(entry: Entry) -> dict[str, Any]:
    thing = entry.before if entry.after is None else entry.after
    if isinstance(thing, Image):
        return {"image": thing.id, "image_name": thing.name, "owner": thing.owner}
    if isinstance(thing, Namespace):
        return {"namespace": thing.namespace, "owner": thing.owner}
    if isinstance(thing, PrivatePath):
        return {"private_path": thing.id, "owner": thing.project_id}
    what: dict[str, Any] = {"image": entry.image_id} if entry.image_id else {}
    if entry.namespace is not None:
        what["namespace"] = entry.namespace
    what |= entry.named
    if isinstance(entry.image, Image):
        what |= {"image_name": entry.image.name, "owner": entry.image.owner}
    if isinstance(thing, Member):
        what |= {"member": thing.member, "member_status": thing.status.value}
    return what


def _outcome(entry: Entry, error: BaseException | None) -> dict[str, Any]:
    if error is not None:
        # Not its message: that may quote what the caller sent.
        known = isinstance(error, HeadwaterError)
        outcome = "denied" if isinstance(error, Forbidden) else "failed"
        return {"outcome": outcome, "error": type(error).__name__ if known else "internal error"}
    changed = changed_names(entry.before, entry.after)
    return {"outcome": "success", **({"changed": changed} if changed else {})}


def changed_names(before: Any, after: Any) -> list[str]:
    """Return the names of the attributes that differ between two of a kind, in order."""
    if before is None or after is None or type(before) is not type(after):
        return []
    names = [
        each.name
        for each in fields(after)
        if each.name not in _SILENT and getattr(before, each.name) != getattr(after, each.name)
    ]
    if isinstance(after, Image):
        old, new = before.properties, after.properties
        names += sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    elif isinstance(after, Namespace) and before.properties != after.properties:
        names.append("properties")
    return names
