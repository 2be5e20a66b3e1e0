"""Finding and ending every process of a polecat."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

MARKER = "POLECAT_UID"
"""Environment variable that all processes of a polecat carry: its UID."""
RUN_MARKER = "POLECAT_RUN"
"""The same for one command and all that it starts."""
KILL_SECONDS = 10.0
"""How long processes are given to vanish after SIGKILL (one that waits for a disk can't be ended)."""
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Target:
    """What the processes to be ended have in common."""

    variable: str
    value: str
    group: int | None = None
    directory: Path | None = None


async def kill_marked(
    uid: str, grace_seconds: float, *, group: int | None = None, directory: Path | None = None
) -> int:
    """Ends all processes of a polecat: SIGTERM, and after the grace SIGKILL; gives how many there were.

    Found by the marker in their environment, as descendants of such, and by process group. `group` is also the pid
    of their warden (see `launch`), which is ended last: nothing gets away from below it. Those whose warden was
    killed, and which scrubbed their environment, are found by a working directory or open file in `directory` (the
    name's directory); a person's shell or editor in there, and whoever reads a file, are left alone.
    """
    return await end(Target(MARKER, uid, group, directory), grace_seconds)


async def end(target: Target, grace_seconds: float) -> int:
    """Ends all processes of a target; gives how many different ones there were."""
    ended: set[int] = set()
    termed: set[int] = set()
    kill_at = time.monotonic() + grace_seconds
    give_up_at = kill_at + KILL_SECONDS
    # In a thread: with hundreds of processes one look takes many milliseconds, and the loop serves all agents.
    while (found := await asyncio.to_thread(find, target)) and time.monotonic() < give_up_at:
        ended |= found
        # A warden ends by itself with the last of its own.
        found = found - {target.group} or found
        if time.monotonic() >= kill_at:
            _signal(found, signal.SIGKILL)
        else:
            _signal(found - termed, signal.SIGTERM)
            termed |= found
        await asyncio.sleep(POLL_SECONDS)
    return len(ended)


def find(target: Target) -> set[int]:
    """Process ids of a target, of living processes other than our own."""
    wanted = f"{target.variable}={target.value}".encode()
    prefix = None if target.directory is None else f"{target.directory.resolve()}/"
    parents: dict[int, int] = {}
    members: set[int] = set()
    hidden: set[int] = set()
    for pid in _pids():
        status = _status(pid)
        if status is None:
            continue
        parents[pid] = status[0]
        environment = _read(f"/proc/{pid}/environ").split(b"\0")
        if (target.group is not None and status[1] == target.group) or wanted in environment:
            members.add(pid)
        elif prefix is not None and not _marked(environment) and _confined(pid) and _uses(pid, prefix):
            hidden.add(pid)
    members |= {pid for pid in hidden if not visits(pid, parents)}
    members.discard(os.getpid())
    return _with_descendants(members, parents)


def _marked(environment: list[bytes]) -> bool:
    """Whether a process belongs to some polecat by its marker; then it need not be known by its open files."""
    return any(variable.startswith(f"{MARKER}=".encode()) for variable in environment)


def _confined(pid: int) -> bool:
    """Whether a process has given up new privileges, as every agent has before it starts, for good."""
    return b"\nNoNewPrivs:\t1\n" in _read(f"/proc/{pid}/status")


def visits(pid: int, parents: dict[int, int]) -> bool:
    """Whether a process has come into the container from outside (`kubectl exec`): its ancestors end without init.

    `parents` gives the parent of each process that is known; the others' is init.
    """
    while (parent := parents.get(pid, 1)) > 1:
        pid = parent
    return parent == 0 and pid != 1


def _with_descendants(members: set[int], parents: dict[int, int]) -> set[int]:
    """Adds children of members, theirs, and so on."""
    complete = set(members)
    while new := {pid for pid, parent in parents.items() if parent in complete} - complete:
        complete |= new
    complete.discard(os.getpid())
    return complete


def _pids() -> list[int]:
    own = os.getpid()
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != own]  # noqa: PTH208


def _status(pid: int) -> tuple[int, int] | None:
    """(parent, process group) of a process; None when it is gone or a zombie."""
    # the name in parentheses may hold anything, so the fields are counted from its end
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) < 3 or fields[0] in (b"Z", b"X"):
        return None
    return int(fields[1]), int(fields[2])


def _uses(pid: int, prefix: str) -> bool:
    """Whether working directory, program or an open file lies below a directory (`prefix` ends in a slash)."""
    base = f"/proc/{pid}"
    try:
        open_files = os.listdir(f"{base}/fd")  # noqa: PTH208 - strings: paths would double the time of a look
    except OSError:
        return False
    links = (f"{base}/cwd", f"{base}/exe", *(f"{base}/fd/{number}" for number in open_files))
    return any(_link(link).startswith(prefix) for link in links)


def _link(path: str) -> str:
    try:
        return os.readlink(path) + "/"  # noqa: PTH115
    except OSError:
        return ""


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return file.readall()
    except OSError:
        return b""


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue
