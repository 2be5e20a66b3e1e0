"""HTTP client of one `kilo serve` process (version 7: routes and bodies as measured on 7.7.7)."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

log = logging.getLogger(__name__)
_REQUEST_SECONDS = 30.0
_SILENCE_SECONDS = 45.0
"""The server sends a heartbeat every 10 s; a stream silent for longer is broken."""
_EVENT_MAX_BYTES = 64 << 20


class AgentUnreachableError(Exception):
    """The agent's server does not answer, or answers nonsense."""


class AgentClient:
    """Talks to one agent's server. Use it as an async context manager."""

    def __init__(self, port: int, password: str) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._headers = {"Authorization": aiohttp.encode_basic_auth("kilo", password)}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            base_url=self._base,
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS, sock_connect=2),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections; may be called twice."""
        if self._session is not None:
            await self._session.close()

    async def is_healthy(self, timeout_seconds: float = 2.0) -> bool:
        """Whether the server answers that it is ready."""
        try:
            answer = await self._json("GET", "/global/health", timeout_seconds=timeout_seconds)
        except AgentUnreachableError:
            return False
        return bool(answer.get("healthy")) if isinstance(answer, dict) else False

    async def create_session(self, directory: Path, title: str) -> str:
        """Id of a new session that works in `directory`. A title saves the request that would make one."""
        answer = await self._json("POST", "/session", directory=directory, body={"title": title})
        if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
            raise AgentUnreachableError(f"POST /session: no session id in {str(answer)[:200]}")
        return str(answer["id"])

    async def has_session(self, directory: Path, session_id: str) -> bool:
        """Whether the agent still has the session, after a restart of its process too."""
        try:
            answer = await self._json("GET", f"/session/{session_id}", directory=directory)
        except AgentUnreachableError:
            return False
        return isinstance(answer, dict) and answer.get("id") == session_id

    async def is_idle(self, directory: Path, session_id: str) -> bool:
        """Whether the session waits for a prompt."""
        answer = await self._json("GET", "/session/status", directory=directory)
        status = answer.get(session_id) if isinstance(answer, dict) else None
        return status is None or (isinstance(status, dict) and status.get("type") == "idle")

    async def prompt(self, directory: Path, session_id: str, text: str) -> None:
        """Gives the agent a message and returns at once. A busy session reads it after its current step."""
        body = {"parts": [{"type": "text", "text": text}]}
        await self._json("POST", f"/session/{session_id}/prompt_async", directory=directory, body=body)

    async def abort(self, directory: Path, session_id: str) -> None:
        """Ends what the session is doing; it is idle afterwards."""
        await self._json("POST", f"/session/{session_id}/abort", directory=directory, body={})

    async def answer_network(self, directory: Path, request_id: str) -> None:
        """Lets a session go on that stands still because its model could not be reached."""
        await self._json("POST", f"/network/{request_id}/reply", directory=directory, body={})

    async def refuse(self, directory: Path, kind: str, request_id: str) -> str:
        """Answers a permission with yes, and a question with no answer: nobody is there to ask. Gives the answer."""
        if kind == "permission":
            await self._json("POST", f"/permission/{request_id}/reply", directory=directory, body={"reply": "always"})
            return "always"
        await self._json("POST", f"/question/{request_id}/reject", directory=directory, body={})
        return "rejected"

    async def events(self, directory: Path) -> AsyncIterator[dict[str, Any]]:
        """Raw events of the directory, as they come. The first is `server.connected`.

        Raises AgentUnreachableError when the stream ends or breaks; what was said meanwhile is not repeated.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=_SILENCE_SECONDS)
        try:
            async with self._open("GET", "/event", directory, None, timeout) as response:
                if response.status != 200:
                    raise AgentUnreachableError(f"GET /event: HTTP {response.status}")
                async for data in _server_sent(response.content):
                    try:
                        event = json.loads(data)
                    except ValueError:
                        log.warning("an event of the agent is not JSON: %.100r", data)
                        continue
                    if isinstance(event, dict):
                        yield event
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AgentUnreachableError(f"GET /event: {error!r}") from error
        raise AgentUnreachableError("GET /event: the stream ended")

    async def _json(
        self,
        method: str,
        path: str,
        *,
        directory: Path | None = None,
        body: dict[str, Any] | None = None,
        timeout_seconds: float = _REQUEST_SECONDS,
    ) -> Any:
        timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=2)
        try:
            async with self._open(method, path, directory, body, timeout) as response:
                text = await response.text()
                if response.status >= 400:
                    raise AgentUnreachableError(f"{method} {path}: HTTP {response.status} {text[:300]}")
                return json.loads(text) if text.strip() else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise AgentUnreachableError(f"{method} {path}: {error!r}") from error

    def _open(
        self,
        method: str,
        path: str,
        directory: Path | None,
        body: dict[str, Any] | None,
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        if self._session is None:
            raise RuntimeError("AgentClient is used outside of its context")
        query = {"directory": str(directory)} if directory else None
        return self._session.request(method, path, params=query, json=body, timeout=timeout)


async def _server_sent(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The `data:` of each event of a text/event-stream; lines of any length up to `_EVENT_MAX_BYTES`."""
    rest = b""
    data: list[bytes] = []
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _EVENT_MAX_BYTES:
            raise AgentUnreachableError("GET /event: a line without end")
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                data.append(line[5:].lstrip())
            elif not line and data:
                yield b"\n".join(data)
                data = []
