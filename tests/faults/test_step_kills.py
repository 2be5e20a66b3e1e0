"""A supervisor is killed before every effect of every step: nothing lost, nothing twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.kill_matrix import KillMatrix, Scenario

SCENARIOS = [
    Scenario("done", "done", frozenset({"Done"})),
    Scenario("agent fails", "exit", frozenset({"AgentFailed"})),
    Scenario("deleted", "delete", frozenset({"Cancelled"})),
    Scenario("drained", "drain", frozenset({"Interrupted"})),
]
PARTS = 3
KILLS = int(os.environ.get("POLECAT_TEST_KILLS", "2"))
"""How many supervisors in a row are killed."""


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
async def test_i23_killed_before_every_effect(scenario: Scenario, part: int, tmp_path: Path) -> None:
    """A worktree was deleted with unpushed commits. Every combination of two kills, on real Git.

    Worlds that are equal but for times and process ids are gone on from once.
    """
    matrix = KillMatrix(scenario, tmp_path)
    lives = await matrix.play(kills=KILLS, part=part, parts=PARTS)
    print(f"{scenario.name}: {lives} lives from {len(matrix.seen)} different worlds, at {matrix.points} points")
    assert lives >= len(matrix.seen) // PARTS > 10, "hardly any effect was seen"
