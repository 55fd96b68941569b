"""What we tell the machines, kept in files, so that every change of it is seen: one file for each machine.

``cd tests && ../.venv/bin/python -m beside_nova.kept`` writes them anew; look at what that changes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from beside_nova import ours
from beside_nova.machines import Machine, machines

DIRECTORY = Path(__file__).resolve().parent.parent / "data" / "machines"
_SHOWN = 2000  # bytes of a body


def file_of(name: str) -> Path:
    return DIRECTORY / f"{name.replace(' ', '-')}.json"


def text_of(machine: Machine) -> str:
    """Return all documents and files of a machine, each once, with the paths that lead to it."""
    found: dict[str, dict[str, Any]] = {}
    for path, document in ours.documents(machine).items():
        facts = {"type": document.content_type, "body": _readable(document.read(bytes))}
        found.setdefault(json.dumps(facts), {"paths": [], **facts})["paths"].append(path)
    drive: dict[str, dict[str, Any]] = {}
    for path, data in ours.drive(machine).items():
        body = _readable(data)
        drive.setdefault(json.dumps(body), {"paths": [], "body": body})["paths"].append(path)
    told = {"documents": _entries(found.values()), "config drive": _entries(drive.values())}
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _entries(each: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**entry, "paths": " ".join(entry["paths"])} for entry in each]


def _readable(body: bytes) -> Any:
    if len(body) > _SHOWN:
        return {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    try:
        return body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


if __name__ == "__main__":
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for file in DIRECTORY.glob("*.json"):
        file.unlink()
    for name, machine in machines().items():
        file_of(name).write_text(text_of(machine))
