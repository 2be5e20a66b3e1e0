"""The one place that watches the cluster: an informer for each kind, the views made of it, and the feed."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import partial

from polecat_api.untrusted import Json, entries, section, text
from polecat_dashboard.state.feed import Feed, Key
from polecat_dashboard.state.scope import KINDS, Scope
from polecat_dashboard.state.views import VIEWS
from polecat_kube.api import KubeApi
from polecat_kube.informer import Informer
from polecat_kube.resources import BEAD, POLECAT, RIG, TOWN, ResourceType

RESOURCES: Mapping[str, ResourceType] = {"beads": BEAD, "polecats": POLECAT, "rigs": RIG, "towns": TOWN}
SNAPSHOTS_KEPT = 4
HEARD_SECONDS = 1.0


class ClusterState:
    """Everything that the page shows of the cluster. All methods belong to one event loop."""

    def __init__(self, api: KubeApi) -> None:
        self.epoch = secrets.token_hex(4)
        """Tells the numbers of this process's feed from those of another."""
        self._views: dict[Key, Json] = {}
        self.feed = Feed(self._views.get)
        self._informers = {
            kind: Informer(api, resource, None, partial(self._on_change, kind)) for kind, resource in RESOURCES.items()
        }
        self._snapshots: OrderedDict[tuple[Scope, int], str] = OrderedDict()
        self._heard_at = time.time()

    async def run(self) -> None:
        """Watches until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for kind, informer in self._informers.items():
                tasks.create_task(informer.run(), name=f"watch {kind}")
            tasks.create_task(self.feed.run(), name="feed")
            tasks.create_task(self._listen(), name="heard")

    async def _listen(self) -> None:
        while True:
            if self.live:
                self._heard_at = time.time()
            await asyncio.sleep(HEARD_SECONDS)

    def why_not_ready(self) -> str | None:
        """None once everything has been read; else what is missing."""
        missing = [kind for kind, informer in self._informers.items() if not informer.synced.is_set()]
        return f"not read yet: {', '.join(missing)}" if missing else None

    @property
    def live(self) -> bool:
        """Whether all that is shown is kept up to date; false while the API server is away."""
        return all(informer.live for informer in self._informers.values())

    @property
    def heard_at(self) -> float:
        """When the API server was last known to be there, in seconds since 1970."""
        return time.time() if self.live else self._heard_at

    def raw(self, kind: str, namespace: str, name: str) -> Json | None:
        """The object as the API server gave it."""
        return self._informers[kind].store.get((namespace, name))

    def views(self, kind: str, scope: Scope | None = None) -> Iterable[Json]:
        """All views of a kind that the scope shows."""
        for (its_kind, namespace, _), view in self._views.items():
            if its_kind == kind and (scope is None or scope.sees(kind, namespace)):
                yield view

    def namespaces(self) -> set[str]:
        """Namespaces in which there is anything."""
        return {namespace for _, namespace, _ in self._views}

    def namespaces_in(self, scope: Scope) -> set[str]:
        """Those of them that the scope shows something of."""
        return {namespace for kind, namespace, _ in self._views if scope.sees(kind, namespace)}

    def counts(self) -> dict[str, int]:
        """How many objects there are of each kind."""
        return {kind: len(informer.store) for kind, informer in self._informers.items()}

    def stream_urls(self, namespace: str, town: str, pod: str | None = None) -> list[str]:
        """Base URLs of the town's pods, or of one of them."""
        item = self.raw("towns", namespace, town) or {}
        pods = [each for each in entries(section(item, "status"), "pods") if isinstance(each, dict)]
        urls = [text(each, "streamsURL") for each in pods if pod is None or each.get("name") == pod]
        return [url for url in urls if url.startswith(("http://", "https://"))]

    def snapshot(self, scope: Scope) -> str:
        """The JSON of all that the scope shows, as of the feed's present number."""
        key = (scope, self.feed.number)
        made = self._snapshots.get(key)
        if made is None:
            shown: dict[str, list[Json]] = {kind: [] for kind in KINDS}
            for (kind, namespace, _), view in self._views.items():
                if scope.sees(kind, namespace):
                    shown[kind].append(view)
            made = self._snapshots[key] = json.dumps(shown, separators=(",", ":"))
            while len(self._snapshots) > SNAPSHOTS_KEPT:
                self._snapshots.popitem(last=False)
        return made

    def _on_change(self, kind: str, old: Json | None, new: Json | None) -> None:
        item = new or old
        if item is None:
            return
        key = (kind, text(section(item, "metadata"), "namespace"), text(section(item, "metadata"), "name"))
        before = self._views.get(key)
        view = VIEWS[kind](new) if new is not None else None
        if view == before:
            return
        if view is None:
            del self._views[key]
        else:
            self._views[key] = view
        self.feed.mark(key)
