"""Reports the status of one polecat: at most one write at a time, the newest wish wins, retried while it fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from polecat_api.polecat import PolecatStatus
from polecat_kube.api import JsonPatch, KubeApi, sleep_before_retry
from polecat_kube.errors import ApiError, ConflictError, InvalidError, NotFoundError
from polecat_kube.resources import POLECAT
from polecat_town import metrics
from polecat_town.life.state import Identity

log = logging.getLogger(__name__)


class SupersededError(Exception):
    """The Polecat is gone, or its name has another bearer: nothing may be reported of it any more."""


class Reporter:
    """Writes the whole status, under the condition that the object is still the one of this UID."""

    def __init__(
        self,
        api: KubeApi,
        identity: Identity,
        build: Callable[[], PolecatStatus],
        on_invalid: Callable[[str], None] = lambda message: None,
    ) -> None:
        """`build` gives the status of the moment; it is called right before each try.

        `on_invalid` hears the API server's words about a status that it will never take.
        """
        self._on_invalid = on_invalid
        self._api = api
        self._identity = identity
        self._build = build
        self._writing = asyncio.Lock()
        self._wanted = 0
        self._written = 0
        self.superseded = False
        self.last: PolecatStatus | None = None
        """What the API server has confirmed last."""
        self._confirmed_at = time.monotonic()

    @property
    def age_seconds(self) -> float:
        """Since the API server last took a status, or since there is this reporter."""
        return time.monotonic() - self._confirmed_at

    async def report(self) -> None:
        """Comes back when the API server has a status at least as new as this call, or refuses its content.

        Raises SupersededError; an API server that is away is waited for.
        """
        self._wanted += 1
        mine = self._wanted
        async with self._writing:
            if self._written >= mine:
                return
            await self._write()

    async def _write(self) -> None:
        failures = 0
        reduced = False
        while True:
            wanted = self._wanted
            status = self._build()
            if reduced:
                status = PolecatStatus(claim=status.claim, conditions=status.conditions)
            patch: JsonPatch = [
                {"op": "test", "path": "/metadata/uid", "value": self._identity.uid},
                {"op": "add", "path": "/status", "value": status.to_wire()},
            ]
            try:
                await self._api.patch_json(
                    POLECAT, self._identity.namespace, self._identity.object_name, patch, "status"
                )
            except (ConflictError, NotFoundError) as error:
                self.superseded = True
                metrics.REFUSED_REPORTS.inc()
                log.warning("report refused: %s", error, extra=self._identity.log_fields)
                raise SupersededError(str(error)) from error
            except InvalidError as error:
                # The same content will never be taken: what decisions depend on may be, and the next state.
                metrics.FAILED_REPORTS.inc()
                log.error("report not taken by the API server: %s", error, extra=self._identity.log_fields)
                self._on_invalid(error.message)
                if not reduced:
                    reduced = True
                    continue
                self._written = wanted
                return
            except ApiError as error:
                metrics.FAILED_REPORTS.inc()
                log.warning("report failed: %s", error, extra=self._identity.log_fields)
                await sleep_before_retry(error, failures)
                failures += 1
                continue
            self._written = wanted
            self.last = status
            self._confirmed_at = time.monotonic()
            return
