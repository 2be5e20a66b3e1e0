"""Several rigs, towns and pods, and two operators that both act, on the API server that is a dictionary."""

from __future__ import annotations

from collections import deque

from polecat_kube.resources import BEAD, POLECAT, RIG, TOWN
from support.operator_simulation import START, Json, OneOperator, PodHands
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
        self.report()
        self.server.changes.clear()
        self.unheard: list[deque[tuple[str, str, Json]]] = [deque() for _ in range(operators)]
        self.operators = [OneOperator(self.server, self.clock) for _ in range(operators)]

    def repository(self, rig: str, *, ready: bool) -> None:
        """The town says whether it reaches the rig's repository."""
        raw = self.server.objects.get((RIG.kind, rig))
        if raw is None:
            return
        words = ("True", "RepositoryOk") if ready else ("False", "RepositoryUnreachable")
        said = {"type": "RepositoryReady", "status": words[0], "reason": words[1], "message": ""}
        raw["status"] = {"conditions": [{**said, "lastTransitionTime": START.isoformat()}]}
        self.server.put(RIG.kind, rig, raw)

    def report(self) -> None:
        """Every pod that is not silent writes its entry."""
        for town, pods in PODS.items():
            raw = self.server.objects[TOWN.kind, town]
            before = {pod["name"]: pod for pod in raw.get("status", {}).get("pods", [])}
            stamp = self.clock.now().isoformat()
            for pod in pods:
                if pod not in self.silent:
                    before[pod] = {"name": pod, "uid": f"{pod}-uid", "ready": True, "seenTime": stamp}
            raw["status"] = {"pods": [before[pod] for pod in pods if pod in before]}
            self.server.put(TOWN.kind, town, raw)

    def restart(self, which: int) -> None:
        """An operator dies and begins anew."""
        self._spread()
        self.operators[which] = OneOperator(self.server, self.clock)
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
        ):
            return
        now = self.clock.now().isoformat()
        claim = {"pod": pod, "podUID": f"{pod}-uid", "time": now}
        self.tell(raw, {"claim": claim, "conditions": [self.condition("Ready", "Running")]})

    def settle(self, raw: Json) -> None:
        """The pod is through with a polecat that is being deleted."""
        if raw["spec"]["pod"] not in self.silent:
            super().settle(raw)

    def hear(self, which: int, count: int) -> None:
        """The watch of one operator tells the next changes."""
        self._spread()
        for _ in range(min(count, len(self.unheard[which]))):
            self.operators[which].hear(self.unheard[which].popleft())

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
