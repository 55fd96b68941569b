"""What a guest took, by what cloud-init says on its console.

It is the guest's own word: an image that wants to can say anything.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Of terminals: a guest must not write to ours.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_FINISHED = re.compile(r"Cloud-init v\. (\S+) finished at .*?Datasource (DataSource\w+)(?: \[seed=([^\]]*)\])?")
_STARTED = re.compile(r"Cloud-init v\. (\S+) running ")
_TROUBLE = re.compile(r"\b\w+\.py\[(?:WARNING|ERROR|CRITICAL)\]: .*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guest took: ``taken`` when cloud-init ended with our medium and without trouble."""

    taken: bool
    summary: str
    troubles: tuple[str, ...] = ()


def plain(text: str) -> str:
    """Return the text without what a terminal would act on."""
    return "".join(each for each in _SEQUENCE.sub("", text) if each.isprintable() or each in "\n\t")


def verdict(console: str) -> Verdict:
    """Judge what a guest wrote to its console, which ``plain`` went over."""
    troubles = tuple(dict.fromkeys(_TROUBLE.findall(console)))
    finished = list(_FINISHED.finditer(console))
    if finished:
        version, source, seed = finished[-1].groups()
        if source != "DataSourceNoCloud" or not (seed or "").startswith("/dev/"):
            told = f"cloud-init {version} finished, but with {source}: it did not read its medium"
            return Verdict(taken=False, summary=told, troubles=troubles)
        if troubles:
            told = f"cloud-init {version} read its medium ({seed}), and had trouble with what is on it"
            return Verdict(taken=False, summary=told, troubles=troubles)
        return Verdict(
            taken=True, summary=f"cloud-init {version} read its medium ({seed}) and finished without trouble"
        )
    if started := _STARTED.search(console):
        told = f"cloud-init {started[1]} began, and did not finish before the machine ended"
        return Verdict(taken=False, summary=told, troubles=troubles)
    told = "no cloud-init showed on the serial console: it is not in the image, found no medium, or writes elsewhere"
    return Verdict(taken=False, summary=told)


def signs(console: str, hostname: str, keys: Sequence[str]) -> dict[str, bool]:
    """Return whether the console shows that the guest took its host name, and each SSH key.

    What does not show may have been taken all the same: an image may have no login on its serial console, or list no
    keys there.

    Args:
        keys: As ``--ssh-key`` gives them: one or more lines each.
    """
    name = re.escape(hostname)
    named = re.search(rf"^{name}(?:\.\S+)? login:|\broot@{name}(?:\s|$)", console, re.MULTILINE) is not None
    found = {f"host name {hostname}": named}
    for line in (line for key in keys for line in key.splitlines()):
        words = line.split()
        for place, word in enumerate(words):
            if word.startswith("AAAA"):
                comment = " ".join(words[place + 1 :]) or words[place - 1]
                found[f"SSH key {comment}"] = any(each in console for each in _fingerprints(word))
    return found


def _fingerprints(key: str) -> Iterator[str]:
    """Yield those of a public key in the forms in which releases of cloud-init list them."""
    try:
        data = base64.b64decode(key, validate=True)
    except ValueError:
        return
    for algorithm in ("sha256", "md5"):
        yield hashlib.new(algorithm, data, usedforsecurity=False).digest().hex(":")
