"""The plan of a soak follows from its seed alone, and has everything in it."""

from __future__ import annotations

from soak.plan import AGENTS, DURATION_SECONDS, FAULTS, QUIET_SECONDS, RIGS, WISHES, make_plan

HOUR_SECONDS = 3600.0


def test_a_seed_makes_one_plan() -> None:
    assert make_plan(7, 120.0) == make_plan(7, 120.0)
    assert make_plan(7, 120.0) != make_plan(8, 120.0)


def test_a_longer_plan_begins_with_the_shorter_one() -> None:
    short, long = make_plan(7, 120.0), make_plan(7, HOUR_SECONDS)
    assert long.beads[: len(short.beads)] == short.beads
    assert long.faults[: len(short.faults)] == short.faults
    assert long.wishes[: len(short.wishes)] == short.wishes


def test_an_hour_has_every_kind_in_it_in_the_order_of_time() -> None:
    plan = make_plan(7, HOUR_SECONDS)
    assert {bead.agent for bead in plan.beads} == set(AGENTS)
    assert {bead.rig for bead in plan.beads} == set(RIGS)
    assert {act.kind for act in plan.faults} == set(FAULTS)
    assert {act.kind for act in plan.wishes} == set(WISHES)
    for entries in (plan.beads, plan.faults, plan.wishes):
        moments = [entry.at_seconds for entry in entries]
        assert moments == sorted(moments)
        assert moments[-1] < HOUR_SECONDS
    assert plan.faults[0].at_seconds >= QUIET_SECONDS


def test_beads_depend_on_earlier_ones_only_and_names_differ() -> None:
    beads = make_plan(7, HOUR_SECONDS).beads
    assert len({bead.name for bead in beads}) == len(beads)
    assert any(bead.depends_on for bead in beads)
    assert all(other < bead.name for bead in beads for other in bead.depends_on)


def test_what_lasts_has_a_length_within_its_bounds() -> None:
    plan = make_plan(7, HOUR_SECONDS)
    for act in (*plan.faults, *plan.wishes):
        bounds = DURATION_SECONDS.get(act.kind) or DURATION_SECONDS.get(act.kind.split()[0]) or (0.0, 0.0)
        assert bounds[0] <= act.duration_seconds <= bounds[1], act
        assert 0 <= act.pick < 1
