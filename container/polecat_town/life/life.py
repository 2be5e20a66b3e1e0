"""One polecat's life in this supervisor: look, decide, act, until it is removed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from polecat_api.base import Condition
from polecat_api.bead import Bead
from polecat_api.conditions import Reason
from polecat_api.polecat import Claim, Polecat, PolecatStatus
from polecat_kube.errors import ApiError
from polecat_town import metrics
from polecat_town.agent.client import AgentUnreachableError
from polecat_town.agent.process import Agent, AgentStartError, log_tail
from polecat_town.errors import TownError
from polecat_town.git.workspace import Workspace
from polecat_town.life.failing import failure_of, post_trouble, until_over
from polecat_town.life.reporter import Reporter, SupersededError
from polecat_town.life.services import Services
from polecat_town.life.state import End, LifeState, save_state
from polecat_town.life.status import Live, build_status
from polecat_town.life.steps import Action, EndWith, Observation, Policy, Wait, decide, interrupts
from polecat_town.logs import SubjectLog
from polecat_town.pod.volume import check_volume
from polecat_town.streams.events import Kind
from polecat_town.streams.redaction import Redactor
from polecat_town.streams.segments import StreamID

_RETRY_FIRST_SECONDS = 0.25
_RETRY_LONGEST_SECONDS = 15.0
_API_RETRY_LONGEST_SECONDS = 5.0
"""An API server that is back should not be waited for; remotes are asked less often."""
_STARTING = frozenset(
    {Action.FETCH, Action.MAKE_WORKTREE, Action.START_PROCESS, Action.OPEN_SESSION, Action.PROMPT, Action.PUBLISH}
)
_SAFETY = frozenset({Action.SETTLE, Action.REMOVE})
_MAY_BE_THE_VOLUMES = frozenset({Reason.AGENT_FAILED, Reason.SETUP_FAILED, Reason.WENT_QUIET})
"""What an agent does that can't write a file; while the volume is full it is no fault of the agent."""

Perform = Callable[["Life"], Awaitable[None]]


class Life:
    """Holds the state and what is seen, and runs the step machine. The actions are in the modules beside it."""

    def __init__(
        self,
        services: Services,
        polecat: Polecat,
        state: LifeState,
        actions: dict[Action, Perform],
        *,
        foreign: bool = False,
        fresh: bool = False,
    ) -> None:
        """`foreign`: the claim is that of an earlier life of this pod. `fresh`: it was made just now."""
        identity = state.identity
        self.services = services
        self.polecat = polecat
        self.state = state
        self.identity = identity
        self.log = SubjectLog(logging.getLogger("polecat_town.life"), identity.log_fields)
        self._secrets: set[str] = set()
        self._redacted: set[str] = set()
        self._redactor = Redactor()
        names = {"polecat": identity.object_name, "bead": identity.bead, "rig": identity.rig}
        stream = StreamID(identity.bead_uid, identity.attempt)
        self.journal = services.streams.open(stream, names, lambda: self.redactor)
        self.reporter = Reporter(services.api, identity, self.build_status, self._report_invalid)
        self.agent: Agent | None = None
        self.workspace: Workspace | None = None
        self.bead: Bead | None = None
        self.live = Live()
        self.turn_over = asyncio.Event()
        """Set while the agent waits for a prompt."""
        # Nothing has been started for a polecat that was just claimed.
        self.stopped = fresh
        self.progress_at = time.monotonic()
        self.checkpoint_at = time.monotonic()
        self.nudged_at: float | None = None
        self.over_memory: str | None = None
        self.short_of_memory: str | None = None
        self.model_failure: str | None = None
        self.escalation: str | None = None
        self.failure: End | None = None
        self.done_answer: asyncio.Future[str] | None = None
        self._actions = actions
        self._foreign = foreign
        self._gone = False
        self._fenced = False
        self._finished = False
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._first_failure: float | None = None
        self._failures = 0
        # From here on the clock that never jumps counts.
        self._ran_before = max(0.0, (datetime.now(UTC) - state.claim_time).total_seconds())
        self._began = time.monotonic()

    # -- what others tell the life ---------------------------------------------------------------------------

    def observe(self, polecat: Polecat | None) -> None:
        """The Polecat as last seen; None when it is gone, or its name has another bearer."""
        if polecat is None:
            self._gone = True
        else:
            self.polecat = polecat
        self.wake()

    @property
    def redactor(self) -> Redactor:
        """That of this moment: it is another one as soon as a secret of agent or rig becomes known."""
        known = self._secrets | self.services.rigs.secrets(self.identity.rig)
        if known != self._redacted:
            self._redacted = known
            self._redactor = Redactor(known)
        return self._redactor

    def keep_secret(self, *secrets: str) -> None:
        """From now on these are removed from everything that is written about this life."""
        self._secrets |= set(secrets)

    def fence(self) -> None:
        """The Lease was not renewed for so long that another may have this work: stop, and save it."""
        self._fenced = True
        self.wake()

    @property
    def must_free_memory(self) -> bool:
        """Whether its agent is being stopped for its memory."""
        return self.over_memory is not None or self.short_of_memory is not None

    def make_room(self, message: str, *, alone: bool) -> None:
        """The container is out of memory, and this agent goes."""
        self.short_of_memory = message
        if alone:
            # No sibling is to blame: the next attempt would come to the same.
            self.over_memory = self.over_memory or message

    def wake(self) -> None:
        """Something has changed: look again."""
        self._wake.set()

    def progressed(self, activity: str | None = None) -> None:
        """The agent did something."""
        self.progress_at = time.monotonic()
        self.nudged_at = None
        self.live = replace(
            self.live, progress_time=datetime.now(UTC), activity=activity if activity else self.live.activity
        )

    # -- state -----------------------------------------------------------------------------------------------

    def update(self, *, durable: bool = True, **changes: object) -> None:
        """Replaces fields of the state, and writes it down. Raises OSError, and changes nothing, when it can't.

        What need not be `durable` may be forgotten: it is kept in memory in any case.
        """
        new = self.state.but(**changes)
        # On disk first: what could not be written down must not be acted upon, nor told to anybody.
        try:
            save_state(self.services.settings.state_file(self.identity.uid), new, durable=durable)
        except OSError:
            if durable:
                raise
        self.state = new

    def end_with(self, end: End) -> None:
        """Notes how the attempt ended; the first reason stays."""
        if self.state.end is not None:
            return
        if end.reason in _MAY_BE_THE_VOLUMES:
            settings = self.services.settings
            volume = check_volume(settings.data_dir, settings.reserve_bytes)
            if not volume.ok:
                told = f"{volume.message}; {end.message}"[:4096]
                end = end.model_copy(update={"reason": Reason.INTERRUPTED, "message": told})
        self.live = replace(self.live, log_tail=self.redactor.text(log_tail(self._log_path())))
        try:
            self.update(end=end)
        except OSError as error:
            # The agent must be stopped all the same. The next step that is written down brings this one along, and
            # until then nothing final is told.
            self.log.warning("the end is not written down yet: %s", error)
            self.state = self.state.but(end=end)
        self._tell_end(end)
        metrics.ENDS.labels(end.reason.value).inc()
        self.log.info("ended: %s: %s", end.reason.value, end.message)

    def _tell_end(self, end: End) -> None:
        self.journal.append(Kind.ENDED, reason=end.reason, message=end.message)

    def build_status(self) -> PolecatStatus:
        """The status of this moment."""
        if self.agent is not None and not self.agent.exited:
            self.live = replace(self.live, alive=True, heartbeat_time=datetime.now(UTC))
        else:
            self.live = replace(self.live, alive=False)
        last = self.reporter.last or self.polecat.status
        before: list[Condition] = list(last.conditions)
        generation = self.polecat.metadata.generation
        return build_status(self.state, self.live, self._claim(), before, datetime.now(UTC), generation)

    def _claim(self) -> Claim:
        settings = self.services.settings
        given = self.polecat.status.claim
        return given or Claim(pod=settings.pod_name, pod_uid=settings.pod_uid, time=self.state.claim_time)

    def _log_path(self) -> Any:
        return self.services.settings.log_file(self.identity.uid)

    def report_soon(self) -> None:
        """Reports without waiting for the answer."""
        self.spawn(self._report_quietly(), "report")

    def _report_invalid(self, message: str) -> None:
        self.journal.append(Kind.ERROR, message=f"the API server does not take the status: {message}")

    async def _report_quietly(self) -> None:
        with contextlib.suppress(SupersededError):
            await self.reporter.report()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """A task that ends with the life at the latest."""
        task = asyncio.create_task(work, name=f"{self.identity.object_name} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error("%s failed", task.get_name(), exc_info=error)
        self.wake()

    # -- the loop --------------------------------------------------------------------------------------------

    def seen(self) -> Observation:
        """What is seen at this moment."""
        now = time.monotonic()
        pod = self.services.pod
        agent = self.agent
        exited = agent is not None and agent.exited
        if agent is not None and exited and not self.must_free_memory and agent.lacked_memory:
            message = f"{agent.describe_exit()}: the kernel did that as the pod was out of memory"
            self.make_room(message, alone=self.services.agents() <= 1)
        return Observation(
            deleted=self.polecat.metadata.deletion_timestamp is not None,
            gone=self._gone or self.reporter.superseded,
            foreign=self._foreign,
            draining=pod.draining,
            drain_hard=pod.drain_hard,
            fenced=self._fenced,
            binary_ok=pod.binary.ok,
            volume_ok=pod.volume.ok,
            agent_present=agent is not None,
            stopped=self.stopped,
            exited=exited,
            exit_code=agent.exit_code if agent else None,
            signal=agent.signal if agent else None,
            exit_message=agent.describe_exit() if agent and exited else "",
            idle=self.turn_over.is_set(),
            quiet_seconds=now - self.progress_at,
            since_nudge_seconds=None if self.nudged_at is None else now - self.nudged_at,
            run_seconds=self._ran_before + now - self._began,
            since_checkpoint_seconds=now - self.checkpoint_at,
            progressed=self.progress_at > self.checkpoint_at,
            over_memory=self.over_memory,
            short_of_memory=self.short_of_memory,
            model_failure=self.model_failure,
            escalation=self.escalation,
            failure=self.failure,
        )

    async def run(self) -> None:
        """Until the polecat is removed. Cancelled, it leaves everything as it is."""
        settings = self.services.settings
        policy = Policy(nudges=settings.nudges, checkpoint_seconds=settings.checkpoint_seconds)
        limits = self.polecat.spec.limits
        self.spawn(self._heartbeat(), "heartbeat")
        if self.state.end is not None and not self.journal.tells(Kind.ENDED):
            # A kill came between state and journal.
            self._tell_end(self.state.end)
        try:
            while True:
                self._wake.clear()
                match decide(self.state, self.seen(), limits, policy):
                    case Wait(seconds):
                        await self._wait(seconds)
                    case EndWith(end):
                        self.end_with(end)
                    case Action() as action:
                        await self._perform(action, lambda: interrupts(self.state, self.seen(), limits, policy))
                        if action is Action.FINISH and not self._failures:
                            self._finished = True
                            return
        finally:
            await self.close()

    async def close(self) -> None:
        """Ends all tasks of this life, and nothing else."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.agent is not None:
            await self.agent.close()
        if self.done_answer is not None and not self.done_answer.done():
            self.done_answer.set_result("This task is over. Stop working.")
        self.journal.close(ended=self._finished, base=self.state.base_commit or "", head=self.state.last_commit or "")

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _perform(self, action: Action, cut_short: Callable[[], bool]) -> None:
        """Carries out an action; one that must be cut short is cancelled, one that fails is noted."""
        task = asyncio.ensure_future(self._actions[action](self))
        try:
            while not task.done():
                woken = asyncio.create_task(self._wake.wait())
                await asyncio.wait({task, woken}, return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
                self._wake.clear()
                if not task.done() and cut_short():
                    break
        finally:
            if not task.done():
                task.cancel()
                await until_over(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._failures = 0
            self._first_failure = None
            self.live = replace(self.live, trouble="")
        else:
            await self._failed(action, error)

    async def _failed(self, action: Action, error: BaseException) -> None:
        """An action did not succeed: try again later, or give the attempt up."""
        if isinstance(error, SupersededError):
            self.observe(None)
            return
        known = isinstance(error, TownError | AgentStartError | AgentUnreachableError | ApiError | OSError)
        self.log.warning("%s failed: %s", action.value, error, exc_info=None if known else error)
        now = time.monotonic()
        self._first_failure = self._first_failure or now
        self._failures += 1
        patience = self.services.settings.start_deadline_seconds
        if action in _STARTING and self.state.end is None and self.services.pod.volume.ok:
            retry = getattr(error, "retry", True) and not isinstance(error, AgentStartError)
            if not retry or now - self._first_failure > patience:
                self.failure = failure_of(self.state, error)
                return
        if action in _SAFETY:
            await self._tell_trouble(f"{action.value} failed and is tried again: {error}")
        longest = _API_RETRY_LONGEST_SECONDS if isinstance(error, ApiError) else _RETRY_LONGEST_SECONDS
        delay = min(_RETRY_FIRST_SECONDS * 2 ** min(self._failures - 1, 16), longest)
        await self._wait(delay * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, no secret

    async def _tell_trouble(self, trouble: str) -> None:
        """Its work can't be made safe, or its place not be cleared: somebody may have to help. Told once."""
        if self.live.trouble:
            return
        self.live = replace(self.live, trouble=self.redactor.text(trouble)[:1024])
        if not self._gone:
            self.report_soon()
            await post_trouble(self.services.api, self.identity, self.live.trouble)

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(
                self.services.settings.heartbeat_seconds * random.uniform(0.8, 1.2)  # noqa: S311
            )
            if self.state.end is None:
                await self._report_quietly()
