"""Certificates as files of one directory: ``UUID.pem``, with the UUID in lower case.

A link counts if what it leads to lies in the directory too, as in a mounted secret of Kubernetes; all else
that is not a plain file of bounded size is as good as absent.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from headwater.errors import SettingsError
from headwater.identity.caller import Caller
from headwater.images.signatures.certificates import (
    LARGEST,
    CertificateNotFound,
    CertificatesUnavailable,
    CertificateUnusable,
)


class CertificateDirectory:
    """The source ``directory``. Everybody's images may name every certificate in it."""

    def __init__(self, root: Path) -> None:
        """Take a directory that exists.

        Raises:
            SettingsError: It does not.
        """
        if not root.is_dir():
            raise SettingsError(f"section [signatures], key 'directory': there is no directory {root}")
        self._root = root

    def get(self, _caller: Caller, certificate_id: str) -> bytes:
        """Return the file's content; see ``CertificateSource``."""
        try:
            root = self._root.resolve(strict=True)
            file = (root / f"{certificate_id}.pem").resolve(strict=True)
            if not file.is_relative_to(root):
                raise CertificateNotFound(certificate_id)
            data = _read(file)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise CertificateNotFound(certificate_id) from error
        except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
            raise CertificatesUnavailable("the directory of certificates cannot be read") from error
        if data is None:
            raise CertificateNotFound(certificate_id)
        if len(data) > LARGEST:
            raise CertificateUnusable(certificate_id, f"is larger than {LARGEST} bytes")
        return data


def _read(file: Path) -> bytes | None:
    """Return one byte more than a certificate may have at most; ``None`` when it is no plain file."""
    # Without waiting: a pipe would never end.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return opened.read(LARGEST + 1)
