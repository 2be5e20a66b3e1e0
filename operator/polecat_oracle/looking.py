"""Looks at what lies on a town's volume and on remotes, and at the process table; changes nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import psutil

_WARDEN = "/domain/launch.py"
"""The program of the process that watches over an agent's."""


def agent_processes(town_dir: Path) -> dict[str, list[psutil.Process]]:
    """Polecat UID → its `kilo serve` processes, of the agents that see their town's volume at this path.

    A child of an agent is none, though it looks like one between its fork and its exec; nor is the warden that
    started it.
    """
    found: dict[str, dict[int, psutil.Process]] = {}
    parents: dict[int, int] = {}
    for process in psutil.process_iter():
        try:
            environment, line = process.environ(), process.cmdline()
            uid, is_warden = environment.get("POLECAT_UID"), any(word.endswith(_WARDEN) for word in line[:4])
            if uid and environment.get("HOME", "").startswith(str(town_dir)) and "serve" in line and not is_warden:
                parents[process.pid] = process.ppid()
                found.setdefault(uid, {})[process.pid] = process
        except psutil.Error:
            continue
    return {
        uid: [process for pid, process in processes.items() if parents[pid] not in processes]
        for uid, processes in found.items()
    }


def read_head(repository: Path) -> str | None:
    """The commit that a polecat's worktree is at, read without running Git in it; None while there is none."""
    try:
        head = (repository / "worktrees" / "worktree" / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            # Git begins a worktree with an empty file, then with zeros.
            return head if head.strip("0") else None
        ref = head.removeprefix("ref: ")
        if (repository / ref).exists():
            return (repository / ref).read_text().strip() or None
        packed = (repository / "packed-refs").read_text().splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {ref}")), None)
    except OSError:
        return None


def read_heads(town: Path) -> dict[Path, str]:
    """Private repository of each polecat with a worktree → the commit that it is at."""
    heads = {repository: read_head(repository) for repository in town.glob("rigs/*/*/*/repo.git")}
    return {repository: head for repository, head in heads.items() if head is not None}


def has_commit(repository: Path, commit: str) -> bool:
    """Whether a ref of a bare repository holds the commit."""
    command = ["git", "--git-dir", str(repository), "for-each-ref", "--count=1", f"--contains={commit}"]
    return bool(subprocess.run(command, capture_output=True, check=False).stdout.strip())


def holds(repository: Path, tip: str, commit: str) -> bool:
    """Whether a commit of a repository is, or has before it, another one."""
    command = ["git", "--git-dir", str(repository), "merge-base", "--is-ancestor", commit, tip]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def living(town_dir: Path) -> dict[str, tuple[int, ...]]:
    """Polecat UID → its agents that still live after the whole table was read: one may follow another meanwhile."""
    found = {}
    for uid, processes in agent_processes(town_dir).items():
        alive = [each.pid for each in processes if each.is_running() and is_awake(each)]
        found[uid] = tuple(alive)
    return found


def is_awake(process: psutil.Process) -> bool:
    """Whether a process is not merely waiting to be buried."""
    try:
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return False


def branches(remotes: Iterable[Path]) -> dict[str, str]:
    """Branch of a polecat → its commit, on these bare repositories."""
    found: dict[str, str] = {}
    for remote in remotes:
        form = "--format=%(refname:short) %(objectname)"
        command = ["git", "--git-dir", str(remote), "for-each-ref", form, "refs/heads/polecat/"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found |= dict(line.split(" ", 1) for line in done.stdout.splitlines())
    return found
