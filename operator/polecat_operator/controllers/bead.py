"""One bead: plan its next step and carry it out."""

from __future__ import annotations

from collections.abc import Sequence

from polecat_api.conditions import Reason
from polecat_kube.errors import ApiError
from polecat_operator.cache import ObjectKey
from polecat_operator.context import Context
from polecat_operator.errors import SupersededError
from polecat_operator.planner.lifecycle import BeadPlan, plan_bead
from polecat_operator.planner.scheduling import order
from polecat_operator.queue import Key, Lane
from polecat_operator.routing import FIRST_REASON_SECONDS
from polecat_operator.views import BeadView
from polecat_operator.world import Waiting


class BeadController:
    """Everything that is written to one bead goes through here, one step at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rig_of: dict[ObjectKey, ObjectKey] = {}
        """Bead → the rig in whose queue it stands."""

    async def reconcile(self, key: ObjectKey) -> None:
        """Raises ApiError when a request failed and is worth another try."""
        context = self._context
        bead = context.cache.beads.items.get(key)
        if bead is None:
            self._forget(key)
            return
        world = context.snapshots.bead(bead, context.clock.mono())
        plan = plan_bead(world, context.clock.now())
        self._wake_ring(bead, world.cycle)
        self._stand(bead, plan)
        try:
            for action in plan.actions:
                await context.executor.apply(action)
        except SupersededError:
            self._give_back(key, bead)
            context.queue.add(Key("bead", *key), Lane.LIFE)
            return
        except ApiError as error:
            if not error.retryable:
                self._give_back(key, bead)
            raise
        if key in context.board.booked and context.cache.owned(bead.uid):
            context.board.release(key)
        if plan.wake_at is not None:
            pause = (plan.wake_at - context.clock.now()).total_seconds() + 0.01
            context.queue.add_after(Key("bead", *key), pause, Lane.LIFE)

    def _wake_ring(self, bead: BeadView, cycle: Sequence[str]) -> None:
        """The last bead of a ring closes it for all: the others were told to wait, not that they wait in vain."""
        for name in cycle:
            other = self._context.cache.beads.items.get((bead.namespace, name))
            if other is not None and name != bead.name and other.reason != Reason.DEPENDENCY_CYCLE:
                self._context.queue.add(Key("bead", *other.key), Lane.LIFE)

    def _stand(self, bead: BeadView, plan: BeadPlan) -> None:
        """Puts the bead in its rig's queue, or takes it out, as the plan says."""
        context, key = self._context, bead.key
        rig = (bead.namespace, bead.rig)
        before = self._rig_of.get(key)
        if before is not None and (before != rig or not plan.ready):
            self._leave(key)
        if not plan.ready:
            # A start under way has its assignment; anything else that is not ready has no use for one.
            if key in context.board.booked and not any(action for action in plan.actions):
                self._give_back(key, bead)
            return
        entry = Waiting(order=order(bead.waiting_since.timestamp(), bead.priority), bead=bead.name, intent=plan.intent)
        self._rig_of[key] = rig
        if bead.reason and bead.observed_generation != bead.generation:
            context.queue.add_after(Key("waiting", *rig), FIRST_REASON_SECONDS, Lane.LIFE)
        if not context.board.queues[rig].put(entry):
            return
        held = context.cache.rigs.items.get(rig)
        if held is not None:
            context.queue.add(Key("schedule", bead.namespace, held.rig.spec.town_ref.name), Lane.START)
        if not bead.reason or held is None:
            context.queue.add_after(Key("waiting", *rig), FIRST_REASON_SECONDS, Lane.LIFE)

    def _leave(self, key: ObjectKey) -> None:
        rig = self._rig_of.pop(key, None)
        if rig is not None and self._context.board.leave(rig, key[1]):
            self._context.queue.add_after(Key("waiting", *rig), 1.0, Lane.LIFE)

    def _give_back(self, key: ObjectKey, bead: BeadView) -> None:
        booked = self._context.board.release(key)
        if booked is not None:
            self._context.queue.add(Key("schedule", bead.namespace, booked.town), Lane.START)

    def _forget(self, key: ObjectKey) -> None:
        context = self._context
        self._leave(key)
        context.board.verdicts.pop(key, None)
        booked = context.board.release(key)
        if booked is not None:
            context.queue.add(Key("schedule", key[0], booked.town), Lane.START)

    def assigned(self, key: ObjectKey) -> None:
        """The scheduler has taken the bead out of the queue and given it a name and a pod."""
        self._rig_of.pop(key, None)
