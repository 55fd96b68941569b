"""What is done with the bytes of an import besides writing them: they are hashed, inspected, verified, and judged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from headwater.database.documents import known
from headwater.errors import HeadwaterError, Invalid
from headwater.images.data.pipeline import Lane
from headwater.images.data.session import ImageTooLarge, SizeMismatch
from headwater.images.inspection.inspect import Inspection
from headwater.images.locations.rules import Validation
from headwater.images.signatures.verification import Verification
from headwater.threads import Pool


class HashMismatch(Invalid):
    """The data is not what was said that it would be: in the request, or by the service that has it."""

    def __init__(self, validation: Validation, got: str) -> None:
        super().__init__(
            f"the {validation.os_hash_algo} of the data is {got}, and was to be {validation.os_hash_value}"
        )
        self.expected, self.got = validation.os_hash_value, got


class SourceDamaged(HeadwaterError):
    """Bytes that were kept are not what they were."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(f"the data that was to be imported is damaged: its {algorithm} is not what it was")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of data."""

    size: int
    virtual_size: int | None
    checksum: str | None  # MD5, hex
    os_hash_algo: str | None
    os_hash_value: str | None
    formats: tuple[str | None, str | None] | None = None  # disk and container: as what it was inspected
    refused: str | None = None  # why no image may have it

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Facts:
        """Return what ``dataclasses.asdict`` wrote down, maybe that of another release."""
        given = known(cls, document)
        return cls(**{**given, "formats": tuple(given["formats"]) if given.get("formats") else None})


class Check(Protocol):
    """What looks at the bytes of one stream."""

    verification: Verification | None  # of a signature, where the image has one

    @property
    def lanes(self) -> list[Lane]:
        """What is done with every piece."""

    def finish(self, size: int) -> Facts:
        """Judge ``size`` bytes, which were all; raise what they are refused for."""


class NewData:
    """Looks at bytes that nobody has seen."""

    def __init__(
        self,
        inspection: Inspection,
        formats: tuple[str | None, str | None],
        verification: Verification | None,
        *,
        algorithm: str,
        validation: Validation | None,
        pool: Pool,
    ) -> None:
        """Take what it does.

        Args:
            formats: As what the data is inspected.
            validation: What the data's hash must be.
        """
        self._inspection, self._formats, self.verification = inspection, formats, verification
        self._validation = validation
        names = {"md5", algorithm} | ({validation.os_hash_algo} if validation else set())
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in sorted(names)}
        self._algorithm = algorithm
        self._pool = pool

    @property
    def lanes(self) -> list[Lane]:
        feeds = [self._inspection.feed, *(each.update for each in self._hashes.values())]
        if self.verification is not None:
            feeds.append(self.verification.feed)
        return [Lane(feed, self._pool) for feed in feeds]

    def finish(self, size: int) -> Facts:
        digests = {name: each.hexdigest() for name, each in self._hashes.items()}
        if self._validation:
            require_hash(self._validation, digests[self._validation.os_hash_algo])
        finding = self._inspection.finish()
        if self.verification is not None:
            self.verification.finish()
        return Facts(
            size=size,
            virtual_size=finding.virtual_size,
            checksum=digests["md5"],
            os_hash_algo=self._algorithm,
            os_hash_value=digests[self._algorithm],
            formats=self._formats,
        )


class KeptData:
    """Looks at bytes of which all is known, whether they are still the same."""

    def __init__(
        self, facts: Facts, verification: Verification | None, *, pool: Pool, inspection: Inspection | None = None
    ) -> None:
        """Take what it does.

        Args:
            inspection: Of bytes that others keep, who may have made something else of them.
        """
        self._facts, self.verification, self._pool, self._inspection = facts, verification, pool, inspection
        if facts.os_hash_algo and facts.os_hash_value:
            self._algorithm, self._expected = facts.os_hash_algo, facts.os_hash_value
        else:
            self._algorithm, self._expected = "md5", facts.checksum or ""
        self._hash = hashlib.new(self._algorithm, usedforsecurity=False)

    @property
    def lanes(self) -> list[Lane]:
        others = (self.verification, self._inspection)
        feeds = [self._hash.update, *(each.feed for each in others if each is not None)]
        return [Lane(feed, self._pool) for feed in feeds]

    def finish(self, size: int) -> Facts:
        if size != self._facts.size:
            raise SizeMismatch(self._facts.size, size)
        if self._expected and self._hash.hexdigest() != self._expected:
            raise SourceDamaged(self._algorithm)
        if self._inspection is not None:
            self._inspection.finish()
        if self.verification is not None:
            self.verification.finish()
        return replace(self._facts)


def require_hash(validation: Validation, got: str) -> None:
    """Raise ``HashMismatch`` when data does not have the hash that was said."""
    if got != validation.os_hash_value:
        raise HashMismatch(validation, got)


def require_size(size: int, cap: int) -> None:
    """Raise ``ImageTooLarge`` when one image may not have so many bytes."""
    if size > cap:
        raise ImageTooLarge(cap)
