"""What an agent may ask of its life: the tools, and the way to its model."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from polecat_kube.errors import ApiError
from polecat_town.agent.config import OPENAI_COMPATIBLE
from polecat_town.endpoint.model_proxy import FailureBound, Upstream
from polecat_town.errors import TownError
from polecat_town.life.running import take_checkpoint
from polecat_town.life.state import DoneCall, Step
from polecat_town.streams.events import Kind

if TYPE_CHECKING:
    from polecat_town.life.life import Life

_OVER = "This task is over. Stop working."
_KEY_SECONDS = 30.0
"""How long a model's key is used before it is read again."""


class LifeCaller:
    """One life, as its agent sees it."""

    def __init__(self, life: Life) -> None:
        self._life = life
        settings = life.services.settings
        self._bound = FailureBound(settings.model_retries, settings.model_retry_seconds)
        self._requested = False
        self._upstream: Upstream | None = None
        self._upstream_until = 0.0

    async def tool_done(self, summary: str, no_changes: bool) -> str:
        """Starts publishing, or joins it, and waits for the outcome."""
        life = self._life
        if life.state.end is not None:
            return _OVER
        life.progressed("done")
        if life.done_answer is None:
            life.done_answer = asyncio.get_running_loop().create_future()
        if life.state.done is None:
            life.journal.append(Kind.DONE_CALLED, summary=summary, noChanges=no_changes)
            life.update(done=DoneCall(summary=summary, no_changes=no_changes))
            life.wake()
        answer = life.done_answer
        try:
            async with asyncio.timeout(life.services.settings.done_wait_seconds):
                return await asyncio.shield(answer)
        except TimeoutError:
            return "The checks still run. Call done again, with the same summary, to hear how they end."

    async def tool_checkpoint(self, note: str) -> str:
        """Takes the commits over now."""
        life = self._life
        if life.state.end is not None:
            return _OVER
        life.progressed("checkpoint")
        if life.state.step is not Step.RUNNING:
            return "Not now: the work is being published."
        try:
            commit = await take_checkpoint(life, note)
        except TownError as error:
            return f"No checkpoint was taken: {error}"
        return f"Your commits up to {commit[:12]} are safe." if commit else "There is no commit of yours yet."

    async def tool_escalate(self, question: str) -> str:
        """Ends the attempt with a question."""
        life = self._life
        if life.state.end is not None:
            return _OVER
        life.escalation = question
        life.wake()
        return "A person will see your question. Your work is saved. Stop working now."

    async def tool_status(self, message: str) -> str:
        """Notes what the agent says that it does."""
        life = self._life
        if life.state.end is not None:
            return _OVER
        life.journal.append(Kind.STATUS, message=message)
        activity = life.redactor.text(" ".join(message.split()))[:200]
        life.progressed(activity)
        return "Noted."

    async def upstream(self) -> Upstream | None:
        """The rig's endpoint and key; None when the model is not behind the proxy, or the attempt is over."""
        life = self._life
        rig = life.services.rigs.find(life.identity.rig)
        if life.state.end is not None or rig is None or rig.spec.model.provider != OPENAI_COMPATIBLE:
            return None
        now = time.monotonic()
        if self._upstream is not None and now < self._upstream_until:
            return self._upstream
        try:
            key = await life.services.rigs.api_key(rig)
        except (ApiError, TownError) as error:
            if self._upstream is None:
                self.model_failed(str(error), final=isinstance(error, TownError))
                return None
            # The API server is away: the key of before may still do.
            return self._upstream
        if key:
            life.keep_secret(key)
        self._upstream = Upstream(rig.spec.model.endpoint or "", key)
        self._upstream_until = now + _KEY_SECONDS
        return self._upstream

    def model_requested(self, model: str) -> None:
        """The first request is worth a line: from there on the agent really works."""
        if not self._requested:
            self._requested = True
            self._life.journal.append(Kind.MODEL_REQUEST, model=model)

    def model_answered(self) -> None:
        """The model is there."""
        self._bound.answered()
        life = self._life
        life.live = replace(life.live, activity=life.live.activity or "thinking")

    def model_failed(self, message: str, *, final: bool) -> None:
        """It is not; too often is the end of the attempt."""
        life = self._life
        life.journal.append(Kind.ERROR, message=message)
        if final or self._bound.failed():
            life.model_failure = life.redactor.text(message)
            life.wake()
