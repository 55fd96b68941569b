"""The rules of all capabilities."""

from __future__ import annotations

from headwater.identity.policy.rules import Rule
from headwater.images import policies as images
from headwater.instances.api import policies as instances

RULES: tuple[Rule, ...] = (*images.RULES, *instances.RULES)

BY_NAME = {rule.name: rule for rule in RULES}
