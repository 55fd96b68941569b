"""Users from a file of htpasswd, sent with HTTP Basic (``openstack --os-auth-type http_basic``).

A line is ``USER:HASH``, or ``USER:HASH:PROJECT:ROLE,ROLE``; what follows the hash is not read by other
readers of such files. Without a project the user's own name is it, without roles the user is a member.
A role brings the lesser ones along, as Keystone's roles imply each other: admin, manager, member, reader.

A bcrypt hash takes tens of milliseconds on purpose. A password that was right once is remembered by a
keyed digest (the key lives and dies with the process), so that only the first request waits.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt

from headwater.errors import SettingsError, Unauthenticated
from headwater.identity.caller import Caller
from headwater.identity.watched_file import WatchedFile

CHALLENGE = 'Basic realm="headwater"'
_HEADER_LIMIT = 4096  # characters; bcrypt reads 72 bytes of a password
_FILE_LIMIT = 4 << 20
_HASH = re.compile(r"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}")
_COSTS = range(4, 17)  # 2 to the 16th rounds take seconds already; more would hold a thread for minutes
_NAME = re.compile(r"[^\x00-\x1f\x7f,:]{1,255}")
_IMPLIED = ("admin", "manager", "member", "reader")  # each has those that follow


@dataclass(frozen=True, slots=True)
class User:
    """One line of the file."""

    caller: Caller
    hash: bytes = field(repr=False)


def read_htpasswd(path: Path) -> dict[str, User]:
    """Return the users of the file by name.

    Raises:
        SettingsError: A line cannot be used; the message has its number and not its hash.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_FILE_LIMIT + 1)
    if len(data) > _FILE_LIMIT:
        raise SettingsError(f"{path} is larger than {_FILE_LIMIT} bytes, too large for a file of users")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text") from error
    users: dict[str, User] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, user = _user(f"{path}, line {number}", line.strip())
        if name in users:
            raise SettingsError(f"{path}, line {number}: the user {name!r} has a line above already")
        users[name] = user
    if not users:
        raise SettingsError(f"{path} holds no user; `htpasswd -B {path} NAME` adds one")
    return users


def _user(place: str, line: str) -> tuple[str, User]:
    name, *rest = line.split(":")
    if not rest or len(rest) > 3:
        raise SettingsError(f"{place}: it is not USER:HASH or USER:HASH:PROJECT:ROLE,ROLE")
    hash_, project, roles = (*rest, "", "", "")[:3]
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{place}: a user's name has 1 to 255 characters, no comma and no control character")
    match = _HASH.fullmatch(hash_)
    if match is None:
        raise SettingsError(f"{place}: the hash of {name!r} is not bcrypt; `htpasswd -B` makes one that is")
    if int(match[1]) not in _COSTS:
        raise SettingsError(f"{place}: the hash of {name!r} has cost {match[1]}; {_COSTS[0]} to {_COSTS[-1]} work")
    if project and not _NAME.fullmatch(project):
        raise SettingsError(f"{place}: the project of {name!r} has a comma or a control character, or is too long")
    given = [role.strip().lower() for role in roles.split(",")] if roles else ["member"]
    if not all(_NAME.fullmatch(role) for role in given):
        raise SettingsError(f"{place}: the roles of {name!r} are not names with commas between them")
    caller = Caller(user_id=name, project_id=project or name, roles=_with_implied(given))
    return name, User(caller, hash_.encode("ascii"))


def _with_implied(roles: list[str]) -> frozenset[str]:
    places = [_IMPLIED.index(role) for role in roles if role in _IMPLIED]
    return frozenset([*roles, *(_IMPLIED[min(places) :] if places else ())])


class HtpasswdUsers:
    """The authenticator of mode ``basic``."""

    def __init__(self, path: Path) -> None:
        """Read the users.

        Raises:
            SettingsError: The file cannot be used.
        """
        self._users = WatchedFile(path, read_htpasswd)
        self._key = secrets.token_bytes(32)
        self._proved: dict[str, tuple[bytes, bytes]] = {}  # by name: the hash, and the digest of what matched it

    def cached(self, headers: Mapping[str, str]) -> Caller | None:
        """Return the caller when the same password was right before."""
        given = credentials(headers)
        if given is None or self._users.is_due:
            return None
        name, password = given
        user = self._users.last.get(name)
        return user.caller if user is not None and self._is_proved(name, user, password) else None

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return the user whose name and password the request has."""
        given = credentials(headers)
        if given is None:
            raise Unauthenticated("This request needs a user and a password, sent with HTTP Basic.", CHALLENGE)
        name, password = given
        users = self._users.value()
        user = users.get(name)
        if user is None:
            # As long as for a user who is there, so that names cannot be probed.
            _matches(password, _decoy(next(iter(users.values())).hash))
            raise _refused()
        if not self._is_proved(name, user, password):
            if not _matches(password, user.hash):
                raise _refused()
            self._proved[name] = (user.hash, self._digest(name, password))
        return user.caller

    def close(self) -> None:
        """Nothing is held."""

    def _is_proved(self, name: str, user: User, password: bytes) -> bool:
        hash_, digest = self._proved.get(name, (b"", b""))
        return hash_ == user.hash and hmac.compare_digest(digest, self._digest(name, password))

    def _digest(self, name: str, password: bytes) -> bytes:
        return hmac.digest(self._key, name.encode() + b"\0" + password, hashlib.sha256)


def _refused() -> Unauthenticated:
    return Unauthenticated("The user or the password is wrong.", CHALLENGE)


def _matches(password: bytes, hash_: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, hash_)
    except ValueError:  # longer than bcrypt reads, or holds NUL: no line of the file was made from it
        return False


def _decoy(hash_: bytes) -> bytes:
    """Return a hash that takes as long as ``hash_`` and that no password matches."""
    return hash_[:7] + b"." * 53


def credentials(headers: Mapping[str, str]) -> tuple[str, bytes] | None:
    """Return the name and the password that a request has; ``None``: none, or none that can be read."""
    header = headers.get("authorization", "")
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(header) > _HEADER_LIMIT:
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode("utf-8"), password) if colon else None
    except (binascii.Error, UnicodeDecodeError):
        return None
