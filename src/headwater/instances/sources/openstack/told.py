"""What the cloud has said of one machine, and when: the same in memory and in the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from headwater.instances.model import Instance


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
