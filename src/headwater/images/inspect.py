"""What a disk image really is, decided while its bytes stream past.

The formats and their safety checks are those of ``oslo.utils`` (``imageutils.format_inspector``), the
same code that Nova and Cinder trust. This module only pushes the pieces in and turns the outcome into
ours. Source of the rules for a match: Glance 33 and its security advisories OSSA-2023-002, 2024-001.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, cast

from oslo_utils.imageutils import format_inspector

from headwater.errors import UnsupportedMedia

# Formats that have no signature of their own: content that looks like a bare disk may be declared so.
_UNSIGNED = frozenset({"raw", "gpt"})


class ContentMismatch(UnsupportedMedia):
    """The bytes are not what ``disk_format`` says."""

    def __init__(self, declared: str, detected: str | None) -> None:
        """Say what was found; ``None`` when it is clear only what it is not."""
        found, wanted = (f" {detected}", detected) if detected else ("", "what they are")
        super().__init__(
            f"Image disk_format {declared} does not match stream data{found}: "
            f"set disk_format to {wanted}, or upload the image that was meant"
        )
        self.declared, self.detected = declared, detected


class ContentUnsafe(UnsupportedMedia):
    """The bytes are of a known format, and use a part of it that could harm a host."""

    def __init__(self, detected: str, reason: str) -> None:
        super().__init__(f"The image is {detected} and fails its safety check: {reason}")
        self.detected, self.reason = detected, reason


@dataclass(frozen=True, slots=True)
class Finding:
    """What the whole stream turned out to be."""

    format: str
    virtual_size: int | None  # bytes; None when the format does not tell


class Inspection:
    """One stream being looked at. Used by one thread at a time; holds a few hundred KiB at most."""

    def __init__(self, declared: str, *, require_match: bool = True) -> None:
        """Begin to look at a stream that is said to be of the format ``declared``.

        Args:
            require_match: Raise when it is another; its own safety check is made in any case.
        """
        self._declared = declared
        self._require = require_match
        self._size = 0
        self._feed = _Feed()
        known = declared if require_match and declared != "raw" and format_inspector.get_inspector(declared) else None
        self._wrapper = format_inspector.InspectWrapper(cast(IO[bytes], self._feed), expected_format=known)
        self._decided = False

    def feed(self, piece: memoryview) -> None:
        """Look at the next piece.

        Raises:
            ContentMismatch: It is clear already that the bytes are not of the declared format.
        """
        self._size += len(piece)
        if self._decided:
            return
        self._feed.piece = piece
        try:
            next(self._wrapper)
            formats = self._wrapper.formats
        except Exception as error:  # the library lets whatever its parsers trip over escape
            raise ContentMismatch(self._declared, None) from error
        finally:
            self._feed.piece = None
        if formats is not None:
            self._decided = True
            self._require_match([str(found) for found in formats])

    def finish(self) -> Finding:
        """Say what the stream was, after its last piece.

        Raises:
            ContentMismatch: It is not of the declared format.
            ContentUnsafe: It is, and is refused all the same.
        """
        self._wrapper.close()
        formats = self._wrapper.formats or []
        names = [str(found) for found in formats]
        self._require_match(names)
        # Source: an ISO with a partition table is an ISO to everybody.
        inspector = next((found for found in formats if str(found) == "iso"), formats[0])
        if str(inspector) != "raw":
            try:
                inspector.safety_check()
            except format_inspector.SafetyCheckFailed as error:
                reasons = "; ".join(f"{name}: {failure}" for name, failure in sorted(error.failures.items()))
                raise ContentUnsafe(str(inspector), reasons) from error
            except Exception as error:  # see feed
                raise ContentUnsafe(str(inspector), "it cannot be read to its end") from error
        return Finding(str(inspector), self._virtual_size(inspector))

    def _require_match(self, names: list[str]) -> None:
        if not self._require:
            return
        detected = "iso" if set(names) == {"iso", "gpt"} else ", ".join(sorted(names))
        if self._declared in (detected, "raw") and "," not in detected:
            return
        if detected in _UNSIGNED and format_inspector.get_inspector(self._declared) is None:
            return
        raise ContentMismatch(self._declared, detected)

    def _virtual_size(self, inspector: format_inspector.FileInspector) -> int | None:
        if str(inspector) in _UNSIGNED or self._declared == "raw":
            return self._size
        try:
            return inspector.virtual_size or None
        except Exception:  # noqa: BLE001 - a size that cannot be read is not known
            return None


class _Feed:
    """An iterator that gives the piece it was handed, and ends when it has none."""

    def __init__(self) -> None:
        self.piece: memoryview | None = None

    def __next__(self) -> memoryview:
        if self.piece is None:
            raise StopIteration
        return self.piece
