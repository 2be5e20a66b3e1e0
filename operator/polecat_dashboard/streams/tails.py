"""The last lines of all agents at work: one connection to the town for each stream, and only while somebody looks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable

from polecat_api.untrusted import Json
from polecat_dashboard import metrics
from polecat_dashboard.state.cluster import ClusterState
from polecat_dashboard.state.scope import Scope
from polecat_dashboard.streams.lines import TailLines
from polecat_dashboard.streams.sse import Event, TooLongError, events
from polecat_dashboard.streams.town import StreamMissingError, TownAwayError, Towns

log = logging.getLogger(__name__)
INTERVAL_SECONDS = 0.25
"""How often readers look for new lines."""
LINGER_SECONDS = 15.0
"""How long streams stay open after the last reader went: a page that is loaded again finds them."""
RETRY_SECONDS = 2.0
LOOK_BACK = 300
"""Events before the newest one from which the first lines are made."""
_AT_WORK = frozenset({"claimed", "running"})


class _Tail:
    def __init__(self, view: Json) -> None:
        self.view = view
        self.lines = TailLines()
        self.seq = 0
        self.task: asyncio.Task[None] | None = None


class TailReader:
    """One page that shows tiles; remembers what it has been given."""

    def __init__(self, tails: Tails) -> None:
        self._tails = tails
        self._seen: dict[str, int] = {}

    def read(self, scope: Scope) -> str:
        """A JSON object from the UID of each polecat with something new to its lines; empty when nothing is new."""
        parts: list[str] = []
        for uid, tail in self._tails.current():
            version = tail.lines.version
            if version and self._seen.get(uid) != version and scope.reads_streams(tail.view["ns"]):
                self._seen[uid] = version
                parts.append(f"{json.dumps(uid)}:{tail.lines.encode()}")
        return f"{{{','.join(parts)}}}" if parts else ""

    def close(self) -> None:
        """The page is gone."""
        self._tails.leave()


class Tails:
    """Follows the streams of all polecats at work while there is a reader."""

    interval_seconds = INTERVAL_SECONDS

    def __init__(self, state: ClusterState, towns: Towns) -> None:
        self._state = state
        self._towns = towns
        self._tails: dict[str, _Tail] = {}
        self._readers = 0
        self._wanted = asyncio.Event()

    def reader(self) -> TailReader:
        """A new reader; to be closed."""
        self._readers += 1
        self._wanted.set()
        return TailReader(self)

    def leave(self) -> None:
        """A reader has gone."""
        self._readers -= 1

    def current(self) -> Iterable[tuple[str, _Tail]]:
        """All that is followed, by the UID of the polecat."""
        return self._tails.items()

    async def run(self) -> None:
        """Opens and closes streams as polecats come and go, until cancelled."""
        number = -1
        idle_since: float | None = None
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._wanted.wait()
                idle_since = None if self._readers else (idle_since or loop.time())
                if idle_since is not None and loop.time() - idle_since > LINGER_SECONDS:
                    self._wanted.clear()
                    await self._close(list(self._tails))
                    number, idle_since = -1, None
                    continue
                if number != self._state.feed.number:
                    number = self._state.feed.number
                    await self._adjust()
                await self._state.feed.wait(number, 1.0)
        finally:
            await self._close(list(self._tails))

    async def _adjust(self) -> None:
        wanted = {view["uid"]: view for view in self._state.views("polecats") if view["state"] in _AT_WORK}
        await self._close([uid for uid in self._tails if uid not in wanted])
        for uid, view in wanted.items():
            if uid not in self._tails:
                tail = self._tails[uid] = _Tail(view)
                tail.task = asyncio.create_task(self._follow(tail), name=f"tail {view['name']}")
        metrics.UPSTREAMS.set(len(self._tails))

    async def _close(self, uids: list[str]) -> None:
        tasks = [tail.task for uid in uids if (tail := self._tails.pop(uid)).task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        metrics.UPSTREAMS.set(len(self._tails))

    async def _follow(self, tail: _Tail) -> None:
        while True:
            try:
                if await self._read(tail):
                    return
            except (TownAwayError, StreamMissingError, TooLongError) as error:
                log.debug("stream of %s interrupted: %r", tail.view["name"], error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self, tail: _Tail) -> bool:
        """Reads until the connection ends; true when the stream has ended."""
        view = tail.view
        urls = self._state.stream_urls(view["ns"], view["town"], view["pod"])
        if not urls:
            return False
        if not tail.seq:
            kept = [each for each in await self._towns.kept(urls, view["beadUID"]) if each.attempt == view["attempt"]]
            tail.seq = max(0, kept[0].last - LOOK_BACK) if kept else 0
        async with self._towns.open(urls[0], view["beadUID"], view["attempt"], after=tail.seq) as chunks:
            async for event in events(chunks):
                if event.kind == "end":
                    return True
                self._take(tail, event)
        return False

    @staticmethod
    def _take(tail: _Tail, event: Event) -> None:
        try:
            parsed = json.loads(event.data)
            tail.seq = int(parsed["seq"])
            tail.lines.add(tail.seq, str(parsed["kind"]), dict(parsed["data"]))
        except (ValueError, KeyError, TypeError):
            return  # a notice of the town to its reader, such as a gap, or a kind of a later version
