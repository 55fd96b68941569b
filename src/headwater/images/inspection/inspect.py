"""What a disk image really is, decided while its bytes stream past.

Every format is looked for at once (``disk_formats.py``). An image that could be read as two of them is refused whatever
the settings and its container_format say, and so is one that fails the check of its format: who uses the image goes by
its disk_format, or by what it finds itself. Whether it is what it is declared to be is asked of bare disks only; what
is in an archive shows when that is unpacked.

Source of the rules for a match: Glance 33 and its security advisories OSSA-2023-002, 2024-001.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from oslo_utils.imageutils import format_inspector
from oslo_utils.imageutils.format_inspector import EndCaptureRegion, FileInspector

from headwater.errors import UnsupportedMedia
from headwater.images.inspection import remedies
from headwater.images.inspection.disk_formats import FOOTER, HEAD, TAIL, PartitionTables, footer_in, inspectors, slices

# Formats that have no signature of their own: content that looks like a bare disk may be declared so.
_UNSIGNED = frozenset({"raw", "gpt"})
# Parts of a machine image, whose first sector may be code. Source: Glance takes any partition table in them.
_PARTS = frozenset({"aki", "ari", "ami"})
# An ISO that boots from a stick as well.
_HYBRID = frozenset({"iso", "gpt"})
# The disk in a fixed VHD begins with its first byte.
_FIXED_VHD = frozenset({"vhd", "gpt"})
# What is looked at in one go. A VHDX tells in its first MiB where to look behind that; a VMDK's text has no more.
_SLICE = 1 << 20
_LARGEST_DISK = (1 << 63) - 1  # bytes


class ContentMismatch(UnsupportedMedia):
    """The bytes are not what ``disk_format`` says."""

    def __init__(self, declared: str, detected: str, remedy: str) -> None:
        super().__init__(f"Image disk_format {declared} does not match stream data {detected}: {remedy}")
        self.declared, self.detected = declared, detected


class ContentAmbiguous(UnsupportedMedia):
    """The bytes can be read as several formats, which show different disks."""

    def __init__(self, detected: Collection[str]) -> None:
        names = ", ".join(sorted(detected))
        super().__init__(
            f"The image can be read as each of {names}, so that nobody can say what it holds; "
            "convert it with qemu-img convert, with -f and the format that was meant"
        )
        self.detected = names


class ContentUnsafe(UnsupportedMedia):
    """The bytes are of a known format, and use a part of it that could harm a host."""

    def __init__(self, detected: str, reason: str) -> None:
        super().__init__(f"The image is {detected} and fails its safety check: {reason}")
        self.detected, self.reason = detected, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an operator decides about images that are brought."""

    require_match: bool = True  # a bare disk is what its disk_format says
    partition_tables: PartitionTables = "lenient"
    disk_formats: Collection[str] = ()  # those that images may have


@dataclass(frozen=True, slots=True)
class Finding:
    """What the whole stream turned out to be."""

    format: str
    virtual_size: int | None  # bytes; None when the format does not tell


class Inspection:
    """One stream being looked at. Used by one thread at a time; holds some 2 MiB of it at most."""

    def __init__(self, declared: str, rules: Rules = Rules(), *, bare: bool = True) -> None:
        """Begin to look at a stream that is said to be of the format ``declared``.

        Args:
            bare: The stream is the disk; else it may be an archive that holds it.
        """
        self._declared = declared
        self._rules = rules
        self._bare = bare
        self._candidates = [_Candidate(inspector) for inspector in inspectors(rules.partition_tables)]
        self._open = self._candidates  # those that want to see more
        self._size = 0
        self._head = b""
        self._tail = b""

    def feed(self, piece: memoryview) -> None:
        """Look at the next piece.

        Raises:
            ContentMismatch, ContentAmbiguous, ContentUnsafe: It is clear already that the stream is refused.
        """
        if len(self._head) < HEAD:
            self._head += bytes(piece[: HEAD - len(self._head)])
        self._tail = (self._tail + bytes(piece[-TAIL:]))[-TAIL:]
        if not self._open:
            self._size += len(piece)
            return
        for start in range(0, len(piece), _SLICE):
            self._look(piece[start : start + _SLICE])
        if not self._open and self._declared != "vhd":  # which may show at the end only
            self._judge(self._found(), over=False)

    def finish(self) -> Finding:
        """Say what the stream was, after its last piece.

        Raises:
            ContentMismatch: It is a bare disk, and not of the declared format.
            ContentAmbiguous, ContentUnsafe: It is refused whatever was declared.
        """
        size = self._size
        if size < HEAD:
            # As those read it who open the file: what is missing in a sector is zeros.
            self._look(bytes(HEAD - size))
            self._size = size
        found = self._found()
        for candidate in found:
            if candidate not in self._open:
                candidate.feed(self._tail)
            candidate.inspector.finish()
        detected = self._judge(found, over=True)
        return Finding(detected, self._virtual_size(detected, found))

    def _look(self, part: memoryview | bytes) -> None:
        self._size += len(part)
        for candidate in self._open:
            candidate.feed(part)
        self._open = [candidate for candidate in self._open if candidate.wants_more(self._size)]

    def _found(self) -> list[_Candidate]:
        return [candidate for candidate in self._candidates if candidate.matches]

    def _judge(self, found: list[_Candidate], *, over: bool) -> str:
        names = {candidate.name for candidate in found}
        footer = footer_in(self._tail) if over else None
        fault = footer.fault(self._size) if footer else None
        fixed = footer is not None and fault is None and "vhd" not in names
        detected = _one_of({*names, "vhd"} if fixed else names, fixed=fixed)
        for candidate in found:
            if (over or candidate.inspector.complete) and not (candidate.name == "gpt" and self._declared in _PARTS):
                candidate.require_safe()
        if self._bare and self._rules.require_match and not self._matches(detected):
            if self._declared == "vhd" and fault is not None:
                raise ContentUnsafe("vhd", f"{fault}; the file is cut off or damaged")
            remedy = remedies.after_mismatch(self._declared, detected, self._head, self._rules.disk_formats)
            raise ContentMismatch(self._declared, detected, remedy)
        return detected

    def _matches(self, detected: str) -> bool:
        if self._declared in (detected, "raw"):
            return True
        return detected in _UNSIGNED and format_inspector.get_inspector(self._declared) is None

    def _virtual_size(self, detected: str, found: list[_Candidate]) -> int | None:
        if not self._bare:
            return None
        if detected in _UNSIGNED or self._declared == "raw":
            return self._size
        for candidate in found:
            if candidate.name == detected:
                return candidate.virtual_size(self._size)
        return self._size - FOOTER  # a fixed VHD


class _Candidate:
    """A format that the stream may be of. What its parser trips over stays in here."""

    def __init__(self, inspector: FileInspector) -> None:
        self.inspector = inspector
        self.name = str(inspector)
        self._broken = False

    @property
    def matches(self) -> bool:
        """Whether the stream has the signature of the format."""
        return self.inspector.format_match

    def feed(self, part: memoryview | bytes) -> None:
        """Show it the next bytes."""
        # A VMDK's text is looked at in one go.
        parts = [part] if self.name == "vmdk" else slices(part)  # type: ignore[arg-type]  # any buffer will do
        try:
            for each in parts:
                self.inspector.eat_chunk(each)  # type: ignore[arg-type]  # a view does as well
        except Exception:  # noqa: BLE001 - the library lets whatever its parsers trip over escape
            self._broken = True

    def wants_more(self, size: int) -> bool:
        """Whether bytes in the middle of the stream, of which it saw ``size``, can change what it says."""
        if self._broken or (size >= HEAD and self.name != "iso" and not self.matches):
            return False
        regions = (self.inspector.region(name) for name in self.inspector.context_info)
        return not all(region.complete or isinstance(region, EndCaptureRegion) for region in regions)

    def require_safe(self) -> None:
        """Raise ``ContentUnsafe`` when the format's check fails."""
        try:
            self.inspector.safety_check()
        except format_inspector.SafetyCheckFailed as error:
            advice: dict[str, list[str]] = {}
            for check, failure in sorted(error.failures.items()):
                advice.setdefault(remedies.after_check(self.inspector, check), []).append(f"{check}: {failure}")
            reason = "; ".join(f"{', '.join(failures)}; {remedy}" for remedy, failures in advice.items())
            raise ContentUnsafe(self.name, reason) from error
        except Exception as error:  # see feed
            raise ContentUnsafe(self.name, f"it cannot be read to its end; {remedies.DAMAGED}") from error
        size = self.virtual_size(0) or 0
        if size > _LARGEST_DISK:
            raise ContentUnsafe(self.name, f"it tells of a disk of {size} bytes; {remedies.DAMAGED}")

    def virtual_size(self, file_size: int) -> int | None:
        """Return the size of the disk in bytes; None when the format does not tell."""
        try:
            if isinstance(self.inspector, format_inspector.LUKSInspector):  # the disk is what follows its header
                return max(file_size - self.inspector.header_items["payload_offset"] * 512, 0) or None
            return self.inspector.virtual_size or None
        except Exception:  # noqa: BLE001 - a size that cannot be read is not known
            return None


def _one_of(names: set[str], *, fixed: bool) -> str:
    """Return the one format that these are signs of.

    Args:
        fixed: The one named vhd is known by its end.

    Raises:
        ContentAmbiguous: They are signs of several.
    """
    if names == _HYBRID:
        return "iso"
    if fixed and names == _FIXED_VHD:
        return "vhd"
    if len(names) > 1:
        raise ContentAmbiguous(names)
    return next(iter(names), "raw")
