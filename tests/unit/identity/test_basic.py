"""Users from a file of htpasswd."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import bcrypt
import pytest

from headwater.errors import SettingsError, Unauthenticated
from headwater.identity import basic, watched_file
from headwater.identity.basic import HtpasswdUsers, read_htpasswd
from headwater.identity.caller import Caller


def hash_of(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def proof(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "users"


@pytest.fixture
def users(file: Path) -> HtpasswdUsers:
    file.write_text(f"# people\n\nada:{hash_of('a:b')}\nroot:{hash_of('toor')}:cloud:admin,extra\n")
    return HtpasswdUsers(file)


def test_a_user_without_more_is_a_member_of_a_project_of_the_own_name(users: HtpasswdUsers) -> None:
    caller = users.caller(proof("ada", "a:b"))
    assert caller == Caller(user_id="ada", project_id="ada", roles=frozenset({"member", "reader"}))


def test_a_line_gives_project_and_roles_and_a_role_the_lesser_ones(users: HtpasswdUsers) -> None:
    caller = users.caller(proof("root", "toor"))
    assert caller.project_id == "cloud"
    assert caller.roles == {"admin", "manager", "member", "reader", "extra"}


def test_a_file_may_be_as_windows_writes_it(file: Path) -> None:
    file.write_bytes(f"\ufeffada:{hash_of('x')}\r\nbob:{hash_of('x')}:p:reader\r\n".encode())
    assert set(read_htpasswd(file)) == {"ada", "bob"}


def test_a_role_brings_no_greater_one(file: Path) -> None:
    file.write_text(f"a:{hash_of('x')}:p:Reader\nb:{hash_of('x')}:p:service\nc:{hash_of('x')}::member\n")
    roles = {name: user.caller.roles for name, user in read_htpasswd(file).items()}
    assert roles == {"a": {"reader"}, "b": {"service"}, "c": {"member", "reader"}}
    assert read_htpasswd(file)["c"].caller.project_id == "c"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Basic"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + base64.b64encode(b"no-colon").decode()},
        {"authorization": "Basic " + base64.b64encode(b"\xff:x").decode()},
        {"authorization": "Basic " + base64.b64encode(b"ada:" + b"x" * 5000).decode()},
        {"authorization": "Bearer abc"},
        {"x-auth-token": "t"},
        proof("ada", "wrong"),
        proof("ada", ""),
        proof("ada", "a:b\0"),
        proof("ada", "x" * 100),
        proof("ADA", "a:b"),
        proof("nobody", "a:b"),
        proof("", ""),
        proof("# people", ""),
    ],
)
def test_what_proves_nothing_is_refused(users: HtpasswdUsers, headers: dict[str, str]) -> None:
    assert users.cached(headers) is None
    with pytest.raises(Unauthenticated) as caught:
        users.caller(headers)
    assert caught.value.headers == {"WWW-Authenticate": 'Basic realm="headwater"'}
    assert users.cached(headers) is None


@pytest.mark.parametrize("variant", ["2a", "2b", "2y"])
def test_every_writing_of_bcrypt_is_taken(file: Path, variant: str) -> None:
    file.write_text(f"ada:{hash_of('x').replace('$2b$', f'${variant}$')}\n")
    assert HtpasswdUsers(file).caller(proof("ada", "x")).user_id == "ada"


def test_a_password_is_hashed_once(users: HtpasswdUsers, monkeypatch: pytest.MonkeyPatch) -> None:
    assert users.cached(proof("ada", "a:b")) is None
    caller = users.caller(proof("ada", "a:b"))

    def fail(*_: object) -> bool:
        pytest.fail("it was hashed again")

    monkeypatch.setattr(bcrypt, "checkpw", fail)
    assert users.cached(proof("ada", "a:b")) == users.caller(proof("ada", "a:b")) == caller
    assert users.cached(proof("ada", "a:c")) is None


def test_an_unknown_user_costs_a_hash_too(users: HtpasswdUsers, monkeypatch: pytest.MonkeyPatch) -> None:
    costs = []

    def note(_password: bytes, hash_: bytes) -> bool:
        costs.append(hash_[:7])
        return bcrypt.hashpw(b"x", hash_[:29]) == hash_

    monkeypatch.setattr(bcrypt, "checkpw", note)
    for name in ("nobody", "ada"):
        with pytest.raises(Unauthenticated):
            users.caller(proof(name, "x"))
    assert costs == [b"$2b$04$", b"$2b$04$"]


def test_the_file_is_read_again_when_it_changed(
    users: HtpasswdUsers, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users.caller(proof("ada", "a:b"))
    file.write_text(f"ada:{hash_of('new')}\n")
    assert users.cached(proof("ada", "a:b")) is not None
    monkeypatch.setattr(users._users, "_check_at", 0.0)
    assert users.cached(proof("ada", "a:b")) is None
    with pytest.raises(Unauthenticated):
        users.caller(proof("ada", "a:b"))
    assert users.caller(proof("ada", "new")).user_id == "ada"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ada", "line 2: it is not USER:HASH"),
        ("ada:HASH:p:r:more", "line 2: it is not USER:HASH"),
        (":HASH", "line 2: a user's name"),
        ("ada:$apr1$abc$secretsecret", "line 2: the hash of 'ada' is not bcrypt"),
        ("ada:{SHA}secretsecret=", "line 2: the hash of 'ada' is not bcrypt"),
        ("ada:$2b$31$" + "a" * 53, "line 2: the hash of 'ada' has cost 31"),
        ("ada:HASH:a,b", "line 2: the project of 'ada'"),
        ("ada:HASH:p:a,,b", "line 2: the roles of 'ada'"),
        ("root:HASH", "line 2: the user 'root' has a line above"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(file: Path, line: str, words: str) -> None:
    file.write_text(f"root:{hash_of('x')}\n" + line.replace("HASH", hash_of("x")) + "\n")
    with pytest.raises(SettingsError) as caught:
        HtpasswdUsers(file)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "$2b$" not in str(caught.value)


def test_a_file_without_users_or_without_text_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        HtpasswdUsers(file)
    file.write_text("# nobody\n")
    with pytest.raises(SettingsError, match="no user"):
        HtpasswdUsers(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        HtpasswdUsers(file)
    monkeypatch.setattr(basic, "_FILE_LIMIT", 10)
    file.write_text("#" * 11)
    with pytest.raises(SettingsError, match="larger"):
        HtpasswdUsers(file)


def test_a_hash_is_not_in_what_is_printed(file: Path) -> None:
    file.write_text(f"ada:{hash_of('x')}\n")
    assert "$2b$" not in repr(read_htpasswd(file))


class TestWatchedFile:
    """The file itself: when it is looked at, and what a bad version of it does."""

    def watched(self, file: Path, now: list[float]) -> watched_file.WatchedFile[str]:
        def parse(path: Path) -> str:
            text = path.read_text()
            if "bad" in text:
                raise SettingsError(f"{path} is bad")
            return text

        return watched_file.WatchedFile(file, parse, steady=lambda: now[0])

    def test_it_is_looked_at_once_a_second(self, file: Path) -> None:
        now = [0.0]
        file.write_text("one")
        watched = self.watched(file, now)
        file.write_text("other")
        assert watched.value() == "one"
        now[0] = 1.0
        assert watched.is_due
        assert watched.value() == "other"
        assert not watched.is_due

    def test_a_bad_version_changes_nothing_and_is_logged(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        now = [0.0]
        file.write_text("one")
        watched = self.watched(file, now)
        file.write_text("bad")
        now[0] = 1.0
        assert watched.value() == "one"
        file.unlink()
        now[0] = 2.0
        assert watched.value() == "one"
        assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 2
        file.write_text("two")
        now[0] = 3.0
        assert watched.value() == "two"

    def test_a_file_put_in_its_place_with_the_same_time_and_size_is_seen(self, file: Path) -> None:
        now = [0.0]
        file.write_text("one")
        watched = self.watched(file, now)
        before = file.stat()
        other = file.with_name("other")
        other.write_text("two")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.rename(file)
        now[0] = 1.0
        assert watched.value() == "two"
