"""Watches a running system from outside and says at once which of the rules O1 to O8 broke."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from polecat_kube.api import KubeApi
from polecat_kube.errors import ApiError
from polecat_kube.resources import BEAD, POLECAT
from polecat_oracle.journals import Journals
from polecat_oracle.looking import branches, has_commit, holds, living, read_heads
from polecat_oracle.objects import Json
from polecat_oracle.rules import DOUBT_SECONDS, SETTLE_SECONDS, Rules
from polecat_oracle.seen import Seen
from polecat_oracle.view import View, Violation

LOOK_SECONDS = 0.3
"""Pause between two looks; longer where a look takes longer, so that it is at most half of the time."""


class BrokenRulesError(Exception):
    """A rule broke while the oracle watched; its text is all violations with their histories."""


@dataclass(frozen=True, slots=True)
class _Objects:
    beads: tuple[Json, ...]
    polecats: tuple[Json, ...]
    live: bool


class Oracle:
    """`async with Oracle(api, [town_dir], [remote])`: leaving it raises BrokenRulesError if a rule broke meanwhile.

    The API server is watched, not asked again and again; processes, worktrees, journals and remotes are looked at
    every `LOOK_SECONDS`. While the API server is away only those are judged.
    """

    def __init__(
        self,
        api: KubeApi,
        towns: Sequence[Path],
        remotes: Sequence[Path] = (),
        namespace: str | None = None,
        settle_seconds: float = SETTLE_SECONDS,
        mounted_at: Path | None = None,
        tell: Callable[[Violation], None] = print,
    ) -> None:
        """`towns` are volumes; `remotes` the bare repositories of all rigs but those that name theirs by `file://`.

        Without `towns` only what the API server tells is judged. `mounted_at`: where towns in containers see their
        volumes. `tell` gets each violation at once.
        """
        self.violations: list[Violation] = []
        self.looks = 0
        """How often all was seen."""
        self._api, self._namespace, self._tell = api, namespace, tell
        self._towns, self._remotes = list(towns), set(remotes)
        self._seen_at = self._towns if mounted_at is None else [mounted_at]
        self._sees_remotes = self._told_remotes = bool(remotes)
        self._seen = Seen(api, namespace)
        self._journals = Journals(self._towns)
        self._rules = Rules(settle_seconds)
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._seen.start()
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
            if self._rules.in_doubt:
                await asyncio.sleep(DOUBT_SECONDS)
                await self.look()
        await self._seen.stop()
        if self.violations:
            raise BrokenRulesError("\n".join(map(str, self.violations)))

    async def look(self) -> list[Violation]:
        """One look at everything; gives what has newly broken. Raises ApiError while the API server is away."""
        beads, _ = await self._api.list(BEAD, self._namespace)
        polecats, _ = await self._api.list(POLECAT, self._namespace)
        return await self._judge(lambda: _Objects(tuple(beads), tuple(polecats), live=True))

    async def _watch(self) -> None:
        while True:
            started = time.monotonic()
            # What is made or deleted while we look can't be read; the next look sees it as it is then.
            with suppress(OSError):
                await self._judge(lambda: _Objects(self._seen.beads, self._seen.polecats, self._seen.live))
            await asyncio.sleep(max(LOOK_SECONDS, time.monotonic() - started))

    async def _judge(self, objects: Callable[[], _Objects]) -> list[Violation]:
        async with self._lock:
            here, all_of_them = self._seen.remotes()
            self._remotes |= here
            self._sees_remotes = self._told_remotes or all_of_them
            now, passed = objects(), self._seen.take_passed()
            view = await asyncio.to_thread(self._view, now, passed)
            found = await asyncio.to_thread(self._rules.look, view)
            self.looks += 1
            self.violations += found
            for violation in found:
                self._tell(violation)
            return found

    def _view(self, now: _Objects, passed: tuple[tuple[Json, ...], tuple[Json, ...]]) -> View:
        news = self._journals.news()
        return View(
            at=time.monotonic(),
            beads=now.beads,
            polecats=now.polecats,
            passed_beads=passed[0],
            passed_polecats=passed[1],
            live=now.live,
            processes={uid: pids for seen_at in self._seen_at for uid, pids in living(seen_at).items()},
            heads={repository: head for town in self._towns for repository, head in read_heads(town).items()},
            branches=branches(self._remotes),
            late=news.late,
            commits=news.commits,
            endings=self._journals.endings if self._towns else None,
            is_safe=self._is_safe,
        )

    def _is_safe(self, commit: str) -> bool:
        stores = [store for town in self._towns for store in town.glob("rigs/*/store.git")]
        if any(has_commit(each, commit) for each in (*stores, *self._remotes)):
            return True
        if self._sees_remotes:
            return False
        # The supervisor has asked those that can't be read from here.
        return any(holds(store, tip, commit) for store in stores for tip in self._journals.proven)
