"""A supervisor with one polecat, killed before every effect, and its successor again: what must hold in the end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import jwt
import pytest

from polecat_api import protocol
from polecat_api.branches import build_branch
from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, POLECAT, SECRET
from polecat_town.agent import process as agent_process
from polecat_town.agent.process import Agent
from polecat_town.domain import domain as domain_module
from polecat_town.domain.processes import MARKER, Target, end, find
from polecat_town.endpoint.tokens import AgentIdentity
from polecat_town.git import private
from polecat_town.life.services import Services
from polecat_town.life.state import LifeState, load_state
from polecat_town.pod.binary import Binary
from polecat_town.pod.state import PodState
from polecat_town.rigs import Rigs
from polecat_town.settings import Settings
from polecat_town.streams.events import Kind
from polecat_town.streams.hub import Streams
from polecat_town.streams.journal import Journal
from polecat_town.streams.segments import list_segments
from polecat_town.supervisor import Supervisor
from support.kill_points import before_each_effect, copy_world, fingerprint, without_moments
from support.small_api import Json, SmallApi
from support.stand_in_agent import GIT_ENVIRONMENT, agent_git, stand_in, start_marked_process

NAME, NAMESPACE, RIG_NAME = "toast", "default", "web"
OBJECT = f"{RIG_NAME}-{NAME}"
RUN_SECONDS = 60.0
"""Only a supervisor that hangs needs so long: a run takes about a second."""

OPEN_FILE = "open.txt"
"""A file that the agent leaves uncommitted, where the scenario wants it."""


@dataclass(frozen=True)
class Scenario:
    """How an attempt comes to its end."""

    name: str
    trigger: str
    """What happens when the agent has worked: `done`, `exit`, `delete` or `drain`."""
    reasons: frozenset[str]
    """What the Finished condition may say."""
    successor_pod_uid: str = "pod-1"
    """Another one than `pod-1`: a kill is the end of the pod, too."""


@dataclass
class World:
    """All that outlives a supervisor, but for the disk."""

    objects: dict[tuple[str, str], Json]
    made: list[str] = field(default_factory=list)
    """Commits that the agent ever made."""
    left_open: bool = False
    """Whether the agent has written the file that it does not commit."""
    ends: list[tuple[str, str]] = field(default_factory=list)
    """(reason, saved ref or published commit) of every report that the attempt is finished."""
    claims: int = 0
    told: int = 0
    """How often the journal says that the attempt has ended."""
    alive: bool = False
    """Whether a process of the polecat lives."""
    kills: tuple[str, ...] = ()
    """Before which effects supervisors were killed so far."""

    def key(self, state: LifeState | None) -> str:
        """Equal for worlds from which the same follows: what a new supervisor reads, and what is checked in the end.

        It begins with the state as `resumed` leaves it, and of a Polecat's status it reads claim and end.
        """
        polecat = self.objects.get((POLECAT.kind, OBJECT), {})
        status = polecat.get("status", {})
        ended = [
            each for each in status.get("conditions", []) if (each["type"], each["status"]) == ("Finished", "True")
        ]
        read = [polecat.get("metadata"), status.get("claim"), ended, self.made, self.left_open, sorted(set(self.ends))]
        kept = state.resumed().model_dump_json() if state is not None else ""
        return without_moments(json.dumps([*read, self.claims, self.told, self.alive]) + kept)


class KillMatrix:
    """One scenario in a directory."""

    def __init__(self, scenario: Scenario, directory: Path) -> None:
        self.scenario = scenario
        self.root = directory / "world"
        self.shelf = directory / "shelf"
        self.remote = self.root / "remote.git"
        self.data_dir = self.root / "town"
        self.uid = str(uuid.uuid4())
        self.bead_uid = str(uuid.uuid4())
        self.branch = str(build_branch("polecat", NAME, self.bead_uid))
        self.world = World(self._objects())
        self.seen: set[str] = set()
        self.found: list[tuple[World, Path]] = []
        self.points = 0
        self._processes: list[asyncio.subprocess.Process] = []

    def _objects(self) -> dict[tuple[str, str], Json]:
        signed = jwt.encode({"sub": self.uid}, "a key that nobody checks, of a length that is accepted", "HS256")
        token = base64.b64encode(signed.encode()).decode()
        polecat = {
            "metadata": {
                "name": OBJECT,
                "namespace": NAMESPACE,
                "uid": self.uid,
                "generation": 1,
                "finalizers": [protocol.FINALIZER],
            },
            "spec": {
                "name": NAME,
                "rigRef": {"name": RIG_NAME},
                "townRef": {"name": "main"},
                "beadRef": {"name": "fix", "uid": self.bead_uid},
                "attempt": 1,
                "pod": "main-0",
                "branch": self.branch,
                "baseBranch": "main",
                "title": "Fix it",
                "model": "m",
                "limits": {},
                "tokenSecretRef": {"name": "token"},
            },
        }
        bead = {
            "metadata": {"name": "fix", "namespace": NAMESPACE, "uid": self.bead_uid},
            "spec": {"rigRef": {"name": RIG_NAME}, "title": "Fix it", "prompt": "Do it."},
            "status": {"polecat": NAME},
        }
        secret = {"metadata": {"name": "token"}, "data": {protocol.TOKEN_KEY: token}}
        return {(POLECAT.kind, OBJECT): polecat, (BEAD.kind, "fix"): bead, (SECRET.kind, "token"): secret}

    async def make_remote(self) -> None:
        """A repository with one commit."""
        self.root.mkdir()
        await agent_git(self.root, "init", "-q", "--bare", "--template=", "-b", "main", str(self.remote))
        seed = self.root.parent / "seed"
        await agent_git(self.root, "init", "-q", "-b", "main", str(seed))
        who = ("-c", "user.name=u", "-c", "user.email=u@example.com")
        await agent_git(seed, *who, "commit", "-q", "--allow-empty", "-m", "Begin")
        await agent_git(seed, "push", "-q", str(self.remote), "HEAD:main")

    # -- the matrix ------------------------------------------------------------------------------------------

    async def play(self, kills: int, part: int = 0, parts: int = 1) -> int:
        """Every life with so many kills at most; gives how many were lived.

        Of the points of the first kill only every `parts`-th is taken, from `part` on.
        """
        await self.make_remote()
        await self.live(record=True)
        waiting, played = self.found[part::parts], 1
        for number in range(1, kills + 1):
            self.found = []
            for world, place in waiting:
                self.world = world
                copy_world(place, self.root)
                shutil.rmtree(place)
                await self.live(record=number < kills)
                played += 1
            waiting = self.found
        return played

    def _effect(self, what: str) -> None:
        """Keeps the world as a kill at this moment would leave it, unless it is kept already."""
        self.points += 1
        self.world.alive = any(_lives(process) for process in self._processes)
        state = load_state(self.data_dir / "state" / f"{self.uid}.json")
        key = self.world.key(state) + fingerprint(self.root)
        if key in self.seen:
            return
        self.seen.add(key)
        place = self.shelf / str(len(self.seen))
        copy_world(self.root, place)
        kept = copy.deepcopy(self.world)
        kept.kills = (*kept.kills, what)
        self.found.append((kept, place))

    async def live(self, *, record: bool) -> None:
        """A supervisor goes on from the world as it is, to the end of the polecat; then all must be well."""
        try:
            if self.world.alive:
                # What an agent had started may outlive its supervisor.
                self._processes.append(await start_marked_process(self.uid))
            effect = self._effect if record else _unheard
            with self._patched(effect), before_each_effect(self.root, effect):
                await self._supervise(effect)
            self.check()
        except BaseException as error:
            error.add_note(f"{self.scenario.name}, killed before: {self.world.kills or 'never'}")
            raise
        finally:
            await end(Target(MARKER, self.uid), 0.0)
            await asyncio.gather(*(process.wait() for process in self._processes))
            self._processes.clear()

    @contextlib.contextmanager
    def _patched(self, effect: Callable[[str], None]) -> Iterator[None]:
        environment = domain_module.agent_environment

        def dated(rig_dir: Path, name: str) -> dict[str, str]:
            dates = {key: value for key, value in GIT_ENVIRONMENT.items() if key.endswith("_DATE")}
            return environment(rig_dir, name) | dates

        written = Journal.append

        def append(journal: Journal, kind: Kind, **data: Any) -> int:
            if kind is Kind.ENDED:
                effect("tell the journal of the end")
                self.world.told += 1
            return written(journal, kind, **data)

        async def ready(agent: Agent, deadline_seconds: float) -> None:
            return None

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(private, "agent_environment", dated)
            patch.setattr(agent_process, "start_agent", self._start_agent)
            patch.setattr(agent_process, "wait_ready", ready)
            patch.setattr(Journal, "append", append)
            yield

    # -- one life --------------------------------------------------------------------------------------------

    async def _supervise(self, effect: Callable[[str], None]) -> None:
        pod_uid = self.scenario.successor_pod_uid if self.world.kills else "pod-1"
        async with asyncio.timeout(RUN_SECONDS):
            await self._start(pod_uid, effect)
            while not await self._over():
                # A pod that was drained has a successor.
                await self._start(self.scenario.successor_pod_uid, effect)

    async def _start(self, pod_uid: str, effect: Callable[[str], None]) -> None:
        settings = Settings(data_dir=self.data_dir, pod_uid=pod_uid, terminate_seconds=0, kilo_path=Path("/bin/true"))
        self.api = SmallApi(self.world.objects, effect)
        api = cast("KubeApi", self.api)
        rigs = Rigs(api, settings, lambda rig: None)
        rigs.observe(None, self._rig())
        self.pod = PodState(binary=Binary(Path("/bin/true")))
        self.changed = asyncio.Event()
        services = Services(
            settings=settings,
            api=api,
            rigs=rigs,
            pod=self.pod,
            streams=Streams(settings.streams_dir),
            tools_url=lambda: "http://127.0.0.1:1/mcp",
            model_url=lambda: "http://127.0.0.1:1/model",
            starting=asyncio.Semaphore(1),
            name_is_free=self._name_is_free,
            agents=lambda: self.supervisor.agents,
        )
        self.supervisor = Supervisor(services, _at_once, self.changed.set)
        self.api.watch = self._watched
        self.drained = asyncio.Event()
        try:
            found = self.world.objects.get((POLECAT.kind, OBJECT))
            if found is not None:
                if self.world.ends:
                    self.api.delete(POLECAT.kind, OBJECT)
                else:
                    self.supervisor.observe(None, copy.deepcopy(found))
            self.supervisor.adopt_orphans()
            while not self.drained.is_set() and not await self._over():
                self.changed.clear()
                await self.changed.wait()
            if self.drained.is_set():
                await self.supervisor.settled()
        finally:
            await self.supervisor.stop()

    async def _over(self) -> bool:
        return (POLECAT.kind, OBJECT) not in self.world.objects and self.supervisor.slots_used == 0

    def _name_is_free(self, rig: str, name: str, uid: str) -> bool:
        return self.supervisor.name_is_free(rig, name, uid)

    def _watched(self, old: Json | None, new: Json | None) -> None:
        status = (new or {}).get("status") or {}
        if status.get("claim") and not ((old or {}).get("status") or {}).get("claim"):
            self.world.claims += 1
        for condition in status.get("conditions", []):
            if (condition["type"], condition["status"]) == ("Finished", "True"):
                kept = status.get("savedRef") or status.get("publishedCommit") or ""
                self.world.ends.append((condition["reason"], kept))
        self.supervisor.observe(old, new)
        if self.world.ends and new is not None and not self.pod.draining:
            # The operator has read it.
            asyncio.get_running_loop().call_soon(self._delete)
        self.changed.set()

    def _delete(self) -> None:
        found = self.world.objects.get((POLECAT.kind, OBJECT))
        if found is not None and "deletionTimestamp" not in found["metadata"]:
            self.api.delete(POLECAT.kind, OBJECT)

    def _rig(self) -> Json:
        model = {"provider": "openai-compatible", "name": "m", "endpoint": "http://127.0.0.1:1/v1"}
        spec = {"townRef": {"name": "main"}, "repository": {"url": f"file://{self.remote}"}, "model": model}
        return {"metadata": {"name": RIG_NAME, "namespace": NAMESPACE, "uid": "rig-1"}, "spec": spec}

    # -- the agent -------------------------------------------------------------------------------------------

    async def _start_agent(self, *, cwd: Path, log_path: Path, marker: str, **more: Any) -> Agent:
        others = find(Target(MARKER, self.uid))
        assert not others, f"a second process beside {others}"
        process = await start_marked_process(marker)
        self._processes.append(process)
        return stand_in(process, log_path, lambda worktree: self._work(process, worktree))

    async def _work(self, process: asyncio.subprocess.Process, worktree: Path) -> None:
        world = self.world
        if not list(worktree.glob("work-*.txt")):
            number = len(world.made) + 1
            (worktree / f"work-{number}.txt").write_text("work\n")
        if await agent_git(worktree, "status", "--porcelain", "--", "work-*.txt"):
            await agent_git(worktree, "add", "work-*.txt")
            await agent_git(worktree, "commit", "-q", "-m", f"Work {len(world.made) + 1}")
        head = await agent_git(worktree, "rev-parse", "HEAD")
        if head not in world.made:
            world.made.append(head)
        trigger = self.scenario.trigger
        if trigger == "done":
            caller = self.supervisor.find(AgentIdentity(self.uid, self.bead_uid, 1))
            assert caller is not None
            answer = await caller.tool_done("Did it.", no_changes=False)
            assert "Accepted" in answer or "over" in answer, answer
            return
        (worktree / OPEN_FILE).write_text("not committed\n")
        world.left_open = True
        if trigger == "exit":
            process.kill()
        elif trigger == "delete":
            self._delete()
        else:
            self.pod.draining = True
            self.drained.set()
            self.changed.set()
            for life in self.supervisor.lives:
                life.wake()

    # -- what must hold --------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises AssertionError."""
        world = self.world
        assert (POLECAT.kind, OBJECT) not in world.objects, "the finalizer is still there"
        assert len(set(world.ends)) == 1, f"not one end: {world.ends}"
        reason, kept = world.ends[0]
        assert reason in self.scenario.reasons, reason
        assert world.claims == 1, f"claimed {world.claims} times"
        self._check_work(reason, kept)
        self._check_rest()

    def _check_work(self, reason: str, kept: str) -> None:
        refs = dict(line.split(" ") for line in self._git("for-each-ref", "--format=%(refname) %(objectname)"))
        saved = {ref for ref in refs if ref.startswith(f"refs/polecat/saved/{self.bead_uid}/")}
        assert set(refs) <= {"refs/heads/main", f"refs/heads/{self.branch}"} | saved, refs
        missing = set(self.world.made) - set(self._git("rev-list", "--all"))
        assert not missing, f"commits {missing} are lost; the remote has {refs}"
        if reason == "Done":
            assert refs[f"refs/heads/{self.branch}"] == kept
        elif self.world.left_open:
            assert OPEN_FILE in self._git("ls-tree", "--name-only", refs[kept]), "what was not committed is lost"

    def _check_rest(self) -> None:
        left = [path for folder in ("state", "locks") for path in (self.data_dir / folder).glob("*")]
        left += [path for name in (NAME, ".lost") for path in (self.data_dir / "rigs" / RIG_NAME).glob(f"{name}/*")]
        assert not left, f"left over: {left}"
        store = self.data_dir / "rigs" / RIG_NAME / "store.git"
        assert not list((store / "refs/polecat").glob("work/*")), "the work ref is still there"
        assert not find(Target(MARKER, self.uid)), "a process is left"
        segments = list_segments(self.data_dir / "streams" / self.bead_uid, 1)
        events = [json.loads(line) for segment in segments for line in segment.path.read_text().splitlines()]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert [event["kind"] for event in events].count("ended") == 1, "the journal does not tell one end"

    def _git(self, *arguments: str) -> list[str]:
        command = ["git", "--git-dir", str(self.remote), *arguments]
        done = subprocess.run(command, env=GIT_ENVIRONMENT, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()


def _lives(process: asyncio.subprocess.Process) -> bool:
    """Whether a process lives, also before its end has been heard of."""
    try:
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return process.returncode is None and state not in "ZX"


async def _at_once() -> None:
    return None


def _unheard(what: str) -> None:
    """Of a life that is not cut again."""
