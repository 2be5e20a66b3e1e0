"""The conditions of a bead, from one reason: what kubectl wait, kstatus and people read."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

from polecat_api.bead import BeadStatus
from polecat_api.conditions import REASONS, ConditionStatus, Reason, Type, decide_condition
from polecat_operator.actions import Ending, Note, WriteBead
from polecat_operator.views import BeadView

MESSAGE_MAX_LENGTH = 4096


class Standing(Enum):
    """Status of (Succeeded, Ready, Reconciling, Stalled)."""

    OPEN = ("Unknown", "False", "True", "False")
    STUCK = ("Unknown", "False", "False", "True")
    """Open, and nothing happens until somebody changes something."""
    SUSPENDED = ("Unknown", "True", "False", "False")
    """What the user asked for, so it is Ready."""
    SUCCEEDED = ("True", "True", "False", "False")
    FAILED = ("False", "False", "False", "True")


_TYPES = (Type.SUCCEEDED, Type.READY, Type.RECONCILING, Type.STALLED)


def report(
    bead: BeadView,
    status: BeadStatus,
    standing: Standing,
    reason: Reason,
    message: str,
    now: datetime,
    **changes: Any,
) -> BeadStatus:
    """`status` with `changes`, and with conditions, state and observedGeneration to match the reason."""
    text = message[:MESSAGE_MAX_LENGTH]
    conditions = [
        decide_condition(status.conditions, type_, as_status(value), reason, text, now=now, generation=bead.generation)
        for type_, value in zip(_TYPES, standing.value, strict=True)
    ]
    return status.model_copy(
        update={
            "queue_position": None,
            **changes,
            "state": REASONS[reason].state,
            "observed_generation": bead.generation,
            "conditions": conditions,
        }
    )


def as_status(value: str) -> ConditionStatus:
    """The literal type for one of its three values."""
    return "True" if value == "True" else "False" if value == "False" else "Unknown"


def write(
    bead: BeadView, status: BeadStatus, note: Note | None = None, ending: Ending | None = None
) -> WriteBead | None:
    """The action that stores the status; None when it is stored as it is already."""
    if not bead.damaged and status.model_dump_json(by_alias=True, exclude_none=True).encode() == bead.status_json:
        return None
    return WriteBead(bead.namespace, bead.name, bead.uid, bead.resource_version, status, note, ending)
