"""Who has to go when the container's memory is short, and when another agent may come."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from polecat_town.pod.memory import ContainerMemory, read_container_memory
from polecat_town.pod.pressure import choose_victim, has_room, is_short, margin_bytes

MIB = 1 << 20
GIB = 1 << 30


def container(pressing: int, limit: int = 8 * GIB) -> ContainerMemory:
    return ContainerMemory(used_bytes=pressing, limit_bytes=limit, pressing_bytes=pressing)


def test_the_margin_follows_the_limit_up_to_half_a_gibibyte() -> None:
    assert margin_bytes(100 * MIB) == 6 * MIB
    assert margin_bytes(64 * GIB) == 512 * MIB


def test_the_biggest_goes_before_the_limit_is_reached() -> None:
    used = {"a": 2 * GIB, "b": 4 * GIB, "c": GIB}
    assert choose_victim(container(7 * GIB), used) is None
    victim = choose_victim(container(8 * GIB - 100 * MIB), used)
    assert victim is not None
    assert (victim.uid, victim.alone) == ("b", False)
    assert victim.message == "the pod ran short of memory (8092 of 8192 MiB) and this agent used most, 4096 MiB"
    alone = choose_victim(container(8 * GIB), {"a": 7 * GIB})
    assert alone is not None and alone.alone
    assert choose_victim(container(8 * GIB), {}) is None


@given(st.dictionaries(st.text(max_size=3), st.integers(0, GIB), max_size=9), st.integers(0, 9 * GIB))
def test_whoever_goes_has_at_least_the_mean(used: dict[str, int], pressing: int) -> None:
    victim = choose_victim(container(pressing), used)
    assert (victim is not None) is (bool(used) and is_short(container(pressing)))
    assert victim is None or used[victim.uid] * len(used) >= sum(used.values())


def test_another_agent_needs_room_unless_it_is_the_first() -> None:
    full = container(7 * GIB + 512 * MIB)
    assert has_room(full, 0, 3 * GIB)
    assert not has_room(full, 1, 3 * GIB)
    assert has_room(full, 1, 256 * MIB)
    assert has_room(container(7 * GIB), 5, 3 * GIB)


def test_cache_of_files_presses_nobody_in_either_layout(tmp_path: Path) -> None:
    v2, v1, none = tmp_path / "v2", tmp_path / "v1", tmp_path / "none"
    for folder, files in (
        (v2 / "pod", {"memory.current": "900", "memory.max": "1000",
                      "memory.stat": "anon 3\nactive_file 200\ninactive_file 100\n"}),
        (v1 / "pod", {"memory.usage_in_bytes": "900", "memory.limit_in_bytes": "2000",
                      "memory.stat": "active_file 1\ntotal_active_file 300\ntotal_inactive_file 50\n"}),
    ):  # fmt: skip
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    groups = tmp_path / "cgroup"
    groups.write_text("0::/pod\n")
    assert read_container_memory(v2, none, groups) == ContainerMemory(800, 1000, 600)
    groups.write_text("4:cpu,memory:/pod\n0::/\n")
    assert read_container_memory(v2, v1, groups) == ContainerMemory(850, 2000, 550)
