"""The Lease that decides which operator acts."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from polecat_api.protocol import OPERATOR_LEASE
from polecat_api.times import format_time
from polecat_kube.api import KubeApi
from polecat_kube.errors import AlreadyExistsError, ApiError, ConflictError
from polecat_kube.resources import LEASE
from polecat_operator.clock import Clock
from polecat_operator.errors import LeaseLostError
from polecat_operator.settings import Settings

log = logging.getLogger(__name__)


class Elector:
    """Takes and keeps the Lease by GET and PUT with the resource version as precondition; renewals need no GET.

    Whether another's Lease has run out is judged by when this process saw it change, never by comparing clocks.
    """

    def __init__(self, api: KubeApi, settings: Settings, clock: Clock) -> None:
        self._api = api
        self._settings = settings
        self._clock = clock
        self._seen: tuple[str, float] = ("", 0.0)
        """Resource version of another's Lease, and when it was first seen."""
        self._renewed: float | None = None
        """When the last successful renewal was begun, on the monotonic clock."""
        self._own: dict[str, Any] | None = None
        """The Lease as this process has written it last."""

    def check(self) -> None:
        """The fence before each action. Raises LeaseLostError when the Lease may be another's by now."""
        if self._renewed is None or self._clock.mono() - self._renewed > self._settings.renew_seconds:
            raise LeaseLostError("the Lease was not renewed in time")

    @property
    def age_seconds(self) -> float:
        """Since the last successful renewal was begun; 0 while the Lease is not this process's."""
        return 0.0 if self._renewed is None else self._clock.mono() - self._renewed

    async def acquire(self) -> None:
        """Comes back when this process is the leader."""
        while True:
            if await self._try():
                break
            await asyncio.sleep(self._settings.retry_seconds)
        log.info("leader identity=%s", self._settings.identity)

    async def keep(self) -> None:
        """Renews until the Lease is lost, which raises LeaseLostError.

        The pause counts from the beginning of a renewal: an API server that answers slowly is asked at once again.
        """
        begun = self._clock.mono()
        while True:
            await asyncio.sleep(max(0.0, self._settings.retry_seconds - (self._clock.mono() - begun)))
            begun = self._clock.mono()
            self.check()
            await self._try()
            self.check()

    async def release(self) -> None:
        """Gives the Lease up, so that another operator need not wait until it runs out."""
        if self._renewed is None:
            return
        self._renewed = None
        try:
            lease = await self._api.get(LEASE, self._settings.namespace, OPERATOR_LEASE)
            if lease is not None and lease["spec"].get("holderIdentity") == self._settings.identity:
                lease["spec"]["holderIdentity"] = ""
                await self._put(lease)
        except ApiError as error:
            log.warning("lease not released: %s", error)

    async def _try(self) -> bool:
        lease, self._own = self._own, None
        known = lease is not None
        try:
            if lease is None:
                lease = await self._api.get(LEASE, self._settings.namespace, OPERATOR_LEASE)
            begun = self._clock.mono()
            if lease is None:
                self._own = await self._create()
            elif self._is_free(lease):
                self._own = await self._take(lease)
            else:
                return self._others()
        except (ConflictError, AlreadyExistsError):
            # Somebody has written it since we did; that may be another leader, or a person.
            return await self._try() if known else self._others()
        except ApiError as error:
            log.warning("lease: %s", error)
            return False
        self._renewed = begun
        return True

    def _others(self) -> bool:
        """The Lease is another's: whoever held it here has lost it."""
        self._renewed = None
        return False

    def _is_free(self, lease: dict[str, Any]) -> bool:
        spec, version = lease.get("spec", {}), lease["metadata"]["resourceVersion"]
        holder = spec.get("holderIdentity")
        if not holder or holder == self._settings.identity:
            return True
        if self._seen[0] != version:
            self._seen = (version, self._clock.mono())
            return False
        return self._clock.mono() - self._seen[1] > float(
            spec.get("leaseDurationSeconds", self._settings.lease_seconds)
        )

    def _spec(self, transitions: int) -> dict[str, Any]:
        now = format_time(self._clock.now())
        return {
            "holderIdentity": self._settings.identity,
            "leaseDurationSeconds": max(1, int(self._settings.lease_seconds)),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    async def _create(self) -> dict[str, Any]:
        body = {"metadata": {"name": OPERATOR_LEASE, "namespace": self._settings.namespace}, "spec": self._spec(0)}
        return await self._api.create(LEASE, self._settings.namespace, body)

    async def _take(self, lease: dict[str, Any]) -> dict[str, Any]:
        before = lease.get("spec", {})
        if before.get("holderIdentity") == self._settings.identity:
            before["renewTime"] = format_time(self._clock.now())
        else:
            lease["spec"] = self._spec(before.get("leaseTransitions", 0) + 1)
        return await self._put(lease)

    async def _put(self, lease: dict[str, Any]) -> dict[str, Any]:
        body = {"metadata": lease["metadata"], "spec": lease["spec"]}
        return await self._api.update(LEASE, self._settings.namespace, OPERATOR_LEASE, body)
