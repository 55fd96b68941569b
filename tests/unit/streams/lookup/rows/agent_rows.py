"""What Juju finds of agents in one source, and where that is written: sections of the specification of Juju."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unit.streams.lookup.feeds import AGENTS, INDEX, INDEX2, KEYSTONE, MIRRORS, UBUNTU, agent, agent_index, agents
from unit.streams.lookup.sites import URL, Answer

NAMED = "streams/v1/cpc-mirrors.json"
CONTENT_ID = "com.ubuntu.juju:released:agents"
CLOUDS = [{"region": "RegionOne", "endpoint": KEYSTONE}]
OTHERS = [{"region": "RegionTwo", "endpoint": KEYSTONE}]
FOUND = "3.6.27-ubuntu-amd64"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A site, what is asked of it, and what must come of that."""

    name: str
    source: str  # section
    files: Mapping[str, Answer]
    version: str = "3.6.27"  # exact, or major or major.minor
    os: str = "ubuntu"
    arch: str = "amd64"
    stream: str = "released"
    region: str = "RegionOne"
    endpoint: str = KEYSTONE
    names: tuple[str, ...] = (FOUND,)
    fails: str = ""  # a part of the problem
    url: str | None = None  # of the first tarball
    mirror: str = ""  # the one that was used
    told: str = ""


def site(*found: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {INDEX2: agent_index(**more), AGENTS: agents(*found)}


GOOD = site()
ODD_SIZES: tuple[Any, ...] = ("7", 7.5, True, [])


def mirrors(listed: list[dict[str, Any]], named: Answer | None = None) -> dict[str, Any]:
    """Return a site whose mirrors.json lists these, and what they lead to."""
    first = [{"datatype": "content-download", "path": NAMED, **each} for each in listed]
    return {**GOOD, MIRRORS: {"mirrors": {CONTENT_ID: first}}, NAMED: 404 if named is None else named, **MIRRORED}


MIRRORED = {"mirrored/agents.json": agents(agent(path="there/juju.tgz"))}


def naming(*found: dict[str, Any], kind: str = "mirrors:1.0") -> dict[str, Any]:
    return {"format": kind, "mirrors": {CONTENT_ID: list(found)}}


HERE = {"clouds": CLOUDS, "mirror": "https://mirror.example/m", "path": "mirrored/agents.json"}

ROWS = [
    Row(name="an exact version", source="3.3", files=GOOD, url=f"{URL}/released/juju-{FOUND}.tgz"),
    Row(
        name="another patch is not it",
        source="3.3",
        files=GOOD,
        version="3.6.28",
        names=(),
        told="its version is 3.6.27",
    ),
    Row(name="any of a minor version", source="3.3", files=GOOD, version="3.6"),
    Row(name="any of a major version", source="3.3", files=GOOD, version="3"),
    Row(name="another minor version", source="3.3", files=GOOD, version="3.5", names=()),
    Row(name="another major version", source="3.3", files=GOOD, version="4", names=()),
    Row(
        name="all patches of a minor version",
        source="3.3",
        files=site(agent("3.6.1"), agent("3.6.2"), agent("3.5.9")),
        version="3.6",
        names=("3.6.1-ubuntu-amd64", "3.6.2-ubuntu-amd64"),
    ),
    Row(name="another system", source="3.3", files=GOOD, os="centos", names=()),
    Row(name="another architecture", source="3.3", files=GOOD, arch="arm64", names=()),
    Row(
        name="the release of an item counts, not only its product",
        source="3.3",
        files=site(agent(release="focal")),
        names=(),
        told="its release is 'focal'",
    ),
    Row(
        name="a version that does not parse",
        source="3.3",
        files=site(agent("three")),
        names=(),
        fails='invalid version "three"',
    ),
    Row(
        name="a version that does not parse in a system that is not wanted",
        source="3.3",
        files=site(agent("three", release="focal"), agent()),
    ),
    Row(
        name="the same agent in an older version is ignored",
        source="3.3",
        files={
            INDEX2: agent_index(),
            AGENTS: {
                "format": "products:1.0",
                "products": {
                    UBUNTU: {
                        "versions": {
                            "1": {"items": {"a": agent(path="old.tgz")}},
                            "2": {"items": {"a": agent(path="new.tgz")}},
                        }
                    }
                },
            },
        },
        url=f"{URL}/new.tgz",
    ),
    # --- Streams --------------------------------------------------------------------------------
    *(
        Row(
            name=f"what is in {there} is {'found' if found else 'not found'} by who asks for {asked}",
            source="3.3 agent streams",
            files={INDEX2: agent_index(there), AGENTS: agents()},
            stream=asked,
            names=(FOUND,) if found else (),
            fails="" if found else '"content-download" data not found',
        )
        for asked, there, found in (
            ("released", "released", True),
            ("released", "proposed", False),
            ("proposed", "released", True),
            ("proposed", "proposed", True),
            ("proposed", "devel", False),
            ("devel", "released", True),
            ("devel", "devel", True),
            ("devel", "testing", False),
            ("testing", "devel", True),
            ("testing", "released", True),
            ("custom", "custom", True),
            ("custom", "released", False),
        )
    ),
    Row(
        name="a client in development looks into devel",
        source="3.3 agent streams",
        files={INDEX2: agent_index("devel"), AGENTS: agents(agent("4.1-beta2"))},
        version="4.1-beta2",
        names=("4.1-beta2-ubuntu-amd64",),
    ),
    Row(
        name="an error in one stream stops",
        source="3.3 agent streams",
        files={INDEX2: agent_index("devel"), AGENTS: 500, INDEX: GOOD[INDEX2]},
        stream="devel",
        names=(),
        fails="cannot access URL",
    ),
    Row(
        name="another content id is not looked at",
        source="3.2 step 5",
        files={
            INDEX2: {
                "format": "index:1.0",
                "index": {
                    "com.ubuntu.juju:released:tools": agent_index()["index"][CONTENT_ID],
                },
            },
            AGENTS: agents(),
        },
        names=(),
        fails='"content-download" data not found',
        told=f"only {CONTENT_ID} is looked at",
    ),
    Row(
        name="another datatype",
        source="3.2 step 5",
        files=site(datatype="image-ids"),
        names=(),
        fails='"content-download" data not found',
    ),
    # --- Clouds ------------------------------------------------------------------------------------
    Row(name="an entry for this cloud", source="3.2 step 5", files=site(clouds=CLOUDS)),
    Row(name="an entry for another cloud", source="3.2 step 5", files=site(clouds=OTHERS), names=(), fails="for cloud"),
    Row(
        name="no cloud is asked for",
        source="3.2 step 5",
        files=site(clouds=OTHERS),
        region="",
        endpoint="",
    ),
    # --- Types ------------------------------------------------------------------------------------
    *(
        Row(
            name=f"a size that is {size!r} spoils the file",
            source="3.4",
            files=site(agent(), agent("3.6.1", size=size)),
            names=(),
            fails="cannot unmarshal JSON metadata at URL",
        )
        for size in ODD_SIZES
    ),
    Row(name="no size", source="3.4", files=site(agent(size=None))),
    *(
        Row(
            name=f"{key} that is no text spoils the file",
            source="3.4",
            files=site(agent(), {**agent("3.6.1"), key: 1}),
            names=(),
            fails="cannot unmarshal JSON metadata at URL",
        )
        for key in ("release", "arch", "path", "ftype", "sha256")
    ),
    Row(name="region of an agent is not read", source="3.4", files=site(agent(region=1, id=2))),
    # --- Mirrors ------------------------------------------------------------------------------
    Row(
        name="a mirror for the cloud",
        source="3.6",
        files=mirrors([{}], naming(HERE)),
        url="https://mirror.example/m/there/juju.tgz",
        mirror="https://mirror.example/m",
    ),
    Row(
        name="mirrors that are named for the cloud",
        source="3.6 step 1",
        files=mirrors([{"clouds": CLOUDS}], naming(HERE)),
        mirror="https://mirror.example/m",
    ),
    Row(
        name="those of another cloud",
        source="3.6 step 1",
        files=mirrors([{"clouds": OTHERS}], naming(HERE)),
        told="none is for the cloud",
    ),
    Row(
        name="those for the cloud come before those for all",
        source="3.6 step 1",
        files=mirrors([{"path": "no"}, {"clouds": CLOUDS}], naming(HERE)),
        mirror="https://mirror.example/m",
    ),
    Row(
        name="those for all, where none is for the cloud",
        source="3.6 step 1",
        files=mirrors([{"clouds": OTHERS, "path": "no"}, {}], naming(HERE)),
        mirror="https://mirror.example/m",
    ),
    Row(
        name="mirrors of another datatype",
        source="3.6 step 1",
        files=mirrors([{"datatype": "image-ids"}], naming(HERE)),
    ),
    Row(
        name="a mirror without clouds never matches",
        source="3.6 step 2",
        files=mirrors([{}], naming({"mirror": "https://m", "path": "p"})),
        told="no mirror for the cloud",
    ),
    Row(name="the document of mirrors is not there", source="3.6 step 4", files=mirrors([{}]), told="no mirror"),
    Row(name="the document of mirrors is refused", source="3.6 step 4", files=mirrors([{}], 403), told="no mirror"),
    Row(
        name="the document of mirrors is another one",
        source="3.6 step 4",
        files=mirrors([{}], naming(HERE, kind="index:1.0")),
        told='expected "mirrors:1.0"',
    ),
    Row(
        name="a mirror that has no such file fails",
        source="3.6 step 3",
        files=mirrors([{}], naming({**HERE, "path": "gone.json"})),
        names=(),
        fails='"https://mirror.example/m/gone.json" not found',
    ),
    Row(
        name="the index is not asked for the path where there is a mirror",
        source="3.6 step 3",
        files={**mirrors([{}], naming(HERE)), INDEX2: {"format": "index:1.0", "index": {}}},
        mirror="https://mirror.example/m",
    ),
]
