from __future__ import annotations

import base64

import pytest

from headwater.instances.errors import InstanceInvalid
from headwater.instances.keys import Key, ssh_keys
from unit.instances.examples import KEY


def blob(algorithm: str) -> str:
    parts = (algorithm.encode(), b"rest of it")
    return base64.b64encode(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).decode()


def test_a_key_is_called_by_its_comment() -> None:
    assert ssh_keys(f"{KEY}\n") == [Key(name="user@host", data=KEY)]


def test_a_key_without_a_comment_is_called_by_its_algorithm() -> None:
    line = f"ecdsa-sha2-nistp256 {blob('ecdsa-sha2-nistp256')}"
    assert ssh_keys(line) == [Key(name="ecdsa-sha2-nistp256", data=line)]


def test_spaces_that_sshd_does_not_know_become_those_that_it_knows() -> None:
    assert [key.data for key in ssh_keys(KEY.replace(" ", "\u00a0"))] == [KEY]


def test_every_line_of_a_file_is_a_key_with_a_name_of_its_own() -> None:
    line = f"ssh-rsa {blob('ssh-rsa')} me"
    text = f"# mine\r\n\r\n{line}\r\n  {line}\r\n{line}"
    assert [key.name for key in ssh_keys(text)] == ["me", "me-2", "me-3"]


@pytest.mark.parametrize(
    ("comment", "name"), [("a=b", "a-b"), ("me/work", "me-work"), ("=/=", "ssh-rsa"), ("my key", "my key")]
)
def test_what_guests_cannot_read_in_a_name_is_replaced(comment: str, name: str) -> None:
    line = f"ssh-rsa {blob('ssh-rsa')} {comment}"
    assert ssh_keys(line) == [Key(name=name, data=line)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "hello",
        "ssh-ed25519",
        "ssh-ed25519 AAAA cut@off",
        f"ssh-rsa {blob('ssh-ed25519')} another",
        "ssh-rsa not*base64 x",
        f"{KEY}\nssh-rsa oops",
    ],
)
def test_what_is_no_whole_key_is_refused(text: str) -> None:
    with pytest.raises(InstanceInvalid, match="ssh key"):
        ssh_keys(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (KEY[:60], r"this holds a key that is cut off .*\(line 1\)"),
        (f"ssh-rsa {blob('ssh-rsa')[:-4]} x", "this holds a key that is cut off"),
        (f"{KEY}\n\nssh-rsa oops", r"this holds a key that is cut off .*\(line 3\)"),
        ("ssh-rsa", "this ends after ssh-rsa"),
        (f"ssh-rsa {blob('ssh-ed25519')} x", "says ssh-rsa and holds a key of another kind"),
        (f'command="echo hi",no-pty {KEY}', "this has something before the key, such as options"),
        (f"host.example {KEY}", "has something before the key"),
        ("2048 37 2553671", "key of SSH version 1"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nComment: x", "form of SSH2 .*ssh-keygen -i -f FILE"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA", "ssh-keygen -i -m PKCS8"),
        ("-----BEGIN RSA PUBLIC KEY-----\nAAAA", "ssh-keygen -i -m PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA", "begins a certificate"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none", "private key; give the public one"),
        ("hello", "ssh key: this is no OpenSSH public key"),
    ],
)
def test_a_refusal_says_which_line_is_wrong_and_how(text: str, fault: str) -> None:
    with pytest.raises(InstanceInvalid, match=fault):
        ssh_keys(text)


def test_files_that_windows_wrote_are_read() -> None:
    line = f"ssh-rsa {blob('ssh-rsa')} me"
    assert [key.data for key in ssh_keys(f"\ufeff{line}\r\n\ufeff{KEY}\r\n")] == [line, KEY]
    assert ssh_keys(line.replace(" ", "\t"))[0].name == "me"


def test_a_private_key_is_refused_and_not_repeated() -> None:
    text = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n"
    with pytest.raises(InstanceInvalid, match=r"private key; give the public one") as caught:
        ssh_keys(text)
    assert "c2VjcmV0" not in str(caught.value)
    with pytest.raises(InstanceInvalid, match="private key"):
        Key(name="k", data=text)


@pytest.mark.parametrize("name", ["", "a=b", "a/b", "a\nb", " a", "a" * 256, "\udcff", "a\x85b"])
def test_a_name_that_guests_cannot_read_is_refused(name: str) -> None:
    with pytest.raises(InstanceInvalid, match="key name"):
        Key(name=name, data=KEY)


@pytest.mark.parametrize("data", ["", f"{KEY}\n{KEY}", "x" * 20000, "ssh-rsa \0"])
def test_a_key_is_one_line_of_reasonable_length(data: str) -> None:
    with pytest.raises(InstanceInvalid):
        Key(name="k", data=data)
