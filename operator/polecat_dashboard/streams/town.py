"""Talks to town pods: which streams they keep, and one stream from any event on."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

log = logging.getLogger(__name__)
LIST_SECONDS = 3.0
"""How long a pod's list of streams is believed."""
CONNECT_SECONDS = 5.0
SILENT_SECONDS = 60.0
"""A pod sends a heartbeat every 15 s; a connection silent for so long is dead."""
CHANGES_MAX_BYTES = 8 << 20
"""Far more than a pod's answer of what has changed ever is."""


class TownAwayError(Exception):
    """A pod that should have the stream can't be read; nothing of its answer is shown to anybody."""


class StreamMissingError(Exception):
    """The pod does not have the stream."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One attempt whose events a pod has."""

    bead_uid: str
    attempt: int
    first: int
    last: int
    ended: bool
    url: str
    """Base URL of the pod."""


class Towns:
    """Requests to town pods with the dashboard's own token; whoever calls has checked the reader's rights."""

    def __init__(self, token: Callable[[], str | None]) -> None:
        self._token = token
        self._session: aiohttp.ClientSession | None = None
        self._lists: dict[str, tuple[float, asyncio.Task[list[Kept]]]] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS),
            read_bufsize=1 << 16,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def kept(self, urls: Sequence[str], bead_uid: str) -> list[Kept]:
        """What these pods have of a bead, by attempt; pods that can't be read are left out."""
        answers = await asyncio.gather(*(self._list(url) for url in urls), return_exceptions=True)
        found: list[Kept] = []
        for url, answer in zip(urls, answers, strict=True):
            if isinstance(answer, TownAwayError):
                log.warning("streams of %s not listed: %s", url, answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found += [kept for kept in answer if kept.bead_uid == bead_uid]
        return sorted(found, key=lambda kept: kept.attempt)

    @asynccontextmanager
    async def open(
        self, url: str, bead_uid: str, attempt: int, *, after: int, download: bool = False
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of a stream, as events or, for a download, as JSON lines; `after` is the last number already had.

        Raises StreamMissingError and TownAwayError.
        """
        query = {"download": "1"} if download else {"from": str(after + 1)}
        try:
            async with self._get(f"{url}/v1/streams/{bead_uid}/{attempt}", query) as response:
                yield _chunks(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TownAwayError(type(error).__name__) from error

    async def changes(self, url: str, bead_uid: str, attempt: int, *, commits_only: bool) -> bytes:
        """What an attempt has changed, as the pod's JSON. Raises StreamMissingError and TownAwayError."""
        query = {"commits": "1"} if commits_only else {}
        try:
            async with self._get(f"{url}/v1/changes/{bead_uid}/{attempt}", query) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > CHANGES_MAX_BYTES:
                        raise TownAwayError("the answer is too large")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TownAwayError(type(error).__name__) from error
        return bytes(body)

    async def _list(self, url: str) -> list[Kept]:
        known = self._lists.get(url)
        if known is None or known[0] <= time.monotonic():
            known = (time.monotonic() + LIST_SECONDS, asyncio.create_task(self._ask_list(url)))
            self._lists[url] = known
        return await asyncio.shield(known[1])

    async def _ask_list(self, url: str) -> list[Kept]:
        try:
            async with self._get(f"{url}/v1/streams", {}) as response:
                answer = json.loads(await response.text())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, StreamMissingError) as error:
            raise TownAwayError(type(error).__name__) from error
        items = answer.get("streams", []) if isinstance(answer, dict) else answer
        return [kept for item in items if (kept := _read_kept(item, url)) is not None]

    @asynccontextmanager
    async def _get(self, url: str, query: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("Towns is used outside of its context")
        token = self._token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.get(url, params=query, headers=headers, allow_redirects=False) as response:
            if response.status == 404:
                raise StreamMissingError
            if response.status != 200:
                raise TownAwayError(f"HTTP {response.status}")
            yield response


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for chunk in response.content.iter_any():
        yield chunk


def _read_kept(item: Any, url: str) -> Kept | None:
    try:
        return Kept(
            bead_uid=str(item["beadUID"]),
            attempt=int(item["attempt"]),
            first=int(item["firstSeq"]),
            last=int(item["lastSeq"]),
            ended=bool(item["ended"]),
            url=url,
        )
    except (KeyError, TypeError, ValueError):
        return None
