"""What is wrong with one cloud-config, by our own rules: no cloud-init is needed for them.

The YAML is looked at twice: as nodes, which have lines and show keys that stand twice, and as the values that PyYAML,
with which cloud-init reads, makes of them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import yaml

from headwater.findings import Rule
from headwater.instances.errors import InstanceInvalid
from headwater.instances.keys import ssh_keys
from headwater.instances.user_data.cloud_config import rules
from headwater.instances.user_data.faults import Fault, broken
from headwater.instances.user_data.yaml_documents import Document, NotYaml

_TAB: Final = re.compile(r"^ *\t", re.MULTILINE)
# Options may stand before a key in authorized_keys.
_KEY: Final = re.compile(r"((ssh|ecdsa-sha2|sk-ssh|sk-ecdsa-sha2)-[a-z0-9@.-]+)\s", re.ASCII)


class CloudConfig:
    """One cloud-config, read once: the document, and the line of each path in it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.document: Any = None  # None: it is empty, or no YAML
        self._lines: dict[str, int] = {}
        self._faults: list[Fault] = []  # of the YAML
        text = data.decode("utf-8", "replace")
        try:
            document = Document(text)
            if document.root is not None:
                self._faults += _walked(document.root, "", self._lines, set())
            self.document = document.values()
        except NotYaml as error:
            self._lines, self._faults = {}, [_not_yaml(text, error)]

    def faults(self, *, has_type: bool = False) -> list[Fault]:
        """Return what is wrong with it, in the order of its lines as far as they are known.

        Args:
            has_type: It is a part of several, and their MIME says what it is; its first line need not.
        """
        try:
            text = self._data.decode()
        except UnicodeDecodeError as error:
            return [broken(rules.NOT_UTF_8, line=self._data.count(b"\n", 0, error.start) + 1)]
        found = []
        if not has_type and text.split("\n", 1)[0].rstrip() != "#cloud-config":
            found.append(broken(rules.LOOSE_FIRST_LINE, line=1))
        if "\r\n" in text:
            found.append(broken(rules.LINE_ENDS, line=text.count("\n", 0, text.index("\r\n")) + 1))
        found += self._faults
        if self.document is None:
            return found if self._faults else [*found, broken(rules.EMPTY)]
        if not isinstance(self.document, dict):
            return [*found, broken(rules.NOT_A_MAPPING, found=_kind(self.document))]
        found += map(self.placed, _judged(self.document))
        return sorted(found, key=lambda fault: fault.line or 0)

    def placed(self, fault: Fault) -> Fault:
        """Return a fault with the line of its path, or of the nearest one around it."""
        path = fault.path
        while path and path not in self._lines:
            path = re.sub(r"(\.[^.\[]*|\[[0-9]+\])$", "", path) if re.search(r"[.\[]", path) else ""
        return replace(fault, line=self._lines.get(path) if path else None)


def _not_yaml(text: str, error: NotYaml) -> Fault:
    tab = _TAB.search(text)
    tab_line = None if tab is None else text.count("\n", 0, tab.start()) + 1
    if error.line is not None and tab_line is not None and abs(tab_line - error.line) <= 1:
        return broken(rules.TABS, line=tab_line)
    return broken(rules.NOT_YAML, line=error.line, problem=error.problem)


def _walked(node: yaml.Node, path: str, lines: dict[str, int], seen: set[int]) -> Iterator[Fault]:
    """Note the line of each path; yield keys that stand twice. What aliases repeat is walked once."""
    lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            here = f"{path}.{name}" if path else name
            if name in first and name not in ("?", "<<"):
                yield broken(rules.TWICE, line=line, path=here, key=name, first=first[name])
            first.setdefault(name, line)
            lines[here] = line
            yield from _walked(value, here, lines, seen)
    elif isinstance(node, yaml.SequenceNode):
        for number, each in enumerate(node.value):
            yield from _walked(each, f"{path}[{number}]", lines, seen)


# --- What the keys hold ----------------------------------------------------------------------------


def _judged(document: Mapping[Any, Any]) -> Iterator[Fault]:
    for key in document:
        if not isinstance(key, str) or key not in rules.KEYS:
            yield _unknown(str(key))
    yield from _users(document.get("users"))
    yield from _keys(document.get("ssh_authorized_keys"), "ssh_authorized_keys")
    yield from _files(document.get("write_files"))
    for name in ("runcmd", "bootcmd"):
        yield from _commands(document.get(name), name)
    if not isinstance(document.get("packages"), str | list | None):
        yield _type("packages", document["packages"], "a list of names")
    for name in ("hostname", "fqdn", "timezone", "locale"):
        if isinstance(document.get(name), list | dict):
            yield _type(name, document[name], "a text")
    for name in ("package_update", "package_upgrade", "manage_etc_hosts", "preserve_hostname", "disable_root"):
        if isinstance(document.get(name), list | dict):
            yield _type(name, document[name], "true or false")


def _unknown(key: str) -> Fault:
    near = difflib.get_close_matches(key.lower().replace("-", "_"), rules.KEYS, 1, 0.8)
    if near:
        return broken(rules.MISSPELT, path=key, key=key, near=near[0])
    return broken(rules.UNKNOWN, path=key, key=key)


def _users(users: Any) -> Iterator[Fault]:
    if users is None or isinstance(users, str):
        return
    if isinstance(users, dict):
        entries: list[tuple[str, Any]] = [(f"users.{name}", value) for name, value in users.items()]
        named = True
    elif isinstance(users, list):
        entries = [(f"users[{number}]", value) for number, value in enumerate(users)]
        named = False
        if (
            users
            and "default" not in users
            and not any(isinstance(u, dict) and u.get("name") == "default" for u in users)
        ):
            yield broken(rules.NO_DEFAULT_USER, path="users")
    else:
        yield _type("users", users, "a list of users")
        return
    for path, user in entries:
        if isinstance(user, dict):
            if not named and not user.get("name") and not user.get("snapuser"):
                yield broken(rules.USER_WITHOUT_NAME, path=path)
            for name in ("ssh_authorized_keys", "ssh-authorized-keys"):
                keys = user.get(name)
                # A text and a mapping are taken here, and only here: at the top a text is a key for each letter.
                if isinstance(keys, str | dict):
                    keys = [keys] if isinstance(keys, str) else list(keys.values())
                yield from _keys(keys, f"{path}.{name}")
        elif not isinstance(user, str | list | bool) and user is not None:
            yield _type(path, user, "a name, or keys such as name: with values")


def _keys(keys: Any, path: str) -> Iterator[Fault]:
    if keys is None:
        return
    if not isinstance(keys, list):
        yield _type(path, keys, "a list of keys, one line each")
        return
    for number, key in enumerate(keys):
        here = f"{path}[{number}]"
        if not isinstance(key, str):
            yield _type(here, key, "a text")
        elif "PRIVATE KEY-----" in key:
            yield broken(rules.PRIVATE_KEY, path=here)
        elif not _is_key(key):
            yield broken(rules.NO_KEY, path=here)


def _is_key(line: str) -> bool:
    start = _KEY.search(line)
    if start is None:
        return line.startswith("cert-authority ")
    try:
        return bool(ssh_keys(line[start.start() :]))
    except InstanceInvalid:
        return False


def _files(files: Any) -> Iterator[Fault]:
    for path, entry in _entries(files, "write_files"):
        if not isinstance(entry, dict):
            yield _type(path, entry, "keys such as path: and content: with values")
            continue
        where = entry.get("path")
        if not where:
            yield broken(rules.FILE_WITHOUT_PATH, path=path)
        elif isinstance(where, str) and not where.startswith("/"):
            yield broken(rules.FILE_NOT_ABSOLUTE, path=f"{path}.path")
        mode = entry.get("permissions")
        if isinstance(mode, int) and not isinstance(mode, bool):
            yield broken(rules.MODE_AS_NUMBER, path=f"{path}.permissions")
    if files is not None and not isinstance(files, list):
        yield _type("write_files", files, "a list of files")


def _commands(commands: Any, name: str) -> Iterator[Fault]:
    if commands is not None and not isinstance(commands, list):
        yield _type(name, commands, "a list of commands")
    for path, command in _entries(commands, name):
        if not isinstance(command, str | list) and command is not None:
            yield broken(rules.COMMAND_AS_MAPPING, path=path, found=_kind(command))


def _entries(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    for number, each in enumerate(value if isinstance(value, list) else ()):
        yield f"{name}[{number}]", each


def _type(path: str, found: Any, wanted: str, rule: Rule = rules.WRONG_TYPE) -> Fault:
    return broken(rule, path=path, found=_kind(found), wanted=wanted)


def _kind(value: object) -> str:
    """Return what people call a value of YAML."""
    if isinstance(value, bool):
        return "true or false"
    kinds: list[tuple[type, str]] = [(dict, "keys with values"), (list, "a list"), (str, "a text"), (int, "a number")]
    return next((name for each, name in kinds if isinstance(value, each)), "nothing" if value is None else "a value")
