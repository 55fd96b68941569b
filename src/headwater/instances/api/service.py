"""What callers do with instances: each project with its own, an admin with all.

An instance of another project is not there: it is looked for together with its project, so that neither what is
answered nor how long that takes tells of it. What is seen and may not be done is ``Forbidden``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from headwater.activity.journal import Entry, Journal
from headwater.activity.notifications.event import Event
from headwater.errors import Conflict, NotFound
from headwater.identity.caller import Caller
from headwater.identity.policy.rules import Rules
from headwater.instances.addresses import canonical
from headwater.instances.api.documents import description_of, merged, said_in
from headwater.instances.api.errors import ImageUnusable, NoSuchInstance, ProjectOfOthers, Taken
from headwater.instances.api.sight import CloudSight, target_of
from headwater.instances.errors import InstanceChanged, InstanceExists, InstanceNotFound, MachineOfCloud
from headwater.instances.lists.rows import Head, InstanceLists, Page
from headwater.instances.lists.wanted import Wanted
from headwater.instances.model import Instance
from headwater.instances.names import is_uuid
from headwater.instances.registry.rows import Heard, InstanceRows
from headwater.instances.service import Images, Instances, described

_TRIES = 3  # of a change that names no revision, when others change the same


class Outbox(Protocol):
    """Where events wait for their delivery: see ``notifications.outbox.Postbox``."""

    def keep(self, connection: Any, events: Sequence[Event]) -> None:
        """Keep them in the transaction of what they tell of."""


class ProjectInstances:
    """The use cases; safe to use from several threads."""

    def __init__(
        self,
        registry: InstanceRows,
        lists: InstanceLists,
        *,
        images: Callable[[Caller], Images],
        rules: Rules,
        journal: Journal,
        outbox: Callable[[], Outbox],
        in_cloud: CloudSight | None = None,
    ) -> None:
        """Take what they work with.

        Args:
            images: Returns the images that a caller sees.
            outbox: Returns what keeps the events that listeners of the journal want to send.
            in_cloud: Knows the machines of the cloud, if there is one; they are changed there.
        """
        self._registry, self._lists, self._images = registry, lists, images
        self._rules, self._journal, self._outbox, self._in_cloud = rules, journal, outbox, in_cloud

    def page(self, caller: Caller, wanted: Wanted, *, after: str | None, limit: int) -> Page[Head]:
        """Return one page of what is wanted and the caller sees, by name.

        Raises:
            Forbidden: The caller may not list instances.
        """
        self._rules.require("get_instances", caller, target_of(caller.project_id))
        if not self._is_admin(caller):
            if caller.project_id is None or wanted.project_id not in (None, caller.project_id):
                return Page(found=[], after=None)
            wanted = replace(wanted, project_id=caller.project_id)
        return self._lists.heads(wanted, after=after, limit=limit) if limit else Page(found=[], after=None)

    def get(self, caller: Caller, id_or_name: str) -> Instance:
        """Return an instance that the caller sees.

        Raises:
            NoSuchInstance: There is none, or the caller does not see it.
        """
        found = self._within_sight(caller, id_or_name)
        if not self._rules.allows("get_instance", caller, _target(found)):
            raise NoSuchInstance(id_or_name)
        return found

    def get_to_change(self, caller: Caller, id_or_name: str) -> Instance:
        """Return an instance that the caller sees, and that is changed here.

        Raises:
            NoSuchInstance: There is none, or the caller does not see it.
            MachineOfCloud: The cloud says what it is.
            SeveralMeant: Several of the cloud have this name.
        """
        try:
            return self.get(caller, id_or_name)
        except NoSuchInstance as error:
            found = None if self._in_cloud is None else self._in_cloud.find(caller, id_or_name)
            if found is None:
                raise
            raise MachineOfCloud(found.id, found.name) from error

    def add(self, caller: Caller, document: Mapping[str, Any]) -> Instance:
        """Register an instance; it is the caller's project's, unless an admin names another.

        Raises:
            DocumentWrong, InstanceInvalid, ImageUnusable: It cannot be so.
            Forbidden: The caller may not register it, or not with addresses.
            Taken: Its id, name or one of its addresses is another's.
            UserDataTooLarge, InstanceTooLarge: It is beyond a limit.
        """
        with self._told(caller, "instance.create") as entry:
            said = said_in(document)
            entry.named["instance_name"] = said.name
            if said.project_id is None:
                said.project_id = caller.project_id
            self._rules.require("add_instance", caller, target_of(said.project_id, name=said.name))
            self._require_project(caller, said.project_id)
            instance = described(description_of(said))
            entry.named["instance"] = instance.id
            if instance.addresses or instance.serial is not None:
                self._rules.require("set_instance_addresses", caller, _target(instance))
            with _others_unnamed():
                return self._instances(caller).register(instance, image=said.image, heard=self._heard(entry))

    def change(self, caller: Caller, id_or_name: str, patch: Mapping[str, Any], *, revision: int | None) -> Instance:
        """Change an instance by a merge patch, and return it.

        Args:
            revision: The one that must be there; ``None``: whatever is.

        Raises:
            NoSuchInstance, MachineOfCloud, SeveralMeant: As of ``get_to_change``.
            DocumentWrong, InstanceInvalid, ImageUnusable: It cannot be so.
            Forbidden: The caller may not change it, or not this of it.
            RevisionDiffers, InstanceChanged: It is at another revision than the patch or ``revision`` says.
            Taken: Its new name or one of its new addresses is another's.
            UserDataTooLarge, InstanceTooLarge: It is beyond a limit.
        """
        with self._told(caller, "instance.update", id_or_name) as entry:
            for remaining in reversed(range(_TRIES)):
                before = self._seen(caller, id_or_name, "modify_instance", entry)
                if revision is not None and before.revision != revision:
                    raise InstanceChanged(before.id, revision, before.revision)
                try:
                    return self._changed(caller, before, patch, entry)
                except InstanceChanged:
                    if revision is not None or "revision" in patch or not remaining:
                        raise
        raise AssertionError("unreachable")

    def remove(self, caller: Caller, id_or_name: str, *, revision: int | None) -> None:
        """Forget an instance.

        Args:
            revision: The one that must be there; ``None``: whatever is.

        Raises:
            NoSuchInstance, MachineOfCloud, SeveralMeant: As of ``get_to_change``.
            Forbidden: The caller may not do that.
            InstanceChanged: It is at another revision, or was changed meanwhile.
        """
        with self._told(caller, "instance.delete", id_or_name) as entry:
            found = self._seen(caller, id_or_name, "delete_instance", entry)
            if revision is not None and found.revision != revision:
                raise InstanceChanged(found.id, revision, found.revision)
            try:
                self._instances(caller).remove(found.id, revision=found.revision, heard=self._heard(entry))
            except InstanceNotFound as error:
                raise NoSuchInstance(id_or_name) from error

    def _changed(self, caller: Caller, before: Instance, patch: Mapping[str, Any], entry: Entry) -> Instance:
        values, image = merged(before, patch)
        if "project_id" in values and values["project_id"] != before.project_id:
            self._require_project(caller, values["project_id"])
        instances = self._instances(caller)
        if "image" in patch and image is None:
            values |= {"image_id": None, "image_name": None}
        elif image == before.image_id:  # which may have been deleted since
            image = None
        if _claims(before, values):
            self._rules.require("set_instance_addresses", caller, _target(before))
        try:
            with _others_unnamed():
                return instances.change(
                    before.id, values, image=image, revision=before.revision, heard=self._heard(entry)
                )
        except InstanceNotFound as error:
            raise NoSuchInstance(before.id) from error

    def _seen(self, caller: Caller, id_or_name: str, rule: str, entry: Entry) -> Instance:
        found = self.get_to_change(caller, id_or_name)
        entry.named |= {"instance": found.id, "instance_name": found.name, "owner": found.project_id}
        self._rules.require(rule, caller, _target(found))
        return found

    def _within_sight(self, caller: Caller, id_or_name: str) -> Instance:
        lowered = id_or_name.lower()
        wanted = Wanted(id=lowered) if is_uuid(lowered) else Wanted(name=id_or_name)
        if not self._is_admin(caller):
            if caller.project_id is None:
                raise NoSuchInstance(id_or_name)
            wanted = replace(wanted, project_id=caller.project_id)
        found = self._lists.page(wanted, limit=1).found
        if not found:
            raise NoSuchInstance(id_or_name)
        return found[0]

    def _is_admin(self, caller: Caller) -> bool:
        return self._rules.allows("context_is_admin", caller, {})

    def _require_project(self, caller: Caller, project_id: str | None) -> None:
        if project_id != caller.project_id and not self._is_admin(caller):
            raise ProjectOfOthers

    def _instances(self, caller: Caller) -> Instances:
        return Instances(self._registry, self._lists, _Found(self._images(caller)))

    def _heard(self, entry: Entry) -> Heard:
        def heard(connection: Any, before: Instance | None, after: Instance | None) -> None:
            events = entry.moved(before, after)
            if events:
                self._outbox().keep(connection, events)

        return heard

    @contextmanager
    def _told(self, caller: Caller, action: str, id_or_name: str | None = None) -> Iterator[Entry]:
        """Tell the journal of what is done, also of what is refused."""
        with self._journal.entry(caller, action) as entry:
            if id_or_name is not None:
                entry.named["instance"] = id_or_name
            yield entry


class _Found:
    """The images that a caller sees, with what is said of those that it does not see."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def find(self, id_or_name: str) -> tuple[str, str]:
        """Return id and name of an image; raise ``ImageUnusable`` when none or several are meant."""
        try:
            return self._images.find(id_or_name)
        except (NotFound, Conflict) as error:
            raise ImageUnusable(id_or_name, several=isinstance(error, Conflict)) from error

    def used(self, image_id: str) -> None:
        """Note that the image is used."""
        self._images.used(image_id)


@contextmanager
def _others_unnamed() -> Iterator[None]:
    try:
        yield
    except InstanceExists as error:
        raise Taken(error.what, error.value) from error


def _claims(before: Instance, values: Mapping[str, Any]) -> bool:
    """Return whether a change says that an instance is known by something else."""
    addresses = {canonical(each) for each in values.get("addresses", before.addresses)}
    return set(before.addresses) != addresses or values.get("serial", before.serial) != before.serial


def _target(instance: Instance) -> dict[str, Any]:
    """Return the instance as policy rules see it."""
    return target_of(instance.project_id, id=instance.id, name=instance.name)
