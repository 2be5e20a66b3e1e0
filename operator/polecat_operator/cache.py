"""What the operator knows: views of all objects, indexes over them, and when changes were seen."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from polecat_api.branches import PREFIX_MIN_LENGTH, bead_hex
from polecat_api.conditions import Type, is_true
from polecat_api.names import object_name
from polecat_api.polecat import Polecat
from polecat_api.rig import Rig
from polecat_api.town import Town
from polecat_operator.clock import Clock
from polecat_operator.views import BeadView, Phase
from polecat_operator.workloads.store import Workloads

ObjectKey = tuple[str, str]
"""(namespace, name)."""
FORGET_AFTER = 20_000
"""How many deleted objects are remembered, so that a late answer does not bring them back."""


class Stored(Protocol):
    """What a store needs to know of an object."""

    @property
    def key(self) -> ObjectKey: ...
    @property
    def uid(self) -> str: ...
    @property
    def resource_version(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Held:
    """A Polecat, Rig or Town with its identity at hand."""

    key: ObjectKey
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class HeldPolecat(Held):
    polecat: Polecat


@dataclass(frozen=True, slots=True)
class HeldRig(Held):
    rig: Rig


@dataclass(frozen=True, slots=True)
class HeldTown(Held):
    town: Town


StoredT = TypeVar("StoredT", bound=Stored)


class Store(Generic[StoredT]):
    """Objects of one kind. The newer resource version wins, and what is gone stays gone."""

    def __init__(self, on_change: Callable[[StoredT | None, StoredT | None], None]) -> None:
        self.items: dict[ObjectKey, StoredT] = {}
        self._on_change = on_change
        self._gone: OrderedDict[str, None] = OrderedDict()

    def put(self, new: StoredT) -> None:
        """Takes in a state of an object, from a watch, a list or an answer."""
        if new.uid in self._gone:
            return
        old = self.items.get(new.key)
        if old is not None and int(old.resource_version) >= int(new.resource_version):
            return
        if old is not None and old.uid != new.uid:
            self.drop(old)
            old = None
        self.items[new.key] = new
        self._on_change(old, new)

    def drop(self, last: StoredT) -> None:
        """An object is gone; `last` is its last known state."""
        self._gone[last.uid] = None
        while len(self._gone) > FORGET_AFTER:
            self._gone.popitem(last=False)
        old = self.items.get(last.key)
        if old is None or old.uid != last.uid:
            return
        if int(last.resource_version) > int(old.resource_version):
            self._on_change(old, last)  # what the deletion brought to light counts as seen
        del self.items[last.key]
        self._on_change(last, None)

    def keep_only(self, listed: dict[ObjectKey, str], before: dict[ObjectKey, str]) -> None:
        """Drops what was there before a list was begun (`before`: key → uid), and was not in it (`listed`)."""
        for key, uid in before.items():
            item = self.items.get(key)
            if item is not None and item.uid == uid and listed.get(key) != uid:
                self.drop(item)

    def uids(self) -> dict[ObjectKey, str]:
        """UID of each object that is there."""
        return {key: item.uid for key, item in self.items.items()}


@dataclass(slots=True)
class PodSeen:
    """When an entry of a town's `status.pods` was seen to change, on this process's own clock."""

    uid: str
    seen_time: float
    """The entry's own `seenTime` (seconds since the epoch, the pod's clock)."""
    observed: float
    """`time.monotonic()` when that value was first seen."""
    uid_observed: float
    """`time.monotonic()` when this UID was first seen."""


class Cache:
    """Stores and indexes. `changed(old, new)` is called for each kind after the indexes are up to date."""

    def __init__(
        self,
        bead_changed: Callable[[BeadView | None, BeadView | None], None],
        polecat_changed: Callable[[HeldPolecat | None, HeldPolecat | None], None],
        rig_changed: Callable[[HeldRig | None, HeldRig | None], None],
        town_changed: Callable[[HeldTown | None, HeldTown | None], None],
        workloads: Workloads,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self.workloads = workloads
        self._callbacks = (bead_changed, polecat_changed, rig_changed, town_changed)
        self.beads: Store[BeadView] = Store(self._bead)
        self.polecats: Store[HeldPolecat] = Store(self._polecat)
        self.rigs: Store[HeldRig] = Store(self._rig)
        self.towns: Store[HeldTown] = Store(self._town)
        self.beads_by_rig: defaultdict[ObjectKey, set[str]] = defaultdict(set)
        """Names of open beads."""
        self.phases: defaultdict[ObjectKey, Counter[Phase]] = defaultdict(Counter)
        """Beads of each rig by phase."""
        self.dependents: defaultdict[ObjectKey, set[str]] = defaultdict(set)
        """Bead → names of open beads that have it in `dependsOn`."""
        self.by_prefix: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
        """(namespace, rig, first six digits) → UIDs of beads."""
        self.intents: defaultdict[ObjectKey, set[str]] = defaultdict(set)
        """Object name of a Polecat → names of beads whose status holds it."""
        self.polecats_by_bead: defaultdict[str, set[ObjectKey]] = defaultdict(set)
        self.polecats_by_rig: defaultdict[ObjectKey, set[ObjectKey]] = defaultdict(set)
        self.polecats_by_town: defaultdict[ObjectKey, set[ObjectKey]] = defaultdict(set)
        self.polecats_by_pod: defaultdict[tuple[str, str, str], set[ObjectKey]] = defaultdict(set)
        """(namespace, town, pod) → its polecats."""
        self.starting_by_pod: defaultdict[tuple[str, str, str], set[ObjectKey]] = defaultdict(set)
        """Those of them whose agent is not ready."""
        self.rigs_by_town: defaultdict[ObjectKey, set[ObjectKey]] = defaultdict(set)
        self.ended: dict[str, Polecat] = {}
        """Bead UID → last state of a polecat that is gone, until its bead's books are closed."""
        self.first_seen: dict[str, float] = {}
        """Polecat UID → `time.monotonic()` when it was first seen."""
        self.pods: dict[tuple[str, str, str], PodSeen] = {}
        """(namespace, town, pod)."""
        self.pods_gone: dict[tuple[str, str, str], float] = {}
        """Place → when its entry disappeared from the town, or the town itself, on the monotonic clock."""

    def _bead(self, old: BeadView | None, new: BeadView | None) -> None:
        for view, sign in ((old, -1), (new, +1)):
            if view is None:
                continue
            rig = (view.namespace, view.rig)
            self.phases[rig][view.phase] += sign
            prefix = (*rig, bead_hex(view.uid)[:PREFIX_MIN_LENGTH])
            _index(self.by_prefix, prefix, view.uid, sign)
            if view.polecat is not None:
                _index(self.intents, (view.namespace, object_name(view.rig, view.polecat)), view.name, sign)
            if view.phase is not Phase.TERMINAL:
                _index(self.beads_by_rig, rig, view.name, sign)
                for name in view.depends_on:
                    _index(self.dependents, (view.namespace, name), view.name, sign)
        if new is None and old is not None:
            self.ended.pop(old.uid, None)
        self._callbacks[0](old, new)

    def _polecat(self, old: HeldPolecat | None, new: HeldPolecat | None) -> None:
        held, sign = (new, +1) if new is not None else (old, -1)
        if held is not None and (old is None or new is None):
            spec = held.polecat.spec
            namespace = held.key[0]
            _index(self.polecats_by_bead, spec.bead_ref.uid, held.key, sign)
            _index(self.polecats_by_rig, (namespace, spec.rig_ref.name), held.key, sign)
            _index(self.polecats_by_town, (namespace, spec.town_ref.name), held.key, sign)
            if new is None:
                self.first_seen.pop(held.uid, None)
                bead = self.beads.items.get((namespace, spec.bead_ref.name))
                if bead is not None and bead.uid == spec.bead_ref.uid:
                    before = self.ended.get(spec.bead_ref.uid)
                    if before is None or before.spec.attempt < spec.attempt:
                        self.ended[spec.bead_ref.uid] = held.polecat
            else:
                self.first_seen[held.uid] = self._clock.mono()
        for each, sign in ((old, -1), (new, +1)):
            if each is not None:
                place = (each.key[0], each.polecat.spec.town_ref.name, each.polecat.spec.pod)
                _index(self.polecats_by_pod, place, each.key, sign)
                if not is_true(each.polecat.status.conditions, Type.READY):
                    _index(self.starting_by_pod, place, each.key, sign)
        self._callbacks[1](old, new)

    def _rig(self, old: HeldRig | None, new: HeldRig | None) -> None:
        for held, sign in ((old, -1), (new, +1)):
            if held is not None:
                _index(self.rigs_by_town, (held.key[0], held.rig.spec.town_ref.name), held.key, sign)
        self._callbacks[2](old, new)

    def _town(self, old: HeldTown | None, new: HeldTown | None) -> None:
        namespace, name = (new or old).key  # type: ignore[union-attr]
        reported = {pod.name: pod for pod in new.town.status.pods} if new is not None else {}
        now = self._clock.mono()
        for place in [place for place in self.pods if place[:2] == (namespace, name) and place[2] not in reported]:
            del self.pods[place]
            self.pods_gone[place] = now
        for pod in reported.values():
            place = (namespace, name, pod.name)
            stamp = pod.seen_time.timestamp()
            before = self.pods.get(place)
            self.pods_gone.pop(place, None)
            if before is None:
                # An entry met for the first time may be long dead: its own age counts, as clocks are close enough.
                observed = now - max(0.0, self._clock.now().timestamp() - stamp)
                self.pods[place] = PodSeen(pod.uid, stamp, observed, now)
            elif before.uid != pod.uid:
                self.pods[place] = PodSeen(pod.uid, stamp, now, now)
            elif before.seen_time != stamp:
                before.seen_time, before.observed = stamp, now
        self._callbacks[3](old, new)

    def owned(self, bead_uid: str) -> list[Polecat]:
        """The Polecats that exist for a bead, by attempt."""
        found = [self.polecats.items[key].polecat for key in self.polecats_by_bead.get(bead_uid, ())]
        return sorted(found, key=lambda polecat: polecat.spec.attempt)

    def namesakes(self, bead: BeadView) -> set[str]:
        """UIDs of the rig's beads whose UIDs begin with the same six digits, its own among them."""
        return self.by_prefix.get((bead.namespace, bead.rig, bead_hex(bead.uid)[:PREFIX_MIN_LENGTH]), set())

    def forget_pods(self, gone_before: float) -> None:
        """Drops what is remembered of pods that disappeared before this time of the monotonic clock."""
        self.pods_gone = {place: gone for place, gone in self.pods_gone.items() if gone >= gone_before}


KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


def _index(index: defaultdict[KeyT, set[ValueT]], key: KeyT, value: ValueT, sign: int) -> None:
    if sign > 0:
        index[key].add(value)
    elif key in index:
        index[key].discard(value)
        if not index[key]:
            del index[key]
