"""Protected properties: the file as an operator keeps it."""

from __future__ import annotations

from pathlib import Path

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterDidNotStart, wait_until
from needs import CHECKOUT

EXAMPLE = CHECKOUT / "examples" / "property-protections.conf"
ALL = "create = {0}\nread = {0}\nupdate = {0}\ndelete = {0}\n"


def settings(file: Path, format_: str = "roles", policy: Path | None = None) -> str:
    return f'[images]\nproperty_protection_file = "{file}"\nproperty_protection_rule_format = "{format_}"\n' + (
        f'[policy]\nfile = "{policy}"\n' if policy else ""
    )


def create(url: str, **properties: str) -> httpx.Response:
    return httpx.post(f"{url}/v2/images", json=properties, headers={"Accept": "application/json"}, timeout=30)


def test_the_example_can_be_used(fresh_headwater: FreshHeadwater) -> None:
    url = fresh_headwater(toml=settings(EXAMPLE)).images_url
    assert create(url, billing_code="1", internal_note="2", anything="3").status_code == 201


def test_a_change_of_the_file_counts_without_a_restart_and_a_bad_one_does_not(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    file = tmp_path / "protections.conf"
    file.write_text("[.*]\n" + ALL.format("@"))
    service = fresh_headwater(toml=settings(file))
    assert create(service.images_url, p="1").status_code == 201
    file.write_text("[.*]\n" + ALL.format("!"))
    wait_until(lambda: create(service.images_url, p="1").status_code == 403, "the file is read again")
    file.write_text("[(]\n" + ALL.format("@"))
    wait_until(
        lambda: create(service.images_url, p="1").status_code == 403 and "section [(]" in service.stderr(),
        "the bad file is in the log",
    )


def test_in_the_format_policies_the_rules_of_the_policy_file_decide(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    file, policy = tmp_path / "protections.conf", tmp_path / "policy.yaml"
    file.write_text("[^mine_]\n" + ALL.format("mine") + "[^theirs_]\n" + ALL.format("theirs"))
    policy.write_text('"mine": "role:admin"\n"theirs": "role:nobody_has_it"\n')
    service = fresh_headwater(toml=settings(file, "policies", policy))
    assert create(service.images_url, mine_x="1").status_code == 201
    refused = create(service.images_url, theirs_x="1")
    assert refused.status_code == 403
    assert "Attribute 'theirs_x' is reserved." in refused.json()["message"]
    policy.write_text('"mine": "!"\n')
    wait_until(lambda: create(service.images_url, mine_x="1").status_code == 403, "the policy is read again")
    assert create(service.images_url, theirs_x="1").status_code == 403  # a rule that is gone allows nothing
    checked = service.command("policy", "check")
    assert "no part of Headwater asks this rule" not in checked.stdout


@pytest.mark.parametrize(
    ("text", "format_", "says"),
    [
        ("[a]\ncreate = @\nread = @,!\nupdate = @\ndelete = @\n", "roles", "line 3, section [a]: 'read' has both"),
        ("[a(]\n" + ALL.format("@"), "roles", "line 1, section [a(]: its name is not a regular expression"),
        ("[a]\ncreate = @\n", "roles", "line 1, section [a]: 'read' is missing"),
        ("[a]\n" + ALL.format("unknown"), "policies", "line 2, section [a]: 'create' names the rule 'unknown'"),
    ],
)
def test_a_bad_file_refuses_the_start(
    fresh_headwater: FreshHeadwater, tmp_path: Path, text: str, format_: str, says: str
) -> None:
    file = tmp_path / "protections.conf"
    file.write_text(text)
    with pytest.raises(HeadwaterDidNotStart) as caught:
        fresh_headwater(toml=settings(file, format_))
    assert caught.value.code == 2
    assert f"property protection file {file}, {says}" in caught.value.stderr
    assert "Traceback" not in caught.value.stderr
