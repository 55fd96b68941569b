"""All sources together, as a bootstrap, a new machine and a validation ask them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from headwater.streams.lookup import agents, images
from headwater.streams.lookup.agents import FoundAgent
from headwater.streams.lookup.documents import Placed
from headwater.streams.lookup.images import FoundImage, choose, duplicate_of, duplicates
from headwater.streams.lookup.search_path import METADATA_SOURCE
from headwater.streams.lookup.source import Found, Resolved, Source, joined, look
from headwater.streams.lookup.trace import DataNotFound, Kind, LookupFailed, Step, Trace
from headwater.streams.lookup.wanted import AgentsWanted, ImagesWanted, Juju, agent_streams

CUSTOM = "custom"  # how a controller calls records that were given to it


class Purpose(StrEnum):
    """Who looks for images."""

    BOOTSTRAP = "bootstrap"  # takes what all sources have together
    MACHINE = "machine"  # takes what the controller knows, and asks the sources only if that is nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageAnswer:
    """What a search for images came to."""

    image: FoundImage | None  # what a machine gets
    images: Sequence[FoundImage]  # all that were found, in the order in which they are chosen from
    resolved: Sequence[Resolved]  # where each source that was asked ended
    steps: Sequence[Step]
    problem: str = ""  # why there is none, in Juju's words

    def to_dict(self) -> dict[str, Any]:
        return {
            "image": None if self.image is None else self.image.to_dict(),
            "images": [each.to_dict() for each in self.images],
            "problem": self.problem,
            "resolved": [resolved_facts(each) for each in self.resolved],
            "steps": [step.to_dict() for step in self.steps],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAnswer:
    """What a search for agents came to."""

    agents: Sequence[FoundAgent]
    resolved: Sequence[Resolved]
    steps: Sequence[Step]
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "agents": [each.to_dict() for each in self.agents],
            "problem": self.problem,
            "resolved": [resolved_facts(each) for each in self.resolved],
            "steps": [step.to_dict() for step in self.steps],
        }


def find_image(
    sources: Sequence[Source],
    wanted: ImagesWanted,
    *,
    virt: str = "",
    purpose: Purpose = Purpose.MACHINE,
    juju: Juju = Juju.V3_6,
    records: Sequence[FoundImage] = (),
    skipped: Sequence[Step] = (),
) -> ImageAnswer:
    """Return the image that a machine gets, or why it gets none.

    Args:
        wanted: For one release and one architecture.
        records: What the controller knows; a bootstrap has no controller yet.
        skipped: Sources that are not asked, which is told.
    """
    trace = Trace("", list(skipped))
    found: list[FoundImage] = []
    resolved: list[Resolved] = []
    problem = ""
    if purpose is Purpose.MACHINE:
        found = _of_controller(records, wanted, trace.of(CUSTOM))
    if found:
        for source in sources:
            trace.of(source.description).add(
                Kind.SKIPPED, source.shown, "the controller knows an image, so it is not asked"
            )
    else:
        try:
            found = _of_sources(sources, wanted, (purpose, juju), trace, resolved)
        except LookupFailed as error:
            problem = error.cause
        if purpose is Purpose.BOOTSTRAP:
            problem = problem or _not_sent(found)
        else:
            found = _saved(found, trace)
            found.sort(key=lambda image: image.priority)
    image = choose(found, wanted.arches[0], virt)
    if image is None and not problem:
        problem = _no_image(wanted, found)
    return ImageAnswer(
        image=None if problem else image, images=found, resolved=resolved, steps=trace.steps, problem=problem
    )


def images_of(source: Source, wanted: ImagesWanted, trace: Trace, resolved: Resolved) -> list[FoundImage]:
    """Return what one source has.

    Raises:
        DataNotFound, LookupFailed: As ``look``.
    """
    found = look(source, wanted, images.picking(wanted), trace, resolved)
    return [_image(item, source, wanted, found) for item in found.items]


def find_agents(
    sources: Sequence[Source], wanted: AgentsWanted, *, fallback: bool = True, skipped: Sequence[Step] = ()
) -> AgentAnswer:
    """Return the agents of the first source that has a feed of agents.

    Args:
        fallback: Whether streams that are nearer to a release are searched after the one that is asked for.
    """
    trace = Trace("", list(skipped))
    every: list[Resolved] = []
    streams = agent_streams(wanted.stream, wanted.version) if fallback else iter((wanted.stream,))
    problem = f"no matching agent binaries found for constraint {wanted}"
    for stream in streams:
        try:
            found = _agents_of_stream(sources, replace(wanted, stream=stream), trace, every)
        except DataNotFound as error:
            problem = error.cause
            continue
        except LookupFailed as error:
            return AgentAnswer(agents=(), resolved=every, steps=trace.steps, problem=error.cause)
        if found:
            return AgentAnswer(agents=found, resolved=every, steps=trace.steps)
        problem = f"no matching agent binaries found for constraint {replace(wanted, stream=stream)}"
    return AgentAnswer(agents=(), resolved=every, steps=trace.steps, problem=problem)


def first_answer(
    sources: Sequence[Source], wanted: ImagesWanted | AgentsWanted, trace: Trace, every: list[Resolved]
) -> tuple[Source, Found] | None:
    """Return what the first source says that can be read; an empty answer is one too.

    Raises:
        DataNotFound, LookupFailed: What the last source failed with.
    """
    failure: LookupFailed | None = None
    for source in sources:
        every.append(Resolved(source.description))
        pick = images.picking(wanted) if isinstance(wanted, ImagesWanted) else agents.picking(wanted)
        try:
            return source, look(source, wanted, pick, trace.of(source.description), every[-1])
        except LookupFailed as error:
            failure = error
    if failure is not None:
        raise failure
    return None


def resolved_facts(resolved: Resolved) -> dict[str, Any]:
    """Return where an answer came from, under Juju's names."""
    facts = {"source": resolved.source, "signed": resolved.signed, "indexURL": resolved.index_url}
    return facts | ({"mirrorURL": resolved.mirror_url} if resolved.mirror_url else {})


def agents_in(source: Source, found: Found, wanted: AgentsWanted) -> list[FoundAgent]:
    return [
        FoundAgent(
            version=item["version"],
            os=item["release"],
            arch=item["arch"],
            url=joined(found.base_url, item["path"]),
            size=int(item["size"] or 0),
            sha256=item["sha256"],
            stream=wanted.stream,
            source=source.description,
            products_url=found.resolved.products_url,
            signed=found.resolved.signed,
        )
        for item in found.items
    ]


def _agents_of_stream(
    sources: Sequence[Source], wanted: AgentsWanted, trace: Trace, every: list[Resolved]
) -> list[FoundAgent]:
    answer = first_answer(sources, wanted, trace, every)
    return [] if answer is None else agents_in(*answer, wanted)


def _of_controller(records: Sequence[FoundImage], wanted: ImagesWanted, trace: Trace) -> list[FoundImage]:
    trace.add(Kind.SOURCE, "records of the controller", f"{len(records)} of them")
    found = []
    for record in records:
        differs = [
            f"its {name} is {there!r}, not {' or '.join(asked)}"
            for name, there, asked in (
                ("stream", record.stream, (wanted.stream or "released",)),
                ("region", record.region, (wanted.cloud.region,)),
                ("version", record.version, wanted.releases),
                ("arch", record.arch, wanted.arches),
            )
            if there not in asked
        ]
        trace.add(Kind.PASSED_OVER if differs else Kind.TAKEN, record.id, "; ".join(differs))
        if not differs:
            found.append(record)
    return sorted(found, key=lambda image: image.priority)


def _of_sources(
    sources: Sequence[Source],
    wanted: ImagesWanted,
    who: tuple[Purpose, Juju],
    trace: Trace,
    every: list[Resolved],
) -> list[FoundImage]:
    found: list[FoundImage] = []
    purpose, juju = who
    for source in sources:
        here = trace.of(source.description)
        every.append(Resolved(source.description))
        try:
            found += images_of(source, wanted, here, every[-1])
        except DataNotFound:
            continue
        except LookupFailed as error:
            if purpose is Purpose.MACHINE and juju is Juju.V4:
                here.add(Kind.SKIPPED, source.shown, "Juju 4 only warns of it and goes on")
                continue
            raise LookupFailed(_stopped(source, purpose, error)) from error
    return found


def _stopped(source: Source, purpose: Purpose, error: LookupFailed) -> str:
    if purpose is Purpose.BOOTSTRAP:
        return f"failed looking for image metadata in {source.description}: {error.cause}"
    return f"failed getting published images metadata from {source.description}: {error.cause}"


def _not_sent(found: Sequence[FoundImage]) -> str:
    """Say what keeps a bootstrap from giving its new controller what the directory has; nothing: it does."""
    return next(map(duplicate_of, duplicates([each for each in found if each.source == METADATA_SOURCE])), "")


def _saved(found: Sequence[FoundImage], trace: Trace) -> list[FoundImage]:
    """Return what a controller keeps of what it found: all of it, or nothing if it cannot tell two of them apart."""
    for image in found:
        lacks = [name for name in ("version", "arch", "region") if not getattr(image, name)]
        if lacks:
            trace.of(image.source).add(
                Kind.FAILED, image.id, f"missing {lacks[0]}: metadata for image {image.id} not valid"
            )
            return []
    twice = duplicates(found)
    for group in twice:
        ids = ", ".join(image.id for image in group)
        why = f"{duplicate_of(group)}; Juju then keeps none of what it found"
        trace.of(group[0].source).add(Kind.FAILED, ids, why)
    return [] if twice else list(found)


def _image(item: Placed, source: Source, wanted: ImagesWanted, found: Found) -> FoundImage:
    names = ("id", "region", "endpoint", "version", "arch", "virt", "root_store")
    facts: dict[str, Any] = {name: item[name] for name in names}
    return FoundImage(
        **facts,
        stream=wanted.stream or "released",
        source=source.description,
        priority=source.priority,
        products_url=found.resolved.products_url,
        signed=found.resolved.signed,
    )


def _no_image(wanted: ImagesWanted, found: Sequence[FoundImage]) -> str:
    release = f'"{_base_of(wanted.releases[0])}" images in {wanted.cloud.region}'
    return (
        f"no {release} matching instance types []"
        if found
        else f"no metadata for {release} with arch {wanted.arches[0]}"
    )


def _base_of(release: str) -> str:
    return f"centos@{release.removeprefix('centos')}" if release.startswith("centos") else f"ubuntu@{release}"
