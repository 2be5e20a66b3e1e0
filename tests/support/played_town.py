"""The operator inside the test's process, and a town that is played at the API by the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from polecat_api.protocol import REPOSITORY_MANAGER, town_manager
from polecat_api.times import format_time
from polecat_kube.api import KubeApi
from polecat_kube.connection import Connection
from polecat_kube.errors import NotFoundError
from polecat_kube.informer import Informer
from polecat_kube.resources import BEAD, POLECAT, RIG, TOWN
from polecat_operator.app import Operator
from polecat_operator.settings import Settings

Json = dict[str, Any]
T = TypeVar("T")
PATIENCE_SECONDS = 30.0
POLL_SECONDS = 0.02
BEAT_SECONDS = 30.0


def timestamp() -> str:
    """Now, as the API server writes it."""
    return format_time(datetime.now(UTC))


def condition(type_: str, status: str, reason: str, message: str = "") -> Json:
    """A condition as it stands in a status."""
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": timestamp(),
    }


def find(resource: Json | None, type_: str) -> Json:
    """The condition of this type, or an empty one."""
    conditions = ((resource or {}).get("status") or {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == type_), {})


async def eventually(look: Callable[[], Awaitable[T]], seconds: float = PATIENCE_SECONDS) -> T:
    """What `look` gives as soon as it is true. Fails with what it gave last."""
    last: Any = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                last = await look()
                if last:
                    return last
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s; last: {last!r}") from None


@asynccontextmanager
async def running_operator(connection: Connection, namespace: str, **settings: Any) -> AsyncIterator[Operator]:
    """An operator for one namespace, with its Lease in it; it is stopped at the end, and must not have failed."""
    defaults: dict[str, Any] = {
        "namespace": namespace,
        "watch_namespaces": (namespace,),
        "town_workloads": "external",
        "listen": "127.0.0.1:0",
    }
    # In a loop of its own: at its end kopf cancels all tasks of its loop that it did not find there.
    loop = asyncio.new_event_loop()
    operator = Operator(connection, Settings(**(defaults | settings)))
    running = asyncio.ensure_future(asyncio.to_thread(_run, loop, operator))
    try:
        yield operator
    finally:
        with suppress(RuntimeError):  # its loop is closed: it has ended by itself, and says why
            loop.call_soon_threadsafe(operator.stop.set)
        await running


def _run(loop: asyncio.AbstractEventLoop, operator: Operator) -> None:
    try:
        loop.run_until_complete(operator.run())
    finally:
        loop.close()


class PlayedTown:
    """A town with one rig whose pods claim what they are given, do as the test says, and settle what is deleted."""

    def __init__(self, api: KubeApi, namespace: str, *, town: str = "main", rig: str = "web") -> None:
        self.api = api
        self.namespace = namespace
        self.town = town
        self.rig = rig
        self.claiming = True
        self.settling = True
        self.uids: dict[str, str] = {}
        """Pod → UID, of pods that exist at the API server; others have made-up ones."""
        self.seen: list[str] = []
        """Object names of polecats, in the order in which they appeared."""
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    @asynccontextmanager
    async def open(
        self,
        *,
        slots: int = 5,
        max_polecats: int = 5,
        pods: tuple[str, ...] = ("main-0",),
        more_rigs: tuple[str, ...] = (),
        beating: bool = False,
        **spec: Any,
    ) -> AsyncIterator["PlayedTown"]:
        """Applies Town and Rigs, reports them ready, and acts until the end of the block.

        Pods report once, and again and again when the town is `beating`. `spec`: more of the Town's.
        """
        body = {"slots": slots, "replicas": len(pods), **spec}
        await self.api.create(TOWN, self.namespace, {"metadata": {"name": self.town}, "spec": body})
        for pod in pods:
            await self.report_pod(pod)
        for rig in (self.rig, *more_rigs):
            await self.create_rig(rig, max_polecats=max_polecats)
            await self.report_repository(rig=rig)
        informer = Informer(self.api, POLECAT, self.namespace, self._changed)
        own = [asyncio.create_task(informer.run())]
        if beating:
            own.append(asyncio.create_task(self._beat(pods)))
        try:
            yield self
        finally:
            tasks = [*own, *self._tasks.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _beat(self, pods: tuple[str, ...]) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            for pod in pods:
                await self.report_pod(pod)

    async def create_rig(self, rig: str = "", *, max_polecats: int = 5, **spec: Any) -> None:
        """Applies a rig, that of this town unless told otherwise."""
        body = {
            "townRef": {"name": self.town},
            "repository": {"url": "https://git.example/web.git"},
            "model": {"name": "scripted"},
            "polecats": {"max": max_polecats},
            **spec,
        }
        await self.api.create(RIG, self.namespace, {"metadata": {"name": rig or self.rig}, "spec": body})

    def uid_of(self, pod: str) -> str:
        """UID of a pod."""
        return self.uids.get(pod, f"{pod}-uid")

    async def report_pod(self, pod: str = "main-0", *, uid: str = "", ready: bool = True, **fields: Any) -> None:
        """Writes a pod's entry of the town."""
        entry = {"name": pod, "uid": uid or self.uid_of(pod), "ready": ready, "seenTime": timestamp(), **fields}
        await self.api.apply(
            TOWN,
            self.namespace,
            self.town,
            {"status": {"pods": [entry]}},
            subresource="status",
            manager=town_manager(pod),
        )

    async def report_repository(
        self, status: str = "True", reason: str = "RepositoryOk", message: str = "", *, rig: str = ""
    ) -> None:
        """Writes a rig's condition RepositoryReady."""
        said = condition("RepositoryReady", status, reason, message)
        await self.api.apply(
            RIG,
            self.namespace,
            rig or self.rig,
            {"status": {"conditions": [said]}},
            subresource="status",
            manager=REPOSITORY_MANAGER,
        )

    async def bead(self, name: str, **spec: Any) -> Json:
        """Applies a bead."""
        body = {"rigRef": {"name": self.rig}, "title": name, "prompt": f"do {name}", **spec}
        return await self.api.create(BEAD, self.namespace, {"metadata": {"name": name}, "spec": body})

    async def change_bead(self, name: str, **spec: Any) -> None:
        """Changes fields of a bead's spec."""
        await self.api.patch_merge(BEAD, self.namespace, name, {"spec": spec})

    async def running(self, polecat: str, reason: str = "Running") -> None:
        """The agent is at work."""
        await self._status(polecat, {"conditions": [condition("Ready", "True", reason)]})

    async def finish(self, polecat: str, reason: str, message: str = "", **fields: Any) -> None:
        """The attempt has ended."""
        ended = [condition("Ready", "False", "Stopping"), condition("Finished", "True", reason, message)]
        await self._status(polecat, {"conditions": ended, **fields})

    async def get_bead(self, name: str) -> Json:
        """A bead."""
        found = await self.api.get(BEAD, self.namespace, name)
        assert found is not None, f"bead {name} is gone"
        return found

    async def until_bead(self, name: str, reason: str, status: str | None = None) -> Json:
        """The bead as soon as its condition Ready has this reason (and status)."""

        async def look() -> Json | None:
            bead = await self.get_bead(name)
            ready = find(bead, "Ready")
            hit = ready.get("reason") == reason and status in (None, ready.get("status"))
            last["bead"] = bead.get("status")
            return bead if hit else None

        last: Json = {}
        try:
            return await eventually(look) or {}
        except AssertionError as error:
            raise AssertionError(f"bead {name} is not {reason} but {last}") from error

    async def until_polecat(self, name: str, *, claimed: bool = True, attempt: int | None = None) -> Json:
        """The Polecat as soon as it exists and is claimed."""

        async def look() -> Json | None:
            found = await self.api.get(POLECAT, self.namespace, name)
            if found is None or (claimed and not (found.get("status") or {}).get("claim")):
                return None
            return found if attempt is None or found["spec"]["attempt"] == attempt else None

        return await eventually(look) or {}

    async def until_attempt(self, bead: str, attempt: int) -> Json:
        """The claimed Polecat of this attempt at a bead, whatever its name."""

        async def look() -> Json | None:
            for polecat in await self.polecats():
                mine = polecat["spec"]["beadRef"]["name"] == bead and polecat["spec"]["attempt"] == attempt
                if mine and (polecat.get("status") or {}).get("claim"):
                    return polecat
            return None

        return await eventually(look) or {}

    async def until_gone(self, polecat: str) -> None:
        """Comes back when the Polecat does not exist."""

        async def look() -> bool:
            return await self.api.get(POLECAT, self.namespace, polecat) is None

        await eventually(look)

    async def polecats(self) -> list[Json]:
        """All Polecats, by name."""
        items, _ = await self.api.list(POLECAT, self.namespace)
        return sorted(items, key=lambda each: str(each["metadata"]["name"]))

    def _changed(self, old: Json | None, new: Json | None) -> None:
        if new is None:
            return
        meta = new["metadata"]
        if old is None or old["metadata"]["uid"] != meta["uid"]:
            self.seen.append(meta["name"])
        if meta.get("deletionTimestamp") and self.settling:
            self._once("settle", meta["uid"], lambda: self.settle(new))
        elif self.claiming and not (new.get("status") or {}).get("claim"):
            self._once("claim", meta["uid"], lambda: self.claim(new))

    def _once(self, what: str, uid: str, act: Callable[[], Any]) -> None:
        if (what, uid) not in self._tasks:
            self._tasks[what, uid] = asyncio.create_task(act())

    async def claim(self, polecat: Json) -> None:
        """Its pod takes the Polecat."""
        pod = polecat["spec"]["pod"]
        claim = {"pod": pod, "podUID": self.uid_of(pod), "time": timestamp()}
        with suppress(NotFoundError):
            await self._status(polecat["metadata"]["name"], {"claim": claim})

    async def settle(self, polecat: Json) -> None:
        """Its pod is through with a Polecat that is being deleted."""
        name = polecat["metadata"]["name"]
        with suppress(NotFoundError):
            if (polecat.get("status") or {}).get("claim") and not find(polecat, "Finished"):
                saved = {"savedCommit": "b" * 40, "savedRef": f"refs/polecat/saved/{name}/1"}
                await self.finish(name, "Cancelled", "stopped", **saved)
            await self.api.patch_merge(POLECAT, self.namespace, name, {"metadata": {"finalizers": None}})

    async def _status(self, polecat: str, status: Json) -> None:
        await self.api.patch_merge(POLECAT, self.namespace, polecat, {"status": status}, subresource="status")
