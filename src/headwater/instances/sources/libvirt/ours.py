"""What a domain's ``<metadata>`` says for us: all that libvirt itself does not know of a machine.

An element ``instance`` of the namespace below, with these elements, of the same namespace or of none::

    <hostname> <project-id> <availability-zone> <instance-type> <image>    once
    <user-data>, with encoding="base64" for any bytes                      once
    <address> <ssh-key> <meta key="…">                                     any number of times

``virsh metadata DOMAIN urn:headwater:instance:1 --key headwater --set '<instance>…</instance>'`` writes it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element

from headwater.instances.errors import InstanceInvalid

NAMESPACE: Final = "urn:headwater:instance:1"
_OF = f"{{{NAMESPACE}}}"
_ONCE = {
    "hostname": "hostname",
    "project-id": "project_id",
    "availability-zone": "availability_zone",
    "instance-type": "instance_type",
    "image": "image",
}
_MANY = {"address": "addresses", "ssh-key": "ssh_keys"}
_NAMES = (*_ONCE, *_MANY, "user-data", "meta")


def said(domain: Element) -> Mapping[str, Any]:
    """Return what is said, by the names of ``Description``'s fields, and ``image``; what is not said is not in it.

    Raises:
        InstanceInvalid: Something is said that nobody understands, or twice.
    """
    found: dict[str, Any] = {}
    for child in _children(domain):
        name = child.tag.removeprefix(_OF)
        if name not in _NAMES:
            raise InstanceInvalid("metadata", f"<{name[:64]}> is unknown; there is <{'>, <'.join(_NAMES)}>")
        if len(child):
            raise InstanceInvalid("metadata", f"<{name}> holds an element, and not a text")
        text = (child.text or "").strip()
        if name == "meta":
            _put(found.setdefault("meta", {}), child.get("key") or "", child.text or "", "<meta key>")
        elif name in _MANY:
            found.setdefault(_MANY[name], []).append(text)
        elif name == "user-data":
            _put(found, "user_data", _bytes(child), "<user-data>")
        else:
            _put(found, _ONCE[name], text, f"<{name}>")
    return found


def _children(domain: Element) -> Iterator[Element]:
    metadata = domain.find("metadata")
    if metadata is None:
        return
    known = [element for element in metadata if element.tag == f"{_OF}instance"]
    if len(known) > 1:
        raise InstanceInvalid("metadata", f"<instance> of {NAMESPACE} stands there twice")
    for element in known:
        yield from element


def _put(into: dict[str, Any], key: str, value: object, name: str) -> None:
    if key in into:
        raise InstanceInvalid("metadata", f"{name} {key if name == '<meta key>' else ''} stands there twice")
    into[key] = value


def _bytes(element: Element) -> bytes:
    """Return user data byte for byte; whoever indents it writes base64."""
    coding, text = element.get("encoding", "text"), element.text or ""
    if coding == "text":
        return text.encode()
    if coding != "base64":
        raise InstanceInvalid("metadata", f"<user-data encoding> is 'text' or 'base64', and not {coding[:32]!r}")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InstanceInvalid("metadata", "<user-data> is no base64") from error
