"""One polecat: cleared away when its bead is gone, let go when no pod can settle it."""

from __future__ import annotations

from polecat_operator.actions import DeletePolecat, ReleasePolecat
from polecat_operator.cache import HeldPolecat, ObjectKey
from polecat_operator.context import Context
from polecat_operator.errors import SupersededError
from polecat_operator.planner.fencing import RELEASE_UNCLAIMED_SECONDS, can_release
from polecat_operator.queue import Key, Lane
from polecat_operator.views import is_deleting


class PolecatController:
    """What concerns a polecat beyond its bead's own steps."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._deleting_since: dict[str, float] = {}

    async def reconcile(self, key: ObjectKey) -> None:
        """Raises ApiError when a request failed and is worth another try."""
        context = self._context
        held = context.cache.polecats.items.get(key)
        if held is None:
            return
        if not is_deleting(held.polecat):
            await self._without_bead(held)
            return
        mono = context.clock.mono()
        since = self._deleting_since.setdefault(held.uid, mono)
        why = can_release(
            context.snapshots.polecat(held.polecat, mono),
            fence_seconds=context.snapshots.fence_seconds,
            handover_seconds=context.settings.fence_margin_seconds,
            deleting_seconds=mono - since,
        )
        if why is None:
            if held.polecat.status.claim is None:
                context.queue.add_after(Key("polecat", *key), RELEASE_UNCLAIMED_SECONDS, Lane.LIFE)
            return
        finalizers = tuple(held.polecat.metadata.finalizers)
        release = ReleasePolecat(key[0], key[1], held.uid, held.resource_version, finalizers, why)
        try:
            await context.executor.apply(release)
        except SupersededError:
            context.queue.add(Key("polecat", *key), Lane.LIFE)
            return
        self._deleting_since.pop(held.uid, None)

    async def _without_bead(self, held: HeldPolecat) -> None:
        context = self._context
        ref = held.polecat.spec.bead_ref
        bead = context.cache.beads.items.get((held.key[0], ref.name))
        if bead is None or bead.uid != ref.uid:
            await context.executor.apply(DeletePolecat(*held.key, held.uid, "its bead is gone"))

    def forget_missing(self) -> None:
        """Drops what is remembered of polecats that are gone."""
        living = {held.uid for held in self._context.cache.polecats.items.values()}
        self._deleting_since = {uid: since for uid, since in self._deleting_since.items() if uid in living}
