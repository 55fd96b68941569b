"""How many questions each answer costs, and that a list of namespaces reads no more than it shows."""

from __future__ import annotations

import re

import pytest

from headwater.images.metadefs import catalogue
from questions import plan, questions
from unit.images.metadefs.api import ADMIN, NAMESPACES, Api


@pytest.fixture
def full(api: Api) -> Api:
    """Thirty namespaces that hold something of everything."""
    for number in range(30):
        document = {
            "namespace": f"n{number:02}",
            "visibility": "public",
            "description": f"of {number}",
            "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "p_"}],
            "properties": {"size": {"title": "Size", "type": "integer"}},
            "objects": [{"name": "o", "properties": {"x": {"title": "X", "type": "string"}}}],
            "tags": [{"name": f"t{each}"} for each in range(50)],
        }
        api.must(201, "POST", NAMESPACES, document, caller=ADMIN)
    return api


@pytest.mark.parametrize(
    ("target", "count"),
    [
        (NAMESPACES, 1),
        (f"{NAMESPACES}?limit=10&marker=n20", 2),
        (f"{NAMESPACES}?resource_types=OS::Glance::Image&sort_key=display_name", 1),
        (f"{NAMESPACES}/n07", 1),
        (f"{NAMESPACES}/n07/properties", 1),
        (f"{NAMESPACES}/n07/properties/size", 1),
        (f"{NAMESPACES}/n07/objects", 1),
        (f"{NAMESPACES}/n07/objects/o", 1),
        (f"{NAMESPACES}/n07/tags?limit=5", 1),
        (f"{NAMESPACES}/n07/tags/t7", 1),
        (f"{NAMESPACES}/n07/resource_types", 1),
        ("/v2/metadefs/resource_types", 1),
    ],
)
def test_an_answer_costs_as_many_questions_however_many_namespaces_there_are(
    full: Api, target: str, count: int
) -> None:
    with questions() as asked:
        full.must(200, "GET", target, caller=ADMIN)
    assert len(asked) == count, asked


@pytest.mark.parametrize("query", ["", "?limit=10&marker=n20", "?sort_key=namespace&sort_dir=asc&limit=5"])
def test_a_list_of_namespaces_reads_nothing_of_what_they_hold(
    full: Api, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    for name in ("_decode", "_decode_head"):
        monkeypatch.setattr(catalogue, name, None)
    with questions() as asked:
        found = full.must(200, "GET", NAMESPACES + query, caller=ADMIN).json["namespaces"]
    assert found
    assert all(each["description"] and each["resource_type_associations"][0]["prefix"] == "p_" for each in found)
    # As it is, not as what a function takes a part out of.
    assert not any(re.search(r"(?<![(])metadef_namespaces\.document\b", each.statement) for each in asked), asked


def test_the_usual_list_comes_from_an_index(full: Api) -> None:
    with questions() as asked:
        full.must(200, "GET", f"{NAMESPACES}?limit=5", caller=ADMIN)
    [question] = asked
    assert "SCAN metadef_namespaces USING INDEX ix_metadef_namespaces_created_at" in plan(full.database, question)
