"""The use cases of v1 and of tasks on a catalogue in memory, judged by the policy's defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.image_catalogue import NOON
from contracts.unheard import UnheardImages, UnheardMembers, UnheardUploads
from headwater.activity.journal import Entry, Journal
from headwater.database.engine import Database
from headwater.errors import HeadwaterError
from headwater.fetching.url_filter import UrlRefused
from headwater.identity.caller import Caller
from headwater.identity.policy.engine import Policy
from headwater.identity.settings import PolicySettings
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.tasks import TaskRows
from headwater.images.data.leftovers import Running
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import Pools
from headwater.images.data.uploads import Uploads
from headwater.images.imports.task_service import TaskService
from headwater.images.imports.web_copy import KIND, WebCopy
from headwater.images.locations.service import Web as LocationWeb
from headwater.images.policies import BY_NAME
from headwater.images.properties.guard import PropertyGuard
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings
from headwater.images.v1.attributes import Description
from headwater.images.v1.images import ImagesV1
from headwater.images.v1.sharing import SharingV1
from headwater.jobs.queue import Job, Jobs
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.threads import Pool
from templates import sqlite_catalogue

POLICY = Policy(PolicySettings(), BY_NAME)  # once: it takes longer than the tests

WRITES = frozenset({"reader", "member"})
ADMIN = Caller(user_id="root", project_id="z", roles=frozenset({"admin", "member", "reader"}))
ANN = Caller(user_id="ann", project_id="a", roles=WRITES, request_id="req-1")
READER = Caller(user_id="rea", project_id="a", roles=frozenset({"reader"}))
BOB = Caller(user_id="bob", project_id="b", roles=WRITES)
EVE = Caller(user_id="eve", project_id="e", roles=WRITES)


class Page:
    """What a server gives: all of it, or some of it and then an error."""

    def __init__(self, data: bytes = b"", error: Exception | None = None, *, says_size: bool = True) -> None:
        self.size = len(data) if says_size else None
        self._data, self._error = data, error

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._data), 7):
            yield self._data[at : at + 7]
        if self._error is not None:
            raise self._error


class Web:
    """In place of a ``Fetcher``: what each URL gives, in turn; the last one again and again."""

    def __init__(self) -> None:
        self.pages: dict[str, list[Page | HeadwaterError]] = {}

    def check(self, url: str) -> None:
        if not url.startswith("http://good/"):
            raise UrlRefused(url, "it is not good")

    def open(self, url: str, **_look: object) -> Page:
        pages = self.pages[url]
        page = pages.pop(0) if len(pages) > 1 else pages[0]
        if isinstance(page, HeadwaterError):
            raise page
        return page


class Heard:
    """A listener that writes down what was done."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str | None, bool]] = []

    def moved(self, _entry: Entry) -> tuple[()]:
        return ()

    def ended(self, entry: Entry, error: BaseException | None) -> None:
        self.entries.append((entry.action, entry.image_id, error is None))


@dataclass
class Service:
    """All of it."""

    database: Database
    catalogue: UnheardImages
    store: MemoryStore
    images: ImagesV1
    sharing: SharingV1
    web_copy: WebCopy
    tasks: TaskService
    uploads: Uploads
    web: Web
    heard: Heard
    v2: Images
    now: int = NOON
    attempts: dict[str, int] = field(default_factory=dict)

    def run(self) -> list[str]:
        """Run each copy that waits once, and return what was raised; what was not raised is done."""
        raised = []
        jobs = Jobs(self.database)
        for job in jobs.claim([KIND], "here", self.now + 10**15, limit=99):
            try:
                self.web_copy.run(job)
            except Exception as error:  # noqa: BLE001 - whatever it is, the runner would see it
                raised.append(f"{type(error).__name__}: {error}")
                jobs.again(job, "here", self.now)
            else:
                jobs.done(job, "here")
        return raised

    def waiting(self) -> list[Job]:
        """Return the copies that wait."""
        return Jobs(self.database).claim([KIND], "nobody", self.now + 10**15, limit=99)


@contextmanager
def service(directory: Path, guard: PropertyGuard | None = None, **settings: Any) -> Iterator[Service]:
    """Put all of it together."""
    database = Database(sqlite_catalogue(directory / "catalogue.db"))
    pools = Pools(Pool("hashing", 2), Pool("storing", 2))
    clock: Callable[[], int] = lambda: made.now  # noqa: E731 - the service has the time
    catalogue, records = UnheardImages(database), UnheardUploads(database)
    store = MemoryStore("memory", MemoryStoreSettings(type="memory", capacity=1 << 20))
    stores, limits = {"memory": store}, ImagesSettings(**settings)
    web: Any = Web()
    access, heard = Access(catalogue, POLICY), Heard()
    changes = Changes(database, access, journal=Journal([heard]))
    locations = LocationWeb(stores, web, limits.size_cap)
    scrubber = Scrubber(DiscardedObjectRows(database), stores)
    v2 = Images(access, changes, scrubber, limits, clock=clock)
    uploads = Uploads(changes, records, scrubber, stores, limits, pools=pools, clock=clock, running=Running("here"))
    kept = TaskRows(database)
    web_copy = WebCopy(catalogue, changes, uploads, web, kept, clock=clock, task_kept_s=3600, retries=5)
    made = Service(
        database,
        catalogue,
        store,
        ImagesV1(catalogue, access, changes, v2, uploads, web_copy=web_copy, web=locations, guard=guard, clock=clock),
        SharingV1(access, changes, UnheardMembers(database), 3, clock=clock),
        web_copy,
        TaskService(kept, access, v2, web_copy, task_kept_s=3600, clock=clock),
        uploads,
        web,
        heard,
        v2,
    )
    try:
        yield made
    finally:
        pools.hashing.close()
        pools.storing.close()
        database.close()


def says(**fields: Any) -> Description:
    """Return a description of a raw disk."""
    copy_from = fields.pop("copy_from", None)
    properties = fields.pop("properties", {})
    given = {"disk_format": "raw", "container_format": "bare", **fields}
    return Description(fields=given, properties=properties, copy_from=copy_from)
