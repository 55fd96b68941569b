"""What the cloud has said of one machine, and when: the same in memory and in the catalogue."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from headwater.instances.model import Instance
from headwater.instances.snapshots.kept import GRACE_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the cloud said last."""

    instance: Instance
    replaced: Instance | None  # what it said before, as long as a guest may be in the middle of reading that
    changed_at: int  # microseconds since 1970, UTC
    loaded_at: int  # when it said so, in the same

    def is_same(self, other: Told) -> bool:
        """Return whether another says the same, whenever that was."""
        return (self.instance, self.replaced, self.changed_at) == (other.instance, other.replaced, other.changed_at)

    def encoded(self) -> str:
        """Return it as one JSON document, without ``loaded_at``."""
        document = {
            "instance": self.instance.to_dict(),
            "replaced": None if self.replaced is None else self.replaced.to_dict(),
            "changed_at": self.changed_at,
        }
        return msgspec.json.encode(document).decode()

    @classmethod
    def decoded(cls, document: str, loaded_at: int) -> Told:
        """Return what ``encoded`` was made of.

        Raises:
            InstanceInvalid: Another release wrote something that this one does not take.
        """
        kept = msgspec.json.decode(document)
        replaced = kept.get("replaced")
        return cls(
            instance=Instance.from_dict(kept["instance"]),
            replaced=None if replaced is None else Instance.from_dict(replaced),
            changed_at=kept["changed_at"],
            loaded_at=loaded_at,
        )


def told_after(before: Told | None, found: Instance, at: int) -> Told:
    """Return what is told of a machine, of which ``before`` was told until now.

    Args:
        found: What the cloud says at ``at``, in microseconds since 1970, UTC.
    """
    if before is None:
        return Told(instance=found, replaced=None, changed_at=at, loaded_at=at)
    found = replace(found, revision=before.instance.revision, updated_at=before.instance.updated_at)
    if found != before.instance:
        after = replace(found, revision=found.revision + 1, updated_at=at)
        return Told(instance=after, replaced=before.instance, changed_at=at, loaded_at=at)
    in_grace = before.replaced is not None and at - before.changed_at < GRACE_US
    return replace(before, replaced=before.replaced if in_grace else None, loaded_at=at)
