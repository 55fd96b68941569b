"""What holds in a service at rest, whatever was killed before: asked of the API, the catalogue and the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import httpx2 as httpx
from sqlalchemy import select

from functional.headwater_process import HeadwaterProcess, wait_until
from headwater.database.engine import Database
from headwater.database.tables import discarded_objects, image_locations, images, uploads
from torture.clients import Client, Known

SETTLED_S = 60.0  # a worker that was killed is looked for by the others every 15 s


def require_settles(service: HeadwaterProcess, database: Database) -> None:
    """Wait until nothing is left to do: no upload is noted, and no object waits for its removal."""

    def settled() -> bool:
        return all(
            not database.read(lambda connection, table=table: connection.execute(select(table)).first())  # type: ignore[misc]
            for table in (uploads, discarded_objects)
        )

    wait_until(settled, f"all that was left behind is cleared; the log ends with {service.logs()[-5:]}", SETTLED_S)


def broken(service: HeadwaterProcess, database: Database, clients: Iterable[Client]) -> list[str]:
    """Return, as sentences, what of all that must hold does not; and let the clients know what is so."""
    found: list[str] = []
    with httpx.Client(base_url=service.images_url, timeout=60) as api:
        for client in clients:
            for image in list(client.images.values()):
                found += _as_promised(api, image)
                if image.is_there == {False}:
                    del client.images[image.id]
    return found + _books_match(database, service.data_dir / "stores" / "file")


def _as_promised(api: httpx.Client, image: Known) -> list[str]:
    answer = api.get(f"/v2/images/{image.id}")
    if answer.status_code == 404:
        was, image.is_there = image.is_there, {False}
        return [] if False in was else [f"image {image.id} is lost"]
    if answer.status_code != 200:
        return [f"image {image.id}: {answer.status_code} {answer.text}"]
    if image.is_there == {False}:
        return [f"image {image.id} was deleted, and is there again"]
    shown = answer.json()
    found = _data_as_promised(api, image, shown["status"], shown["checksum"])
    if shown["counter"] != shown["mirror"]:
        found.append(f"image {image.id}: half a change: {shown['counter']} and {shown['mirror']}")
    if shown["counter"] not in image.counters:
        found.append(f"image {image.id}: counter {shown['counter']}, and it was set to {sorted(image.counters)}")
    image.is_there, image.counters, image.checksums = {True}, {shown["counter"]}, {shown["checksum"]}
    return found


def _data_as_promised(api: httpx.Client, image: Known, status: str, checksum: str | None) -> list[str]:
    if checksum not in image.checksums:
        return [f"image {image.id} is {status} with the checksum {checksum}, not one of {image.checksums}"]
    if status != ("queued" if checksum is None else "active"):
        return [f"image {image.id} is {status} with the checksum {checksum}"]
    data = api.get(f"/v2/images/{image.id}/file")
    if checksum is None:
        return [] if data.status_code == 204 else [f"image {image.id} waits for data, and gives {data.status_code}"]
    if data.status_code != 200 or hashlib.md5(data.content).hexdigest() != checksum:
        return [f"image {image.id}: its {len(data.content)} bytes ({data.status_code}) are not those of {checksum}"]
    return []


def _books_match(database: Database, store: Path) -> list[str]:
    """Compare the objects that the catalogue names with the files that are there."""
    query = select(image_locations.c.object_key, images.c.size).join(images, images.c.id == image_locations.c.image_id)
    named = {row.object_key: row.size for row in database.read(lambda connection: connection.execute(query).all())}
    whole, begun = _files(store / "objects"), _files(store / "incoming")
    found = [f"half an object is left: {name}" for name in begun]
    if named != whole:
        found.append(f"the catalogue names {dict(named.items() - whole.items())} that are not there")
        found.append(f"nothing in the catalogue names {dict(whole.items() - named.items())}")
    if database.is_sqlite:
        said = database.read(lambda connection: connection.exec_driver_sql("PRAGMA integrity_check").scalar())
        if said != "ok":
            found.append(f"SQLite says {said}")
    return found


def _files(directory: Path) -> Mapping[str, int]:
    return {
        file.name: file.stat().st_size
        for file in directory.rglob("*")
        if file.is_file() and not file.name.startswith(".")
    }
