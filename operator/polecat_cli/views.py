"""What the command line shows of beads and polecats, read from their JSON without trusting it.

An object whose status makes no sense (edited by hand, written by a newer version) gives empty fields, never an
error: watching must go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from polecat_api.times import parse_time
from polecat_api.untrusted import Json, condition, number, section, state_of, text


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
    meta, spec, status = section(item, "metadata"), section(item, "spec"), section(item, "status")
    succeeded = condition(status, "Succeeded")
    reason = text(succeeded, "reason")
    return BeadView(
        name=text(meta, "name"),
        uid=text(meta, "uid"),
        title=text(spec, "title"),
        state=text(status, "state") or state_of(reason) or "Pending",
        succeeded={"True": True, "False": False}.get(text(succeeded, "status")),
        reason=reason,
        message=text(succeeded, "message"),
        polecat=text(status, "polecat"),
        branch=text(status, "branch"),
        head_commit=text(status, "headCommit"),
        queue_position=number(status, "queuePosition") or None,
        attempts=number(status, "attempts"),
        interruptions=number(status, "interruptions"),
        created=_time(meta, "creationTimestamp"),
        completed=_time(status, "completionTime"),
        tokens=_tokens(status),
        summary=text(section(status, "result"), "summary"),
    )


def read_polecat(item: Json) -> PolecatView:
    """The view of a Polecat's JSON."""
    meta, spec, status = section(item, "metadata"), section(item, "spec"), section(item, "status")
    return PolecatView(
        name=text(spec, "name"),
        uid=text(meta, "uid"),
        bead_uid=text(section(spec, "beadRef"), "uid"),
        attempt=number(spec, "attempt"),
        branch=text(spec, "branch"),
        activity=text(status, "activity"),
        state=_polecat_state(meta, status),
        claimed=_time(section(status, "claim"), "time"),
        tokens=_tokens(status),
    )


def _polecat_state(meta: Json, status: Json) -> str:
    if meta.get("deletionTimestamp"):
        return "leaving"
    if text(condition(status, "Finished"), "status") == "True":
        return "finished"
    if text(condition(status, "Ready"), "status") == "True":
        return "running"
    return "claimed" if status.get("claim") else "created"


def _tokens(status: Json) -> int:
    usage = section(status, "usage")
    return number(usage, "inputTokens") + number(usage, "outputTokens")


def _time(parent: Json, key: str) -> datetime | None:
    try:
        return parse_time(text(parent, key))
    except ValueError:
        return None
