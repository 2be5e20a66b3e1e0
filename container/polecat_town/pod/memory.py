"""Memory: of the container, and of each agent with all its children."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from polecat_town.domain.processes import MARKER

_V2 = Path("/sys/fs/cgroup")
_V1 = Path("/sys/fs/cgroup/memory")
_UNLIMITED = 1 << 60


@dataclass(frozen=True, slots=True)
class ContainerMemory:
    """What the container uses and may use, in bytes."""

    used_bytes: int
    limit_bytes: int


def read_container_memory(v2: Path = _V2, v1: Path = _V1) -> ContainerMemory:
    """Figures of the control group, whichever layout; of the machine where there is no limit."""
    machine = psutil.virtual_memory()
    for used_file, limit_file, stat_file, cache_key in (
        (v2 / "memory.current", v2 / "memory.max", v2 / "memory.stat", "inactive_file"),
        (v1 / "memory.usage_in_bytes", v1 / "memory.limit_in_bytes", v1 / "memory.stat", "total_inactive_file"),
    ):
        used, limit = _number(used_file), _number(limit_file)
        if used is not None and limit is not None and limit < min(_UNLIMITED, machine.total):
            # Cache that can be dropped at once is no use of memory; Kubernetes reckons likewise.
            return ContainerMemory(max(0, used - _stat(stat_file, cache_key)), limit)
    return ContainerMemory(machine.total - machine.available, machine.total)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _stat(path: Path, key: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{key} ")), 0)


def find_agent_processes(uids: Iterable[str], roots: Mapping[str, int]) -> dict[str, list[int]]:
    """Process ids of each polecat: those that carry its marker, and all descendants of its agent.

    `roots` has the pid of each agent's process. Reads /proc; run it in a thread.
    """
    wanted = {f"{MARKER}={uid}".encode(): uid for uid in uids}
    owner = {pid: uid for uid, pid in roots.items()}
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names only, thousands of them
        if not entry.isdigit():
            continue
        pid = int(entry)
        try:
            parents[pid] = _parent(pid)
            for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                if variable in wanted:
                    owner[pid] = wanted[variable]
        except OSError:
            continue
    found: dict[str, list[int]] = {uid: [] for uid in wanted.values()}
    for pid in parents:
        uid = _owner(pid, owner, parents)
        if uid in found:
            found[uid].append(pid)
    return found


def _parent(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def _owner(pid: int, owner: Mapping[int, str], parents: Mapping[int, int]) -> str:
    while pid > 1:
        if pid in owner:
            return owner[pid]
        pid = parents.get(pid, 0)
    return ""


def measure(pids: Iterable[int], limit_bytes: int) -> int:
    """Memory of a set of processes in bytes.

    Their resident sizes added up; when that is above the limit, the proportional sizes, which count a page that
    several share once only, but cost the kernel milliseconds a process.
    """
    pids = list(pids)
    resident = sum(_resident(pid) for pid in pids)
    return resident if resident <= limit_bytes else sum(_proportional(pid) for pid in pids)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return _resident(pid)
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
