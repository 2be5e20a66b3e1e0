"""Which keys a change concerns. Nothing is decided here, and nothing is sent."""

from __future__ import annotations

from polecat_api.conditions import Reason, Type, find_condition
from polecat_api.polecat import Polecat
from polecat_api.rig import Rig
from polecat_api.town import Town
from polecat_operator.board import Board
from polecat_operator.cache import Cache, HeldPolecat, HeldRig, HeldTown, ObjectKey
from polecat_operator.clock import Clock
from polecat_operator.metrics import CLAIM_SECONDS
from polecat_operator.queue import Key, KeyedQueue, Lane
from polecat_operator.settings import Settings
from polecat_operator.tally import Tally
from polecat_operator.views import BeadView, Phase, finished, is_deleting
from polecat_operator.workloads.store import Workloads

FIRST_REASON_SECONDS = 0.05
"""A bead met for the first time that can't start at once is told why after this."""
COUNTS_SECONDS = 1.0
"""Counts in statuses are first brought up to date after this, and then at most every five seconds."""


class Router:
    """Listens to the cache, and puts keys in the queue while this process leads."""

    def __init__(self, queue: KeyedQueue, board: Board, settings: Settings, clock: Clock) -> None:
        self._queue = queue
        self._board = board
        self._settings = settings
        self.leading = False
        self.tally = Tally()
        self._clock = clock
        workloads = Workloads(self._workload, self._pod_life)
        self.cache = Cache(self._bead, self._polecat, self._rig, self._town, workloads, clock)

    def lead(self) -> None:
        """From now on this process acts: everything that exists is looked at once."""
        self.leading = True
        self.look_at_everything()

    def look_at_everything(self) -> None:
        """Puts every object that exists in the queue."""
        cache = self.cache
        for town in cache.towns.items:
            self._town_key(town)
        for rig in cache.rigs.items:
            self._rig_key(rig, 0.0)
        for bead in cache.beads.items.values():
            lane = Lane.LATER if bead.phase is Phase.TERMINAL else Lane.LIFE
            self._queue.add(Key("bead", *bead.key), lane)
        for held in cache.polecats.items.values():
            self._new_polecat(held)

    def _bead(self, old: BeadView | None, new: BeadView | None) -> None:
        self.tally.bead(old, new)
        bead = new or old
        if not self.leading or bead is None:
            return
        self._queue.add(Key("bead", *bead.key), Lane.LIFE)
        was, now = old.succeeded if old else None, new.succeeded if new else None
        ring_opened = old is not None and old.reason == Reason.DEPENDENCY_CYCLE and bead.reason != old.reason
        if old is None or new is None or was != now or ring_opened:
            for name in self.cache.dependents.get(bead.key, ()):
                self._queue.add(Key("bead", bead.namespace, name), Lane.LIFE)
        if old is None or new is None or old.phase is not new.phase:
            self._rig_key((bead.namespace, bead.rig), COUNTS_SECONDS)
        if new is None:
            for key in self.cache.polecats_by_bead.get(bead.uid, ()):
                self._queue.add(Key("polecat", *key), Lane.LIFE)

    def _polecat(self, old: HeldPolecat | None, new: HeldPolecat | None) -> None:
        self.tally.polecat(old, new)
        held = new or old
        if not self.leading or held is None:
            return
        polecat, namespace = held.polecat, held.key[0]
        town, rig = (namespace, polecat.spec.town_ref.name), (namespace, polecat.spec.rig_ref.name)
        if old is not None and new is not None and _sign_of_life(old.polecat) == _sign_of_life(new.polecat):
            return
        self._queue.add(Key("bead", namespace, polecat.spec.bead_ref.name), Lane.LIFE)
        if new is not None and (old is None or old.polecat.status.claim is None):
            self._time_claim(polecat)
        if new is None:
            self._queue.add(Key("schedule", *town), Lane.START)
            self._rig_key(rig, COUNTS_SECONDS)
        elif old is None:
            self._new_polecat(held)
            self._rig_key(rig, COUNTS_SECONDS)
        else:
            self._queue.add(Key("polecat", *held.key), Lane.LIFE)

    def _time_claim(self, polecat: Polecat) -> None:
        """Only of a bead's first start: what it waits for between two attempts is no fault of ours."""
        claim = polecat.status.claim
        bead = self.cache.beads.items.get((polecat.metadata.namespace, polecat.spec.bead_ref.name))
        if claim is not None and bead is not None and polecat.spec.attempt == 1:
            CLAIM_SECONDS.observe(max(0.0, (claim.time - bead.created).total_seconds()))

    def _new_polecat(self, held: HeldPolecat) -> None:
        bead = held.polecat.spec.bead_ref.name
        self._queue.add(Key("polecat", *held.key), Lane.LIFE)
        ready = find_condition(held.polecat.status.conditions, Type.READY)
        if ready is None or ready.status != "True":
            # Also of one that a pod has claimed: who created it may have died before it made the token.
            self._queue.add(Key("token", *held.key), Lane.LATER)
        if held.polecat.status.claim is None:
            self._queue.add_after(Key("bead", held.key[0], bead), self._settings.claim_seconds + 0.1, Lane.LIFE)

    def _rig(self, old: HeldRig | None, new: HeldRig | None) -> None:
        self.tally.rig(old, new)
        if not self.leading:
            return
        if old is not None and new is not None and _rig_matters(old.rig) == _rig_matters(new.rig):
            return
        for held in (old, new):
            if held is not None:
                self._town_key((held.key[0], held.rig.spec.town_ref.name))
                self._rig_key(held.key, 0.0)
                self._queue.add_after(Key("waiting", *held.key), FIRST_REASON_SECONDS, Lane.LIFE)

    def _town(self, old: HeldTown | None, new: HeldTown | None) -> None:
        self.tally.town(old, new)
        held = new or old
        if not self.leading or held is None:
            return
        if old is not None and new is not None and _town_matters(old.town) == _town_matters(new.town):
            return
        self._town_key(held.key)
        if old is None or new is None or len(old.town.status.pods) != len(new.town.status.pods):
            for rig in self.cache.rigs_by_town.get(held.key, ()):
                self._queue.add_after(Key("waiting", *rig), FIRST_REASON_SECONDS, Lane.LIFE)
                self._rig_key(rig, 0.0)

    def _workload(self, town: ObjectKey) -> None:
        """What the API server tells of a town's pods has changed."""
        if self.leading and town in self.cache.towns.items:
            self._queue.add(Key("workload", *town), Lane.LATER)
            self._queue.add(Key("town", *town), Lane.LATER)

    def _pod_life(self, town: ObjectKey, pod: str) -> None:
        """The life of a pod has begun, or is ending, or has ended."""
        if not self.leading:
            return
        self._queue.add(Key("schedule", *town), Lane.START)
        for key in self.cache.polecats_by_pod.get((*town, pod), ()):
            held = self.cache.polecats.items[key]
            self._queue.add(Key("bead", key[0], held.polecat.spec.bead_ref.name), Lane.LIFE)
            self._queue.add(Key("polecat", *key), Lane.LIFE)

    def _town_key(self, town: ObjectKey) -> None:
        self._queue.add(Key("schedule", *town), Lane.START)
        if self._settings.town_workloads == "managed":
            self._queue.add(Key("workload", *town), Lane.LATER)
        self._queue.add(Key("town", *town), Lane.LATER)

    def _rig_key(self, rig: ObjectKey, seconds: float) -> None:
        self._queue.add_after(Key("rig", *rig), seconds, Lane.LATER)
        held = self.cache.rigs.items.get(rig)
        if held is not None and seconds:
            self._queue.add_after(Key("town", rig[0], held.rig.spec.town_ref.name), seconds, Lane.LATER)


def _sign_of_life(polecat: Polecat) -> tuple[object, ...]:
    """What of a polecat matters to decisions: not its heartbeats."""
    ready = find_condition(polecat.status.conditions, Type.READY)
    claim = polecat.status.claim
    return (
        finished(polecat) is not None,
        is_deleting(polecat),
        (ready.status, ready.reason) if ready else None,
        claim.pod_uid if claim else None,
        tuple(polecat.metadata.finalizers),
    )


def _rig_matters(rig: Rig) -> tuple[object, ...]:
    repository = find_condition(rig.status.conditions, Type.REPOSITORY_READY)
    return (
        rig.metadata.uid,
        rig.metadata.generation,
        (repository.status, repository.reason, repository.message) if repository else None,
    )


def _town_matters(town: Town) -> tuple[object, ...]:
    pods = [
        (pod.name, pod.uid, pod.ready, pod.reason, pod.isolation, pod.memory_bytes, pod.memory_limit_bytes, *pod.rigs)
        for pod in town.status.pods
    ]
    return town.metadata.uid, town.metadata.generation, pods
