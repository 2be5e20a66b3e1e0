"""Where a polecat runs, and the licence that is written for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from polecat_api.base import LabelRef, NameRef, UidRef
from polecat_api.branches import bead_hex, build_branch
from polecat_api.names import object_name
from polecat_api.polecat import PolecatSpec
from polecat_api.protocol import token_secret_name
from polecat_api.quantities import to_bytes
from polecat_api.rig import Rig
from polecat_api.town import TownPod, TownSpec
from polecat_operator.views import BeadView
from polecat_operator.workloads.observed import ordinal
from polecat_operator.world import Assignment, PodWorld

START_RESERVE_BYTES = 1 << 30
"""Memory set aside for each agent that has been placed and is not at work yet: what a Kilo CLI comes to after its
first turns. Less where the town's `agentMemory` is less."""
FRESH_SECONDS = 90.0
"""A pod whose entry has not changed for so long (three reports) gets no new work."""


def is_surplus(town: str, pod: str, replicas: int) -> bool:
    """Whether a pod is to go: its number is not below the number of replicas. Pods without a number stay."""
    number = ordinal(town, pod)
    return number is not None and number >= replicas


def pod_room(
    town_name: str, pod: TownPod, town: TownSpec, used: int, starting: int, silent_seconds: float
) -> PodWorld | None:
    """What a pod of a town can take; None if it takes no work now.

    `used` polecats are placed in it, `starting` of them are not at work yet.
    """
    if not pod.ready or silent_seconds > FRESH_SECONDS or is_surplus(town_name, pod.name, town.replicas):
        return None
    free = town.slots - used
    if pod.memory_limit_bytes:
        reserve = min(START_RESERVE_BYTES, to_bytes(town.agent_memory))
        left = pod.memory_limit_bytes - pod.memory_bytes - starting * reserve
        free = min(free, left // reserve)
    return PodWorld(pod.name, max(0, free), frozenset(pod.rigs))


def choose_pod(pods: Iterable[PodWorld], rig: str) -> PodWorld | None:
    """The pod that has the rig's repository already, and of those the one with most free slots; first by name."""
    able = [pod for pod in pods if pod.free > 0]
    return min(able, key=lambda pod: (rig not in pod.rigs, -pod.free, pod.name), default=None)


def licence(
    bead: BeadView, rig: Rig, assignment: Assignment, serial: int, saved_commit: str | None, namesakes: Sequence[str]
) -> PolecatSpec:
    """The spec of the Polecat for the attempt `serial`."""
    rig_name = rig.metadata.name
    made = object_name(rig_name, assignment.name)
    branch = build_branch(rig.spec.branch_prefix, assignment.name, bead.uid, namesakes)
    return PolecatSpec(
        name=assignment.name,
        rig_ref=LabelRef(name=rig_name),
        town_ref=rig.spec.town_ref,
        bead_ref=UidRef(name=bead.name, uid=bead.uid),
        attempt=serial,
        pod=assignment.pod,
        branch=str(branch),
        base_branch=bead.base_branch or rig.spec.repository.default_branch,
        start_commit=saved_commit,
        title=bead.title,
        model=bead.model or rig.spec.model.name,
        limits=bead.limits,
        # A name is used again, and its last Secret may not be collected yet: so the bead and attempt are in it.
        token_secret_ref=NameRef(name=f"{token_secret_name(made)}-{bead_hex(bead.uid)[:8]}-{serial}"),
    )
