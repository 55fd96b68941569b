"""Events at real receivers: an HTTP server on loopback, and RabbitMQ."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
import warnings
from collections.abc import Iterator
from typing import Any

import amqp
import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, PATCH, an_image
from servers.http.webhook import SECRET, WebhookReceiver
from servers.rabbitmq import RabbitMq
from servers.relay import Relay

DATA = b"some bytes of an image"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    found = WebhookReceiver()
    found.start()
    yield found
    found.stop()
    assert found.wrong == []


def settings(receiver: WebhookReceiver, **more: Any) -> str:
    """Return the settings for a webhook, with pauses as short as they can be."""
    keys = {"webhook_url": receiver.url, "webhook_secret": SECRET, "longest_pause_s": 1, **more}
    return "[notifications]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in keys.items())


def rename(service: HeadwaterProcess, image_id: str, name: str) -> httpx.Response:
    body = json.dumps([{"op": "add", "path": "/name", "value": name}])
    return httpx.patch(f"{service.images_url}/v2/images/{image_id}", content=body, headers=PATCH).raise_for_status()


def waiting(service: HeadwaterProcess, database: str = "headwater.db") -> int:
    """Return how many events are kept."""
    with sqlite3.connect(service.data_dir / database) as connection:
        (count,) = connection.execute("SELECT count(*) FROM notifications").fetchone()
    connection.close()
    return int(count)


def live(service: HeadwaterProcess) -> str:
    """Do everything with an image that is told, and return its id."""
    image_id = an_image(service, name="told", visibility="shared", os_distro="debian")
    url = f"{service.images_url}/v2/images/{image_id}"
    rename(service, image_id, "renamed")
    httpx.put(f"{url}/file", content=DATA, headers=OCTETS).raise_for_status()
    httpx.get(f"{url}/file").raise_for_status()
    httpx.post(f"{url}/members", json={"member": "p2"}).raise_for_status()
    httpx.put(f"{url}/members/p2", json={"status": "accepted"}).raise_for_status()
    httpx.delete(f"{url}/members/p2").raise_for_status()
    httpx.post(f"{url}/actions/deactivate").raise_for_status()
    httpx.post(f"{url}/actions/reactivate").raise_for_status()
    httpx.delete(url).raise_for_status()
    return image_id


LIFE = [
    "image.create",
    "image.update",
    "image.prepare",
    "image.upload",
    "image.activate",
    "image.send",
    "image.member.create",
    "image.member.update",
    "image.member.delete",
    "image.update",
    "image.update",
    "image.delete",
]


def test_all_that_happens_to_an_image_is_told_in_order(
    fresh_headwater: FreshHeadwater, receiver: WebhookReceiver
) -> None:
    service = fresh_headwater(toml=settings(receiver, publisher_id="image.here"), workers=2)
    image_id = live(service)
    wait_until(lambda: "image.delete" in receiver.types(image_id), "the last event has come")
    told = receiver.types(image_id)
    # What is told of a download is kept when its answer is over, while other requests may go on.
    assert sorted(told) == sorted(LIFE)
    told.remove("image.send")
    assert told == [each for each in LIFE if each != "image.send"]
    wait_until(lambda: waiting(service) == 0, "nothing is kept")
    assert len({event.get_id() for event in receiver.events}) == len(LIFE)

    by_type = {event.get_type().removeprefix("org.openstack."): event for event in receiver.events}
    created = by_type["image.create"].get_data()
    assert isinstance(created, dict)
    assert set(created) == {
        *("id", "name", "status", "created_at", "updated_at", "min_disk", "min_ram", "protected", "checksum", "owner"),
        *("disk_format", "container_format", "size", "virtual_size", "is_public", "visibility", "properties", "tags"),
        *("deleted", "deleted_at"),
    }
    assert (created["id"], created["status"], created["properties"]) == (image_id, "queued", {"os_distro": "debian"})
    activated = by_type["image.activate"].get_data()
    assert isinstance(activated, dict)
    assert (activated["status"], activated["size"], activated["name"]) == ("active", len(DATA), "renamed")
    sent = by_type["image.send"].get_data()
    assert isinstance(sent, dict)
    assert (sent["bytes_sent"], sent["image_id"]) == (len(DATA), image_id)
    deleted = by_type["image.delete"].get_data()
    assert isinstance(deleted, dict)
    assert deleted["deleted"] is True
    assert deleted["deleted_at"] is not None
    assert by_type["image.create"].get_source() == "/openstack/image.here"


def test_an_event_names_the_request_that_it_comes_from(
    fresh_headwater: FreshHeadwater, receiver: WebhookReceiver
) -> None:
    service = fresh_headwater(toml=settings(receiver))
    answer = rename(service, an_image(service), "other")
    wait_until(lambda: len(receiver.events) == 2, "both events have come")
    assert receiver.events[1].get_extension("requestid") == answer.headers["X-Openstack-Request-Id"]


def test_what_did_not_happen_is_not_told(fresh_headwater: FreshHeadwater, receiver: WebhookReceiver) -> None:
    service = fresh_headwater(toml=settings(receiver, disabled=["image.prepare"]))
    image_id = an_image(service, protected=True)
    url = f"{service.images_url}/v2/images/{image_id}"
    assert httpx.delete(url).status_code == 403
    assert httpx.put(f"{url}/file", content=b"x", headers={**OCTETS, "Content-Length": "1"}).status_code == 204
    assert httpx.put(f"{url}/file", content=b"x", headers=OCTETS).status_code == 409
    rename(service, image_id, "last")
    wait_until(lambda: "image.update" in receiver.types(), "the last event has come")
    assert receiver.types() == ["image.create", "image.upload", "image.activate", "image.update"]


def test_metadata_definitions_are_told(fresh_headwater: FreshHeadwater, receiver: WebhookReceiver) -> None:
    service = fresh_headwater(toml=settings(receiver))
    base = f"{service.images_url}/v2/metadefs/namespaces"
    httpx.post(base, json={"namespace": "Told", "tags": [{"name": "one"}]}).raise_for_status()
    httpx.post(f"{base}/Told/tags/two").raise_for_status()
    httpx.put(f"{base}/Told/tags/two", json={"name": "three"}).raise_for_status()
    thing = {"name": "p", "title": "P", "type": "string"}
    httpx.post(f"{base}/Told/properties", json=thing).raise_for_status()
    httpx.delete(f"{base}/Told/properties/p").raise_for_status()
    httpx.post(f"{base}/Told/objects", json={"name": "o"}).raise_for_status()
    httpx.post(f"{base}/Told/resource_types", json={"name": "OS::Glance::Image"}).raise_for_status()
    httpx.put(f"{base}/Told", json={"namespace": "Told", "description": "new"}).raise_for_status()
    httpx.delete(f"{base}/Told/tags").raise_for_status()
    httpx.delete(f"{base}/Told").raise_for_status()
    wait_until(lambda: "metadef_namespace.delete" in receiver.types(), "the last event has come")
    assert receiver.types() == [
        "metadef_namespace.create",
        "metadef_tag.create",
        "metadef_tag.create",
        "metadef_tag.update",
        "metadef_property.create",
        "metadef_property.delete",
        "metadef_object.create",
        "metadef_resource_type.create",
        "metadef_namespace.update",
        "metadef_namespace.delete_tags",
        "metadef_namespace.delete",
    ]
    renamed = receiver.events[3].get_data()
    assert isinstance(renamed, dict)
    assert (renamed["name_old"], renamed["name"], renamed["namespace"]) == ("two", "three", "Told")


def test_nobody_is_told_by_default_and_nothing_is_kept(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater()
    live(service)
    assert waiting(service) == 0


# --- Receivers that fail ------------------------------------------------------------------------


def test_a_receiver_that_fails_in_every_way_gets_everything_in_the_end(
    fresh_headwater: FreshHeadwater, receiver: WebhookReceiver
) -> None:
    service = fresh_headwater(toml=settings(receiver, webhook_timeout_s=0.5), workers=2)
    image_id = an_image(service)

    def fails_twice(number: int) -> None:
        asked = receiver.asked
        rename(service, image_id, f"name {number}")
        wait_until(lambda: receiver.asked >= asked + 2, "it was tried again")

    def names() -> list[object]:
        return [data["name"] for event in receiver.events if isinstance(data := event.get_data(), dict)]

    def all_is_delivered() -> None:
        wait_until(lambda: waiting(service) == 0, "all is delivered")

    all_is_delivered()
    for number, status in enumerate((500, 302, 429, 0)):
        with receiver.answering(status):
            fails_twice(number)
        all_is_delivered()
    receiver.stop()
    rename(service, image_id, "name 4")
    wait_until(lambda: "ConnectError" in service.stderr(), "it was tried")
    receiver.start()
    all_is_delivered()
    assert names() == [None, *(f"name {number}" for number in range(5))]  # each of them once
    with receiver.hanging():
        fails_twice(5)
    all_is_delivered()
    assert list(dict.fromkeys(names())) == [None, *(f"name {number}" for number in range(6))]
    assert "t0ken" not in service.stderr()
    assert SECRET not in service.stderr()


def test_no_request_waits_for_a_receiver_that_hangs(fresh_headwater: FreshHeadwater, receiver: WebhookReceiver) -> None:
    service = fresh_headwater(toml=settings(receiver, webhook_timeout_s=60), workers=1)
    with receiver.hanging():
        first = an_image(service)
        wait_until(lambda: receiver.asked == 1, "the first event is on its way")
        made = [first, *(an_image(service) for _ in range(50))]
        assert httpx.put(f"{service.images_url}/v2/images/{first}/file", content=DATA, headers=OCTETS).is_success
        assert httpx.get(f"{service.images_url}/v2/images/{first}/file").content == DATA
        assert (receiver.asked, receiver.events) == (1, [])
    wait_until(lambda: waiting(service) == 0, "all is delivered")
    created = [event.get_subject() for event in receiver.events if event.get_type().endswith("image.create")]
    assert created == made


def test_events_survive_a_kill(fresh_headwater: FreshHeadwater, receiver: WebhookReceiver) -> None:
    service = fresh_headwater(toml=settings(receiver), workers=2)
    receiver.stop()
    image_id = an_image(service)
    rename(service, image_id, "kept")
    wait_until(lambda: "events wait for their receiver" in service.stderr(), "it was tried")
    service.kill()
    assert waiting(service) == 2
    receiver.start()
    service.start()
    wait_until(lambda: len(receiver.events) == 2, "both events have come")
    assert receiver.types(image_id) == ["image.create", "image.update"]


def test_a_stop_does_not_wait_for_a_receiver_that_hangs(
    fresh_headwater: FreshHeadwater, receiver: WebhookReceiver
) -> None:
    service = fresh_headwater(toml=settings(receiver, webhook_timeout_s=60))
    with receiver.hanging():
        an_image(service)
        wait_until(lambda: receiver.asked == 1, "the event is on its way")
        assert service.stop(timeout_s=30) == 0
    service.start()
    wait_until(lambda: waiting(service) == 0, "the event was delivered after all")


# --- RabbitMQ -----------------------------------------------------------------------------------


class Queue:
    """What lies in a queue of RabbitMQ, read by a client that knows nothing of OpenStack."""

    def __init__(self, broker: RabbitMq, topic: str) -> None:
        self.name = f"{topic}.info"
        self._connection = broker.connect()
        self._channel = self._connection.channel()
        self.raw: list[amqp.Message] = []
        self.messages: list[dict[str, Any]] = []

    def read(self) -> list[dict[str, Any]]:
        """Return all messages so far, out of their envelopes."""
        while True:
            try:
                message = self._channel.basic_get(self.name, no_ack=True)
            except amqp.NotFound:  # it is not made before the first message
                self._channel = self._connection.channel()
                return self.messages
            if message is None:
                return self.messages
            self.raw.append(message)
            envelope = json.loads(message.body)
            assert envelope["oslo.version"] == "2.0"
            self.messages.append(json.loads(envelope["oslo.message"]))

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def topic() -> str:
    return f"topic-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def queue(rabbitmq: RabbitMq, topic: str) -> Iterator[Queue]:
    found = Queue(rabbitmq, topic)
    yield found
    found.close()


def to_rabbitmq(url: str, topic: str, **more: Any) -> str:
    keys = {"transport_url": url, "topics": [topic], "longest_pause_s": 1, "publisher_id": "image.here", **more}
    return "[notifications]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in keys.items())


def test_rabbitmq_gets_messages_as_openstack_writes_them(
    fresh_headwater: FreshHeadwater, rabbitmq: RabbitMq, queue: Queue, topic: str
) -> None:
    service = fresh_headwater(toml=to_rabbitmq(rabbitmq.url(), topic), workers=2)
    image_id = live(service)
    wait_until(lambda: len(queue.read()) == len(LIFE), "all messages have come")
    told = [message["event_type"] for message in queue.messages]
    assert sorted(told) == sorted(LIFE)
    assert [each for each in told if each != "image.send"] == [each for each in LIFE if each != "image.send"]

    created = queue.messages[0]
    assert (created["publisher_id"], created["priority"]) == ("image.here", "INFO")
    assert uuid.UUID(created["message_id"])
    assert time.strptime(created["timestamp"], "%Y-%m-%d %H:%M:%S.%f")
    assert created["_context_request_id"].startswith("req-")
    assert (created["payload"]["id"], created["payload"]["status"]) == (image_id, "queued")
    assert queue.raw[0].delivery_info["exchange"] == "glance"
    assert queue.raw[0].delivery_info["routing_key"] == f"{topic}.info"


def test_a_consumer_of_openstack_understands_the_messages(
    fresh_headwater: FreshHeadwater, rabbitmq: RabbitMq, topic: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import oslo_messaging  # noqa: PLC0415 - warns when it is imported
        from oslo_config import cfg  # noqa: PLC0415

    heard: list[tuple[Any, ...]] = []

    class Endpoint:
        def info(self, ctxt: Any, publisher_id: str, event_type: str, payload: Any, metadata: Any) -> None:
            heard.append((ctxt["request_id"], publisher_id, event_type, payload["name"], metadata["message_id"]))

    conf = cfg.ConfigOpts()
    conf([], project="listener", default_config_files=[], default_config_dirs=[])
    transport = oslo_messaging.get_notification_transport(conf, url=rabbitmq.url())
    target = oslo_messaging.Target(topic=topic, exchange="glance")
    listener = oslo_messaging.get_notification_listener(transport, [target], [Endpoint()], executor="threading")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        listener.start()
        try:
            service = fresh_headwater(toml=to_rabbitmq(rabbitmq.url(), topic))
            an_image(service, name="heard")
            wait_until(lambda: bool(heard), "the listener has heard of it")
        finally:
            listener.stop()
            listener.wait()
            transport.cleanup()
    ((request_id, *rest, message_id),) = heard
    assert rest == ["image.here", "image.create", "heard"]
    assert request_id.startswith("req-")
    assert uuid.UUID(message_id)


def test_both_receivers_get_the_same_event(
    fresh_headwater: FreshHeadwater, rabbitmq: RabbitMq, queue: Queue, topic: str, receiver: WebhookReceiver
) -> None:
    more = settings(receiver).partition("\n")[2].replace("longest_pause_s = 1\n", "")
    service = fresh_headwater(toml=to_rabbitmq(rabbitmq.url(), topic) + more)
    an_image(service)
    wait_until(lambda: bool(queue.read()) and bool(receiver.events), "both have it")
    assert queue.messages[0]["message_id"] == receiver.events[0].get_id()
    assert queue.messages[0]["payload"] == receiver.events[0].get_data()


@pytest.fixture
def relay(rabbitmq: RabbitMq) -> Iterator[Relay]:
    found = Relay(rabbitmq.port)
    yield found
    found.close()


def test_a_broker_that_is_cut_off_or_hangs_delays_messages_and_nothing_else(
    fresh_headwater: FreshHeadwater, rabbitmq: RabbitMq, relay: Relay, queue: Queue, topic: str
) -> None:
    service = fresh_headwater(toml=to_rabbitmq(rabbitmq.url(port=relay.port), topic))
    image_id = an_image(service)
    wait_until(lambda: len(queue.read()) == 1, "the first message has come")
    with relay.cut():
        for number in range(5):
            rename(service, image_id, f"cut {number}")
        wait_until(lambda: "events wait for their receiver" in service.stderr(), "it was tried")
        assert len(queue.read()) == 1
    wait_until(lambda: len(queue.read()) >= 6, "the messages have come")
    with relay.hanging():
        for number in range(50):
            rename(service, image_id, f"hung {number}")
        assert waiting(service) >= 50
    wait_until(lambda: waiting(service) == 0, "all is delivered", 90)
    names = list(dict.fromkeys(message["payload"]["name"] for message in queue.read()))
    assert names == [None, *(f"cut {number}" for number in range(5)), *(f"hung {number}" for number in range(50))]


def test_a_broker_that_refuses_the_password_is_named_and_the_password_is_not(
    fresh_headwater: FreshHeadwater, rabbitmq: RabbitMq, topic: str
) -> None:
    service = fresh_headwater(toml=to_rabbitmq(rabbitmq.url().replace(rabbitmq.password, "hunter2-and-more"), topic))
    an_image(service)
    wait_until(lambda: "events wait for their receiver" in service.stderr(), "it was tried")
    assert waiting(service) == 1
    assert "hunter2" not in service.stderr()
    assert service.logs()  # whatever its library says, each line is JSON
