"""The Lease that says that this pod may run agents. Not renewed for too long, the pod is fenced."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from polecat_api import protocol
from polecat_api.times import format_time, parse_time
from polecat_kube.api import KubeApi
from polecat_kube.errors import AlreadyExistsError, ApiError, ConflictError
from polecat_kube.resources import LEASE

log = logging.getLogger(__name__)


def is_free(spec: dict[str, Any], identity: str, now: datetime) -> bool:
    """Whether a Lease is ours to take: nobody's, our own, or not renewed for its duration."""
    holder = spec.get("holderIdentity")
    if not holder or holder == identity:
        return True
    try:
        renewed = parse_time(str(spec.get("renewTime")))
        seconds = float(spec.get("leaseDurationSeconds", 0))
    except ValueError:
        return True
    return (now - renewed).total_seconds() > seconds


class PodLease:
    """Takes and renews the Lease of one pod."""

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        pod: str,
        identity: str,
        *,
        renew_seconds: float,
        fencing_seconds: float,
        on_fenced: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_fenced` is called when the Lease has not been renewed for too long, once each time."""
        self._api = api
        self._namespace = namespace
        self._on_fenced = on_fenced
        self._fenced = False
        self._name = protocol.pod_lease_name(pod)
        self._identity = identity
        self._renew_seconds = renew_seconds
        self._duration_seconds = max(1, int(renew_seconds * 4))
        self._fencing_seconds = fencing_seconds
        self._clock = clock
        self._renewed_at: float | None = None
        self._own: dict[str, Any] | None = None
        """The Lease as this pod has written it last: a renewal needs no reading."""
        self.held = asyncio.Event()
        """Set while this pod has the Lease."""

    @property
    def age_seconds(self) -> float:
        """Since the Lease was last renewed; 0 before it was first taken."""
        return 0.0 if self._renewed_at is None else self._clock() - self._renewed_at

    @property
    def is_past_fence(self) -> bool:
        """Whether agents must not work any more: others may have their work by now."""
        return self.age_seconds > self._fencing_seconds

    async def confirmed(self) -> None:
        """Comes back while nobody else can have the Lease.

        `held` alone is what was known when this process last ran, and a process that was frozen hears of new
        polecats before it hears that they are another pod's.
        """
        while not self.held.is_set() or self.age_seconds > self._duration_seconds:
            self.held.clear()
            await self.held.wait()

    def look(self) -> None:
        """Calls `on_fenced` if it is time for that. Also right before a renewal: a process that was frozen
        past the fence must not renew as if nothing had been."""
        late = self.is_past_fence
        if late and not self._fenced:
            log.error("the lease was not renewed for %d s: all agents are stopped", int(self.age_seconds))
            self._on_fenced()
        self._fenced = late

    async def run(self) -> None:
        """Takes the Lease, waiting for another live holder, and renews it until cancelled."""
        while True:
            began = self._clock()
            try:
                self.look()
                if await self._renew():
                    self.look()
                    # From before the request: the server's clock may have started then.
                    self._renewed_at = began
                    self.held.set()
                else:
                    self.held.clear()
            except (AlreadyExistsError, ConflictError):
                continue
            except ApiError as error:
                log.warning("lease not renewed: %s", error)
            # From the beginning of the try: an API server that answers slowly is asked at once again.
            pause = self._renew_seconds if self.held.is_set() else min(2.0, self._renew_seconds)
            await asyncio.sleep(max(0.0, pause - (self._clock() - began)))

    async def release(self) -> None:
        """Gives the Lease back at the end, if it is ours."""
        try:
            found = await self._api.get(LEASE, self._namespace, self._name)
            if found is not None and found["spec"].get("holderIdentity") == self._identity:
                found["spec"]["holderIdentity"] = ""
                await self._api.update(LEASE, self._namespace, self._name, found)
        except ApiError as error:
            log.warning("lease not released: %s", error)

    async def _renew(self) -> bool:
        now = datetime.now(UTC)
        found, self._own = self._own, None
        if found is None:
            found = await self._api.get(LEASE, self._namespace, self._name)
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._duration_seconds,
            "renewTime": format_time(now),
        }
        if found is None:
            body = {"metadata": {"name": self._name, "namespace": self._namespace}, "spec": spec}
            self._own = await self._api.create(LEASE, self._namespace, body)
            return True
        if not is_free(found.get("spec") or {}, self._identity, now):
            log.warning("the lease %s is held by %s", self._name, found["spec"].get("holderIdentity"))
            return False
        found["spec"] = {**(found.get("spec") or {}), **spec}
        self._own = await self._api.update(LEASE, self._namespace, self._name, found)
        return True
