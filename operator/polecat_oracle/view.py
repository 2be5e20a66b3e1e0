"""The data between looking and rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from polecat_oracle.objects import Json

RULES = {
    "O1": "at most one living agent for each Polecat",
    "O2": "at most one current Polecat for each Bead",
    "O3": "no two Polecats share a name in their rig, a branch or a path",
    "O4": "no commit is lost with a worktree that was deleted",
    "O5": "every open Bead waits with a reason, or is at work with a Polecat",
    "O6": "an ended Bead changes only when somebody changes `rerun`",
    "O7": "attempts only grow, and only by what agents did",
    "O8": "nothing is taken from a Polecat that is not current",
}
"""What must always hold."""


@dataclass(frozen=True, slots=True)
class View:
    """What was seen of a system at one moment, from outside."""

    at: float
    """Seconds on a clock that only goes forward."""
    beads: tuple[Json, ...] = ()
    polecats: tuple[Json, ...] = ()
    passed_beads: tuple[Json, ...] = ()
    """Versions since the last view, also those that are past already."""
    passed_polecats: tuple[Json, ...] = ()
    live: bool = True
    """Whether objects are as the API server has them; if not, only what is on this machine is judged."""
    processes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Polecat UID → pids of its agents."""
    heads: Mapping[Path, str] = field(default_factory=dict)
    """Private repository of a polecat → commit of its HEAD."""
    branches: Mapping[str, str] = field(default_factory=dict)
    """Branch of a polecat on a remote → its commit."""
    late: tuple[str, ...] = ()
    """What journals tell of agents' calls that were taken after the end of their attempt."""
    commits: tuple[tuple[str, str], ...] = ()
    """Commits that ended attempts have named in their journals, and which journal it is."""
    endings: Callable[[str], Mapping[int, str]] | None = None
    """UID of a bead → serial number of each ended attempt and its reason, from the journals; None without those."""
    is_safe: Callable[[str], bool] = lambda commit: True
    """Whether a store, or a remote, has a commit at a ref."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule, and what was seen of the objects concerned before."""

    rule: str
    message: str
    history: tuple[str, ...] = ()

    def told(self) -> str:
        """What happened, and below it the history of the objects concerned."""
        return "\n".join([self.message, *(f"    {line}" for line in self.history)])

    def __str__(self) -> str:
        return f"{self.rule}: {self.told()}"
