"""Between an agent and a model's endpoint: the real key is added here, and failures are seen and bounded."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from polecat_town import metrics

log = logging.getLogger(__name__)
FINAL_STATUSES = frozenset({400, 401, 402, 403, 404, 405, 422})
"""Answers of a model's endpoint after which asking the same again can't help."""
SAME_FAILURE_SECONDS = 1.0
_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 600.0
"""How long a model may think before its first word, or between two."""
_BODY_MAX_BYTES = 64 << 20
_PASSED_HEADERS = ("content-type", "accept")


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where an agent's requests go."""

    endpoint: str
    api_key: str | None = field(default=None, repr=False)


class ModelUser(Protocol):
    """The life of a polecat, as far as its model is concerned."""

    async def upstream(self) -> Upstream | None:
        """Where its model is; None if it has none behind the proxy. The key is read anew, so it may be changed."""

    def model_requested(self, model: str) -> None:
        """A request goes out."""

    def model_answered(self) -> None:
        """The model gave an answer."""

    def model_failed(self, message: str, *, final: bool) -> None:
        """It did not; `final` if asking again can't help."""


class ModelProxy:
    """Passes requests on. One HTTP session for all agents; each agent counts its own failures."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Opens the session; proxies of the environment are used."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout, trust_env=True, auto_decompress=True)

    async def close(self) -> None:
        """Closes the session."""
        if self._session is not None:
            await self._session.close()

    async def handle(self, request: Request, path: str, user: ModelUser) -> Response:
        """The endpoint's answer to one request of an agent, streamed as it comes."""
        upstream = await user.upstream()
        if upstream is None or self._session is None:
            return _error(404, "this polecat has no model behind the proxy")
        body = await request.body()
        if len(body) > _BODY_MAX_BYTES:
            return _error(413, "the request is too large")
        user.model_requested(_model_of(body))
        headers = {name: request.headers[name] for name in _PASSED_HEADERS if name in request.headers}
        if upstream.api_key:
            headers["Authorization"] = f"Bearer {upstream.api_key}"
        url = f"{upstream.endpoint.rstrip('/')}/{path}"
        try:
            answer = await self._session.request(request.method, url, data=body or None, headers=headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _failed(user, 503, f"the model's endpoint can't be reached: {error}", final=False)
        if answer.status >= 400:
            text = (await _read_some(answer)).strip()
            answer.close()
            message = f"the model's endpoint answered {answer.status}: {_sentence(text)}"
            final = answer.status in FINAL_STATUSES
            return _failed(user, answer.status, message, final=final, retry_after=answer.headers.get("Retry-After"))
        kind = answer.headers.get("Content-Type", "")
        if not kind.startswith(("text/event-stream", "application/json")):
            text = await _read_some(answer)
            answer.close()
            return _failed(user, 400, f"the model's endpoint answered {kind or 'nothing'}: {text[:200]}", final=True)
        metrics.MODEL_REQUESTS.labels("ok").inc()
        return StreamingResponse(_stream(answer, user), status_code=answer.status, media_type=kind)


async def _stream(answer: aiohttp.ClientResponse, user: ModelUser) -> AsyncIterator[bytes]:
    started = False
    try:
        async for chunk in answer.content.iter_any():
            if not started:
                started = True
                user.model_answered()
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        # The agent sees a stream that breaks off, and says so in its own way; here is the cause.
        user.model_failed(f"the model's answer broke off: {error!r}", final=False)
        raise
    finally:
        answer.close()


def _failed(user: ModelUser, status: int, message: str, *, final: bool, retry_after: str | None = None) -> Response:
    metrics.MODEL_REQUESTS.labels("final" if final else "transient").inc()
    user.model_failed(message, final=final)
    return _error(status, message, retry_after)


def _error(status: int, message: str, retry_after: str | None = None) -> Response:
    headers = {"Retry-After": retry_after} if retry_after else None
    return JSONResponse({"error": {"message": message, "code": status}}, status_code=status, headers=headers)


async def _read_some(answer: aiohttp.ClientResponse) -> str:
    try:
        async with asyncio.timeout(5):
            return (await answer.content.read(4096)).decode("utf-8", "replace")
    except (aiohttp.ClientError, TimeoutError, OSError):
        return ""


def _sentence(text: str) -> str:
    """The message inside of an error body, or the body's beginning."""
    try:
        body = json.loads(text)
        error = body.get("error", body)
        found = error.get("message", text) if isinstance(error, dict) else error
        return str(found)[:500]
    except (ValueError, AttributeError):
        return " ".join(text.split())[:500] or "nothing"


def _model_of(body: bytes) -> str:
    try:
        return str(json.loads(body).get("model", ""))[:200]
    except (ValueError, AttributeError):
        return ""


class FailureBound:
    """How long failures that may pass are borne: so many in a row, or so many seconds without an answer."""

    def __init__(self, retries: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._retries = retries
        self._seconds = seconds
        self._clock = clock
        self._count = 0
        self._first: float | None = None
        self._last: float | None = None

    def answered(self) -> None:
        """All is well again."""
        self._count = 0
        self._first = self._last = None

    def failed(self) -> bool:
        """Counts one failure; True when that was one too many. What comes within a second is one and the same."""
        now = self._clock()
        if self._first is None:
            self._first = now
        if self._last is None or now - self._last >= SAME_FAILURE_SECONDS:
            self._count += 1
        self._last = now
        return self._count >= self._retries or now - self._first >= self._seconds
