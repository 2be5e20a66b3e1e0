"""Makes the snapshots that the planner decides from, out of cache and board."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from polecat_api.conditions import Reason
from polecat_api.polecat import Polecat
from polecat_operator.board import Board, IntendedNames, TakenNames, used_in_rig
from polecat_operator.cache import Cache, HeldTown, ObjectKey
from polecat_operator.planner.breaker import Breaker, allowance
from polecat_operator.planner.dependencies import find_cycle
from polecat_operator.planner.fencing import given_up
from polecat_operator.planner.placement import is_surplus, pod_room
from polecat_operator.planner.rigs import RigStanding, closed_gate
from polecat_operator.planner.towns import TownStanding
from polecat_operator.planner.workload import WorkloadStanding, memory_trouble
from polecat_operator.settings import Settings
from polecat_operator.views import BeadView, Phase
from polecat_operator.world import (
    BeadWorld,
    Dependency,
    DependencyState,
    PodWorld,
    PolecatWorld,
    RigWorld,
    TownWorld,
)


class Snapshots:
    """Reads cache and board; changes neither. `mono` is `time.monotonic()` at the moment of the snapshot."""

    def __init__(self, cache: Cache, board: Board, settings: Settings, began: float) -> None:
        self._cache = cache
        self._board = board
        self._settings = settings
        self._began = began
        self._managed = settings.town_workloads == "managed"

    @property
    def fence_seconds(self) -> float:
        """A pod silent for so long has stopped its agents by itself."""
        return self._settings.fencing_seconds + self._settings.fence_margin_seconds

    def polecat(self, polecat: Polecat, mono: float) -> PolecatWorld:
        """A Polecat and its pod."""
        namespace, town = polecat.metadata.namespace, polecat.spec.town_ref.name
        place = (namespace, town, polecat.spec.pod)
        seen = self._cache.pods.get(place)
        return PolecatWorld(
            polecat=polecat,
            age_seconds=mono - self._cache.first_seen.get(polecat.metadata.uid, mono),
            pod_silent_seconds=mono - seen.observed if seen else None,
            pod_uid=seen.uid if seen else None,
            pod_uid_seconds=mono - seen.uid_observed if seen else 0.0,
            town_unseen_seconds=mono - self._cache.pods_gone.get(place, self._began),
            pod_ending=not self._cache.workloads.takes_work((namespace, town), polecat.spec.pod),
            pod_gone_for_good=self._gone_for_good(polecat),
        )

    def _gone_for_good(self, polecat: Polecat) -> bool:
        claim = polecat.status.claim
        if claim is None or not self._cache.workloads.is_gone(claim.pod_uid):
            return False
        town = polecat.spec.town_ref.name
        held = self._cache.towns.items.get((polecat.metadata.namespace, town))
        return held is None or is_surplus(town, polecat.spec.pod, held.town.spec.replicas)

    def given_up(self, polecat: Polecat, mono: float) -> tuple[Reason, str] | None:
        """Why a polecat can't come to an end by itself any more; None while it can."""
        return given_up(
            self.polecat(polecat, mono),
            fence_seconds=self.fence_seconds,
            handover_seconds=self._settings.fence_margin_seconds,
            claim_seconds=self._settings.claim_seconds,
        )

    def bead(self, bead: BeadView, mono: float) -> BeadWorld:
        """A bead with all that its next step depends on."""
        cache = self._cache
        rig = cache.rigs.items.get((bead.namespace, bead.rig))
        town_key = (bead.namespace, rig.rig.spec.town_ref.name) if rig else None
        town = cache.towns.items.get(town_key) if town_key else None
        verdict = self._board.verdicts.get(bead.key)
        booked = self._board.booked.get(bead.key)
        dependencies = tuple(Dependency(name, self._state(bead, name)) for name in bead.depends_on)
        waits = any(dependency.state == "open" for dependency in dependencies)
        return BeadWorld(
            bead=bead,
            polecats=tuple(self.polecat(polecat, mono) for polecat in cache.owned(bead.uid)),
            ended=cache.ended.get(bead.uid),
            dependencies=dependencies,
            cycle=find_cycle(bead.name, lambda name: self._open_dependencies(bead.namespace, name)) if waits else (),
            rig=rig.rig if rig else None,
            town=town.town if town else None,
            gate=verdict[0] if verdict else None,
            position=verdict[1] if verdict else None,
            assignment=booked.assignment if booked else None,
            namesakes=frozenset(cache.namesakes(bead)),
            fence_seconds=self.fence_seconds,
            handover_seconds=self._settings.fence_margin_seconds,
            claim_seconds=self._settings.claim_seconds,
        )

    def _state(self, bead: BeadView, name: str) -> DependencyState:
        other = self._cache.beads.items.get((bead.namespace, name))
        if other is None:
            return "missing"
        if other.succeeded is None:
            return "open"
        return "succeeded" if other.succeeded else "failed"

    def _open_dependencies(self, namespace: str, name: str) -> Sequence[str]:
        bead = self._cache.beads.items.get((namespace, name))
        return bead.depends_on if bead is not None and bead.phase is not Phase.TERMINAL else ()

    def pods(self, town: ObjectKey, mono: float) -> tuple[PodWorld, ...]:
        """The pods of a town that take work."""
        held = self._cache.towns.items.get(town)
        if held is None or (self._managed and memory_trouble(held.town.spec) is not None):
            return ()
        booked = Counter(each.assignment.pod for each in self._board.booked_in(*town))
        rooms = []
        for pod in held.town.status.pods:
            if not self._cache.workloads.takes_work(town, pod.name, pod.uid):
                continue
            place = (*town, pod.name)
            silent = mono - self._cache.pods[place].observed
            used = len(self._cache.polecats_by_pod.get(place, ())) + booked[pod.name]
            starting = len(self._cache.starting_by_pod.get(place, ())) + booked[pod.name]
            room = pod_room(town[1], pod, held.town.spec, used, starting, silent)
            if room is not None:
                rooms.append(room)
        return tuple(rooms)

    def rig_standing(self, rig: ObjectKey, mono: float, pods: tuple[PodWorld, ...] | None = None) -> RigStanding:
        """A rig with what surrounds it."""
        held = self._cache.rigs.items.get(rig)
        town_name = held.rig.spec.town_ref.name if held else ""
        town_key = (rig[0], town_name)
        town = self._cache.towns.items.get(town_key)
        return RigStanding(
            name=rig[1],
            rig=held.rig if held else None,
            town=town.town if town else None,
            town_name=town_name,
            pods=pods if pods is not None else self.pods(town_key, mono),
            breaker=self._board.rig_breakers.get(rig, Breaker()),
            town_breaker=self._board.town_breakers.get(town_key, Breaker()),
        )

    def town_standing(self, town: ObjectKey, mono: float) -> TownStanding | None:
        """A town and how fresh its pods are; None when it is gone."""
        held = self._cache.towns.items.get(town)
        if held is None:
            return None
        silent = {pod.name: mono - self._cache.pods[(*town, pod.name)].observed for pod in held.town.status.pods}
        breaker = self._board.town_breakers.get(town, Breaker())
        return TownStanding(held.town, silent, breaker, self._workload(held))

    def _workload(self, held: HeldTown) -> WorkloadStanding | None:
        """None where somebody else makes the pods, or it is not known yet how they are."""
        if not self._managed:
            return None
        town, part = held.town, self._cache.workloads.of(held.key)
        if part.refused is None and not self._cache.workloads.watched():
            return None
        return WorkloadStanding(town.metadata.name, town.spec, town.metadata.generation, part)

    def town(self, town: ObjectKey, now: datetime, mono: float) -> TownWorld:
        """A town with those of its rigs that have beads to start and may start them."""
        namespace = town[0]
        pods = self.pods(town, mono)
        booked_by_rig = Counter(each.rig for each in self._board.booked_in(*town))
        rigs = []
        for rig in sorted(self._cache.rigs_by_town.get(town, ())):
            queue = self._board.queues.get(rig)
            if not queue:
                continue
            standing = self.rig_standing(rig, mono, pods)
            if standing.rig is None or closed_gate(standing, now) is not None:
                continue
            pool = standing.rig.spec.polecats
            since = self._made_since(self._cache.polecats_by_rig.get(rig, set()), standing.breaker)
            rigs.append(
                RigWorld(
                    name=rig[1],
                    max=pool.max,
                    used=used_in_rig(self._cache, self._board, rig),
                    pool=tuple(pool.names),
                    waiting=queue.entries,
                    allowance=allowance(standing.breaker, since + booked_by_rig[rig[1]], now),
                )
            )
        breaker = self._board.town_breakers.get(town, Breaker())
        since = self._made_since(self._cache.polecats_by_town.get(town, set()), breaker)
        return TownWorld(
            pods=pods,
            rigs=tuple(rigs),
            taken=TakenNames(self._cache, self._board, namespace),
            taken_intents=IntendedNames(self._cache, namespace),
            allowance=allowance(breaker, since + booked_by_rig.total(), now),
        )

    def _made_since(self, polecats: set[ObjectKey], breaker: Breaker) -> int:
        """Polecats made since the breaker became half open."""
        if breaker.open_until is None:
            return 0
        made = (self._cache.polecats.items[key].polecat.metadata.creation_timestamp for key in polecats)
        return sum(1 for when in made if when is not None and when >= breaker.open_until.replace(microsecond=0))
