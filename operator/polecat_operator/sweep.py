"""What nobody tells: pods that have gone silent or are heard of again, and polecats that are given up for it."""

from __future__ import annotations

from polecat_operator.cache import Cache, ObjectKey
from polecat_operator.clock import Clock
from polecat_operator.planner.towns import reporting
from polecat_operator.queue import Key, KeyedQueue, Lane
from polecat_operator.snapshots import Snapshots


class Sweeper:
    """Looks at towns and polecats every few seconds; never at beads, of which there are many."""

    def __init__(self, cache: Cache, snapshots: Snapshots, queue: KeyedQueue, clock: Clock) -> None:
        self._cache = cache
        self._snapshots = snapshots
        self._queue = queue
        self._clock = clock
        self._fresh: dict[ObjectKey, frozenset[str]] = {}
        """Town → pods that were heard of lately, as of the last look."""

    def look(self) -> None:
        """One look: puts what time alone has changed in the queue."""
        mono = self._clock.mono()
        for town in list(self._cache.towns.items):
            self._look_at_town(town, mono)
        for key, held in list(self._cache.polecats.items.items()):
            if self._snapshots.given_up(held.polecat, mono) is not None:
                self._queue.add(Key("bead", key[0], held.polecat.spec.bead_ref.name), Lane.LATER)
                self._queue.add(Key("polecat", *key), Lane.LATER)
            claim, town = held.polecat.status.claim, (key[0], held.polecat.spec.town_ref.name)
            if claim is not None and self._cache.workloads.needs_proof(town, held.polecat.spec.pod, claim.pod_uid):
                self._queue.add(Key("proof", key[0], held.polecat.spec.pod), Lane.LIFE)

    def _look_at_town(self, town: ObjectKey, mono: float) -> None:
        standing = self._snapshots.town_standing(town, mono)
        for entry in standing.town.status.pods if standing else ():
            if self._cache.workloads.needs_proof(town, entry.name, entry.uid):
                self._queue.add(Key("proof", town[0], entry.name), Lane.LATER)
        fresh = frozenset(pod.name for pod in reporting(standing)) if standing else frozenset()
        if self._fresh.get(town, fresh) != fresh:
            self._queue.add(Key("schedule", *town), Lane.START)
            self._queue.add(Key("town", *town), Lane.LATER)
            if self._cache.workloads.watched():
                self._queue.add(Key("workload", *town), Lane.LATER)
            for rig in self._cache.rigs_by_town.get(town, ()):
                self._queue.add(Key("rig", *rig), Lane.LATER)
                self._queue.add(Key("waiting", *rig), Lane.LATER)
        self._fresh[town] = fresh
