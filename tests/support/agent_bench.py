"""One agent on a bench: its process in its domain, a real Git repository, a scripted model, and tools over MCP."""

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from starlette.types import Receive, Scope, Send

from polecat_api.rig import Model
from polecat_local.demo.model import MODEL, ScriptedModel
from polecat_town.agent.client import AgentUnreachableError
from polecat_town.agent.config import AgentSetup
from polecat_town.agent.events import AgentEvent, Idle, Normaliser
from polecat_town.agent.process import Agent, free_port, log_tail, start_agent, wait_ready
from polecat_town.domain.domain import agent_domain, agent_environment, fresh_home, kill_marked
from polecat_town.domain.network import open_network

READY_SECONDS = 60.0
EVENT_SECONDS = 60.0
STARTED_SECONDS = 10.0

E = TypeVar("E")


class ToolServer:
    """The tools `done` and `refuse` over streamable HTTP on loopback; remembers who called."""

    def __init__(self) -> None:
        self.port = free_port()
        self.authorizations: set[str] = set()
        """The Authorization headers of all requests."""
        self.summaries: list[str] = []
        """What `done` was called with."""

    @property
    def url(self) -> str:
        """Where the agent finds it."""
        return f"http://127.0.0.1:{self.port}/mcp"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves until the block ends."""
        mcp = MCPServer("polecat")

        @mcp.tool()
        async def done(summary: str) -> str:
            """Say that the work is done."""
            self.summaries.append(summary)
            return f"accepted: {summary}"

        @mcp.tool()
        async def refuse() -> str:
            """Refuse."""
            raise ToolError("commit your changes first")

        app = mcp.streamable_http_app(stateless_http=True, json_response=True)

        async def recording(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                headers = dict(scope["headers"])
                self.authorizations.add(headers.get(b"authorization", b"").decode())
            await app(scope, receive, send)

        config = uvicorn.Config(
            recording, host="127.0.0.1", port=self.port, log_level="warning", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        try:
            async with asyncio.timeout(STARTED_SECONDS):
                while not server.started:
                    await asyncio.sleep(0.01)
            yield
        finally:
            server.should_exit = True
            await task


@dataclass
class Listener:
    """The events of one session since it was made."""

    agent: Agent
    directory: Path
    session_id: str
    events: list[AgentEvent] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _task: asyncio.Task[None] | None = None
    _connected: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Listens; returns when nothing can be missed any more."""
        self._task = asyncio.create_task(self._listen())
        async with asyncio.timeout(EVENT_SECONDS):
            await self._connected.wait()

    async def stop(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def until(self, kind: type[E], matches: Callable[[E], bool] = lambda _: True, *, since: int = 0) -> E:
        """The first event of a kind from number `since` on, waited for; fails after EVENT_SECONDS."""

        def found() -> E | None:
            return next((e for e in self.events[since:] if isinstance(e, kind) and matches(e)), None)

        try:
            async with asyncio.timeout(EVENT_SECONDS), self._news:
                await self._news.wait_for(lambda: found() is not None)
        except TimeoutError:
            raise AssertionError(
                f"no {kind.__name__} came; these did: {self.events}; {log_tail(self.agent.log_path)}"
            ) from None
        event = found()
        assert event is not None
        return event

    async def until_idle(self, *, since: int = 0) -> None:
        """Until the session is idle again."""
        await self.until(Idle, since=since)

    async def _listen(self) -> None:
        normaliser = Normaliser(self.session_id)
        try:
            async for raw in self.agent.client.events(self.directory):
                self._connected.set()
                news = normaliser.feed(raw)
                async with self._news:
                    self.events += news
                    self._news.notify_all()
        except AgentUnreachableError:
            return  # the agent was ended


@dataclass
class Bench:
    """A place for one agent, which may be started several times in it."""

    kilo: Path
    rig_dir: Path
    model: ScriptedModel
    tools: ToolServer
    name: str = "toast"
    token: str = "token-of-toast"
    marker: str = field(default_factory=lambda: str(uuid.uuid4()))
    environment: dict[str, str] = field(default_factory=dict)
    _agents: list[Agent] = field(default_factory=list)
    _listeners: list[Listener] = field(default_factory=list)

    @property
    def worktree(self) -> Path:
        """The agent's repository."""
        return self.rig_dir / self.name / "0a1b2c3d" / "worktree"

    async def prepare(self) -> None:
        """Makes repository and home."""
        (self.rig_dir / "store.git" / "objects").mkdir(parents=True, exist_ok=True)
        self.worktree.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("config", "user.name", "Toast")
        self.git("config", "user.email", "toast@polecat.dev")
        self.git("commit", "--quiet", "--allow-empty", "--message", "Begin")
        await fresh_home(self.rig_dir, self.name)

    async def start(self) -> Agent:
        """A new process, ready."""
        agent = await self.launch()
        try:
            await wait_ready(agent, READY_SECONDS)
        except Exception as error:
            raise AssertionError(f"{error}; it said: {log_tail(agent.log_path)}") from error
        return agent

    async def launch(self) -> Agent:
        """A new process that may not be ready."""
        setup = AgentSetup(
            model=Model.model_validate({"provider": "openai-compatible", "name": MODEL, "endpoint": self.model.url}),
            model_name=MODEL,
            token=self.token,
            tools_url=self.tools.url,
            proxy_url=self.model.url,
            tool_timeout_seconds=60.0,
        )
        agent = await start_agent(
            kilo=self.kilo,
            domain=agent_domain(self.rig_dir, self.name, self.kilo).at_work(open_network()),
            cwd=self.worktree,
            base_environment={**agent_environment(self.rig_dir, self.name), **self.environment},
            setup=setup,
            log_path=self.rig_dir.parent.parent / "logs" / f"{self.marker}.log",
            marker=self.marker,
        )
        self._agents.append(agent)
        return agent

    async def session(self, agent: Agent, session_id: str | None = None) -> Listener:
        """A session (a new one unless named) and its events."""
        session_id = session_id or await agent.client.create_session(self.worktree, "a piece of work")
        listener = Listener(agent, self.worktree, session_id)
        self._listeners.append(listener)
        await listener.start()
        return listener

    async def prompt(self, listener: Listener, text: str) -> int:
        """Prompts, and gives the number that the next event will have."""
        number = len(listener.events)
        await listener.agent.client.prompt(self.worktree, listener.session_id, text)
        return number

    async def end(self) -> int:
        """Ends every process of the agent; how many there were."""
        group = self._agents[-1].process.pid if self._agents and not self._agents[-1].exited else None
        count = await kill_marked(self.marker, 0.0, group=group)
        for agent in self._agents:
            await agent.process.wait()
        return count

    async def close(self) -> None:
        """Ends all."""
        for listener in self._listeners:
            await listener.stop()
        await self.end()
        for agent in self._agents:
            await agent.close()

    def git(self, *arguments: str) -> str:
        """Output of Git in the worktree."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.worktree, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout.strip()

    def seen_by_commands(self, file: str) -> dict[str, Any]:
        """Environment that a command wrote with `env > file`."""
        lines = (self.worktree / file).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)
