"""What real cloud-init makes of a network configuration: the files of each system's renderer, and what its schema says.

Nothing is applied: the files are written below a directory, and the interfaces need not be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudinit import util
from cloudinit.config import schema
from cloudinit.distros import rhel
from cloudinit.net import eni, netplan, network_manager, network_state, networkd, sysconfig

# Where the renderer's file of names would lie; no system reads it any more.
_NO_NAMES = {"netrules_path": None}
_RENDERERS = {
    "eni": lambda: eni.Renderer({"eni_path": "etc/network/interfaces", **_NO_NAMES}),
    "network-manager": network_manager.Renderer,
    "networkd": networkd.Renderer,
    "sysconfig": lambda: sysconfig.Renderer({**rhel.Distro.renderer_configs["sysconfig"], **_NO_NAMES}),
}


def understood(config: Mapping[str, Any], playground: Path) -> dict[str, Any]:
    """Return what comes of a configuration of either version.

    Returns:
        ``netplan``, its file; ``files``, to the name of a renderer the text of all files that it writes; ``refused``,
        what the schema of network configurations says against it, or ``None`` from a release that has none.
    """
    util.chownbyname = lambda *_arguments, **_options: None  # systemd's account may not be here
    return {
        "netplan": _netplan(config),
        "files": {name: _files(name, config, playground / f"rendered-{name}") for name in _RENDERERS},
        "refused": _refused(config),
    }


def _netplan(config: Mapping[str, Any]) -> str:
    # Without a list of features it would ask the guest's own netplan.
    text: str = netplan.Renderer({"features": ["x"]})._render_content(network_state.parse_net_config_data(config))
    return text


def _files(name: str, config: Mapping[str, Any], target: Path) -> str:
    renderer = _RENDERERS[name]()
    renderer.render_network_state(network_state.parse_net_config_data(config), target=str(target))
    files = sorted(each for each in target.rglob("*") if each.is_file())
    return "".join(f"# {file.relative_to(target)}\n{file.read_text()}" for file in files)


def _refused(config: Mapping[str, Any]) -> list[str] | None:
    kinds: Any = getattr(schema, "SchemaType", None)
    if not hasattr(kinds, "NETWORK_CONFIG"):
        return None
    netplan.available = lambda *_arguments: False  # else it leaves what netplan takes to netplan
    try:
        schema.validate_cloudconfig_schema(dict(config), schema_type=kinds.NETWORK_CONFIG, strict=True)
    except schema.SchemaValidationError as error:
        return str(error).splitlines()
    return []
