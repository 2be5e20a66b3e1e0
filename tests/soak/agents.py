"""The scripts of the agents, and the ledger to which they tell every commit that they have made."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from soak.plan import PlannedBead
from support.loopback import on_loopback
from support.whole import script

Json = dict[str, Any]
DAEMON = "(setsid sleep 3600 >/dev/null 2>&1 &)"
"""What an agent leaves behind."""
LIMITS_SECONDS = {"runSeconds": 90, "quietSeconds": 10}


class Ledger:
    """A page on loopback that agents call with each commit: what they have made is known even if they are killed."""

    def __init__(self) -> None:
        self.commits: dict[str, set[str]] = {}
        """Commit → names of the beads in whose work it was made."""
        self._stack = AsyncExitStack()
        self._url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{bead}/{commit}", self._enter)
        self._url = await self._stack.enter_async_context(on_loopback(app))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def commit(self, bead: str, pause_seconds: float) -> Json:
        """The step in which an agent works for a while, commits something new, and enters it."""
        enter = f"import urllib.request as u, sys; u.urlopen('{self._url}/{bead}/' + sys.argv[1], timeout=20).read()"
        work = f"sleep {pause_seconds} && date +%s%N >> {bead}.txt && git add -A && git commit -qm 'Work on {bead}'"
        return {"bash": f'{work} && python3 -c "{enter}" $(git rev-parse HEAD)'}

    async def _enter(self, request: web.Request) -> web.Response:
        self.commits.setdefault(request.match_info["commit"], set()).add(request.match_info["bead"])
        return web.Response(text="entered")


def spec_of(bead: PlannedBead, ledger: Ledger) -> Json:
    """The spec of a Bead whose prompt carries the script of its agent."""
    return {
        "rigRef": {"name": bead.rig},
        "title": f"Work on {bead.name} ({bead.agent})",
        "prompt": script(steps_of(bead, ledger)),
        "priority": bead.priority,
        "dependsOn": list(bead.depends_on),
        "limits": {"attempts": bead.attempts, **LIMITS_SECONDS},
    }


def steps_of(bead: PlannedBead, ledger: Ledger) -> list[Json]:
    """What the agent does."""
    work = [ledger.commit(bead.name, bead.pause_seconds) for _ in range(bead.commits)]
    done: Json = {"done": f"Work on {bead.name} is done."}
    checkpoint: Json = {"tool": "polecat_checkpoint", "args": {"note": "So far."}}
    scripts: dict[str, list[Json]] = {
        "plain": [*work, done],
        "checkpoint": [*[step for one in work for step in (one, checkpoint)], done],
        "dirty": [*work, {"bash": "echo open > open.txt"}, done, ledger.commit(bead.name, 0), done],
        "daemon": [{"bash": DAEMON}, *work, done],
        "empty": [{"bash": f"sleep {bead.pause_seconds}"}, {"tool": "polecat_done", "args": NO_CHANGES}],
        "crashes": [*work, {"bash": "echo open > open.txt"}, {"tool": "fake_exit", "args": {"code": 7}}],
        "never-done": [*work, {"bash": "echo open > open.txt"}, {"say": "I think that is all."}],
        "stuck": [*work, {"bash": "sleep 3600", "timeout_seconds": 7200}],
        "escalates": [*work, {"tool": "polecat_escalate", "args": {"question": "May I?"}}],
    }
    return scripts[bead.agent]


NO_CHANGES: Json = {"summary": "Nothing had to be done.", "no_changes": True}
