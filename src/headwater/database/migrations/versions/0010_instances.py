"""What instances are known by, what their guests fetched, and the keys that sign who they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateColumn

from headwater.database.documents import text_part
from headwater.database.tables import ExactString, LongText

revision = "0010"
down_revision = "0009"
# New tables and columns, which the release before does not look at.
compatible_with = "0004"


def upgrade() -> None:
    """Each part is a function below, for itself."""
    _visits()
    _identity_keys()
    _revision()
    _what_lists_search()
    _addresses_of_networks()
    _identifiers()


def _visits() -> None:
    op.create_table(
        "instance_visits",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("instance_id", ExactString(36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("document", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_instance_visits_instance_id", "instance_visits", ["instance_id", "at"])


def _identity_keys() -> None:
    op.create_table(
        "instance_identity_keys",
        sa.Column("id", ExactString(36), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("private_key", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _revision() -> None:
    op.execute("INSERT INTO catalogue_revisions (scope, revision) VALUES ('instances', 0)")


def _what_lists_search() -> None:
    instances = sa.table(
        "instances",
        sa.column("document", LongText()),
        sa.column("project_id", ExactString(255)),
        sa.column("image_id", ExactString(36)),
    )
    op.add_column("instances", sa.Column("project_id", ExactString(255), nullable=True))
    op.add_column("instances", sa.Column("image_id", ExactString(36), nullable=True))
    found = {name: text_part(instances.c.document, "instance", name) for name in ("project_id", "image_id")}
    op.execute(instances.update().values(**found))
    op.create_index("ix_instances_project_id", "instances", ["project_id", "name"])
    op.create_index("ix_instances_image_id", "instances", ["image_id", "name"])


def _addresses_of_networks() -> None:
    """Let two networks have the same address; the address comes first in the key, as the release before asks for it."""
    network: sa.Column[str] = sa.Column("network", ExactString(64), nullable=False, server_default="")
    kind = op.get_bind().dialect.name
    if kind == "sqlite":  # changes no key of a table that is there
        op.create_table(
            "instance_addresses_anew",
            sa.Column("address", ExactString(45), nullable=False),
            network,
            sa.Column("instance_id", ExactString(36), nullable=False),
            sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], ondelete="CASCADE"),
            sa.PrimaryKeyConstraint("address", "network"),
        )
        columns = "address, instance_id"
        op.execute(f"INSERT INTO instance_addresses_anew ({columns}) SELECT {columns} FROM instance_addresses")  # noqa: S608 - ours
        op.drop_table("instance_addresses")
        op.rename_table("instance_addresses_anew", "instance_addresses")
        op.create_index("ix_instance_addresses_instance_id", "instance_addresses", ["instance_id"])
        return
    sa.Table("instance_addresses", sa.MetaData(), network)
    column = CreateColumn(network).compile(dialect=op.get_bind().dialect)
    old = "CONSTRAINT instance_addresses_pkey" if kind == "postgresql" else "PRIMARY KEY"
    # One statement, which the server refuses to carry out twice (``migrations/steps.py``).
    op.execute(f"ALTER TABLE instance_addresses ADD COLUMN {column}, DROP {old}, ADD PRIMARY KEY (address, network)")


def _identifiers() -> None:
    """Serial numbers, and the MAC addresses of the records that are there and that the database can read."""
    op.add_column("instances", sa.Column("serial", ExactString(64), nullable=True))
    op.create_index("ix_instances_serial", "instances", ["serial"], unique=True)
    op.create_table(
        "instance_macs",
        sa.Column("mac", ExactString(17), nullable=False),
        sa.Column("instance_id", ExactString(36), nullable=False),
        sa.PrimaryKeyConstraint("mac", "instance_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_instance_macs_instance_id", "instance_macs", ["instance_id"])
    links = "network_data.links"
    places = (("devices", "mac"), (links, "ethernet_mac_address"), (links, "vlan_mac_address"))
    one = _MACS[op.get_bind().dialect.name]
    found = " UNION ".join(one.format(at=at, key=key) for at, key in places)
    op.execute(
        f"INSERT INTO instance_macs (mac, instance_id) SELECT DISTINCT {_SPELLED}, id FROM ({found}) AS found "  # noqa: S608
        f"WHERE {_SPELLED} LIKE '{_LIKE}'"
    )


_LIKE = r"\:".join(["__"] * 6)
_SPELLED = r"LOWER(REPLACE(mac, '-', '\:'))"
# Id and MAC address of all who have one at a place of their documents, by database.
_MACS = {
    "sqlite": "SELECT instances.id, CASE WHEN each.type = 'object' THEN json_extract(each.value, '$.{key}') END AS mac "
    "FROM instances, "
    "json_each(CASE WHEN json_valid(document) THEN document ELSE '{{}}' END, '$.instance.{at}') AS each",
    "postgresql": "SELECT instances.id, jsonb_path_query(CASE WHEN strpos(document, '\\u0000') = 0 "
    "THEN CAST(document AS jsonb) END, '$.instance.{at}[*].{key}') #>> '{{}}' AS mac FROM instances",
    "mysql": "SELECT instances.id, each_one.mac FROM instances, "
    "JSON_TABLE(CASE WHEN JSON_VALID(document) THEN document ELSE '{{}}' END, "
    "'$.instance.{at}[*]' COLUMNS (mac VARCHAR(255) PATH '$.{key}' NULL ON EMPTY NULL ON ERROR)) AS each_one",
}
