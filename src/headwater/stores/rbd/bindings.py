"""The distribution's Python modules for Ceph, ``rados`` and ``rbd``.

They are in no package index: a distribution builds them for its own Python, with the libraries that fit its cluster.
A virtual environment does not see them, so they are looked up where distributions keep them, these two files and
nothing beside them. A Python of the same version loads them, whoever built it; another one cannot.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

from headwater.errors import SettingsError

_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
PLACES = (
    Path("/usr/lib/python3/dist-packages"),  # Debian, Ubuntu
    Path(f"/usr/lib64/{_VERSION}/site-packages"),  # Fedora, CentOS, openSUSE
    Path(f"/usr/lib/{_VERSION}/site-packages"),
)


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
        return CephBindings(_module("rados"), _module("rbd"))  # in this order: rbd imports rados
    except ImportError as error:
        raise NoCephBindings(str(error)) from error


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return _module_of_distribution(name)


def _module_of_distribution(name: str) -> Any:
    spec = PathFinder.find_spec(name, [str(place) for place in PLACES])
    if spec is None or spec.loader is None:
        others = sorted(str(path) for place in PLACES for path in place.glob(f"{name}.*.so"))
        raise ModuleNotFoundError(
            f"{others[0]} is for another Python than this {sys.implementation.cache_tag}"
            if others
            else f"there is no module '{name}' in {', '.join(map(str, PLACES))}"
        )
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
