"""Verify documents that others signed: clear-signed texts (``.sjson``) and detached signatures (``.json.gpg``).

A document is verified in the form that our own parser gives it, and what the library says was signed must be the text
that we return: two parsers that disagree can not be played against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import pysequoia
from pysequoia import Cert, Sig
from pysequoia.packet import Packet, PacketPile, Tag

from headwater.errors import WrongContent
from headwater.streams.signing import clearsign
from headwater.streams.signing.certificates import (
    KeyProblem,
    Why,
    end_of_key,
    expiry_warning,
    key_problem,
    keys_of,
    named,
    owner,
    tag_of,
    tried,
)
from headwater.streams.signing.old_keys import old_key

_Key = tuple[str, str]  # fingerprints of a certificate, and of the key in it that signed
_WEAK: Final = ("MD5", "SHA1", "RipeMD")
_CURES: Final = {
    Why.UNKNOWN: "if that is the key of its publisher, name a keyring that holds it",
    Why.EXPIRED: "get the key anew from its publisher, who may have renewed it, or have the document signed again",
    Why.REVOKED: "have the document signed with another key, and do not believe it before",
    Why.BAD: "read it from its origin, and do not believe it if that says the same",
}


class BadSignature(WrongContent):
    """The document is signed, and none of the certificates vouches for it now."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        self.why = problem.why if isinstance(problem, KeyProblem) else Why.BAD
        super().__init__(f"the signature is not good: {problem}; {_CURES[self.why]}")


@dataclass(frozen=True, slots=True)
class SignedBy:
    """One good signature."""

    fingerprint: str  # of the certificate, upper-case hex as gpg prints it
    key: str  # of the key in it that signed, which may be a subkey
    owner: str | None  # the first name on the certificate
    expires_at: datetime | None  # from when on the key does not count any more; None: never


@dataclass(frozen=True, slots=True)
class Verified:
    """A text that known keys signed."""

    text: bytes
    signed_by: tuple[SignedBy, ...]  # at least one
    warnings: tuple[str, ...]  # what readers may take offence at, or soon will
    signatures: int = 1  # how many there are, also by keys that nobody here knows
    ending: tuple[str, ...] = ()  # those of the warnings that are of keys that end soon


def verify(signed: bytes, trusted: Sequence[Cert], now: datetime) -> bytes:
    """Return the text of a clear-signed document that one of ``trusted`` signed; see ``verified``."""
    return verified(signed, trusted, now).text


def verified(signed: bytes, trusted: Sequence[Cert], now: datetime) -> Verified:
    """Return what a clear-signed document says, and which of ``trusted`` signed it.

    Args:
        now: The time at which the key must be in force.

    Raises:
        NotClearSigned: The document breaks the rules of the format.
        BadSignature: It was changed, somebody else signed it, its header names another hash than the signature uses,
            or the key or the signature has expired or is revoked.
    """
    parts = clearsign.parse(signed)
    packets = _packets(parts.signature)
    unnamed = {name for packet in packets if (name := _hash_name(packet)) not in parts.hashes}
    if unnamed:
        raise BadSignature(f"the header names {', '.join(parts.hashes)}, and the signature uses {unnamed.pop()}")
    return _judged(parts.text, packets, _signed(parts, trusted), trusted, now)


def verified_detached(text: bytes, signature: bytes, trusted: Sequence[Cert], now: datetime) -> Verified:
    """Return ``text``, and which of ``trusted`` made the detached ``signature``, armored or binary.

    Raises:
        BadSignature: As ``verified`` says, or ``signature`` is none.
    """
    packets = _packets(signature)
    keys = []
    for packet in packets:
        try:
            one = Sig.from_bytes(bytes(packet))
            found = pysequoia.verify(text, lambda _ids: list(trusted), signature=one)
        except RuntimeError:
            continue  # of several signatures some may be broken, or by keys that nobody here knows
        keys += [(each.certificate, each.signing_key) for each in found.valid_sigs]
    return _judged(text, packets, keys, trusted, now)


def _signed(parts: clearsign.ClearSigned, trusted: Sequence[Cert]) -> list[_Key]:
    """Return the keys of which the library says that they signed a clear-signed text."""
    try:
        found = pysequoia.verify(parts.to_bytes(), lambda _ids: list(trusted))
    except RuntimeError:
        return []
    if found.bytes != parts.text:
        raise BadSignature("what is signed is not the text that a reader would see")
    return [(each.certificate, each.signing_key) for each in found.valid_sigs]


def _judged(
    text: bytes, packets: Sequence[Packet], keys: Iterable[_Key], trusted: Sequence[Cert], now: datetime
) -> Verified:
    good: list[SignedBy] = []
    problems: list[KeyProblem] = []
    signed = [
        (_signed_by(certificate, key), key_problem(certificate, key, now) or _signature_problem(packets, key, now))
        for fingerprint, key in keys
        if (certificate := named(trusted, fingerprint)) is not None
    ]
    taken = {by.fingerprint for by, _ in signed}
    signed += [each for each in _by_old_keys(text, packets, trusted, now) if each[0].fingerprint not in taken]
    for by, problem in signed:
        if problem is None:
            good.append(by)
        else:
            problems.append(problem)
    if not good:
        raise BadSignature(next(iter(problems), None) or _why_not(packets, trusted, now))
    said = (expiry_warning(each.key, each.expires_at, now) for each in good)
    ending = tuple(each for each in said if each)
    warnings = list(ending)
    if len(packets) > len(good):
        warnings.append(
            f"it has {len(packets)} signatures, of which {len(good)} are by known keys that are in force; "
            "gpgv and the simplestreams tools refuse it to readers who do not hold every key"
        )
    return Verified(text, tuple(good), tuple(warnings), len(packets), ending)


def _signed_by(certificate: Cert, key: str) -> SignedBy:
    return SignedBy(certificate.fingerprint.upper(), key.upper(), owner(certificate), end_of_key(certificate, key))


def _by_old_keys(
    text: bytes, packets: Sequence[Packet], trusted: Sequence[Cert], now: datetime
) -> Iterator[tuple[SignedBy, KeyProblem | None]]:
    keys = [key for certificate in trusted if (key := old_key(certificate)) is not None]
    for packet in packets:
        for key in keys:
            if key.signed(text, packet):
                fingerprint = key.fingerprint.upper()
                by = SignedBy(fingerprint, fingerprint, key.owner, key.expires_at)
                yield by, key.problem(now) or _signature_problem([packet], key.fingerprint, now)


def _why_not(packets: Sequence[Packet], trusted: Sequence[Cert], now: datetime) -> KeyProblem:
    """Guess from what the signatures say of themselves why no key vouches for the text."""
    unknown = []
    for packet in packets:
        issuer = packet.issuer_fingerprint or packet.issuer_key_id or "that is not named"
        holder = next((each for each in trusted if any(key in (issuer, issuer[-16:]) for key in keys_of(each))), None)
        if holder is None:
            unknown.append(issuer.upper())
            continue
        if _hash_name(packet) in _WEAK:
            return KeyProblem(f"it uses {_hash_name(packet)}, which proves nothing any more", Why.BAD)
        if holder.is_revoked:
            return KeyProblem(f"the key {holder.fingerprint.upper()} is revoked", Why.REVOKED)
        changed = KeyProblem("the text was changed after it was signed", Why.BAD)
        return _signature_problem([packet], issuer, now) or changed
    return KeyProblem(f"none of the known keys signed it; it is by the key {', '.join(unknown)}", Why.UNKNOWN)


def _signature_problem(packets: Iterable[Packet], key: str, now: datetime) -> KeyProblem | None:
    for packet in packets:
        end = packet.signature_expiration_time
        if (
            (packet.issuer_fingerprint or packet.issuer_key_id or "") in (key, key[-16:])
            and end is not None
            and end <= now
        ):
            return KeyProblem(f"the signature by the key {key.upper()} expired on {end:%Y-%m-%d}", Why.EXPIRED)
    return None


def _packets(signature: bytes) -> list[Packet]:
    pile = tried(lambda: PacketPile.from_bytes(signature), lambda _: BadSignature("it is no OpenPGP signature"))
    packets = list(pile)
    if not packets or any(tag_of(packet) != Tag.Signature for packet in packets):
        raise BadSignature("it is no OpenPGP signature, or more than signatures")
    for packet in packets:
        tried(partial(_hash_name, packet), lambda _: BadSignature("it is made with a hash that is not known here"))
    return packets


def _hash_name(packet: Packet) -> str:
    """Return the hash of a signature as headers name it: ``SHA512``."""
    return str(packet.hash_algorithm).rpartition(".")[2].replace("SHA3_", "SHA3-")
