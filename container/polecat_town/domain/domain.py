"""What a process may touch, and running one inside of that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from polecat_town.domain.processes import kill_marked

__all__ = [
    "Command",
    "Completed",
    "Domain",
    "agent_domain",
    "agent_environment",
    "fresh_home",
    "kill_marked",
    "run_in_domain",
    "spawn_in_domain",
]


@dataclass(frozen=True, slots=True)
class Domain:
    """What a process may touch; all other files are out of its reach."""

    read_write: tuple[Path, ...]
    read_only: tuple[Path, ...]
    by_name: tuple[Path, ...] = ()
    """Directories in which files may be made and opened, but not listed (shared memory)."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run, with exactly this environment."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended."""

    exit_code: int | None
    """None when a signal ended it."""
    signal: int | None
    output: str
    """The last part of standard output and error."""
    timed_out: bool

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with 0."""
        return self.exit_code == 0 and not self.timed_out


def agent_domain(rig_dir: Path, name: str, kilo: Path | None = None) -> Domain:
    """The domain of the name `name` in a rig: its own directory, the store's objects, system and CLI."""
    raise NotImplementedError


def agent_environment(rig_dir: Path, name: str) -> dict[str, str]:
    """HOME, XDG directories, TMPDIR, PATH and locale of all processes of a name; no secret."""
    raise NotImplementedError


async def fresh_home(rig_dir: Path, name: str) -> Path:
    """Removes `<rig_dir>/<name>/home` with all that an earlier bead left in it, and makes it anew."""
    raise NotImplementedError


async def run_in_domain(
    domain: Domain, command: Command, *, marker: str, timeout_seconds: float, output_limit: int = 65536
) -> Completed:
    """Runs a command to its end; nothing that it started outlives it, daemons included.

    `marker` is the polecat's UID. Raises DomainError when the domain can't be entered.
    """
    raise NotImplementedError


async def spawn_in_domain(
    domain: Domain, command: Command, log_path: Path, *, marker: str
) -> asyncio.subprocess.Process:
    """Starts a long-lived process, leader of its own session, output appended to `log_path` (mode 0600).

    It dies with the supervisor. End it with `kill_marked(uid, …)`. Raises DomainError.
    """
    raise NotImplementedError
