"""What the rules allow, built in and from an operator's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from oslo_policy.policy import Enforcer

from headwater.asking import knowing
from headwater.errors import SettingsError
from headwater.identity.caller import OPERATOR, Caller
from headwater.identity.policy import engine
from headwater.identity.policy.engine import Policy, PolicyForbidden, RemoteCheckFailed
from headwater.identity.policy.file import BadPolicy
from headwater.identity.settings import PolicySettings
from headwater.images.policies import BY_NAME, RULES


def somebody(*roles: str, project: str | None = "mine", **more: Any) -> Caller:
    return Caller(user_id="u", project_id=project, roles=frozenset(roles), **more)


ADMIN = somebody("admin", "manager", "member", "reader", project="admins")
MEMBER = somebody("member", "reader")
READER = somebody("reader")
SERVICE = somebody("service", project="services")
NOBODY = somebody()


def image(owner: str | None = "mine", visibility: str = "private", member_id: str | None = None) -> dict[str, Any]:
    return {"project_id": owner, "owner": owner, "visibility": visibility, "member_id": member_id}


OURS, THEIRS = image(), image("theirs")
OWN_BY_MEMBER = (
    *("add_image", "delete_image", "modify_image", "upload_image", "communitize_image", "set_image_location"),
    *("add_member", "delete_member", "deactivate", "reactivate", "add_image_location"),
)
ADMIN_ONLY = (
    *("publicize_image", "copy_image", "delete_image_location", "manage_image_cache", "cache_image", "cache_list"),
    *("cache_delete", "cache_clean", "cache_prune", "list_cached_nodes", "tasks_api_access", "context_is_admin"),
    *(name for name in BY_NAME if "metadef" in name and name.split("_")[0] in ("add", "modify", "delete", "remove")),
)
READ_METADEFS = [name for name in BY_NAME if "metadef" in name and name.split("_")[0] in ("get", "list")]


@pytest.fixture(scope="module")
def rules() -> Policy:
    return Policy(PolicySettings(), BY_NAME)


@pytest.mark.parametrize("rule", OWN_BY_MEMBER)
def test_a_member_does_it_to_what_the_project_owns(rules: Policy, rule: str) -> None:
    assert rules.allows(rule, MEMBER, OURS)
    assert rules.allows(rule, ADMIN, THEIRS)
    assert not rules.allows(rule, MEMBER, THEIRS)
    assert not rules.allows(rule, READER, OURS)
    assert not rules.allows(rule, NOBODY, OURS)


@pytest.mark.parametrize("rule", ADMIN_ONLY)
def test_only_an_administrator_does_it(rules: Policy, rule: str) -> None:
    assert rules.allows(rule, ADMIN, THEIRS)
    for caller in (MEMBER, READER, SERVICE, NOBODY):
        assert not rules.allows(rule, caller, OURS)


@pytest.mark.parametrize(
    ("rule", "least"), [("get_image", READER), ("download_image", MEMBER), ("download_from_store", MEMBER)]
)
def test_who_sees_and_reads_an_image(rules: Policy, rule: str, least: Caller) -> None:
    for target in (
        OURS,
        image("theirs", member_id="mine"),
        *(image("t", v) for v in ("public", "community", "shared")),
    ):
        assert rules.allows(rule, least, target)
        assert not rules.allows(rule, NOBODY, target)
        assert rules.allows(rule, READER, target) is (least is READER)
    assert not rules.allows(rule, least, THEIRS)
    assert not rules.allows(rule, least, image("theirs", "shared-not", member_id="others"))
    assert rules.allows(rule, ADMIN, THEIRS)


@pytest.mark.parametrize("rule", ["get_images", "get_image_location"])
def test_a_reader_reads_what_the_project_owns(rules: Policy, rule: str) -> None:
    assert rules.allows(rule, READER, OURS)
    assert not rules.allows(rule, READER, THEIRS)
    assert not rules.allows(rule, NOBODY, OURS)


@pytest.mark.parametrize("rule", ["get_member", "get_members"])
def test_owner_and_member_see_a_sharing(rules: Policy, rule: str) -> None:
    assert rules.allows(rule, READER, OURS)
    assert rules.allows(rule, READER, image("theirs", "shared", "mine"))
    assert not rules.allows(rule, READER, image("theirs", "shared", "others"))


def test_only_the_member_accepts(rules: Policy) -> None:
    assert rules.allows("modify_member", MEMBER, image("theirs", "shared", "mine"))
    assert not rules.allows("modify_member", MEMBER, image("mine", "shared", "others"))
    assert not rules.allows("modify_member", READER, image("theirs", "shared", "mine"))


def test_an_image_for_another_project_takes_an_administrator(rules: Policy) -> None:
    target = {"project_id": "mine", "owner": "theirs"}
    assert not rules.allows("add_image", MEMBER, target)
    assert rules.allows("add_image", ADMIN, target)


@pytest.mark.parametrize("rule", ["fetch_image_location", "stores_info_detail", "add_image_location"])
def test_another_service_does_it(rules: Policy, rule: str) -> None:
    assert rules.allows(rule, SERVICE, THEIRS)
    assert not rules.allows(rule, MEMBER, THEIRS)


@pytest.mark.parametrize("rule", ["get_task", "get_tasks", "add_task", "modify_task", "default"])
def test_what_is_guarded_elsewhere_is_open(rules: Policy, rule: str) -> None:
    assert rules.allows(rule, NOBODY, {})


@pytest.mark.parametrize("rule", READ_METADEFS)
def test_definitions_are_read_by_their_project_or_when_public(rules: Policy, rule: str) -> None:
    if rule == "metadef_default":
        return
    assert rules.allows(rule, READER, OURS)
    assert rules.allows(rule, READER, image("theirs", "public"))
    assert not rules.allows(rule, READER, THEIRS)
    assert not rules.allows(rule, NOBODY, image("theirs", "public"))


def test_the_operator_of_a_machine_without_authentication_may_do_everything(rules: Policy) -> None:
    assert [rule.name for rule in RULES if not rules.allows(rule.name, OPERATOR, image(None))] == []


def test_who_has_no_project_does_not_own_what_has_no_owner(rules: Policy) -> None:
    homeless = somebody("member", "reader", project=None)
    for project in (None, "None", ""):
        assert not rules.allows("get_image", homeless, image(project))
        assert not rules.allows("modify_image", somebody("member", project="None"), image(None))


@pytest.mark.parametrize("scope", [{"system_scope": "all"}, {"domain_id": "d"}])
def test_a_token_of_another_scope_is_refused(scope: dict[str, str]) -> None:
    caller = somebody("admin", project=None, **scope)
    with pytest.raises(PolicyForbidden, match="scoped to a project"):
        Policy(PolicySettings(), BY_NAME).require("get_image", caller, OURS)
    Policy(PolicySettings(enforce_scope=False), BY_NAME).require("get_image", caller, OURS)
    assert Policy(PolicySettings(), BY_NAME).is_admin(caller)


def test_a_refusal_names_the_rule_as_glance_does(rules: Policy) -> None:
    with pytest.raises(PolicyForbidden) as caught:
        rules.require("publicize_image", MEMBER, OURS)
    assert str(caught.value) == "You are not authorized to complete publicize_image action."
    assert caught.value.rule == "publicize_image"


def test_a_rule_that_does_not_exist_is_an_error_and_no_answer(rules: Policy) -> None:
    with pytest.raises(KeyError):
        rules.allows("get_imagine", ADMIN, {})


def test_a_value_that_cannot_be_kept_is_judged_all_the_same(rules: Policy) -> None:
    assert not rules.allows("get_image", MEMBER, {**THEIRS, "visibility": ["public"]})
    assert rules.allows("get_image", MEMBER, {**OURS, "visibility": ["public"]})


# --- The operator's file -------------------------------------------------------------------------


def with_file(path: Path, text: str, **settings: Any) -> Policy:
    file = path / "policy.yaml"
    file.write_text(text)
    return Policy(PolicySettings(file=file, **settings), BY_NAME)


def test_a_rule_of_the_file_replaces_the_built_in_one_and_the_others_stay(tmp_path: Path) -> None:
    rules = with_file(
        tmp_path,
        """
        # Glance's own style
        "admin_or_owner": "role:admin or project_id:%(project_id)s"
        "publicize_image": "rule:admin_or_owner"
        "get_tasks": "!"
        "delete_image": "role:Image_Remover and not tenant:theirs"
        "metadef_admin": "role:curator"
        """,
    )
    assert rules.allows("publicize_image", READER, OURS)
    assert not rules.allows("publicize_image", READER, THEIRS)
    assert not rules.allows("get_tasks", ADMIN, {})
    assert rules.allows("delete_image", somebody("image_remover"), THEIRS)
    assert not rules.allows("delete_image", somebody("image_remover", project="theirs"), THEIRS)
    assert rules.allows("add_metadef_tag", somebody("curator"), {})
    assert not rules.allows("modify_image", READER, OURS)


def test_json_and_the_oldest_form_of_rules_work(tmp_path: Path) -> None:
    text = '{"get_image": [["role:a", "project_id:%(owner)s"], ["role:b"]], "get_images": [], "add_image": ""}'
    rules = with_file(tmp_path, text)
    assert rules.allows("get_image", somebody("a"), OURS)
    assert not rules.allows("get_image", somebody("a"), THEIRS)
    assert rules.allows("get_image", somebody("b"), THEIRS)
    assert rules.allows("get_images", NOBODY, {})
    assert rules.allows("add_image", NOBODY, {})


def test_who_is_an_administrator_is_the_operators_word(tmp_path: Path) -> None:
    rules = with_file(tmp_path, '"context_is_admin": "role:boss"\n"publicize_image": "is_admin:True"\n')
    assert rules.is_admin(somebody("boss"))
    assert rules.allows("publicize_image", somebody("boss"), OURS)
    assert not rules.allows("publicize_image", ADMIN, OURS)


def test_rules_see_the_attributes_of_the_image_and_the_roles_of_the_service(tmp_path: Path) -> None:
    rules = with_file(
        tmp_path,
        '"download_image": "\'bare\':%(container_format)s and user_id:u and service_roles:service"\n',
    )
    nova = somebody(service_roles=frozenset({"service"}))
    assert rules.allows("download_image", nova, {"container_format": "bare"})
    assert not rules.allows("download_image", nova, {"container_format": "ova"})
    assert not rules.allows("download_image", nova, {})
    assert not rules.allows("download_image", NOBODY, {"container_format": "bare"})


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('"get_image": "role:admin and (role:x"', 1, "cannot be parsed"),
        ('\n\n"get_image": "role:a or"', 3, "cannot be parsed"),
        ('"get_image": "  "', 1, "cannot be parsed"),
        ('"get_image": "admin"', 1, "'admin' is no check"),
        ('"get_image": [["admin"]]', 1, "'admin' is no check"),
        ('"get_image": "rule:admin_requird"', 1, "'admin_requird', which is not there"),
        ('"get_image": "not rule:get_image"', 1, "leads back to itself"),
        ('"x": "@"\n"default": "rule:get_task"', 2, "leads back to itself"),
        ('"get_image": "http://p/%(id)s"', 1, "remote_checks"),
        ('"get_image": "project_id:%(size)d"', 1, "cannot be evaluated"),
        ('"get_image": "project_id:100%"', 1, "cannot be evaluated"),
        ('"get_image": "is-x:True"', 1, "cannot be evaluated"),
        ('"get_image": "user_id.name:x"', 1, "cannot be evaluated"),
        ('"a": "@"\n"get_image":', 2, "it is empty"),
        ('"get_image": true', 1, "is text"),
        ('"get_image": {"a": "b"}', 1, "is text"),
        ('"get_image": "@"\n"get_image": "!"', 2, "stands above already"),
        ('"get_image": ["role:a"', 2, "not YAML"),
        ("- get_image", 1, "pairs"),
        ("\x00", 1, "not YAML"),
    ],
)
def test_a_bad_file_refuses_the_start_with_line_and_rule(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(BadPolicy) as caught:
        with_file(tmp_path, text + "\n")
    assert caught.value.line == line
    assert words in str(caught.value)
    assert f"{tmp_path / 'policy.yaml'}, line {line}" in str(caught.value)


def test_a_file_that_is_not_there_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        Policy(PolicySettings(file=tmp_path / "none.yaml"), BY_NAME)


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert with_file(tmp_path, "# nothing yet\n").allows("get_image", READER, OURS)


def test_a_change_counts_and_a_bad_change_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = with_file(tmp_path, '"get_images": "!"\n')
    assert not rules.allows("get_images", READER, OURS)
    assert rules._file is not None
    for text, allowed in (('"get_images": "@"\n', True), ('"get_images": "nonsense"\n', True), ("", True)):
        (tmp_path / "policy.yaml").write_text(text)
        monkeypatch.setattr(rules._file, "_check_at", 0.0)
        assert rules.allows("get_images", READER, OURS) is allowed


class Remote:
    """What the operator's policy server was asked, and what it says."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.says = "True"

    def __call__(self, url: str, *, data: dict[str, Any], timeout: float, **_: Any) -> requests.Response:
        assert timeout == 5
        if self.says == "nothing":
            raise requests.ConnectionError("no route")
        self.asked.append((url, data))
        answer = requests.Response()
        answer._content = self.says.encode()
        return answer


def test_a_remote_check_is_made_each_time_when_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote()
    monkeypatch.setattr(requests, "post", remote)
    rules = with_file(tmp_path, '"get_image": "http://policy/%(id)s"\n', remote_checks=True)
    token = somebody("reader", token="secret-token")
    assert rules.allows("get_image", token, {**OURS, "id": "1"})
    remote.says = "False"
    assert not rules.allows("get_image", token, {**OURS, "id": "1"})
    assert [url for url, _ in remote.asked] == ["http://policy/1", "http://policy/1"]
    assert "secret-token" not in str(remote.asked)
    remote.says = "nothing"
    with pytest.raises(RemoteCheckFailed):
        rules.allows("get_image", token, {**OURS, "id": "1"})


def test_a_server_is_asked_before_a_transaction_and_not_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote()
    monkeypatch.setattr(requests, "post", remote)
    rules = with_file(tmp_path, '"get_image": "http://policy/%(id)s"\n', remote_checks=True)
    began: list[int] = []

    def work() -> bool:
        began.append(len(remote.asked))
        allowed = rules.allows("get_image", somebody("reader"), {**OURS, "id": "1"})
        assert len(remote.asked) == began[-1]  # nothing was asked while it ran
        return allowed

    assert knowing(work) is True
    assert began == [0, 1]


# --- Judgements that are kept --------------------------------------------------------------------


def test_a_judgement_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = Policy(PolicySettings(), BY_NAME)
    assert rules.allows("get_image", somebody("reader", token="one"), {**OURS, "id": "1"})

    def fail(*_: object) -> bool:
        pytest.fail("it was judged again")

    monkeypatch.setattr(Enforcer, "enforce", fail)
    # Another token, another image: nothing that the rule reads.
    assert rules.allows("get_image", somebody("reader", token="two"), {**OURS, "id": "2"})


def test_everything_that_a_rule_reads_makes_another_judgement(tmp_path: Path) -> None:
    rules = with_file(
        tmp_path,
        '"deep": "domain_id:%(name)s or rule:deeper"\n"deeper": "not (role:%(disk_format)s or is_admin:True)"\n'
        '"get_image": "rule:deep"\n',
        enforce_scope=False,
    )
    ask = rules.allows
    assert ask("get_image", READER, {"name": "d", "disk_format": "raw"})
    assert not ask("get_image", somebody("raw"), {"name": "d", "disk_format": "raw"})
    assert ask("get_image", somebody("raw"), {"name": "d", "disk_format": "qcow2"})
    assert ask("get_image", somebody("raw", domain_id="d"), {"name": "d", "disk_format": "raw"})
    assert not ask("get_image", ADMIN, {"name": "d", "disk_format": "raw"})


def test_what_is_kept_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "KEPT", 10)
    rules = Policy(PolicySettings(), BY_NAME)
    for number in range(100):
        assert not rules.allows("get_image", READER, image(f"project-{number}"))
    assert rules._builtin is not None
    assert len(rules._builtin.kept) <= 10
