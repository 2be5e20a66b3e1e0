"""What an attempt has changed, for those who ask: read where its work is, one at a time for each attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from polecat_kube.errors import ApiError
from polecat_town.errors import TownError
from polecat_town.git import changes
from polecat_town.git.changes import Changes
from polecat_town.life.life import Life
from polecat_town.rigs import Rigs
from polecat_town.streams.hub import Streams
from polecat_town.streams.redaction import REDACTED, Redactor
from polecat_town.streams.segments import StreamID

_AT_ONCE = 2
"""Attempts that are looked at at the same time: it is Git's work, and takes CPU from agents."""


class WorkUnreadableError(Exception):
    """It can't be read at the moment."""


@dataclass(frozen=True, slots=True)
class Work:
    """What there is of one attempt."""

    live: bool
    """Whether an agent works on it: the files are those of its worktree."""
    base: str
    """The commit that it began from; empty before that is known."""
    changes: Changes


class WorkReader:
    """Those who ask for the same at the same time share one answer."""

    def __init__(self, lives: Callable[[], Iterable[Life]], rigs: Rigs, streams: Streams) -> None:
        self._lives = lives
        self._rigs = rigs
        self._streams = streams
        self._running: dict[tuple[StreamID, bool], asyncio.Task[Work | None]] = {}
        self._looking = asyncio.Semaphore(_AT_ONCE)

    async def read(self, stream: StreamID, *, with_files: bool) -> Work | None:
        """The work of an attempt, secrets removed; None when nothing is known of it. Raises WorkUnreadableError."""
        key = (stream, with_files)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._look(stream, with_files), name="work")
            task.add_done_callback(lambda _: self._running.pop(key, None))
        try:
            return await asyncio.shield(task)
        except (TownError, ApiError, OSError) as error:
            raise WorkUnreadableError(str(error)) from error

    async def _look(self, stream: StreamID, with_files: bool) -> Work | None:
        async with self._looking:
            life = self._find(stream)
            if life is not None and life.state.end is None:
                return await self._of_life(life, with_files)
            return await self._of_store(stream, life, with_files)

    def _find(self, stream: StreamID) -> Life | None:
        for life in self._lives():
            if (life.identity.bead_uid, life.identity.attempt) == (stream.bead_uid, stream.attempt):
                return life
        return None

    async def _of_life(self, life: Life, with_files: bool) -> Work:
        found = Changes()
        if life.workspace is not None and life.state.has_worktree:
            found = await changes.of_worktree(life.workspace, with_files=with_files)
            found = await asyncio.to_thread(changes.shown, found, life.redactor.spans, REDACTED)
        return Work(live=True, base=life.state.base_commit or "", changes=found)

    async def _of_store(self, stream: StreamID, life: Life | None, with_files: bool) -> Work | None:
        if life is not None:
            rig, base, head = life.identity.rig, life.state.base_commit or "", life.state.last_commit or ""
        else:
            about = await asyncio.to_thread(self._streams.about, stream)
            rig, base, head = about.names.get("rig", ""), about.base, about.head
        if not rig or not base:
            return None
        found = Changes()
        if head:
            await self._rigs.learn_secrets(rig)
            redactor = life.redactor if life is not None else Redactor(self._rigs.secrets(rig))
            found = await changes.of_store(self._rigs.store_without_remote(rig), base, head, with_files=with_files)
            found = await asyncio.to_thread(changes.shown, found, redactor.spans, REDACTED)
        return Work(live=False, base=base, changes=found)
