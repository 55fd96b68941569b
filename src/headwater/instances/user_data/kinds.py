"""Of what kind user data is: guests tell by how it begins, and so do we. Pure rules, no I/O.

Source: cloud-init's handlers (the beginning counts in either case, after white space), cloudbase-init's
``userdatautils`` and ``userdata`` plugins, Ignition's and Butane's specifications.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

MARK: Final = b"\xef\xbb\xbf"  # of byte order, as Windows' editors write it before UTF-8
GZIP_MAGIC: Final = b"\x1f\x8b"
_BUTANE: Final = re.compile(rb"^variant:[ \t]*['\"]?[a-z0-9]+['\"]?[ \t]*\r?$", re.MULTILINE)
_BUTANE_VERSION: Final = re.compile(rb"^version:[ \t]*['\"]?[0-9]+\.[0-9]+\.[0-9]+", re.MULTILINE)
_MIME: Final = re.compile(
    rb"\A(?:[A-Za-z-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?(?:content-type|mime-version):", re.IGNORECASE
)
_CMD: Final = re.compile(rb"\Arem\s+cmd\s")
_PS1: Final = re.compile(rb"\A#(?:ps1|ps1_sysnative|ps1_x86)\s")
_EC2: Final = re.compile(rb"\A\s*<(?:script|powershell)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of user data, or of a part of it."""

    name: str
    mime: str | None  # as a part of several; None: it cannot be one
    begins: str  # as people are told of it
    about: str


_CLOUD_INIT: Final = (
    Kind("cloud-config", "text/cloud-config", "#cloud-config", "what cloud-init is to do, in YAML"),
    Kind("cloud-config-archive", "text/cloud-config-archive", "#cloud-config-archive", "several pieces, in YAML"),
    Kind("cloud-config-jsonp", "text/cloud-config-jsonp", "#cloud-config-jsonp", "JSON patches of a cloud-config"),
    Kind("script", "text/x-shellscript", "#!", "a script that runs at the end of the first boot"),
    Kind("include", "text/x-include-url", "#include", "URLs of more user data, one a line"),
    Kind("include-once", "text/x-include-once-url", "#include-once", "the same, fetched at the first boot only"),
    Kind("boothook", "text/cloud-boothook", "#cloud-boothook", "a script that runs early, at every boot"),
    Kind("part-handler", "text/part-handler", "#part-handler", "Python that takes parts of other types"),
    Kind("jinja2", "text/jinja2", "## template: jinja", "a template that the guest itself renders"),
)
_PARTS_ONLY: Final = (
    Kind("script-per-boot", "text/x-shellscript-per-boot", "", "a script that runs at every boot"),
    Kind("script-per-instance", "text/x-shellscript-per-instance", "", "a script that runs once for each instance"),
    Kind("script-per-once", "text/x-shellscript-per-once", "", "a script that runs once for each disk"),
)
PS1: Final = Kind("ps1", "text/x-shellscript", "#ps1", "PowerShell, for cloudbase-init")
CMD: Final = Kind("cmd", "text/x-shellscript", "rem cmd", "commands of cmd.exe, for cloudbase-init")
EC2_CONFIG: Final = Kind("ec2config", None, "<script> or <powershell>", "scripts as EC2's Windows has them")
CERTIFICATE: Final = Kind(
    "certificate", None, "-----BEGIN CERTIFICATE-----", "a certificate of a user, for cloudbase-init (WinRM)"
)
IGNITION: Final = Kind("ignition", None, '{"ignition": …}', "a config of Ignition, in JSON")
BUTANE: Final = Kind("butane", None, "variant: …", "what butane makes a config of Ignition from")
GZIP: Final = Kind("gzip", None, "the bytes 1F 8B", "something compressed")
MULTIPART: Final = Kind("multipart", None, "Content-Type: multipart/…", "several pieces in one")

KINDS: Final = (*_CLOUD_INIT, *_PARTS_ONLY, PS1, CMD, EC2_CONFIG, CERTIFICATE, IGNITION, BUTANE, GZIP, MULTIPART)
OF_CLOUD_INIT: Final = frozenset(kind.name for kind in (*_CLOUD_INIT, GZIP, MULTIPART))
_BY_NAME: Final = {kind.name: kind for kind in KINDS} | {"x-sh": next(k for k in KINDS if k.name == "script")}
# The longest first: ``#include-once`` begins with ``#include``.
_BY_BEGINNING: Final = sorted(((kind.begins.encode(), kind) for kind in _CLOUD_INIT), key=lambda each: -len(each[0]))


def is_ignition(data: bytes) -> bool:
    """Whether it is an object in JSON that says of which version of Ignition it is."""
    if not data.lstrip().startswith(b"{"):
        return False
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return re.match(rb'\s*\{\s*"ignition"\s*:', data) is not None  # broken, and meant to be one
    return isinstance(document, dict) and isinstance(document.get("ignition"), dict)


_TESTS: Final[tuple[tuple[Callable[[bytes], object], Kind], ...]] = (
    (lambda data: data.startswith(GZIP_MAGIC), GZIP),
    (_PS1.match, PS1),
    (_CMD.match, CMD),
    (_EC2.match, EC2_CONFIG),
    (lambda data: data.lstrip().startswith(b"-----BEGIN CERTIFICATE-----"), CERTIFICATE),
    (is_ignition, IGNITION),
    (_MIME.match, MULTIPART),
    (lambda data: _BUTANE.search(data) and _BUTANE_VERSION.search(data), BUTANE),
)


def kind_of(data: bytes) -> Kind | None:
    """Return the kind by which guests take user data, or a part of it; ``None``: they take it for nothing."""
    start = data[:64].lstrip().lower()
    for beginning, kind in _BY_BEGINNING:
        if start.startswith(beginning):
            return kind
    return next((kind for test, kind in _TESTS if test(data)), None)


def kind_named(name: str) -> Kind | None:
    """Return the kind of a name, such as ``cloud-config``, or of a MIME type."""
    return _BY_NAME.get(name) or next((kind for kind in KINDS if kind.mime == name), None)
