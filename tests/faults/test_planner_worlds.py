"""Contradictory rules left work hooked and idle for ever: every reachable world comes to rest, and rightly so."""

from __future__ import annotations

import importlib.util
import os
import secrets
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hypothesis import event, given, seed, settings

from polecat_api.protocol import FENCE_MARGIN_SECONDS, FENCING_SECONDS
from polecat_kube.resources import BEAD, POLECAT
from polecat_operator.planner.lifecycle import plan_bead
from support.operator_simulation import Json, run
from support.story_text import world_of
from support.wide_histories import HISTORIES, Reached, Step, act
from support.wide_simulation import PODS, RIGS, SLOTS, WideSimulation

SEED_VARIABLE = "POLECAT_TEST_SEED"


def load_module(path: Path) -> ModuleType:
    """A module of tests, from its file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Watcher:
    """What was seen of each bead so far: O6 and O7 hold at every moment, whoever acts."""

    def __init__(self) -> None:
        self.counts: dict[str, tuple[int, int]] = {}
        self.ended: dict[str, tuple[str, Any]] = {}
        self.claims: dict[str, Json] = {}
        """UID → polecats that a pod has claimed."""

    def wiped(self, bead: Json) -> None:
        """Somebody has taken the status away: what was in it is not held against the operator."""
        self.counts.pop(bead["metadata"]["uid"], None)
        self.ended.pop(bead["metadata"]["uid"], None)

    def check(self, simulation: WideSimulation) -> None:
        """Raises AssertionError."""
        self._check_fence(simulation)
        for bead in simulation.server.of(BEAD.kind):
            uid, status = bead["metadata"]["uid"], bead.get("status", {})
            now, before = (status.get("attempts", 0), status.get("interruptions", 0)), self.counts.get(uid, (0, 0))
            assert now[0] >= before[0] and now[1] >= before[1], f"counts went back from {before} to {now}"
            self.counts[uid] = now
            succeeded = next((each for each in status.get("conditions", []) if each["type"] == "Succeeded"), None)
            if uid in self.ended and self.ended[uid][0] == bead["spec"]["rerun"]:
                assert status.get("conditions") == self.ended[uid][1], "an ended bead has changed"
            self.ended.pop(uid, None)
            if succeeded is not None and succeeded["status"] != "Unknown":
                self.ended[uid] = (status.get("observedRerun", ""), status["conditions"])

    def _check_fence(self, simulation: WideSimulation) -> None:
        """No polecat is taken from a pod that may be at work on it: not while it lives and was heard of lately."""
        polecats = {raw["metadata"]["uid"]: raw for raw in simulation.server.of(POLECAT.kind)}
        for uid, raw in self.claims.items():
            claim = raw["status"]["claim"]
            if uid in polecats or uid in simulation.let_go or claim["podUID"] != simulation.pod_uid(claim["pod"]):
                continue
            silent = simulation.unheard_seconds(raw)
            assert silent > FENCING_SECONDS + FENCE_MARGIN_SECONDS, f"taken from a pod that lives: {claim}"
        self.claims = {uid: raw for uid, raw in polecats.items() if raw.get("status", {}).get("claim")}


async def play(operators_: int, steps: list[Step]) -> set[str]:
    """One history, then rest, then what must hold at rest; gives the states of the planner that it came through."""
    simulation, watcher, reached = WideSimulation(operators_), Watcher(), Reached()
    try:
        for step, operator, heard, worked in steps:
            if step[0] == "wipe status" and (wiped := simulation.server.objects.get((BEAD.kind, step[1]))):
                watcher.wiped(wiped)
            await act(simulation, *step)
            simulation.hear(operator % operators_, heard)
            await simulation.work(operator % operators_, worked)
            watcher.check(simulation)
            reached.look(simulation)
        simulation.server.lose_answers.clear()
        simulation.silent.clear()
        for pod in PODS["main"]:
            simulation.end_pod(pod)
        for rig in RIGS:
            simulation.repository(rig, ready=True)
        simulation.report()
        simulation.end_others()
        await simulation.come_to_rest()
        if operators_ > 1:
            # Places in a queue that the other one has told are put right at the next resync only.
            simulation.operators[0].resync()
            await simulation.come_to_rest()
        watcher.check(simulation)
        at_rest(simulation)
        if simulation.operators[0].holds_back():
            # A new operator begins with closed breakers, so that others may start; once.
            simulation.restart(0)
            await simulation.come_to_rest()
            at_rest(simulation)
        writes = simulation.server.writes
        simulation.restart(0)
        await simulation.come_to_rest()
        assert simulation.server.writes == writes, "a new operator changes what was at rest"
    except AssertionError as error:
        error.add_note(simulation.as_stories())
        raise
    return reached.labels


def at_rest(simulation: WideSimulation) -> None:
    """O2, O3, O5: each open bead is at work under its own name, or waits with a reason that is true."""
    polecats = simulation.server.of(POLECAT.kind)
    branches = [raw["spec"]["branch"] for raw in polecats]
    assert len(branches) == len(set(branches)), "two polecats on one branch"
    own = {raw["spec"]["beadRef"]["uid"]: raw for raw in polecats}
    assert len(own) == len(polecats), "two polecats for one bead"
    full: set[str] = set()
    for bead in simulation.server.of(BEAD.kind):
        status = bead.get("status", {})
        assert "conditions" in status, "a bead without a word"
        ready = next(each for each in status["conditions"] if each["type"] == "Ready")
        polecat = own.pop(bead["metadata"]["uid"], None)
        assert status["observedGeneration"] == bead["metadata"]["generation"]
        if status.get("polecat"):
            assert polecat is not None and polecat["spec"]["name"] == status["polecat"], "named, but not there"
            assert ready["reason"] in ("Running", "Publishing"), ready
            continue
        assert polecat is None, "a polecat that its bead does not name"
        assert ready["reason"] not in ("Queued", "Starting", "Running", "Publishing", "Stopping", "BackingOff"), ready
        if ready["reason"] in ("RigFull", "TownFull"):
            full.add(bead["spec"]["rigRef"]["name"])
    assert not own, "polecats without a bead"
    for rig in full:
        assert is_full(simulation, rig), f"slots are free, and beads of rig {rig} wait for one"


def is_full(simulation: WideSimulation, rig: str) -> bool:
    """Whether neither rig nor town could take another polecat."""
    town, most, _ = RIGS[rig]
    polecats = [raw["spec"] for raw in simulation.server.of(POLECAT.kind)]
    of_rig = [spec for spec in polecats if spec["rigRef"]["name"] == rig]
    of_town = [spec for spec in polecats if spec["townRef"]["name"] == town]
    return len(of_rig) >= most or len(of_town) >= SLOTS[town] * simulation.replicas(town)


def play_by_chance(operators_: int, examples: int, seed_: int) -> set[str]:
    """Many histories; gives the states that they came through. A failure names the seed."""
    reached: set[str] = set()

    @seed(seed_)
    @settings(max_examples=examples)
    @given(HISTORIES)
    def any_history(steps: list[Step]) -> None:
        labels = run(play(operators_, steps))
        for label in sorted(labels):
            event(label)
        reached.update(labels)

    print(f"{SEED_VARIABLE}={seed_}")  # shown at once when it fails, also before the smallest case is found
    try:
        any_history()
    except BaseException as error:
        error.add_note(f"again with {SEED_VARIABLE}={seed_}")
        raise
    return reached


@pytest.fixture
def chosen_seed() -> int:
    """Another one each time, unless the environment names one."""
    given_ = os.environ.get(SEED_VARIABLE)
    return int(given_) if given_ else secrets.randbelow(1 << 31)


def test_i14_every_world_comes_to_rest(chosen_seed: int) -> None:
    """Hooked, and idle for ever. Any history of users, agents, pods and one operator with stale knowledge."""
    play_by_chance(1, 100, chosen_seed)


def test_i14_every_world_that_two_leaders_left_comes_to_rest(chosen_seed: int) -> None:
    """The same after two operators have acted at once, each on what it had heard so far, and one has ended."""
    play_by_chance(2, 100, chosen_seed)


def test_histories_come_through_every_state_of_the_planner() -> None:
    """What no history reaches is not tested by any."""
    missing = Reached.ALL - play_by_chance(1, 200, 1)
    assert not missing, missing


def test_an_urgent_bead_waits_for_those_at_work() -> None:
    """Nothing at work is stopped for another bead, however urgent."""

    async def history() -> None:
        simulation = WideSimulation(1)
        for number in range(4):
            await act(simulation, "apply", f"low-{number}", "web", "", "Low")
        await simulation.come_to_rest()
        before = {raw["metadata"]["uid"] for raw in simulation.server.of(POLECAT.kind)}
        await act(simulation, "apply", "urgent", "web", "", "Critical")
        await simulation.come_to_rest()
        assert {raw["metadata"]["uid"] for raw in simulation.server.of(POLECAT.kind)} == before
        await act(simulation, "finish", 0, "Done")
        await simulation.come_to_rest()
        assert "urgent" in {raw["spec"]["beadRef"]["name"] for raw in simulation.server.of(POLECAT.kind)}
        at_rest(simulation)

    run(history())


def test_a_failing_world_can_be_pasted_into_the_stories() -> None:
    """What a failure prints is read by the tests of the stories, and means the same world."""
    stories = load_module(Path(__file__).parents[1] / "unit" / "operator" / "test_stories.py")
    told: set[str] = set()

    @seed(1)
    @settings(max_examples=40, database=None)
    @given(HISTORIES)
    def any_history(steps: list[Step]) -> None:
        for story in yaml.safe_load(run(stories_of(steps))) or []:
            stories.hold(story)
            told.update(kind for action in story["expect"]["actions"] for kind in action)

    any_history()
    assert {"write", "create"} <= told, "the worlds have nothing to do"


async def stories_of(steps: list[Step]) -> str:
    """The worlds in the middle of a history, as a failure would print them; each must be what its text says."""
    simulation = WideSimulation(1)
    for step, _, heard, worked in steps:
        await act(simulation, *step)
        simulation.hear(0, heard)
        await simulation.work(0, worked // 3)
    operator, mono = simulation.operators[0], simulation.clock.mono()
    worlds = [operator.snapshots.bead(bead, mono) for bead in operator.cache.beads.items.values()]
    text = simulation.as_stories()
    for world, story in zip(worlds, yaml.safe_load(text) or [], strict=True):
        again = world_of(story)
        assert again.bead == world.bead
        assert plan_bead(again, simulation.clock.now()) == plan_bead(world, simulation.clock.now())
    return text
