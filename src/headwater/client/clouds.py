"""Clouds by name, as OpenStack's clients know them: ``clouds.yaml``, and ``secure.yaml`` beside it for secrets.

Source: docs.openstack.org/openstacksdk, "Configuring OpenStack SDK Applications". Profiles of vendors are unknown here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from headwater.errors import SettingsError

_PLAIN = {
    "auth_type": "OS_AUTH_TYPE",
    "region_name": "OS_REGION_NAME",
    "interface": "OS_INTERFACE",
    "cacert": "OS_CACERT",
    "image_endpoint_override": "OS_IMAGE_ENDPOINT_OVERRIDE",
}
_OF_AUTH = {"endpoint": "OS_ENDPOINT", "user_id": "OS_USER_ID"}


class CloudUnknown(SettingsError):
    """No file tells of a cloud of this name."""

    def __init__(self, name: str, looked_in: list[str]) -> None:
        super().__init__(f"there is no cloud {name!r} in {', '.join(looked_in) or 'any clouds.yaml'}")
        self.name = name


class BadClouds(SettingsError):
    """A file of clouds cannot be read."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = str(file)


def chosen(environment: Mapping[str, str], cloud: str | None) -> Mapping[str, str]:
    """Return the variables that count: those of the cloud that is named, which others override, or just all.

    Args:
        cloud: Its name in ``clouds.yaml``; ``None``: what ``OS_CLOUD`` says, if anything.

    Raises:
        CloudUnknown, BadClouds: It is told nowhere, or in no way that is read here.
    """
    name = cloud or environment.get("OS_CLOUD")
    return {**environment_of(name, environment), **environment} if name else environment


def environment_of(name: str, environment: Mapping[str, str], here: Path | None = None) -> dict[str, str]:
    """Return the variables that say of a cloud what ``clouds.yaml`` says.

    Args:
        here: The directory that is looked in first; ``None``: where the command runs.

    Raises:
        CloudUnknown, BadClouds: It is told nowhere, or in no way that is read here.
    """
    home = Path(environment.get("HOME") or Path.home())
    settings = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "openstack"
    named = environment.get("OS_CLIENT_CONFIG_FILE")
    directories = (here or Path.cwd(), settings, Path("/etc/openstack"))
    files = [Path(named)] if named else []
    files += [directory / f"clouds.{end}" for directory in directories for end in ("yaml", "yml")]
    file = next((each for each in files if each.is_file()), None)
    if file is None:
        raise CloudUnknown(name, [])
    cloud = _clouds(file).get(name)
    if not isinstance(cloud, dict):
        raise CloudUnknown(name, [str(file)])
    secure = next(
        (each / "secure.yaml" for each in (file.parent, *directories) if (each / "secure.yaml").is_file()), None
    )
    secret = _clouds(secure).get(name) if secure else None
    return _variables(name, file, _merged(cloud, secret if isinstance(secret, dict) else {}))


def _clouds(file: Path) -> dict[str, Any]:
    try:
        read = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise BadClouds(file, error.strerror or "it cannot be read") from error
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)  # what stands there may be a secret
        raise BadClouds(file, f"it is no YAML{f', in line {place.line + 1}' if place else ''}") from None
    clouds = read.get("clouds") if isinstance(read, dict) else None
    if not isinstance(clouds, dict):
        raise BadClouds(file, "it has no section `clouds`")
    return clouds


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    made = {**one, **other}
    for key in one.keys() & other.keys():
        if isinstance(one[key], dict) and isinstance(other[key], dict):
            made[key] = _merged(one[key], other[key])
    return made


def _variables(name: str, file: Path, cloud: dict[str, Any]) -> dict[str, str]:
    if "profile" in cloud:
        raise BadClouds(file, f"cloud {name!r} has a profile, which is not read here: write its auth_url down")
    if cloud.get("verify") is False:
        raise BadClouds(file, f"cloud {name!r} verifies no certificates, which is not done here: name its cacert")
    auth = cloud.get("auth") or {}
    if not isinstance(auth, dict):
        raise BadClouds(file, f"`auth` of cloud {name!r} is no section")
    said = {_PLAIN[key]: value for key, value in cloud.items() if key in _PLAIN}
    said |= {_OF_AUTH.get(key, f"OS_{key.upper()}"): value for key, value in auth.items()}
    return {key: str(value) for key, value in said.items() if value is not None}
