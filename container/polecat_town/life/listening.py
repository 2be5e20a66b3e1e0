"""Hears what an agent does: journal, progress, usage, and what is wrong with its model."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polecat_api.bead import Usage
from polecat_town.agent.client import AgentUnreachableError
from polecat_town.agent.config import OPENAI_COMPATIBLE
from polecat_town.agent.events import (
    AgentEvent,
    Asked,
    Busy,
    ConnectionLost,
    Failed,
    FileEdit,
    Idle,
    Normaliser,
    OutputGrown,
    Progress,
    Retrying,
    StepFinished,
    Text,
    TextGrown,
    ToolCall,
    describe,
)
from polecat_town.agent.process import Agent
from polecat_town.endpoint.model_proxy import FINAL_STATUSES, FailureBound
from polecat_town.streams.events import Kind

if TYPE_CHECKING:
    from polecat_town.life.life import Life

_RECONNECT_SECONDS = 0.2
_GO_ON_FIRST_SECONDS = 2.0
_WORDS = (Text, TextGrown, ToolCall, OutputGrown, StepFinished, Idle)
_GO_ON = "Your model did not answer properly just now. Go on with the task."


class AgentListener:
    """Follows the events of one session of one agent process."""

    def __init__(self, life: Life, agent: Agent, directory: Path, session_id: str) -> None:
        self._life = life
        self._agent = agent
        self._directory = directory
        self._session_id = session_id
        self._normaliser = Normaliser(session_id)
        settings = life.services.settings
        self._bound = FailureBound(settings.model_retries, settings.model_retry_seconds)
        rig = life.services.rigs.find(life.identity.rig)
        self._proxied = rig is not None and rig.spec.model.provider == OPENAI_COMPATIBLE
        self._failed_turns = 0
        self._turn_failed = False
        self.connected = asyncio.Event()
        """Set when no event can be missed any more."""

    async def run(self) -> None:
        """Until the agent's process has ended; a stream that breaks is opened again."""
        while not self._agent.exited and self._life.agent is self._agent:
            try:
                async for raw in self._agent.client.events(self._directory):
                    if raw.get("type") == "server.connected":
                        await self._connected()
                        continue
                    for event in self._normaliser.feed(raw):
                        await self._hear(event)
            except AgentUnreachableError as error:
                if not self._agent.exited and self._life.agent is self._agent:
                    self._life.log.warning("events of the agent: %s", error)
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _connected(self) -> None:
        if self.connected.is_set():
            # What was said while nobody listened is lost, but for whether the turn is over.
            if await self._agent.client.is_idle(self._directory, self._session_id):
                self._life.turn_over.set()
            self._life.wake()
        self.connected.set()

    async def _hear(self, event: AgentEvent) -> None:
        life = self._life
        if life.state.end is not None and not isinstance(event, _WORDS if life.state.end.success else StepFinished):
            # What goes wrong with an agent whose work is over is of no interest, and its model is refused. One that is
            # stopped in the middle of something has no last words: its calls fail because it is stopped.
            return
        match event:
            case Progress() | Busy():
                life.progressed()
            case TextGrown(part, text, reasoning):
                life.journal.append_piece(Kind.TEXT_DELTA, part, text, part=part, reasoning=reasoning)
                life.progressed()
            case Text(text, reasoning, part):
                life.journal.end_pieces(part)
                life.journal.append(Kind.TEXT, part=part, text=text, reasoning=reasoning)
                life.progressed()
            case OutputGrown(call_id, text):
                life.journal.append_piece(Kind.TOOL_OUTPUT, call_id, text, callID=call_id)
                life.progressed()
            case ToolCall():
                self._tool(event)
            case StepFinished():
                self._step(event)
            case Idle():
                self._turn_over()
            case Retrying(attempt, message):
                life.journal.append(Kind.ERROR, message=f"the model is asked again ({attempt}): {message}")
                self._model_failed(message, final=False, seen_by_proxy=True)
            case ConnectionLost(request_id, message):
                life.journal.append(Kind.ERROR, message=f"the model can't be reached: {message}")
                self._model_failed(f"the model can't be reached: {message}", final=False, seen_by_proxy=False)
                life.spawn(self._answer_network(request_id), "network answer")
            case Asked(kind, request_id, text):
                answer = await self._agent.client.refuse(self._directory, kind, request_id)
                life.journal.append(Kind.ASKED, what=kind, text=text, answer=answer)
            case Failed() if not event.aborted:
                self._failed(event)

    def _tool(self, event: ToolCall) -> None:
        life = self._life
        call: dict[str, Any] = {"callID": event.call_id, "tool": event.tool, "state": event.state}
        if event.state == "running":
            life.progressed(describe(event))
            life.journal.append(Kind.TOOL, **call, input=event.input)
            return
        life.progressed()
        life.journal.end_pieces(event.call_id)
        life.journal.append(
            Kind.TOOL,
            **call,
            title=event.title,
            input=event.input,
            output=event.output,
            error=event.error,
            exitCode=event.exit_code,
        )
        if event.edit is not None:
            self._edited(event.call_id, event.edit)

    def _edited(self, call_id: str, edit: FileEdit) -> None:
        top = f"{self._directory}/"
        self._life.journal.append(
            Kind.EDIT,
            callID=call_id,
            path=edit.path.removeprefix(top),
            # Paths of the town's volume say nothing to a reader.
            diff=edit.diff.replace(top, ""),
            additions=edit.additions,
            deletions=edit.deletions,
        )

    def _step(self, event: StepFinished) -> None:
        life = self._life
        self._bound.answered()
        self._failed_turns = 0
        used = life.state.usage
        life.update(
            durable=False,
            usage=Usage(
                input_tokens=used.input_tokens + event.input_tokens,
                output_tokens=used.output_tokens + event.output_tokens,
                cost_micro_usd=used.cost_micro_usd + event.cost_micro_usd,
            ),
        )
        life.journal.append(
            Kind.STEP,
            inputTokens=event.input_tokens,
            outputTokens=event.output_tokens,
            costMicroUSD=event.cost_micro_usd,
        )
        if life.state.end is not None:
            # It has heard that the work is over: its turn needs no other end.
            life.turn_over.set()
        life.progressed()

    def _failed(self, event: Failed) -> None:
        self._life.journal.append(Kind.ERROR, message=event.message)
        self._turn_failed = True
        final = event.status in FINAL_STATUSES
        self._model_failed(event.message, final=final, seen_by_proxy=event.status is not None)

    def _model_failed(self, message: str, *, final: bool, seen_by_proxy: bool) -> None:
        if self._proxied and seen_by_proxy:
            return
        if final or self._bound.failed():
            self._life.model_failure = self._life.redactor.text(message)
            self._life.wake()

    def _turn_over(self) -> None:
        life = self._life
        life.journal.end_pieces()
        life.progress_at = time.monotonic()
        if self._turn_failed and life.state.end is None:
            # Not the agent's silence, but its model's: it is asked again, and that counts for no nudge.
            self._turn_failed = False
            self._failed_turns += 1
            life.spawn(self._go_on(), "go on")
            return
        life.turn_over.set()
        life.wake()

    async def _go_on(self) -> None:
        await asyncio.sleep(_GO_ON_FIRST_SECONDS * 2 ** (self._failed_turns - 1))
        if self._life.agent is self._agent and self._life.state.end is None:
            await self._agent.client.prompt(self._directory, self._session_id, _GO_ON)

    async def _answer_network(self, request_id: str) -> None:
        self._failed_turns += 1
        await asyncio.sleep(_GO_ON_FIRST_SECONDS * 2 ** (self._failed_turns - 1))
        if self._life.agent is self._agent and self._life.state.end is None:
            await self._agent.client.answer_network(self._directory, request_id)
