"""What `polecat doctor` says of towns, rigs, beads and polecats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from polecat_api.times import format_time
from polecat_cli.doctor.checks import CHECKS, find
from polecat_cli.doctor.checks_objects import check_beads, check_claims, check_finalizers
from polecat_cli.doctor.checks_standing import check_rigs, check_towns
from polecat_cli.doctor.facts import Clocks, Facts, Finding

Json = dict[str, Any]
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
CLOCKS = Clocks(here=NOW, server=NOW)


def told(findings: Iterable[Finding]) -> list[str]:
    return [str(finding) for finding in findings]


def ago(seconds: float) -> str:
    return format_time(NOW - timedelta(seconds=seconds))


def condition(type_: str, status: str, reason: str = "Ok", message: str = "", age: float = 600) -> Json:
    return {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": ago(age)}


def town(*conditions: Json, seen: float = 5, uid: str = "life-2") -> Json:
    pods = [{"name": "main-0", "uid": uid, "seenTime": ago(seen)}]
    found = conditions or (condition("Ready", "True"), condition("Isolated", "True"))
    return {"metadata": {"namespace": "default", "name": "main"}, "status": {"pods": pods, "conditions": list(found)}}


def rig(*conditions: Json) -> Json:
    return {"metadata": {"namespace": "default", "name": "web"}, "status": {"conditions": list(conditions)}}


def bead(polecat: str | None = "toast", age: float = 600) -> Json:
    status: Json = {"conditions": [condition("Succeeded", "Unknown", age=age)], "polecat": polecat}
    return {"metadata": {"namespace": "default", "name": "fix-login", "uid": "bead-1"}, "status": status}


def polecat(*, age: float = 600, life: str | None = "life-2", heartbeat: float | None = 10, **metadata: Any) -> Json:
    status: Json = {"conditions": [condition("Finished", "False")]}
    if life is not None:
        status["claim"] = {"pod": "main-0", "podUID": life, "time": ago(age)}
    if heartbeat is not None:
        status["heartbeatTime"] = ago(heartbeat)
    return {
        "metadata": {
            "namespace": "default",
            "name": "web-toast",
            "uid": "pole-1",
            "creationTimestamp": ago(age),
            **metadata,
        },
        "spec": {
            "name": "toast",
            "rigRef": {"name": "web"},
            "townRef": {"name": "main"},
            "beadRef": {"name": "fix-login", "uid": "bead-1"},
            "pod": "main-0",
        },
        "status": status,
    }


def test_a_healthy_system_has_no_findings() -> None:
    lease = {"spec": {"holderIdentity": "x", "leaseDurationSeconds": 15, "renewTime": ago(3)}}
    facts = Facts(
        CLOCKS,
        version="v1.36.3",
        operator_lease=lease,
        towns=(town(),),
        rigs=(rig(condition("Ready", "True"), condition("Stalled", "False")),),
        beads=(bead(),),
        polecats=(polecat(),),
    )
    assert find(facts) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (town(condition("Stalled", "False")), "no operator has looked at it yet"),
        (town(condition("Ready", "False", "AgentBinaryBroken", "no kilo")), "is not ready: AgentBinaryBroken: no kilo"),
        (
            town(condition("Ready", "True"), condition("Isolated", "False", "IsolationNone", "no Landlock")),
            "not fully isolated from each other: IsolationNone: no Landlock",
        ),
        (
            town(condition("Ready", "True"), condition("Stalled", "True", "BreakerOpen", "3 beads")),
            "nothing starts: BreakerOpen: 3 beads",
        ),
        (town(seen=91), "pod main-0 has not reported for 91 s"),
    ],
)
def test_towns(found: Json, words: str) -> None:
    (line,) = told(check_towns(Facts(CLOCKS, towns=(found,))))
    assert line.startswith("town default/main: ")
    assert words in line


def test_isolation_that_nobody_measured_yet_is_no_finding_of_its_own() -> None:
    found = town(condition("Ready", "True"), condition("Isolated", "Unknown", "PodMissing"))
    assert told(check_towns(Facts(CLOCKS, towns=(found,)))) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (rig(), "no operator has looked at it yet"),
        (rig(condition("Ready", "False", "PushRefused", "403")), "is not ready: PushRefused: 403"),
        (rig(condition("Ready", "True"), condition("Stalled", "True", "BreakerOpen")), "nothing starts: BreakerOpen"),
    ],
)
def test_rigs(found: Json, words: str) -> None:
    (line,) = told(check_rigs(Facts(CLOCKS, rigs=(found,))))
    assert words in line


@pytest.mark.parametrize(
    ("found", "in_town", "words"),
    [
        (polecat(life="life-1"), town(), "claimed by an earlier life of pod main-0 (life-1, now life-2)"),
        (polecat(heartbeat=91), town(), "its agent was last seen alive 91 s ago"),
        (polecat(life=None, heartbeat=None), town(), "pod main-0 has not claimed it for 10 min"),
        (polecat(), {**town(), "status": {"pods": []}}, "is claimed by pod main-0, which its town does not have"),
    ],
)
def test_stale_claims(found: Json, in_town: Json, words: str) -> None:
    (line,) = told(check_claims(Facts(CLOCKS, towns=(in_town,), polecats=(found,))))
    assert line.startswith("polecat default/web-toast: ")
    assert words in line


def test_what_starts_or_is_over_is_no_stale_claim() -> None:
    young = polecat(age=10, life=None, heartbeat=None)
    finished = polecat(life="life-1", heartbeat=1000)
    finished["status"]["conditions"] = [condition("Finished", "True", "Done")]
    deleting = polecat(life="life-1", heartbeat=1000, deletionTimestamp=ago(5))
    assert told(check_claims(Facts(CLOCKS, towns=(town(),), polecats=(young, finished, deleting)))) == []


def test_a_finalizer_that_nobody_takes_off() -> None:
    stuck, leaving = polecat(deletionTimestamp=ago(900)), polecat(deletionTimestamp=ago(60))
    (line,) = told(check_finalizers(Facts(CLOCKS, polecats=(stuck, leaving))))
    assert "is being deleted for 15 min; pod main-0 has not taken its finalizer off" in line


def test_a_polecat_without_a_bead() -> None:
    other = {**bead(None), "metadata": {"namespace": "default", "name": "fix-login", "uid": "bead-2"}}
    (line,) = told(check_beads(Facts(CLOCKS, beads=(other,), polecats=(polecat(),))))
    assert line.startswith("polecat default/web-toast: its bead fix-login does not exist any more")
    for fine in (polecat(age=5), polecat(deletionTimestamp=ago(5))):
        assert told(check_beads(Facts(CLOCKS, polecats=(fine,)))) == []


def test_a_bead_whose_polecat_does_not_exist() -> None:
    (line,) = told(check_beads(Facts(CLOCKS, beads=(bead(),))))
    assert line.startswith("bead default/fix-login: says that toast works on it, but there is no such polecat")
    # The intent is written first.
    assert told(check_beads(Facts(CLOCKS, beads=(bead(age=5), bead(None))))) == []


@pytest.mark.parametrize(
    "status", [None, "x", [], {"conditions": "x", "pods": None}, {"conditions": ["x"], "claim": 3}]
)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_status_that_somebody_has_edited_breaks_nothing(
    check: Callable[[Facts], Iterator[Finding]], status: Any
) -> None:
    items = [{**item, "status": status} for item in (town(), rig(), bead(), polecat())]
    facts = Facts(CLOCKS, **dict(zip(("towns", "rigs", "beads", "polecats"), ((item,) for item in items), strict=True)))
    assert all(str(finding).count("\n") == 0 for finding in check(facts))
