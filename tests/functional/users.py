"""Users from a file: the quickest real way to have several projects and roles at one service."""

from __future__ import annotations

import base64
from pathlib import Path

import bcrypt

PASSWORD = "pass:wörd"


def users_file(directory: Path, **users: tuple[str, str]) -> str:
    """Write users with their project and roles; return the settings that let them in."""
    hash_ = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    file = directory / "users"
    file.write_text("".join(f"{name}:{hash_}:{project}:{roles}\n" for name, (project, roles) in users.items()))
    return f'[auth]\nmode = "basic"\nhtpasswd_file = "{file}"\n'


def proof(user: str) -> dict[str, str]:
    """Return the header with which ``user`` comes in."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()}
