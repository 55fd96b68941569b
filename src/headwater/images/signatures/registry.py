"""Which sources of certificates there are: settings in, what verifies with them out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from headwater.clock import now
from headwater.identity.settings import KeystoneSettings
from headwater.identity.watched_file import WatchedFile
from headwater.images.signatures.certificates import CertificateSource
from headwater.images.signatures.directory import CertificateDirectory
from headwater.images.signatures.settings import SignaturesSettings
from headwater.images.signatures.trust import read_trusted
from headwater.images.signatures.verification import Signatures


def open_signatures(settings: SignaturesSettings, keystone: KeystoneSettings) -> Signatures:
    """Return what verifies signatures.

    Raises:
        SettingsError: It cannot work with these settings.
    """
    trusted = WatchedFile(settings.trusted, read_trusted) if settings.trusted is not None else None
    return Signatures(open_certificates(settings, keystone), trusted, clock=now)


def open_certificates(settings: SignaturesSettings, keystone: KeystoneSettings) -> CertificateSource | None:
    """Return where certificates come from; ``None`` when from nowhere.

    Raises:
        SettingsError: It cannot work with these settings. Barbican is not asked yet: it may start later.
    """
    if settings.certificates == "directory" and settings.directory is not None:
        return CertificateDirectory(settings.directory)
    if settings.certificates == "barbican":
        # Its library takes a while to import.
        from headwater.identity.keystone.peer import Peer  # noqa: PLC0415 - only what is used
        from headwater.images.signatures.barbican import Barbican  # noqa: PLC0415 - only what is used

        barbican = settings.barbican
        as_caller = barbican.ask_as == "caller"
        service = None if as_caller else keystone
        peer = Peer(
            service,
            cafile=barbican.cafile,
            cafile_setting="section [signatures.barbican], key 'cafile'",
            timeout_s=barbican.timeout_s,
        )
        endpoint: Callable[[], str] = partial(str, barbican.endpoint)
        if barbican.endpoint is None:
            from headwater.identity.keystone.catalogue import ServiceCatalogue  # noqa: PLC0415 - only what is used

            endpoint = partial(ServiceCatalogue(keystone).endpoint, "key-manager")
        return Barbican(endpoint, peer, ask_as_caller=as_caller, cache_s=barbican.cache_s)
    return None
