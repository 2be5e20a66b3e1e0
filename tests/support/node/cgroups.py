"""The cgroups below which a node's pods run: one parent of our own in each hierarchy, removed at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
"""Without these the kubelet does not start."""
_GONE_SECONDS = 20.0


def is_unified() -> bool:
    """Whether this machine has cgroup v2 only."""
    return (ROOT / "cgroup.controllers").exists()


def make(name: str) -> None:
    """Makes the parent in every hierarchy. Raises OSError where this is not allowed, with the cause as its text."""
    if is_unified():
        missing = set(CONTROLLERS) - set((ROOT / "cgroup.controllers").read_text().split())
        if missing:
            raise OSError(f"the cgroup controllers {', '.join(sorted(missing))} are missing")
        wanted = " ".join(f"+{controller}" for controller in CONTROLLERS)
        (ROOT / "cgroup.subtree_control").write_text(wanted)
        (ROOT / name).mkdir()
        (ROOT / name / "cgroup.subtree_control").write_text(wanted)
        return
    missing = {controller for controller in CONTROLLERS if not (ROOT / controller).is_dir()}
    if missing:
        raise OSError(f"the cgroup controllers {', '.join(sorted(missing))} are missing")
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / file).exists():
                (hierarchy / name / file).write_text((hierarchy / file).read_text())
    # What the kubelet gives to all pods together where it has the machine to itself.
    (ROOT / "cpu" / name / "cpu.shares").write_text(str(1024 * (os.cpu_count() or 1)))


def remove(name: str) -> None:
    """Removes the parents with all below them, once their last processes have been buried."""
    deadline = time.monotonic() + _GONE_SECONDS
    for hierarchy in parents():
        while (hierarchy / name).is_dir() and not _remove_tree(hierarchy / name) and time.monotonic() < deadline:
            time.sleep(0.1)


def _remove_tree(directory: Path) -> bool:
    below = sorted((path for path in directory.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
    for path in [*below, directory]:
        with suppress(OSError):
            path.rmdir()
    return not directory.exists()


def _hierarchies() -> Iterator[Path]:
    """Of cgroup v1, each once: `cpu` may be a link to `cpu,cpuacct`."""
    yield from (path for path in sorted(ROOT.iterdir()) if path.is_dir() and not path.is_symlink())


def parents() -> list[Path]:
    """The directories in which `make` makes something."""
    return [ROOT] if is_unified() else list(_hierarchies())
