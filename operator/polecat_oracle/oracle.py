"""Watches a running system from outside and says at once which of the rules O1 to O8 broke."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from polecat_kube.api import KubeApi
from polecat_kube.errors import ApiError
from polecat_kube.resources import BEAD, POLECAT, RIG
from polecat_oracle.journals import Journals
from polecat_oracle.looking import branches, has_commit, living, read_head
from polecat_oracle.objects import Json
from polecat_oracle.rules import SETTLE_SECONDS, Rules
from polecat_oracle.view import View, Violation

LOOK_SECONDS = 0.3


class BrokenRulesError(Exception):
    """A rule broke while the oracle watched; its text is all violations with their histories."""


class Oracle:
    """`async with Oracle(api, [town_dir], [remote])`: leaving it raises BrokenRulesError if a rule broke meanwhile."""

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
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        with suppress(ApiError, OSError):
            await self.look()
        if self.violations:
            raise BrokenRulesError("\n".join(map(str, self.violations)))

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
            branches=branches(self._remotes),
            late=tuple(self._journals.news()),
            endings=self._journals.endings,
            is_safe=self._is_safe,
        )

    def _is_safe(self, repository: Path, commit: str) -> bool:
        return any(has_commit(each, commit) for each in (repository.parents[2] / "store.git", *self._remotes))

    async def _watch(self) -> None:
        while True:
            # Without the API server nothing can be told; what was missed shows when it is back.
            with suppress(ApiError, OSError):
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)
