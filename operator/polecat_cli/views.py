"""What the command line shows of beads and polecats, read from their JSON without trusting it.

An object whose status makes no sense (edited by hand, written by a newer version) gives empty fields, never an
error: watching must go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from polecat_api.conditions import REASONS, Reason
from polecat_api.times import parse_time

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BeadView:
    """One bead."""

    name: str
    uid: str
    title: str
    state: str
    """The word for people; `Pending` as long as the operator has not seen the bead."""
    succeeded: bool | None
    """How it ended; None while it is open."""
    reason: str
    message: str
    """Why it waits or how it ended."""
    polecat: str
    """Name of its polecat, e.g. `toast`; empty while it has none."""
    branch: str
    head_commit: str
    queue_position: int | None
    attempts: int
    interruptions: int
    created: datetime | None
    completed: datetime | None
    tokens: int
    """Input and output of all attempts that have ended."""
    summary: str


@dataclass(frozen=True, slots=True)
class PolecatView:
    """One polecat."""

    name: str
    uid: str
    bead_uid: str
    attempt: int
    branch: str
    activity: str
    state: str
    """`created`, `claimed`, `running`, `finished` or `leaving`."""
    claimed: datetime | None
    tokens: int


def read_bead(item: Json) -> BeadView:
    """The view of a Bead's JSON."""
    meta, spec, status = _dict(item, "metadata"), _dict(item, "spec"), _dict(item, "status")
    succeeded = _condition(status, "Succeeded")
    reason = _text(succeeded, "reason")
    known = REASONS[Reason(reason)].state if reason in set(Reason) else ""
    return BeadView(
        name=_text(meta, "name"),
        uid=_text(meta, "uid"),
        title=_text(spec, "title"),
        state=_text(status, "state") or known or "Pending",
        succeeded={"True": True, "False": False}.get(_text(succeeded, "status")),
        reason=reason,
        message=_text(succeeded, "message"),
        polecat=_text(status, "polecat"),
        branch=_text(status, "branch"),
        head_commit=_text(status, "headCommit"),
        queue_position=_number(status, "queuePosition") or None,
        attempts=_number(status, "attempts"),
        interruptions=_number(status, "interruptions"),
        created=_time(meta, "creationTimestamp"),
        completed=_time(status, "completionTime"),
        tokens=_tokens(status),
        summary=_text(_dict(status, "result"), "summary"),
    )


def read_polecat(item: Json) -> PolecatView:
    """The view of a Polecat's JSON."""
    meta, spec, status = _dict(item, "metadata"), _dict(item, "spec"), _dict(item, "status")
    return PolecatView(
        name=_text(spec, "name"),
        uid=_text(meta, "uid"),
        bead_uid=_text(_dict(spec, "beadRef"), "uid"),
        attempt=_number(spec, "attempt"),
        branch=_text(spec, "branch"),
        activity=_text(status, "activity"),
        state=_polecat_state(meta, status),
        claimed=_time(_dict(status, "claim"), "time"),
        tokens=_tokens(status),
    )


def _polecat_state(meta: Json, status: Json) -> str:
    if meta.get("deletionTimestamp"):
        return "leaving"
    if _text(_condition(status, "Finished"), "status") == "True":
        return "finished"
    if _text(_condition(status, "Ready"), "status") == "True":
        return "running"
    return "claimed" if status.get("claim") else "created"


def _tokens(status: Json) -> int:
    usage = _dict(status, "usage")
    return _number(usage, "inputTokens") + _number(usage, "outputTokens")


def _condition(status: Json, type_: str) -> Json:
    conditions = status.get("conditions")
    entries: Iterable[Any] = conditions if isinstance(conditions, list) else ()
    return next((entry for entry in entries if isinstance(entry, dict) and entry.get("type") == type_), {})


def _dict(parent: Json, key: str) -> Json:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _text(parent: Json, key: str) -> str:
    value = parent.get(key)
    return value if isinstance(value, str) else ""


def _number(parent: Json, key: str) -> int:
    value = parent.get(key)
    return value if isinstance(value, int) else 0


def _time(parent: Json, key: str) -> datetime | None:
    try:
        return parse_time(_text(parent, key))
    except ValueError:
        return None
