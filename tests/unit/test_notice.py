"""``NOTICE`` names each package of the run whose licence asks for more than to be named, and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import metadata

import pytest

from needs import CHECKOUT

# Licences under which a changed library has to be given on; GPL and AGPL ask that of the whole program.
_WEAK = re.compile(r"(?<![A-Z])(LGPL|MPL|EPL|CDDL|EUPL)", re.IGNORECASE)
_STRONG = re.compile(r"(?<![A-Z])A?GPL", re.IGNORECASE)


def packages() -> Iterator[metadata.Distribution]:
    """Yield what ``run.txt`` and ``rabbitmq.txt`` name, so far as this system needs it."""
    text = "".join((CHECKOUT / "requirements" / f"{name}.txt").read_text() for name in ("run", "rabbitmq"))
    for name, marker in sorted(set(re.findall(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==\S+( ;)?", text, re.MULTILINE))):
        try:
            yield metadata.distribution(name)
        except metadata.PackageNotFoundError:
            assert marker, f"{name} is locked and not installed"


def licence(package: metadata.Distribution) -> str:
    """Return what a package says of its licence, in whichever of the three places."""
    said = {name: package.metadata.get_all(name) or [] for name in ("License-Expression", "License", "Classifier")}
    classifiers = [each.rpartition("::")[2] for each in said["Classifier"] if each.startswith("License")]
    text = "".join(said["License-Expression"] or said["License"]).strip() or " ".join(classifiers).strip()
    assert text, f"{package.name} does not say its licence"
    return text


def asks_for_more(text: str) -> bool:
    """Return whether there is no way to take it under another licence."""
    return all(_WEAK.search(choice) or _STRONG.search(choice) for choice in re.split(r"\bOR\b", text))


def built_in(package: metadata.Distribution) -> Iterator[tuple[str, str]]:
    """Yield what was compiled into a package, by its own bill of materials: name and licence."""
    for file in package.files or []:
        if "/sboms/" in file.as_posix() and file.suffix == ".json":
            for part in json.loads(file.read_text())["components"]:
                said = [each.get("expression") or each["license"].get("id") for each in part.get("licenses", [])]
                if said and asks_for_more(" AND ".join(filter(None, said))):
                    yield f"{part['name']} ({package.metadata['Name']})", " AND ".join(said)


def noticed() -> dict[str, str]:
    lines = re.findall(r"^(\S.*?) {2,}(\S+) {2,}\S", (CHECKOUT / "NOTICE").read_text(), re.MULTILINE)
    return {name: text for name, text in lines if name != "Package"}


def test_the_notice_names_what_the_packages_say() -> None:
    wanted: dict[str, str] = {}
    for package in packages():
        if asks_for_more(text := licence(package)):
            wanted[re.sub(r"[-_.]+", "-", package.name).lower()] = text
        wanted.update(built_in(package))
    assert noticed() == wanted


def test_no_package_has_a_licence_that_the_program_could_not_keep() -> None:
    strong = {
        package.name
        for package in packages()
        if all(_STRONG.search(choice) for choice in re.split(r"\bOR\b", licence(package)))
    }
    assert strong == set()


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("MIT", False),
        ("MIT OR LGPL-2.1-or-later", False),
        ("LGPL-3.0-only", True),
        ("MPL-2.0 AND MIT", True),
        ("LGPL-2.1-only OR MPL-2.0", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("SIMPLE", False),
    ],
)
def test_a_choice_of_licences_asks_for_more_only_when_each_does(text: str, more: bool) -> None:
    assert asks_for_more(text) is more
