"""A metadata agent of Neutron on a UNIX socket, and what it would have haproxy do. Runs in ``.venv-neutron``.

The code that takes a request, asks the metadata service and answers is Neutron's, as is haproxy's configuration; OVN's
search of its Southbound database is too. Not the databases: ``networks.json`` in the directory says which guests are on
which network (``[{"id": …, "port": …, "guests": {"127.0.0.5": ["instance", "project"]}}]``).

    python neutron_agent.py ml2|ovn DIRECTORY METADATA_PORT SECRET
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from neutron.agent.metadata import agent, driver, proxy_base
from neutron.agent.ovn.metadata import driver as ovn_driver
from neutron.agent.ovn.metadata import server_socket as ovn_agent
from neutron.common.ovn import constants as ovn
from neutron.conf.agent.metadata import config
from neutron.plugins.ml2.drivers.ovn.mech_driver.ovsdb.impl_idl_ovn import OvsdbSbOvnIdl
from oslo_config import cfg
from oslo_log import log


def ml2_handler(conf: Any, networks: list[dict[str, Any]]) -> type:
    """Return the agent that knows guests from Neutron's server, but for the message bus to it."""
    guests = {network["id"]: network["guests"] for network in networks}

    class Handler(agent.MetadataProxyHandler):  # type: ignore[misc]  # Neutron has no types here
        _conf = conf

        def __init__(self, request: Any, client_address: Any, server: Any) -> None:
            # As its parent does, but for the message bus to Neutron.
            super(agent.MetadataProxyHandler, self).__init__(
                conf, has_cache=False, request=request, client_address=client_address, server=server
            )

        def get_port(self, remote_address: str, network_id: str | None = None, **_more: Any) -> tuple[Any, Any]:
            return tuple(guests.get(network_id, {}).get(remote_address, (None, None)))

    return Handler


class Southbound:
    """The rows of OVN's Southbound database that bind ports, searched by Neutron's own code."""

    get_network_port_bindings_by_ip = OvsdbSbOvnIdl.get_network_port_bindings_by_ip

    def __init__(self, networks: list[dict[str, Any]]) -> None:
        self.rows = [
            SimpleNamespace(
                uuid=f"{network['id']} {address}",
                chassis=["here"],
                mac=[f"fa:16:3e:00:00:{number:02x} {address}"],
                datapath=SimpleNamespace(external_ids={"name": f"neutron-{network['id']}"}),
                external_ids={ovn.OVN_DEVID_EXT_ID_KEY: instance, ovn.OVN_PROJID_EXT_ID_KEY: project},
            )
            for network in networks
            for number, (address, (instance, project)) in enumerate(network["guests"].items())
        ]

    def db_list_rows(self, _table: str) -> Any:
        return SimpleNamespace(execute=lambda **_options: self.rows)


def ovn_handler(conf: Any, networks: list[dict[str, Any]]) -> type:
    """Return the agent that knows guests from OVN."""
    attributes = {"_conf": conf, "_chassis": "here", "_sb_idl": Southbound(networks)}
    return type("Handler", (ovn_agent.MetadataProxyHandler,), attributes)


AGENTS = {"ml2": (ml2_handler, driver.HaproxyConfigurator), "ovn": (ovn_handler, ovn_driver.HaproxyConfigurator)}


def main(kind: str, directory: Path, metadata_port: int, secret: str) -> None:
    conf = cfg.CONF
    log.register_options(conf)
    config.register_meta_conf_opts(config.SHARED_OPTS, conf)
    config.register_meta_conf_opts(config.METADATA_PROXY_HANDLER_OPTS, conf)
    config.register_meta_conf_opts(config.UNIX_DOMAIN_METADATA_PROXY_OPTS, conf)
    config.register_meta_conf_opts(config.METADATA_RATE_LIMITING_OPTS, conf, group=config.RATE_LIMITING_GROUP)
    config.register_meta_conf_opts(config.METADATA_HAPROXY_OPTS, conf, group=config.HAPROXY_GROUP)
    conf([], project="neutron")
    for name, value in {
        "metadata_proxy_socket": str(directory / "agent.sock"),
        "nova_metadata_host": "127.0.0.1",
        "nova_metadata_port": metadata_port,
        "metadata_proxy_shared_secret": secret,
    }.items():
        conf.set_override(name, value)

    networks = json.loads((directory / "networks.json").read_text())
    handler_for, configurator = AGENTS[kind]
    user, group = driver.MetadataDriver._get_metadata_proxy_user_group(conf)
    for network in networks:
        haproxy = configurator(
            network["id"],
            None,
            conf.metadata_proxy_socket,
            "127.0.0.1",
            network["port"],
            user,
            group,
            str(directory),
            str(directory / f"{network['id']}.pid"),
            conf.metadata_rate_limiting,
            conf.metadata_haproxy,
        )
        (directory / f"{network['id']}.conf").write_text(haproxy.haproxy_cfg)
    server = proxy_base.MetadataProxyServer(4, conf.metadata_proxy_socket, handler_for(conf, networks))
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
