"""Records held against the rules of the programs that will read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from headwater import findings
from headwater.errors import SettingsError
from headwater.findings import Level
from headwater.instances.lint.consumers import (
    afterburn,
    cloud_init,
    cloudbase_init,
    everyone,
    ignition,
    ironic,
    network,
)
from headwater.instances.lint.rules import ALL, Finding, Rule, broken
from headwater.instances.lint.subject import Subject
from headwater.instances.model import Instance
from headwater.instances.user_data import checking
from headwater.instances.user_data.cloud_config import rules as cloud_config_rules
from headwater.instances.user_data.cloud_config.schema import Schema

EVERYONE: Final = "everyone"
CLOUD_INIT, CLOUDBASE_INIT, IGNITION, AFTERBURN = "cloud-init", "cloudbase-init", "ignition", "afterburn"
CONSUMERS: Final = {
    CLOUD_INIT: ("cloud-init, on almost all images of Linux for clouds", cloud_init.RULES),
    CLOUDBASE_INIT: ("cloudbase-init, on Windows", cloudbase_init.RULES),
    IGNITION: ("Ignition 2, on Fedora CoreOS, Flatcar and RHEL CoreOS", ignition.RULES),
    AFTERBURN: ("Afterburn, beside Ignition", afterburn.RULES),
    "ironic": ("Ironic, which looks into config drives for bare metal", ironic.RULES),
}
_NOTHING_FAILS: Final[Mapping[str, str]] = MappingProxyType({})
_OF_EVERYONE: Final = (*everyone.RULES, *network.RULES)
_NAMED: Final = re.compile(r"([a-z-]+?)(?:[@:=-]([0-9]+(?:\.[0-9]+)*))?")


class NoSuchConsumer(SettingsError):
    """There are no rules for a consumer of this name."""

    def __init__(self, wanted: str) -> None:
        super().__init__(
            f"there are no rules for {wanted!r}; name one of {', '.join(CONSUMERS)}, with its release if you know it, "
            "such as cloud-init@22.4"
        )
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class Consumer:
    """Whose rules are asked, and of which release; ``None``: of any."""

    name: str
    version: str | None = None

    @classmethod
    def named(cls, text: str) -> Consumer:
        """Return the consumer that is called ``NAME`` or ``NAME@VERSION``.

        Raises:
            NoSuchConsumer: There is none.
        """
        found = _NAMED.fullmatch(text)
        if found is None or found[1] not in CONSUMERS:
            raise NoSuchConsumer(text)
        return cls(found[1], found[2])


def presumed(instance: Instance) -> tuple[Consumer, ...]:
    """Return whom a record is for, as its user data tells: Ignition's is for Ignition; else it is cloud-init."""
    kinds = Subject(instance).kinds
    if kinds & {"ignition", "butane"}:
        return (Consumer(IGNITION), Consumer(AFTERBURN))
    if kinds & {"ps1", "cmd", "ec2config", "certificate"}:
        return (Consumer(CLOUDBASE_INIT),)
    return (Consumer(CLOUD_INIT),)


def lint(
    instance: Instance,
    consumers: Sequence[Consumer] = (),
    schema: Schema | None = None,
    *,
    failing: Mapping[str, str] = _NOTHING_FAILS,
) -> list[Finding]:
    """Return what the consumers would stumble over in a record, the worst first.

    Args:
        consumers: Who reads it. Default: ``presumed``.
        schema: cloud-init's own, for cloud-configs.
        failing: Why services of vendor data have nothing for it, by their names.
    """
    subject = Subject(instance, failing)
    chosen = consumers or presumed(instance)
    found = list(_broken(EVERYONE, None, _OF_EVERYONE, subject))
    for consumer in chosen:
        found += _broken(consumer.name, consumer.version, CONSUMERS[consumer.name][1], subject)
    if instance.user_data is not None:
        reads_cloud_config = any(each.name in (CLOUD_INIT, CLOUDBASE_INIT) for each in chosen)
        found += [
            finding
            for finding in of_user_data(instance.user_data, instance.name, schema)
            if reads_cloud_config or finding.consumer == EVERYONE
        ]
    return worst_first(found)


def worst_first(found: Iterable[Finding]) -> list[Finding]:
    return sorted(found, key=lambda finding: -finding.level)


def of_user_data(data: bytes, name: str, schema: Schema | None = None) -> list[Finding]:
    """Return what is wrong with user data as it is, whatever record it will be of."""
    return [
        Finding(
            rule=fault.rule.id,
            level=fault.level,
            consumer=_consumer_of(fault.rule),
            versions=str(ALL),
            instance=name,
            field=f"user_data{f': {fault.at}' if fault.at else ''}",
            sentence=fault.sentence,
            why=fault.rule.source,
            fix=fault.fix,
            source=fault.rule.source,
        )
        for fault in checking.faults_of(data, schema)
    ]


def _consumer_of(rule: findings.Rule) -> str:
    return CLOUD_INIT if rule in cloud_config_rules.RULES else EVERYONE


def _broken(name: str, version: str | None, rules: Iterable[Rule], subject: Subject) -> Iterator[Finding]:
    for rule in rules:
        if rule.versions.have(version):
            for field, facts in rule.judge(subject):
                yield broken(rule, name, subject.instance.name, field, facts)


def all_rules() -> list[tuple[findings.Rule, tuple[str, ...]]]:
    """Return every rule with the consumers that it is of, by its id."""
    found: list[tuple[findings.Rule, tuple[str, ...]]] = [
        (rule, (EVERYONE,)) for rule in (*_OF_EVERYONE, *checking.RULES)
    ]
    found += [(rule, (CLOUD_INIT,)) for rule in cloud_config_rules.RULES]
    for name, (_, rules) in CONSUMERS.items():
        found += [(rule, (name,)) for rule in rules]
    return sorted(found, key=lambda each: each[0].id)


def worst(found: Iterable[Finding]) -> Level | None:
    return max((finding.level for finding in found), default=None)


def sarif(found: Iterable[Finding]) -> dict[str, Any]:
    """Return the log; the field of the record is a logical location."""
    results = [
        findings.sarif_result(
            each.rule,
            each.level,
            f"{each.sentence}. Fix: {each.fix}",
            {"artifactLocation": {"uri": quote(each.instance), "uriBaseId": "INSTANCES"}},
            each.field,
            consumers=[each.consumer],
            versions=each.versions,
        )
        for each in found
    ]
    return findings.sarif_log(
        "headwater instance lint", all_rules(), results, {"INSTANCES": "registered instances by name, and files"}
    )
