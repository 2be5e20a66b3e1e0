"""A whole Polecat for end-to-end tests: a cluster, a bare remote, a scripted model, and gates that agents wait at."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from aiohttp import web

from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, EVENT, POLECAT, RIG, ResourceType
from polecat_local.cluster import LocalCluster
from polecat_local.demo.model import ScriptedModel
from polecat_oracle.looking import agent_processes
from support.loopback import on_loopback

Json = dict[str, Any]
NAMESPACE = "default"
POLL_SECONDS = 0.1
LONG_SECONDS = 240.0
"""How long a test waits for what must happen; reached only when it never will."""


class Gates:
    """Doors that an agent's shell command waits at until the test opens them; `host` is where agents reach them."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self.arrived: set[str] = set()
        self._open: dict[str, asyncio.Event] = {}
        self._stack = AsyncExitStack()
        self._url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{gate}", self._wait)
        self._url = await self._stack.enter_async_context(on_loopback(app, self._host))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for event in self._open.values():
            event.set()
        await self._stack.aclose()

    def command(self, gate: str) -> str:
        """The shell command that comes back when the gate is open."""
        direct = "u.build_opener(u.ProxyHandler({}))"
        return f"python3 -c \"import urllib.request as u; {direct}.open('{self._url}/{gate}', timeout=600).read()\""

    def open(self, *gates: str) -> None:
        """Lets through who waits there, and who comes later."""
        for gate in gates:
            self._event(gate).set()

    def _event(self, gate: str) -> asyncio.Event:
        return self._open.setdefault(gate, asyncio.Event())

    async def _wait(self, request: web.Request) -> web.Response:
        gate = request.match_info["gate"]
        self.arrived.add(gate)
        await self._event(gate).wait()
        return web.Response(text="open")


@dataclass
class World:
    """What a test acts on and looks at. All waiting is for a condition, with a deadline."""

    cluster: LocalCluster
    api: KubeApi
    remote: Path
    model: ScriptedModel
    gates: Gates
    namespace: str = NAMESPACE
    made: dict[str, Json] = field(default_factory=dict)

    async def rig(self, name: str = "web", **spec: Any) -> Json:
        """Applies a rig on the remote and waits until it is ready."""
        body = {
            "metadata": {"name": name},
            "spec": {
                "townRef": {"name": self.cluster.town_identity.name},
                "repository": {"url": f"file://{self.remote}"},
                "model": {"provider": "openai-compatible", "name": "scripted", "endpoint": self.model.url},
                **spec,
            },
        }
        await self.api.create(RIG, self.namespace, body)
        return await self.until(RIG, name, lambda rig: condition(rig, "Ready") == "True")

    async def bead(self, name: str, steps: Sequence[Json], rig: str = "web", **spec: Any) -> Json:
        """Applies a bead whose prompt carries the script of its agent."""
        body = {
            "metadata": {"name": name},
            "spec": {"rigRef": {"name": rig}, "title": f"Work on {name}", "prompt": script(steps), **spec},
        }
        self.made[name] = await self.api.create(BEAD, self.namespace, body)
        return self.made[name]

    async def store(self, count: int, rig: str = "bench") -> None:
        """Applies so many suspended beads, and waits until the operator has said so of each."""
        start = len(self.made)
        for first in range(start, start + count, 500):
            some = range(first, min(first + 500, start + count))
            await asyncio.gather(
                *(self.bead(f"stored-{n}", [{"say": "x" * 1000}], rig=rig, suspend=True) for n in some)
            )
        untold = count + 1
        while untold:
            # So many objects take their time; what never gets on fails.
            async with asyncio.timeout(LONG_SECONDS):
                before = untold
                while untold >= before:
                    await asyncio.sleep(max(1, count / 2000))
                    items, _ = await self.api.list(BEAD, self.namespace)
                    untold = sum(reason(item) is None for item in items)

    async def until(
        self,
        resource: ResourceType,
        name: str,
        holds: Callable[[Json], bool],
        seconds: float = LONG_SECONDS,
    ) -> Json:
        """The object, once it exists and `holds`."""
        last: Json | None = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    last = await self.api.get(resource, self.namespace, name)
                    if last is not None and holds(last):
                        return last
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{resource.kind} {name} never got there:\n{yaml.safe_dump(last)}") from None

    async def until_gone(self, resource: ResourceType, name: str, seconds: float = LONG_SECONDS) -> None:
        """Until no object of that name exists."""
        async with asyncio.timeout(seconds):
            while await self.api.get(resource, self.namespace, name) is not None:
                await asyncio.sleep(POLL_SECONDS)

    async def until_true(self, holds: Callable[[], bool], what: str, seconds: float = LONG_SECONDS) -> None:
        """Until something outside of the API server holds."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise AssertionError(f"never happened: {what}") from None

    async def ended(self, *names: str) -> list[Json]:
        """The beads, once all have ended."""
        return [
            await self.until(BEAD, name, lambda bead: condition(bead, "Succeeded") in ("True", "False"))
            for name in names
        ]

    async def succeeded(self, *names: str) -> list[Json]:
        """The beads, which have all ended well: verified on the remote, and nothing left of their polecats."""
        beads = await self.ended(*names)
        for bead in beads:
            assert condition(bead, "Succeeded") == "True", yaml.safe_dump(bead["status"])
            assert self.git("rev-parse", bead["status"]["branch"]) == bead["status"]["headCommit"]
        return beads

    async def polecats(self) -> dict[str, Json]:
        """Name of the bead → its Polecat."""
        items, _ = await self.api.list(POLECAT, self.namespace)
        return {item["spec"]["beadRef"]["name"]: item for item in items}

    async def quiet(self) -> None:
        """Until no Polecat, and no process of one, is left."""
        left: dict[str, Json] = {}
        try:
            async with asyncio.timeout(LONG_SECONDS):
                while left := await self.polecats():
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise AssertionError(f"polecats never went away:\n{yaml.safe_dump(list(left.values()))}") from None
        await self.until_true(lambda: not agent_processes(self.cluster.data.town), "all agents' processes are gone")

    async def events(self, bead: str, reason: str) -> list[str]:
        """Messages of the Events with this reason about a bead."""
        items, _ = await self.api.list(EVENT, self.namespace)
        return [
            item["message"] for item in items if item["involvedObject"]["name"] == bead and item["reason"] == reason
        ]

    def git(self, *arguments: str) -> str:
        """What Git says in the remote."""
        done = subprocess.run(["git", *arguments], cwd=self.remote, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def journal(self, bead: Json, attempt: int = 1) -> list[Json]:
        """The events of one attempt, as the town has written them."""
        file = self.cluster.data.town / "streams" / bead["metadata"]["uid"] / f"{attempt}.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()]

    async def polecat_command(self, *arguments: str, stdin: str = "") -> tuple[int, str]:
        """Exit code and output of a command line, as a user would type it."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "polecat_cli", *arguments),
            env={**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate(stdin.encode())
        return process.returncode or 0, output.decode()


def script(steps: Sequence[Json]) -> str:
    """A prompt that tells the scripted model what to play."""
    return f"Please do this.\n\n```script\n{yaml.safe_dump(list(steps), sort_keys=False, width=10_000)}```\n"


def commit(file: str, text: str = "hello") -> Json:
    """The step in which an agent makes a file and commits it."""
    return {"bash": f"echo {text} > {file} && git add -A && git commit -qm 'Add {file}'"}


def condition(item: Json, type_: str, what: str = "status") -> str | None:
    """Status (or reason, message) of a condition; None while it is not there."""
    conditions = item.get("status", {}).get("conditions", [])
    return next((each[what] for each in conditions if each["type"] == type_), None)


def reason(item: Json, type_: str = "Succeeded") -> str | None:
    """Reason of a condition."""
    return condition(item, type_, "reason")


class NeverTwo:
    """Looks at the process table all the time, and remembers any Polecat that had two agents at once."""

    def __init__(self, town_dir: Path) -> None:
        self.violations: list[str] = []
        self._town_dir = town_dir
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        assert not self.violations, self.violations

    async def _watch(self) -> None:
        while True:
            for uid, processes in (await asyncio.to_thread(agent_processes, self._town_dir)).items():
                if len(processes) > 1:
                    self.violations.append(f"{uid}: {[process.pid for process in processes]}")
            await asyncio.sleep(POLL_SECONDS)


def make_remote(path: Path) -> Path:
    """A bare repository with one commit on `main`."""
    work = path.with_suffix(".work")
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for arguments in (
        ["init", "--quiet", "--bare", "--initial-branch=main", str(path)],
        ["init", "--quiet", "--initial-branch=main", str(work)],
    ):
        subprocess.run(["git", *arguments], check=True)
    (work / "README.md").write_text("# A repository\n")
    for arguments in (["add", "-A"], ["commit", "-qm", "Begin"], ["push", "-q", str(path), "main"]):
        subprocess.run(["git", *identity, *arguments], cwd=work, check=True)
    return path
