"""The JSON Schemas that the API promises, and validation of what callers send.

``is_base`` decides what Nova and Cinder take for a property of the user's: an attribute that is listed
here is a base attribute unless it says ``"is_base": false``. Only base attributes are listed, so every
other key (``os_distro``, ``architecture``, …) reaches Nova among the properties.
Source: Glance 33's live schemas; python-glanceclient's ``SchemaProperty.is_base``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import Any

from jsonschema import Draft4Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

from headwater.errors import Invalid
from headwater.images.model import Status, Visibility
from headwater.images.settings import ImagesSettings

UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"

# In Glance's order.
_STATUSES = [
    status.value
    for status in (
        Status.QUEUED,
        Status.SAVING,
        Status.ACTIVE,
        Status.KILLED,
        Status.DELETED,
        Status.UPLOADING,
        Status.IMPORTING,
        Status.PENDING_DELETE,
        Status.DEACTIVATED,
    )
]


class SchemaViolation(Invalid):
    """A document is not what its schema allows."""

    def __init__(self, schema: str, place: str, problem: str) -> None:
        at = f" at {place!r}" if place else ""
        super().__init__(f"Provided object does not match schema '{schema}'{at}: {problem}")
        self.schema, self.place = schema, place


class ImageSchemas:
    """The schemas of one deployment: its formats are part of them."""

    def __init__(self, settings: ImagesSettings) -> None:
        self._settings = settings

    @cached_property
    def image(self) -> dict[str, Any]:
        """The schema of one image."""
        return {
            "name": "image",
            "properties": self._properties(),
            "additionalProperties": {"type": "string"},
            "links": [
                {"rel": "self", "href": "{self}"},
                {"rel": "enclosure", "href": "{file}"},
                {"rel": "describedby", "href": "{schema}"},
            ],
        }

    @cached_property
    def images(self) -> dict[str, Any]:
        """The schema of a page of images."""
        return {
            "name": "images",
            "properties": {
                "images": {"type": "array", "items": self.image},
                "first": {"type": "string"},
                "next": {"type": "string"},
                "schema": {"type": "string"},
            },
            "links": [
                {"rel": "first", "href": "{first}"},
                {"rel": "next", "href": "{next}"},
                {"rel": "describedby", "href": "{schema}"},
            ],
        }

    def require_image(self, document: dict[str, Any]) -> None:
        """Return when ``document`` may be an image's writable attributes.

        Raises:
            SchemaViolation: Says which key is wrong, and what it should be.
        """
        for name in document:
            if len(name) > 255:
                raise SchemaViolation("image", name[:40] + "…", "the name of a property has 255 characters at most")
            if not name or "\x00" in name:
                raise SchemaViolation("image", name, "the name of a property is not empty and holds no NUL")
        require_match("image", self._validator, document)

    def require_locations(self, locations: list[Any]) -> None:
        """Return when ``locations`` may be a list of locations, or raise ``SchemaViolation``."""
        problem = best_match(islice(self._location_validator.iter_errors(locations), _PROBLEMS))
        if problem is not None:
            place = "/".join(["locations", *(str(part) for part in problem.absolute_path)])
            raise SchemaViolation("image", place, _shortened(problem.message))

    @cached_property
    def _location_validator(self) -> Draft4Validator:
        return Draft4Validator(self.image["properties"]["locations"])

    @cached_property
    def _validator(self) -> Draft4Validator:
        schema = self.image
        # The promised pattern is JSON Schema's; to Python its "$" also fits before a last line end.
        identifier = {**schema["properties"]["id"], "pattern": UUID.removesuffix("$") + r"\Z"}
        return _Quick(
            {
                **schema,
                "properties": {**schema["properties"], "id": identifier},
                "additionalProperties": {"type": "string", "pattern": _NO_NUL},
            }
        )

    def _properties(self) -> dict[str, Any]:
        def text(description: str, **more: Any) -> dict[str, Any]:
            return {"type": "string", "description": description, **more}

        def optional(kind: str, description: str, **more: Any) -> dict[str, Any]:
            return {"type": ["null", kind], "description": description, **more}

        read_only = {"readOnly": True}
        return {
            "id": text("An identifier for the image", pattern=UUID),
            "name": optional("string", "Descriptive name for the image", maxLength=255, pattern=_NO_NUL),
            "status": text("Status of the image", enum=_STATUSES, **read_only),
            "visibility": text(
                "Scope of image accessibility", enum=sorted(visibility.value for visibility in Visibility)
            ),
            "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
            "os_hidden": {"type": "boolean", "description": "If true, image will not appear in default image list."},
            "checksum": optional("string", "md5 hash of image contents.", maxLength=32, **read_only),
            "os_hash_algo": optional("string", "Algorithm to calculate the os_hash_value", maxLength=64, **read_only),
            "os_hash_value": optional(
                "string",
                "Hexdigest of the image contents using the algorithm specified by os_hash_algo",
                maxLength=128,
                **read_only,
            ),
            "owner": optional("string", "Owner of the image", maxLength=255, pattern=_NO_NUL),
            "size": optional("integer", "Size of image file in bytes", **read_only),
            "virtual_size": optional("integer", "Virtual size of image in bytes", **read_only),
            "container_format": optional(
                "string", "Format of the container", enum=[None, *self._settings.container_formats]
            ),
            "disk_format": optional("string", "Format of the disk", enum=[None, *self._settings.disk_formats]),
            "created_at": text("Date and time of image registration", **read_only),
            "updated_at": text("Date and time of the last image modification", **read_only),
            "tags": {
                "type": "array",
                "description": "List of strings related to the image",
                "items": {"type": "string", "maxLength": 255, "pattern": _NO_NUL},
            },
            "direct_url": text("URL to access the image file kept in external store", **read_only),
            "min_ram": _count("Amount of ram (in MB) required to boot image."),
            "min_disk": _count("Amount of disk space (in GB) required to boot image."),
            "self": text("An image self url", **read_only),
            "file": text("An image file url", **read_only),
            "schema": text("An image schema url", **read_only),
            "locations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "url": text("Where the data is", maxLength=255),
                        "metadata": {"type": "object", "description": "What there is to say of this place"},
                        "validation_data": {
                            "type": "object",
                            "description": "What the image's checksum and hash are to be, or are already",
                            "writeOnly": True,
                            "additionalProperties": False,
                            "properties": {
                                "checksum": text("md5 hash of image contents.", minLength=32, maxLength=32),
                                "os_hash_algo": text("Algorithm of the os_hash_value", maxLength=64),
                                "os_hash_value": text("Hexdigest of the image contents", maxLength=128),
                            },
                            "required": ["os_hash_algo", "os_hash_value"],
                        },
                    },
                    "required": ["url", "metadata"],
                },
                "description": "A set of URLs to access the image file kept in external store",
            },
            "stores": text("Store in which image data resides.", **read_only),
        }


# PostgreSQL cannot hold NUL in text, so no catalogue does.
_NO_NUL = r"^[^\x00]*$"


def require_match(name: str, validator: Draft4Validator, document: Any) -> None:
    """Return when ``document`` is what the schema called ``name`` allows.

    Raises:
        SchemaViolation: Says where it is wrong, and what it should be there.
    """
    # A document may be wrong in a million places, each of which costs more than to read it.
    problem = best_match(islice(validator.iter_errors(document), _PROBLEMS))
    if problem is not None:
        place = "/".join(str(part) for part in problem.absolute_path)
        raise SchemaViolation(name, place[:200], _shortened(problem.message))


_PROBLEMS = 100


def _items(validator: Any, items: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Judge the items of an array, but for texts that are plainly right."""
    if isinstance(instance, list) and isinstance(items, dict) and _is_text(items):
        longest = items.get("maxLength", float("inf"))
        for index, item in enumerate(instance):
            if not isinstance(item, str) or len(item) > longest or "\x00" in item:
                yield from validator.descend(item, items, path=index)
    else:
        yield from Draft4Validator.VALIDATORS["items"](validator, items, instance, schema)


def _additional(validator: Any, additional: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Judge the keys of an object that its schema does not name, but for texts that are plainly right."""
    if isinstance(instance, dict) and isinstance(additional, dict) and _is_text(additional):
        longest = additional.get("maxLength", float("inf"))
        named = schema.get("properties", {})
        instance = {
            name: value
            for name, value in instance.items()
            if name in named or not isinstance(value, str) or len(value) > longest or "\x00" in value
        }
    yield from Draft4Validator.VALIDATORS["additionalProperties"](validator, additional, instance, schema)


def _is_text(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "string" and schema.keys() <= _TEXT_KEYS and schema.get("pattern") in (None, _NO_NUL)


_TEXT_KEYS = {"type", "description", "maxLength", "pattern"}
# A body brings half a million texts, and to let the validator see one of them takes a hundred times longer than
# to see that it is right.
_Quick: type[Draft4Validator] = extend(  # type: ignore[no-untyped-call]  # it has no types
    Draft4Validator, {"items": _items, "additionalProperties": _additional}
)


def _count(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description, "minimum": 0, "maximum": 2**31 - 1}


def _shortened(message: str) -> str:
    return message if len(message) <= 400 else message[:400] + "…"
