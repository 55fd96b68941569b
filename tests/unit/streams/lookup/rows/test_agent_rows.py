"""What Juju finds of agents in one source, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.streams.lookup.search import find_agents
from headwater.streams.lookup.wanted import AgentsWanted, AgentVersion, CloudSpec
from unit.streams.lookup.rows.agent_rows import ROWS, Row
from unit.streams.lookup.sites import Site, source_of


def version_of(text: str) -> dict[str, Any]:
    numbers = text.split(".")
    if len(numbers) <= 2 and "-" not in text:
        return {"major": int(numbers[0]), "minor": int(numbers[1]) if len(numbers) == 2 else -1}
    return {"version": AgentVersion.parse(text)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_juju_finds(row: Row) -> None:
    wanted = AgentsWanted(
        oses=(row.os,),
        arches=(row.arch,),
        stream=row.stream,
        cloud=CloudSpec(region=row.region, endpoint=row.endpoint),
        **version_of(row.version),
    )
    answer = find_agents([source_of(Site(row.files))], wanted)
    assert tuple(agent.name for agent in answer.agents) == row.names
    assert row.fails in answer.problem
    assert bool(answer.problem) == (not row.names)
    assert row.told in "\n".join(map(str, answer.steps))
    if row.names:
        assert answer.resolved[-1].mirror_url == row.mirror
    if row.url is not None:
        assert answer.agents[0].url == row.url


def test_the_names_of_rows_are_their_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
