"""A chat-completions endpoint that plays scripts instead of thinking, for the demo and for tests.

It speaks OpenAI's chat-completions API, streamed and not. It keeps no conversations: what comes next follows from
the request alone (see `script.py`). Only faults that are met a number of times are counted.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from polecat_local.demo.script import (
    NOTHING_MORE,
    TITLE,
    Fault,
    Plays,
    Position,
    ScriptError,
    Step,
    call_id,
    content_text,
    find_position,
    resolve_tool,
)
from polecat_local.ports import HOST

MODEL = "scripted"
"""Name of the model; any other name is accepted too."""
_KEPT = 10_000
_REQUEST_MAX_BYTES = 256 << 20
_CUT_AFTER_SECONDS = 0.2
_BYTES_PER_TOKEN = 4
"""What English text comes to; the usage that is told need only be plausible."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request as it came in."""

    time: float
    """Seconds since the epoch."""
    conversation: str
    """What the requests of one conversation have in common."""
    prompt: str
    """Text of the conversation's first user message."""
    step: int | None
    """Number of the step that is played; None for titles and when nothing is left."""
    authorization: str
    """The header as it came."""


class ScriptedModel:
    """The endpoint, on loopback unless told otherwise.

    `async with ScriptedModel() as model: model.url`, or `start` and `stop`.
    """

    def __init__(
        self,
        plays: Plays | None = None,
        *,
        pace_seconds: float = 0.0,
        api_key: str | None = None,
        host: str = HOST,
        port: int = 0,
    ) -> None:
        """`pace_seconds`: how long an answer takes; `api_key`: any other is refused with 401; `host`: another address
        than loopback; port 0: a free one.
        """
        self.plays: Plays = plays or {}
        self.pace_seconds = pace_seconds
        self.api_key = api_key
        self.host = host
        self.port = port
        self.fault: Fault | None = None
        """What goes wrong with all requests, until it is None again."""
        self.requests: deque[ModelRequest] = deque(maxlen=_KEPT)
        """The latest requests, oldest first."""
        self.count = 0
        """Number of all requests."""
        self._met: Counter[tuple[str, int | None, Fault]] = Counter()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Base URL for an OpenAI-compatible client."""
        return f"http://{self.host}:{self.port}/v1"

    async def start(self) -> None:
        """Listens. Raises OSError when the port is taken."""
        app = web.Application(client_max_size=_REQUEST_MAX_BYTES)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        # hanging answers end with their connections; nothing here is worth waiting for
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        try:
            await site.start()
        except OSError:
            await self.stop()
            raise
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Closes port and connections; `start` takes the same port again."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def first_request(self, phrase: str) -> ModelRequest | None:
        """The earliest kept request of a conversation whose first message has the phrase."""
        return next((request for request in self.requests if phrase in request.prompt), None)

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        received = time.time()
        self.count += 1
        try:
            body = await request.json()
            messages = [message for message in body["messages"] if isinstance(message, dict)]
        except (ValueError, KeyError, TypeError):
            return _error(400, "the body is no chat-completions request")
        offered = [str(tool.get("function", {}).get("name")) for tool in body.get("tools") or ()]
        conversation, prompt = _identify(request.headers, messages)
        try:
            position = find_position(messages, self.plays) if offered else Position((), 0)
            step = position.step or Step(say=NOTHING_MORE if offered else TITLE)
        except ScriptError as error:
            position, step = Position((), 0), Step(say=str(error))
        number = position.index if position.step is not None else None
        authorization = request.headers.get("Authorization", "")
        self.requests.append(ModelRequest(received, conversation, prompt, number, authorization))
        if self.api_key is not None and authorization != f"Bearer {self.api_key}":
            return _error(401, "Incorrect API key provided", code="invalid_api_key")
        fault = self._next_fault(conversation, number, step)
        answer = Answer.of(step, number, offered, str(body.get("model", MODEL)), len(json.dumps(messages)))
        if fault is not None and fault.kind != "cut":
            return await _misbehave(request, fault)
        pace = self.pace_seconds if step.pace_seconds is None else step.pace_seconds
        if not offered:
            pace = 0.0
        if body.get("stream"):
            return await _stream(request, answer, pace, cut=fault is not None)
        await asyncio.sleep(pace)
        return web.json_response(answer.whole())

    def _next_fault(self, conversation: str, number: int | None, step: Step) -> Fault | None:
        for fault, key in ((self.fault, None), (step.fault, number)):
            if fault is None:
                continue
            met = (conversation, key, fault)
            if fault.times is None or self._met[met] < fault.times:
                self._met[met] += 1
                return fault
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """One completion."""

    id: str
    model: str
    text: str
    call: dict[str, Any] | None
    """The tool call as it stands in a message."""
    usage: dict[str, Any]

    @classmethod
    def of(cls, step: Step, number: int | None, offered: list[str], model: str, request_bytes: int) -> Answer:
        """The answer that plays a step; `request_bytes` is the size of the messages that were read."""
        unique = uuid.uuid4().hex
        call = None
        if step.call is not None:
            name, arguments = step.call
            function = {"name": resolve_tool(name, offered), "arguments": json.dumps(arguments)}
            call = {"id": call_id(number or 0, unique[:8]), "type": "function", "function": function}
        prompt = max(1, request_bytes // _BYTES_PER_TOKEN)
        written = max(1, len(step.say + json.dumps(call)) // _BYTES_PER_TOKEN)
        usage = {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}
        return cls(f"chatcmpl-{unique}", model, step.say, call, usage)

    @property
    def finish(self) -> str:
        """Why the answer ends here."""
        return "tool_calls" if self.call else "stop"

    def whole(self) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.call:
            message["tool_calls"] = [self.call]
        choice = {"index": 0, "message": message, "finish_reason": self.finish}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self.usage}

    async def chunks(self, pace_seconds: float) -> AsyncIterator[dict[str, Any]]:
        """The pieces of a streamed answer, word by word; all of it takes `pace_seconds`."""
        words = self.text.split(" ") if self.text else []
        await asyncio.sleep(pace_seconds / 2)
        for number, word in enumerate(words):
            await asyncio.sleep(pace_seconds / 2 / len(words))
            yield self._chunk({"role": "assistant", "content": word if number == 0 else f" {word}"})
        if not words:
            await asyncio.sleep(pace_seconds / 2)
        if self.call:
            yield self._chunk({"role": "assistant", "tool_calls": [{"index": 0, **self.call}]})
        yield {**self._chunk({}, self.finish), "usage": self.usage}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": int(time.time()), "model": self.model}


async def _stream(request: web.Request, answer: Answer, pace_seconds: float, *, cut: bool) -> web.StreamResponse:
    response = await _begin_stream(request)
    async for chunk in answer.chunks(pace_seconds):
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        if cut:
            # what came must have been read: clients tell an answer that broke off from one that never began
            await asyncio.sleep(_CUT_AFTER_SECONDS)
            if request.transport is not None:
                request.transport.close()
            return response
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def _begin_stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    return response


async def _misbehave(request: web.Request, fault: Fault) -> web.StreamResponse:
    match fault.kind:
        case "status":
            return _error(fault.status, f"the model endpoint was told to answer {fault.status}")
        case "html":
            return web.Response(text="<html><body>It works!</body></html>", content_type="text/html")
        case "garbage":
            response = await _begin_stream(request)
            await response.write(b"data: {this is no JSON\n\n")
            await response.write_eof()
            return response
        case _:
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


def _error(status: int, message: str, code: str | None = None) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "code": code}
    return web.json_response({"error": error}, status=status)


def _identify(headers: Mapping[str, str], messages: list[dict[str, Any]]) -> tuple[str, str]:
    """(conversation, first prompt). Agents name their session in a header; without one the prompt has to do."""
    first = next((message for message in messages if message.get("role") == "user"), {})
    prompt = content_text(first.get("content"))
    session = headers.get("x-session-id") or hashlib.sha256(prompt.encode()).hexdigest()
    return session, prompt
