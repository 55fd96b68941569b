"""cloud-init's own schema of cloud-configs, read where a cloud-init is installed: it is not ours to pass on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft4Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match

from headwater.instances.user_data.cloud_config.rules import BY_SCHEMA
from headwater.instances.user_data.errors import SchemaUnusable
from headwater.instances.user_data.faults import Fault, broken

_FILE: Final = "cloudinit/config/schemas/schema-cloud-config-v1.json"
_PLACES: Final = ("python3/dist-packages", "python3*/site-packages")  # below /usr/lib
_MOST: Final = 50  # faults that are told
_UNDER: Final = Path("/usr/lib")


class Schema:
    """The schema of one release of cloud-init."""

    def __init__(self, file: Path) -> None:
        """Read ``file``.

        Raises:
            SchemaUnusable: It is not there, or no schema.
        """
        self.file = file
        try:
            schema = json.loads(file.read_bytes())
            Draft4Validator.check_schema(schema)
        except OSError as error:
            raise SchemaUnusable(str(file), error.strerror or str(error)) from error
        except (ValueError, RecursionError, SchemaError) as error:
            raise SchemaUnusable(str(file), "it is no JSON schema") from error
        self._validator = Draft4Validator(schema)

    def faults_of(self, document: Any) -> list[Fault]:
        """Return what the schema refuses in the document of a cloud-config, ``_MOST`` faults at most."""
        found: dict[tuple[str, str], Fault] = {}
        for error in self._validator.iter_errors(document):
            deepest = best_match([error]) or error
            path = _written(deepest.absolute_path)
            fault = broken(BY_SCHEMA, path=path, problem=_problem(deepest))
            found.setdefault((path, fault.sentence), fault)
            if len(found) == _MOST:
                break
        return list(found.values())


def installed(under: Path = _UNDER) -> Path | None:
    """Return the schema of the cloud-init that is installed here, if one is."""
    return next((file for file in _files(under) if file.is_file()), None)


def _files(under: Path) -> Iterator[Path]:
    for place in _PLACES:
        yield from sorted(under.glob(f"{place}/{_FILE}"))


def _written(path: Sequence[Any]) -> str:
    words = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return "".join(words).removeprefix(".")


def _problem(error: ValidationError) -> str:
    """Return what is wrong without what was found: that may be a secret."""
    wanted: Any = error.validator_value
    found: Any = error.instance
    match error.validator:
        case "type":
            return f"it must be {' or '.join(wanted) if isinstance(wanted, list) else wanted}"
        case "enum":
            return f"it must be one of {', '.join(map(str, wanted))}"
        case "required":
            return f"it needs {', '.join(key for key in wanted if key not in found)}"
        case "additionalProperties":
            known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
            return f"it does not know {', '.join(sorted(str(key) for key in found if key not in known))}"
        case "anyOf" | "oneOf":
            return "it has none of the forms that are allowed"
        case other:
            return f"it is against {other} {json.dumps(wanted)[:80]}"
