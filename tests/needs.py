"""What a test needs from outside the repository, and what happens when it is absent.

On somebody's machine a test whose server or client is missing is skipped, and the end of the run
lists it under NOT RUN with what would help. With ``CI`` in the environment it fails instead, so that
a suite never falls silent unnoticed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
PREFIX = "NOT RUN: "
# OpenSSL reads the certificates of all public authorities for each of its contexts, for 30 ms, and PyMySQL makes one
# for each connection. None of them answers in a test: programs are told of one authority, whose key is thrown away.
AUTHORITIES = {"SSL_CERT_FILE": str(CHECKOUT / "tests" / "data" / "nobody.pem")}

# Debian keeps programs for administrators out of the PATH of other users.
_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def is_required() -> bool:
    """Whether a missing thing is a failure."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def not_run(missing: str, remedy: str = "run 'make setup'") -> NoReturn:
    """End the present test or fixture because ``missing`` is not on this machine."""
    sentence = f"{PREFIX}{missing} is missing; {remedy}"
    if is_required():
        pytest.fail(f"{sentence} (CI is set, so that every suite must run)", pytrace=False)
    pytest.skip(sentence)


def program(name: str) -> Path:
    """Return where ``name`` is installed on this machine."""
    found = shutil.which(name, path=_SEARCH_PATH)
    if found is None:
        not_run(f"the program {name}")
    return Path(found)


def client(name: str) -> Path:
    """Return a program of ``.venv-clients``: ``openstack``, ``glance``, or ``python`` with openstacksdk in it."""
    found = CHECKOUT / ".venv-clients" / "bin" / name
    if not found.exists():
        not_run(f"the client {name} (.venv-clients)")
    return found


def simplestreams_tool(name: str) -> Path:
    """Return a program of ``.venv-simplestreams``: ``sstream-query`` or ``sstream-mirror``."""
    found = CHECKOUT / ".venv-simplestreams" / "bin" / name
    if not found.exists():
        not_run(f"the program {name} (.venv-simplestreams)")
    return found
