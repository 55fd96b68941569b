"""The distribution's Python modules for Ceph, ``rados`` and ``rbd``, which are in no package index."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from headwater import distribution
from headwater.errors import SettingsError


class NoCephBindings(SettingsError):
    """The modules are not here, or another Python's."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"a store of type 'rbd' needs the modules 'rados' and 'rbd' of the distribution: {reason}. Install them "
            "(on Debian or Ubuntu: sudo apt-get install python3-rados python3-rbd), and run Headwater with the "
            "distribution's Python (in a checkout: make clean, then make run PYTHON=/usr/bin/python3)"
        )


@dataclass(frozen=True, slots=True)
class CephBindings:
    """Both modules; neither has types."""

    rados: Any
    rbd: Any


@cache
def ceph_bindings() -> CephBindings:
    """Return the modules.

    Raises:
        NoCephBindings: They cannot be used here.
    """
    try:
        return CephBindings(
            distribution.module("rados"), distribution.module("rbd")
        )  # in this order: rbd imports rados
    except ImportError as error:
        raise NoCephBindings(str(error)) from error
