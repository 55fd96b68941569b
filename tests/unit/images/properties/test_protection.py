from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from contracts.image_catalogue import an_image
from contracts.rules import EveryoneMay
from headwater.errors import SettingsError
from headwater.identity.caller import Caller
from headwater.images.attributes import Operation, PropertyMissing, ReservedAttribute, writable
from headwater.images.properties.guard import PropertyGuard
from headwater.images.properties.protection import ACTIONS, Action, Protections, read_protections

FILE = """\
# Who may do what.
[^x_owner_.*]
create = admin,member
read = admin,member
update = admin,member
delete = admin,member

[spl_(create|read|update|delete)_prop]
create = admin, spl_role
read = admin,spl_role
update = Admin ,SPL_ROLE
delete = admin

[^x_all_permitted.*]
create: @
read: @
update: @
delete: @

[^x_none_permitted.*]
create = !
read = !
update = !
delete = !

[^x_nobody.*]
create =
read = ,
update = !,admin
delete = ""
"""


def protections(text: str = FILE) -> Protections:
    return read_protections("f", text, "roles", ())


def who(*roles: str, service_roles: frozenset[str] = frozenset()) -> Caller:
    return Caller(user_id="u", project_id="p", roles=frozenset(roles), service_roles=service_roles)


def guard(text: str = FILE) -> PropertyGuard:
    found = protections(text)
    return PropertyGuard(lambda: found, EveryoneMay())


def may(name: str, action: Action, *roles: str, text: str = FILE) -> bool:
    permission = protections(text).permission(name, action)
    return permission.everybody or bool(permission.roles & set(roles))


def everything(section: str, value: str) -> str:
    return f"[{section}]\n" + "".join(f"{action} = {value}\n" for action in ACTIONS)


@pytest.mark.parametrize(
    ("name", "action", "roles", "allowed"),
    [
        ("x_owner_foo", "create", ["member"], True),
        ("x_owner_foo", "create", ["reader"], False),
        ("not_x_owner_foo", "create", ["admin"], False),
        ("spl_read_prop", "read", ["spl_role"], True),
        ("my_spl_read_prop_too", "read", ["spl_role"], True),
        ("spl_read_prop", "update", ["spl_role"], True),
        ("spl_read_prop", "update", ["admin"], True),
        ("spl_read_prop", "delete", ["spl_role"], False),
        ("x_all_permitted_1", "delete", [], True),
        ("x_none_permitted_1", "read", ["admin"], False),
        ("x_nobody", "create", ["admin", "member"], False),
        ("x_nobody", "read", ["admin", "member"], False),
        ("x_nobody", "update", ["admin", "member"], False),
        ("x_nobody", "delete", ["admin", "member"], False),
        ("something_else", "read", ["admin"], False),
        ("os_glance_failed_import", "read", [], True),
    ],
)
def test_the_first_section_that_matches_decides(name: str, action: Action, roles: list[str], allowed: bool) -> None:
    assert may(name, action, *roles) is allowed


def test_the_order_of_the_file_counts() -> None:
    """Source: OSSN-0013."""
    open_first = everything(".*", "@") + everything("^secret$", "admin")
    secret_first = everything("^secret$", "admin") + everything(".*", "@")
    assert may("secret", "read", "member", text=open_first)
    assert not may("secret", "read", "member", text=secret_first)
    assert may("other", "read", "member", text=secret_first)


def test_a_default_section_gives_what_others_lack() -> None:
    text = "[DEFAULT]\nread = @\ndelete = !\n[a]\ncreate = admin\nupdate = admin\n"
    assert may("a", "read", text=text)
    assert not may("a", "delete", "admin", text=text)


@pytest.mark.parametrize(
    ("text", "line", "section", "reason"),
    [
        ("create = admin\n", 1, None, "a section such as"),
        (everything("a", "@") + everything("b(", "@"), 6, "b(", "not a regular expression"),
        ("\n[a]\ncreate = @\nread = @\nupdate = @\n", 2, "a", "'delete' is missing"),
        ("[a]\ncreate = @\nread = @,!\nupdate = @\ndelete = @\n", 3, "a", "both '@' (everybody) and '!' (nobody)"),
        (everything("a", "@") + everything("a", "@"), 6, "a", "stands above already"),
        ("[a]\nread = @\nread = !\n", 3, "a", "'read' stands above already"),
        ("[a]\ncreate\n", 2, None, "NAME = VALUE"),
        ("[a]\ncreate = %(x)s\nread=@\nupdate=@\ndelete=@\n", 2, "a", "'%'"),
        ("# nothing\n", 1, None, "no section"),
        ("", 1, None, "no section"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text: str, line: int, section: str | None, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_protections("rules.conf", text, "roles", ())
    place = f"property protection file rules.conf, line {line}" + (f", section [{section}]: " if section else ": ")
    assert str(caught.value).startswith(place)
    assert reason in str(caught.value)


def test_a_rule_that_the_policy_lacks_refuses_the_file() -> None:
    text = "[a]\ncreate = known\nread = @\nupdate = !\ndelete = other\n"
    with pytest.raises(SettingsError, match=r"line 5, section \[a\]: 'delete' names the rule 'other'"):
        read_protections("f", text, "policies", {"known"})
    with pytest.raises(SettingsError, match="names several rules"):
        read_protections("f", everything("a", "known,other"), "policies", {"known", "other"})
    found = read_protections("f", text.replace("other", "known"), "policies", {"known"})
    assert found.rules == {"known"}
    assert found.permission("a", "create").rule == "known"
    assert found.permission("a", "read").everybody
    assert not found.permission("a", "update").everybody


class Asked:
    """Rules that allow one, and note what they were asked."""

    def __init__(self, *allowed: str) -> None:
        self.allowed, self.questions = allowed, list[tuple[str, Mapping[str, Any]]]()

    def allows(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> bool:
        self.questions.append((rule, target))
        if rule == "gone":
            raise KeyError(rule)
        return rule in self.allowed

    def require(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> None:
        raise AssertionError


def test_in_the_format_policies_the_policy_is_asked() -> None:
    """Source: Glance asks with an empty target."""
    text = "[a]\ncreate = writers\nread = readers\nupdate = writers\ndelete = gone\n"
    found = read_protections("f", text, "policies", {"writers", "readers", "gone"})
    rules = Asked("readers")
    judge = PropertyGuard(lambda: found, rules)
    assert judge.may_read(who(), ["a"])
    assert rules.questions == [("readers", {})]
    image = an_image("x", properties={"a": "1"})
    with pytest.raises(ReservedAttribute):
        judge.patched(who(), image, writable(image), [Operation("replace", "a", "2")])
    with pytest.raises(ReservedAttribute):  # the operator took the rule out of the policy since
        judge.patched(who(), image, writable(image), [Operation("remove", "a")])


def test_the_roles_of_a_service_that_calls_for_a_user_count() -> None:
    assert guard().may_read(who("reader", service_roles=frozenset({"spl_role"})), ["spl_read_prop"])
    assert not guard().may_read(who("reader"), ["spl_read_prop"])


HIDING = """\
[^secret$]
create = admin
read = admin
update = admin
delete = admin
[^blind$]
create = member
read = !
update = member
delete = member
[^once$]
create = member
read = @
update = admin
delete = admin
[^set$]
create = !
read = @
update = member
delete = !
"""
MEMBER, ADMIN = who("member"), who("admin", "member")


def patched(properties: dict[str, str], *operations: Operation, caller: Caller = MEMBER) -> dict[str, Any]:
    image = an_image("x", properties=properties)
    document = guard(HIDING).patched(caller, image, writable(image), operations)
    return {name: value for name, value in document.items() if name in ("secret", "blind", "once", "set", "other")}


def test_what_a_caller_may_not_read_is_not_shown() -> None:
    image = an_image("x", properties={"secret": "1", "once": "2", "other": "3", "os_glance_x": "4"})
    assert guard(HIDING).shown(MEMBER, image).properties == {"once": "2", "os_glance_x": "4"}
    assert guard(HIDING).shown(ADMIN, image).properties == {"secret": "1", "once": "2", "os_glance_x": "4"}
    nothing_hidden = an_image("x", properties={"once": "2"})
    assert guard(HIDING).shown(MEMBER, nothing_hidden) is nothing_hidden


def test_a_change_keeps_what_the_caller_does_not_see() -> None:
    assert patched({"secret": "1", "other": "2", "set": "3"}, Operation("replace", "set", "4")) == {
        "secret": "1",
        "other": "2",
        "set": "4",
    }


def test_what_a_caller_does_not_see_can_be_neither_replaced_nor_removed() -> None:
    for operation in (Operation("replace", "secret", "x"), Operation("remove", "secret")):
        for properties in ({"secret": "1"}, {}):  # the answer does not tell whether it is there
            with pytest.raises(PropertyMissing):
                patched(properties, operation)


def test_what_a_caller_does_not_see_is_not_overwritten_by_adding_it() -> None:
    with pytest.raises(ReservedAttribute):
        patched({"secret": "1"}, Operation("add", "secret", "x"))
    with pytest.raises(ReservedAttribute):
        patched({}, Operation("add", "secret", "x"))
    assert patched({"secret": "1"}, Operation("add", "secret", "x"), caller=ADMIN) == {"secret": "x"}
    assert patched({"blind": "1"}, Operation("add", "blind", "x")) == {"blind": "x"}
    assert patched({"blind": "1"}, Operation("add", "blind", "x"), Operation("remove", "blind")) == {}


@pytest.mark.parametrize(
    ("properties", "operation"),
    [
        ({"once": "1"}, Operation("add", "once", "2")),
        ({"once": "1"}, Operation("replace", "once", "2")),
        ({"once": "1"}, Operation("remove", "once")),
        ({}, Operation("add", "set", "2")),
        ({"set": "1"}, Operation("remove", "set")),
        ({}, Operation("add", "unnamed", "2")),
    ],
)
def test_what_a_caller_may_not_do_to_a_property_is_reserved(properties: dict[str, str], operation: Operation) -> None:
    with pytest.raises(ReservedAttribute, match=f"Attribute '{operation.name}' is reserved"):
        patched(properties, operation)


def test_each_step_of_a_patch_is_judged_by_what_is_there_then() -> None:
    assert patched({}, Operation("add", "once", "1")) == {"once": "1"}
    with pytest.raises(ReservedAttribute):  # the second step updates
        patched({}, Operation("add", "once", "1"), Operation("replace", "once", "2"))


def test_attributes_of_every_image_are_not_properties() -> None:
    image = an_image("x")
    document = guard(HIDING).patched(MEMBER, image, writable(image), [Operation("replace", "name", "n")])
    assert document["name"] == "n"
