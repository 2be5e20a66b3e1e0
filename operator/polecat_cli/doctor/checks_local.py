"""What lies on the embedded town's volume, and runs there, without belonging to a Polecat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from polecat_api.branches import bead_hex
from polecat_cli.doctor.facts import Facts, Finding, SavedRef

_TOLD = 4
"""So many refs are named in one finding."""


def check_directories(facts: Facts) -> Iterator[Finding]:
    """Directories of polecats that are gone."""
    if facts.local is None:
        return
    living = {bead_hex(uid)[:8] for uid in facts.local.uids}
    for path, uid8 in facts.local.directories:
        if uid8 not in living:
            yield Finding(
                f"directory {path}",
                "belongs to no polecat",
                "look at its worktree for work worth keeping; the town takes over what is in it and removes it "
                "when the name is used again",
            )


def check_lost(facts: Facts) -> Iterator[Finding]:
    """What the town could not read and has moved aside."""
    if facts.local is None:
        return
    for path in facts.local.lost:
        yield Finding(
            f"directory {path}",
            "could not be read when it was cleared away",
            "rescue what is worth it from its worktree, then remove it; nothing else does",
        )


def check_saved(facts: Facts) -> Iterator[Finding]:
    """Saved work that is on this machine only."""
    if facts.local is None:
        return
    by_rig: dict[str, list[SavedRef]] = defaultdict(list)
    for saved in facts.local.saved:
        if not saved.on_remote:
            by_rig[saved.rig].append(saved)
    for rig, refs in by_rig.items():
        told = ", ".join(each.ref for each in refs[:_TOLD])
        more = f" and {len(refs) - _TOLD} more" if len(refs) > _TOLD else ""
        yield Finding(
            f"rig {rig}",
            f"saved work is in the town's store only: {told}{more}",
            f"push it: `git --git-dir <data dir>/town/rigs/{rig}/store.git push <repository url> "
            "'refs/polecat/saved/*:refs/polecat/saved/*'`",
        )


def check_processes(facts: Facts) -> Iterator[Finding]:
    """Processes of agents whose polecat is gone."""
    if facts.local is None:
        return
    for process in facts.local.processes:
        if process.uid not in facts.local.uids:
            yield Finding(
                f"process {process.pid}",
                f"({process.command}) belongs to polecat {process.uid}, which is gone",
                f"end it: `kill {process.pid}` (`polecat down` ends all of them)",
            )
