"""What an import may be asked for, and what an image shows of it while it goes on: pure rules.

Source: the Image API of OpenStack (Glance 33), section 7.3. Which import works on an image, and which stores are still
to come, are properties of the image that nobody but Headwater sets; clients wait for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headwater.database.documents import known
from headwater.errors import Conflict, Invalid
from headwater.fetching.url_filter import redacted
from headwater.images.locations.rules import Validation, checked
from headwater.images.model import Image, Status

DIRECT, WEB, COPY, REGION = "glance-direct", "web-download", "copy-image", "glance-download"
TASK = "os_glance_import_task"
COMING = "os_glance_importing_to_stores"
FAILED = "os_glance_failed_import"
_UUID = re.compile("[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
ALGORITHMS = ("sha256", "sha512", "sha384", "sha1", "md5")

_WAITS_IN = {DIRECT: Status.UPLOADING, WEB: Status.QUEUED, COPY: Status.ACTIVE, REGION: Status.QUEUED}


class BadImport(Invalid):
    """A body that asks for no import."""


class UnknownMethod(Invalid):
    """There is no such import method, or it is not offered here."""

    def __init__(self, name: object) -> None:
        super().__init__(f"Unknown import method name '{str(name)[:64]}'.")


class NotImportable(Conflict):
    """The image is not in the state in which this method begins."""

    def __init__(self, image: Image, reason: str) -> None:
        super().__init__(f"{reason} (image {image.id} is {image.status.value})")
        self.image_id, self.status = image.id, image.status


class FormatUnset(Conflict):
    """Nobody has said what the data will be."""

    def __init__(self, name: str) -> None:
        super().__init__(f"'{name}' needs to be set before import")
        self.name = name


class StoreNotFound(Conflict):
    """An import names a store that is not there."""

    def __init__(self, name: object) -> None:
        super().__init__(f"Store for identifier {str(name)[:64]} not found")


class StoreTakesNothing(Conflict):
    """An import names a store that can only be read."""

    def __init__(self, name: str, writable: Sequence[str]) -> None:
        super().__init__(f"Store {name} is read-only and takes no data; import to one of {', '.join(writable)}")
        self.name = name


class AlreadyThere(Invalid):
    """The image's data lies in the store that it is to be copied to."""

    def __init__(self, store: str) -> None:
        super().__init__(f"Image is already present at store '{store}'")
        self.store = store


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """An image that the Image service of another region has."""

    region: str
    interface: str
    image_id: str
    token: str | None = field(default=None, repr=False)  # of whoever asked, sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request to import says."""

    method: str
    url: str | None = field(default=None, repr=False)  # its query may hold a signature
    validation: Validation | None = None  # what the data's hash must be
    elsewhere: Elsewhere | None = None
    stores: tuple[str, ...] = ()  # none: the default store
    all_stores: bool = False
    all_must_succeed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to import, as a job keeps it."""

    task_id: str
    image_id: str
    method: str
    stores: tuple[str, ...]
    all_must_succeed: bool = True
    url: str | None = field(default=None, repr=False)  # its query may hold a signature
    validation: Validation | None = None  # what the data's hash must be
    elsewhere: Elsewhere | None = None
    roles: tuple[str, ...] = ()  # of whoever asked
    keeps_staged: bool = False  # what is staged stays, and the image waits for another import, where a store fails

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Order:
        """Return what ``dataclasses.asdict`` wrote down, maybe that of another release."""
        given = known(cls, document)
        said, elsewhere = given.get("validation"), given.get("elsewhere")
        lists = {"stores": tuple(given["stores"]), "roles": tuple(given.get("roles", ()))}
        parts = {
            "validation": Validation(**said) if said else None,
            "elsewhere": Elsewhere(**known(Elsewhere, elsewhere)) if elsewhere else None,
        }
        return cls(**{**given, **lists, **parts})


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores that an import may name."""

    names: tuple[str, ...]  # all of them
    writable: tuple[str, ...]
    default: str  # takes what names none

    @property
    def is_one(self) -> bool:
        """There is nothing to choose, whatever reads beside the one that takes data."""
        return len(self.writable) == 1

    def meant(self, asked: Asked) -> tuple[str, ...]:
        """Return the stores that a request means.

        Raises:
            StoreNotFound: One of them is not there.
            StoreTakesNothing: None of them takes data, or one that has to does not.
            BadImport: It asks for something that needs several stores.
        """
        if self.is_one:
            # Source: tempest says "all_stores" to every service, and Glance takes it.
            if not asked.all_must_succeed:
                raise BadImport("All_stores_must_succeed can only be set with enabled_backends None")
            return (self.default,)
        if asked.all_stores:
            return self.writable
        for name in asked.stores:
            if name not in self.names:
                raise StoreNotFound(name)
        read_only = [name for name in asked.stores if name not in self.writable]
        if read_only and (asked.all_must_succeed or len(read_only) == len(asked.stores)):
            raise StoreTakesNothing(read_only[0], self.writable)
        return asked.stores or (self.default,)


def asked_in(document: Mapping[str, Any], header: str | None, methods: Sequence[str]) -> Asked:
    """Read the body of a request.

    Args:
        header: X-Image-Meta-Store, which names one store.
        methods: Those that are offered.

    Raises:
        BadImport, UnknownMethod, InvalidLocation: It asks for nothing that could be done.
    """
    method = document.get("method")
    if not isinstance(method, dict):
        raise BadImport("Import request requires a 'method' field.")
    name = method.get("name")
    if name is None:
        raise BadImport("Import request requires a 'name' field.")
    if name not in methods:
        raise UnknownMethod(name)
    url = method.get("uri")
    if url is not None and not isinstance(url, str):
        raise BadImport("'uri' must be a string")
    return Asked(
        method=name,
        url=url,
        validation=_validation(method) if name == WEB else None,
        elsewhere=_elsewhere(method) if name == REGION else None,
        stores=_stores(document, header),
        all_stores=_flag(document, "all_stores", otherwise=False),
        all_must_succeed=_flag(document, "all_stores_must_succeed", otherwise=True),
    )


def told(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body as tasks show it: whoever sees the image sees its tasks, and a URL may hold a signature."""
    method = document["method"]
    if isinstance(method.get("uri"), str):
        method = {**method, "uri": redacted(method["uri"])}
    return {**document, "method": method}


def require_importable(asked: Asked, image: Image) -> None:
    """Raise ``NotImportable`` or ``FormatUnset`` unless the image waits for an import of this method."""
    if image.status is Status.ACTIVE and asked.method != COPY:
        raise NotImportable(image, "Image with status active cannot be target for import")
    if image.status is not _WAITS_IN[asked.method]:
        reason = {
            DIRECT: "Image needs to be staged before 'glance-direct' method can be used",
            WEB: "Image needs to be in 'queued' state to use 'web-download' method",
            COPY: "Only images with status active can be targeted for copying",
            REGION: "Image needs to be in 'queued' state to use 'glance-download' method",
        }
        raise NotImportable(image, reason[asked.method])
    if asked.method == REGION:  # the formats come along
        return
    for name in ("container_format", "disk_format"):
        if getattr(image, name) is None:
            raise FormatUnset(name)


def importing(image: Image, task_id: str, stores: Sequence[str], now: int) -> Image:
    """Return the image while a task brings it to stores; an active one stays active."""
    after = image if image.status is Status.ACTIVE else image.moved_to(Status.IMPORTING)
    marks = {TASK: task_id, COMING: ",".join(stores), FAILED: ""}
    return _touched(image, after, now, marks)


def formats(image: Image) -> tuple[str | None, str | None]:
    """Return as what the image's data is inspected."""
    return image.disk_format, image.container_format


def changed_alike(image: Image, before: Image, after: Image) -> Image:
    """Return the image with the formats and properties that are others in ``after`` than they were in ``before``."""
    gone = before.properties.keys() - after.properties.keys()
    properties = {name: value for name, value in image.properties.items() if name not in gone}
    properties |= {name: value for name, value in after.properties.items() if before.properties.get(name) != value}
    return replace(image, disk_format=after.disk_format, container_format=after.container_format, properties=properties)


def imported(image: Image, now: int, failed: Sequence[str] = ()) -> Image:
    """Return the image after its import, whatever came of it; what became of its data is for others to say.

    Source: Nova and tempest wait until nothing is to come, and read what failed then; so both stay, and are empty.
    """
    properties = {name: value for name, value in image.properties.items() if name != TASK}
    return _touched(image, replace(image, properties=properties), now, {COMING: "", FAILED: ",".join(failed)})


def is_imported_by(image: Image, task_id: str) -> bool:
    """Return whether it is this task that works on the image."""
    return image.properties.get(TASK) == task_id


def _touched(before: Image, after: Image, now: int, marks: Mapping[str, str]) -> Image:
    properties = {**after.properties, **marks}
    return replace(after, properties=properties, updated_at=max(now, before.updated_at + 1))


def _stores(document: Mapping[str, Any], header: str | None) -> tuple[str, ...]:
    named = document.get("stores")
    if named is not None and header is not None:
        raise BadImport("'stores' parameter and 'x-image-meta-store' header can't be both specified")
    if (named or header is not None) and document.get("all_stores"):
        raise BadImport("'stores' or 'x-image-meta-store' cannot be set beside 'all_stores'")
    if header is not None:
        return (header,)
    # Source: Glance goes through a string letter by letter too.
    if named is not None and not (isinstance(named, list | str) and all(isinstance(each, str) for each in named)):
        raise BadImport("'stores' must be a list of the names of stores")
    return tuple(dict.fromkeys(named or ()))


def _flag(document: Mapping[str, Any], name: str, *, otherwise: bool) -> bool:
    value = document.get(name, otherwise)
    if not isinstance(value, bool):
        raise BadImport(f"'{name}' must be boolean value only")
    return value


def _elsewhere(method: Mapping[str, Any]) -> Elsewhere:
    said = {name: method.get(name) for name in ("glance_region", "glance_image_id")}
    said["glance_service_interface"] = method.get("glance_service_interface", "public")
    for name, value in said.items():
        if not isinstance(value, str) or not 0 < len(value) <= 255:
            raise BadImport(f"Import request requires a '{name}' field of 1 to 255 characters.")
    image_id = str(said["glance_image_id"])
    if not _UUID.fullmatch(image_id):
        raise BadImport(f"Remote image id does not look like a UUID: {image_id}")
    return Elsewhere(
        region=str(said["glance_region"]), interface=str(said["glance_service_interface"]), image_id=image_id.lower()
    )


def _validation(method: Mapping[str, Any]) -> Validation | None:
    algorithm, value = method.get("os_hash_algo"), method.get("os_hash_value")
    if algorithm is None and value is None:
        return None
    if algorithm not in ALGORITHMS:
        raise BadImport(f"os_hash_algo, beside os_hash_value, is one of {', '.join(ALGORITHMS)}")
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-fA-F]+", value):
        raise BadImport("os_hash_value, beside os_hash_algo, is written in hexadecimal digits")
    return checked(Validation(algorithm, value.lower()))
