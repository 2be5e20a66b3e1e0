"""Several rigs, towns and pods, and two operators that both act, on the API server that is a dictionary."""

from __future__ import annotations

from collections import deque
from typing import Any

from polecat_api.protocol import LABEL_TOWN
from polecat_kube.resources import BEAD, POD, POLECAT, RIG, TOWN
from support.operator_simulation import NAMESPACE, START, Json, OneOperator, PodHands
from support.story_text import tell

PODS = {"main": ("main-0", "main-1"), "side": ("side-0",)}
SLOTS = {"main": 2, "side": 1}
RIGS: dict[str, tuple[str, int, list[str]]] = {
    "web": ("main", 3, ["toast", "maple"]),
    # Their first names meet in one object name: `a-b-c`.
    "a": ("main", 2, ["b-c", "e"]),
    "a-b": ("side", 2, ["c"]),
}
"""Rig → (town, most polecats, pool)."""


class WideSimulation(PodHands):
    """A server, operators that each hear of changes in their own time, and the hands of users, agents and pods."""

    def __init__(self, operators: int) -> None:
        super().__init__()
        for town, slots in SLOTS.items():
            self.server.add(TOWN.kind, town, {"slots": slots, "replicas": len(PODS[town])})
            for pod in PODS[town]:
                self._start_pod(town, pod)
        for rig, (town, most, names) in RIGS.items():
            spec = {
                "townRef": {"name": town},
                "repository": {"url": "https://git.example/web.git"},
                "model": {"name": "m"},
                "polecats": {"max": most, "names": names},
            }
            self.server.add(RIG.kind, rig, spec)
            self.repository(rig, ready=True)
        self.silent: set[str] = set()
        self.let_go: set[str] = set()
        """UIDs of polecats that their pod or a person has let go."""
        self.report()
        self.server.changes.clear()
        self.unheard: list[deque[tuple[str, str, Json]]] = [deque() for _ in range(operators)]
        self.operators = [self._new_operator() for _ in range(operators)]

    def repository(self, rig: str, *, ready: bool) -> None:
        """The town says whether it reaches the rig's repository."""
        raw = self.server.objects.get((RIG.kind, rig))
        if raw is None:
            return
        words = ("True", "RepositoryOk") if ready else ("False", "RepositoryUnreachable")
        said = {"type": "RepositoryReady", "status": words[0], "reason": words[1], "message": ""}
        raw["status"] = {"conditions": [{**said, "lastTransitionTime": START.isoformat()}]}
        self.server.put(RIG.kind, rig, raw)

    def _new_operator(self) -> OneOperator:
        """One that has just listed everything, pods too."""
        made = OneOperator(self.server, self.clock)
        for raw in self.server.of(POD.kind):
            made.cache.workloads.take_pod(None, raw)
        made.cache.workloads.watched = lambda: True
        return made

    def _start_pod(self, town: str, pod: str) -> None:
        self.server.add(POD.kind, pod, {}, labels={LABEL_TOWN: town})

    def pod_uid(self, pod: str) -> str:
        """UID of a pod; empty when there is none of this name."""
        raw = self.server.objects.get((POD.kind, pod))
        return raw["metadata"]["uid"] if raw else ""

    def takes_work(self, pod: str) -> bool:
        """Whether a pod is there and not ending."""
        raw = self.server.objects.get((POD.kind, pod))
        return raw is not None and "deletionTimestamp" not in raw["metadata"]

    def replicas(self, town: str) -> int:
        """How many pods a town asks for."""
        return int(self.server.objects[TOWN.kind, town]["spec"]["replicas"])

    def scale(self, replicas: int) -> None:
        """Somebody changes how many pods the town `main` has, and its pods follow; those that go drain for a while."""
        raw = self.server.objects[TOWN.kind, "main"]
        raw["spec"]["replicas"] = replicas
        raw["metadata"]["generation"] += 1
        self.server.put(TOWN.kind, "main", raw)
        for number, pod in enumerate(PODS["main"]):
            found = self.server.objects.get((POD.kind, pod))
            if number >= replicas and found is not None and self.takes_work(pod):
                found["metadata"]["deletionTimestamp"] = self.clock.now().isoformat()
                self.server.put(POD.kind, pod, found)
            if number < replicas and not self.takes_work(pod):
                self.end_pod(pod)
                self._start_pod("main", pod)

    def end_pod(self, pod: str) -> None:
        """A pod that was to end has ended, with whatever it had in hand."""
        if (POD.kind, pod) in self.server.objects and not self.takes_work(pod):
            self.server.remove(POD.kind, pod)

    def report(self) -> None:
        """Every pod that is there and not silent writes its entry."""
        for town, pods in PODS.items():
            raw = self.server.objects[TOWN.kind, town]
            before = {pod["name"]: pod for pod in raw.get("status", {}).get("pods", [])}
            stamp = self.clock.now().isoformat()
            for pod in pods:
                if pod not in self.silent and self.pod_uid(pod):
                    ready = self.takes_work(pod)
                    before[pod] = {"name": pod, "uid": self.pod_uid(pod), "ready": ready, "seenTime": stamp}
            raw["status"] = {"pods": [before[pod] for pod in pods if pod in before]}
            self.server.put(TOWN.kind, town, raw)

    def restart(self, which: int) -> None:
        """An operator dies and begins anew."""
        self._spread()
        self.operators[which] = self._new_operator()
        self.unheard[which].clear()

    def end_others(self) -> None:
        """All operators but the last have noticed that they do not lead any more, and end."""
        del self.operators[:-1], self.unheard[:-1]

    def claim(self, raw: Json) -> None:
        """The pod takes a polecat, unless the bead names another one."""
        bead = self.server.objects.get((BEAD.kind, raw["spec"]["beadRef"]["name"]))
        named = bead is not None and bead.get("status", {}).get("polecat") == raw["spec"]["name"]
        pod = raw["spec"]["pod"]
        if (
            raw.get("status", {}).get("claim")
            or "deletionTimestamp" in raw["metadata"]
            or not named
            or pod in self.silent
            or not self.takes_work(pod)
        ):
            return
        now = self.clock.now().isoformat()
        claim = {"pod": pod, "podUID": self.pod_uid(pod), "time": now}
        self.tell(raw, {"claim": claim, "conditions": [self.condition("Ready", "Running")]})

    def settle(self, raw: Json) -> None:
        """The pod is through with a polecat that is being deleted."""
        pod = raw["spec"]["pod"]
        if pod not in self.silent and self.pod_uid(pod) and "deletionTimestamp" in raw["metadata"]:
            self.let_go.add(raw["metadata"]["uid"])
            super().settle(raw)

    def act_on_polecat(self, what: str, number: int, *more: Any) -> None:
        """Something happens to the polecat of this number, if there is one."""
        polecats = self.server.of(POLECAT.kind)
        if what == "vanish" and number < len(polecats):
            self.let_go.add(polecats[number]["metadata"]["uid"])
        super().act_on_polecat(what, number, *more)

    def unheard_seconds(self, polecat: Json) -> float:
        """For how long the operator that knows least has not heard of a polecat's pod."""
        place = (NAMESPACE, polecat["spec"]["townRef"]["name"], polecat["spec"]["pod"])
        seen = [each.cache.pods.get(place) for each in self.operators]
        return max(self.clock.seconds - each.observed if each else float("inf") for each in seen)

    def finish(self, raw: Json, reason: str) -> None:
        """An attempt ends, if the life of the pod that claimed it goes on."""
        claim = raw.get("status", {}).get("claim")
        if claim and claim["podUID"] == self.pod_uid(claim["pod"]):
            super().finish(raw, reason)

    def hear(self, which: int, count: int) -> None:
        """The watch of one operator tells the next changes."""
        self._spread()
        for _ in range(min(count, len(self.unheard[which]))):
            type_, kind, raw = self.unheard[which].popleft()
            if kind == POD.kind:
                now = None if type_ == "DELETED" else raw
                self.operators[which].cache.workloads.take_pod(raw, now)
            else:
                self.operators[which].hear((type_, kind, raw))

    async def work(self, which: int, count: int) -> None:
        """One operator looks round and works on the next keys."""
        self.operators[which].sweeper.look()
        for _ in range(count):
            if not await self.operators[which].step():
                return

    async def come_to_rest(self, rounds: int = 600) -> None:
        """Pods claim and settle, watches tell everything, until nothing happens any more."""
        for _ in range(rounds):
            for name in [raw["metadata"]["name"] for raw in self.server.of(POLECAT.kind)]:
                for act in (self.settle, self.claim):
                    if (POLECAT.kind, name) in self.server.objects:
                        act(self.server.objects[POLECAT.kind, name])
            busy = False
            for which in range(len(self.operators)):
                self.hear(which, 20)
                self.operators[which].sweeper.look()
                busy = await self.operators[which].step() or bool(self.unheard[which]) or busy
                await self.work(which, 20)
            if busy or self.server.changes:
                continue
            due = [when for each in self.operators for when, _ in each.queue.planned.values()]
            if not due:
                return
            self.clock.seconds = max(self.clock.seconds, min(due))
            self.report()
        raise AssertionError("it does not come to rest")

    def as_stories(self) -> str:
        """What each operator knows of each bead, as entries for a file in `tests/unit/operator/stories`."""
        now, mono = self.clock.now(), self.clock.mono()
        return "\n".join(
            tell(f"operator {number}: {bead.name}", operator.snapshots.bead(bead, mono), now, START)
            for number, operator in enumerate(self.operators)
            for bead in operator.cache.beads.items.values()
        )

    def _spread(self) -> None:
        while self.server.changes:
            change = self.server.changes.popleft()
            for each in self.unheard:
                each.append(change)
