"""A Town whose pods the operator makes, as its user sees it."""

from __future__ import annotations

from typing import Any

from polecat_kube.api import KubeApi
from polecat_kube.resources import TOWN, ResourceType
from support.kstatus import kstatus
from support.played_node import PlayedNode
from support.played_town import PlayedTown, eventually, find

Json = dict[str, Any]


class ManagedTown:
    """The Town `main` of the test's namespace, as its user sees it."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.played = PlayedTown(api, namespace)

    async def create(self, **spec: Any) -> None:
        """Applies the Town."""
        await self.api.create(TOWN, self.namespace, {"metadata": {"name": "main"}, "spec": spec})

    async def change(self, **spec: Any) -> None:
        """Changes fields of its spec."""
        await self.api.patch_merge(TOWN, self.namespace, "main", {"spec": spec})

    async def get(self) -> Json:
        """The Town."""
        return await self.api.get(TOWN, self.namespace, "main") or {}

    async def until(self, type_: str, status: str, reason: str) -> Json:
        """The condition as soon as it says so."""

        async def look() -> bool:
            last[0] = find(await self.get(), type_)
            return (last[0].get("status"), last[0].get("reason")) == (status, reason)

        last: list[Json] = [{}]
        try:
            await eventually(look)
        except AssertionError:
            raise AssertionError(f"{type_} is not {status} {reason} but {last[0]}") from None
        return last[0]

    async def until_kstatus(self, word: str) -> Json:
        """The Town as soon as kstatus has this word for it."""

        async def look() -> bool:
            return kstatus(await self.get()) == word

        await eventually(look)
        return await self.get()

    async def until_there(self, resource: ResourceType, name: str = "main", former: str = "") -> Json:
        """The object as soon as it exists, with another UID than `former`."""

        async def look() -> Json | None:
            place = self.namespace if resource.namespaced else None
            found = await self.api.get(resource, place, name)
            return found if found is not None and found["metadata"]["uid"] != former else None

        return await eventually(look) or {}

    async def run_pods(self, node: PlayedNode, replicas: int) -> None:
        """Comes back when so many pods run and report."""
        names = [f"main-{number}" for number in range(replicas)]
        for pod in await node.until_pods(*names):
            name = pod["metadata"]["name"]
            if not pod["spec"].get("nodeName"):
                node.take(name)
            self.played.uids[name] = await node.run(name)
            await self.played.report_pod(name)
