"""The documents of a feed as they are: fetched once, parsed once, and never refused.

What a consumer makes of a fault is for the consumer to say; here stands only that it is there.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from pysequoia.packet import PacketPile, Tag

from headwater.streams.format.json_objects import UnsafePath, safe_path
from headwater.streams.lint.rules import Place
from headwater.streams.signing import clearsign
from headwater.streams.signing.verifying import BadSignature, Verified
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import PathNotFound, Tree, TreeRefused, TreeUnavailable

Verify = Callable[[bytes], Verified]  # raises BadSignature
_BOM: Final = b"\xef\xbb\xbf"
_UNAUTHORISED: Final = 401
# What ends a line for Python's ``splitlines`` and for nobody else.
_ODD_LINE_ENDS: Final = tuple(each.encode() for each in ("\u2028", "\u2029", "\x85"))


class State(Enum):
    """What became of asking for a file."""

    READ = "read"
    ABSENT = "absent"
    UNAUTHORISED = "unauthorised"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


@dataclass(slots=True)
class Text:
    """One file of the feed, and what is odd about it."""

    path: str
    state: State
    reason: str = ""  # why it could not be read
    value: Any = None  # what the JSON says, where it is JSON
    broken: str = ""  # why it is no JSON
    is_page: bool = False  # HTML, such as that of a login
    bom: bool = False
    twice: list[Place] = field(default_factory=list)  # keys that an object has more than once
    constants: list[str] = field(default_factory=list)  # NaN and its like, which are no JSON
    is_framed: bool = False  # as a signed text
    signature: str | None = None  # what is wrong with that, or that it is missing; empty: nothing; None: not signed
    signatures: int = 0  # how many, in a right frame
    proof: Verified | BadSignature | None = None  # of a text in a right frame, if there are keys
    odd_line_ends: bool = False
    mode: int | None = None  # of a file in a directory

    @property
    def is_json(self) -> bool:
        return self.state is State.READ and not self.broken

    @property
    def is_private(self) -> bool:
        """Whether others than its owner, such as a web server, may not read it."""
        return self.mode is not None and not self.mode & stat.S_IROTH


class Texts:
    """All texts of one tree; each is asked for once."""

    def __init__(self, tree: Tree, verify: Verify | None = None) -> None:
        """Begin with nothing read; ``verify`` judges signed texts."""
        self.tree = tree
        self._verify = verify
        self._read: dict[str, Text] = {}
        self._values: dict[bytes, Text] = {}  # of what was parsed, by its digest: a signed twin says the same

    def get(self, path: str) -> Text:
        """Return the text at ``path``; what is wrong is in it."""
        if path not in self._read:
            self._read[path] = _read(self.tree, path, self._values, self._verify)
        return self._read[path]

    def read(self) -> Iterator[Text]:
        """Yield the texts that were read."""
        return (text for text in self._read.values() if text.state is State.READ)


def _read(tree: Tree, path: str, known: dict[bytes, Text], verify: Verify | None) -> Text:
    try:
        body = tree.read(safe_path(path)).body
    except UnsafePath as error:
        return Text(path, State.ABSENT, error.problem)
    except PathNotFound:
        return Text(path, State.ABSENT, "it is not there")
    except TreeRefused as error:
        # Some readers take "who are you?" for "there is none", and all of them "you may not" for a failure.
        state = State.UNAUTHORISED if error.status == _UNAUTHORISED else State.REFUSED
        return Text(path, state, error.reason)
    except TreeUnavailable as error:
        return Text(path, State.UNAVAILABLE, error.reason)
    text = parsed(path, body, known)
    if verify is not None and text.signature == "":
        try:
            text.proof = verify(body)
        except BadSignature as error:
            text.proof = error
    if isinstance(tree, DirectoryTree):
        text.mode = (tree.root / path).stat().st_mode
    return text


def parsed(path: str, body: bytes, known: dict[bytes, Text] | None = None) -> Text:
    """Return what is to be known of a text of these bytes; what is in ``known`` is not parsed again."""
    text = Text(path, State.READ)
    if clearsign.BEGIN_MESSAGE in body:
        text.is_framed = True
        text.odd_line_ends = any(each in body for each in _ODD_LINE_ENDS)
        text.signature, text.signatures, body = _unframed(body)
    elif path.endswith(".sjson"):
        text.signature = "it is not signed: no line begins a signed message"
    known = {} if known is None else known
    digest = hashlib.sha256(body.rstrip()).digest()
    if digest in known:
        frame = text
        text = replace(known[digest], path=path, mode=None, is_framed=frame.is_framed)
        text.signature, text.signatures, text.odd_line_ends = frame.signature, frame.signatures, frame.odd_line_ends
        return text
    known[digest] = text
    text.bom = body.startswith(_BOM)
    body = body.removeprefix(_BOM)
    start = body[:512].lstrip().lower()
    text.is_page = start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body"))

    def constant(name: str) -> None:
        text.constants.append(name)

    try:
        text.value = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=constant)
    except UnicodeDecodeError as error:
        text.broken = f"byte {error.start} is not UTF-8"
    except json.JSONDecodeError as error:
        text.broken = f"{error.msg} in line {error.lineno}, column {error.colno}" if body.strip() else "it is empty"
    except RecursionError:
        text.broken = "it is nested too deeply"
    except ValueError:
        text.broken = "it holds a number that is too long"
    else:
        text.twice = list(_twice(text.value, ()))
    return text


def _unframed(body: bytes) -> tuple[str, int, bytes]:
    """Return what is wrong with the frame of a signed text, how many signatures it has, and what readers take of it."""
    try:
        found = clearsign.parse(body)
    except clearsign.NotClearSigned as error:
        problem = error.problem
    else:
        try:
            return "", sum(packet.tag == Tag.Signature for packet in PacketPile.from_bytes(found.signature)), found.text
        except RuntimeError:  # the library has no other
            return "its signature is damaged", 0, found.text
    inside = body.split(clearsign.BEGIN_MESSAGE, 1)[1].split(clearsign.BEGIN_SIGNATURE, 1)[0].replace(b"\r\n", b"\n")
    _, _, text = inside.partition(b"\n\n")
    return problem, 0, text.replace(b"\n- ", b"\n")


class _Doubled(dict[str, Any]):
    """An object that names keys twice."""

    twice: list[str]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    doubled = _Doubled(found)
    doubled.twice = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]  # that is why
    return doubled


def _twice(value: Any, place: Place) -> Iterator[Place]:
    waiting = [(place, value)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, _Doubled):
            yield from ((*place, name) for name in dict.fromkeys(value.twice))
        if isinstance(value, dict):
            waiting += [((*place, name), each) for name, each in value.items() if isinstance(each, dict | list)]
        elif isinstance(value, list):
            waiting += [((*place, n), each) for n, each in enumerate(value) if isinstance(each, dict | list)]
