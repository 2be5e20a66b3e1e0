"""What is done in a soak, and when: all of it follows from the seed. No I/O."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

RIGS = ("web", "api")
"""`web` is reached over HTTP through a proxy, `api` as a directory."""
QUIET_SECONDS = 6.0
"""Nothing goes wrong before that."""
BEAD_EVERY_SECONDS = 4.0
FAULT_EVERY_SECONDS = 3.5
WISH_EVERY_SECONDS = 6.0

AGENTS: Mapping[str, float] = {
    "plain": 10,
    "checkpoint": 3,
    "dirty": 1,
    "daemon": 2,
    "empty": 1,
    "crashes": 1.5,
    "never-done": 1.5,
    "stuck": 1,
    "escalates": 0.5,
}
"""Kinds of agents and how often they come; see `agents.py`."""
FAULTS: Mapping[str, float] = {
    "kill operator": 2,
    "end operator": 1,
    "freeze operator": 2,
    "kill town": 3,
    "drain town": 1,
    "freeze town": 2,
    "kill agent": 4,
    "freeze agent": 2,
    "kill api-server": 1.5,
    "freeze api-server": 1,
    "cut operator-link": 1,
    "silence operator-link": 1,
    "slow operator-link": 1,
    "cut town-link": 1,
    "silence town-link": 1,
    "slow town-link": 1,
    "cut remote-link": 1,
    "silence remote-link": 1,
    "slow remote-link": 1,
    "reject remote": 1.5,
    "lie remote": 1.5,
    "stall remote": 1,
}
"""Kinds of faults, `<what> <part>`, and how often they come."""
WISHES: Mapping[str, float] = {"suspend": 4, "delete": 3, "rerun": 3, "priority": 2}
"""What users do to beads that are there."""
SHORT, LONG = (0.5, 6.0), (1.0, 15.0)
DURATION_SECONDS: Mapping[str, tuple[float, float]] = {
    "freeze": LONG,
    "freeze api-server": SHORT,
    "cut": LONG,
    "silence": LONG,
    "slow": LONG,
    "reject": LONG,
    "lie": LONG,
    "stall": LONG,
    "suspend": LONG,
}
"""How long what does not happen at once goes on: least and most seconds."""


@dataclass(frozen=True, slots=True)
class PlannedBead:
    """A piece of work."""

    at_seconds: float
    name: str
    rig: str
    agent: str
    commits: int
    pause_seconds: float
    """Of the agent, before each commit."""
    priority: str
    depends_on: tuple[str, ...]
    attempts: int


@dataclass(frozen=True, slots=True)
class PlannedAct:
    """A fault, or a user's wish."""

    at_seconds: float
    kind: str
    pick: float
    """Which of the candidates there are then: 0 the first, almost 1 the last."""
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything, in the order of time."""

    seed: int
    seconds: float
    beads: tuple[PlannedBead, ...]
    faults: tuple[PlannedAct, ...]
    wishes: tuple[PlannedAct, ...]


def make_plan(seed: int, seconds: float) -> Plan:
    """The plan of a seed. A longer one of the same seed begins with the shorter one."""
    chance = random.Random(f"{seed} beads")
    moments = _moments(chance, seconds, BEAD_EVERY_SECONDS)
    return Plan(
        seed,
        seconds,
        tuple(_bead(chance, number, at) for number, at in enumerate(moments)),
        _acts(random.Random(f"{seed} faults"), seconds, FAULT_EVERY_SECONDS, FAULTS),
        _acts(random.Random(f"{seed} wishes"), seconds, WISH_EVERY_SECONDS, WISHES),
    )


def _moments(chance: random.Random, seconds: float, every_seconds: float) -> Iterator[float]:
    """Moments that come at random, on average so often; drawn one by one, with what is drawn for each between."""
    at = 0.0
    while (at := at + chance.expovariate(1 / every_seconds)) < seconds:
        yield at


def _bead(chance: random.Random, number: int, at: float) -> PlannedBead:
    earlier = chance.sample(range(max(0, number - 6), number), k=min(number, chance.choice((0, 0, 0, 1, 2))))
    return PlannedBead(
        at_seconds=round(at, 2),
        name=f"b{number:04}",
        rig=chance.choice(RIGS),
        agent=_one_of(chance, AGENTS),
        commits=chance.randint(1, 3),
        pause_seconds=round(chance.uniform(0.1, 2.5), 1),
        priority=chance.choice(("Low", "Normal", "Normal", "High", "Critical")),
        depends_on=tuple(f"b{each:04}" for each in sorted(earlier)),
        attempts=chance.randint(1, 3),
    )


def _acts(
    chance: random.Random, seconds: float, every_seconds: float, kinds: Mapping[str, float]
) -> tuple[PlannedAct, ...]:
    acts = []
    for at in _moments(chance, seconds - QUIET_SECONDS, every_seconds):
        kind = _one_of(chance, kinds)
        shortest, longest = DURATION_SECONDS.get(kind) or DURATION_SECONDS.get(kind.split()[0]) or (0.0, 0.0)
        duration = round(chance.uniform(shortest, longest), 1)
        acts.append(PlannedAct(round(QUIET_SECONDS + at, 2), kind, chance.random(), duration))
    return tuple(acts)


def _one_of(chance: random.Random, kinds: Mapping[str, float]) -> str:
    return chance.choices(list(kinds), weights=list(kinds.values()))[0]
