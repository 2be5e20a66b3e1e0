"""List, then watch, for ever: what a program sees of one kind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from polecat_kube.api import LONGEST_PAUSE_SECONDS, KubeApi, sleep_before_retry
from polecat_kube.errors import ApiError, ForbiddenError, GoneError
from polecat_kube.resources import ResourceType

Json = dict[str, Any]
log = logging.getLogger(__name__)
WATCH_SECONDS = 15
"""A watch is asked for anew so often, from where it was: a server that is there has ended it by then."""
SILENT_SECONDS = 28
"""A watch that says nothing for so long is dead, though nobody has closed it: its connection leads nowhere any more.
Long enough for a server that takes 5 s for each answer."""


class Informer:
    """Keeps a store of the objects that match, and calls `on_change(old, new)` for each difference.

    `old` is None for an object seen first, `new` is None for one that is gone. Deletions missed while the
    watch was cut are found by comparing with the next list; there is one at least every `resync_seconds`. A
    connection that is dead without a word is noticed after SILENT_SECONDS.
    """

    def __init__(
        self,
        api: KubeApi,
        resource: ResourceType,
        namespace: str | None,
        on_change: Callable[[Json | None, Json | None], None],
        *,
        label_selector: str | None = None,
        resync_seconds: int = 300,
        longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
    ) -> None:
        """`longest_pause_seconds` bounds the pauses between attempts to reach an API server that is away."""
        self._api = api
        self._resource = resource
        self._namespace = namespace
        self._on_change = on_change
        self._label_selector = label_selector
        self._resync_seconds = resync_seconds
        self._longest_pause_seconds = longest_pause_seconds
        self.store: dict[tuple[str, str], Json] = {}
        self.synced = asyncio.Event()
        """Set once the first list has been read."""
        self.live = False
        """Whether the store is kept up to date; false while the API server is away."""
        self.refused: ForbiddenError | None = None
        """That this identity may not list or watch the kind, as of the last try."""

    async def run(self) -> None:
        """Lists and watches until cancelled; an API server that is away is waited for."""
        failures = 0
        while True:
            try:
                version = await self._list()
                failures = 0
                deadline = asyncio.get_running_loop().time() + self._resync_seconds
                while (left := deadline - asyncio.get_running_loop().time()) > 1:
                    version = await self._watch(version, min(WATCH_SECONDS, int(left)))
            except GoneError:
                self.live = False
            except ApiError as error:
                self.live = False
                self.refused = error if isinstance(error, ForbiddenError) else None
                log.warning("watch of %s interrupted: %s", self._resource.plural, error)
                await sleep_before_retry(error, failures, longest_seconds=self._longest_pause_seconds)
                failures += 1

    async def _list(self) -> str:
        items, version = await self._api.list(self._resource, self._namespace, self._label_selector)
        listed = {_key(item): item for item in items}
        for key in [key for key in self.store if key not in listed]:
            self._change(key, None)
        for key, item in listed.items():
            before = self.store.get(key)
            if before is None or before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._change(key, item)
        self.synced.set()
        self.live, self.refused = True, None
        return version

    async def _watch(self, version: str, timeout_seconds: int) -> str:
        async for kind, item in self._api.watch(
            self._resource,
            self._namespace,
            version,
            self._label_selector,
            timeout_seconds,
            silent_seconds=SILENT_SECONDS,
        ):
            version = item["metadata"]["resourceVersion"]
            if kind != "BOOKMARK":
                self._change(_key(item), None if kind == "DELETED" else item)
        return version

    def _change(self, key: tuple[str, str], new: Json | None) -> None:
        old = self.store.pop(key, None)
        if new is not None:
            self.store[key] = new
        self._on_change(old, new)


def _key(item: Json) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
