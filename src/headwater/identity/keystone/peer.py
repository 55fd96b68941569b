"""Another service of the cloud, asked for something small: with a caller's token, or as Headwater's own user.

What it answers is bounded, in bytes and in seconds; a redirect is not followed, as it would carry the token
along. No token is logged: keystoneauth's log of requests is off here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import urllib3
from keystoneauth1 import exceptions
from keystoneauth1.session import Session

from headwater import __version__
from headwater.errors import SettingsError, Unavailable
from headwater.identity.keystone.service_user import service_session
from headwater.identity.settings import KeystoneUser

_PIECE = 16 << 10  # bytes
_NONE: Mapping[str, str] = MappingProxyType({})

_log = logging.getLogger(__name__)


class PeerUnavailable(Unavailable):
    """The other service does not answer; ``reason`` goes on from its name: "cannot be reached"."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Another service of the cloud {reason}. Try again later.")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever its status."""

    status: int
    body: bytes
    is_cut: bool  # there is more of it than was wanted


class Peer:
    """Asks; safe to use from several threads."""

    def __init__(
        self,
        service: KeystoneUser | None,
        *,
        cafile: Path | None,
        cafile_setting: str,
        timeout_s: float,
        insecure: bool = False,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            service: Headwater's own user; ``None`` when each question brings a token.
            cafile: Certificates that prove the other service's; ``None``: those of the system.
            cafile_setting: Where ``cafile`` was set, in words.
            timeout_s: How long a whole answer is waited for.
            insecure: Take any certificate of the other service.

        Raises:
            SettingsError: A file of certificates cannot be read.
        """
        if cafile is not None and not cafile.is_file():
            raise SettingsError(f"{cafile_setting}: there is no file {cafile}")
        self._has_user = service is not None
        self._session = service_session(service) if service else Session(app_name="headwater", app_version=__version__)
        self._verify: str | bool = str(cafile) if cafile is not None else not insecure
        self._timeout_s = timeout_s

    def get(self, url: str, *, token: str | None, accept: str, limit: int, headers: Mapping[str, str] = _NONE) -> Reply:
        """Return what the service answers.

        Args:
            token: Whose question it is; ``None`` asks as Headwater's own user.
            limit: Most bytes of the body to read.
            headers: What else the question says.

        Raises:
            PeerUnavailable: There is no answer, or none in time; or there is nobody to ask as.
        """
        if token is None and not self._has_user:
            raise PeerUnavailable("cannot be asked without a token")
        deadline = time.monotonic() + self._timeout_s
        sent = {**headers, "Accept": accept, "Accept-Encoding": "identity"}
        if token is not None:
            sent["X-Auth-Token"] = token
        try:
            answer = self._session.get(
                url,
                headers=sent,
                authenticated=token is None,
                raise_exc=False,
                redirect=False,
                log=False,
                stream=True,
                verify=self._verify,
                timeout=self._timeout_s,
                connect_retries=0,
            )
            with answer:
                return _read(answer.status_code, answer.raw, limit, deadline)
        except (exceptions.Unauthorized, exceptions.Forbidden) as error:
            raise _failed("cannot be asked: Keystone refuses Headwater's own user") from error
        except (exceptions.ConnectTimeout, urllib3.exceptions.TimeoutError) as error:
            raise _failed("does not answer in time") from error
        except (exceptions.ClientException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _failed("cannot be reached") from error


def _read(status: int, raw: urllib3.BaseHTTPResponse, limit: int, deadline: float) -> Reply:
    """Read what comes as it comes: a server that sends a byte now and then is out of time as another is."""
    body = bytearray()
    while piece := raw.read1(_PIECE, decode_content=False):
        body += piece
        if len(body) > limit:
            return Reply(status, bytes(body[:limit]), is_cut=True)
        if time.monotonic() > deadline:
            raise _failed("does not answer in time")
    return Reply(status, bytes(body), is_cut=False)


def _failed(reason: str) -> PeerUnavailable:
    _log.warning("another service could not be asked", extra={"reason": reason})
    return PeerUnavailable(reason)
