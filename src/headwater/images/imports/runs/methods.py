"""Where the bytes of each import method come from, and what looks at them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from headwater.errors import HeadwaterError
from headwater.fetching.fetcher import Fetcher
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.imports.import_objects import ImportObjectRows
from headwater.images.data.session import Pools
from headwater.images.imports import rules
from headwater.images.imports.checking import Check, Facts, HashMismatch, KeptData, NewData, SourceDamaged
from headwater.images.imports.plugins.plugin import Work
from headwater.images.imports.plugins.processing import Plugins, Processed
from headwater.images.imports.regions.remote_image import RemoteImages
from headwater.images.imports.runs.carrying import TELL_EVERY_S, Carrying
from headwater.images.imports.runs.ending import Ending
from headwater.images.imports.runs.left import Leaving
from headwater.images.imports.runs.run import ImportFailed, Run
from headwater.images.imports.sources import KeptSource, Source, WebSource
from headwater.images.inspection.inspect import Inspection
from headwater.images.locations.known_stores import KnownStores
from headwater.images.locations.rules import Validation
from headwater.images.model import RIGHT, Image
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.verification import Signatures
from headwater.stores.store import ObjectStore


class Methods:
    """All methods; safe to use from several threads."""

    def __init__(
        self,
        ending: Ending,
        catalogue: ImageRows,
        objects: ImportObjectRows,
        *,
        stores: Mapping[str, ObjectStore],
        fetcher: Fetcher,
        settings: ImagesSettings,
        signatures: Signatures,
        pools: Pools,
        plugins: Plugins,
        remote_images: RemoteImages,
        known: KnownStores,
    ) -> None:
        self._ending = ending
        self._carrying = Carrying(ending, Leaving(objects, stores), stores, pools, size_cap=settings.size_cap)
        self._catalogue = catalogue
        self._objects = objects
        self._stores = stores
        self._fetcher = fetcher
        self._settings = settings
        self._signatures = signatures
        self._pools = pools
        self._plugins = plugins
        self._remote_images = remote_images
        self._known = known

    def bring(self, run: Run) -> None:
        """Bring the bytes of a run to its stores, and give them to the image."""
        order = run.order
        if order.method == rules.DIRECT:
            self._import_staged(run)
        elif order.method == rules.COPY:
            self._copy(run)
        elif order.method == rules.REGION:
            self._download_from_region(run)
        else:
            self._download(run)

    def _import_staged(self, run: Run) -> None:
        staged = self._objects.staged(run.order.image_id)
        if staged is None:
            raise ImportFailed("nothing is staged for this image")
        facts = Facts.of(staged.facts)
        source = KeptSource(self._stores, [staged.location], staged.size)
        if self._plugins and self._plugins.want(run.image, source, self._work(run, self._plugins.scratch_dir)):
            as_staged = Validation(facts.os_hash_algo or "md5", facts.os_hash_value or facts.checksum or "")
            self._bring_processed(run, source, as_staged, lambda said, _: SourceDamaged(said.os_hash_algo))
            return
        if self._plugins:
            run.after = self._plugins.told(run.image, self._work(run, self._plugins.scratch_dir))
        if rules.formats(run.after) != facts.formats:
            self._carrying.bring(run, source, lambda: self._new_data(run, None), run.order.stores)
            return
        if facts.refused is not None:
            raise ImportFailed(facts.refused)
        verification = self._signatures.verification(run.caller, run.after)
        here = [staged.location] if staged.location.store in run.order.stores else []
        others = [name for name in run.order.stores if name != staged.location.store]
        if not others and verification is None:
            self._ending.finish(run, facts, here, None)
            return
        check = KeptData(facts, verification, pool=self._pools.hashing)
        self._carrying.bring(run, source, lambda: check, others, here)

    def _download(self, run: Run) -> None:
        order = run.order
        assert order.url is not None
        source = WebSource(self._fetcher, order.url, retries=self._settings.http_retries, look=run.look)
        self._bring_new(run, source, order.validation)

    def _download_from_region(self, run: Run) -> None:
        remote = self._remote_images.get(run.order, run.caller, run.image, look=run.look)
        run.after = remote.given_to(run.image)
        source = WebSource(
            self._fetcher,
            remote.url,
            retries=self._settings.http_retries,
            look=run.look,
            headers=remote.headers,
            said=None if remote.validation is None else remote.validation.os_hash_value,
        )
        self._bring_new(run, source, remote.validation)

    def _bring_new(self, run: Run, source: Source, validation: Validation | None) -> None:
        if self._plugins:  # what is said of the hash is said of what comes, not of what they make of it
            self._bring_processed(run, source, validation, HashMismatch)
        else:
            self._carrying.bring(run, source, lambda: self._new_data(run, validation), run.order.stores)

    def _copy(self, run: Run) -> None:
        image = run.image
        held = [each for each in self._catalogue.held(image.id) if each.verdict in (None, RIGHT)]
        if not held:
            raise ImportFailed("the image's data was found wrong in every place where it is")
        places = [each.at for each in self._known.ranked(held, lambda each: each.at)]
        facts = Facts(
            size=image.size or 0,
            virtual_size=image.virtual_size,
            checksum=image.checksum,
            os_hash_algo=image.os_hash_algo,
            os_hash_value=image.os_hash_value,
        )
        check = KeptData(facts, None, pool=self._pools.hashing)
        if any(place.is_external for place in places):  # in a store of ours it would be believed from then on
            verification = self._signatures.verification(run.caller, image)
            check = KeptData(facts, verification, pool=self._pools.hashing, inspection=self._inspection(image))
        source = KeptSource(self._stores, places, facts.size)
        self._carrying.bring(run, source, lambda: check, run.order.stores)

    def _new_data(self, run: Run, validation: Validation | None) -> Check:
        image = run.after
        return NewData(
            self._inspection(image),
            rules.formats(image),
            self._signatures.verification(run.caller, image),
            algorithm=self._settings.hash_algorithm,
            validation=validation,
            pool=self._pools.hashing,
        )

    def _inspection(self, image: Image) -> Inspection:
        return Inspection(image.disk_format or "raw", self._settings.inspection, bare=image.container_format == "bare")

    # --- Plugins ----------------------------------------------------------------------------------

    def _bring_processed(
        self,
        run: Run,
        source: Source,
        validation: Validation | None,
        mismatch: Callable[[Validation, str], HeadwaterError],
    ) -> None:
        processed = Processed(
            source,
            self._plugins,
            run.after,
            lambda directory: self._work(run, directory),
            validation=validation,
            mismatch=mismatch,
        )

        def checks() -> Check:
            run.after = processed.image
            return self._new_data(run, None)

        self._carrying.bring(run, processed, checks, run.order.stores)

    def _work(self, run: Run, directory: Path) -> Work:
        told = time.monotonic()

        def advance(done: int, total: int | None) -> None:
            nonlocal told
            run.look()
            if time.monotonic() - told > TELL_EVERY_S:
                self._ending.tell(run, done, total, ())
                told = time.monotonic()

        return Work(
            scratch=directory,
            size_cap=self._settings.size_cap,
            rules=self._settings.inspection,
            roles=frozenset(run.order.roles),
            is_signed=self._signatures.verification(run.caller, run.after) is not None,
            advance=advance,
        )
