"""What the operator remembers of each object: small, parsed once at the edge, trusted inside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from sys import intern
from typing import Any, TypeVar

from pydantic import ValidationError

from polecat_api.base import Condition, ObjectMeta, Resource
from polecat_api.bead import Bead, BeadLimits, BeadStatus, Priority
from polecat_api.conditions import Type, find_condition
from polecat_api.polecat import Polecat

Json = dict[str, Any]
ResourceT = TypeVar("ResourceT", bound=Resource)


class Phase(StrEnum):
    """Where a bead stands in the books; every bead is in exactly one."""

    WAITING = "waiting"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    TERMINAL = "terminal"


class UnreadableError(Exception):
    """An object that this version can't read; the message names the field."""


@lru_cache(maxsize=1024)
def _limits(attempts: int, run_seconds: int, quiet_seconds: int) -> BeadLimits:
    return BeadLimits(attempts=attempts, run_seconds=run_seconds, quiet_seconds=quiet_seconds)


@dataclass(frozen=True, slots=True)
class BeadView:
    """A bead without its prompt. The status is kept as JSON, as most beads that exist are finished."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    created: datetime
    deleting: bool
    rig: str
    title: str
    priority: Priority
    depends_on: tuple[str, ...]
    suspend: bool
    base_branch: str | None
    model: str | None
    limits: BeadLimits
    rerun: str
    unreadable: str
    """Which field of the spec can't be read, and why; empty when all can."""
    damaged: bool
    """Whether fields of the stored status were unreadable and are left out of `status`."""
    phase: Phase
    polecat: str | None
    """The name that the status gives it."""
    reason: str
    """Reason of the condition Ready; empty for a bead not seen before."""
    queue_position: int | None
    observed_generation: int
    """The generation of the spec that its status is about; 0 before the first."""
    serial: int
    """Number of the attempt that is under way or comes next."""
    waiting_since: datetime
    """Start of the present run's wait: its creation, or the rerun."""
    status_json: bytes

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.namespace, self.name

    @property
    def status(self) -> BeadStatus:
        """The status, parsed anew at each call."""
        return BeadStatus.model_validate_json(self.status_json)

    @property
    def succeeded(self) -> bool | None:
        """True or False once it has ended, None while it is open."""
        if self.phase is not Phase.TERMINAL:
            return None
        return self.reason in {"Done", "NoChanges"}


def _phase(status: BeadStatus) -> Phase:
    succeeded = find_condition(status.conditions, Type.SUCCEEDED)
    if succeeded is not None and succeeded.status != "Unknown":
        return Phase.TERMINAL
    if status.polecat:
        return Phase.ACTIVE
    ready = find_condition(status.conditions, Type.READY)
    return Phase.SUSPENDED if ready is not None and ready.reason == "Suspended" else Phase.WAITING


def _readable_status(raw: Json) -> tuple[BeadStatus, bool]:
    """The status without the fields that can't be read, and whether there were any."""
    fields = dict(raw)
    damaged = False
    while True:
        try:
            return BeadStatus.model_validate(fields), damaged
        except ValidationError as error:
            damaged = True
            broken = {str(part["loc"][0]) for part in error.errors() if part["loc"]}
            if not broken & fields.keys():
                return BeadStatus(conditions=[]), True
            fields = {name: value for name, value in fields.items() if name not in broken}


def _unreadable(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}"


def view_bead(raw: Json) -> BeadView:
    """The view of a Bead as the API server gives it. Never raises for what a spec or status holds."""
    meta = ObjectMeta.model_validate(raw["metadata"])
    status, damaged = _readable_status(raw.get("status") or {})
    unreadable = ""
    try:
        spec = Bead.model_validate({"metadata": raw["metadata"], "spec": raw.get("spec")}).spec
    except ValidationError as error:
        unreadable = _unreadable(error)
        stand_in = {"rigRef": {"name": "unreadable"}, "title": "unreadable", "prompt": "unreadable"}
        spec = Bead.model_validate({"metadata": raw["metadata"], "spec": stand_in}).spec
    ready = find_condition(status.conditions, Type.READY)
    created = meta.creation_timestamp or datetime.fromtimestamp(0, UTC)
    succeeded = find_condition(status.conditions, Type.SUCCEEDED)
    rerun = succeeded is not None and succeeded.status == "Unknown" and status.prior_attempts > 0
    return BeadView(
        namespace=intern(meta.namespace),
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
        generation=meta.generation,
        created=created,
        deleting=meta.deletion_timestamp is not None,
        rig=intern(spec.rig_ref.name),
        title=spec.title,
        priority=spec.priority,
        depends_on=tuple(spec.depends_on),
        suspend=spec.suspend,
        base_branch=spec.base_branch,
        model=spec.model,
        limits=_limits(spec.limits.attempts, spec.limits.run_seconds, spec.limits.quiet_seconds),
        rerun=intern(spec.rerun),
        unreadable=unreadable,
        damaged=damaged,
        phase=_phase(status),
        polecat=status.polecat,
        reason=intern(ready.reason) if ready else "",
        queue_position=status.queue_position,
        observed_generation=status.observed_generation or 0,
        serial=status.attempts + status.interruptions + 1,
        waiting_since=succeeded.last_transition_time if succeeded and rerun else created,
        status_json=status.model_dump_json(by_alias=True, exclude_none=True).encode(),
    )


def parse(kind: type[ResourceT], raw: Json) -> ResourceT:
    """A Polecat, Rig or Town. What is broken in its status is left out; a broken spec is an UnreadableError.

    Of a list only the broken entries are left out: the report of one pod must not hide those of the others.
    """
    fields = {name: raw[name] for name in ("metadata", "spec", "status") if raw.get(name) is not None}
    while True:
        try:
            return kind.model_validate(fields)
        except ValidationError as error:
            places = [part["loc"] for part in error.errors()]
            status = fields.get("status")
            if not isinstance(status, dict) or any(place[:1] != ("status",) for place in places):
                raise UnreadableError(_unreadable(error)) from error
            fields["status"] = _without(status, {place[1:3] for place in places})
            if fields["status"] == status:
                raise UnreadableError(_unreadable(error)) from error


def _without(status: Json, broken: set[tuple[int | str, ...]]) -> Json:
    """The status without the broken fields: `("pods", 1)` is an entry of a list, `("claim", "time")` all of `claim`."""
    kept = {}
    for name, value in status.items():
        inside = {place[1] if len(place) > 1 else None for place in broken if place[:1] == (name,)}
        if not inside:
            kept[name] = value
        elif isinstance(value, list) and None not in inside:
            kept[name] = [each for index, each in enumerate(value) if index not in inside]
    return kept


def finished(polecat: Polecat) -> Condition | None:
    """The condition Finished, when it is True."""
    condition = find_condition(polecat.status.conditions, Type.FINISHED)
    return condition if condition is not None and condition.status == "True" else None


def is_deleting(polecat: Polecat) -> bool:
    """Whether its deletion has been asked for."""
    return polecat.metadata.deletion_timestamp is not None
