"""One request to the model: chat-completions over SSE, given back as it comes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

from . import wire
from .sessions import Session

Answer = tuple[str, list[dict[str, str]], str, dict[str, Any]]
"""Text, tool calls {id, name, arguments}, why it ended, tokens."""


class ModelError(Exception):
    """The model did not answer as it should. `data` is what `session.error` tells."""

    def __init__(self, name: str, data: dict[str, Any], retryable: bool = False, offline: bool = False) -> None:
        super().__init__(data["message"])
        self.name = name
        self.data = data
        self.retryable = retryable
        self.offline = offline


class Model:
    """The model that the configuration names."""

    def __init__(self, config: dict[str, Any]) -> None:
        provider_id, _, self.name = config.get("model", "").partition("/")
        self.provider = provider_id
        provider = (config.get("provider") or {}).get(provider_id) or {}
        options = provider.get("options") or {}
        self.url = options.get("baseURL")
        self.key = options.get("apiKey", "")
        self.cost = ((provider.get("models") or {}).get(self.name) or {}).get("cost") or {}

    def ask(
        self,
        session_id: str,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        on_text: Callable[[str], None],
        opened: Callable[[socket.socket], None],
    ) -> Answer:
        """The answer: (text, tool calls, finish reason, tokens). Raises ModelError.

        `on_text(piece)` is called as text comes; `opened(socket)` with the connection.
        """
        if not self.url:
            raise ModelError("UnknownError", {"message": "the fake agent knows no endpoint of " + self.provider})
        body: dict[str, Any] = {
            "model": self.name,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if tools:
            body.update(tools=tools, tool_choice="auto")
        headers = {"Authorization": "Bearer " + self.key, "x-session-id": session_id}
        url = self.url.rstrip("/") + "/chat/completions"
        try:
            reply = wire.post(url, body, headers, opened=opened)
            if reply.status >= 400:
                raise _refused(reply, url)
            return _read(reply, on_text)
        except wire.WireError as error:
            data = {"message": str(error), "isRetryable": True, "metadata": {"code": "ECONNRESET"}}
            raise ModelError("APIError", data, offline=not error.began) from error

    def price(self, tokens: dict[str, Any]) -> float:
        """Cost of a step in USD; prices are per million tokens."""
        sums = (
            tokens["input"] * self.cost.get("input", 0)
            + tokens["output"] * self.cost.get("output", 0)
            + tokens["cache"]["read"] * self.cost.get("cache_read", 0)
        )
        return float(sums) / 1_000_000


def _refused(reply: wire.Reply, url: str) -> ModelError:
    text = reply.text()
    try:
        message = json.loads(text)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = text[:200] or f"HTTP {reply.status}"
    retryable = reply.status == 429 or reply.status >= 500
    data = {"message": message, "statusCode": reply.status, "isRetryable": retryable}
    data.update(responseHeaders=reply.headers, responseBody=text, metadata={"url": url})
    return ModelError("APIError", data, retryable=retryable)


def _read(reply: wire.Reply, on_text: Callable[[str], None]) -> Answer:
    text, finish = "", "other"
    calls: dict[int, dict[str, str]] = {}
    usage: dict[str, Any] = {}
    for line in reply.lines():
        if not line.startswith(b"data:"):
            continue
        payload = line[5:].strip()
        if payload == b"[DONE]":
            break
        try:
            chunk = json.loads(payload)
        except ValueError as error:
            shown = payload.decode("utf-8", "replace")
            message = f"JSON parsing failed: Text: {shown}.\nError message: {error}"
            raise ModelError("UnknownError", {"message": message}) from error
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if delta.get("content"):
                text += delta["content"]
                on_text(delta["content"])
            for call in delta.get("tool_calls") or ():
                known = calls.setdefault(call.get("index", 0), {"id": "", "name": "", "arguments": ""})
                known["id"] = call.get("id") or known["id"]
                known["name"] += (call.get("function") or {}).get("name") or ""
                known["arguments"] += (call.get("function") or {}).get("arguments") or ""
            finish = choice.get("finish_reason") or finish
    reply.close()
    reason = {"tool_calls": "tool-calls"}.get(finish, finish)
    return text, [calls[index] for index in sorted(calls)], reason, _tokens(usage)


def _tokens(usage: dict[str, Any]) -> dict[str, Any]:
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    prompt, written = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    cache = {"read": cached, "write": 0}
    return {"total": prompt + written, "input": prompt - cached, "output": written, "reasoning": 0, "cache": cache}


class Titles:
    """Asks the model for a title of each session that came without one, beside its work, as the CLI does."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def ask(self, session: Session, prompt: str) -> None:
        """Returns at once; the title is set when it comes, and stays as it is if none comes."""
        threading.Thread(target=self._ask, args=(session, prompt), daemon=True).start()

    def _ask(self, session: Session, prompt: str) -> None:
        system = "You are a title generator. You output ONLY a thread title. Nothing else."
        user = "Generate a title for this conversation:\n1. " + prompt
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        try:
            session.info["title"] = self._model.ask(session.id, messages, [], _ignore, _ignore)[0]
        except ModelError:
            return


def _ignore(_value: object) -> None:
    return None
