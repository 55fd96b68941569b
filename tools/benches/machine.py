"""Where and of what a run was made: figures of two machines, or of two versions, do not compare."""

from __future__ import annotations

import os
import platform
import shutil
import ssl
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

_CHECKOUT = Path(__file__).resolve().parent.parent.parent
_LIBRARIES = ("headwater", "httptools", "starlette", "uvloop", "sqlalchemy", "msgspec")


def describe(data_dir: Path) -> dict[str, Any]:
    """Return what the figures depend on; ``data_dir`` says which disk."""
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1),
        "load_before": os.getloadavg()[0],
        "kernel": platform.release(),
        "file_system": _file_system(data_dir),
        "disk_free_gib": round(shutil.disk_usage(data_dir).free / (1 << 30), 1),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "versions": {name: version(name) for name in _LIBRARIES},
        "commit": _commit(),
    }


def _field(file: str, name: str) -> str | None:
    for line in Path(file).read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _file_system(directory: Path) -> str | None:
    """Return the type of the file system: that of the longest mount point above ``directory``."""
    found: tuple[str, str | None] = ("", None)
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        _, point, kind, *_ = line.split()
        if directory.resolve().is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]


def _commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run(
        [git, "describe", "--always", "--dirty"], cwd=_CHECKOUT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None
