"""``headwater streams query`` and ``sstream-query`` of the simplestreams tools, asked the same of the same feeds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from headwater.cli.main import app
from needs import simplestreams_tool
from unit.streams.query import feeds


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return feeds.write(
        tmp_path_factory.mktemp("feeds"),
        ids=feeds.image_ids(),
        containers=feeds.containers(),
        boot=feeds.boot_files(),
        odd=odd(),
    )


def odd() -> dict[str, Any]:
    """Return products with all that is rare: aliases on every level and on aliases, names and types that do not fit."""
    return {
        "_aliases": {
            "lower": {"z": {"deep": "yes", "number": 5, "none": None, "list": [1]}},
            "crsn": {"A": {"region": "ra", "virt": "alias", "lower": "z", "own": None}},
            "label": {"daily": {"creator": "somebody"}},
            "license": {"free": {"url": "https://free.example"}},
        },
        "content_id": "odd",
        "creator": "nobody",
        "datatype": "image-ids",
        "big": 1e22,
        "flag": True,
        "format": "products:1.0",
        "license": "free",
        "small": -0.0,
        "products": {
            "z": {
                "label": "daily",
                "product_name": "wrong",
                "content_id": "other",
                "versions": {
                    "3": {"items": {"b": {"id": "1", "crsn": "A", "virt": "own", "own": "own"}, "a": {"id": "2"}}},
                    "10": {"items": {"a": {"id": "3", "flag": None, "item_name": "wrong", "big": 7, "creator": ""}}},
                    "2": {"label": "daily", "version_name": "wrong", "items": {"a": {"id": "4", "lower": "z"}}},
                    "1": {"items": {}},
                },
            },
            "a": {"versions": {}},
        },
    }


@pytest.mark.parametrize(
    "question",
    [
        [],
        ["--max=1"],
        ["--max=2", "arch!=arm64"],
        ["arch=amd64", "region~usee1", "root_store=ssd"],
        ["--max=1", "label=daily"],
        ["product_name~^z$", "version_name!=3"],
        ["content_id=other"],
        ["flag=True"],
        ["absent="],
        ["absent!~x"],
        ["ftype~(disk|root)", "release!~two"],
        ["creator=somebody"],
        ["region=ra", "virt=own"],
        ["krel=1.5"],
        ["datatype = image-downloads"],
    ],
    ids=" ".join,
)
def test_both_give_the_same_rows(index: Path, question: list[str]) -> None:
    reference = simplestreams_tool("sstream-query")
    options = [word for word in question if word.startswith("--")]
    command: list[str | Path] = [
        reference,
        "--no-verify",
        "--json",
        *options,
        index,
        *(word for word in question if word not in options),
    ]
    theirs = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    ours = CliRunner().invoke(app, ["streams", "query", "--json", str(index), *question])
    assert ours.exit_code == 0, ours.exception
    assert json.loads(ours.stdout) == json.loads(theirs)


def test_both_fill_a_format_string_alike(index: Path) -> None:
    text = "%(product_name)s %(version_name)-12s|%(item_name)20s %% %(content_id)s"
    words = ["-o", text, str(index), "content_id~."]
    command: list[str | Path] = [simplestreams_tool("sstream-query"), "--no-verify", *words]
    theirs = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, timeout=60).stdout
    assert CliRunner().invoke(app, ["streams", "query", *words]).stdout == theirs
