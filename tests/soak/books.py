"""The books that are closed at the end: what must be so once faults have stopped and all has come to rest."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from polecat_cli.doctor.gather_local import marked_processes
from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, POLECAT, RIG, SECRET, TOWN
from soak.setting import Setting
from support.whole import condition

Json = dict[str, Any]
_UID8 = re.compile(r"^[0-9a-f]{8}$")
_WAITS = frozenset({"Queued", "Waiting", "BackingOff", "Suspended"})


async def leftovers(setting: Setting) -> list[str]:
    """What should not be there any more, in words; empty when all is clean."""
    found = await in_the_api(setting.world.api, setting.world.namespace)
    return found + await asyncio.to_thread(lambda: list(on_the_volume(setting.cluster.data.town)))


async def in_the_api(api: KubeApi, namespace: str) -> list[str]:
    """Polecats, their Secrets, stuck finalizers, open beads that don't say why they wait."""
    found = []
    beads, _ = await api.list(BEAD, namespace)
    for bead in beads:
        state, reason = (bead.get("status") or {}).get("state"), condition(bead, "Succeeded", "reason")
        ended = condition(bead, "Succeeded") in ("True", "False")
        if not reason or not (ended or state in _WAITS):
            found.append(f"bead {bead['metadata']['name']} is {state} with the reason {reason}")
    polecats, _ = await api.list(POLECAT, namespace)
    found += [f"polecat {each['metadata']['name']}" for each in polecats]
    secrets, _ = await api.list(SECRET, namespace)
    for secret in secrets:
        owners = [
            owner["name"] for owner in secret["metadata"].get("ownerReferences", []) if owner["kind"] == "Polecat"
        ]
        found += [f"secret {secret['metadata']['name']} of polecat {owner}" for owner in owners]
    for kind in (BEAD, POLECAT, RIG, TOWN):
        items, _ = await api.list(kind, namespace)
        stuck = [each for each in items if "deletionTimestamp" in each["metadata"]]
        found += [f"{kind.kind} {each['metadata']['name']} is being deleted" for each in stuck]
    return found


def on_the_volume(town: Path) -> Iterator[str]:
    """Processes, worktrees, and files that stand for somebody at work."""
    for process in marked_processes(town):
        yield f"process {process.pid} ({process.command}) of polecat {process.uid}"
    for directory in sorted(town.glob("rigs/*/*/*")):
        if directory.parent.name == ".lost" or _UID8.match(directory.name):
            yield f"worktree {directory.relative_to(town)}"
    for pattern in ("locks/*.lock", "state/*", "rigs/*/store.git/**/*.lock"):
        for file in sorted(town.glob(pattern)):
            yield f"file {file.relative_to(town)}"


def reachable(repositories: Iterable[Path]) -> set[str]:
    """All commits that refs of these bare repositories hold."""
    found: set[str] = set()
    for repository in repositories:
        command = ["git", "--git-dir", str(repository), "rev-list", "--all"]
        found |= set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    return found


def lost_commits(made: Mapping[str, Iterable[str]], remotes: Iterable[Path], town: Path) -> list[str]:
    """Commits (→ names of their beads) that neither a remote nor a ref of a store has."""
    kept = reachable([*remotes, *sorted(town.glob("rigs/*/store.git"))])
    return [f"commit {each} of bead {', '.join(sorted(made[each]))} is lost" for each in sorted(made.keys() - kept)]


def outcomes(beads: list[Json]) -> Counter[str]:
    """How many beads ended, or wait, for which reason."""
    return Counter(str(condition(bead, "Succeeded", "reason")) for bead in beads)
