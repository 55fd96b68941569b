"""Commands of the operator that are told what a run has done.

A command is run as it stands, word by word, never by a shell; its standard input is empty, and it is ended when it
takes longer than ``timeout_s``. What it is told stands in its environment, each name with HEADWATER_SYNC_ before it:

    always              EVENT (image or end), SOURCE, TARGET
    after each image    ACTION (created, updated, hidden, deactivated, deleted), IMAGE_ID, IMAGE_NAME, CONTENT_ID (of
                        the source), PRODUCT, VERSION, ITEM
    in the end          CHANGED, FAILED (numbers of images)
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from headwater.config import HOOK_PREFIX
from headwater.errors import HeadwaterError, SettingsError
from headwater.streams.syncing.planning import Step
from headwater.streams.syncing.running import Report

_MOST_WORDS: Final = 500  # characters of what a command said


class HookFailed(HeadwaterError):
    """A command that is told of images did not do what it should."""

    def __init__(self, command: str, problem: str) -> None:
        super().__init__(f"hook {command}: {problem}")
        self.command, self.problem = command, problem


def command_from(text: str) -> tuple[str, ...]:
    """Return the words of a command line.

    Raises:
        SettingsError: It has none, or a quotation mark is missing.
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise SettingsError(f"hook {text[:80]!r}: {error}") from error
    if not words:
        raise SettingsError("a hook is a command: it has one word at least")
    return words


class CommandHooks:
    """The commands of one run."""

    def __init__(
        self,
        source: str,
        target: str,
        *,
        image: Sequence[str] = (),
        end: Sequence[str] = (),
        timeout_s: float = 300,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Take the commands.

        Args:
            image: What runs after each image; nothing: none.
            end: What runs in the end.
            environment: What the commands have besides; default: that of the process.
        """
        self._environment = dict(os.environ if environment is None else environment)
        self._told = {"SOURCE": source, "TARGET": target}
        self._image, self._end, self._timeout_s = image, end, timeout_s

    def after_image(self, step: Step) -> None:
        """Run the command for one image."""
        image = step.image or {}
        facts = {
            "EVENT": "image",
            "ACTION": step.did,
            "IMAGE_ID": str(image.get("id") or ""),
            "IMAGE_NAME": str(image.get("name") or ""),
            "CONTENT_ID": step.key.source_content_id,
            "PRODUCT": step.key.product,
            "VERSION": step.key.version,
            "ITEM": step.key.item,
        }
        self._run(self._image, facts)

    def at_end(self, report: Report) -> None:
        """Run the command for the whole run."""
        self._run(self._end, {"EVENT": "end", "CHANGED": str(report.changed), "FAILED": str(report.failed)})

    def _run(self, command: Sequence[str], facts: Mapping[str, str]) -> None:
        if not command:
            return
        told = {f"{HOOK_PREFIX}{name}": value.replace("\0", "") for name, value in {**self._told, **facts}.items()}
        try:
            done = subprocess.run(  # noqa: S603  # the operator's own command, and no shell
                command,
                env={**self._environment, **told},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self._timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise HookFailed(command[0], f"it took longer than {self._timeout_s:g} s and was ended") from error
        except OSError as error:
            raise HookFailed(command[0], error.strerror or str(error)) from error
        if done.returncode:
            words = done.stdout.decode("utf-8", "replace").strip()[-_MOST_WORDS:]
            raise HookFailed(command[0], f"it ended with {done.returncode}{f': {words}' if words else ''}")
