"""What commands on feeds have in common: how the tree is named and reached, and who signs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from headwater.cli.option_groups import taking
from headwater.errors import SettingsError
from headwater.streams.trees.opening import Access, opened
from headwater.streams.trees.tree import Tree

if TYPE_CHECKING:
    from headwater.streams.signing.feeds.signers import Keyrings, SignsDocuments

PASSWORD = "HEADWATER_SIGNING_KEY_PASSWORD"  # noqa: S105  # the name of a variable
AUTHORIZATION = "HEADWATER_TREE_AUTHORIZATION"

TreeName = Annotated[
    str,
    typer.Argument(metavar="TREE", help="A directory, http(s)://…, s3://BUCKET/PREFIX or swift://CONTAINER/PREFIX."),
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key", "-k", metavar="FILE", help=f"OpenPGP secret key that signs all documents; its password: ${PASSWORD}."
    ),
]
Grace = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="How long a file stays that nothing names any more; clients keep an index for an hour.",
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--cafile", metavar="FILE", exists=True, dir_okay=False, help="Certificates (PEM) that prove servers."
    ),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Take any certificate of a web server.")]


@contextmanager
def tree_of(name: str, *, cafile: Path | None = None, insecure: bool = False) -> Iterator[Tree]:
    """Open the tree that was named; what proves who reads a web server is ``$HEADWATER_TREE_AUTHORIZATION``."""
    access = Access(cafile=cafile, verify=not insecure, authorization=os.environ.get(AUTHORIZATION))
    tree = opened(name, access)
    try:
        yield tree
    finally:
        tree.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOptions:
    """How the key that signs was named, and what readers have."""

    key: Key = None
    keyring: Annotated[
        Path | None, typer.Option("--keyring", metavar="FILE", help="Secret keys, of which --fingerprint names one.")
    ] = None
    fingerprint: Annotated[str | None, typer.Option(help="Of the key that signs; its last 16 digits are enough.")] = (
        None
    )
    gpg_key: Annotated[
        str | None, typer.Option("--gpg-key", metavar="FINGERPRINT", help="A key that gpg and its agent hold.")
    ] = None
    passphrase: Annotated[
        str | None,
        typer.Option("-p", metavar="PASSPHRASE", help=f"Of the key. Others see it; ${PASSWORD} they do not."),
    ] = None
    also_key: Annotated[
        list[Path] | None,
        typer.Option("--also-key", metavar="FILE", help="Sign with this secret key too; gpgv then wants both known."),
    ] = None
    old_keyring: Annotated[
        list[Path] | None,
        typer.Option("--old-keyring", metavar="FILE", help="What readers have. It has to vouch for all of it."),
    ] = None
    new_keyring: Annotated[
        list[Path] | None,
        typer.Option("--new-keyring", metavar="FILE", help="What readers will have. It has to, too."),
    ] = None

    def signer(self) -> SignsDocuments | None:
        """Load the key; ``None``: none was named."""
        named = [each for each in (self.key, self.keyring, self.gpg_key) if each is not None]
        if not named:
            if self.fingerprint or self.passphrase or self.also_key or self.old_keyring or self.new_keyring:
                raise SettingsError("name the key that signs as well: --key, --keyring or --gpg-key")
            return None
        if len(named) > 1:
            raise SettingsError("name one key, by --key, --keyring or --gpg-key")
        if self.gpg_key is not None:
            if self.fingerprint or self.passphrase:
                raise SettingsError("--gpg-key names the key, and gpg's agent asks for its password")
            from headwater.streams.signing.gpg import GpgSigner  # noqa: PLC0415 - who only reads does without

            return GpgSigner(self.gpg_key)
        from pydantic import SecretStr  # noqa: PLC0415 - as above

        from headwater.streams.signing.signer import Signer  # noqa: PLC0415 - as above

        password = self.passphrase or os.environ.get(PASSWORD)
        secret = SecretStr(password) if password else None
        return Signer.load(self.key or self.keyring or Path(), secret, fingerprint=self.fingerprint)

    def also(self, first: SignsDocuments) -> Iterator[SignsDocuments]:
        """Load the keys that sign beside the first; the password of all of them is the one in the environment."""
        from pydantic import SecretStr  # noqa: PLC0415 - who only reads does without

        from headwater.streams.signing.signer import Signer  # noqa: PLC0415 - as above

        password = os.environ.get(PASSWORD)
        secret = SecretStr(password) if password else None
        known = {first.fingerprint}
        for file in self.also_key or ():
            signer = Signer.load(file, secret)
            yield signer
            if signer.fingerprint in known:
                raise SettingsError(f"{file} holds {signer.fingerprint}, which signs already; name another --also-key")
            known.add(signer.fingerprint)

    def keyrings(self) -> Keyrings:
        """Read what readers have and will have, by the name of the file."""
        from headwater.streams.signing.certificates import certificates  # noqa: PLC0415 - as above

        return {str(file): certificates(file) for file in (*(self.old_keyring or ()), *(self.new_keyring or ()))}


signing_command = taking(KeyOptions, "keys")


class Signing(TypedDict):
    """Who signs a feed that is changed, as ``writing.feed.edit`` takes it."""

    signer: SignsDocuments | None
    also: Sequence[SignsDocuments]
    keyrings: Keyrings


@contextmanager
def signing(options: KeyOptions) -> Iterator[Signing]:
    """Load the keys that sign, if one was named, and say in time that they end."""
    signer = options.signer()
    if signer is None:
        yield {"signer": None, "also": (), "keyrings": {}}
        return
    with ExitStack() as open_keys:
        open_keys.enter_context(closing(signer))
        also = [open_keys.enter_context(closing(each)) for each in options.also(signer)]
        from headwater.streams.signing.certificates import expiry_warning  # noqa: PLC0415 - who only reads does without

        for each in (signer, *also):
            warning = expiry_warning(each.fingerprint, each.expires_at, datetime.now(UTC))
            if warning:
                typer.echo(f"headwater: warning: {warning}", err=True)
        yield {"signer": signer, "also": also, "keyrings": options.keyrings()}


@contextmanager
def signer_of(key: Path | None) -> Iterator[SignsDocuments | None]:
    """Load the key that signs, if one was named, for a command that takes keys in files only."""
    with signing(KeyOptions(key=key)) as signs:
        yield signs["signer"]
