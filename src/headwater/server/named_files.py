"""The files that settings name, opened as the start opens them: nothing is made, started or asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from headwater.activity import audit_file
from headwater.database import connecting
from headwater.errors import SettingsError
from headwater.fetching.fetcher import Fetcher
from headwater.identity.policy.rules import NamedRules
from headwater.identity.registry import open_authenticator, open_rules, with_passwords
from headwater.images.imports.plugins.registry import open_plugins
from headwater.images.properties.guard import open_guard
from headwater.images.signatures.registry import open_signatures
from headwater.instances.sealing import check_seal
from headwater.instances.vendor_data import opening as vendor_data
from headwater.server import data_dir
from headwater.server.apis import policies
from headwater.server.edge import certificates
from headwater.server.settings import Settings
from headwater.stores.registry import open_stores
from headwater.stores.store_type import StoreSettings, Surroundings
from headwater.streams.live.feed import loaded_signer
from headwater.streams.pulling.opening import check_tree_files

Look = Callable[[], object]


def looks(settings: Settings, rules: NamedRules, *, serves: bool = True) -> Iterator[Look]:
    """Yield what opens each file that stops a start; each raises ``SettingsError`` where its file is no good.

    Args:
        rules: What the policy says.
        serves: Whether requests are answered, and not only jobs run.
    """
    if serves:
        yield partial(certificates.check, settings.server.tls, "server.tls")
        yield partial(certificates.check, settings.server.metadata_tls, "server.metadata_tls")
        yield lambda: with_passwords(open_authenticator(settings.auth), settings.auth).close()
        yield partial(vendor_data.check, settings.metadata.vendor_data, settings.auth.keystone)
    yield partial(open_guard, settings.images, rules)
    yield partial(open_signatures, settings.signatures, settings.auth.keystone)
    yield partial(open_plugins, settings.import_plugins)
    if serves:
        yield partial(loaded_signer, settings.streams)


def problems(settings: Settings) -> list[str]:
    """Return what a start would say of each file that is missing, unreadable or malformed, in its order."""
    found: list[str] = []

    def tried(look: Look) -> None:
        try:
            look()
        except SettingsError as error:
            if str(error) not in found:  # a key that two settings use is wrong once
                found.append(str(error))

    rules: list[NamedRules] = []
    if settings.audit.file is not None:
        tried(partial(audit_file.require_writable, settings.audit.file))
    tried(partial(data_dir.require_possible, settings.data_dir))
    tried(lambda: rules.append(open_rules(settings.auth, settings.policy, policies.BY_NAME)))
    # Of a policy that cannot be read the built-in rules are known.
    for look in looks(settings, rules[0] if rules else _built_in(settings)):
        tried(look)
    for look in _looks_beside(settings):
        tried(look)
    return found


def _built_in(settings: Settings) -> NamedRules:
    return open_rules(settings.auth, settings.policy.model_copy(update={"file": None}), policies.BY_NAME)


def _looks_beside(settings: Settings) -> Iterator[Look]:
    """Yield what opens the files of parts that make something when they are opened, or come after the start."""
    url = connecting.read(settings.database_url)
    yield partial(check_seal, settings.metadata.key_file, connecting.file_of(url))
    yield from check_tree_files(settings.streams, settings.data_dir)
    yield partial(_open_cloud, settings)
    yield partial(Fetcher, settings.fetch)
    for name, section in settings.stores.items():
        yield partial(_open_store, settings, name, section)


def _open_cloud(settings: Settings) -> None:
    if settings.metadata.openstack.auth_url is not None:
        from headwater.instances.sources.openstack.cloud import Cloud  # noqa: PLC0415 - only what is used

        Cloud(settings.metadata.openstack)


def _open_store(settings: Settings, name: str, section: StoreSettings) -> None:
    surroundings = Surroundings(settings.data_dir, Fetcher(settings.fetch))
    open_stores({name: section}, surroundings)[name].close()
