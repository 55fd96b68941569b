"""Register, show, list and remove instances: the same for the command line and for whoever asks over HTTP.

What an instance is made of is read and checked by ``described``, which touches nothing; ``Instances`` looks at
the catalogue. So a caller can refuse what is wrong before anything is opened.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from headwater.clock import Clock, now
from headwater.instances.addresses import canonical
from headwater.instances.errors import InstanceChanged, InstanceInvalid
from headwater.instances.files import limits
from headwater.instances.keys import MOST_KEYS, Key, free_name, ssh_keys
from headwater.instances.lists.rows import Head, InstanceLists, Page
from headwater.instances.lists.wanted import EVERY, Wanted
from headwater.instances.model import File, Instance
from headwater.instances.names import hostname_from
from headwater.instances.network.data import canonical_network_data
from headwater.instances.registry.rows import Heard, InstanceRows, nobody
from headwater.instances.user_data.templates import facts, rendered

MOST_ADDRESSES = 1000  # of one machine; one statement looks whose they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What somebody says of an instance to be, as people write it; what is not said is decided here."""

    name: str
    id: str | None = None  # a UUID in either case; a new one if not given
    hostname: str | None = None  # made from the name if not given
    project_id: str | None = None
    addresses: Sequence[str] = ()
    ssh_keys: Sequence[str] = ()  # each one or more lines as in ``authorized_keys``
    user_data: bytes | None = None
    user_data_template: bytes | None = None  # in place of it: what this makes of the rest is the user data
    template_name: str | None = None  # of its file, as people know it
    vendor_data: Any = None
    network_data: Any = None
    meta: Mapping[str, str] = field(default_factory=dict)
    instance_type: str | None = None
    availability_zone: str | None = "nova"
    serial: str | None = None
    public_ipv4: str | None = None
    tokens: Literal["optional", "required"] = "optional"
    hop_limit: int | None = None
    files: Sequence[File] = ()


def described(said: Description, clock: Clock = now) -> Instance:
    """Return the instance that ``said`` describes; nothing is registered yet.

    Raises:
        InstanceInvalid: Something of it no guest could use.
        TemplateInvalid: The template of its user data fails.
    """
    instance_id = str(uuid.uuid4()) if said.id is None else said.id.lower()
    at = clock()
    instance = Instance(
        id=instance_id,
        name=said.name,
        hostname=hostname_from(said.name, instance_id) if said.hostname is None else said.hostname,
        created_at=at,
        updated_at=at,
        project_id=said.project_id,
        addresses=_addresses(said.addresses),
        keys=_keys(said.ssh_keys),
        user_data=said.user_data,
        vendor_data=said.vendor_data,
        meta=said.meta,
        instance_type=said.instance_type,
        availability_zone=said.availability_zone,
        serial=said.serial,
        public_ipv4=said.public_ipv4,
        tokens=said.tokens,
        hop_limit=said.hop_limit,
        network_data=None if said.network_data is None else canonical_network_data(said.network_data),
        files=limits.taken(said.files),
    )
    if said.user_data_template is None:
        return instance
    return replace(instance, user_data=rendered(said.user_data_template, facts(instance), said.template_name))


def changed(instance: Instance, said: Mapping[str, Any]) -> Instance:
    """Return an instance as ``said`` changes it; nothing is kept yet.

    Args:
        said: New values by the names of ``Description``'s fields, as people write them; ``None`` takes one away.
            What is not in it stays.

    Raises:
        InstanceInvalid: Something of it no guest could use.
    """
    values = dict(said)
    if "addresses" in values:
        values["addresses"] = _addresses(values["addresses"])
    if "ssh_keys" in values:
        certificates = tuple(key for key in instance.keys if key.type != "ssh")
        values["keys"] = (*_keys(values.pop("ssh_keys")), *certificates)
    if "files" in values:
        values["files"] = limits.taken(values["files"])
    if values.get("network_data") is not None:
        values["network_data"] = canonical_network_data(values["network_data"])
    return replace(instance, **values)


def _addresses(texts: Sequence[str]) -> tuple[str, ...]:
    if len(texts) > MOST_ADDRESSES:
        raise InstanceInvalid("addresses", f"{len(texts)} are more than the {MOST_ADDRESSES} that one machine may have")
    return tuple(canonical(text) for text in texts)


def _keys(texts: Sequence[str]) -> tuple[Key, ...]:
    """Return the keys of all texts; two of one name get different ones."""
    found: list[Key] = []
    for text in texts:
        for key in ssh_keys(text):
            found.append(replace(key, name=free_name(key.name, {other.name for other in found})))
            if len(found) > MOST_KEYS:
                raise InstanceInvalid("ssh keys", f"there are more than the {MOST_KEYS} that one machine may have")
    return tuple(found)


class Images(Protocol):
    """Who knows images: an instance keeps the id and the name of the one that it starts from."""

    def find(self, id_or_name: str, /) -> tuple[str, str]:
        """Return id and name of an image.

        Raises:
            NotFound, Conflict: None or several are meant.
        """
        ...

    def used(self, image_id: str, /) -> None:
        """Note that an instance uses the image, or did until now; nothing when it is gone."""
        ...


class Instances:
    """What may be done with instances; safe to use from several threads."""

    def __init__(self, registry: InstanceRows, lists: InstanceLists, images: Images) -> None:
        self._registry = registry
        self._lists = lists
        self._images = images

    def register(self, instance: Instance, *, image: str | None = None, heard: Heard = nobody) -> Instance:
        """Register what ``described`` returned, and return it as it is kept.

        Args:
            image: Id or name of the image that it starts from.
            heard: Hears of it in its transaction.

        Raises:
            NotFound, Conflict: ``image`` means none or several.
            InstanceExists: Its id, name or one of its addresses is taken.
            UserDataTooLarge, InstanceTooLarge: It is beyond a limit.
        """
        if image is not None:
            image_id, image_name = self._images.find(image)
            instance = replace(instance, image_id=image_id, image_name=image_name)
        self._registry.add(instance, heard=heard)
        self._note_use(instance)
        return instance

    def get(self, id_or_name: str) -> Instance:
        """Return one instance.

        Raises:
            InstanceNotFound: There is none of this id or name.
        """
        return self._registry.get(id_or_name)

    def all(self, wanted: Wanted = EVERY, *, after: str | None = None) -> Iterator[Instance]:
        """Yield instances by name, those after the name ``after``; see ``InstanceLists.all``."""
        return self._lists.all(wanted, after=after)

    def all_heads(self, wanted: Wanted = EVERY, *, after: str | None = None) -> Iterator[Head]:
        """Yield what tells instances from each other, by name, those after the name ``after``."""
        return self._lists.all_heads(wanted, after=after)

    def heads(self, wanted: Wanted = EVERY, *, after: str | None = None, limit: int) -> Page[Head]:
        """Return one page of it."""
        return self._lists.heads(wanted, after=after, limit=limit)

    def change(
        self,
        id_or_name: str,
        said: Mapping[str, Any],
        *,
        image: str | None = None,
        revision: int | None = None,
        heard: Heard = nobody,
    ) -> Instance:
        """Change an instance as ``changed`` says, and return it as it is kept.

        Args:
            image: Id or name of the image that it is said to start from.
            revision: The one that must be there; ``None``: whatever is.
            heard: Hears of it in its transaction; of nothing, when nothing changes.

        Raises:
            InstanceNotFound, NotFound, Conflict: There is no such instance, or ``image`` means none or several.
            InstanceInvalid: Something no guest could use.
            InstanceChanged: Another revision is there.
            InstanceExists: Its new name or one of its new addresses is taken.
            UserDataTooLarge, InstanceTooLarge: It is beyond a limit.
        """
        before = self._registry.get(id_or_name)
        if revision is not None and before.revision != revision:
            raise InstanceChanged(before.id, revision, before.revision)
        after = changed(before, said)
        if image is not None:
            image_id, image_name = self._images.find(image)
            after = replace(after, image_id=image_id, image_name=image_name)
        if after == before:
            return before
        kept = self._registry.replace(after, at=max(now(), before.updated_at + 1), heard=heard)
        for each in {before.image_id, after.image_id} - {None}:
            assert each is not None
            self._images.used(each)
        return kept

    def remove(self, id_or_name: str, *, revision: int | None = None, heard: Heard = nobody) -> Instance:
        """Forget an instance, and return what it was: from now on its guest gets 404.

        Args:
            revision: The one that must be there; ``None``: whatever is.
            heard: Hears of it in its transaction.

        Raises:
            InstanceNotFound: There is none of this id or name.
            InstanceChanged: Another revision is there.
        """
        removed = self._registry.remove(id_or_name, revision=revision, heard=heard)
        self._note_use(removed)
        return removed

    def _note_use(self, instance: Instance) -> None:
        if instance.image_id is not None:
            self._images.used(instance.image_id)
