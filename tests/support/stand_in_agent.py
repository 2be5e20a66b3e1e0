"""An agent without a model for tests of the supervisor alone: a real process, real commits, a scripted end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from polecat_town.agent.client import AgentClient, AgentUnreachableError
from polecat_town.agent.process import Agent
from polecat_town.domain.processes import MARKER

GIT_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_DATE": "2026-11-24T06:00:00Z",
    "GIT_COMMITTER_DATE": "2026-11-24T06:00:00Z",
}
"""With one date, so that the same work has the same name in every world."""


async def start_marked_process(uid: str) -> asyncio.subprocess.Process:
    """A process that carries a polecat's marker, and lives until somebody ends it."""
    return await asyncio.create_subprocess_exec(
        "sleep", "600", env={MARKER: uid, "PATH": GIT_ENVIRONMENT["PATH"]}, start_new_session=True
    )


async def agent_git(worktree: Path, *arguments: str) -> str:
    """Git as the agent runs it."""
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, cwd=worktree, env=GIT_ENVIRONMENT, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, arguments
    return output.decode().strip()


class StandInClient:
    """What the supervisor says to its agent's server. `work` is called once for each first prompt of a process."""

    def __init__(self, process: asyncio.subprocess.Process, work: Callable[[Path], Awaitable[None]]) -> None:
        self._process = process
        self._work = work
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def create_session(self, directory: Path, title: str) -> str:
        """As AgentClient; the session lies in HOME, as Kilo's does."""
        self._session_file(directory).touch()
        return "ses_1"

    async def has_session(self, directory: Path, session_id: str) -> bool:
        """As AgentClient."""
        return self._session_file(directory).exists()

    async def is_idle(self, directory: Path, session_id: str) -> bool:
        """As AgentClient."""
        return False

    async def prompt(self, directory: Path, session_id: str, text: str) -> None:
        """As AgentClient: returns at once."""
        if self._task is None:
            self._task = asyncio.create_task(self._play(directory))

    async def events(self, directory: Path) -> AsyncIterator[dict[str, Any]]:
        """As AgentClient."""
        yield {"type": "server.connected", "properties": {}}
        ended = asyncio.ensure_future(self._process.wait())
        while not ended.done():
            said = asyncio.ensure_future(self._said.get())
            await asyncio.wait({said, ended}, return_when=asyncio.FIRST_COMPLETED)
            if said.done():
                yield said.result()
            said.cancel()
        raise AgentUnreachableError("GET /event: the stream ended")

    async def close(self) -> None:
        """As AgentClient."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled() and (error := self._task.exception()):
                raise error

    async def _play(self, directory: Path) -> None:
        self._said.put_nowait({"type": "session.status", "properties": _of({"status": {"type": "busy"}})})
        await self._work(directory)
        self._said.put_nowait({"type": "session.turn.close", "properties": _of({})})

    @staticmethod
    def _session_file(directory: Path) -> Path:
        return directory.parent.parent / "home" / "session"


def _of(properties: dict[str, Any]) -> dict[str, Any]:
    return {"sessionID": "ses_1", **properties}


def stand_in(process: asyncio.subprocess.Process, log_path: Path, work: Callable[[Path], Awaitable[None]]) -> Agent:
    """The agent, as the supervisor holds it."""
    client = cast("AgentClient", StandInClient(process, work))
    return Agent(process, client, 0, datetime.now(UTC), log_path, "secret")
