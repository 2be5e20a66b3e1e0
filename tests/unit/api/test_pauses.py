"""Pauses between tries at an API server that is away."""

import pytest

from polecat_kube.api import LONGEST_PAUSE_SECONDS, pause_before_retry


@pytest.mark.parametrize(("attempt", "longest"), [(0, 0.2), (1, 0.4), (4, 3.2), (5, 5.0), (5000, 5.0)])
def test_pauses_double_up_to_a_bound_however_long_it_is_away(attempt: int, longest: float) -> None:
    pauses = [pause_before_retry(None, attempt, LONGEST_PAUSE_SECONDS) for _ in range(50)]
    assert max(pauses) <= longest
    assert min(pauses) >= 0.8 * longest
    assert len(set(pauses)) > 1


def test_a_server_is_waited_for_as_it_asks_within_reason() -> None:
    assert pause_before_retry(12.0, 0, LONGEST_PAUSE_SECONDS) == 12.0
    assert pause_before_retry(3600.0, 0, LONGEST_PAUSE_SECONDS) == 30.0
