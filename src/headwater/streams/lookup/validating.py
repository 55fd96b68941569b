"""Feeds judged as ``juju metadata validate-images`` and ``validate-agents`` judge them, in their words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from headwater.errors import HeadwaterError
from headwater.streams.lookup import search
from headwater.streams.lookup.search import first_answer
from headwater.streams.lookup.source import Found, Resolved, Source
from headwater.streams.lookup.trace import LookupFailed, Trace
from headwater.streams.lookup.wanted import AgentsWanted, ImagesWanted, Juju

# Source: the providers of Juju, old ones too; those that validate images are only two.
PROVIDERS = frozenset({
    "azure", "cloudsigma", "ec2", "equinix", "gce", "joyent", "kubernetes", "lxd", "maas", "manual", "oci", "openstack",
    "oracle", "rackspace", "unmanaged", "vsphere",
})  # fmt: skip
VALIDATES_IMAGES = frozenset({"ec2", "openstack"})
_MATCHING = {Juju.V2_9: "Matching Tools Versions", Juju.V3_6: "Matching Tools Versions"}


class NotValidated(HeadwaterError):
    """Juju would not find what was asked for; the message is what it would say.

    ``resolved`` says where the search ended, under Juju's names.
    """

    def __init__(self, cause: str, resolved: Mapping[str, Any] | None = None) -> None:
        super().__init__(cause if resolved is None else f"{cause}\n{_block(resolved)}")
        self.cause, self.resolved = cause, resolved


def validate_images(sources: Sequence[Source], wanted: ImagesWanted) -> dict[str, Any]:
    """Return Juju's answer for one release in one cloud.

    Raises:
        NotValidated: There is none.
    """
    for name, value in (
        ("series", "".join(wanted.releases)),
        ("region", wanted.cloud.region),
        ("endpoint", wanted.cloud.endpoint),
        ("sources", sources),
    ):
        _require(name, value)
    _, found, facts = _answered(sources, wanted, "images")
    ids = sorted((item["id"] for item in found.items), key=str.encode)
    return {"ImageIds": ids, "Region": wanted.cloud.region, "Resolve Metadata": facts}


def validate_agents(sources: Sequence[Source], wanted: AgentsWanted, juju: Juju = Juju.V3_6) -> dict[str, Any]:
    """Return Juju's answer for one stream; the tarballs are not looked at.

    Raises:
        NotValidated: There is none.
    """
    _require("sources", sources)
    source, found, facts = _answered(sources, wanted, "agent binaries")
    names = [agent.name for agent in search.agents_in(source, found, wanted)]
    return {_MATCHING.get(juju, "Matching Agent Binary Versions"): names, "Resolve Metadata": facts}


def _answered(
    sources: Sequence[Source], wanted: ImagesWanted | AgentsWanted, what: str
) -> tuple[Source, Found, dict[str, Any]]:
    """Return what the first source says that can be read, and where that comes from, under Juju's names.

    Raises:
        NotValidated: It says nothing, or none can be read.
    """
    every: list[Resolved] = []
    try:
        answer = first_answer(sources, wanted, Trace(""), every)
    except LookupFailed as error:
        raise NotValidated(error.cause, search.resolved_facts(every[-1])) from error
    facts = search.resolved_facts(every[-1])
    if answer is None or not answer[1].items:
        raise NotValidated(f"no matching {what} found for constraint {wanted}", facts)
    return *answer, facts


def require_provider(name: str, *, of_images: bool) -> None:
    """Refuse a kind of cloud that Juju does not know, or for which it validates nothing.

    Raises:
        NotValidated: It is one.
    """
    if name not in PROVIDERS:
        raise NotValidated(f'no registered provider for "{name}"')
    if of_images and name not in VALIDATES_IMAGES:
        raise NotValidated(f"{name} provider does not support image metadata validation")


def endpoint_of_ec2(region: str) -> str:
    """Return where Amazon's API is in a region."""
    return f"https://ec2.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def as_yaml(facts: Mapping[str, Any]) -> str:
    """Write an answer as Juju does."""
    return str(yaml.safe_dump(dict(facts), default_flow_style=False, sort_keys=False, width=10_000, allow_unicode=True))


def _require(name: str, value: object) -> None:
    if not value:
        raise NotValidated(f"required parameter {name} not specified")


def _block(resolved: Mapping[str, Any]) -> str:
    return as_yaml({"Resolve Metadata": dict(resolved)}).rstrip("\n")
