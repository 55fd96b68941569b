"""What a real Nova takes as properties of images: run by a Python that has it, with what to try on standard input.

It prints ``{"names": [...], "values": [[NAME, VALUE, TAKEN], ...]}``: every property that it reads, present and former
names, and of those that have a form of their own each value with which it was tried.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from nova.objects import fields, image_meta

_READ = image_meta.ImageMetaProps.fields
_FORMER = {**image_meta.ImageMetaProps._legacy_property_map, "vmware_adaptertype": "hw_scsi_model"}
_ITS_OWN = {"traits_required"}  # what it makes of others


def taken(name: str, value: str) -> bool:
    """Whether Nova starts a machine from an image that has this property."""
    try:
        image_meta.ImageMetaProps.from_dict({name: value})
    except Exception:  # noqa: BLE001 - it raises errors of several kinds, its own and Python's
        return False
    return True


def candidates(name: str, asked: dict[str, Any]) -> Iterator[str]:
    """Yield values for a property: of lists all that Nova has in any of its lists, in several cases."""
    field = _READ[_FORMER.get(name, name)]
    if isinstance(field, fields.IntegerField):
        yield from asked["numbers"]
    elif isinstance(field, fields.BaseEnumField):
        yield from asked["words"]
        for word in {word for each in _READ.values() for word in words(each)}:
            yield from (word, word.upper(), word.capitalize(), f"{word}x")


def words(field: Any) -> tuple[str, ...]:
    """Return the words of a field that has a list."""
    return tuple(field.valid_values) if isinstance(field, fields.BaseEnumField) else ()


def main() -> None:
    """Answer what was asked."""
    asked = json.load(sys.stdin)
    names = sorted({*_READ, *_FORMER} - _ITS_OWN)
    values = [[name, value, taken(name, value)] for name in names for value in sorted(set(candidates(name, asked)))]
    values += [[name, value, taken(name, value)] for name, tried in asked["forms"].items() for value in tried]
    json.dump({"names": names, "values": values}, sys.stdout)


main()
