"""Python modules that a distribution builds for its own Python, with the libraries that they need.

A virtual environment does not see them, so they are looked up where distributions keep them: the one that is named,
and nothing beside it. A Python of the same version loads them, whoever built it; another one cannot.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
PLACES = (
    Path("/usr/lib/python3/dist-packages"),  # Debian, Ubuntu
    Path(f"/usr/lib64/{_VERSION}/site-packages"),  # Fedora, CentOS, openSUSE
    Path(f"/usr/lib/{_VERSION}/site-packages"),
)


def module(name: str) -> Any:
    """Return a module of this environment, or else of the distribution.

    Raises:
        ImportError: There is none, or it does not load; says where it was looked for.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return _of_distribution(name)


def _of_distribution(name: str) -> Any:
    spec = PathFinder.find_spec(name, [str(place) for place in PLACES])
    if spec is None or spec.loader is None:
        others = sorted(str(path) for place in PLACES for path in place.glob(f"{name}.*.so"))
        raise ModuleNotFoundError(
            f"{others[0]} is for another Python than this {sys.implementation.cache_tag}"
            if others
            else f"there is no module '{name}' in {', '.join(map(str, PLACES))}"
        )
    found = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(found)
    except BaseException:
        del sys.modules[name]
        raise
    return found
