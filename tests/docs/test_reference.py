"""The reference says what the code says."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.routing import BaseRoute, Mount, Route

from docs.pages import DOCS, README, all_pages, blocks
from headwater.config import load
from headwater.http.endpoint import Endpoint
from headwater.http.threads import Threads
from headwater.images.compute_proxy.http import faults
from headwater.images.compute_proxy.http import routes as compute
from headwater.images.http.versions import IDS, IDS_CACHE, IDS_V1
from headwater.images.http_v2.routes import ImageApi, UseCases
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings
from headwater.images.v1.attributes import FIELDS
from headwater.images.v1.http import routes as v1
from headwater.instances.api import policies as instance_policies
from headwater.instances.api.openapi import of_instances
from headwater.instances.bulk.said import Said
from headwater.server.settings import Settings
from needs import CHECKOUT

PAGES: dict[str, Callable[[], str]] = runpy.run_path(str(CHECKOUT / "tools" / "reference.py"))["PAGES"]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_is_what_the_generator_writes(name: str) -> None:
    committed = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert committed == PAGES[name](), "run .venv/bin/python tools/reference.py"


def test_every_route_of_the_image_api_is_on_its_page() -> None:
    page = (DOCS / "reference" / "image-api.md").read_text(encoding="utf-8")
    nothing = cast(Any, None)
    use_cases = UseCases(**dict.fromkeys(UseCases.__slots__, nothing))
    use_cases = replace(use_cases, images=Images(nothing, nothing, nothing, ImagesSettings()))
    threads = Threads(nothing, nothing, nothing)
    api = ImageApi(use_cases, threads, endpoint=Endpoint())
    every: list[BaseRoute] = [*api.routes, *api.rest.routes]
    versioned, *others = every
    assert isinstance(versioned, Mount)
    paths = [f"/v2{route.path}" for route in versioned.routes if isinstance(route, Route)]
    assert len(paths) > 30
    paths += [route.path for route in others if isinstance(route, Route)]
    assert paths[-2:] == ["/versions", "/openapi.json"]
    assert [path for path in paths if f"`{path}`" not in page] == []


def test_every_route_and_fault_of_the_compute_api_is_on_its_page() -> None:
    page = (DOCS / "reference" / "compute-images.md").read_text(encoding="utf-8")
    nothing = cast(Any, None)
    paths = list(_paths(compute.routes(nothing, Threads(nothing, nothing, nothing), Endpoint())))
    below = [path for path in paths if path.startswith("/compute/v2.1") and "{project_id}" not in path]
    assert len(below) == 6
    ours = [name for status, name in faults.NAMES.items() if status < 415 and status != 401]
    assert [name for name in (*below, "/compute", *ours) if f"`{name}`" not in page] == []


def _paths(routes: Sequence[BaseRoute], above: str = "") -> Iterator[str]:
    for route in routes:
        if isinstance(route, Route):
            yield above + route.path
        elif isinstance(route, Mount):
            yield from _paths(route.routes, above + route.path)


def test_every_path_key_and_rule_of_the_api_of_instances_is_on_its_page() -> None:
    page = (DOCS / "reference" / "instance-api.md").read_text(encoding="utf-8")
    described = [each for path in of_instances() for each in path.operations.values()]
    document = described[0].answers[200]["content"]["application/json"]["schema"]["properties"]["instances"]["items"]
    named = [f"`{method} {path.path}`" for path in of_instances() for method in path.operations]
    named += [
        f"`{name}`"
        for name in (*document["properties"], *Said.__struct_fields__, *(rule.name for rule in instance_policies.RULES))
    ]
    assert [name for name in named if name not in page] == []


def test_every_route_and_header_of_v1_is_on_its_page() -> None:
    page = (DOCS / "reference" / "image-api-v1.md").read_text(encoding="utf-8")
    nothing = cast(Any, None)
    found = v1.routes(nothing, nothing, nothing, Threads(nothing, nothing, nothing), Endpoint())
    paths = [f"/v1{route.path}" for route in found if isinstance(route, Route)]
    assert len(paths) == 6
    assert [name for name in (*paths, *FIELDS, *IDS_V1) if f"`{name}`" not in page] == []


def test_every_version_of_the_image_api_is_announced_on_its_page() -> None:
    page = (DOCS / "reference" / "image-api.md").read_text(encoding="utf-8")
    assert "`v2.0` to `v2.10`, `v2.12`, `v2.13`, `v2.15` and `v2.17`" in page
    assert set(IDS) == {f"v2.{minor}" for minor in (*range(11), 12, 13, 15, 17)}
    assert [each for each in IDS_CACHE if f"`{each}`" not in page] == []


@pytest.mark.parametrize("page", all_pages(), ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", all_pages(), ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_piece_of_settings_in_a_page_is_right(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(blocks(page.read_text(encoding="utf-8"))):
        if block.language == "toml":
            file = tmp_path / f"{number}.toml"
            file.write_text(block.text)
            load(Settings, file=file)


def test_readme_leads_to_every_page_of_reference_and_every_recipe() -> None:
    text = README.read_text(encoding="utf-8")
    for folder in ("reference", "how-to"):
        for page in (DOCS / folder).glob("*.md"):
            assert f"docs/{folder}/{page.name}" in text
