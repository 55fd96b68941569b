"""Look at every file of the repository for what must not be in it.

Lock files and scripts name no place to download from, nothing depends on one machine's
directories, and large files stay out of the history. Files that git ignores are not looked at.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LARGEST = 1 << 20  # bytes
# Directories of the checkout that are made by targets and tools.
MADE = frozenset(
    {
        ".venv",
        ".venv-clients",
        ".venv-keystone",
        ".venv-barbican",
        ".venv-neutron",
        ".venv-glance",
        ".venv-swift",
        ".venv-simplestreams",
        ".venv-conformance",
        ".venv-audit",
    }
    | {".cache", "data", "dist"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache"}
)

# In parts, so that this file does not find itself.
HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("deb", "debian", "org"),
        ("snapshot", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("security", "ubuntu", "com"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("unpkg", "com"),
        ("jsdelivr", "net"),
        ("cdnjs", "cloudflare", "com"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
    )
)
_HOST = re.compile(r"(?<![\w-])(?:[\w-]+\.)*(" + "|".join(re.escape(host) for host in HOSTS) + r")(?![\w-])", re.I)
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.I)
# Homes of people (the home that an image gives to its own user is no machine's), and siblings of the checkout.
_MACHINE = re.compile(r"(?<![\w.~-])(/r[o]ot/(?!\.ssh)[\w.]\S*|/h[o]me/(?!ubuntu\b|debian\b)\w\S*|/U[s]ers/\w\S*)")
_SIBLING = re.compile(r"\.\./sh[a]red\b")


def problems(name: str, content: bytes, checkout: Path) -> Iterator[str]:
    """Yield one sentence for each thing in a file that must not be there.

    Args:
        name: Path below the checkout, with ``/``.
        checkout: Where the checkout is on this machine; its path must not be in any file.
    """
    if len(content) > LARGEST:
        yield f"{name}: {len(content)} bytes; a file of the repository has at most {LARGEST}"
    if b"\0" in content:
        return
    own_path = re.compile(re.escape(str(checkout)) + r"(?![\w-]|\.\w)") if len(checkout.parts) > 2 else None
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        if found := _HOST.search(line):
            yield f"{name}:{number}: names the package host {found[1]}"
        if name.startswith("requirements/") and (found := _ADDRESS.search(line)):
            yield f"{name}:{number}: a requirement file names no address, and this is one: {found[0]}"
        if found := _MACHINE.search(line):
            yield f"{name}:{number}: depends on a directory of one machine: {found[0]}"
        if (own_path and own_path.search(line)) or _SIBLING.search(line):
            yield f"{name}:{number}: depends on where this checkout lies"


def files(checkout: Path) -> list[str]:
    """Return the files that git keeps or would add; without git, all that no target makes."""
    if (checkout / ".git").exists():
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=checkout,
            stdout=subprocess.PIPE,
            check=True,
        )
        names = listing.stdout.decode("utf-8", "surrogateescape").split("\0")
    else:
        names = [
            path.relative_to(checkout).as_posix()
            for top in checkout.iterdir()
            if top.name not in MADE
            for path in (top.rglob("*") if top.is_dir() else [top])
            if "__pycache__" not in path.parts
        ]
    return sorted(name for name in names if name and (checkout / name).is_file())


def main() -> int:
    checkout = Path(__file__).resolve().parent.parent
    found = [
        problem for name in files(checkout) for problem in problems(name, (checkout / name).read_bytes(), checkout)
    ]
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
