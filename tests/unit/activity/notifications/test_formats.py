"""An event as a CloudEvent and as OpenStack's message, read by what others wrote."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from headwater.activity.notifications.cloud_event import MEDIA_TYPE, cloud_event
from headwater.activity.notifications.rabbitmq import context, message
from unit.activity.notifications.events import NOON, an_event


def test_a_cloud_event_is_one_to_the_library_of_its_makers() -> None:
    event = an_event()
    read = from_http_event(HTTPMessage({"content-type": MEDIA_TYPE}, cloud_event(event)))
    assert (read.get_id(), read.get_type()) == (event.id, "org.openstack.image.update")
    assert (read.get_source(), read.get_subject()) == ("/openstack/image.host1", event.subject)
    assert read.get_time() == datetime.fromtimestamp((NOON + 123_456) / 1_000_000, UTC)
    assert read.get_data() == event.payload
    assert read.get_extension("requestid") == "req-1"
    assert (read.get_extension("userid"), read.get_extension("projectid")) == ("ada", "lovelace")


def test_what_nobody_knows_is_left_out_of_a_cloud_event() -> None:
    event = an_event(request_id=None, user_id=None, project_id=None, subject=None)
    assert set(json.loads(cloud_event(event))) == {
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "datacontenttype",
        "data",
    }


@pytest.mark.parametrize("publisher", ["image.a host", "bücher", "a/b?c#d"])
def test_the_source_of_a_cloud_event_is_always_a_uri(publisher: str) -> None:
    source = json.loads(cloud_event(an_event(publisher_id=publisher)))["source"]
    assert source.isascii()
    assert not set(source.removeprefix("/openstack/")) & set(" /?#")


def test_a_message_has_the_fields_and_the_time_that_consumers_of_openstack_read() -> None:
    assert message(an_event()) == {
        "message_id": "00000000-0000-4000-8000-000000000001",
        "publisher_id": "image.host1",
        "event_type": "image.update",
        "priority": "INFO",
        "payload": {"id": "11111111-1111-4111-8111-111111111111", "name": "image 1"},
        "timestamp": "2026-11-21 12:00:00.123456",
    }
    assert context(an_event())["project_id"] == "lovelace"
