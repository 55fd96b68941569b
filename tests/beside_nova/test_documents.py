"""Two dozen machines: what we tell each is what a real Nova tells it, byte for byte, but for what is corrected."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from beside_nova import ours
from beside_nova.corrections import Corrected, Tree, Why
from beside_nova.machines import machines
from needs import CHECKOUT, not_run

MACHINES = machines()
_PYTHON = CHECKOUT / ".venv-neutron" / "bin" / "python"  # Nova shares most of its packages with Neutron
_SEED = re.compile(rb'"random_seed": "[A-Za-z0-9+/=]{684}"')
_NOT_LISTED = "/openstack/2012-08-10/network_data.json"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What Nova tells each machine."""
    if not _PYTHON.exists():
        not_run("Nova (.venv-neutron)")
    vendor_data = tmp_path_factory.mktemp("nova") / "vendor_data.json"
    vendor_data.write_text(json.dumps(ours.VENDOR_DATA))
    asked = [{**each, "paths": [*sorted(ours.documents(each)), _NOT_LISTED]} for each in MACHINES.values()]
    done = subprocess.run(
        [_PYTHON, Path(__file__).with_name("rendering.py")],
        input=json.dumps({"vendor_data_file": str(vendor_data), "machines": asked}),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(MACHINES, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("name", MACHINES)
def test_the_trees_are_as_novas(name: str, told: dict[str, dict[str, Any]]) -> None:
    machine = MACHINES[name]
    mine = {path: (each.content_type, each.read(bytes)) for path, each in ours.documents(machine).items()}
    assert {status for status, _, _ in told[name]["http"].values()} == {200, 404}
    same(mine, Corrected(machine, mine).http(trees(told[name])))


@pytest.mark.parametrize("name", MACHINES)
def test_the_config_drive_is_as_novas(name: str, told: dict[str, dict[str, Any]]) -> None:
    machine = MACHINES[name]
    same(ours.drive(machine), Corrected(machine, {}).drive(drive(told[name])))


def test_no_correction_is_left_that_nova_does_not_need(told: dict[str, dict[str, Any]]) -> None:
    used: Counter[Why] = Counter()
    for name, machine in MACHINES.items():
        mine = {path: (each.content_type, each.body) for path, each in ours.documents(machine).items()}
        corrected = Corrected(machine, mine, used)
        corrected.http(trees(told[name]))
        corrected.drive(drive(told[name]))
    assert set(used) == set(Why)


def trees(told: dict[str, Any]) -> Tree:
    http = told["http"]
    return {path: (kind, base64.b64decode(body)) for path, (status, kind, body) in http.items() if status == 200}


def drive(told: dict[str, Any]) -> dict[str, bytes]:
    return {path: base64.b64decode(data) for path, data in told["drive"].items()}


def same(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert sorted(mine) == sorted(theirs)
    for path, found in theirs.items():
        assert _without_seed(mine[path]) == _without_seed(found), path


def _without_seed(found: Any) -> Any:
    if isinstance(found, tuple):
        return found[0], _without_seed(found[1])
    return _SEED.sub(b'"random_seed": "..."', found)
