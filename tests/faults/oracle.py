"""Watches a running system from outside and says at once which of the rules O1 to O8 broke.

As a program: `python tests/faults/oracle.py DATA_DIR` watches what `polecat up --data-dir DATA_DIR` runs, until it is
interrupted; the exit code is 1 when a rule broke.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))  # as a program, it is started from anywhere

from faults.rules import SETTLE_SECONDS, Rules, View, Violation
from polecat_kube.api import KubeApi
from polecat_kube.connection import from_kubeconfig
from polecat_kube.errors import ApiError
from polecat_kube.resources import BEAD, POLECAT, RIG
from support.whole import agent_processes

Json = dict[str, Any]
LOOK_SECONDS = 0.3
AGENTS_CALLS = frozenset({"done-called", "pushed", "refused"})
"""Kinds of events that must not come after the end of an attempt."""


@dataclass
class Journals:
    """Reads the journals of some towns as they grow."""

    towns: Sequence[Path]
    _read: dict[Path, int] = field(default_factory=dict)
    _ends: dict[tuple[str, int], str] = field(default_factory=dict)

    def endings(self, bead_uid: str) -> Mapping[int, str]:
        """Serial number of each ended attempt at a bead → reason."""
        self.news()
        return {serial: reason for (uid, serial), reason in self._ends.items() if uid == bead_uid}

    def news(self) -> list[str]:
        """Reads on; tells the agents' calls that were taken after the end."""
        late: list[str] = []
        for town in self.towns:
            for path in sorted((town / "streams").glob("*/*.jsonl")):
                late += self._read_on(path)
        return late

    def _read_on(self, path: Path) -> Iterable[str]:
        start = self._read.get(path, 0)
        with suppress(OSError):
            if path.stat().st_size <= start:
                return
            with path.open("rb") as file:
                file.seek(start)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read[path] = start + len(whole)
            key = (path.parent.name, int(path.stem))
            for line in whole.splitlines():
                event = json.loads(line)
                if event["kind"] == "ended":
                    self._ends[key] = event["data"]["reason"]
                elif event["kind"] in AGENTS_CALLS and key in self._ends:
                    yield f"{event['kind']} was taken after the end {self._ends[key]}: {path}, event {event['seq']}"


def read_head(repository: Path) -> str | None:
    """The commit that a polecat's worktree is at, read without running Git in it; None while there is none."""
    try:
        head = (repository / "worktrees" / "worktree" / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        ref = head.removeprefix("ref: ")
        if (repository / ref).exists():
            return (repository / ref).read_text().strip() or None
        packed = (repository / "packed-refs").read_text().splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {ref}")), None)
    except OSError:
        return None


def has_commit(repository: Path, commit: str) -> bool:
    """Whether a ref of a bare repository holds the commit."""
    command = ["git", "--git-dir", str(repository), "for-each-ref", "--count=1", f"--contains={commit}"]
    return bool(subprocess.run(command, capture_output=True, check=False).stdout.strip())


def living(town: Path) -> dict[str, tuple[int, ...]]:
    """Polecat UID → its agents that still live after the whole table was read: one may follow another meanwhile."""
    found = {}
    for uid, processes in agent_processes(town).items():
        alive = [each.pid for each in processes if each.is_running() and is_awake(each)]
        found[uid] = tuple(alive)
    return found


def is_awake(process: psutil.Process) -> bool:
    """Whether a process is not merely waiting to be buried."""
    try:
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return False


class Oracle:
    """`async with Oracle(api, [town_dir], [remote])`: leaving it fails if a rule broke meanwhile."""

    def __init__(
        self,
        api: KubeApi,
        towns: Sequence[Path],
        remotes: Sequence[Path] = (),
        namespace: str | None = None,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        """`towns` are volumes; `remotes` bare repositories, beside those that rigs name by `file://`."""
        self.violations: list[Violation] = []
        self.looks = 0
        """How often all was seen."""
        self._api, self._namespace = api, namespace
        self._towns, self._remotes = list(towns), set(remotes)
        self._journals = Journals(self._towns)
        self._rules = Rules(settle_seconds)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch(), name="oracle")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        with suppress(ApiError, OSError):
            await self.look()
        assert not self.violations, "\n".join(map(str, self.violations))

    async def look(self) -> list[Violation]:
        """One look at everything; gives what has newly broken. Raises ApiError while the API server is away."""
        beads, _ = await self._api.list(BEAD, self._namespace)
        polecats, _ = await self._api.list(POLECAT, self._namespace)
        rigs, _ = await self._api.list(RIG, self._namespace)
        for rig in rigs:
            url = urlsplit(rig["spec"]["repository"]["url"])
            if url.scheme == "file":
                self._remotes.add(Path(url.path))
        view = await asyncio.to_thread(self._view, beads, polecats)
        found = await asyncio.to_thread(self._rules.look, view)
        self.looks += 1
        self.violations += found
        for violation in found:
            print(violation, file=sys.stderr, flush=True)
        return found

    def _view(self, beads: list[Json], polecats: list[Json]) -> View:
        heads = {
            repository: head
            for town in self._towns
            for repository in town.glob("rigs/*/*/*/repo.git")
            if (head := read_head(repository)) is not None
        }
        processes = {uid: pids for town in self._towns for uid, pids in living(town).items()}
        return View(
            at=time.monotonic(),
            beads=tuple(beads),
            polecats=tuple(polecats),
            processes=processes,
            heads=heads,
            branches=self._branches(),
            late=tuple(self._journals.news()),
            endings=self._journals.endings,
            is_safe=self._is_safe,
        )

    def _branches(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for remote in self._remotes:
            form = "--format=%(refname:short) %(objectname)"
            command = ["git", "--git-dir", str(remote), "for-each-ref", form, "refs/heads/polecat/"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            found |= dict(line.split(" ", 1) for line in done.stdout.splitlines())
        return found

    def _is_safe(self, repository: Path, commit: str) -> bool:
        return any(has_commit(each, commit) for each in (repository.parents[2] / "store.git", *self._remotes))

    async def _watch(self) -> None:
        while True:
            # Without the API server nothing can be told; what was missed shows when it is back.
            with suppress(ApiError, OSError):
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)


async def watch(data_dir: Path, settle_seconds: float) -> int:
    """Watches until SIGINT or SIGTERM; gives the number of violations."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    connection = from_kubeconfig(data_dir / "kubeconfig")
    async with KubeApi(connection, manager="oracle") as api:
        oracle = Oracle(api, [data_dir / "town"], settle_seconds=settle_seconds)
        with suppress(AssertionError):
            async with oracle:
                await stop.wait()
    print(f"{oracle.looks} looks, {len(oracle.violations)} violations")
    return len(oracle.violations)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description="Watches a running system and tells which rule broke.")
    parser.add_argument("data_dir", type=Path, nargs="?", default=os.environ.get("POLECAT_DATA_DIR"))
    parser.add_argument("--settle-seconds", type=float, default=SETTLE_SECONDS)
    given = parser.parse_args()
    if given.data_dir is None:
        parser.error("which data directory does the system run on?")
    sys.exit(1 if asyncio.run(watch(Path(given.data_dir).absolute(), given.settle_seconds)) else 0)


if __name__ == "__main__":
    main()
