"""What must hold in every history of users, agents, pods and operators, however late or lost the news."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from polecat_kube.resources import BEAD, POLECAT
from support.operator_simulation import Simulation, run

BEADS = ["a", "b", "c", "d", "e"]
ENDS = ["Done", "NoChanges", "AgentFailed", "Escalated", "TimedOut", "StartFailed", "Interrupted", "Cancelled"]
names, numbers = st.sampled_from(BEADS), st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("apply"), names, st.sampled_from(["", *BEADS])),
    st.tuples(st.just("suspend"), names, st.booleans()),
    st.tuples(st.just("rerun"), names, st.sampled_from("xyz")),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("claim"), numbers),
    st.tuples(st.just("finish"), numbers, st.sampled_from(ENDS)),
    st.tuples(st.just("settle"), numbers),
    st.tuples(st.just("vanish"), numbers),
    st.tuples(st.just("hear"), st.integers(1, 8)),
    st.tuples(st.just("work"), st.integers(1, 8)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("lose answer"), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 15, 130, 700])),
)


class History:
    """What was seen of each bead so far."""

    def __init__(self) -> None:
        self.attempts: dict[str, tuple[int, int]] = {}
        self.terminal: dict[str, Any] = {}
        self.serials: set[tuple[str, int, str]] = set()

    def check(self, simulation: Simulation) -> None:
        """O2, O3, O6, O7."""
        polecats = simulation.server.of(POLECAT.kind)
        for bead in simulation.server.of(BEAD.kind):
            self._check_bead(
                bead, [raw for raw in polecats if raw["spec"]["beadRef"]["uid"] == bead["metadata"]["uid"]]
            )
        assert len(polecats) <= simulation.max_polecats, "more polecats than the rig may have"

    def _check_bead(self, bead: dict[str, Any], own: list[dict[str, Any]]) -> None:
        uid, status = bead["metadata"]["uid"], bead.get("status", {})
        before = self.attempts.get(uid, (0, 0))
        now = (status.get("attempts", 0), status.get("interruptions", 0))
        assert now[0] >= before[0] and now[1] >= before[1], f"counts went back from {before} to {now}"
        self.attempts[uid] = now
        serial = sum(now) + 1
        current = [
            raw for raw in own if raw["spec"]["attempt"] >= serial and "deletionTimestamp" not in raw["metadata"]
        ]
        assert len(current) <= 1, f"two current polecats: {[raw['metadata']['name'] for raw in current]}"
        for raw in own:
            self.serials.add((uid, raw["spec"]["attempt"], raw["metadata"]["uid"]))
        ended = next(
            (c for c in status.get("conditions", []) if c["type"] == "Succeeded" and c["status"] != "Unknown"), None
        )
        frozen = self.terminal.get(uid)
        if frozen is not None and frozen["observedRerun"] == bead["spec"]["rerun"]:
            assert status.get("conditions") == frozen["conditions"], "an ended bead changed"
        if ended is not None:
            kept = {"observedRerun": status.get("observedRerun", ""), "conditions": status["conditions"]}
            self.terminal[uid] = kept
        else:
            self.terminal.pop(uid, None)


async def play(steps: list[tuple[Any, ...]]) -> None:
    """One history, then rest, then what must hold at rest."""
    simulation, history = Simulation(), History()
    for step in steps:
        await act(simulation, *step)
        history.check(simulation)
    simulation.server.lose_answers.clear()
    await simulation.come_to_rest()
    history.check(simulation)
    at_rest(simulation)
    writes = simulation.server.writes
    simulation.restart()
    await simulation.come_to_rest()
    assert simulation.server.writes == writes, "a new operator changes what was at rest"


async def act(simulation: Simulation, what: str, *more: Any) -> None:
    """One step of a history."""
    server = simulation.server
    if what in ("apply", "suspend", "rerun", "delete"):
        await act_as_user(simulation, what, *more)
    elif what in ("claim", "finish", "settle", "vanish"):
        simulation.act_on_polecat(what, *more)
    elif what == "hear":
        await simulation.hear(more[0])
    elif what == "work":
        await simulation.work(more[0])
    elif what == "restart":
        simulation.restart()
    elif what == "lose answer":
        server.lose_answers.append(more[0])
    else:
        simulation.clock.seconds += more[0]
        simulation.report()


async def act_as_user(simulation: Simulation, what: str, name: str, *more: Any) -> None:
    """One step of a user."""
    server = simulation.server
    raw = server.objects.get((BEAD.kind, name))
    if what == "apply" and raw is None:
        depends_on = [more[0]] if more[0] and more[0] != name else []
        spec = {"rigRef": {"name": "web"}, "title": name, "prompt": "p", "dependsOn": depends_on, "rerun": ""}
        server.add(BEAD.kind, name, spec)
    elif raw is None or what == "apply":
        return
    elif what == "delete":
        server.remove(BEAD.kind, name)
    else:
        raw["spec"][what] = more[0]
        raw["metadata"]["generation"] += 1
        server.put(BEAD.kind, name, raw)


def at_rest(simulation: Simulation) -> None:
    """O5: each open bead is at work, or waits with a reason that is true."""
    polecats = {raw["spec"]["beadRef"]["uid"]: raw for raw in simulation.server.of(POLECAT.kind)}
    waits_for_slot = 0
    for bead in simulation.server.of(BEAD.kind):
        status = bead.get("status", {})
        ready = next(condition for condition in status["conditions"] if condition["type"] == "Ready")
        own = polecats.pop(bead["metadata"]["uid"], None)
        assert status["observedGeneration"] == bead["metadata"]["generation"]
        if status.get("polecat"):
            assert own is not None and own["spec"]["name"] == status["polecat"], f"{ready['reason']} without a polecat"
            continue
        assert own is None, "a polecat that its bead does not name"
        waits_for_slot += ready["reason"] in ("RigFull", "TownFull")
        assert ready["reason"] not in ("Queued", "Starting", "Running", "Publishing", "Stopping", "BackingOff"), ready
    assert not polecats, "polecats without a bead"
    if waits_for_slot:
        assert len(simulation.server.of(POLECAT.kind)) == simulation.max_polecats, "slots are free, and beads wait"


@example([("apply", "a", ""), ("hear", 1), ("wait", 130), ("work", 3)])  # a pod silent for one pass only
@settings(max_examples=60)
@given(st.lists(STEPS, max_size=40))
def test_every_history_keeps_the_invariants_and_comes_to_rest(steps: list[tuple[Any, ...]]) -> None:
    run(play(steps))
