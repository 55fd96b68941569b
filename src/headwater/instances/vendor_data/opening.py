"""The file and the services of vendor data, put together from the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from headwater.errors import SettingsError
from headwater.identity.settings import KeystoneSettings
from headwater.instances.model import Instance
from headwater.instances.vendor_data import static
from headwater.instances.vendor_data.answers import Answers, Tally
from headwater.instances.vendor_data.settings import VendorDataSettings


def check(settings: VendorDataSettings, keystone: KeystoneSettings) -> None:
    """Return when everything is there that vendor data needs; no service is asked.

    Raises:
        SettingsError: The file, or one of certificates, is no good.
    """
    static.opened(settings.file)
    found = answers(settings, keystone)
    if found is not None:
        found.close()


def answers(settings: VendorDataSettings, keystone: KeystoneSettings, tally: Tally | None = None) -> Answers | None:
    """Return what asks the services, to be closed; ``None`` when there are none.

    Args:
        keystone: Whose token they are shown, if they are to be shown one.
        tally: Counts what they answer; ``None``: neither that nor the log is of use.

    Raises:
        SettingsError: A file of certificates cannot be read.
    """
    if not settings.targets:
        return None
    # Who has no services does without what speaks with them.
    from headwater.client.keystone import Keystone  # noqa: PLC0415 - see above
    from headwater.fetching.posting import Poster  # noqa: PLC0415 - see above
    from headwater.identity.keystone.service_user import service_session  # noqa: PLC0415 - see above
    from headwater.instances.vendor_data.target import Target  # noqa: PLC0415 - see above

    proof = Keystone(service_session(keystone), keystone.v3_url) if settings.send_token else None
    try:
        posters = {
            name: Poster(url, cafile=settings.cafile, limit=settings.size_limit)
            for name, url in settings.targets.items()
        }
    except SettingsError as error:
        raise SettingsError(f"section [metadata.vendor_data], key 'cafile': {error}") from error
    targets = [Target(name, poster, retries=settings.retries, proof=proof) for name, poster in posters.items()]
    return Answers(
        targets,
        timeout_s=settings.timeout_s,
        cache_s=settings.cache_s,
        tally=tally or _Uncounted(),
        quiet=tally is None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told to one instance at this moment, and what is not."""

    instance: Instance  # with the vendor data of all, unless it has its own
    parts: Mapping[str, bytes]  # what services say, by their names; JSON
    failing: Mapping[str, str]  # why services say nothing, by their names


def told(instance: Instance, settings: VendorDataSettings, keystone: KeystoneSettings, *, ask: bool = True) -> Told:
    """Read the file and ask the services once, from outside of any event loop.

    Args:
        keystone: As of ``answers``.
        ask: Whether services are asked.

    Raises:
        SettingsError: The file, or one of certificates, is no good.
    """
    whole = instance if settings.file is None else static.read(settings.file).told(instance)
    asking = answers(settings, keystone) if ask else None
    if asking is None:
        return Told(instance=whole, parts={}, failing={})
    try:
        return Told(instance=whole, parts=asyncio.run(asking.of(whole)), failing=dict(asking.failing()))
    finally:
        asking.close()


class _Uncounted:
    def vendor_data(self, target: str, what: str) -> None:
        pass
