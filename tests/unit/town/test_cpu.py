"""CPU of the container and of agents."""

from collections.abc import Iterable
from pathlib import Path

from polecat_town.pod.cpu import CpuMeter, cpu_seconds, read_container_cpu_millicores


def test_the_use_is_what_was_added_since_the_look_before() -> None:
    now = 0.0
    spent = {1: 5.0, 2: 1.0}

    def seconds_of(pids: Iterable[int]) -> float:
        return sum(spent[pid] for pid in pids)

    meter = CpuMeter(lambda: now, seconds_of)
    assert meter.look({"toast": [1, 2]}) == {"toast": 0}
    now, spent[1] = 2.0, 8.0
    assert meter.look({"toast": [1, 2], "maple": [2]}) == {"toast": 1500, "maple": 0}
    now = 3.0
    assert meter.look({"toast": [1]}) == {"toast": 0}, "one has ended and taken its time along"
    assert meter.look({}) == {}


def test_the_limit_is_that_of_the_control_group(tmp_path: Path) -> None:
    nothing = tmp_path / "none"
    machine = read_container_cpu_millicores(nothing, nothing)
    assert machine >= 1000
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert read_container_cpu_millicores(tmp_path, nothing) == 500
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert read_container_cpu_millicores(tmp_path, nothing) == machine
    (tmp_path / "cpu.cfs_quota_us").write_text("25000\n")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    assert read_container_cpu_millicores(nothing, tmp_path) == 250
    (tmp_path / "cpu.cfs_quota_us").write_text("-1\n")
    assert read_container_cpu_millicores(nothing, tmp_path) == machine


def test_processes_that_are_gone_count_nothing() -> None:
    assert cpu_seconds([]) == cpu_seconds([2**31 - 1]) == 0.0
