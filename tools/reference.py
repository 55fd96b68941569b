"""Write the pages of docs/reference that say what the code says: settings, commands, errors, rules for feeds.

Run it by hand after a change (`.venv/bin/python tools/reference.py`); a test compares the committed pages.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

import typer
from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, SecretStr

import headwater
from headwater.cli import exits
from headwater.cli.main import app
from headwater.config import KeyPath, environment_variable, section_of
from headwater.errors import ClientDisconnected, HeadwaterError, SettingsError
from headwater.http import errors
from headwater.instances.lint import check as instance_lint
from headwater.instances.lint.rules import Rule as InstanceRule
from headwater.server.settings import Settings
from headwater.stores import registry
from headwater.stores.store_type import StoreSettings, own_keys
from headwater.streams.lint.check import EVERYONE, all_rules
from headwater.streams.lint.consumers.registry import CONSUMERS

PAGES_IN = Path(__file__).resolve().parent.parent / "docs" / "reference"
GENERATED = "<!-- Written by tools/reference.py; change the code and run it. -->"


# --- Settings ----------------------------------------------------------------------------------


_SETTINGS = f"""\
# Settings

{GENERATED}

The command line wins over the environment, that over the settings file, that over the defaults. The file is
`headwater.toml` in the working directory, or the one that `--config` or `HEADWATER_CONFIG` names. A variable is
`HEADWATER_SECTION__KEY`; a list or a table in it is written as JSON. An unknown or wrong setting stops the start
and is named.

`headwater config sample` prints a file with all of this, `headwater config check` looks at yours, and `headwater
config show` says which value came from where.
"""


def settings_page() -> str:
    """Return the page of all settings, section by section."""
    lines = [_SETTINGS]
    for title, path, rows in _sections():
        lines += ["", f"## {title}", ""]
        if not rows:
            lines += ["Nothing but its type."]
            continue
        lines += ["| Key | Default | Meaning |", "|---|---|---|"]
        lines += [f"| `{key}` | {default} | {meaning} |" for key, default, meaning in rows]
        if path:
            lines += ["", f"The first of them as a variable: `{environment_variable((*path, rows[0][0]))}`."]
    return _joined(lines)


Row = tuple[str, str, str]  # key, default, meaning


def _sections() -> Iterator[tuple[str, KeyPath, list[Row]]]:
    """Yield each section's title, its path where variables reach it, and its rows."""
    yield "Without a section", (), [_row(name, field) for name, field in _plain(Settings)]
    for name, field in Settings.model_fields.items():
        if name == "stores":
            for store_type in map(registry.store_type, registry.type_names()):
                if not store_type.settings.__module__.startswith("headwater."):
                    continue  # of another package, which tells of it itself
                rows = [_row(key, store_type.settings.model_fields[key]) for key in own_keys(store_type.settings)]
                yield f'`[stores.NAME]` with `type = "{store_type.name}"`', ("stores", "NAME"), rows
            yield "`[stores.NAME]` of every type", (), [_row(*each) for each in _plain(StoreSettings)]
            continue
        section = section_of(field.annotation)
        if section is None:
            continue
        yield f"`[{name}]`", (name,), [_row(*each) for each in section.model_fields.items() if not _is_section(each[1])]
        for key, each in section.model_fields.items():
            entry = section_of(each.annotation)
            if entry is not None:
                yield (
                    f"`{_heading(name, key, each.annotation)}`",
                    (),
                    [_row(*one) for one in entry.model_fields.items()],
                )


def _heading(name: str, key: str, annotation: Any) -> str:
    """Return how a section within another is opened: one, one for each name, or one after the other."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{name}.{key}]"
    return f"[{name}.{key}.NAME]" if get_origin(annotation) in (dict, Mapping) else f"[[{name}.{key}]]"


def _is_section(field: Any) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _plain(section: type[BaseModel]) -> list[tuple[str, Any]]:
    return [(name, field) for name, field in section.model_fields.items() if not _holds_sections(field)]


def _holds_sections(field: Any) -> bool:
    return section_of(field.annotation) is not None


def _row(name: str, field: Any) -> Row:
    return name, _default(field), _cell(f"{field.description or ''}{_bounds(field.metadata)}")


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if field.is_required():
        return "required"
    if value is None or isinstance(value, SecretStr):
        return "" if "Default: " in (field.description or "") else "none"
    if isinstance(value, BaseModel):
        return ""  # what it means says whose keys and defaults it has
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        return "; ".join(f"`{json.dumps(each.model_dump())}`" for each in value)
    if isinstance(value, tuple):
        return " ".join(f"`{each}`" for each in value)
    return f"`{json.dumps(value) if isinstance(value, bool | int) else value}`"


def _bounds(metadata: list[Any]) -> str:
    lowest: Any = next((each.ge for each in metadata if isinstance(each, Ge)), None)
    above: Any = next((each.gt for each in metadata if isinstance(each, Gt)), None)
    highest = next((each.le for each in metadata if isinstance(each, Le)), None)
    if above is not None:
        return f" More than {above}." if highest is None else f" More than {above}, {highest} at most."
    if lowest is None and highest is None:
        return ""
    if highest is None:
        return f" {lowest} or more."
    return f" {lowest} to {highest}."


# --- Commands ----------------------------------------------------------------------------------


_COMMANDS = f"""\
# Commands

{GENERATED}

Exit codes: 0 done, 1 the work failed or a check found something, 2 wrong usage or settings. What goes wrong is one
sentence on standard error. Commands that work on the catalogue need no running server.

Every command that prints data takes `--json`: then standard output is one JSON document and nothing else, and a failure
is one JSON object on standard error, with the same exit code:

```json
{{"error": {{"type": "InstanceNotFound", "message": "there is no instance 'web1'; …", "wanted": "web1"}}}}
```

`type` is a name of [the errors](errors.md), or `UsageError` for what is no right command line; `message` is the
sentence that stands there otherwise. The other keys are the facts of that type, such as the name that was looked for:
a type keeps its name and its facts, and may get further ones. Messages are for people and may change. A check that
found something prints it as its document, exits with 1 and says nothing on standard error.
"""


def commands_page() -> str:
    """Return the page of all commands with their arguments and options."""
    lines = [_COMMANDS]
    for words, command in _commands(["headwater"], typer.main.get_command(app)):
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        options = [each for each in command.params if each.param_type_name == "option"]
        usage = " ".join([*words, *(_metavar(each) for each in arguments), *(["[OPTIONS]"] if options else [])])
        lines += ["", f"## `{usage}`", "", _cell(command.help or "")]
        if arguments or options:
            lines += ["", "| | |", "|---|---|"]
            lines += [f"| `{_metavar(each)}` | {_cell(each.help or '')} |" for each in arguments]
            lines += [f"| {_option(each)} | {_cell(each.help or '')}{_remarks(each)} |" for each in options]
    return _joined(lines)


def _commands(words: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    nested: dict[str, Any] = getattr(command, "commands", {})
    if not nested or command.params:
        yield words, command
    for name, inner in nested.items():
        yield from _commands([*words, name], inner)


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _option(parameter: Any) -> str:
    word = "" if parameter.is_flag else f" {_metavar(parameter)}"
    return ", ".join(f"`{name}{word}`" for name in parameter.opts).replace("|", "\\|")


def _remarks(parameter: Any) -> str:
    remarks = []
    if parameter.required:
        remarks.append("Required.")
    if isinstance(parameter.default, str) and parameter.default:
        remarks.append(f"Default: `{parameter.default}`.")
    if parameter.envvar:
        remarks.append(f"Variable: `{parameter.envvar}`.")
    return " " + " ".join(remarks) if remarks else ""


# --- Errors ------------------------------------------------------------------------------------


_ERRORS = f"""\
# Errors

{GENERATED}

The HTTP status and the exit code follow from the kind of failure. An error that is in none of these tables is a
fault of Headwater: the client gets 500 with a request id, and the log has more under that id.

Over HTTP the body follows `Accept`: JSON (`message`, `code`, `title`) for `application/json` and for an empty
`Accept`, HTML for `*/*`, plain text otherwise.
"""


def errors_page() -> str:
    """Return the page of every error that Headwater raises on purpose."""
    lines = [_ERRORS]
    by_kind: dict[type[HeadwaterError], list[type[HeadwaterError]]] = {}
    for error in _all_errors():
        by_kind.setdefault(_kind(error), []).append(error)
    for kind, members in sorted(by_kind.items(), key=lambda item: (_status(item[0]), *_named(item[0]))):
        lines += ["", f"## {kind.__name__}: {_status(kind)}, exit code {exits.code_of(kind.__new__(kind))}", ""]
        lines += [_cell(inspect.getdoc(kind) or "").partition(". ")[0]]
        named = sorted((each for each in members if each is not kind), key=_named)
        if named:
            lines += ["", "| Error | When |", "|---|---|"]
            lines += [f"| `{each.__name__}` | {_cell(inspect.getdoc(each) or '')} |" for each in named]
    return _joined(lines)


def _named(error: type[HeadwaterError]) -> tuple[str, str]:
    """Return what errors are sorted by: two modules may have one of the same name."""
    return error.__name__, error.__module__


def _all_errors() -> list[type[HeadwaterError]]:
    for module in pkgutil.walk_packages(headwater.__path__, "headwater."):
        if not module.name.startswith(("headwater.testing", "headwater.database.migrations")):
            importlib.import_module(module.name)
    found: list[type[HeadwaterError]] = []
    waiting = [HeadwaterError]
    while waiting:
        for each in waiting.pop().__subclasses__():
            if each not in found and each.__module__.startswith("headwater."):
                found.append(each)
                waiting.append(each)
    return found


def _kind(error: type[HeadwaterError]) -> type[HeadwaterError]:
    """Return the parent that the tables at the edges know."""
    kinds = {*errors.STATUS, SettingsError, ClientDisconnected}
    return next((each for each in error.__mro__ if each in kinds), error)


def _status(kind: type[HeadwaterError]) -> str:
    if kind is ClientDisconnected:
        return "no answer"
    if kind is SettingsError:
        return "never over HTTP"
    return f"{int(errors.status_of(kind.__new__(kind)))}"


# --- Rules of the linter of feeds --------------------------------------------------------------


_LINT_RULES = f"""\
# Rules of `headwater streams lint`

{GENERATED}

What each consumer of simplestreams requires of a feed, and how we know. An error is what hides images from a consumer
or keeps it from using them, a warning what does so under some conditions, a note what is good to know. The reach says
how much is lost by it: the whole feed, all that one document holds, or an image. Words in `{{}}` are facts of the
finding.

`feed-…` and `document-…` hold for whoever reads the feed; the other rules for the consumers that stand with them.
"""


def lint_rules_page() -> str:
    """Return the page of the rules by which feeds are judged, by consumer."""
    lines = [_LINT_RULES, "", "| Consumer | |", "|---|---|"]
    lines += [f"| `{each.name}` | {_cell(each.about)} |" for each in CONSUMERS]
    for rule, consumers in all_rules():
        who = ", ".join(f"`{each}`" if each != EVERYONE else each for each in consumers)
        lines += ["", f"## `{rule.id}`", "", f"{rule.level}, reach: {rule.reach}; {who}", ""]
        lines += ["| | |", "|---|---|", f"| Says | {_cell(rule.says)} |", f"| Fix | {_cell(rule.fix)} |"]
        lines += [f"| Source | {_cell(rule.source)} |"]
    return _joined(lines)


_INSTANCE_LINT_RULES = f"""\
# Rules of `headwater instance lint`

{GENERATED}

What each program in a guest requires of the record of an instance and of its user data, and how we know. An error is
what a guest cannot use, or loses; a warning what it loses under some conditions; a note what is good to know. A rule
holds for all releases of its consumer unless it says otherwise. Words in `{{}}` are facts of the finding.

`headwater instance user-data check` runs the rules `user-data-…` and `cloud-config-…` alone.
"""


def instance_lint_rules_page() -> str:
    """Return the page of the rules by which records of instances are judged, by id."""
    lines = [_INSTANCE_LINT_RULES, "", "| Consumer | |", "|---|---|"]
    lines += [f"| `{name}` | {_cell(about)} |" for name, (about, _) in instance_lint.CONSUMERS.items()]
    for rule, consumers in instance_lint.all_rules():
        versions = f", {rule.versions}" if isinstance(rule, InstanceRule) and str(rule.versions) != "all" else ""
        who = ", ".join(f"`{each}`" if each != instance_lint.EVERYONE else each for each in consumers)
        lines += ["", f"## `{rule.id}`", "", f"{rule.level}; {who}{versions}", ""]
        lines += ["| | |", "|---|---|", f"| Says | {_cell(rule.says)} |"]
        lines += [f"| Why | {_cell(rule.why)} |"] if isinstance(rule, InstanceRule) else []
        lines += [f"| Fix | {_cell(rule.fix)} |", f"| Source | {_cell(rule.source)} |"]
    return _joined(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _joined(lines: list[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "errors.md": errors_page,
    "lint-rules.md": lint_rules_page,
    "instance-lint-rules.md": instance_lint_rules_page,
}


def main() -> None:
    PAGES_IN.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (PAGES_IN / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
