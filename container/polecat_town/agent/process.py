"""One agent process: started inside its domain, watched, and asked whether it is ready."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from polecat_api.protocol import LISTEN_PORTS
from polecat_town.agent.client import AgentClient
from polecat_town.agent.config import AgentSetup, build_environment
from polecat_town.domain.domain import Command, Domain, spawn_in_domain
from polecat_town.pod.memory import read_kernel_kills

LOG_TAIL_BYTES = 2048
_POLL_SECONDS = 0.05
_FIRST_ANSWER_SECONDS = 0.2
_ANSWER_SECONDS = 5.0
"""How long an answer about its health may take, at first and at last. The CLI never answers a request that comes in the
moment in which it begins to listen (7.7.7), so that one must be given up soon; a busy machine needs longer."""


class AgentStartError(Exception):
    """The agent's process did not become ready; the message says what it did instead."""

    def __init__(self, message: str, *, exit_code: int | None = None, signal_number: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.signal = signal_number


@dataclass
class Agent:
    """A running agent and the way to it."""

    process: asyncio.subprocess.Process
    client: AgentClient
    port: int
    started: datetime
    log_path: Path
    password: str = field(repr=False)
    kernel_kills: int = field(default_factory=read_kernel_kills)
    """Processes of the container that the kernel had ended for want of memory when this one began."""

    @property
    def exited(self) -> bool:
        """Whether the process has ended."""
        return self.process.returncode is not None

    @property
    def exit_code(self) -> int | None:
        """Exit status, if it ended by itself."""
        code = self.process.returncode
        return code if code is not None and code >= 0 else None

    @property
    def signal(self) -> int | None:
        """The signal that ended it, if one did."""
        code = self.process.returncode
        return -code if code is not None and code < 0 else None

    @property
    def lacked_memory(self) -> bool:
        """Whether the kernel has ended it because the container was out of memory."""
        return self.signal == signal.SIGKILL and read_kernel_kills() > self.kernel_kills

    def describe_exit(self) -> str:
        """How it ended, in words."""
        if self.signal is not None:
            return f"the agent's process was ended by {signal.Signals(self.signal).name}"
        return f"the agent's process exited with {self.exit_code}"

    async def close(self) -> None:
        """Closes the connections; the process is ended by whoever ends its whole domain."""
        await self.client.close()
        release_port(self.port)


_ports: set[int] = set()
"""Ports of agents of this process: between looking for a free one and its use by the agent, no other gets it."""


def free_port() -> int:
    """A loopback port that nobody uses now, kept for the caller until `release_port`."""
    while True:
        port = secrets.choice(LISTEN_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _ports:
            _ports.add(port)
            return port


def release_port(port: int) -> None:
    """The port may be given to another agent."""
    _ports.discard(port)


def log_tail(path: Path) -> str:
    """The last `LOG_TAIL_BYTES` of what the process printed; empty when there is nothing."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LOG_TAIL_BYTES))
            return file.read().decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""


async def start_agent(
    *,
    kilo: Path,
    domain: Domain,
    cwd: Path,
    base_environment: dict[str, str],
    setup: AgentSetup,
    log_path: Path,
    marker: str,
) -> Agent:
    """Starts `kilo serve` on a free loopback port; it is not ready yet. Raises DomainError."""
    port = free_port()
    password = secrets.token_urlsafe(24)
    command = Command(
        argv=(str(kilo), "serve", "--port", str(port), "--hostname", "127.0.0.1"),
        cwd=cwd,
        env=build_environment(base_environment, setup, password),
    )
    log_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        process = await spawn_in_domain(domain, command, log_path, marker=marker)
    except BaseException:
        release_port(port)
        raise
    client = AgentClient(port, password)
    await client.__aenter__()
    return Agent(process, client, port, datetime.now(UTC), log_path, password)


async def wait_ready(agent: Agent, deadline_seconds: float) -> None:
    """Until the agent's server answers. Raises AgentStartError when it ends first or takes longer."""
    answer_seconds = _FIRST_ANSWER_SECONDS
    try:
        async with asyncio.timeout(deadline_seconds):
            while True:
                if agent.exited:
                    raise AgentStartError(
                        agent.describe_exit() + " before it was ready",
                        exit_code=agent.exit_code,
                        signal_number=agent.signal,
                    )
                asked = time.monotonic()
                if await agent.client.is_healthy(answer_seconds):
                    return
                if time.monotonic() - asked >= answer_seconds:
                    answer_seconds = min(2 * answer_seconds, _ANSWER_SECONDS)
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise AgentStartError(f"the agent was not ready after {deadline_seconds:g} s") from None
