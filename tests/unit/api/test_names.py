"""Names come in pool order, never twice, and their object names stay within Kubernetes' limits."""

import re
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from polecat_api.names import (
    NAME_MAX_LENGTH,
    NAME_PATTERN,
    POOL,
    RIG_NAME_MAX_LENGTH,
    candidates,
    first_free,
    object_name,
)

label = st.from_regex(r"\A[a-z]([-a-z0-9]{0,18}[a-z0-9])?\Z")


def test_pool_is_in_the_documented_order() -> None:
    assert POOL[:6] == ("toast", "maple", "birch", "shadow", "copper", "ember")
    assert len(POOL) == 20


def test_first_free_takes_the_first_gap() -> None:
    assert first_free(POOL, "web", {"web-toast", "web-birch"}) == "maple"


def test_past_the_end_of_the_pool_names_are_numbered_in_order() -> None:
    assert list(islice(candidates(["a", "b"]), 5)) == ["a", "b", "a-2", "b-2", "a-3"]


def test_a_numbered_name_is_checked_like_any_other() -> None:
    assert first_free(["a", "b"], "r", {"r-a", "r-b", "r-b-2", "r-a-2"}) == "a-3"


def test_a_pool_that_holds_a_numbered_name_itself_gives_it_once() -> None:
    assert list(islice(candidates(["toast", "toast-2"]), 4)) == ["toast", "toast-2", "toast-2-2", "toast-3"]


def test_where_rig_and_name_meet_the_second_takes_its_next_name() -> None:
    taken = {object_name("a-b", "c")}
    assert first_free(["b-c", "d"], "a", taken) == "d"


@given(st.lists(label, unique=True, max_size=30), st.sets(st.integers(0, 79), max_size=79))
def test_candidates_never_repeat_and_first_free_is_the_first(pool: list[str], taken_places: set[int]) -> None:
    first = list(islice(candidates(pool), 81))
    assert len(set(first)) == len(first)
    taken = {object_name("rig", first[place]) for place in taken_places}
    lowest_free = next(place for place in range(81) if place not in taken_places)
    assert first_free(pool, "rig", taken) == first[lowest_free]


@given(label)
def test_object_names_fit_a_dns_label(name: str) -> None:
    assert re.match(NAME_PATTERN, name)
    assert len(object_name("r" * RIG_NAME_MAX_LENGTH, "n" * NAME_MAX_LENGTH)) <= 63
