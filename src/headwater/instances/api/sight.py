"""Which machines of the cloud a caller sees: those of its project, once they have asked; an admin, all of them."""

from __future__ import annotations

from typing import Any

from headwater.identity.caller import Caller
from headwater.identity.policy.rules import Rules
from headwater.instances.sources.guests import Guest, Guests


class CloudSight:
    """Looks at what is kept of machines of the cloud; safe to use from several threads.

    What is of another project is looked for together with the project, and the cloud is asked nothing: neither what is
    answered nor how long that takes tells of it.
    """

    def __init__(self, guests: Guests, rules: Rules) -> None:
        self._guests, self._rules = guests, rules

    def find(self, caller: Caller, id_or_name: str) -> Guest | None:
        """Return a machine that the caller sees, once it has asked; ``None``: there is none.

        Raises:
            SeveralMeant: Several that the caller sees have this name.
        """
        is_admin = self.is_admin(caller)
        if caller.project_id is None and not is_admin:
            return None
        found = self._guests.find_in_cloud(id_or_name, project_id=None if is_admin else caller.project_id)
        return found if found is not None and self.is_seen(caller, found.project_id, found.id, found.name) else None

    def is_seen(self, caller: Caller, project_id: str | None, instance_id: str, name: str) -> bool:
        """Return whether the caller may see a machine of this project."""
        is_own = self.is_admin(caller) or (caller.project_id is not None and caller.project_id == project_id)
        return is_own and self._rules.allows("get_instance", caller, target_of(project_id, id=instance_id, name=name))

    def is_admin(self, caller: Caller) -> bool:
        """Return whether the caller sees the machines of all projects."""
        return self._rules.allows("context_is_admin", caller, {})


def target_of(project_id: str | None, **more: str) -> dict[str, Any]:
    """Return what belongs to a project as policy rules see it."""
    return {"project_id": project_id, "owner": project_id, "tenant": project_id, **more}
