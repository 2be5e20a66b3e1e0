"""I05, I07, I22, I23, I36 with the real Kilo CLI: the same tests, on this directory's fixtures."""

from e2e.supervisor.test_supervisor_restart import (
    test_killed_while_checks_run_it_publishes_all_the_same,
)
from faults.test_lost_work import (
    test_i22_a_killed_town_with_its_volume_goes_on_in_place,
    test_i22_an_evicted_pod_without_its_volume_goes_on_from_saved_work,
)
from faults.test_supervisors import (
    test_i05_fifty_starts_at_once_make_one_process,
    test_i07_a_zombie_is_refused_when_it_wakes,
    test_i36_a_drain_is_done_within_the_grace_period,
)

__all__ = [
    "test_i05_fifty_starts_at_once_make_one_process",
    "test_i07_a_zombie_is_refused_when_it_wakes",
    "test_i22_a_killed_town_with_its_volume_goes_on_in_place",
    "test_i22_an_evicted_pod_without_its_volume_goes_on_from_saved_work",
    "test_i36_a_drain_is_done_within_the_grace_period",
    "test_killed_while_checks_run_it_publishes_all_the_same",
]
