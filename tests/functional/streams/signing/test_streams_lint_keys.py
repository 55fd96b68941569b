"""What our check says of a signature is what gpgv and sstream-query do with it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from functional.streams.gnupg import LONG_AGO, GnuPG
from headwater.cli.main import app
from needs import simplestreams_tool
from unit.streams.lint.feeds import INDEX, PRODUCTS, image_ids, written

KINDS = ["good", "unknown", "expired", "revoked", "two keys", "changed"]
TAKEN = {"good": set[str](), "expired": {"signature-expired"}, "revoked": {"signature-revoked-key"}}
REFUSED = {"unknown": "signature-unknown-key", "two keys": "signature-not-all-known", "changed": "signature-bad"}


@pytest.fixture(scope="module")
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnuPG]:
    made = GnuPG(tmp_path_factory.mktemp("gnupg"))
    for name in ("good", "other", "revoked"):
        made.make_key(name, "rsa3072")
    made.make_key("expired", "rsa3072", options=LONG_AGO)
    yield made
    made.attempt("gpgconf", "--kill", "gpg-agent")


def signed(gnupg: GnuPG, root: Path, kind: str) -> Path:
    """Write a feed that is signed in one way, and return the keyring of its readers."""
    options: dict[str, tuple[str, ...]] = {"expired": LONG_AGO, "two keys": ("--local-user", "<other@example.test>")}
    name = {"unknown": "other", "two keys": "good", "changed": "good"}.get(kind, kind)
    tree = written(root, image_ids())
    for path in (PRODUCTS, INDEX):
        text = tree.read(path).body.replace(PRODUCTS.encode(), PRODUCTS.replace(".json", ".sjson").encode())
        body = gnupg.clearsign(name, text, options.get(kind, ()))
        tree.write(path.replace(".json", ".sjson"), body.replace(b"24.04", b"26.04") if kind == "changed" else body)
    if kind == "revoked":
        [listed] = [line for line in gnupg.gpg("--with-colons", "--list-keys", f"<{name}@example.test>").decode()
                    .splitlines() if line.startswith("fpr:")][:1]  # fmt: skip
        kept = gnupg.home / "openpgp-revocs.d" / f"{listed.split(':')[9]}.rev"
        revocation = root / "revocation"
        revocation.write_text(kept.read_text().replace(":-----BEGIN", "-----BEGIN"))
        gnupg.gpg("--import", str(revocation))
    return gnupg.keyring("good" if kind in REFUSED else kind)


@pytest.mark.parametrize("kind", KINDS)
def test_our_check_says_what_the_tools_do(gnupg: GnuPG, tmp_path: Path, kind: str) -> None:
    keyring = signed(gnupg, tmp_path, kind)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command: list[str | Path] = [simplestreams_tool("sstream-query"), "--keyring", keyring, "--json"]
    done = subprocess.run(
        [*command, tmp_path / "streams/v1/index.sjson"], capture_output=True, check=False, timeout=60, env=environment
    )
    assert (done.returncode == 0) == (kind in TAKEN), done.stderr
    words = ["streams", "lint", str(tmp_path), "--keyring", str(keyring), "--consumer", "sstream", "--json"]
    told = json.loads(CliRunner().invoke(app, words).stdout)
    [verdict] = told["consumers"]
    rules = {each["rule"] for each in told["findings"] if each["rule"].startswith("signature-")}
    if kind in TAKEN:
        assert (verdict["images_seen"], rules) == (1, TAKEN[kind])
    else:
        assert (verdict["images_seen"], REFUSED[kind] in rules) == (0, True)
