"""What `polecat doctor` says of the embedded town's volume and of processes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from polecat_cli.doctor.checks_local import check_directories, check_lost, check_processes, check_saved
from polecat_cli.doctor.facts import Clocks, Facts, Finding, Local, MarkedProcess, SavedRef, seconds_text

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
UID = "3fa2b19c-0000-4000-8000-000000000000"


def facts(**local: object) -> Facts:
    return Facts(Clocks(NOW, NOW), local=Local(uids=frozenset({UID}), **local))  # type: ignore[arg-type]


def told(findings: Iterable[Finding]) -> list[str]:
    return [str(finding) for finding in findings]


def test_a_directory_without_a_polecat() -> None:
    own, other = Path("/town/rigs/web/toast/3fa2b19c"), Path("/town/rigs/web/toast/deadbeef")
    (line,) = told(check_directories(facts(directories=((own, own.name), (other, other.name)))))
    assert line.startswith(f"directory {other}: belongs to no polecat → ")


def test_what_was_moved_aside() -> None:
    (line,) = told(check_lost(facts(lost=(Path("/town/rigs/web/.lost/toast-1"),))))
    assert line.startswith("directory /town/rigs/web/.lost/toast-1: could not be read")


def test_saved_work_that_the_remote_lacks_is_one_line_for_each_rig() -> None:
    saved = [SavedRef("web", f"refs/polecat/saved/{UID}/{n}", "c" * 40, on_remote=n == 1) for n in range(1, 8)]
    (line,) = told(check_saved(facts(saved=tuple(saved))))
    assert line.startswith(f"rig web: saved work is in the town's store only: refs/polecat/saved/{UID}/2, ")
    assert f"{UID}/1," not in line
    assert "and 2 more → push it" in line


def test_a_process_whose_polecat_is_gone() -> None:
    processes = (MarkedProcess(7, UID, "kilo"), MarkedProcess(8, "another", "sh"))
    (line,) = told(check_processes(facts(processes=processes)))
    assert line.startswith("process 8: (sh) belongs to polecat another, which is gone → end it: `kill 8`")


def test_without_an_embedded_cluster_nothing_is_said() -> None:
    empty = Facts(Clocks(NOW, NOW))
    for check in (check_directories, check_lost, check_saved, check_processes):
        assert told(check(empty)) == []


def test_a_finding_is_one_line_and_lengths_of_time_are_short() -> None:
    assert str(Finding("a", "b\n  c", "d")) == "a: b c → d"
    assert [seconds_text(each) for each in (91.9, 150, 7300)] == ["91 s", "2 min", "2 h"]
