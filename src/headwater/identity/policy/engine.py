"""What a caller may do: the rules that the capabilities hand in, the operator's in their place, judged by oslo.policy.

oslo.policy needs some 100 µs for a rule, and a list asks once for each image. A judgement depends on the
rule, on the few fields of caller and target that it reads, and on nothing else; so each is kept under just
those. Rules that ask another server (``http:``) are asked each time, and never inside a transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_policy import policy

from headwater.asking import ask
from headwater.errors import Forbidden, Unavailable
from headwater.identity.caller import Caller
from headwater.identity.policy.file import REMOTE, defaults, leaves, read_policy
from headwater.identity.policy.rules import Rule
from headwater.identity.settings import PolicySettings
from headwater.identity.watched_file import WatchedFile

KEPT = 20_000  # judgements

_log = logging.getLogger(__name__)

# What a rule calls a caller's field -> where a Caller has it.
_FIELDS = {
    "user_id": "user_id",
    "user": "user_id",
    "project_id": "project_id",
    "tenant": "project_id",
    "roles": "roles",
    "service_roles": "service_roles",
    "system_scope": "system_scope",
    "domain_id": "domain_id",
}


class PolicyForbidden(Forbidden):
    """The policy does not let this caller do this."""

    def __init__(self, rule: str, hint: str = "") -> None:
        super().__init__(f"You are not authorized to complete {rule} action.{hint}")
        self.rule = rule


class RemoteCheckFailed(Unavailable):
    """A server that a rule asks does not answer."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"The policy server that decides about {rule} does not answer. Try again later.")
        self.rule = rule


class Policy:
    """The rules in force; safe to use from several threads."""

    def __init__(self, settings: PolicySettings, builtin: Mapping[str, Rule]) -> None:
        """Read the rules.

        Args:
            builtin: Those that hold where the operator's file says nothing, by name.

        Raises:
            SettingsError: The policy file cannot be used; the message names line and rule.
        """
        self._enforce_scope = settings.enforce_scope
        self._scoped = frozenset(rule.name for rule in builtin.values() if rule.scoped)

        def build(file: Path | None) -> _Rules:
            return _Rules.of(file, settings, builtin)

        self._builtin = build(None) if settings.file is None else None
        self._file = WatchedFile(settings.file, build) if settings.file is not None else None

    def allows(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> bool:
        """Say whether ``caller`` may do what ``rule`` guards to ``target``, as whoever handed it in describes that.

        Raises:
            KeyError: There is no such rule, neither built in nor in the operator's file.
            RemoteCheckFailed: The operator's rule asks a server that does not answer.
        """
        if self._is_out_of_scope(rule, caller):
            return False
        return self._rules().judge(rule, caller, target)

    def names(self) -> frozenset[str]:
        """Return the names of all rules: the built-in ones, and those that the operator has added."""
        return frozenset(self._rules().reads)

    def require(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> None:
        """Raise ``PolicyForbidden`` unless ``allows``."""
        if not self.allows(rule, caller, target):
            if self._is_out_of_scope(rule, caller):
                raise PolicyForbidden(rule, " It takes a token that is scoped to a project.")
            raise PolicyForbidden(rule)

    def is_admin(self, caller: Caller) -> bool:
        """Say whether ``caller`` is an administrator, by the rule ``context_is_admin``."""
        return self.allows("context_is_admin", caller, {})

    def _rules(self) -> _Rules:
        rules = self._builtin if self._file is None else self._file.value()
        assert rules is not None
        return rules

    def _is_out_of_scope(self, rule: str, caller: Caller) -> bool:
        # Source: oslo.policy takes a token for the project's unless it has a system or a domain scope.
        scoped = caller.system_scope is not None or caller.domain_id is not None
        return scoped and self._enforce_scope and rule in self._scoped


@dataclass(frozen=True, slots=True)
class _Reads:
    """What a rule's judgement depends on."""

    caller: Callable[[Caller], Any]
    target: tuple[str, ...]
    is_pure: bool  # nothing but those


@dataclass(frozen=True, slots=True)
class _Rules:
    """One version of the rules, with what was judged by them."""

    enforcer: policy.Enforcer
    reads: Mapping[str, _Reads]
    kept: dict[tuple[Any, ...], bool] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path | None, settings: PolicySettings, builtin: Mapping[str, Rule]) -> _Rules:
        checks = defaults(builtin)
        if file is not None:
            entries = read_policy(file, builtin, remote_checks=settings.remote_checks)
            checks |= {name: entry.check for name, entry in entries.items()}
        conf = cfg.ConfigOpts()
        conf(args=[], project="headwater", default_config_files=[], default_config_dirs=[])
        enforcer = policy.Enforcer(conf, rules=checks, use_conf=False)
        conf.set_override("remote_timeout", settings.remote_timeout_s, group="oslo_policy")
        return cls(enforcer, {name: _reads(name, checks) for name in checks})

    def judge(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> bool:
        reads = self.reads[rule]
        if not reads.is_pure:
            about = repr(sorted(target.items()))
            return ask((rule, caller.user_id, caller.project_id, about), lambda: self._ask(rule, caller, target))
        key = (rule, reads.caller(caller), *[target.get(name) for name in reads.target])
        try:
            kept = self.kept.get(key)
        except TypeError:  # a value that cannot be a key, such as a list
            return self._ask(rule, caller, target)
        if kept is None:
            kept = self._ask(rule, caller, target)
            if len(self.kept) >= KEPT:
                self.kept.clear()
            self.kept[key] = kept
        return kept

    def _ask(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> bool:
        # Absent on both sides is no match: a caller without a project does not own what has no owner.
        credentials = {name: value for name, value in caller.credentials.items() if value is not None}
        credentials.pop("is_admin", None)
        present = {name: value for name, value in target.items() if value is not None}
        try:
            credentials["is_admin"] = bool(self.enforcer.enforce("context_is_admin", present, credentials))
            return bool(self.enforcer.enforce(rule, present, credentials))
        except (RuntimeError, OSError) as error:  # a time-out, and every error of requests
            _log.warning("a remote policy check failed", extra={"rule": rule, "error": str(error)})
            raise RemoteCheckFailed(rule) from error


def _reads(rule: str, checks: Mapping[str, Any]) -> _Reads:
    caller: set[str] = set()
    target: set[str] = set()
    is_pure = True
    waiting, seen = [rule], {rule}

    def wait_for(name: str) -> None:
        if name not in seen:
            seen.add(name)
            waiting.append(name)

    while waiting:
        for check in leaves(checks[waiting.pop()]):
            if not isinstance(check, policy.Check):
                continue  # always, or never
            if check.kind == "rule":
                wait_for(check.match)
                continue
            is_pure = is_pure and check.kind not in REMOTE
            target |= set(_Names.of(check.match))
            first = "roles" if check.kind == "role" else check.kind.split(".")[0]
            if first == "is_admin":
                wait_for("context_is_admin")
            elif first in _FIELDS:
                caller.add(_FIELDS[first])
    getter: Callable[[Caller], Any] = attrgetter(*sorted(caller)) if caller else _nothing
    return _Reads(getter, tuple(sorted(target)), is_pure)


def _nothing(_caller: Caller) -> None:
    return None


class _Names(dict[str, str]):
    """Notes which names a format asks for."""

    @classmethod
    def of(cls, text: str) -> list[str]:
        names = cls()
        _ = text % names  # asks for each name
        return list(names)

    def __missing__(self, name: str) -> str:
        self[name] = ""
        return ""
