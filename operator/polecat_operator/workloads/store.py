"""What is known of the workloads of all towns, and which pods are gone for certain."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from polecat_api.conditions import Reason
from polecat_operator.workloads.observed import (
    ClaimView,
    PodView,
    SetView,
    town_of,
    view_claim,
    view_pod,
    view_set,
)

Json = dict[str, Any]
TownKey = tuple[str, str]
FORGET_AFTER = 10_000
"""How many pods are remembered as gone."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps a town from being as its spec says."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What was last applied for a town by this process."""

    town_generation: int
    set_generation: int


@dataclass(slots=True)
class Workload:
    """One town's part."""

    set: SetView | None = None
    pods: dict[str, PodView] = field(default_factory=dict)
    claims: dict[str, ClaimView] = field(default_factory=dict)
    applied: Applied | None = None
    refused: Trouble | None = None
    """Why the town's objects could not be made."""
    pods_refused: str = ""
    """Why the StatefulSet controller could not make a pod."""
    claims_refused: str = ""
    """Why no volume was made or bound."""


class Workloads:
    """Filled by watches while the operator makes the pods of towns; empty and of no say while it does not."""

    def __init__(self, changed: Callable[[TownKey], None], pod_changed: Callable[[TownKey, str], None]) -> None:
        """`changed` is called for each difference, `pod_changed` also when the life of a pod begins or ends."""
        self._changed = changed
        self._pod_changed = pod_changed
        self._towns: defaultdict[TownKey, Workload] = defaultdict(Workload)
        self._gone: OrderedDict[str, None] = OrderedDict()
        self.watched: Callable[[], bool] = lambda: False
        """Whether everything has been listed: only then does a pod's absence mean anything."""
        self.watch_refused: Callable[[], str] = str
        """What may not be watched, in the API server's words; empty when all may."""

    def of(self, town: TownKey) -> Workload:
        """A town's part, to be read, and to be written by the one controller that acts on it."""
        return self._towns[town]

    def forget(self, town: TownKey) -> None:
        """The Town is gone; its pods may still be ending."""
        part = self._towns.get(town)
        if part is not None:
            part.applied, part.refused = None, None
            part.pods_refused = part.claims_refused = ""
            self._drop_if_empty(town)

    # -- what the watches show -------------------------------------------------------------------------------

    def take_set(self, old: Json | None, new: Json | None) -> None:
        """A StatefulSet has changed, or is gone (`new` is None)."""
        town = town_of(new or old or {})
        part = self._towns[town]
        before, part.set = part.set, view_set(new) if new is not None else None
        if before != part.set:
            self._changed(town)
        self._drop_if_empty(town)

    def take_pod(self, old: Json | None, new: Json | None) -> None:
        """A pod has changed, or is gone."""
        raw = new or old or {}
        town, name = town_of(raw), raw["metadata"]["name"]
        part = self._towns[town]
        before = part.pods.pop(name, None)
        view = view_pod(new) if new is not None else None
        if view is not None:
            part.pods[name] = view
        if before is not None and (view is None or view.uid != before.uid):
            self.is_gone_for_certain([before.uid])
        life = [(each.uid, each.deleting) if each else None for each in (before, view)]
        if life[0] != life[1]:
            self._pod_changed(town, name)
        if before != view:
            self._changed(town)
        self._drop_if_empty(town)

    def take_claim(self, old: Json | None, new: Json | None) -> None:
        """A claim has changed, or is gone."""
        raw = new or old or {}
        town, name = town_of(raw), raw["metadata"]["name"]
        part = self._towns[town]
        before = part.claims.pop(name, None)
        if new is not None:
            part.claims[name] = view_claim(new)
        if before != part.claims.get(name):
            self._changed(town)
        self._drop_if_empty(town)

    def _drop_if_empty(self, town: TownKey) -> None:
        if self._towns.get(town) == Workload():
            del self._towns[town]

    # -- proof -----------------------------------------------------------------------------------------------

    def is_gone_for_certain(self, uids: Iterable[str]) -> None:
        """These lives of pods have ended: they existed once, and do not exist any more. UIDs never come back."""
        for uid in uids:
            self._gone[uid] = None
        while len(self._gone) > FORGET_AFTER:
            self._gone.popitem(last=False)

    def is_gone(self, uid: str) -> bool:
        """Whether it is certain that this life of a pod has ended."""
        return uid in self._gone

    def needs_proof(self, town: TownKey, pod: str, uid: str) -> bool:
        """Whether only the API server can tell whether this life of a pod goes on."""
        if not self.watched() or uid in self._gone:
            return False
        seen = self._towns[town].pods.get(pod) if town in self._towns else None
        return seen is None or seen.uid != uid

    def takes_work(self, town: TownKey, pod: str, uid: str | None = None) -> bool:
        """Whether a pod (with `uid`: this life of it) may get new polecats as far as the API server knows."""
        if not self.watched():
            return True
        part = self._towns.get(town)
        seen = part.pods.get(pod) if part is not None else None
        return seen is not None and not seen.deleting and uid in (None, seen.uid)
