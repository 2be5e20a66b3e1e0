"""What the planner can ask for. Each action names one life of one object, and says what must still hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from polecat_api.bead import BeadStatus
from polecat_api.conditions import Outcome, Reason
from polecat_api.polecat import PolecatSpec


@dataclass(frozen=True, slots=True)
class Note:
    """An Event to post about a bead."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a polecat, as it is entered in the books of its bead."""

    outcome: Outcome
    reason: Reason


@dataclass(frozen=True, slots=True)
class WriteBead:
    """Replace the status of a bead, if it is still at this resource version."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    status: BeadStatus
    note: Note | None = None
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class CreatePolecat:
    """Declare a polecat; its object name is the lock on its name."""

    namespace: str
    bead: str
    bead_uid: str
    spec: PolecatSpec


@dataclass(frozen=True, slots=True)
class DeletePolecat:
    """Ask for the end of one life of a polecat."""

    namespace: str
    name: str
    uid: str
    why: str


@dataclass(frozen=True, slots=True)
class ReleasePolecat:
    """Take the finalizer off a polecat that no pod will ever settle, if it is still at this resource version."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    finalizers: tuple[str, ...] = field(default=())
    """All finalizers that it has now."""
    why: str = ""


Action = WriteBead | CreatePolecat | DeletePolecat | ReleasePolecat
