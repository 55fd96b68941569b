"""What guests and services would take from a medium, and what stands in the way.

Sources: the specification, sections 4.2, 5.3 and 5.4; cloud-init's helpers/openstack.py and DataSourceNoCloud.py;
cloudbase-init's services for configuration drives; Ironic's reading of network_data.json.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml

from headwater.instances.media.reading.medium import FileAt, Medium, NotAMedium

_WINDOWS_LIMIT = 128 << 20  # cloudbase-init reads the low 16 bits of an ISO's number of sectors
# Source: OS_VERSIONS of cloud-init's helpers/openstack.py.
_CLOUD_INIT_VERSIONS = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
)
_YAML_LIMIT = 256 << 10  # bytes; its reader is slow
_META, _NETWORK = "meta_data.json", "network_data.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one consumer does with the medium."""

    consumer: str
    takes: tuple[str, ...]  # paths; none: it does not take the medium
    problems: tuple[str, ...]  # why it does not, or what it would stumble over


def verdicts(medium: Medium) -> list[Verdict]:
    """Return what each consumer does."""
    judges: dict[str, Callable[[Medium], tuple[list[str], list[str]]]] = {
        "cloud-init, OpenStack config drive": _cloud_init_openstack,
        "cloud-init, NoCloud": _cloud_init_nocloud,
        "cloudbase-init, config drive": _cloudbase_openstack,
        "cloudbase-init, NoCloud": _cloudbase_nocloud,
        "Ironic, network of the config drive": _ironic,
    }
    found = []
    for consumer, judge in judges.items():
        takes, problems = judge(medium)
        found.append(Verdict(consumer=consumer, takes=tuple(takes), problems=tuple(problems)))
    return found


def _cloud_init_openstack(medium: Medium) -> tuple[list[str], list[str]]:
    if medium.label not in ("config-2", "CONFIG-2"):
        return [], [f"its label is {medium.label!r} and neither config-2 nor CONFIG-2"]
    files = medium.files
    there = {path.split("/")[1] for path in files if path.startswith("openstack/") and path.count("/") > 1}
    version = next((each for each in reversed(_CLOUD_INIT_VERSIONS) if each in there), "latest")
    root = f"openstack/{version}"
    meta, problem = _json(files, f"{root}/{_META}")
    if problem or not isinstance(meta, dict) or "uuid" not in meta:
        return [], [problem or f"{root}/{_META} is no object with a uuid"]
    takes, breaks = [f"{root}/{_META}"], []
    for name in ("user_data", "vendor_data.json", "vendor_data2.json", _NETWORK):
        path = f"{root}/{name}"
        if path not in files:
            continue
        document, problem = (None, None) if name == "user_data" else _json(files, path)
        if problem:
            breaks.append(f"{problem}; cloud-init then takes nothing at all")
            continue
        if name != "user_data" and not isinstance(document, dict | list | str):
            breaks.append(f"{path} is neither an object nor a list nor a text; cloud-init then takes nothing at all")
        if name == _NETWORK and document == {}:
            breaks.append(f"{path} is empty, which takes the guest's network away; without the file it has DHCP")
        takes.append(path)
    injected = meta.get("files") or ()
    for each in injected if isinstance(injected, list) else ():
        path = f"openstack{each.get('content_path')}" if isinstance(each, dict) else "openstack/"
        if path in files:
            takes.append(path)
        else:
            breaks.append(f"{path}, which {_META} names, is not there; cloud-init then takes nothing at all")
    return ([] if any("nothing at all" in each for each in breaks) else takes), breaks


def _cloud_init_nocloud(medium: Medium) -> tuple[list[str], list[str]]:
    if medium.label not in ("cidata", "CIDATA"):
        return [], [f"its label is {medium.label!r} and neither cidata nor CIDATA"]
    missing = [name for name in ("meta-data", "user-data") if name not in medium.files]
    if missing:
        return [], [f"{name} is missing, and may be empty but not absent" for name in missing]
    document, problem = _yaml(medium.files, "meta-data")
    if problem:
        return [], [problem]
    problems = [] if document is None or "instance-id" in document else ["meta-data has no instance-id"]
    takes = ["meta-data", "user-data"]
    for name in ("vendor-data", "network-config"):
        if name not in medium.files:
            continue
        if name == "network-config" and (problem := _yaml(medium.files, name)[1]):
            problems.append(problem)
            continue
        takes.append(name)
    return takes, problems


def _cloudbase_openstack(medium: Medium) -> tuple[list[str], list[str]]:
    if medium.label.lower() != "config-2":
        return [], [f"its label is {medium.label!r} and not config-2"]
    if medium.kind.startswith("ISO") and medium.size >= _WINDOWS_LIMIT:
        return [], ["as a disk it has to be smaller than 128 MiB"]
    files = _as_windows_shows(medium)
    root = "openstack/latest"
    meta, problem = _json(files, f"{root}/{_META}")
    if problem or not isinstance(meta, dict):
        return [], [problem or f"{root}/{_META} is no object"]
    names = (_META, "user_data", _NETWORK)
    return [f"{root}/{name}" for name in names if f"{root}/{name}" in files], []


def _cloudbase_nocloud(medium: Medium) -> tuple[list[str], list[str]]:
    if medium.label.lower() != "cidata":
        return [], [f"its label is {medium.label!r} and not cidata"]
    files = _as_windows_shows(medium)
    if "meta-data" not in files:
        return [], ["meta-data is missing"]
    if problem := _yaml(files, "meta-data")[1]:
        return [], [problem]
    return [name for name in ("meta-data", "user-data", "network-config") if name in files], []


def _ironic(medium: Medium) -> tuple[list[str], list[str]]:
    path = f"openstack/latest/{_NETWORK}"
    primary = medium.spaces.get("primary")
    if primary is None:
        return [], ["it is no ISO 9660"]
    if path not in primary:
        return [], [f"the primary tree has no {path}"]
    _, problem = _json(primary, path)
    return ([], [problem]) if problem else ([path], [])


def _as_windows_shows(medium: Medium) -> Mapping[str, FileAt]:
    """Return the files by the names that Windows shows, which knows no Rock Ridge."""
    return medium.spaces.get("Joliet") or medium.spaces.get("primary") or medium.files


def _json(files: Mapping[str, FileAt], path: str) -> tuple[Any, str | None]:
    """Return a document, and what is wrong with it."""
    if path not in files:
        return None, f"{path} is missing"
    try:
        return msgspec.json.decode(files[path].read()), None
    except NotAMedium as error:
        return None, f"{path}: {error.problem}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, f"{path} is not JSON"


def _yaml(files: Mapping[str, FileAt], path: str) -> tuple[dict[str, Any] | None, str | None]:
    """Return a mapping, or nothing for an empty file, and what is wrong with it."""
    if files[path].size > _YAML_LIMIT:
        return None, f"{path} has more than {_YAML_LIMIT >> 10} KiB, and was not looked into"
    try:
        document = yaml.safe_load(files[path].read())
    except NotAMedium as error:
        return None, f"{path}: {error.problem}"
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        return None, f"{path} is not YAML"
    if document is not None and not isinstance(document, dict):
        return None, f"{path} is no YAML mapping"
    return document, None
