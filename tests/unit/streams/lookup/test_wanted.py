"""Words of Juju: bases, series, versions, and which streams are looked into."""

from __future__ import annotations

import pytest

from headwater.streams.lookup.documents import CloudPair
from headwater.streams.lookup.wanted import (
    AgentsWanted,
    AgentVersion,
    BadVersion,
    CloudSpec,
    ImagesWanted,
    Juju,
    UnknownBase,
    agent_streams,
    release_for_machine,
    release_of_base,
    release_of_series,
    releases_known,
)

SERIES = [
    ("precise", "12.04"), ("trusty", "14.04"), ("xenial", "16.04"), ("artful", "17.10"), ("bionic", "18.04"),
    ("focal", "20.04"), ("jammy", "22.04"), ("mantic", "23.10"), ("noble", "24.04"), ("resolute", "26.04"),
    ("centos7", "centos7"), ("kubernetes", "kubernetes"),
]  # fmt: skip


@pytest.mark.parametrize(("series", "release"), SERIES)
def test_a_series_has_the_version_that_stands_in_names_of_products(series: str, release: str) -> None:
    assert release_of_series(series) == release


def test_an_unknown_series_is_refused_in_jujus_words() -> None:
    with pytest.raises(UnknownBase, match='attempting to convert "foo" to a base: series "foo" not valid'):
        release_of_series("foo")


@pytest.mark.parametrize(
    ("base", "release", "of_machine"),
    [
        ("ubuntu@22.04", "22.04", "22.04"),
        ("ubuntu@22.04/stable", "22.04", "22.04"),
        ("ubuntu@24.04/edge/x", "24.04", "24.04"),
        ("centos@7", "7", "centos7"),
        ("centos@9/stable", "9", "centos9"),
    ],
)
def test_of_a_base_the_track_counts(base: str, release: str, of_machine: str) -> None:
    assert (release_of_base(base), release_for_machine(base)) == (release, of_machine)


def test_a_base_without_a_channel_is_refused_in_jujus_words() -> None:
    with pytest.raises(UnknownBase, match="expected base string to contain os and channel separated by '@'"):
        release_of_base("22.04")


@pytest.mark.parametrize("base", ["@22.04", "ubuntu@", "ubuntu@/stable", "a@b@c"])
def test_a_base_that_lacks_a_part_is_refused(base: str) -> None:
    with pytest.raises(UnknownBase, match="no operating system or no channel"):
        release_of_base(base)


@pytest.mark.parametrize(
    "text", ["1.2", "1.2.3", "1.2.3.4", "1.2-alpha3", "1.2-alpha3.4", "4.1-beta2", "3.6.27", "2.9.50"]
)
def test_a_version_is_read(text: str) -> None:
    version = AgentVersion.parse(text)
    assert str(version) == (f"{text}.0" if text == "1.2" else text)
    assert version.in_development == ("-" in text)


@pytest.mark.parametrize(
    "text", ["", "1", "1.", "a.b", "1.2.3.4.5", "1.2-3", "1.2-alpha", "1.2.x", " 1.2", "1.2\n", "1.²"]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(BadVersion):
        AgentVersion.parse(text)


@pytest.mark.parametrize(
    ("stream", "version", "streams"),
    [
        ("released", "3.6.1", ["released"]),
        ("", "3.6.1", ["released"]),
        ("", "4.1-beta1", ["devel", "proposed", "released"]),
        ("released", "4.1-rc1", ["devel", "proposed", "released"]),
        ("proposed", "3.6.1", ["proposed", "released"]),
        ("devel", "3.6.1", ["devel", "proposed", "released"]),
        ("testing", "3.6.1", ["testing", "devel", "proposed", "released"]),
        ("mine", "4.1-beta1", ["mine"]),
    ],
)
def test_which_streams_are_looked_into(stream: str, version: str, streams: list[str]) -> None:
    assert list(agent_streams(stream, AgentVersion.parse(version))) == streams


def test_what_each_juju_knows() -> None:
    assert "riscv64" not in Juju.V2_9.arches and "i386" in Juju.V2_9.arches
    assert "riscv64" in Juju.V3_6.arches and "i386" not in Juju.V3_6.arches
    assert releases_known(Juju.V4) == ("20.04", "22.04", "24.04", "26.04")
    assert "centos7" in releases_known(Juju.V2_9) and "7" in releases_known(Juju.V3_6)


def test_constraints_are_written_as_jujus_messages_write_them() -> None:
    images = ImagesWanted(
        cloud=CloudSpec(region="R", endpoint="https://k"), releases=("22.04",), arches=("amd64", "arm64")
    )
    assert str(images) == (
        "&{LookupParams:{CloudSpec:{Region:R Endpoint:https://k} Releases:[22.04] Arches:[amd64 arm64] Stream:} "
        "ImageID:<nil>}"
    )
    assert "Version:3.6.1 " in str(AgentsWanted(oses=("ubuntu",), arches=("amd64",), version=AgentVersion(3, 6, "", 1)))


@pytest.mark.parametrize(
    ("clouds", "said"),
    [
        ([("R", "https://k/v3")], "the region is listed with https://k/v3, not with https://k"),
        ([("S", "https://k/")], "the endpoint is listed with region S, not with R"),
        ([("S", "https://s")], "it is for S https://s"),
        ([(f"S{n}", "https://s") for n in range(7)], "and 2 more"),
    ],
)
def test_what_keeps_a_cloud_from_being_listed_is_told(clouds: list[tuple[str, str]], said: str) -> None:
    pairs = tuple(CloudPair(*pair) for pair in clouds)
    assert said in CloudSpec(region="R", endpoint="https://k").near_miss(pairs)
