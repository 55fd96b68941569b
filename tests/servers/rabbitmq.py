"""A private RabbitMQ for one test run, on free ports of loopback, with a node name and files of its own.

Erlang nodes look each other up in a port mapper (epmd), and start one that outlives them where they find
none. So the mapper comes first, as a child like the broker, and goes last.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import amqp
import pytest

from needs import not_run, program
from servers.ports import free_port
from servers.process import account, directory, listening

# Debian's program of that name in PATH changes to the account of the system's own broker, and to its files.
_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_USER = "headwater"


@dataclass(frozen=True)
class RabbitMq:
    """A running broker."""

    port: int
    password: str = field(repr=False)

    def url(self, *, port: int | None = None) -> str:
        """Return its address as oslo.messaging writes it; ``port`` is another way to it, such as a relay's."""
        return f"rabbit://{_USER}:{self.password}@127.0.0.1:{port or self.port}/"

    def connect(self) -> amqp.Connection:
        """Return a connection of a client that is not ours."""
        connection = amqp.Connection(f"127.0.0.1:{self.port}", _USER, self.password, connect_timeout=10)
        connection.connect()
        return connection


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMq]:
    """Give a broker with one user who may do everything."""
    if not _SERVER.exists():
        not_run("RabbitMQ (Debian's package rabbitmq-server)")
    mapper = program("epmd")
    owner = account("rabbitmq")
    broker = RabbitMq(0, secrets.token_hex(16))

    def mapping(port: int) -> Sequence[str | Path]:
        return [mapper, "-address", "127.0.0.1", "-port", str(port)]

    with (
        directory("epmd", owner) as mapper_home,
        listening(mapping, answers=_listens, owner=owner, home=mapper_home, stop_signal=signal.SIGTERM) as mapper_port,
        directory("rabbitmq", owner) as home,
    ):
        settings = home / "rabbitmq.conf"
        settings.write_text(f"default_user = {_USER}\ndefault_pass = {broker.password}\n")
        settings.chmod(0o600)
        if owner is not None:
            shutil.chown(settings, owner)

        def command(port: int) -> Sequence[str | Path]:
            surroundings = {
                "ERL_EPMD_ADDRESS": "127.0.0.1",
                "ERL_EPMD_PORT": str(mapper_port),
                "RABBITMQ_NODENAME": f"headwater-{secrets.token_hex(4)}@localhost",
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": str(port),
                "RABBITMQ_DIST_PORT": str(free_port()),
                "RABBITMQ_CONFIG_FILE": str(settings),
                "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
                "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
                "RABBITMQ_LOG_BASE": str(home),
                "RABBITMQ_LOGS": "-",
                "RABBITMQ_PID_FILE": str(home / "rabbitmq.pid"),
                # Other nodes of this machine are nobody's business.
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
                # The shell script becomes the server instead of watching it, so that a signal reaches it at once.
                "RABBITMQ_ALLOW_INPUT": "true",
            }
            return ["/usr/bin/env", *(f"{name}={value}" for name, value in surroundings.items()), _SERVER, "-noinput"]

        def answers(port: int) -> bool:
            try:
                RabbitMq(port, broker.password).connect().close()
            except (OSError, amqp.AMQPError):
                return False
            return True

        with listening(command, answers=answers, owner=owner, home=home, stop_signal=signal.SIGTERM) as port:
            yield RabbitMq(port, broker.password)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
