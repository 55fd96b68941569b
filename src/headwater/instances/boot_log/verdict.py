"""What a boot log means: which data source a guest crawled, whether it got all of it, and what it will do if not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from headwater.instances.boot_log.entries import Entry
from headwater.instances.boot_log.rules import AGENTS, ANYTHING, READ_SINGLE_DOCUMENTS, SOURCES, USER_DATA, Part, Source
from headwater.instances.tokens.tokens import TOKEN_PATHS

SILENCE_US = 300 * 1_000_000  # after so long without a word the next request belongs to another boot


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be said of the last boot."""

    complete: bool  # it got all that it needs, as far as can be told
    program: str | None  # which one asked, with its version where it tells
    source: str | None  # the data source that was crawled
    requests: int
    sentences: tuple[str, ...]  # the first says the most


def last_boot(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries of the last boot; they come the oldest first."""
    begun = 0
    for at in range(1, len(entries)):
        if entries[at].at - entries[at - 1].at > SILENCE_US:
            begun = at
    return list(entries[begun:])


def verdict(name: str, entries: Sequence[Entry], *, has_user_data: bool, needs_token: bool) -> Verdict:
    """Return what the last boot of an instance came to.

    Args:
        entries: All that is known, the oldest first.
        has_user_data: Whether there is any to be read.
        needs_token: Whether it reads nothing without a session token.
    """
    boot = last_boot(entries)
    asked = [entry for entry in boot if entry.report is None and "/reporting/" not in entry.document]
    if not asked:
        said = (
            f"{name} has asked for nothing: its requests do not come here (route, address, listener), "
            "or its image found no reason to ask (ds-identify, datasource_list)"
        )
        return Verdict(complete=False, program=None, source=None, requests=0, sentences=(said, *_reported(boot)))
    known, version = _program(asked)
    program = f"{known} {version}" if version else known
    source = None if known in READ_SINGLE_DOCUMENTS else _source(asked)
    found = [
        *_tokens(name, asked, needs_token=needs_token),
        *_failures(name, asked, source),
        *_missing(name, asked, source, has_user_data=has_user_data),
        *_broken(name, asked),
    ]
    complete = not found
    if complete:
        took = (asked[-1].at - asked[0].at) / 1e6
        by = f" with {program}" if program else ""
        what = f"all that it needs of {source.name}" if source is not None else "what it asked for"
        found = [f"{name} read {what}{by}: {len(asked)} requests in {took:.1f} s"]
    return Verdict(
        complete=complete,
        program=program,
        source=None if source is None else source.name,
        requests=len(asked),
        sentences=(*found, *_reported(boot)),
    )


def _program(asked: Sequence[Entry]) -> tuple[str | None, str | None]:
    """Return the name and the version of who asked, as far as they are known."""
    for pattern, name in AGENTS:
        for entry in asked:
            if match := pattern.search(entry.agent):
                return name, match[1] if pattern.groups else None
    return None, None


def _source(asked: Sequence[Entry]) -> Source | None:
    """Return the data source that was crawled: OpenStack's reads the tree of EC2 too, so it counts first."""
    return next((each for each in SOURCES if any(each.probe.match(entry.document) for entry in asked)), None)


def _answers(part: Part, asked: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in asked if part.pattern.fullmatch(entry.document) and entry.document not in TOKEN_PATHS]


def _failures(name: str, asked: Sequence[Entry], source: Source | None) -> list[str]:
    """Return what was answered with a failure and not asked for again."""
    found = []
    for part in (ANYTHING,) if source is None else source.parts:
        last = {entry.document: entry for entry in _answers(part, asked)}
        for document, entry in last.items():
            if entry.status == HTTPStatus.NOT_FOUND and part.on_absence:
                found.append(f"{name} asked for {_shown(document)} and got 404: {part.on_absence}")
            elif entry.status >= 500 or entry.status == HTTPStatus.TOO_MANY_REQUESTS:
                effect = part.on_failure or "the guest may not ask again"
                found.append(f"{name} got {entry.status} for {_shown(document)} and did not ask again: {effect}")
    return found


def _missing(name: str, asked: Sequence[Entry], source: Source | None, *, has_user_data: bool) -> list[str]:
    if source is None:
        return []
    found, read = [], []
    for part in source.parts:
        answers = _answers(part, asked)
        if any(entry.status in (200, 304) for entry in answers):
            read.append(f"{part.name} {_times(sum(entry.status in (200, 304) for entry in answers))}")
        elif part.needed and not answers:
            before = f"read {' and '.join(read)}" if read else "began"
            found.append(f"{name} {before} and never asked for {part.name} of {source.name}")
            break
    if has_user_data and not any(USER_DATA.fullmatch(entry.document) for entry in asked) and not found:
        before = f"read {' and '.join(read)}" if read else "began"
        found.append(f"{name} {before} and never its user data")
    return found


def _tokens(name: str, asked: Sequence[Entry], *, needs_token: bool) -> list[str]:
    refused = [entry for entry in asked if entry.status == HTTPStatus.UNAUTHORIZED]
    if not refused or asked[-1].status < HTTPStatus.BAD_REQUEST:
        return []
    got = any(entry.document in TOKEN_PATHS and entry.status == 200 for entry in asked)
    if not got and needs_token:
        why = "it needs a session token and never got one: its program knows none (IMDSv2), or set tokens to optional"
    else:
        why = "its session token had expired, or was of another machine"
    return [f"{name} was refused {_times(len(refused))}: {why}"]


def _broken(name: str, asked: Sequence[Entry]) -> list[str]:
    last = {entry.document: entry for entry in asked}
    return [
        f"{name} did not get all of {_shown(entry.document)}: the connection broke, or the guest did not wait for it"
        for entry in last.values()
        if not entry.complete and entry.status < HTTPStatus.BAD_REQUEST
    ]


def _reported(boot: Sequence[Entry]) -> list[str]:
    """Return what cloud-init itself says went wrong."""
    return [
        f"cloud-init reports {entry.report.result} of {entry.report.name}: {entry.report.description}"
        for entry in boot
        if entry.report is not None and entry.report.result not in (None, "SUCCESS")
    ]


def _shown(document: str) -> str:
    return "/" + document.removeprefix("ec2/") if document.startswith("ec2/") else f"/{document}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
