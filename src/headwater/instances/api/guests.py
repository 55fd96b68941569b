"""What callers learn of guests: the password that one has posted, and what it fetched.

That of an instance of the cloud is its project's as that of a registered one is: what is not the caller's is not there.
"""

from __future__ import annotations

from headwater.activity.journal import Journal
from headwater.identity.caller import Caller
from headwater.identity.policy.rules import Rules
from headwater.instances.api.errors import NoSuchInstance
from headwater.instances.api.service import ProjectInstances
from headwater.instances.api.sight import CloudSight, target_of
from headwater.instances.boot_log.entries import Entry
from headwater.instances.sources.guests import Guest, Guests


class ProjectGuests:
    """The use cases; safe to use from several threads."""

    def __init__(self, instances: ProjectInstances, guests: Guests, *, rules: Rules, journal: Journal) -> None:
        self._instances, self._guests, self._rules, self._journal = instances, guests, rules, journal
        self._in_cloud = CloudSight(guests, rules)

    def password(self, caller: Caller, id_or_name: str) -> str | None:
        """Return what a guest has posted, which only its owner's key opens; ``None``: nothing.

        Raises:
            NoSuchInstance: There is none, or the caller does not see it.
            Forbidden: The caller may not have it.
            SeveralMeant: Several instances of the cloud have this name.
        """
        found = self._seen(caller, id_or_name)
        self._require("get_instance_password", caller, found)
        return self._guests.password(found)

    def clear_password(self, caller: Caller, id_or_name: str) -> None:
        """Forget the password of a guest, so that it may post another.

        Raises:
            NoSuchInstance, Forbidden, SeveralMeant: As of ``password``.
        """
        with self._journal.entry(caller, "instance.password.delete") as entry:
            entry.named["instance"] = id_or_name
            found = self._seen(caller, id_or_name)
            entry.named |= {"instance": found.id, "instance_name": found.name, "owner": found.project_id}
            self._require("delete_instance_password", caller, found)
            self._guests.clear_password(found)

    def boot_log(self, caller: Caller, id_or_name: str) -> tuple[Guest, list[Entry]]:
        """Return a guest, and what it has fetched, the oldest first.

        Raises:
            NoSuchInstance, Forbidden, SeveralMeant: As of ``password``.
        """
        found = self._seen(caller, id_or_name)
        self._require("get_instance_boot_log", caller, found)
        return found, self._guests.boot_log(found)

    def _seen(self, caller: Caller, id_or_name: str) -> Guest:
        try:
            return Guest.registered(self._instances.get(caller, id_or_name))
        except NoSuchInstance:
            found = self._in_cloud.find(caller, id_or_name)
            if found is None:
                raise
            return found

    def _require(self, rule: str, caller: Caller, guest: Guest) -> None:
        self._rules.require(rule, caller, _target(guest))


def _target(guest: Guest) -> dict[str, object]:
    return target_of(guest.project_id, id=guest.id, name=guest.name)
