"""Keystone's unified limits of one service: what is registered for every project, and what single projects have.

All of them are read at once, in a few questions, and kept for ``cache_s``: a project that nobody has seen before
costs no question, and while Keystone is away every project has its last known limits. Who finds them old asks
anew, while all others go on with what is known. Before the first answer there is nothing to go on with, and
nothing is allowed: never "no limit".

The service user asks with its roles on the system (``reader`` is enough). With a token for a project, Keystone lists
the limits of that project alone, without a word about the others; unless the role there is ``service`` or ``admin``,
and so an application credential asks. Source: keystone 30, api/limits.py.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keystoneauth1 import exceptions
from keystoneauth1.identity import BaseIdentityPlugin

from headwater.errors import Unavailable
from headwater.identity.keystone.service_user import service_session
from headwater.identity.settings import KeystoneSettings, UnifiedLimitsSettings

REST_S = 5.0  # after a failure, how long Keystone is left in peace

_log = logging.getLogger(__name__)


class LimitsUnknown(Unavailable):
    """Keystone cannot be asked what projects may use, and has never told."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The Identity service cannot be asked for the limits of projects: {reason}. Try again later.")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """The limits of one service in one region."""

    registered: Mapping[str, int] = field(default_factory=dict)  # by the name of the resource
    of_projects: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by project id

    def of(self, project_id: str, resource: str) -> int:
        """Return how much of a resource a project may have; negative: any amount.

        Nothing of what is not registered. Source: oslo.limit, so for every service of OpenStack.
        """
        own = self.of_projects.get(project_id, {})
        return own[resource] if resource in own else self.registered.get(resource, 0)


class UnifiedLimits:
    """What Keystone says, kept; safe to use from several threads."""

    def __init__(
        self,
        ask: Callable[[], ServiceLimits],
        cache_s: float,
        *,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            ask: Asks Keystone, or raises ``LimitsUnknown``; see ``Questions``.
            steady: A clock in seconds that never goes back.
        """
        self._ask = ask
        self._cache_s = cache_s
        self._steady = steady
        self._asking = threading.Lock()
        self._kept: ServiceLimits | None = None
        self._good_until = self._rest_until = float("-inf")

    def read(self) -> ServiceLimits:
        """Return the limits; this may wait for Keystone.

        Raises:
            LimitsUnknown: Keystone cannot be asked, and has not told before.
        """
        kept = self._kept
        if kept is not None and self._steady() < self._good_until:
            return kept
        if kept is None or self._cache_s == 0:
            self._asking.acquire()
        elif not self._asking.acquire(blocking=False):
            return kept  # somebody asks already
        try:
            if self._kept is None or self._steady() >= self._good_until:
                self._renew()
            if self._kept is None:
                raise LimitsUnknown("it did not answer a moment ago")
            return self._kept
        finally:
            self._asking.release()

    def _renew(self) -> None:
        if self._steady() < self._rest_until:
            return
        try:
            self._kept = self._ask()
        except LimitsUnknown as error:
            self._rest_until = self._steady() + REST_S
            known = self._kept is not None
            _log.warning("the limits of projects cannot be read", extra={"reason": error.reason, "last known": known})
            if not known:
                raise
        else:
            self._good_until = self._steady() + self._cache_s


class Questions:
    """Asks a real Keystone as the service user."""

    def __init__(
        self, keystone: KeystoneSettings, service: UnifiedLimitsSettings, resources: tuple[str, ...] = ()
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            resources: What should be registered: the log tells what is not.

        Raises:
            SettingsError: ``cafile`` cannot be read.
        """
        self._url = keystone.v3_url
        self._in_project = keystone.has_application_credential
        self._session = service_session(keystone, system=True, with_catalogue=self._in_project)
        self._service = service
        self._region = service.region or keystone.region
        self._resources = resources

    def __call__(self) -> ServiceLimits:
        """Return what Keystone says now.

        Raises:
            LimitsUnknown: It cannot be reached, fails, refuses the service user, or answers what we cannot follow.
        """
        try:
            return self._limits()
        except (exceptions.Unauthorized, exceptions.Forbidden) as error:
            user = (
                "Keystone refuses Headwater's own user, which needs the role reader on the system, or the role service "
                "in the project of its application credential"
            )
            raise LimitsUnknown(user) from error
        except exceptions.HttpError as error:
            raise LimitsUnknown(f"Keystone answers {error.http_status}") from error
        except exceptions.ConnectTimeout as error:
            raise LimitsUnknown("Keystone does not answer in time") from error
        except exceptions.ClientException as error:
            raise LimitsUnknown("Keystone cannot be reached") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LimitsUnknown("Keystone's answer is not what it should be") from error

    def _limits(self) -> ServiceLimits:
        model = self._get("limits/model")["model"]["name"]
        if model != "flat":
            # Source: oslo.limit knows no other model either.
            raise LimitsUnknown(f"Keystone's enforcement model is {model!r}, and only 'flat' can be followed")
        service_id, region_id = self._place()
        registered: dict[str, int] = {}
        of_projects: dict[str, dict[str, int]] = {}
        for limit in self._listed("registered_limits", service_id, region_id):
            registered[limit["resource_name"]] = int(limit["default_limit"])
        for limit in self._listed("limits", service_id, region_id):
            if limit["project_id"] is not None:
                of_projects.setdefault(limit["project_id"], {})[limit["resource_name"]] = int(limit["resource_limit"])
        missing = [name for name in self._resources if name not in registered]
        if missing:
            _log.warning("limits are not registered in Keystone, so nothing is allowed", extra={"limits": missing})
        return ServiceLimits(registered, of_projects)

    def _place(self) -> tuple[str, str | None]:
        """Return the ids of the service and of the region whose limits count."""
        wanted = self._service
        catalogue = self._of_token() if self._in_project else self._listed_catalogue()
        if wanted.endpoint_id is not None:
            for service in catalogue:
                for endpoint in service["endpoints"]:
                    if endpoint["id"] == wanted.endpoint_id:
                        return service["id"], endpoint["region_id"]
            raise LimitsUnknown(f"Keystone has no endpoint {wanted.endpoint_id}")
        services = [each for each in catalogue if each["type"] == wanted.service_type]
        if wanted.service_name is not None:
            services = [each for each in services if each.get("name") == wanted.service_name]
        if len(services) != 1:
            raise LimitsUnknown(
                f"Keystone has {len(services)} services of type {wanted.service_type!r}"
                f"{f' and name {wanted.service_name!r}' if wanted.service_name is not None else ''}, not one: "
                "see section [quotas.keystone]"
            )
        (service,) = services
        if self._region is not None:
            return service["id"], self._region
        regions = {each["region_id"] for each in service["endpoints"]}
        if len(regions) > 1:
            raise LimitsUnknown("the service has endpoints in several regions: set section [quotas.keystone], 'region'")
        return service["id"], regions.pop() if regions else None

    def _listed_catalogue(self) -> list[dict[str, Any]]:
        """Return the services that may be meant, each with its endpoints."""
        wanted = self._service
        if wanted.endpoint_id is not None:
            try:
                endpoint = self._get(f"endpoints/{wanted.endpoint_id}")["endpoint"]
            except exceptions.NotFound:
                return []
            return [{"id": endpoint["service_id"], "endpoints": [endpoint]}]
        services: list[dict[str, Any]] = self._get("services", type=wanted.service_type)["services"]
        if self._region is None:
            for each in services:
                each["endpoints"] = self._get("endpoints", service_id=each["id"])["endpoints"]
        return services

    def _of_token(self) -> list[dict[str, Any]]:
        """Return the catalogue that comes with our token: Keystone lists it to nobody else without more roles."""
        proof = self._session.auth
        assert isinstance(proof, BaseIdentityPlugin)
        catalogue: list[dict[str, Any]] = proof.get_access(self._session).service_catalog.catalog
        return catalogue

    def _listed(self, kind: str, service_id: str, region_id: str | None) -> list[dict[str, Any]]:
        """Return the limits of a kind that count, those of the region after those of no region."""
        answer = self._get(kind, service_id=service_id)
        if answer.get("truncated"):
            raise LimitsUnknown(f"Keystone cuts its list of {kind}: raise [unified_limit] list_limit there")
        rows = [row for row in answer[kind] if row["region_id"] in (None, region_id)]
        return sorted(rows, key=lambda row: row["region_id"] is not None)

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        answer = self._session.get(f"{self._url}/{path}", params=query, headers=headers, log=False, redirect=False)
        if answer.status_code != 200:
            raise LimitsUnknown(f"Keystone answers {answer.status_code}")
        document: dict[str, Any] = answer.json()
        return document
