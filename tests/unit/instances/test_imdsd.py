"""systemd-imdsd finds under each key that our file for it names what it looks for."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

from headwater.cli.commands.instances.hwdb import FILE
from headwater.instances.paths import document_name
from headwater.instances.registry.rows import Record
from headwater.instances.snapshots.snapshot import render
from headwater.instances.tokens.tokens import TOKEN_HEADERS, TOKEN_PATHS, TTL_HEADERS
from unit.instances.examples import WEB_1

MACHINE = replace(WEB_1, addresses=("10.0.0.5", "2001:db8::5"), public_ipv4="192.0.2.7")


def properties() -> dict[str, str]:
    lines = resources.files("headwater.instances.serving").joinpath(FILE).read_text().splitlines()
    return dict(line.strip().split("=", 1) for line in lines if line.startswith(" "))


def test_every_key_of_the_file_is_answered() -> None:
    documents = render(Record(instance=MACHINE, replaced=None), in_grace=False, region="north").documents
    found = properties()
    base = found["IMDS_DATA_URL"].removeprefix("http://169.254.169.254")
    told = {
        name: documents[document_name(base + path)].body for name, path in found.items() if name.startswith("IMDS_KEY_")
    }
    assert told["IMDS_KEY_REGION"] == b"north"
    assert told["IMDS_KEY_IPV6_PUBLIC"] == b"2001:db8::5"
    assert told["IMDS_KEY_IPV4_PUBLIC"] == b"192.0.2.7"
    assert len(told) == 7


def test_tokens_are_asked_for_as_the_file_says() -> None:
    found = properties()
    assert document_name(found["IMDS_TOKEN_URL"].removeprefix("http://169.254.169.254")) in TOKEN_PATHS
    assert found["IMDS_TOKEN_HEADER_NAME"].lower() in TOKEN_HEADERS
    assert found["IMDS_REFRESH_HEADER_NAME"].lower() in TTL_HEADERS


def test_what_is_newer_is_listed_and_only_in_latest() -> None:
    documents = render(Record(instance=MACHINE, replaced=None), in_grace=False, region="north").documents
    assert "region" in documents["ec2/latest/meta-data/placement"].body.decode().split("\n")
    assert "ipv6" in documents["ec2/latest/meta-data"].body.decode().split("\n")
    for name in ("placement/region", "ipv6"):
        assert f"ec2/2009-04-04/meta-data/{name}" not in documents
    assert "region" not in documents["ec2/2009-04-04/meta-data/placement"].body.decode()
    unset = render(Record(instance=MACHINE, replaced=None), in_grace=False).documents
    assert "ec2/latest/meta-data/placement/region" not in unset
