"""Public keys that a guest lets in, and how they are read from the lines that ssh-keygen writes."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Literal

from headwater.instances.errors import InstanceInvalid
from headwater.instances.names import NAME_LIMIT, require_text

MOST_KEYS = 1000  # of one machine

_ALGORITHM = re.compile(r"(ssh|ecdsa-sha2|sk-ssh|sk-ecdsa-sha2)-[a-z0-9@.-]+", re.ASCII)
KEY_LIMIT = 16384  # characters; an RSA key of 16384 bits has about 2800
_BYTE_ORDER_MARK = "\ufeff"
_WHERE_THE_PUBLIC_ONE_IS = "the .pub file, or what 'ssh-keygen -y -f FILE' or PuTTYgen shows"
# How the public keys of other programs begin, and what makes a line of them.
_OTHER_FORMS = {
    "---- BEGIN SSH2": "begins a key in the form of SSH2 (PuTTY); 'ssh-keygen -i -f FILE' prints it as one line",
    "-----BEGIN RSA PUBLIC": "begins a key in PEM; 'ssh-keygen -i -m PEM -f FILE' prints it as one line",
    "-----BEGIN PUBLIC": "begins a key in PEM; 'ssh-keygen -i -m PKCS8 -f FILE' prints it as one line",
    "-----BEGIN CERT": "begins a certificate, which is no SSH key",
    "-----BEGIN PGP": "begins a PGP key, which is no SSH key; 'gpg --export-ssh-key' prints one as a line",
}
# Guests split the listing ``0=NAME`` at '=' (cloudbase-init at every one) and paths at '/'.
_NOT_IN_A_NAME = re.compile(r"[=/\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One public key. Type ``x509`` is a certificate in PEM, for Windows guests."""

    name: str
    data: str
    type: Literal["ssh", "x509"] = "ssh"

    def __post_init__(self) -> None:
        require_text("key name", self.name)
        if _NOT_IN_A_NAME.search(self.name):
            raise InstanceInvalid("key name", f"{self.name!r} holds '=' or '/', which guests cannot read in a key name")
        if "PRIVATE KEY" in self.data:
            raise InstanceInvalid(f"key {self.name!r}", "this is a private key; give the public one, the .pub file")
        if self.type == "ssh":
            require_text(f"key {self.name!r}", self.data, limit=KEY_LIMIT)
        elif not self.data or len(self.data) > KEY_LIMIT or not self.data.isascii() or "\0" in self.data:
            raise InstanceInvalid(f"key {self.name!r}", f"give a certificate in PEM of at most {KEY_LIMIT} characters")


def ssh_keys(text: str) -> list[Key]:
    """Read public keys, one a line as in ``authorized_keys``; empty lines and ``#`` comments are skipped.

    A key is called by its comment, with what a name may not hold replaced by ``-``.

    Raises:
        InstanceInvalid: There is no key, or a line is none. The message does not repeat the line.
    """
    if "PRIVATE KEY" in text or "PuTTY-User-Key-File" in text:
        raise InstanceInvalid("ssh key", f"this is a private key; give the public one, {_WHERE_THE_PUBLIC_ONE_IS}")
    keys: list[Key] = []
    for number, written in enumerate(text.splitlines(), 1):
        # A mark in the middle is from a file that was put behind another one.
        line = written.replace(_BYTE_ORDER_MARK, "").replace("\t", " ").strip()
        if line and not line.startswith("#"):
            if len(keys) == MOST_KEYS:
                raise InstanceInvalid("ssh keys", f"there are more than the {MOST_KEYS} that one machine may have")
            keys.append(_ssh_key(number, line, {key.name for key in keys}))
    if not keys:
        raise InstanceInvalid("ssh key", "there is no key in it; give a line such as 'ssh-ed25519 AAAA… user@host'")
    return keys


def _ssh_key(number: int, line: str, taken: set[str]) -> Key:
    algorithm, blob, comment = [*line.split(maxsplit=2), "", ""][:3]
    if not _ALGORITHM.fullmatch(algorithm) or not _holds(blob, algorithm):
        raise InstanceInvalid("ssh key", f"this {_fault(line, algorithm, blob)} (line {number})")
    data = " ".join(filter(None, (algorithm, blob, comment)))  # sshd knows no other spaces than ASCII's
    return Key(name=free_name(key_name(comment) or algorithm, taken), data=data)


def _fault(line: str, algorithm: str, blob: str) -> str:
    """Return what is wrong with a line, without what it says."""
    for beginning, fault in _OTHER_FORMS.items():
        if line.startswith(beginning):
            return fault
    if _ALGORITHM.fullmatch(algorithm):
        if not blob:
            return f"ends after {algorithm}; the key itself is missing"
        named = _algorithm_of(blob)
        if named is not None and named != algorithm:
            return f"says {algorithm} and holds a key of another kind"
        return "holds a key that is cut off or broken over several lines; a key is one line"
    if any(_ALGORITHM.fullmatch(word) for word in line.split()):
        return "has something before the key, such as options or a host name; leave it out"
    if all(word.isdecimal() for word in (algorithm, blob)):
        return "is a key of SSH version 1, which nothing takes any more; make one with 'ssh-keygen -t ed25519'"
    return "is no OpenSSH public key, or not a whole one; give a line such as 'ssh-ed25519 AAAA… user@host'"


def _holds(blob: str, algorithm: str) -> bool:
    """Whether the blob is base64 that begins with its algorithm's name and goes on to its end (RFC 4253, section 6.6).

    All that follows are strings, each with its length before it; but in certificates, which are of several kinds.
    """
    if _algorithm_of(blob) != algorithm:
        return False
    left = memoryview(base64.b64decode(blob))
    while left and "-cert-" not in algorithm:
        length = int.from_bytes(left[:4], "big")
        if len(left) < 4 + length:
            return False
        left = left[4 + length :]
    return True


def _algorithm_of(blob: str) -> str | None:
    try:
        decoded = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return None
    end = 4 + int.from_bytes(decoded[:4], "big")
    return decoded[4:end].decode("ascii", "replace") if 4 < end < len(decoded) else None


def key_name(text: str) -> str:
    """Return ``text`` as a key may be called; empty when nothing is left."""
    return _NOT_IN_A_NAME.sub("-", text).strip().strip("-")[:NAME_LIMIT].strip()


def free_name(name: str, taken: set[str]) -> str:
    """Return ``name``, or the first of ``name-2``, ``name-3`` … that is not taken."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name[: NAME_LIMIT - 6]}-{number}"
    return candidate
