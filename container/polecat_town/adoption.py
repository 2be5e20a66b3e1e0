"""What a supervisor makes of polecats whose beginning it has not seen itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from polecat_api.conditions import Reason, Type, find_condition
from polecat_api.polecat import Polecat
from polecat_town.life.state import End, Identity, LifeState

Json = dict[str, Any]


def first_state(polecat: Polecat) -> LifeState:
    """The state of a polecat that has been claimed, and of which nothing else is known."""
    claimed = polecat.status.claim
    state = LifeState(identity=Identity.of(polecat), claim_time=claimed.time if claimed else datetime.now(UTC))
    finished = find_condition(polecat.status.conditions, Type.FINISHED)
    if finished is None or finished.status != "True":
        return state
    try:
        reason = Reason(finished.reason)
    except ValueError:
        reason = Reason.INTERRUPTED
    # It has ended, and only its memory was lost with the volume: it must not begin again.
    return state.but(end=End(reason=reason, message=finished.message), settled=True, reported=True)


def without_status(item: Json) -> Polecat:
    """A Polecat whose status somebody has made unreadable; the next report replaces it."""
    claimed = (item.get("status") or {}).get("claim")
    return Polecat.model_validate({**item, "status": {"claim": claimed} if claimed else {}})


def stand_in(state: LifeState) -> Polecat:
    """What the Polecat of a state has been like, as far as saving its work needs it."""
    identity = state.identity
    return Polecat.model_validate(
        {
            "metadata": {"name": identity.object_name, "namespace": identity.namespace, "uid": identity.uid},
            "spec": {
                "name": identity.name,
                "rigRef": {"name": identity.rig},
                "townRef": {"name": "gone"},
                "beadRef": {"name": identity.bead, "uid": identity.bead_uid},
                "attempt": identity.attempt,
                "pod": "gone",
                "branch": identity.branch,
                "baseBranch": identity.base_branch,
                "title": identity.bead,
                "model": "gone",
                "limits": {},
                "tokenSecretRef": {"name": "gone"},
            },
        }
    )
