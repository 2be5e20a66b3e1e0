"""What follows a bead status that was stored: its Event, and an entry in the breakers."""

from __future__ import annotations

from polecat_operator import metrics
from polecat_operator.actions import WriteBead
from polecat_operator.board import Board
from polecat_operator.cache import Cache, ObjectKey
from polecat_operator.clock import Clock
from polecat_operator.planner.breaker import Breaker, record
from polecat_operator.posting import EventPoster
from polecat_operator.queue import Key, KeyedQueue, Lane


class Bookkeeper:
    """Called by the executor after each write of a bead."""

    def __init__(self, cache: Cache, board: Board, queue: KeyedQueue, events: EventPoster, clock: Clock) -> None:
        self._cache = cache
        self._board = board
        self._queue = queue
        self._events = events
        self._clock = clock

    def written(self, action: WriteBead) -> None:
        """Tells about it, and enters an ending in the breakers of rig and town."""
        if action.note is not None:
            self._events.post(action.namespace, action.name, action.uid, action.note)
        ending = action.ending
        bead = self._cache.beads.items.get((action.namespace, action.name))
        if ending is None:
            return
        self._cache.ended.pop(action.uid, None)
        metrics.ENDINGS.labels(ending.outcome, ending.reason).inc()
        if bead is None:
            return
        now, rig = self._clock.now(), (bead.namespace, bead.rig)
        message = action.note.message if action.note else ""
        board = self._board
        after = record(board.rig_breakers[rig], bead.uid, ending, message, now, town=False)
        _enter("rig", board.rig_breakers, rig, after)
        held = self._cache.rigs.items.get(rig)
        if held is not None:
            town = (rig[0], held.rig.spec.town_ref.name)
            after = record(board.town_breakers[town], bead.uid, ending, message, now, town=True)
            _enter("town", board.town_breakers, town, after)
            self._queue.add(Key("schedule", *town), Lane.START)
            self._queue.add(Key("rig", *rig), Lane.LATER)


def _enter(scope: str, breakers: dict[ObjectKey, Breaker], key: ObjectKey, after: Breaker) -> None:
    """Puts a breaker in its place, and counts when it has opened."""
    if after.open_until not in (None, breakers[key].open_until):
        metrics.BREAKER_OPENINGS.labels(scope).inc()
    breakers[key] = after
