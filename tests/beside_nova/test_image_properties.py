"""Properties of images: what the shipped definitions take for right or wrong is what a real Nova takes or refuses."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from headwater.cli.commands.images.definitions import shipped
from headwater.client.linting.lint import lint
from needs import CHECKOUT, not_run

_PYTHON = CHECKOUT / ".venv-neutron" / "bin" / "python"  # Nova shares most of its packages with Neutron
_PROFILE = shipped()
# Words that no list of Nova's has, or that it takes for one of them.
_WORDS = (
    *("amd64", "i386", "x86_32p", "arm64", "x86-64", "xapi", "powervm", "pv", "hv", "baremetal", "nvme"),
    *("lsiLogicsas", "paraVirtual", "VirtualE1000", "VirtualVmxnet3", "VirtualSriovEthernetCard", "VirtualPCNet32"),
    *("<or> 1.2 <or> 2.0", "2", "none", "auto", "True", "required", ""),
)
_NUMBERS = ("0", "1", "4", "4.0", "four", "")
_FORMS = {
    "hw_numa_cpus.0": ("0", "0-3", "0-3,^1", "0,2", "x", "0-", "1;2"),
    "hw_numa_mem.0": ("512", "x", "1.5"),
    "img_hv_requested_version": (">=6.0", ">=6.0,<8", "== 1", "6.0", "=6", "x", ">="),
    "hypervisor_version_requires": (">=2", "2"),
}
# What a value may be for Nova and is found fault with here, and the other way round.
_STRICTER = {
    *(("hw_numa_nodes", "0"), ("vmware_adaptertype", "")),
    *((name, "0") for name in ("img_compression_level", "xenapi_image_compression_level")),
}
_NEWER = {("hw_disk_bus", "nvme")}


@pytest.fixture(scope="module")
def nova() -> dict[str, Any]:
    """What Nova says of its fields, and of a value of each."""
    if not _PYTHON.exists():
        not_run("Nova (.venv-neutron)")
    asked = {"words": _WORDS, "numbers": _NUMBERS, "forms": _FORMS}
    done = subprocess.run(
        [_PYTHON, Path(__file__).with_name("image_properties.py")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def findings(name: str, value: str) -> list[str]:
    return [f"{each.property} {each.problem}" for each in lint([{"id": "1", name: value}], _PROFILE, date(2026, 7, 20))]


def test_no_name_that_nova_reads_is_unknown(nova: dict[str, Any]) -> None:
    unknown = {name for name in nova["names"] if any("no property" in each for each in findings(name, "1"))}
    assert unknown == set()
    assert {"os_secure_boot", "hw_viommu_model", "hw_numa_nodes", "hypervisor_type"} <= set(nova["names"])


def test_a_value_is_wrong_here_where_nova_refuses_it(nova: dict[str, Any]) -> None:
    differing = [
        (name, value, taken)
        for name, value, taken in nova["values"]
        if taken == bool(findings(name, value)) and (name, value) not in _STRICTER | _NEWER
    ]
    assert differing == []
    assert len(nova["values"]) > 1000


def test_what_is_said_to_differ_does(nova: dict[str, Any]) -> None:
    said = {(name, value): taken for name, value, taken in nova["values"]}
    assert {pair for pair in _STRICTER if said[pair] and findings(*pair)} == _STRICTER
    assert {pair for pair in _NEWER if not said[pair] and not findings(*pair)} == _NEWER
