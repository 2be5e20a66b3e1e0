"""What the oracle reads in Beads and Polecats, as the API server gives them."""

from __future__ import annotations

from typing import Any

from polecat_api import untrusted
from polecat_api.conditions import REASONS, Outcome, Reason

Json = untrusted.Json
AGENT_OUTCOMES = frozenset({Outcome.SUCCESS, Outcome.AGENT, Outcome.FINAL})
_QUEUED = frozenset({"Queued", "Waiting", "BackingOff", "Suspended"})
_AT_WORK = frozenset({"Starting", "Running", "Publishing", "Stopping"})


def condition(item: Json, type_: str, what: str = "status") -> str | None:
    """Status (or another field) of a condition; None while it is not there."""
    return untrusted.condition(untrusted.section(item, "status"), type_).get(what)


def uid_of(item: Json) -> str:
    """The UID of an object."""
    return str(item["metadata"]["uid"])


def version_of(item: Json) -> int | None:
    """Its resource version, which can be compared with others of the same kind; None without one."""
    version = item["metadata"].get("resourceVersion", "")
    return int(version) if version.isdecimal() else None


def is_finished(polecat: Json) -> bool:
    """Whether a Polecat's attempt is over."""
    return condition(polecat, "Finished") == "True"


def is_ended(bead: Json) -> bool:
    """Whether a Bead has ended, well or not."""
    return condition(bead, "Succeeded") in ("True", "False")


def is_by_agent(reason: str) -> bool:
    """Whether this end of an attempt is counted as the agent's."""
    known = Reason(reason) if reason in {each.value for each in Reason} else Reason.AGENT_FAILED
    return REASONS[known].outcome in AGENT_OUTCOMES


def core(bead: Json) -> tuple[Any, ...]:
    """What an ended Bead is: (Succeeded, reason, state, attempts, head commit, completion time)."""
    status = bead.get("status") or {}
    fields = (status.get(name) for name in ("state", "attempts", "headCommit", "completionTime"))
    return (condition(bead, "Succeeded"), condition(bead, "Succeeded", "reason"), *fields)


def astray(bead: Json, *, at_work: bool, has_polecat: bool) -> str | None:
    """Why an open Bead is in no state, or in a wrong one; None when all is well."""
    state = (bead.get("status") or {}).get("state")
    if not condition(bead, "Succeeded", "reason"):
        return "is open without a reason"
    if state in _QUEUED:
        return f"is {state} although a polecat works on it" if at_work else None
    if state in _AT_WORK:
        return None if has_polecat else f"is {state} without a polecat"
    return f"is open in the state {state}"


def described(polecat: Json) -> str:
    """A Polecat in one line."""
    spec, status = polecat["spec"], polecat.get("status") or {}
    return (
        f"Polecat {polecat['metadata']['name']} ({uid_of(polecat)}): attempt {spec['attempt']}, {spec['branch']}, "
        f"claim {(status.get('claim') or {}).get('podUID')}, pid {(status.get('process') or {}).get('pid')}, "
        f"ready {condition(polecat, 'Ready', 'reason')}, finished {condition(polecat, 'Finished', 'reason')}"
        + (", being deleted" if "deletionTimestamp" in polecat["metadata"] else "")
    )
