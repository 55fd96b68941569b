"""What each rule of the policy guards in instances, and who may do it unless the operator says otherwise.

A target has ``project_id`` and ``owner`` (both the project that the instance belongs to), ``id`` and ``name``.
"""

from __future__ import annotations

from headwater.identity.policy.rules import Rule

_OWN = "project_id:%(project_id)s"
_MEMBER = f"role:admin or (role:member and {_OWN})"
_READER = f"role:admin or (role:reader and {_OWN})"

RULES: tuple[Rule, ...] = (
    Rule("get_instances", _READER, "list instances: GET /instances/v1/instances"),
    Rule("get_instance", _READER, "see an instance: GET /instances/v1/instances/{instance}"),
    Rule("add_instance", _MEMBER, "register an instance: POST /instances/v1/instances"),
    Rule("modify_instance", _MEMBER, "change an instance: PATCH /instances/v1/instances/{instance}"),
    Rule("delete_instance", _MEMBER, "forget an instance: DELETE /instances/v1/instances/{instance}"),
    Rule(
        "get_instance_password",
        _READER,
        "have the password that a guest has posted: GET /instances/v1/instances/{instance}/password",
    ),
    Rule(
        "delete_instance_password",
        _MEMBER,
        "let a guest post another password: DELETE /instances/v1/instances/{instance}/password",
    ),
    Rule(
        "get_instance_boot_log",
        _READER,
        "see what a guest fetched: GET /instances/v1/instances/{instance}/boot-log",
    ),
    # Who asks for metadata is known by its address: whoever sets one decides what the machine with it is told.
    Rule(
        "set_instance_addresses",
        "role:admin",
        "say by which addresses or serial an instance is known",
    ),
)
