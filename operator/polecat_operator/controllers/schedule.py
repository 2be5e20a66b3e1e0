"""One town: who starts now, and what the others are told."""

from __future__ import annotations

from polecat_api.conditions import Reason
from polecat_operator.board import Booked, used_in_rig
from polecat_operator.cache import ObjectKey
from polecat_operator.context import Context
from polecat_operator.controllers.bead import BeadController
from polecat_operator.planner.rigs import closed_gate, full_gate
from polecat_operator.planner.scheduling import positions, schedule
from polecat_operator.queue import Key, Lane
from polecat_operator.routing import FIRST_REASON_SECONDS

POSITIONS_SECONDS = 5.0
"""Places in a rig's queue are written at most so often."""


class ScheduleController:
    """Gives out names and slots. No request is sent here: starting is the bead's own next step."""

    def __init__(self, context: Context, beads: BeadController) -> None:
        self._context = context
        self._beads = beads
        self._told: dict[ObjectKey, float] = {}
        """Rig → when its places were last written, on the monotonic clock."""

    async def reconcile(self, town: ObjectKey) -> None:
        """One pass over the queues of a town's rigs."""
        context = self._context
        now, mono = context.clock.now(), context.clock.mono()
        for rig_name, assignment in schedule(context.snapshots.town(town, now, mono)):
            rig, bead = (town[0], rig_name), (town[0], assignment.bead)
            context.board.leave(rig, assignment.bead)
            context.board.book(bead, Booked(rig_name, town[1], assignment))
            self._beads.assigned(bead)
            context.queue.add(Key("bead", *bead), Lane.START)
        breakers = [context.board.town_breakers.get(town)]
        for rig in context.cache.rigs_by_town.get(town, ()):
            if rig in context.board.queues:
                context.queue.add_after(Key("waiting", *rig), FIRST_REASON_SECONDS, Lane.LIFE)
                breakers.append(context.board.rig_breakers.get(rig))
        for breaker in breakers:
            if breaker is not None and breaker.open_until is not None and breaker.is_open(now):
                pause = (breaker.open_until - now).total_seconds() + 0.01
                context.queue.add_after(Key("schedule", *town), pause, Lane.START)

    async def tell_waiting(self, rig: ObjectKey) -> None:
        """Finds out what each waiting bead of a rig should say, and has those looked at that say something else."""
        context = self._context
        queue = context.board.queues.get(rig)
        if not queue:
            return
        now, mono = context.clock.now(), context.clock.mono()
        standing = context.snapshots.rig_standing(rig, mono)
        gate = closed_gate(standing, now)
        only_slots = gate is None
        if gate is None:
            gate = full_gate(standing, used_in_rig(context.cache, context.board, rig), now)
        left = self._told.get(rig, -POSITIONS_SECONDS) + POSITIONS_SECONDS - mono
        places = positions(queue.entries) if only_slots else {}
        behind = False
        for entry in queue.entries:
            key = (rig[0], entry.bead)
            bead = context.cache.beads.items.get(key)
            if bead is None:
                continue
            place = places.get(entry.bead)
            told = bead.reason == gate.reason and bead.observed_generation == bead.generation
            if told and (left > 0 or bead.queue_position == place):
                behind = behind or bead.queue_position != place
                continue
            context.board.verdicts[key] = (gate, place)
            context.queue.add(Key("bead", *key), Lane.LATER)
            if gate.reason is Reason.QUEUED and standing.town is not None:
                # A pod was silent for the last pass, and was heard of again before anybody had looked.
                context.queue.add(Key("schedule", rig[0], standing.town_name), Lane.START)
        if left <= 0:
            self._told[rig] = mono
        elif behind:
            context.queue.add_after(Key("waiting", *rig), left, Lane.LIFE)
