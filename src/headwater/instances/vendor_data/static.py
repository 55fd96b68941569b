"""The file that every instance is told, unless its own record has vendor data: the record's then stands in its place.

Nothing is mixed: whoever reads the record knows what the guest gets, and ``{}`` there tells a guest nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from headwater.errors import SettingsError
from headwater.identity.watched_file import WatchedFile
from headwater.instances.errors import InstanceInvalid
from headwater.instances.model import Instance, require_vendor_data
from headwater.json_keys import twice

_LIMIT = 1 << 20  # bytes
_WHERE = "section [metadata.vendor_data], key 'file'"


@dataclass(frozen=True, slots=True)
class Static:
    """What the file says."""

    value: Any = field(default=None, compare=False)  # JSON: an object, a list or a text; None: there is no file
    digest: str = ""  # tells it from what it said before

    def told(self, instance: Instance) -> Instance:
        """Return the instance as its guest is told of it."""
        if self.value is None or instance.vendor_data is not None:
            return instance
        return replace(instance, vendor_data=self.value)


NOTHING = Static()


def opened(file: Path | None) -> WatchedFile[Static] | None:
    """Return the file, which is read now; ``None`` when there is none.

    Raises:
        SettingsError: It cannot be read, or guests could not; the message says where and what to do.
    """
    return None if file is None else WatchedFile(file, read)


def read(file: Path) -> Static:
    """Return what a file says.

    Raises:
        SettingsError: As ``opened`` says.
    """
    try:
        with file.open("rb") as opened_file:
            data = opened_file.read(_LIMIT + 1)
    except OSError as error:
        _refuse(file, f"cannot be read ({error.strerror}); make it, or take the key away", error)
    if len(data) > _LIMIT:
        _refuse(file, f"has more than {_LIMIT} bytes; let guests fetch the larger part from a URL")
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        _refuse(file, f"is no JSON at {place}: {error.msg}; correct it there", error)
    except UnicodeDecodeError as error:
        _refuse(file, f"is not UTF-8 text (byte {error.start}); write it anew as UTF-8", error)
    except (ValueError, RecursionError) as error:
        _refuse(file, f"holds what guests cannot read: {error}; take it out", error)
    if (problem := twice(data.decode("utf-8-sig"))) is not None:
        _refuse(file, f"is ambiguous: {problem}")
    try:
        if value is None:
            raise InstanceInvalid("vendor data", "must be a JSON object, list or text; guests break on anything else")
        require_vendor_data(value)
    except InstanceInvalid as error:
        _refuse(file, f"holds what guests cannot use: {error.problem}; correct it", error)
    return Static(value, hashlib.sha256(data).hexdigest())


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _refuse(file: Path, problem: str, cause: Exception | None = None) -> NoReturn:
    raise SettingsError(f"{_WHERE}: the file {file} {problem}") from cause
