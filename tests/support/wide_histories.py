"""Histories of users, agents, pods and operators: what may happen, made by chance, and carried out."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from polecat_api.bead import Priority
from polecat_kube.resources import BEAD, POLECAT
from support.operator_simulation import Json
from support.wide_simulation import PODS, RIGS, WideSimulation

What = tuple[Any, ...]
Step = tuple[What, int, int, int]
"""What happens, and which operator then hears of so many changes and does so many pieces of work."""
BEADS = ["a", "b", "c", "d", "e", "f", "g"]
ENDS = ["Done", "NoChanges", "AgentFailed", "Escalated", "TimedOut", "StartFailed", "Interrupted", "Cancelled", "Odd"]
names, numbers, operators = st.sampled_from(BEADS), st.integers(0, 5), st.integers(0, 1)
rigs = st.sampled_from(list(RIGS))
APPLY = st.tuples(
    st.just("apply"),
    names,
    rigs,
    st.sampled_from(["", "", "", "", "a", "b", "c"]),
    st.sampled_from(["Low", "Normal", "Critical"]),
)
STEPS = st.one_of(
    APPLY,
    st.just(("claim all",)),
    st.tuples(st.just("suspend"), names, st.booleans()),
    st.tuples(st.just("rerun"), names, st.sampled_from("xyz")),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("claim"), numbers),
    st.tuples(st.just("publish"), numbers),
    st.tuples(st.just("finish"), numbers, st.sampled_from(ENDS)),
    st.tuples(st.just("settle"), numbers),
    st.tuples(st.just("vanish"), numbers),
    st.tuples(st.just("kill by hand"), numbers),
    st.tuples(st.just("storm"), rigs, st.sampled_from(["StartFailed", "AgentFailed"])),
    st.tuples(st.just("repository"), rigs, st.booleans()),
    st.tuples(st.just("silence"), st.sampled_from([pod for pods in PODS.values() for pod in pods])),
    st.tuples(st.just("scale"), st.integers(1, 2)),
    st.tuples(st.just("end pod"), st.sampled_from(PODS["main"])),
    st.tuples(st.just("wipe status"), names),
    st.tuples(st.just("restart"), operators),
    st.tuples(st.just("lose answer"), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 15, 130, 800])),
)
ANY_STEP = st.tuples(STEPS, operators, st.integers(0, 12), st.integers(0, 12))


def _heard_by(operator: int, *happens: What) -> list[Step]:
    return [(what, operator, 40, 40) for what in happens]


def _bad_day(rig: str, reason: str, operator: int) -> list[Step]:
    """Bead after bead fails on one rig, until its breaker opens; then it is mended, and one bead is let through."""
    beads: list[What] = [("apply", f"bad-{number}", rig, "", "Normal") for number in range(6)]
    again: list[What] = [("storm", rig, reason), ("settle all",), ("wait", 15)]
    mended: list[What] = [("wait", 130), ("storm", rig, "Done"), ("settle all",), ("wait", 1)]
    return _heard_by(operator, *beads, *again * 6, *mended * 2)


def _long_queue(rig: str, pause_seconds: int, operator: int) -> list[Step]:
    """Beads of all priorities wait for a full rig, the low one for longer; then its places become free."""
    full: list[What] = [("apply", f"full-{number}", rig, "", "Normal") for number in range(4)]
    queue: list[What] = [
        ("claim all",),
        ("apply", "low", rig, "", "Low"),
        ("wait", pause_seconds),
        ("apply", "late", rig, "", "Normal"),
        ("apply", "urgent", rig, "", "Critical"),
    ]
    free: list[What] = [("storm", rig, "Done"), ("settle all",), ("wait", 1)]
    return _heard_by(operator, *full, *queue, *free * 4)


def _hopeless(rig: str, pause_seconds: int, operator: int) -> list[Step]:
    """A bead fails until its attempts are used up; one that depends on it, and a ring, wait for ever."""
    beads: list[What] = [
        ("apply", "hopeless", rig, "", "Critical"),
        ("apply", "after-it", rig, "hopeless", "Normal"),
        *(("apply", f"ring-{number}", rig, f"ring-{(number + 1) % 3}", "Normal") for number in range(3)),
    ]
    failing: list[What] = [("storm", rig, "AgentFailed"), ("settle all",), ("wait", 60), ("wait", pause_seconds)]
    return _heard_by(operator, *beads, *failing * 4)


def _shrinking(rig: str, pause_seconds: int, operator: int) -> list[Step]:
    """A pod goes with its agents at work, and comes back."""
    full: list[What] = [("apply", f"much-{number}", rig, "", "Normal") for number in range(4)]
    goes: list[What] = [("claim all",), ("scale", 1), ("wait", 1), ("end pod", "main-1"), ("wait", pause_seconds)]
    comes: list[What] = [("claim all",), ("scale", 2), ("wait", 15), ("settle all",), ("claim all",)]
    return _heard_by(operator, *full, *goes, *comes)


BAD_DAYS = st.builds(_bad_day, rigs, st.sampled_from(["StartFailed", "AgentFailed"]), operators)
LONG_QUEUES = st.builds(_long_queue, rigs, st.sampled_from([1, 2000]), operators)
SHRINKING = st.builds(_shrinking, rigs, st.sampled_from([1, 130]), operators)
LOST_CAUSES = st.builds(_hopeless, rigs, st.sampled_from([1, 700]), operators)
HISTORIES = st.builds(
    lambda first, then, episode, last: first + then + episode + last,
    st.lists(st.tuples(APPLY, operators, st.integers(0, 12), st.integers(0, 12)), min_size=4, max_size=8),
    st.lists(ANY_STEP, min_size=5, max_size=25),
    st.one_of(st.just([]), BAD_DAYS, LONG_QUEUES, LOST_CAUSES, SHRINKING),
    st.lists(ANY_STEP, min_size=5, max_size=25),
)
"""Steps by chance; in the middle often something that chance alone would hardly ever make of them."""


async def act(simulation: WideSimulation, what: str, *more: Any) -> None:
    """One step of a history."""
    server = simulation.server
    if what in ("apply", "suspend", "rerun", "delete", "wipe status"):
        _act_as_user(simulation, what, *more)
    elif what in ("claim", "publish", "finish", "settle", "vanish", "kill by hand"):
        simulation.act_on_polecat(what, *more)
    elif what == "claim all":
        for raw in server.of(POLECAT.kind):
            simulation.claim(raw)
    elif what == "settle all":
        for raw in server.of(POLECAT.kind):
            simulation.settle(raw)
    elif what == "storm":
        for raw in server.of(POLECAT.kind):
            if raw["spec"]["rigRef"]["name"] == more[0]:
                simulation.claim(raw)
                simulation.finish(raw, more[1])
    elif what == "repository":
        simulation.repository(more[0], ready=more[1])
    elif what == "silence":
        simulation.silent ^= {more[0]}
    elif what == "scale":
        simulation.scale(more[0])
    elif what == "end pod":
        simulation.end_pod(more[0])
    elif what == "restart":
        simulation.restart(more[0] % len(simulation.operators))
    elif what == "lose answer":
        server.lose_answers.append(more[0])
    else:
        simulation.clock.seconds += more[0]
        simulation.report()


def _act_as_user(simulation: WideSimulation, what: str, name: str, *more: Any) -> None:
    """One step of a user."""
    server = simulation.server
    raw = server.objects.get((BEAD.kind, name))
    if what == "apply" and raw is None:
        rig, dependency, priority = more
        depends_on = [dependency] if dependency and dependency != name else []
        spec = {"rigRef": {"name": rig}, "title": name, "prompt": "p", "dependsOn": depends_on}
        server.add(BEAD.kind, name, {**spec, "rerun": "", "priority": priority})
    elif raw is None or what == "apply":
        return
    elif what == "delete":
        server.remove(BEAD.kind, name)
    elif what == "wipe status":
        raw.pop("status", None)
        server.put(BEAD.kind, name, raw)
    else:
        raw["spec"][what] = more[0]
        raw["metadata"]["generation"] += 1
        server.put(BEAD.kind, name, raw)


class Reached:
    """Which states of the planner a history has come through, as the objects show it."""

    ALL = frozenset(
        {
            "breaker open",
            "breaker closed again",
            "priority before age",
            "age before priority",
            "an urgent one waits for those at work",
            "cycle",
            "publishing",
            "suspended",
            "suspended at work",
            "run again",
            "failed for good",
            "taken from a pod that is gone",
        }
    )

    def __init__(self) -> None:
        self.labels: set[str] = set()
        self._open: set[str] = set()
        """Rigs whose breaker was seen open."""
        self._polecats: set[str] = set()
        self._ended: dict[str, str] = {}
        self._waited: dict[str, Json] = {}

    def look(self, simulation: WideSimulation) -> None:
        """Notes what is to be seen now."""
        beads = simulation.server.of(BEAD.kind)
        for bead in beads:
            self._look_at(bead)
        for rig in RIGS:
            self._look_at_breaker(rig, [bead for bead in beads if bead["spec"]["rigRef"]["name"] == rig])
        for polecat in simulation.server.of(POLECAT.kind):
            if polecat["metadata"]["uid"] not in self._polecats:
                self._polecats.add(polecat["metadata"]["uid"])
                self._look_at_start(polecat["spec"]["beadRef"]["uid"], beads)
        self._waited = {bead["metadata"]["uid"]: bead for bead in beads if _ready(bead) in ("RigFull", "TownFull")}
        if any(bead["spec"]["priority"] == "Critical" for bead in self._waited.values()):
            at_work = [bead for bead in beads if _ready(bead) == "Running" and bead["spec"]["priority"] != "Critical"]
            self.labels |= {"an urgent one waits for those at work"} if at_work else set()

    def _look_at(self, bead: Json) -> None:
        uid, reason = bead["metadata"]["uid"], _ready(bead)
        words = {
            "BreakerOpen": "breaker open",
            "DependencyCycle": "cycle",
            "Publishing": "publishing",
            "Suspended": "suspended",
        }
        if reason in words:
            self.labels.add(words[reason])
        if "the town has no pod of that number any more" in _condition(bead, "Ready").get("message", ""):
            self.labels.add("taken from a pod that is gone")
        if reason == "Stopping" and bead["spec"].get("suspend"):
            self.labels.add("suspended at work")
        succeeded = _condition(bead, "Succeeded").get("status", "Unknown")
        if succeeded == "False":
            self.labels.add("failed for good")
        if succeeded != "Unknown":
            self._ended[uid] = bead["status"].get("observedRerun", "")
        elif uid in self._ended and bead.get("status", {}).get("observedRerun", "") != self._ended[uid]:
            self.labels.add("run again")

    def _look_at_breaker(self, rig: str, beads: list[Json]) -> None:
        reasons = [_ready(bead) for bead in beads]
        if "BreakerOpen" in reasons:
            self._open.add(rig)
        # While it is half open only one is let through.
        elif rig in self._open and sum(reason in ("Starting", "Running") for reason in reasons) > 1:
            self.labels.add("breaker closed again")

    def _look_at_start(self, uid: str, beads: list[Json]) -> None:
        started = next((bead for bead in beads if bead["metadata"]["uid"] == uid), None)
        if started is None or uid not in self._waited:
            return
        for other in self._waited.values():
            if other["spec"]["rigRef"] != started["spec"]["rigRef"] or other["metadata"]["uid"] == uid:
                continue
            ranks = [Priority(bead["spec"]["priority"]).rank for bead in (started, other)]
            if (
                ranks[0] > ranks[1]
                and started["metadata"]["creationTimestamp"] > other["metadata"]["creationTimestamp"]
            ):
                self.labels.add("priority before age")
            if ranks[0] < ranks[1]:
                self.labels.add("age before priority")


def _condition(bead: Json, type_: str) -> Json:
    conditions = bead.get("status", {}).get("conditions", [])
    return next((dict(each) for each in conditions if each["type"] == type_), {})


def _ready(bead: Json) -> str:
    return str(_condition(bead, "Ready").get("reason", ""))
