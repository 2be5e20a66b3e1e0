"""Changes in batches, kept for a while, so that any number of readers can follow, each at its own pace.

A reader holds a number and nothing else: the batches are shared, and are put into JSON once for all readers that may
see the same. Who falls behind further than what is kept gets the whole state again.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from polecat_api.untrusted import Json
from polecat_dashboard.state.scope import Scope

KEPT = 512
"""Batches that are kept: two minutes of changes without a pause."""
INTERVAL_SECONDS = 0.25
"""The least time between two batches."""

Key = tuple[str, str, str]
"""Kind, namespace, name."""


@dataclass(slots=True)
class Batch:
    """Changes that happened together; a view of None means that the object is gone."""

    number: int
    changes: dict[Key, Json | None]
    _encoded: dict[Scope, str] = field(default_factory=dict)

    def encode(self, scope: Scope) -> str:
        """The JSON list of those changes that the scope shows, `[]` when there is none."""
        made = self._encoded.get(scope)
        if made is None:
            shown = [
                {"kind": kind, "ns": namespace, "name": name, "view": view}
                for (kind, namespace, name), view in self.changes.items()
                if scope.sees(kind, namespace)
            ]
            made = self._encoded[scope] = json.dumps(shown, separators=(",", ":"))
        return made


class Feed:
    """Collects changes and gives them out in batches."""

    def __init__(self, read: Callable[[Key], Json | None], *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        """`read` gives the present view of an object, None when it is gone."""
        self._read = read
        self._interval_seconds = interval_seconds
        self._dirty: set[Key] = set()
        self._batches: deque[Batch] = deque(maxlen=KEPT)
        self._changed = asyncio.Event()
        self._wanted = asyncio.Event()
        self.number = 0
        """Number of the newest batch; 0 before the first."""

    def mark(self, key: Key) -> None:
        """The object has changed."""
        self._dirty.add(key)
        self._wanted.set()

    async def run(self) -> None:
        """Makes batches until cancelled; sleeps while nothing changes."""
        while True:
            await self._wanted.wait()
            self.flush()
            await asyncio.sleep(self._interval_seconds)

    def flush(self) -> None:
        """Makes a batch of what has changed since the last one."""
        self._wanted.clear()
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, set()
        self.number += 1
        self._batches.append(Batch(self.number, {key: self._read(key) for key in sorted(dirty)}))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def after(self, number: int) -> Iterable[Batch] | None:
        """The batches that follow `number`; None when not all of them are kept any more, or it is not ours."""
        if number > self.number:
            return None
        missing = self.number - number
        if missing > len(self._batches):
            return None
        return [self._batches[index] for index in range(len(self._batches) - missing, len(self._batches))]

    async def wait(self, number: int, seconds: float) -> None:
        """Until there is a batch after `number`, at most so long."""
        if self.number > number:
            return
        changed = self._changed
        try:
            async with asyncio.timeout(seconds):
                await changed.wait()
        except TimeoutError:
            return
