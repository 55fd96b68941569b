"""All sources together: who takes what of which source, and what an error in one of them does."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.streams.lookup.images import FoundImage, choose
from headwater.streams.lookup.search import ImageAnswer, Purpose, find_agents, find_image
from headwater.streams.lookup.source import Source
from headwater.streams.lookup.trace import Kind
from headwater.streams.lookup.wanted import AgentsWanted, AgentVersion, CloudSpec, ImagesWanted, Juju
from unit.streams.lookup.feeds import (
    AGENTS,
    IMAGES,
    INDEX2,
    KEYSTONE,
    agent_index,
    agents,
    images,
    index,
    item,
    product,
    version,
)
from unit.streams.lookup.sites import Answer, Site, source_of

WANTED = ImagesWanted(cloud=CloudSpec(region="RegionOne", endpoint=KEYSTONE), releases=("22.04",), arches=("amd64",))
NOTHING: dict[str, Answer] = {}
BROKEN: dict[str, Answer] = {INDEX2: 500}
NO_IMAGE = 'no metadata for "ubuntu@22.04" images in RegionOne with arch amd64'


def having(*found: dict[str, Any]) -> dict[str, Answer]:
    return {INDEX2: index(), IMAGES: images(product(versions={"1": version(*found)}))}


def sources(*sites: dict[str, Answer], priority: int = 10) -> list[Source]:
    return [
        source_of(Site(files), description=f"source {place}", priority=priority) for place, files in enumerate(sites)
    ]


def found(answer: ImageAnswer) -> str | None:
    return None if answer.image is None else answer.image.id


def record(image: str = "known", **more: Any) -> FoundImage:
    facts = {"region": "RegionOne", "version": "22.04", "arch": "amd64", "stream": "released", "source": "custom"}
    return FoundImage(**{"id": image, "priority": 50, **facts, **more})


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("juju", Juju)
def test_the_first_source_that_has_an_image_gives_it(purpose: Purpose, juju: Juju) -> None:
    sites = sources(NOTHING, having(item("one")), having(item("two")))
    answer = find_image(sites, WANTED, purpose=purpose, juju=juju)
    assert (found(answer), [image.id for image in answer.images]) == ("one", ["one", "two"])
    assert answer.image is not None and answer.image.source == "source 1"


def test_an_error_of_a_source_stops_a_bootstrap_in_jujus_words() -> None:
    answer = find_image(sources(having(item()), BROKEN), WANTED, purpose=Purpose.BOOTSTRAP)
    assert found(answer) is None
    assert answer.problem.startswith(
        "failed looking for image metadata in source 1: attempt count exceeded: cannot access URL"
    )


@pytest.mark.parametrize("juju", [Juju.V2_9, Juju.V3_6])
def test_an_error_of_a_source_stops_a_machine(juju: Juju) -> None:
    answer = find_image(sources(BROKEN, having(item())), WANTED, juju=juju)
    assert found(answer) is None
    assert answer.problem.startswith(
        "failed getting published images metadata from source 0: attempt count exceeded: cannot access URL"
    )


def test_juju_4_goes_on_after_an_error() -> None:
    answer = find_image(sources(BROKEN, having(item())), WANTED, juju=Juju.V4)
    assert found(answer) == "an-id"
    assert "only warns" in "\n".join(map(str, answer.steps))


def test_what_the_controller_knows_hides_every_source() -> None:
    site = Site(having(item("newer")))
    answer = find_image([source_of(site)], WANTED, records=[record()])
    assert (found(answer), site.requests) == ("known", [])
    assert "so it is not asked" in str(answer.steps[-1])


@pytest.mark.parametrize(
    ("differs", "told"),
    [
        ({"region": "regionone"}, "its region is 'regionone'"),
        ({"version": "24.04"}, "its version is '24.04'"),
        ({"arch": "arm64"}, "its arch is 'arm64'"),
        ({"stream": "daily"}, "its stream is 'daily', not released"),
    ],
)
def test_another_record_hides_nothing_and_says_why(differs: dict[str, str], told: str) -> None:
    answer = find_image(sources(having(item())), WANTED, records=[record(**differs)])
    assert found(answer) == "an-id"
    assert told in "\n".join(map(str, answer.steps))


def test_a_bootstrap_has_no_controller_to_ask() -> None:
    answer = find_image(sources(having(item())), WANTED, records=[record()], purpose=Purpose.BOOTSTRAP)
    assert found(answer) == "an-id"


def test_records_of_less_priority_come_first() -> None:
    records = [record("late", virt="a", priority=50), record("early", virt="b", priority=10)]
    assert found(find_image([], WANTED, records=records)) == "early"


@pytest.mark.parametrize("juju", Juju)
def test_a_machine_gets_nothing_where_two_images_are_the_same_to_the_controller(juju: Juju) -> None:
    answer = find_image(sources(having(item("a"), item("b"))), WANTED, juju=juju)
    assert (found(answer), answer.problem) == (None, NO_IMAGE)
    [step] = [step for step in answer.steps if step.kind is Kind.FAILED]
    assert "duplicate metadata record for image id b" in step.why


def test_a_bootstrap_stops_where_its_directory_has_two_that_are_the_same_to_the_controller() -> None:
    site = Site(having(item("a"), item("b")))
    for description, problem in (
        ("bootstrap metadata", 'duplicate metadata record for image id b (key="released:RegionOne:22.04:amd64'),
        ("image-metadata-url", ""),
    ):
        answer = find_image([source_of(site, description=description)], WANTED, purpose=Purpose.BOOTSTRAP)
        assert (found(answer) is None, answer.problem.startswith(problem)) == (bool(problem), True)


def test_the_same_image_of_two_sources_is_no_duplicate() -> None:
    assert found(find_image(sources(having(item()), having(item())), WANTED)) == "an-id"


def test_an_image_without_a_region_is_not_kept() -> None:
    anywhere = ImagesWanted(cloud=CloudSpec(), releases=("22.04",), arches=("amd64",))
    answer = find_image(sources(having(item("an-id", ""))), anywhere)
    assert found(answer) is None
    assert "missing region" in "\n".join(map(str, answer.steps))


def test_nothing_is_told_in_jujus_words() -> None:
    assert find_image(sources(NOTHING), WANTED).problem == NO_IMAGE
    answer = find_image(sources(having(item(virt="lxd"))), WANTED, virt="kvm")
    assert answer.problem == 'no "ubuntu@22.04" images in RegionOne matching instance types []'


@pytest.mark.parametrize(
    ("virts", "asked", "chosen"),
    [
        (["", "kvm"], "kvm", "1"),
        (["", "lxd"], "kvm", "0"),
        (["lxd", ""], "kvm", "1"),
        (["lxd", "kvm"], "", "0"),
        (["lxd"], "kvm", None),
        ([], "", None),
    ],
)
def test_the_kind_of_guest_decides_first_and_then_the_order(virts: list[str], asked: str, chosen: str | None) -> None:
    images = [record(str(place), virt=virt) for place, virt in enumerate(virts)]
    image = choose(images, "amd64", asked)
    assert (None if image is None else image.id) == chosen


def test_agents_come_from_the_first_source_that_has_a_feed_of_them() -> None:
    feed: dict[str, Answer] = {INDEX2: agent_index(), AGENTS: agents()}
    wanted = AgentsWanted(oses=("ubuntu",), arches=("amd64",), version=AgentVersion.parse("3.6.27"))
    for before in (NOTHING, BROKEN):
        [agent] = find_agents(sources(before, feed, feed), wanted).agents
        assert agent.source == "source 1"


def test_a_feed_of_agents_without_the_wanted_one_hides_later_sources() -> None:
    feed: dict[str, Answer] = {INDEX2: agent_index(), AGENTS: agents()}
    other: dict[str, Answer] = {INDEX2: agent_index("released", "com.ubuntu.juju:windows:amd64"), AGENTS: agents()}
    wanted = AgentsWanted(oses=("ubuntu",), arches=("amd64",), version=AgentVersion.parse("3.6.27"))
    answer = find_agents(sources(other, feed), wanted)
    assert answer.agents == ()
    assert answer.problem.startswith("no matching agent binaries found for constraint &{LookupParams:")


def test_no_password_of_a_url_is_shown() -> None:
    source = source_of(Site({INDEX2: 500}), url="https://me:secret@feeds.example/images")
    answer = find_image([source], WANTED)
    assert "secret" not in str(answer.to_dict())
    assert "https://feeds.example/images/streams/v1/index2.json" in answer.problem
