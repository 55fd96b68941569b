"""`headwater config check` says of the files that settings name what the start would say, and makes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headwater.cli.main import app
from headwater.config import load
from headwater.errors import SettingsError
from headwater.identity.registry import open_rules
from headwater.server.apis.policies import BY_NAME
from headwater.server.named_files import looks, problems
from headwater.server.settings import Settings

BAD = {
    "policy": ('[policy]\nfile = "{bad}"', "bad"),
    "policy-missing": ('[policy]\nfile = "{none}"', "none"),
    "certificate": ('[server.tls]\ncertificate = "{bad}"', "[server.tls]"),
    "metadata-certificate": ('[server.metadata_tls]\ncertificate = "{none}"', "[server.metadata_tls]"),
    "users": ('[auth]\nmode = "basic"\nhtpasswd_file = "{none}"', "none"),
    "properties": ('[images]\nproperty_protection_file = "{none}"', "none"),
    "vendor-data": ('[metadata.vendor_data]\nfile = "{bad}"', "[metadata.vendor_data], key 'file'"),
    "keys": ('[metadata]\nkey_file = "{bad}"', "[metadata], key 'key_file'"),
    "signing-key": ('[streams]\nsigning_key = "{bad}"', "bad"),
    "keyring": ('[streams.trees.t]\npull_through = "https://feeds.test/"\nkeyring = "{bad}"', "bad"),
    "fetch": ('[fetch]\ncafile = "{bad}"', "[fetch], key 'cafile'"),
    "trusted": ('[signatures]\ntrusted = "{none}"', "none"),
    "audit": ('[audit]\nfile = "{none}/audit.log"', "[audit], key 'file'"),
    "data": ('data_dir = "{bad}"', "key 'data_dir'"),
}


def written(directory: Path, toml: str) -> Path:
    bad = directory / "bad"
    bad.write_text("{nothing of use: [")
    file = directory / "headwater.toml"
    file.write_text(toml.replace("{bad}", str(bad)).replace("{none}", str(directory / "none")))
    return file


@pytest.mark.parametrize(("toml", "names"), BAD.values(), ids=BAD)
def test_each_file_that_is_no_good_is_named_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str, names: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = written(tmp_path, toml)
    before = sorted(tmp_path.rglob("*"))
    (problem,) = problems(load(Settings, file=file).settings)
    assert names in problem
    done = CliRunner().invoke(app, ["--config", str(file), "config", "check"])
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"headwater: {problem}\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = written(tmp_path, "\n".join(BAD[each][0] for each in ("keys", "policy", "fetch", "certificate")))
    done = CliRunner().invoke(app, ["--config", str(file), "config", "check", "--json"])
    found = json.loads(done.stdout)
    assert (done.exit_code, done.stderr, found["right"], len(found["problems"])) == (2, "", False, 4)


@pytest.mark.parametrize("name", ["certificate", "users", "properties", "vendor-data", "signing-key", "trusted"])
def test_a_start_says_the_same(tmp_path: Path, name: str) -> None:
    settings = load(Settings, file=written(tmp_path, BAD[name][0])).settings
    with pytest.raises(SettingsError) as refused:
        for look in looks(settings, open_rules(settings.auth, settings.policy, BY_NAME)):
            look()
    assert problems(settings) == [str(refused.value)]
