"""Memory: of the container, and of each agent with all its children."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from polecat_town.domain.processes import MARKER

_V2 = Path("/sys/fs/cgroup")
_V1 = Path("/sys/fs/cgroup/memory")
_OWN_GROUPS = Path("/proc/self/cgroup")
_FILES = {
    "": ("memory.current", "memory.max", "memory.events"),
    "total_": ("memory.usage_in_bytes", "memory.limit_in_bytes", "memory.oom_control"),
}
"""What is used, its limit and the kernel's kills, by the prefix that figures of a whole tree have in `memory.stat`:
none in the second layout, where all figures are those of the tree."""
_UNLIMITED = 1 << 60


@dataclass(frozen=True, slots=True)
class ContainerMemory:
    """What the container uses and may use, in bytes."""

    used_bytes: int
    """Without cache that was not used lately; Kubernetes reckons likewise."""
    limit_bytes: int
    pressing_bytes: int
    """Without any cache of files: what the kernel can't take back before it begins to end processes."""


def read_container_memory(v2: Path = _V2, v1: Path = _V1, groups: Path = _OWN_GROUPS) -> ContainerMemory:
    """Figures of the control group, whichever layout; of the machine where there is no limit.

    Inside a container its own group is the root of the tree; elsewhere `groups` says where it is.
    """
    machine = psutil.virtual_memory()
    for folder, prefix in _folders(v2, v1, groups):
        used, limit = (_number(folder / name) for name in _FILES[prefix][:2])
        if used is not None and limit is not None and limit < min(_UNLIMITED, machine.total):
            cache = _stat(folder / "memory.stat")
            idle, busy = (cache.get(f"{prefix}{kind}_file", 0) for kind in ("inactive", "active"))
            return ContainerMemory(max(0, used - idle), limit, max(0, used - idle - busy))
    taken = machine.total - machine.available
    return ContainerMemory(taken, machine.total, taken)


def read_kernel_kills(v2: Path = _V2, v1: Path = _V1, groups: Path = _OWN_GROUPS) -> int:
    """How many processes of the control group the kernel has ended for want of memory; 0 where it does not say."""
    for folder, prefix in _folders(v2, v1, groups):
        if (kills := _stat(folder / _FILES[prefix][2]).get("oom_kill")) is not None:
            return kills
    return 0


def _folders(v2: Path, v1: Path, groups: Path) -> Iterator[tuple[Path, str]]:
    """Where the figures of this process's group may lie, with the prefix that tells the layout."""
    own_v2, own_v1 = _own_groups(groups)
    for prefix, root, own in (("", v2, own_v2), ("total_", v1, own_v1)):
        for folder in dict.fromkeys((root / own, root)):
            yield folder, prefix


def _own_groups(file: Path) -> tuple[str, str]:
    """Where this process is in the trees of both layouts, relative to their roots (`proc(5)`, `cgroups(7)`)."""
    v2 = v1 = ""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return v2, v1
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            v2 = path.lstrip("/")
        elif "memory" in controllers.split(","):
            v1 = path.lstrip("/")
    return v2, v1


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _stat(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return {key: int(value) for key, _, value in (line.partition(" ") for line in lines) if value.isdigit()}


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
