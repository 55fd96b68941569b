"""Kinds of guest: the words that images have for them in the Image API, and Juju's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

KVM: Final = "kvm"
LXD: Final = "lxd"

# Juju's words for the kinds of guest where it has its own; the glance sync writes the same.
_VIRTS: Final[Mapping[str, str]] = MappingProxyType({"": KVM, "qemu": KVM, "lxc": LXD})
WORD: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")  # kinds of guest, and streams


def virt_of(guest: str) -> str | None:
    """Return Juju's word for a kind of guest, given in the Image API's words or in its own; ``None`` for no word."""
    virt = guest.strip().lower()
    virt = _VIRTS.get(virt, virt)
    return virt if WORD.fullmatch(virt) else None
