"""The operator's controllers on an API server that is a dictionary, with a clock and a watch that the test moves."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from polecat_kube.api import KubeApi
from polecat_kube.errors import AlreadyExistsError, ConflictError, NotFoundError, UnknownOutcomeError
from polecat_kube.resources import BEAD, POLECAT, RIG, TOWN, ResourceType
from polecat_operator.board import Board
from polecat_operator.bookkeeping import Bookkeeper
from polecat_operator.clock import Clock
from polecat_operator.context import Context
from polecat_operator.controllers.bead import BeadController
from polecat_operator.controllers.polecat import PolecatController
from polecat_operator.controllers.schedule import ScheduleController
from polecat_operator.controllers.workload import WorkloadController
from polecat_operator.executor import Executor
from polecat_operator.intake import Intake
from polecat_operator.posting import EventPoster
from polecat_operator.queue import Key, KeyedQueue, Lane
from polecat_operator.routing import Router
from polecat_operator.settings import Settings
from polecat_operator.snapshots import Snapshots
from polecat_operator.sweep import Sweeper

Json = dict[str, Any]
NAMESPACE = "default"
START = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


class MovedClock(Clock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        """The time of day."""
        return START + timedelta(seconds=self.seconds)

    def mono(self) -> float:
        """Seconds since the start."""
        return self.seconds


class FakeServer:
    """Objects with resource versions, preconditions, finalizers, owners; every change waits to be watched."""

    def __init__(self, clock: MovedClock) -> None:
        self._clock = clock
        self._version = itertools.count(1)
        self._uid = itertools.count(1)
        self.objects: dict[tuple[str, str], Json] = {}
        self.changes: deque[tuple[str, str, Json]] = deque()
        """(type, kind, object) that the watch has not told yet."""
        self.writes = 0
        self.lose_answers: deque[bool] = deque()
        """For each of the next writes, whether its answer is lost although it is carried out."""

    def put(self, kind: str, name: str, raw: Json) -> Json:
        """Stores an object; True changes only."""
        known = (kind, name) in self.objects
        raw["metadata"]["resourceVersion"] = str(next(self._version))
        self.objects[kind, name] = raw
        self.changes.append(("MODIFIED" if known else "ADDED", kind, copy.deepcopy(raw)))
        return copy.deepcopy(raw)

    def add(self, kind: str, name: str, spec: Json, **more: Any) -> Json:
        """A user creates an object."""
        meta = {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"{next(self._uid):08x}-0000-4000-8000-000000000000",
            "generation": 1,
            "creationTimestamp": self._clock.now().isoformat(),
            **more,
        }
        return self.put(kind, name, {"metadata": meta, "spec": spec})

    def remove(self, kind: str, name: str) -> None:
        """Deletes an object, or only marks it while it has finalizers. What it owns goes too."""
        raw = self.objects[kind, name]
        if raw["metadata"].get("finalizers"):
            if "deletionTimestamp" not in raw["metadata"]:
                raw["metadata"]["deletionTimestamp"] = self._clock.now().isoformat()
                self.put(kind, name, raw)
            return
        del self.objects[kind, name]
        raw["metadata"]["resourceVersion"] = str(next(self._version))
        self.changes.append(("DELETED", kind, copy.deepcopy(raw)))
        for other_kind, other in list(self.objects):
            owners = self.objects[other_kind, other]["metadata"].get("ownerReferences", [])
            if any(owner["uid"] == raw["metadata"]["uid"] for owner in owners):
                self.remove(other_kind, other)

    def _answer(self, what: str, raw: Json) -> Json:
        self.writes += 1
        if self.lose_answers and self.lose_answers.popleft():
            raise UnknownOutcomeError(what, "the answer was lost")
        return raw

    async def get(self, resource: ResourceType, namespace: str, name: str) -> Json | None:
        """As KubeApi."""
        found = self.objects.get((resource.kind, name))
        return copy.deepcopy(found) if found else None

    async def create(self, resource: ResourceType, namespace: str, body: Json) -> Json:
        """As KubeApi."""
        name = body["metadata"]["name"]
        if (resource.kind, name) in self.objects:
            raise AlreadyExistsError("create", name)
        meta = {key: value for key, value in body["metadata"].items() if key not in ("name", "namespace")}
        made = self.add(resource.kind, name, copy.deepcopy(body["spec"]), **meta)
        bead = self.objects.get((BEAD.kind, body["spec"]["beadRef"]["name"]))
        if bead is None or bead["metadata"]["uid"] != body["spec"]["beadRef"]["uid"]:
            self.remove(resource.kind, name)  # what the garbage collector does with an orphan
        return self._answer("create", made)

    async def patch_json(
        self, resource: ResourceType, namespace: str, name: str, patch: list[Json], subresource: str | None = None
    ) -> Json:
        """As KubeApi, for the patches that the operator makes."""
        raw = self.objects.get((resource.kind, name))
        if raw is None:
            raise NotFoundError("patch", name)
        raw = copy.deepcopy(raw)
        for step in patch:
            *parents, last = step["path"].strip("/").split("/")
            place = raw
            for parent in parents:
                place = place[parent]
            if step["op"] == "test" and place.get(last) != step["value"]:
                raise ConflictError("patch", f"{name}: {step['path']}")
            if step["op"] != "test":
                place[last] = step["value"]
        answer = self.put(resource.kind, name, raw)
        if raw["metadata"].get("deletionTimestamp"):
            self.remove(resource.kind, name)
        return self._answer("patch", answer)

    async def delete(self, resource: ResourceType, namespace: str, name: str, *, uid: str | None = None) -> bool:
        """As KubeApi."""
        raw = self.objects.get((resource.kind, name))
        if raw is None:
            return False
        if uid and raw["metadata"]["uid"] != uid:
            raise ConflictError("delete", name)
        self.remove(resource.kind, name)
        self._answer("delete", {})
        return True

    def of(self, kind: str) -> list[Json]:
        """All objects of a kind."""
        return [raw for (other, _), raw in sorted(self.objects.items()) if other == kind]


class SteppedQueue(KeyedQueue):
    """A queue whose timers follow the moved clock."""

    def __init__(self, clock: MovedClock) -> None:
        super().__init__(later_limit=4)
        self._clock = clock
        self.planned: dict[Key, tuple[float, Lane]] = {}

    def add_after(self, key: Key, seconds: float, lane: Lane) -> None:
        """Remembers when the key is due."""
        when = self._clock.seconds + max(0.0, seconds)
        before, before_lane = self.planned.get(key, (when, lane))
        self.planned[key] = (min(when, before), min(lane, before_lane))

    def move(self) -> None:
        """Adds the keys that are due by now."""
        for key, (when, lane) in list(self.planned.items()):
            if when <= self._clock.seconds:
                del self.planned[key]
                self.add(key, lane)

    def take(self) -> Key | None:
        """The next key, if there is one."""
        return self._take()


class _Open:
    def check(self) -> None:
        """Always the leader."""


class OneOperator:
    """One life of an operator: everything in memory begins with the objects that exist."""

    def __init__(self, server: FakeServer, clock: MovedClock) -> None:
        settings = Settings(town_workloads="external")
        api = cast("KubeApi", server)
        self._server = server
        self.queue = SteppedQueue(clock)
        self.board = Board()
        events = EventPoster(api, self.queue, clock)
        router = Router(self.queue, self.board, settings, clock)
        self.cache = router.cache
        self.intake = Intake(self.cache)
        self.resync = router.look_at_everything
        fence = _Open()
        context = Context(
            settings=settings,
            api=api,
            cache=self.cache,
            board=self.board,
            queue=self.queue,
            snapshots=Snapshots(self.cache, self.board, settings, clock.mono()),
            executor=Executor(
                api,
                self.cache,
                fence,
                written=Bookkeeper(self.cache, self.board, self.queue, events, clock).written,
                blocked=lambda namespace, name: None,
            ),
            events=events,
            fence=fence,
            clock=clock,
        )
        self.snapshots = context.snapshots
        self.sweeper = Sweeper(self.cache, context.snapshots, self.queue, clock)
        beads = BeadController(context)
        schedule = ScheduleController(context, beads)
        self._controllers: dict[str, Any] = {
            "bead": beads.reconcile,
            "schedule": schedule.reconcile,
            "waiting": schedule.tell_waiting,
            "polecat": PolecatController(context).reconcile,
            "proof": WorkloadController(context).prove,
        }
        for resource in (TOWN, RIG, POLECAT, BEAD):
            for raw in server.of(resource.kind):
                self.intake.take(resource.kind, copy.deepcopy(raw), deleted=False)
        router.lead()

    async def step(self) -> bool:
        """Works on one key; False when there is none."""
        self.queue.move()
        key = self.queue.take()
        if key is None:
            return False
        reconcile = self._controllers.get(key.kind)
        try:
            if reconcile is not None:
                await reconcile((key.namespace, key.name))
            self.queue.done(key)
        except UnknownOutcomeError:
            self.queue.failed(key, Lane.LIFE)
        return True

    def holds_back(self) -> bool:
        """Whether a breaker is not closed."""
        breakers = (*self.board.rig_breakers.values(), *self.board.town_breakers.values())
        return any(not breaker.closed for breaker in breakers)

    def hear(self, change: tuple[str, str, Json]) -> None:
        """The watch tells one change."""
        type_, kind, raw = change
        self.intake.take(kind, raw, deleted=type_ == "DELETED")


class PodHands:
    """What town pods do to polecats at the server."""

    def __init__(self) -> None:
        self.clock = MovedClock()
        self.server = FakeServer(self.clock)

    def claim(self, raw: Json) -> None:
        """The pod takes a polecat."""
        raise NotImplementedError

    def publish(self, raw: Json) -> None:
        """A claimed polecat's agent has called done."""
        if self._is_at_work(raw):
            self.tell(raw, {"conditions": [self.condition("Ready", "Publishing")]})

    def finish(self, raw: Json, reason: str) -> None:
        """A claimed polecat's attempt ends."""
        if self._is_at_work(raw):
            self.tell(raw, {"conditions": [self.condition("Finished", reason)]})

    def settle(self, raw: Json) -> None:
        """The pod is through with a polecat that is being deleted."""
        if "deletionTimestamp" in raw["metadata"]:
            self.finish(raw, "Cancelled")
            raw["metadata"]["finalizers"] = []
            self.server.remove(POLECAT.kind, raw["metadata"]["name"])

    def act_on_polecat(self, what: str, number: int, *more: Any) -> None:
        """Something happens to the polecat of this number, if there is one."""
        polecats = self.server.of(POLECAT.kind)
        if number >= len(polecats):
            return
        raw = polecats[number]
        if what == "claim":
            self.claim(raw)
        elif what == "publish":
            self.publish(raw)
        elif what == "finish":
            self.finish(raw, more[0])
        elif what == "settle":
            self.settle(raw)
        else:
            if what == "vanish":
                raw["metadata"]["finalizers"] = []
            self.server.remove(POLECAT.kind, raw["metadata"]["name"])

    def tell(self, raw: Json, status: Json) -> None:
        """Writes a polecat's status."""
        raw["status"] = {**raw.get("status", {}), **status}
        self.server.put(POLECAT.kind, raw["metadata"]["name"], raw)

    def condition(self, type_: str, reason: str) -> Json:
        """A condition that is True."""
        stamp = self.clock.now().isoformat()
        return {"type": type_, "status": "True", "reason": reason, "message": "so", "lastTransitionTime": stamp}

    @staticmethod
    def _is_at_work(raw: Json) -> bool:
        status = raw.get("status", {})
        ended = any(condition["type"] == "Finished" for condition in status.get("conditions", []))
        return bool(status.get("claim")) and not ended


class Simulation(PodHands):
    """Server, operator, and the hands that users, agents and town pods have."""

    def __init__(self, *, max_polecats: int = 3, slots: int = 4) -> None:
        super().__init__()
        self.max_polecats = max_polecats
        self.server.add(TOWN.kind, "main", {"slots": slots})
        self.server.add(
            RIG.kind,
            "web",
            {
                "townRef": {"name": "main"},
                "repository": {"url": "https://git.example/web.git"},
                "model": {"name": "m"},
                "polecats": {"max": max_polecats, "names": ["toast", "maple"]},
            },
        )
        ready = {"type": "RepositoryReady", "status": "True", "reason": "RepositoryOk", "message": ""}
        rig = self.server.objects[RIG.kind, "web"]
        rig["status"] = {"conditions": [{**ready, "lastTransitionTime": START.isoformat()}]}
        self.server.put(RIG.kind, "web", rig)
        self.report()
        self.operator = OneOperator(self.server, self.clock)
        self.server.changes.clear()

    def report(self) -> None:
        """The pod writes its entry."""
        town = self.server.objects[TOWN.kind, "main"]
        pod = {"name": "main-0", "uid": "pod", "ready": True, "seenTime": self.clock.now().isoformat()}
        town["status"] = {"pods": [pod]}
        self.server.put(TOWN.kind, "main", town)

    def restart(self) -> None:
        """The operator dies and begins anew."""
        self.operator = OneOperator(self.server, self.clock)
        self.server.changes.clear()

    def claim(self, raw: Json) -> None:
        """The pod takes a polecat."""
        if not raw.get("status", {}).get("claim") and "deletionTimestamp" not in raw["metadata"]:
            claim = {"pod": "main-0", "podUID": "pod", "time": self.clock.now().isoformat()}
            self.tell(raw, {"claim": claim, "conditions": [self.condition("Ready", "Running")]})

    async def hear(self, count: int) -> None:
        """The watch tells the next changes."""
        for _ in range(min(count, len(self.server.changes))):
            self.operator.hear(self.server.changes.popleft())

    async def work(self, count: int) -> None:
        """The operator works on the next keys."""
        for _ in range(count):
            if not await self.operator.step():
                return

    async def come_to_rest(self, rounds: int = 400) -> None:
        """The town settles what is deleted, the watch tells everything, until nothing happens any more."""
        for _ in range(rounds):
            for raw in self.server.of(POLECAT.kind):
                self.settle(raw)
                if raw["metadata"]["name"] in {each["metadata"]["name"] for each in self.server.of(POLECAT.kind)}:
                    self.claim(raw)
            if not self.server.changes and not await self.operator.step():
                if not self.operator.queue.planned:
                    return
                due = min(when for when, _ in self.operator.queue.planned.values())
                self.clock.seconds = max(self.clock.seconds, due)
                self.report()
            await self.hear(10)
            await self.work(10)
        raise AssertionError("it does not come to rest")


def run(coroutine: Any) -> Any:
    """Runs to the end in a loop of its own."""
    return asyncio.run(coroutine)
