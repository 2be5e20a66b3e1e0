"""Tells in one line each what happens to towns, rigs, beads and polecats."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from polecat_api.untrusted import Json, condition
from polecat_kube.api import KubeApi
from polecat_kube.informer import Informer
from polecat_kube.resources import BEAD, POLECAT, RIG, TOWN, ResourceType


class Follower:
    """Watches all four kinds while the context is open; what is there at the beginning is not told."""

    def __init__(self, api: KubeApi, say: Callable[[str], None]) -> None:
        self._api = api
        self._say = say
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        api = await self._stack.enter_async_context(self._api)
        for resource in (TOWN, RIG, BEAD, POLECAT):
            self._tasks.append(asyncio.create_task(self._follow(api, resource), name=f"follow-{resource.plural}"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def _follow(self, api: KubeApi, resource: ResourceType) -> None:
        def changed(old: Json | None, new: Json | None) -> None:
            if informer.synced.is_set() and (line := describe_change(resource.kind, old, new)):
                self._say(line)

        informer = Informer(api, resource, None, changed)
        await informer.run()


def describe_change(kind: str, old: Json | None, new: Json | None) -> str | None:
    """One line for a change that people care about; None for a heartbeat and the like.

    `old` is None for an object that is new, `new` is None for one that is gone.
    """
    some = new if new is not None else old
    if some is None:
        return None
    title = f"{kind.lower()} {_label(some)}"
    if new is None:
        return f"{title} gone"
    before, now = ("" if old is None else _state(kind, old)), _state(kind, new)
    if old is not None and before == now:
        return None
    return f"{title} {now or 'created'}"


def _label(item: Json) -> str:
    name, namespace = item["metadata"]["name"], item["metadata"].get("namespace", "")
    return name if namespace == "default" else f"{namespace}/{name}"


def _state(kind: str, item: Json) -> str:
    status: Json = item.get("status") or {}
    match kind:
        case "Bead":
            return _bead_state(status)
        case "Polecat":
            return _polecat_state(item, status)
        case _:
            return _ready_state(status)


def _bead_state(status: Json) -> str:
    succeeded = condition(status, "Succeeded")
    words = [status.get("state") or ""]
    if name := status.get("polecat"):
        words.append(f"as {name}")
    # Not the place in the queue: it changes for all that wait whenever one starts.
    # Only what waits or ended badly has something to explain.
    if succeeded.get("status") != "True" and not status.get("polecat") and succeeded.get("message"):
        words.append(f"({succeeded['message']})")
    return " ".join(word for word in words if word)


def _polecat_state(item: Json, status: Json) -> str:
    bead = ((item.get("spec") or {}).get("beadRef") or {}).get("name", "")
    finished = condition(status, "Finished")
    if item["metadata"].get("deletionTimestamp"):
        return f"for {bead}: being put away"
    if finished.get("status") == "True":
        return f"for {bead}: finished, {finished.get('reason', '')}"
    if condition(status, "Ready").get("status") == "True":
        return f"for {bead}: agent runs"
    if status.get("claim"):
        return f"for {bead}: claimed by {status['claim'].get('pod', '')}"
    return f"for {bead}: created"


def _ready_state(status: Json) -> str:
    ready = condition(status, "Ready")
    match ready.get("status"):
        case "True":
            return "Ready"
        case "False" | "Unknown":
            return f"not ready: {ready.get('message') or ready.get('reason', '')}"
        case _:
            return ""
