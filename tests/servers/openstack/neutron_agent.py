"""Neutron's own metadata agent on a UNIX socket, and what it would have haproxy do. Runs in ``.venv-neutron``.

The code that takes a request, asks the metadata service and answers is Neutron's, as is haproxy's configuration. Not
its database: a JSON file says which instance has which address (``{"127.0.0.5": ["instance", "project"]}``).

    python neutron_agent.py DIRECTORY HAPROXY_PORT METADATA_PORT SECRET
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from neutron.agent.metadata import agent, driver, proxy_base
from neutron.conf.agent.metadata import config
from oslo_config import cfg
from oslo_log import log

NETWORK = "3f1b6d0e-54c1-4f22-9f9c-0d54b0f4f0a1"


def main(directory: Path, haproxy_port: int, metadata_port: int, secret: str) -> None:
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

    class Handler(agent.MetadataProxyHandler):  # type: ignore[misc]  # Neutron has no types here
        _conf = conf

        def __init__(self, request: Any, client_address: Any, server: Any) -> None:
            # As its parent does, but for the message bus to Neutron.
            super(agent.MetadataProxyHandler, self).__init__(
                conf, has_cache=False, request=request, client_address=client_address, server=server
            )

        def get_port(self, remote_address: str, network_id: str | None = None, **_more: Any) -> tuple[Any, Any]:
            if network_id != NETWORK:
                return None, None
            known = json.loads((directory / "ports.json").read_text())
            return tuple(known.get(remote_address, (None, None)))

    user, group = driver.MetadataDriver._get_metadata_proxy_user_group(conf)
    haproxy = driver.HaproxyConfigurator(
        NETWORK,
        None,
        conf.metadata_proxy_socket,
        "127.0.0.1",
        haproxy_port,
        user,
        group,
        str(directory),
        str(directory / "haproxy.pid"),
        conf.metadata_rate_limiting,
        conf.metadata_haproxy,
    )
    (directory / "haproxy.conf").write_text(haproxy.haproxy_cfg)
    server = proxy_base.MetadataProxyServer(4, conf.metadata_proxy_socket, Handler)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
