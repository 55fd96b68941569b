"""Who is asking, by what its hardware says: a path with its SMBIOS UUID, its serial number or a MAC address.

cloud-init writes them into ``ds=nocloud;s=http://HOST/seed/uuid/__dmi.system-uuid__/``, so that one argument, or one
image, serves many machines. None of them is a secret: such paths are there on networks that the settings trust alone.
"""

from __future__ import annotations

import re
import uuid

from headwater.instances.addresses import canonical_mac
from headwater.instances.callers.seeds import ROOT
from headwater.instances.errors import IdentifierUnknown, InstanceInvalid
from headwater.instances.model import SERIAL
from headwater.instances.names import is_uuid
from headwater.instances.registry.hardware import Identifier

_PATH = re.compile(rf"{ROOT}(uuid|serial|mac)/([^/]*)(?:/(.*))?", re.DOTALL)


def identifier_in(path: str) -> tuple[Identifier, str] | None:
    """Return what a path names its machine by, and what follows; ``None`` for a path of another kind.

    Raises:
        IdentifierUnknown: It names none, or what no machine has.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    kind, text, rest = found[1], found[2], found[3] or ""
    if kind == "uuid" and is_uuid(text.lower()):
        given = uuid.UUID(text)
        # Some firmware gives the first three fields as the little-endian numbers that SMBIOS 2.6 makes of them.
        return Identifier("uuid", tuple(dict.fromkeys((str(given), str(uuid.UUID(bytes=given.bytes_le)))))), rest
    if kind == "serial" and SERIAL.fullmatch(text):
        return Identifier("serial", (text,)), rest
    if kind == "mac":
        try:
            return Identifier("mac", (canonical_mac(text),)), rest
        except InstanceInvalid as error:
            raise IdentifierUnknown(kind, text) from error
    raise IdentifierUnknown(kind, text)
