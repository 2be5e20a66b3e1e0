"""Who starts, where, and under which name; and when a breaker says no."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from polecat_api.bead import Priority
from polecat_api.conditions import Outcome, Reason
from polecat_operator.actions import Ending
from polecat_operator.planner.breaker import Breaker, allowance, record
from polecat_operator.planner.dependencies import find_cycle
from polecat_operator.planner.placement import choose_pod
from polecat_operator.planner.retries import pause_seconds
from polecat_operator.planner.scheduling import order, positions, schedule
from polecat_operator.world import PodWorld, RigWorld, TownWorld, Waiting

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
FAILED = Ending(Outcome.AGENT, Reason.AGENT_FAILED)


def queue(count: int, **kwargs: str) -> list[Waiting]:
    """Beads that came one after the other."""
    return [Waiting(float(number), f"b{number}", kwargs.get(f"b{number}")) for number in range(count)]


def town(*rigs: RigWorld, free: int = 100, taken: tuple[str, ...] = (), intents: tuple[str, ...] = ()) -> TownWorld:
    """A town with one pod."""
    return TownWorld((PodWorld("main-0", free),), rigs, taken, intents)


def started(world: TownWorld) -> list[tuple[str, str]]:
    """(bead, name) of each start."""
    return [(assignment.bead, assignment.name) for _, assignment in schedule(world)]


def test_names_are_given_in_pool_order_and_taken_ones_passed_over() -> None:
    rig = RigWorld("web", 10, 1, (), queue(3))
    assert started(town(rig, taken=("web-toast",), intents=("web-birch",))) == [
        ("b0", "maple"),
        ("b1", "shadow"),
        ("b2", "copper"),
    ]


def test_past_the_end_of_the_pool_names_are_numbered_and_checked() -> None:
    rig = RigWorld("web", 10, 0, ("toast", "maple"), queue(4))
    assert [name for _, name in started(town(rig, taken=("web-toast-2",)))] == ["toast", "maple", "maple-2", "toast-3"]


def test_declared_start_keeps_its_name_and_its_turn() -> None:
    rig = RigWorld("web", 1, 0, (), [Waiting(9.0, "late", "maple"), *queue(2)])
    assert started(town(rig, intents=("web-maple",))) == [("late", "maple")]


def test_declared_name_that_another_has_by_now_is_given_up() -> None:
    rig = RigWorld("web", 1, 0, (), [Waiting(9.0, "late", "maple")])
    assert started(town(rig, taken=("web-maple",), intents=("web-maple",))) == [("late", "toast")]


def test_rig_and_town_caps() -> None:
    full = RigWorld("full", 2, 2, (), queue(2))
    rig = RigWorld("web", 3, 1, (), queue(5))
    assert [bead for bead, _ in started(town(full, rig))] == ["b0", "b1"]
    assert [bead for bead, _ in started(town(rig, free=1))] == ["b0"]


def test_beads_of_all_rigs_start_in_one_order() -> None:
    one = RigWorld("one", 9, 0, (), [Waiting(1.0, "x"), Waiting(4.0, "y")])
    two = RigWorld("two", 9, 0, (), [Waiting(2.0, "p"), Waiting(3.0, "q")])
    assert [bead for bead, _ in started(town(one, two, free=3))] == ["x", "p", "q"]


def test_half_open_breaker_lets_one_through() -> None:
    rig = RigWorld("web", 9, 0, (), queue(5), allowance=1)
    assert len(started(town(rig))) == 1


def test_pod_that_knows_the_rig_comes_first_then_the_emptiest() -> None:
    pods = [
        PodWorld("a", 1),
        PodWorld("b", 5),
        PodWorld("c", 2, frozenset({"web"})),
        PodWorld("d", 0, frozenset({"web"})),
    ]
    assert getattr(choose_pod(pods, "web"), "name", None) == "c"
    assert getattr(choose_pod(pods, "api"), "name", None) == "b"
    assert choose_pod([PodWorld("a", 0)], "web") is None


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(Priority), st.sampled_from(Priority))
def test_priority_counts_half_an_hour_a_step_so_that_nothing_starves(
    first: float, second: float, one: Priority, other: Priority
) -> None:
    ahead = order(first, one) < order(second, other)
    assert ahead == (first - second < (one.rank - other.rank) * 1800)


def test_first_hundred_positions_are_exact() -> None:
    told = positions(queue(150))
    assert (told["b0"], told["b99"], len(told)) == (1, 100, 100)


def test_pauses() -> None:
    assert [pause_seconds(failures) for failures in (0, 1, 2, 3, 7, 50)] == [0, 10, 20, 40, 600, 600]


def test_breaker_opens_after_five_different_beads_and_tries_one_after_the_pause() -> None:
    breaker = Breaker()
    for bead in ("a", "a", "b", "c", "d"):
        breaker = record(breaker, bead, FAILED, "boom", NOW, town=False)
    assert breaker.closed
    breaker = record(breaker, "e", FAILED, "boom", NOW, town=False)
    assert (allowance(breaker, 0, NOW), breaker.pause_seconds) == (0, 60)
    later = NOW + timedelta(seconds=60)
    assert (allowance(breaker, 0, later), allowance(breaker, 1, later)) == (1, 0)
    again = record(breaker, "f", FAILED, "boom", later, town=False)
    assert (allowance(again, 0, later), again.pause_seconds) == (0, 120)
    healed = record(again, "g", Ending(Outcome.SUCCESS, Reason.DONE), "", later, town=False)
    assert allowance(healed, 7, later) is None


def test_breaker_does_not_open_for_the_end_of_a_pod_or_with_success_in_between() -> None:
    breaker = Breaker()
    for number in range(20):
        breaker = record(breaker, f"b{number}", Ending(Outcome.INFRASTRUCTURE, Reason.POD_LOST), "", NOW, town=False)
        breaker = record(breaker, f"c{number}", Ending(Outcome.CANCELLED, Reason.CANCELLED), "", NOW, town=False)
    assert breaker == Breaker()
    for number in range(20):
        breaker = record(breaker, f"b{number}", FAILED, "", NOW, town=False)
        if number % 4 == 3:
            breaker = record(breaker, "good", Ending(Outcome.SUCCESS, Reason.DONE), "", NOW, town=False)
    assert breaker.closed


def test_towns_breaker_minds_starts_only() -> None:
    breaker = Breaker()
    for number in range(9):
        breaker = record(breaker, f"b{number}", FAILED, "", NOW, town=True)
    assert breaker.closed
    for number in range(5):
        breaker = record(breaker, f"b{number}", Ending(Outcome.INFRASTRUCTURE, Reason.START_FAILED), "", NOW, town=True)
    assert not breaker.closed


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefgh"), max_size=3)))
def test_ring_that_is_found_is_one_and_none_is_missed(graph: dict[str, list[str]]) -> None:
    ring = find_cycle("a", lambda name: graph.get(name, []))
    reached: set[str] = set()
    ahead = list(graph.get("a", []))
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += graph.get(name, [])
    assert bool(ring) == ("a" in reached)
    if ring:
        assert ring[0] == ring[-1] == "a"
        assert all(after in graph.get(before, []) for before, after in pairwise(ring))
