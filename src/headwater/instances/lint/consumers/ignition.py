"""Ignition 2, which sets up Fedora CoreOS, Flatcar and RHEL CoreOS at their first boot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from headwater.findings import Level
from headwater.instances.lint.consumers import judges
from headwater.instances.lint.rules import Place, Rule, Versions
from headwater.instances.lint.subject import Subject
from headwater.instances.user_data.kinds import IGNITION

_VERSION: Final = re.compile(r"([0-9]+)\.([0-9]+)\.([0-9]+)(-experimental)?")
# The first release that takes a version of the config as stable.
_STABLE: Final = {"3.1.0": "2.3.0", "3.2.0": "2.7.0", "3.3.0": "2.11.0", "3.4.0": "2.15.0", "3.5.0": "2.20.0"}


def _config(subject: Subject) -> dict[Any, Any] | None:
    """Return the config; ``None``: the user data is none, or is broken."""
    if subject.kind is not IGNITION:
        return None
    try:
        found = msgspec.json.decode(subject.instance.user_data or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _version(subject: Subject) -> str | None:
    head = (_config(subject) or {}).get("ignition")
    version = head.get("version") if isinstance(head, dict) else None
    return version if isinstance(version, str) else None


def _kind(subject: Subject) -> Iterator[Place]:
    if subject.instance.user_data and subject.kind is not IGNITION:
        kind = subject.kind
        yield "user_data", {"kind": "of no kind that is known" if kind is None else f"of the kind {kind.name}"}


def _none(subject: Subject) -> Iterator[Place]:
    if not subject.instance.user_data:
        yield "user_data", {}


def _wrapped(subject: Subject) -> Iterator[Place]:
    if subject.kind is not IGNITION and "ignition" in subject.kinds:
        yield "user_data", {}


def _broken(subject: Subject) -> Iterator[Place]:
    if subject.kind is IGNITION and _config(subject) is None:
        yield "user_data", {}


def _no_version(subject: Subject) -> Iterator[Place]:
    if _config(subject) is not None and _VERSION.fullmatch(_version(subject) or "") is None:
        yield "user_data: ignition.version", {}


def _other_version(subject: Subject) -> Iterator[Place]:
    version = _version(subject) or ""
    if _VERSION.fullmatch(version) and not version.startswith("3."):
        yield "user_data: ignition.version", {"version": version}


def _experimental(subject: Subject) -> Iterator[Place]:
    version = _version(subject) or ""
    if version.startswith("3.") and version.endswith("-experimental"):
        yield "user_data: ignition.version", {"version": version}


def _newer_than(config: str) -> Any:
    def judge(subject: Subject) -> Iterator[Place]:
        if _version(subject) == config:
            yield "user_data: ignition.version", {"version": config}

    return judge


RULES: Final = (
    Rule(
        id="ignition-user-data-kind",
        level=Level.ERROR,
        says="the user data is {kind}, and Ignition takes its own JSON alone",
        fix="register a config of Ignition, as butane makes it",
        why="it cannot parse the config, and the machine stops in its emergency shell",
        source="Ignition's operator notes; docs/specs",
        judge=_kind,
    ),
    Rule(
        id="ignition-none",
        level=Level.NOTE,
        says="there is no user data: the machine boots as its image is",
        fix="register a config, if it is to set anything up",
        why="it takes 404, and a config drive without user_data, for no config",
        source="Ignition: providers/openstack/openstack.go",
        judge=_none,
    ),
    Rule(
        id="ignition-wrapped",
        level=Level.ERROR,
        says="its config is wrapped, in gzip or among several pieces",
        fix="register the JSON alone",
        why="it parses the user data from the first byte",
        source="Ignition's providers/openstack",
        judge=_wrapped,
    ),
    Rule(
        id="ignition-json",
        level=Level.ERROR,
        says="it is no whole JSON",
        fix="make it again with butane, and look with ignition-validate",
        why="the machine stops in its emergency shell",
        source="Ignition: config.Parse",
        judge=_broken,
    ),
    Rule(
        id="ignition-version-missing",
        level=Level.ERROR,
        says="it does not say of which version it is",
        fix="write ignition.version as a text, such as 3.4.0",
        why="the machine stops in its emergency shell",
        source="Ignition's docs/specs: version is required",
        judge=_no_version,
    ),
    Rule(
        id="ignition-version-old",
        level=Level.ERROR,
        says="it is of version {version}, and Ignition 2 takes 3.x",
        fix="convert it (ign-converter), or use an image with Ignition 0",
        why="the machine stops in its emergency shell",
        source="Ignition 2.0.0 took the versions 1 and 2 of configs away",
        judge=_other_version,
    ),
    Rule(
        id="ignition-version-experimental",
        level=Level.WARNING,
        says="it is of version {version}: releases in which that is stable refuse it",
        fix="use the stable version that it became",
        why="experimental versions are taken by the releases in between alone",
        source="Ignition's release notes: 'no longer accept configs with version 3.x-experimental'",
        judge=_experimental,
    ),
    *(
        Rule(
            id=f"ignition-version-{config}",
            level=Level.ERROR,
            says=f"it is of version {{version}}, which releases before {release} do not take",
            fix="write an older version, if it uses nothing newer, or use a newer image",
            why="the machine stops in its emergency shell",
            source=f"Ignition {release}: marks the config spec {config} as stable",
            versions=Versions(before=release),
            judge=_newer_than(config),
        )
        for config, release in _STABLE.items()
    ),
    Rule(
        id="ignition-tokens",
        level=Level.ERROR,
        says="tokens are required, and on the platform openstack it asks for none",
        fix="set --tokens optional, give it a config drive, or boot an image of the platform aws",
        why="every answer is 401, and it waits for a config drive without an end",
        source="Ignition: providers/openstack/openstack.go fetches without headers; 2.4.0 asks for tokens on aws",
        judge=judges.tokens,
    ),
    Rule(
        id="ignition-tokens-aws",
        level=Level.ERROR,
        says="tokens are required: on the platform aws, releases before 2.10 cannot read the user data then",
        fix="set --tokens optional, or use a newer image",
        why="2.4 asks for tokens first, and 2.9 and 2.10 mend what it does with them",
        source="Ignition's release notes 2.4.0, 2.9.0 and 2.10.0",
        versions=Versions(before="2.10.0"),
        judge=judges.tokens,
    ),
    Rule(
        id="ignition-files",
        level=Level.WARNING,
        says="it has files ({paths}), and Ignition reads none, from no config drive either",
        fix="write them with storage.files of its config",
        why="the machine boots without them, and nothing says so",
        source="Ignition: providers/openstack/openstack.go reads user_data alone, from either",
        judge=judges.files,
    ),
)
