"""Figures that are asked for when somebody wants to know them, not kept all the time."""

from __future__ import annotations

import asyncio
from collections import Counter

from prometheus_client import Gauge

from polecat_operator import metrics
from polecat_operator.board import Board
from polecat_operator.clock import Clock
from polecat_operator.lease import Elector
from polecat_operator.queue import KeyedQueue
from polecat_operator.routing import Router
from polecat_operator.tally import Labels


class Measurer:
    """Brings the gauges up to date. What that costs follows the number of rigs and of what waits, not of beads."""

    def __init__(self, queue: KeyedQueue, board: Board, router: Router, elector: Elector, clock: Clock) -> None:
        self._queue = queue
        self._board = board
        self._cache = router.cache
        self._tally = router.tally
        self._elector = elector
        self._clock = clock

    def look(self) -> None:
        """Called before each answer; in the event loop."""
        for lane, (count, seconds) in self._queue.waiting(asyncio.get_running_loop().time()).items():
            metrics.QUEUE_LENGTH.labels(lane.name.lower()).set(count)
            metrics.QUEUE_SECONDS.labels(lane.name.lower()).set(seconds)
        metrics.LEASE_AGE_SECONDS.set(self._elector.age_seconds)
        _show(metrics.BEADS, self._tally.beads)
        _show(metrics.POLECATS, self._tally.polecats)
        _show(metrics.RIGS, self._tally.rigs)
        _show(metrics.TOWNS, self._tally.towns)
        metrics.OLDEST_WAITING_SECONDS.set(self._oldest_waiting_seconds())
        now = self._clock.now()
        for scope, breakers in (("rig", self._board.rig_breakers), ("town", self._board.town_breakers)):
            metrics.OPEN_BREAKERS.labels(scope).set(sum(breaker.is_open(now) for breaker in breakers.values()))

    def _oldest_waiting_seconds(self) -> float:
        heads = [(rig[0], queue.entries[0].bead) for rig, queue in self._board.queues.items() if queue.entries]
        beads = [bead for head in heads if (bead := self._cache.beads.items.get(head)) is not None]
        now = self._clock.now()
        return max((max(0.0, (now - bead.waiting_since).total_seconds()) for bead in beads), default=0.0)


def _show(gauge: Gauge, counts: Counter[Labels]) -> None:
    for labels, count in counts.items():
        gauge.labels(*labels).set(count)
