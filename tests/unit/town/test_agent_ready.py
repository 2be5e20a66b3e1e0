"""How an agent's server is asked whether it is ready."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from polecat_town.agent import process
from polecat_town.agent.client import AgentClient
from polecat_town.agent.process import Agent, AgentStartError, wait_ready


class LivingProcess:
    """A process that does not end."""

    returncode = None


class SilentServer:
    """Answers nothing until it has been asked a number of times, and then at once."""

    def __init__(self, silent: int) -> None:
        self.silent = silent
        self.patience: list[float] = []

    async def is_healthy(self, timeout_seconds: float) -> bool:
        """As the client's, with a clock that runs faster."""
        self.patience.append(timeout_seconds)
        if len(self.patience) > self.silent:
            return True
        await asyncio.sleep(timeout_seconds)
        return False


def agent_at(server: SilentServer) -> Agent:
    client = cast("AgentClient", server)
    living = cast("asyncio.subprocess.Process", LivingProcess())
    return Agent(living, client, 1, datetime.now(UTC), Path("none"), "secret")


async def test_a_first_request_that_is_never_answered_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_FIRST_ANSWER_SECONDS", 0.001)
    monkeypatch.setattr(process, "_ANSWER_SECONDS", 0.006)
    server = SilentServer(5)
    await wait_ready(agent_at(server), 60)
    assert server.patience == pytest.approx([0.001, 0.002, 0.004, 0.006, 0.006, 0.006])


async def test_a_server_that_never_answers_has_failed_to_start() -> None:
    with pytest.raises(AgentStartError, match=r"not ready after 0\.01 s"):
        await wait_ready(agent_at(SilentServer(1000)), 0.01)
