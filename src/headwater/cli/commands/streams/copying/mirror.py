"""``headwater streams mirror``: a feed copied from one tree into another, again and again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from headwater.cli import exits, output
from headwater.cli.commands.streams.options import PASSWORD, CaFile, Insecure, KeyOptions, signing, tree_of
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.streams.mirroring import verify as verifying
from headwater.streams.mirroring.mirror import mirror as mirrored
from headwater.streams.mirroring.report import Report
from headwater.streams.mirroring.wanted import GRACE_S, Wanted
from headwater.streams.publishing.done import Done
from headwater.streams.query.filters import parse_filters
from headwater.streams.query.reading import split_name

_RATE: Final = re.compile(r"([0-9]{1,15})([KMG]?)")
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_LEAST_RATE: Final = 64 << 10  # bytes a second; a server that is slower than a hundredth of it is given up


def mirror(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A directory, http(s)://…, s3://BUCKET/PREFIX or swift://CONTAINER/PREFIX, or an index in one.",
        ),
    ],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A directory, s3://… or swift://…")],
    filters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILTER]...", help="As for query: KEY=TEXT, KEY~REGEX, KEY>=TEXT…; all have to pass."),
    ] = None,
    *,
    most: Annotated[
        int | None, typer.Option("--max", min=1, metavar="N", help="Only the newest N versions of each product.")
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            min=1,
            metavar="N",
            help="What the source no longer has stays while it is among the newest N versions of its product.",
        ),
    ] = None,
    metadata_only: Annotated[
        bool, typer.Option("--metadata-only", help="Copy the documents, and not the files that they name.")
    ] = False,
    unhashed: Annotated[
        bool, typer.Option("--unhashed", help="Also fetch files of which the feed tells no hash.")
    ] = False,
    grace: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="HOURS",
            help="How long a file stays that nothing names any more; clients keep an index for one.",
        ),
    ] = GRACE_S / 3600,
    keyring: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="OpenPGP keys of which one has to have signed each document; again for more."
        ),
    ] = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", "-U", help="Do not look at signatures.")] = False,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", "-k", metavar="FILE", help=f"Secret key that signs the target; its password: ${PASSWORD}."
        ),
    ] = None,
    fingerprint: Annotated[
        str | None, typer.Option(help="Of the key, if --key holds several; its last 16 digits are enough.")
    ] = None,
    gpg_key: Annotated[
        str | None, typer.Option("--gpg-key", metavar="FINGERPRINT", help="A key that gpg and its agent hold.")
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Only read all files of TARGET, and say which are not what it says of them."),
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Read all files that are there, and fetch those anew that are wrong.")
    ] = False,
    rate: Annotated[
        str | None, typer.Option(metavar="BYTES", help="Fetch at most so much a second, such as 500K or 20M.")
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="How many files at once.")] = 8,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over a feed in TARGET that is no mirror of SOURCE.")
    ] = False,
    allow_older: Annotated[
        bool, typer.Option("--allow-older", help="Take documents that are older than those that were copied before.")
    ] = False,
    public: Annotated[bool, typer.Option("--public", help="Let everybody read the target.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    cafile: CaFile = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Copy a feed, whole or what passes filters, so that the target is whole for its readers at every moment.

    Exit code 1: something is missing or wrong in the target, and a later run may bring it.
    """
    if keyring and no_verify:
        raise SettingsError("--keyring and --no-verify: choose one of them")
    if verify and (repair or dry_run):
        raise SettingsError(f"--verify and {'--repair' if repair else '--dry-run'}: choose one of them")
    if metadata_only and repair:
        raise SettingsError("--metadata-only and --repair: choose one of them")
    wanted = Wanted(
        filters=parse_filters(filters or ()),
        most_versions=most,
        keep=keep,
        metadata_only=metadata_only,
        unhashed=unhashed,
        grace_s=grace * 3600,
        hashes_all=repair,
        replace=replace,
        allow_older=allow_older,
        public=public,
        parallel=parallel,
        bytes_per_s=_rate(rate),
        dry_run=dry_run,
        start=(root_and_start := split_name(source))[1],
    )
    if verify:
        with tree_of(target, cafile=cafile, insecure=insecure) as tree:
            _say_verified(verifying.verify(tree, parallel, output.progress), as_json=as_json)
        return
    trusted = None
    if keyring:
        from headwater.streams.signing.certificates import certificates  # noqa: PLC0415 - OpenPGP is long to load

        trusted = [certificate for file in keyring for certificate in certificates(file)]
    with (
        tree_of(root_and_start[0], cafile=cafile, insecure=insecure) as here,
        tree_of(target, cafile=cafile, insecure=insecure) as there,
        signing(KeyOptions(key=key, fingerprint=fingerprint, gpg_key=gpg_key)) as signs,
    ):
        report = mirrored(
            here, there, wanted, trusted=trusted, verifies=not no_verify, signer=signs["signer"], shown=output.progress
        )
    if as_json:
        output.say_json(report.to_dict())
    else:
        _say(report)
    raise typer.Exit(exits.DONE if report.is_good else exits.FAILED)


def _rate(text: str | None) -> int | None:
    if text is None:
        return None
    found = _RATE.fullmatch(text.strip().upper().removesuffix("B").removesuffix("I"))
    rate = int(found[1]) * _UNITS[found[2]] if found else 0
    if rate < _LEAST_RATE:
        raise SettingsError(f"--rate {text}: give bytes a second, at least 64K, such as 500K, 20M or 1G")
    return rate


def _say(report: Report) -> None:
    for warning in report.warnings:
        output.say_error(f"headwater: warning: {warning}")
    for bad in report.bad:
        output.say_error(f"headwater: {bad.problem}")
    for product, version in report.left_out:
        output.say(f"left out {product}, version {version}: not all of its files came")
    would = "would be " if report.dry_run else ""
    for path, done in report.documents.items():
        if done is not Done.SAME:
            output.say(f"{would}{done} {path}")
    for path in report.removed:
        output.say(f"{would}removed {path}, as nothing has named it for long")
    size = f"{report.fetched_bytes / (1 << 20):.1f} MiB"
    parts = [
        f"{len(report.fetched)} files ({size}) {would}fetched",
        f"{report.same} were there",
        *([f"{len(report.repaired)} of the fetched were wrong"] if report.repaired else []),
        *([f"{report.not_fetched} are named and were not asked for"] if report.not_fetched else []),
        *([f"{len(report.removed)} {would}removed"] if report.removed else []),
        *([f"{report.waiting} wait to be removed"] if report.waiting else []),
        *([f"{len(report.bad)} did not come"] if report.bad else []),
    ]
    if not report.published:
        parts.append("its documents stay as they were")
    output.say(f"{report.target}: {', '.join(parts)}")


def _say_verified(found: verifying.Verified, *, as_json: bool) -> None:
    if as_json:
        output.say_json(found.to_dict())
    else:
        for path, problem in found.problems():
            output.say(f"BAD {path}: {problem}")
        bad = len(found.broken) + len(found.bad)
        output.say(
            f"{found.place}: {found.documents} documents and {found.files} files were read, "
            f"{f'{bad} are not right' if bad else 'all are right'}"
        )
    raise typer.Exit(exits.DONE if found.is_good else exits.FAILED)
