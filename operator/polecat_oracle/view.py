"""The data between looking and rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from polecat_oracle.objects import Json


@dataclass(frozen=True, slots=True)
class View:
    """What was seen of a system at one moment, from outside."""

    at: float
    """Seconds on a clock that only goes forward."""
    beads: tuple[Json, ...] = ()
    polecats: tuple[Json, ...] = ()
    processes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Polecat UID → pids of its agents."""
    heads: Mapping[Path, str] = field(default_factory=dict)
    """Private repository of a polecat → commit of its HEAD."""
    branches: Mapping[str, str] = field(default_factory=dict)
    """Branch of a polecat on a remote → its commit."""
    late: tuple[str, ...] = ()
    """What journals tell of agents' calls that were taken after the end of their attempt."""
    endings: Callable[[str], Mapping[int, str]] = lambda bead_uid: {}
    """UID of a bead → serial number of each ended attempt and its reason, from the journals."""
    is_safe: Callable[[Path, str], bool] = lambda repository, commit: True
    """Whether the store of a repository's rig, or a remote, has a commit at a ref."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule, and what was seen of the objects concerned before."""

    rule: str
    message: str
    history: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.rule}: {self.message}", *(f"    {line}" for line in self.history)])
