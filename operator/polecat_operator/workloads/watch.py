"""Watches the StatefulSets, pods and claims of all towns: one watch for each kind, or for each kind and namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from polecat_api.protocol import LABEL_TOWN
from polecat_kube.api import KubeApi
from polecat_kube.informer import Informer
from polecat_kube.resources import PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from polecat_operator.workloads.store import Workloads


class WorkloadWatch:
    """Keeps `Workloads` up to date."""

    def __init__(self, api: KubeApi, workloads: Workloads, namespaces: Sequence[str]) -> None:
        """Without `namespaces`, the whole cluster is watched."""
        kinds = (
            (STATEFUL_SET, workloads.take_set),
            (POD, workloads.take_pod),
            (PERSISTENT_VOLUME_CLAIM, workloads.take_claim),
        )
        self._informers = [
            Informer(api, resource, namespace, take, label_selector=LABEL_TOWN)
            for namespace in namespaces or (None,)
            for resource, take in kinds
        ]
        workloads.watched = self._is_complete
        workloads.watch_refused = self._refused

    def _is_complete(self) -> bool:
        return all(informer.synced.is_set() for informer in self._informers)

    def _refused(self) -> str:
        return next((str(informer.refused) for informer in self._informers if informer.refused is not None), "")

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.gather(*(informer.run() for informer in self._informers))
