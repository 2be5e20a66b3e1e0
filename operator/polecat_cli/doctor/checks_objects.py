"""Polecats and beads that don't fit together, or that nobody takes care of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from polecat_api.conditions import Type
from polecat_api.protocol import FENCE_MARGIN_SECONDS, FENCING_SECONDS, HEARTBEAT_SECONDS
from polecat_api.untrusted import Json
from polecat_cli.doctor.facts import Facts, Finding, at, condition_of, name_of, seconds_text, time_at

DELETING_SECONDS = 300.0
"""Stopping an agent, saving and pushing its work takes less."""
UNCLAIMED_SECONDS = 120.0
"""A living pod claims at once."""
SETTLE_SECONDS = 30.0
"""The operator writes bead and polecat one after the other: younger contradictions are no findings."""
STALE_SECONDS = 3.0 * HEARTBEAT_SECONDS
"""The heartbeat is reported about every interval; three missed ones are no accident."""
_HANDOVER = seconds_text(FENCING_SECONDS + FENCE_MARGIN_SECONDS)
_FENCED = f"if the pod is gone, the operator gives its work to another {_HANDOVER} after its last report"


def check_finalizers(facts: Facts) -> Iterator[Finding]:
    """Polecats that are being deleted for long."""
    for polecat in facts.polecats:
        age = _age(facts, time_at(polecat, "metadata", "deletionTimestamp"))
        if age is not None and age > DELETING_SECONDS:
            yield Finding(
                _subject(polecat),
                f"is being deleted for {seconds_text(age)}; pod {_pod(polecat)} has not taken its finalizer off",
                f"see the pod's log for why its work can't be saved; {_FENCED}; don't take the finalizer off by hand",
            )


def check_claims(facts: Facts) -> Iterator[Finding]:
    """Polecats under way whose pod has another life by now, is not there, or no longer reports."""
    for polecat in facts.polecats:
        if _is_over(polecat):
            continue
        if at(polecat, "status", "claim") is None:
            age = _age(facts, time_at(polecat, "metadata", "creationTimestamp"))
            if age is not None and age > UNCLAIMED_SECONDS:
                yield Finding(
                    _subject(polecat),
                    f"pod {_pod(polecat)} has not claimed it for {seconds_text(age)}",
                    f"see the pod's log; {_FENCED}",
                )
            continue
        yield from _claimed(facts, polecat)


def _claimed(facts: Facts, polecat: Json) -> Iterator[Finding]:
    pod, life = at(polecat, "status", "claim", "pod"), at(polecat, "status", "claim", "podUID")
    entry = _entry(facts, polecat, pod)
    if entry is None:
        yield Finding(_subject(polecat), f"is claimed by pod {pod}, which its town does not have", _FENCED)
    elif at(entry, "uid") != life:
        yield Finding(
            _subject(polecat),
            f"is claimed by an earlier life of pod {pod} ({life}, now {at(entry, 'uid')})",
            "the operator should give its work to another at once: see its log",
        )
    age = _age(facts, time_at(polecat, "status", "heartbeatTime"))
    if age is not None and age > STALE_SECONDS:
        yield Finding(
            _subject(polecat),
            f"its agent was last seen alive {seconds_text(age)} ago",
            f"see the log of pod {pod}; {_FENCED}",
        )


def check_beads(facts: Facts) -> Iterator[Finding]:
    """Polecats without a bead, and beads that name a polecat that does not exist."""
    beads = {at(bead, "metadata", "uid") for bead in facts.beads}
    at_work = {
        (at(each, "metadata", "namespace"), at(each, "spec", "beadRef", "uid"), at(each, "spec", "name"))
        for each in facts.polecats
    }
    for polecat in facts.polecats:
        deleting = at(polecat, "metadata", "deletionTimestamp")
        age = _age(facts, time_at(polecat, "metadata", "creationTimestamp"))
        if at(polecat, "spec", "beadRef", "uid") in beads or deleting or (age or 0) <= SETTLE_SECONDS:
            continue
        yield Finding(
            _subject(polecat),
            f"its bead {at(polecat, 'spec', 'beadRef', 'name')} does not exist any more",
            f"the operator should delete it: see its log, or `kubectl delete polecat {polecat['metadata']['name']}` "
            "(its work is saved first)",
        )
    for bead in facts.beads:
        named, since = at(bead, "status", "polecat"), _last_change(bead)
        age = _age(facts, since)
        key = (at(bead, "metadata", "namespace"), at(bead, "metadata", "uid"), named)
        if named and key not in at_work and (age is None or age > SETTLE_SECONDS):
            yield Finding(
                f"bead {name_of(bead)}",
                f"says that {named} works on it, but there is no such polecat",
                "the operator should start another: see whether it runs, and its log",
            )


def _last_change(bead: Json) -> datetime | None:
    conditions = at(bead, "status", "conditions") or ()
    times = [time for each in conditions if (time := time_at(each, "lastTransitionTime")) is not None]
    return max(times, default=None)


def _is_over(polecat: Json) -> bool:
    finished = condition_of(polecat, Type.FINISHED)
    done = finished is not None and finished.get("status") == "True"
    return done or at(polecat, "metadata", "deletionTimestamp") is not None


def _entry(facts: Facts, polecat: Json, pod: str) -> Json | None:
    for town in facts.towns:
        ours = at(town, "metadata", "namespace") == at(polecat, "metadata", "namespace")
        if ours and at(town, "metadata", "name") == at(polecat, "spec", "townRef", "name"):
            return next((each for each in at(town, "status", "pods") or () if at(each, "name") == pod), None)
    return None


def _age(facts: Facts, since: datetime | None) -> float | None:
    return None if since is None else (facts.clocks.now - since).total_seconds()


def _subject(polecat: Json) -> str:
    return f"polecat {name_of(polecat)}"


def _pod(polecat: Json) -> str:
    return str(at(polecat, "status", "claim", "pod") or at(polecat, "spec", "pod"))
