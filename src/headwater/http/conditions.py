"""Conditional requests and ranges: whether a client gets a representation, nothing new, or a part of it.

Source: RFC 9110, sections 13 and 14. What it says to ignore is ignored: dates that are none, ranges in units that
are not known, a range whose ``If-Range`` names another representation. Entity tags made here are strong, but for
documents of instance metadata that hold something new on each read.

werkzeug reads the headers; what it does not tell apart is decided here: a malformed range (416) from none, a suffix
longer than the whole, a number of more digits than can be computed with.
"""

from __future__ import annotations

import re
from functools import lru_cache

from starlette.datastructures import Headers
from werkzeug.http import parse_accept_header, parse_content_range_header, parse_date, parse_etags, parse_range_header

from headwater.errors import Invalid, PreconditionFailed, RangeNotSatisfiable
from headwater.http.values import whole

_NUMBER = re.compile(r"[0-9]+")


class SeveralRanges(Invalid):
    """More than one range in one request."""

    def __init__(self) -> None:
        super().__init__("Multiple ranges are not supported: ask for one range in each request")


class NotAsExpected(PreconditionFailed):
    """The representation is not the one that the request is about."""

    def __init__(self, header: str) -> None:
        super().__init__(f"It is not, or no longer, what {header} of the request expects: ask again without it")
        self.header = header


def is_held(headers: Headers, etag: str | None, modified_at: float | None = None) -> bool:
    """Return whether the client has the representation already, so that 304 is the answer to a GET or HEAD.

    Args:
        etag: The entity tag, in its quotes; ``None``: there is none.
        modified_at: When it last changed, in seconds since 1970; ``None``: that is not told.

    Raises:
        NotAsExpected: The client wants it only as it was, and it is not so.
    """
    if "if-match" in headers:
        if not _names(headers, "if-match", etag, weakly=False):
            raise NotAsExpected("If-Match")
    elif modified_at is not None:
        before = _seconds(headers.get("if-unmodified-since"))
        if before is not None and before < int(modified_at):
            raise NotAsExpected("If-Unmodified-Since")
    if "if-none-match" in headers:
        return _names(headers, "if-none-match", etag, weakly=True)
    since = _seconds(headers.get("if-modified-since"))
    return modified_at is not None and since is not None and since >= modified_at


def require_as_expected(headers: Headers, etag: str | None, *, is_there: bool = True) -> None:
    """Return when a request that changes something may do so, by what it expects to be there.

    Args:
        etag: As of ``is_held``.
        is_there: Whether there is a representation at all.

    Raises:
        NotAsExpected: There is something else.
    """
    if not is_there:
        if "if-match" in headers:
            raise NotAsExpected("If-Match")
    elif is_held(headers, etag):
        raise NotAsExpected("If-None-Match")


def wanted_range(headers: Headers, size: int, etag: str | None) -> range | None:
    """Return the bytes that a GET asks for; ``None`` when all are.

    Args:
        size: Of the whole representation, in bytes.
        etag: Its entity tag, in its quotes; ``None``: there is none.

    Raises:
        SeveralRanges: There is more than one range.
        RangeNotSatisfiable: It is malformed, or begins after the end.
    """
    condition = headers.get("if-range")
    # One strong tag, compared strongly: so it is this tag, letter by letter. A date is compared with nothing.
    if condition is not None and condition.strip() != etag:
        return None
    if "range" not in headers:
        legacy = headers.get("content-range")
        return None if legacy is None else _legacy(legacy, size)
    given = ",".join(headers.getlist("range"))
    unit, _, ranges = given.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    specs = [spec for each in ranges.split(",") if (spec := each.strip())]
    if len(specs) > 1:
        raise SeveralRanges
    parsed = parse_range_header(f"bytes={_clipped(specs[0])}") if specs else None
    if parsed is None:
        form = f"is not of the form bytes=FIRST-LAST, within the {size} bytes that there are"
        raise RangeNotSatisfiable(f"The range {given[:80]!r} {form}", size)
    first, stop = parsed.ranges[0]
    if first < 0:
        first = max(0, size + first)
    return _within(range(first, size if stop is None else min(stop, size)), size, given)


def takes_gzip(headers: Headers) -> bool:
    """Return whether the client takes gzip, and the plain form no more than that (RFC 9110, section 12.5.3)."""
    return _takes_gzip(",".join(headers.getlist("accept-encoding")))


@lru_cache(256)
def _takes_gzip(given: str) -> bool:
    weights = {coding.lower(): weight for coding, weight in reversed(list(parse_accept_header(given)))}
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0)))
    # Without a word on it the plain form is taken too, but less than what is asked for.
    return gzip > 0 and gzip >= weights.get("identity", 0)


def _legacy(given: str, size: int) -> range:
    # Source: clients of the Image API v2.0 ask for a range with this header.
    parsed = parse_content_range_header(" ".join(_clipped(given).split()))
    if parsed is None or (parsed.units or "").lower() != "bytes" or parsed.start is None or parsed.stop is None:
        raise RangeNotSatisfiable(f"Content-Range {given[:80]!r} is not of the form bytes FIRST-LAST/SIZE", size)
    if parsed.length is not None and parsed.stop > parsed.length:
        # Source: RFC 9110, section 14.4: the last byte is before the end of what the header says is there.
        raise RangeNotSatisfiable(f"Content-Range {given[:80]!r} ends after the size that it names", size)
    return _within(range(parsed.start, min(parsed.stop, size)), size, given)


def _clipped(text: str) -> str:
    """Return ``text`` with each number in it at most the largest that is of any use."""
    return _NUMBER.sub(lambda digits: str(whole(digits[0])), text)


def _within(wanted: range, size: int, given: str) -> range:
    if not wanted:
        raise RangeNotSatisfiable(f"The range {given[:80]!r} is outside the {size} bytes that there are", size)
    return wanted


def _names(headers: Headers, name: str, etag: str | None, *, weakly: bool) -> bool:
    """Return whether a list of entity tags has this one; weakly: whatever ``W/`` stands before it."""
    given = ",".join(headers.getlist(name)).strip()
    if etag is not None and etag.startswith("W/"):
        if not weakly:  # Source: RFC 9110, section 8.8.3.2: such a tag is never strongly the same
            return parse_etags(given).star_tag
        etag = etag.removeprefix("W/")
    if given == etag:  # as nearly all say it
        return True
    tags = parse_etags(given)
    if tags.star_tag:
        return True
    if etag is None or etag not in given:  # werkzeug reads what stands without quotes as a tag too
        return False
    tag = etag[1:-1]
    return tags.contains_weak(tag) if weakly else tags.contains(tag)


def _seconds(date: str | None) -> float | None:
    """Return an HTTP date as seconds since 1970; ``None`` for none and for what is no date, which counts as absent."""
    try:
        moment = parse_date(date)
        return None if moment is None else moment.timestamp()
    except OverflowError:  # an offset of more digits than a day has
        return None
