"""The threads of one worker by capability, and the connections to the database that they need.

Images, guests, feeds and the house-keeping have threads of their own, so none waits for those of another. A pool whose
threads ask the database adds as many connections: uploads that end together do not hold up a list either.
"""

from __future__ import annotations

import os

from headwater.server.settings import Settings
from headwater.threads import Pool

_FEED_THREADS = 4  # while documents are made anew they wait for one of them, and nobody else does
_HOUSE_THREADS = 2  # besides one for each store, which may hang
_SYNC_THREADS = 2  # each waits for the server of a feed most of the time
LOOPS = 11  # of a worker that serves and runs jobs, which ask the database
_LONE_THREADS = LOOPS + 4  # and ask one at a time: health, two senders of notifications, what hashes
LOOPS_OF_CLOUD = 2  # that one has besides where a cloud knows of instances
_MOST_OF_A_SERVER = 48  # connections


class Pools:
    """All pools of one worker; a thread starts when there is work for it."""

    def __init__(self, settings: Settings) -> None:
        server = settings.server
        self._all: list[Pool] = []
        self._asking = _LONE_THREADS
        self._shares_a_server = not settings.database_url.startswith("sqlite")
        # Images: requests that ask, that move data, that wait for web servers of others; jobs; the bytes themselves.
        self.catalogue = self._pool("catalogue", server.catalogue_threads)
        self.transfers = self._pool("transfer", server.transfer_threads)
        self.web = self._pool("web", server.web_threads)
        self.jobs = self._pool("jobs", settings.jobs.threads or server.web_threads)
        self.storing = self._pool("storing", server.transfer_threads)
        self.hashing = self._pool("hashing", hashing_threads(settings.workers), asks=False, nice=5)
        self.guests = self._pool("guests", server.catalogue_threads)
        openstack = settings.metadata.openstack
        has_cloud = openstack.auth_url is not None
        self.cloud = self._pool("cloud", openstack.threads, asks=has_cloud)
        self._asking += LOOPS_OF_CLOUD if has_cloud else 0
        self.syncing = self._pool("syncing", _SYNC_THREADS)
        self.feeds = self._pool("feeds", _FEED_THREADS)
        self.caching = self._pool("caching", server.transfer_threads, asks=settings.cache.directory is not None)
        # Served trees: requests for what lies here; those that wait for servers of others; what fetches from these.
        self.trees = self._pool("trees", server.transfer_threads, asks=False)
        self.far_trees = self._pool("far-trees", server.web_threads, asks=False)
        self.pulling = self._pool("pulling", server.web_threads, asks=False)
        self.house = self._pool("house", len(settings.stores) + _HOUSE_THREADS)
        self.identity = self._pool("identity", server.identity_threads, asks=False)
        self.metrics = self._pool("metrics", 1, asks=False)

    def _pool(self, name: str, threads: int, *, asks: bool = True, nice: int = 0) -> Pool:
        """Return a pool; ``asks``: its threads ask the database."""
        pool = Pool(name, threads, nice=nice)
        self._all.append(pool)
        self._asking += threads if asks else 0
        return pool

    @property
    def connections(self) -> int:
        """How many connections to the database this worker has at most: one for each thread that asks it.

        A server counts connections of all workers, and there reads have so many and writes as many again: very many
        threads share.
        """
        return min(self._asking, _MOST_OF_A_SERVER) if self._shares_a_server else self._asking

    def close(self) -> None:
        """Wait for the work that runs; take no more."""
        for pool in self._all:
            pool.close()


def hashing_threads(workers: int) -> int:
    """Return how many threads of each worker hash: all together twice the processors.

    Four at least, so that the two hashes, the inspection and the signature of one upload never wait for each other.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(4, 2 * processors // workers)
