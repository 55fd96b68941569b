"""Feeds published to a real Swift, and registered in a real Keystone."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from keystoneauth1.plugin import AUTH_INTERFACE
from keystoneauth1.session import Session
from swiftclient.authv1 import PasswordPlugin
from typer.testing import CliRunner

from headwater.cli.main import app
from headwater.client.keystone import keystone_session
from headwater.errors import HeadwaterError
from headwater.streams.publishing.done import Done
from headwater.streams.publishing.publish import publish
from headwater.streams.publishing.registration import (
    AGENTS,
    IMAGES,
    KeystoneRefused,
    NoFeedUrl,
    NoSuchRegion,
    SeveralServices,
    register,
)
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.swift import SwiftTree
from headwater.streams.trees.web import WebTree
from headwater.streams.writing import feed as feeds
from headwater.streams.writing import image_ids
from headwater.streams.writing.image_ids import ImageId
from servers.openstack.keystone import Keystone
from servers.openstack.swift import Swift
from unit.streams.juju_lookup import Source, Wanted, find
from unit.streams.writing.trees import fetch_from

KEYSTONE = "https://keystone.example:5000/v3"


def feed_in(directory: Path) -> DirectoryTree:
    tree = DirectoryTree(directory)
    image = ImageId(id="an-id", region="RegionOne", endpoints=(KEYSTONE,), version="24.04")
    feeds.edit(tree, lambda feed: image_ids.add(feed, image))
    return tree


def admin(keystone: Keystone) -> Mapping[str, str]:
    return {
        "OS_AUTH_URL": keystone.url,
        "OS_USERNAME": "admin",
        "OS_PASSWORD": keystone.admin.password,
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
    }


def forget(session: Session, kind: str) -> None:
    """Take all services of a type out of the catalogue: other tests have this Keystone too."""
    keystone = {"interface": AUTH_INTERFACE}
    for each in session.get(f"/services?type={kind}", endpoint_filter=keystone).json()["services"]:
        session.delete(f"/services/{each['id']}", endpoint_filter=keystone)


def test_everybody_reads_what_was_published_to_swift(swift: Swift, tmp_path: Path) -> None:
    session = Session(auth=PasswordPlugin(swift.auth_url, swift.writer.name, swift.writer.key))
    target = SwiftTree(session, f"simplestreams-{uuid.uuid4().hex[:8]}", "data")
    source = feed_in(tmp_path)
    publish(source, target, public=True)
    url = target.public_url()
    assert url == f"{swift.storage_url}/{target.container}/data"
    everybody = WebTree(url)
    found = find(Source(fetch_from(everybody)), Wanted("RegionOne", KEYSTONE, ["24.04"], ["amd64"]))
    assert found.ids == ["an-id"]
    assert {step.done.value for step in publish(source, target, public=True)} == {"same"}
    everybody.close()
    target.close()


def test_a_command_line_brings_a_feed_into_a_swift_that_the_catalogue_names_and_says_where_it_is(
    swift_of_keystone: str, keystone: Keystone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in admin(keystone).items():
        monkeypatch.setenv(name, value)
    feed_in(tmp_path / "feed")
    container = f"simplestreams-{uuid.uuid4().hex[:8]}"
    words = ["streams", "publish", str(tmp_path / "feed"), f"swift://{container}/data", "--public", "--json"]
    words += ["--register", IMAGES, "--region", keystone.region]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    url = f"{swift_of_keystone}{keystone.admin_project}/{container}/data"
    told = json.loads(done.stdout)["keystone"]
    assert {(each["what"].split()[0], each["done"], each["url"]) for each in told} == {
        ("service", "added", None),
        *((interface, "added", url) for interface in ("public", "internal", "admin")),
    }
    token = {"X-Auth-Token": keystone.token(keystone.admin, keystone.admin_project)}
    told_of_it = httpx.head(url.removesuffix("/data"), headers=token, timeout=60).raise_for_status()
    assert told_of_it.headers["X-Container-Read"] == ".r:*,.rlistings"
    with closing(WebTree(url)) as everybody:
        found = find(Source(fetch_from(everybody)), Wanted("RegionOne", KEYSTONE, ["24.04"], ["amd64"]))
    assert found.ids == ["an-id"]
    again = json.loads(CliRunner().invoke(app, words).stdout)
    assert {each["done"] for each in (*again["files"], *again["keystone"])} == {"same"}

    reader = keystone.user(keystone.admin_project, "reader")
    monkeypatch.setenv("OS_USERNAME", reader.name)
    monkeypatch.setenv("OS_PASSWORD", reader.password)
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 1
    assert container in str(refused.exception)
    forget(keystone_session(admin(keystone)), IMAGES)


def test_a_feed_is_registered_corrected_and_left_alone(keystone: Keystone) -> None:
    session = keystone_session(admin(keystone))
    forget(session, IMAGES)
    region = "RegionOne"

    def done(url: str, *, dry_run: bool = False) -> list[tuple[str, Done]]:
        return [(each.what, each.done) for each in register(session, IMAGES, url, [region], dry_run=dry_run)]

    everything = [
        "service product-streams",
        *(f"{interface} endpoint in RegionOne" for interface in ("public", "internal", "admin")),
    ]
    assert done("http://one.example/feed/", dry_run=True) == [(each, Done.ADDED) for each in everything]
    assert done("http://one.example/feed/") == [(each, Done.ADDED) for each in everything]
    assert done("http://one.example/feed") == [(each, Done.SAME) for each in everything]
    changed = [(everything[0], Done.SAME), *((each, Done.CHANGED) for each in everything[1:])]
    assert done("http://two.example/feed", dry_run=True) == changed
    assert done("http://two.example/feed") == changed
    fresh = keystone_session(admin(keystone))
    assert fresh.get_endpoint(service_type=IMAGES, interface="public") == "http://two.example/feed"
    filtered = {"interface": AUTH_INTERFACE}
    listed = fresh.get(f"/services?type={IMAGES}", endpoint_filter=filtered).json()["services"]
    another = {"service": {"type": IMAGES, "name": "another"}}
    made = fresh.post("/services", json=another, endpoint_filter=filtered).json()["service"]["id"]
    with pytest.raises(SeveralServices, match="has 2 services"):
        done("http://two.example/feed")
    forget(fresh, IMAGES)
    assert made != listed[0]["id"]
    assert len(listed) == 1


@pytest.mark.parametrize(
    ("url", "region", "error", "says"),
    [
        ("ftp://one.example/feed", "RegionOne", NoFeedUrl, "http://HOST"),
        ("one.example/feed", "RegionOne", NoFeedUrl, "http://HOST"),
        ("http://user:word@one.example/feed", "RegionOne", NoFeedUrl, "no name or password"),
        ("http://one.example/feed?a=b", "RegionOne", NoFeedUrl, "http://HOST"),
        ("http://one.example/feed", "regionone", NoSuchRegion, "no region regionone; name one of .*RegionOne"),
    ],
)
def test_what_no_reader_would_find_is_not_registered(
    keystone: Keystone, url: str, region: str, error: type[HeadwaterError], says: str
) -> None:
    session = keystone_session(admin(keystone))
    forget(session, IMAGES)
    with pytest.raises(error, match=says) as refused:
        register(session, IMAGES, url, [region])
    assert "word@" not in str(refused.value)
    where = {"interface": AUTH_INTERFACE}
    assert session.get(f"/services?type={IMAGES}", endpoint_filter=where).json()["services"] == []


def test_the_command_registers_agents_and_tells_what_it_did(
    keystone: Keystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(keystone_session(admin(keystone)), AGENTS)
    for name, value in admin(keystone).items():
        monkeypatch.setenv(name, value)
    words = ["streams", "register", "http://tools.example/tools", "--type", AGENTS, "--region", "RegionOne"]
    for expected in ("added", "same"):
        result = CliRunner().invoke(app, [*words, "--interface", "public", "--json"])
        told: Any = json.loads(result.stdout)
        assert [each["done"] for each in told["keystone"]] == [expected, expected]
    monkeypatch.delenv("OS_REGION_NAME", raising=False)
    refused = CliRunner().invoke(app, ["streams", "register", "http://tools.example/tools"])
    assert "OS_REGION_NAME" in str(refused.exception)
    assert os.environ["OS_PASSWORD"] not in result.stdout


def test_who_may_not_change_the_catalogue_is_told_and_no_secret_is(keystone: Keystone) -> None:
    project = keystone.project()
    user = keystone.user(project, "member")
    environment = {
        **admin(keystone),
        "OS_USERNAME": user.name,
        "OS_PASSWORD": user.password,
        "OS_PROJECT_NAME": "",
        "OS_PROJECT_ID": project,
    }
    with pytest.raises(KeystoneRefused) as refused:
        register(keystone_session(environment), IMAGES, "http://x.example", ["RegionOne"])
    assert user.password not in str(refused.value)
