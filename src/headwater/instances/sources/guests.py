"""What is kept of guests beside their records: passwords and boot logs, of registered machines and of a cloud's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headwater.database.engine import Database
from headwater.errors import Conflict
from headwater.instances.boot_log.entries import Entry
from headwater.instances.boot_log.rows import VisitRows
from headwater.instances.boot_log.verdict import Verdict, verdict
from headwater.instances.errors import InstanceNotFound
from headwater.instances.model import Instance
from headwater.instances.password.rows import OF_CLOUD, PasswordRows
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.sources.openstack.rows import CloudRows, Machine

_NAMED = 5  # ids in an error


class SeveralMeant(Conflict):
    """Instances of a cloud may have the same name."""

    def __init__(self, name: str, ids: Sequence[str]) -> None:
        shown = ", ".join(ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")
        super().__init__(f"several instances of the cloud are called {name!r}; give the id of one: {shown}")
        self.name, self.ids = name, ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A machine of which something may be kept."""

    id: str
    name: str
    project_id: str | None
    has_user_data: bool
    needs_token: bool = False
    in_cloud: bool = False  # a cloud knows it, and nobody registered it

    @classmethod
    def registered(cls, instance: Instance) -> Guest:
        """Return it as one of the registry."""
        return cls(
            id=instance.id,
            name=instance.name,
            project_id=instance.project_id,
            has_user_data=instance.user_data is not None,
            needs_token=instance.tokens == "required",
        )

    @classmethod
    def of_cloud(cls, machine: Machine) -> Guest:
        """Return it as one of the cloud."""
        return cls(
            id=machine.id,
            name=machine.name,
            project_id=machine.project_id,
            has_user_data=machine.has_user_data,
            in_cloud=True,
        )


class Guests:
    """What is kept of them; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._registry, self._cloud = InstanceRows(database), CloudRows(database)
        self._passwords, self._cloud_passwords = PasswordRows(database), PasswordRows(database, of=OF_CLOUD)
        self._visits = VisitRows(database)

    def find(self, id_or_name: str) -> Guest:
        """Return a machine, a registered one first.

        Raises:
            InstanceNotFound: There is none, or it is of the cloud and has not asked for anything yet.
            SeveralMeant: Several of the cloud have this name.
        """
        try:
            return Guest.registered(self._registry.get(id_or_name))
        except InstanceNotFound:
            found = self.find_in_cloud(id_or_name)
            if found is None:
                raise
            return found

    def find_in_cloud(self, id_or_name: str, *, project_id: str | None = None) -> Guest | None:
        """Return a machine that a cloud knows, once it has asked; ``None``: there is none.

        Args:
            project_id: Only one of this project; ``None``: of any.

        Raises:
            SeveralMeant: Several have this name.
        """
        found = self._cloud.find(id_or_name, project_id=project_id)
        if len(found) > 1:
            raise SeveralMeant(id_or_name, [each.id for each in found])
        return Guest.of_cloud(found[0]) if found else None

    def password(self, guest: Guest) -> str | None:
        """Return what it has posted; ``None``: nothing."""
        return self._passwords_of(guest).get(guest.id)

    def clear_password(self, guest: Guest) -> bool:
        """Forget its password, so that it may post another; return whether there was one."""
        return self._passwords_of(guest).clear(guest.id)

    def boot_log(self, guest: Guest) -> list[Entry]:
        """Return what it has fetched and reported, the oldest first."""
        return self._visits.of(guest.id, in_cloud=guest.in_cloud)

    def _passwords_of(self, guest: Guest) -> PasswordRows:
        return self._cloud_passwords if guest.in_cloud else self._passwords


def judged(guest: Guest, entries: Sequence[Entry]) -> Verdict:
    """Return what its last boot came to, by all that is known of it."""
    return verdict(guest.name, entries, has_user_data=guest.has_user_data, needs_token=guest.needs_token)
