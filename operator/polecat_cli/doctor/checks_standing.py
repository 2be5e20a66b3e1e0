"""What towns and rigs say of themselves."""

from __future__ import annotations

from collections.abc import Iterator

from polecat_api.conditions import Type
from polecat_api.protocol import HEARTBEAT_SECONDS
from polecat_api.untrusted import Json
from polecat_cli.doctor.facts import Facts, Finding, at, condition_of, name_of, seconds_text, time_at

SILENT_SECONDS = 3.0 * HEARTBEAT_SECONDS
"""A report that is older than three intervals has been missed, not delayed."""


def check_towns(facts: Facts) -> Iterator[Finding]:
    """Towns that are not Ready, Isolated, or that are Stalled; pods that have gone silent."""
    for town in facts.towns:
        subject = f"town {name_of(town)}"
        yield from _unready(subject, town, "see the town's log (`kubectl describe town`)")
        isolated = condition_of(town, Type.ISOLATED)
        if isolated is not None and isolated.get("status") == "False":
            yield Finding(
                subject,
                f"agents are not fully isolated from each other: {_words(isolated)}",
                "run town pods on nodes with Linux 6.12 or newer and Landlock enabled (`cat /sys/kernel/security/lsm`)",
            )
        yield from _stalled(subject, town)
        yield from _silent(facts, subject, town)


def check_rigs(facts: Facts) -> Iterator[Finding]:
    """Rigs that can't start a polecat."""
    for rig in facts.rigs:
        subject = f"rig {name_of(rig)}"
        yield from _unready(subject, rig, "mend its repository, credentials or townRef; it is tried again")
        yield from _stalled(subject, rig)


def _unready(subject: str, item: Json, advice: str) -> Iterator[Finding]:
    ready = condition_of(item, Type.READY)
    if ready is None:
        yield Finding(subject, "no operator has looked at it yet", "see whether the operator runs")
    elif ready.get("status") != "True":
        yield Finding(subject, f"is not ready: {_words(ready)}", advice)


def _stalled(subject: str, item: Json) -> Iterator[Finding]:
    stalled = condition_of(item, Type.STALLED)
    if stalled is not None and stalled.get("status") == "True":
        yield Finding(subject, f"nothing starts: {_words(stalled)}", "mend the cause; it goes on by itself")


def _silent(facts: Facts, subject: str, town: Json) -> Iterator[Finding]:
    for pod in at(town, "status", "pods") or ():
        seen = time_at(pod, "seenTime")
        age = (facts.clocks.now - seen).total_seconds() if seen is not None else None
        if age is not None and age > SILENT_SECONDS:
            yield Finding(
                subject,
                f"pod {at(pod, 'name')} has not reported for {seconds_text(age)}",
                "see whether it runs and reaches the API server, and that its clock is right",
            )


def _words(condition: Json) -> str:
    return f"{condition.get('reason')}: {condition.get('message') or 'no message'}"
