"""When `polecat up` says `ready`."""

from datetime import UTC, datetime
from typing import Any

import pytest

from polecat_local.readiness import why_not_ready

SINCE = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
READY = [{"type": "Ready", "status": "True"}]


def town(pods: list[dict[str, Any]], conditions: list[dict[str, str]] | None = None) -> dict[str, Any]:
    return {"status": {"pods": pods, "conditions": conditions or []}}


def pod(seen: str = "2026-11-24T06:00:01.000000Z", **more: Any) -> dict[str, Any]:
    return {"name": "main-0", "ready": True, "seenTime": seen, **more}


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (None, "it does not exist"),
        ({}, "its process has not reported yet"),
        (town([pod() | {"name": "other-0"}], READY), "its process has not reported yet"),
        (town([pod("2026-11-24T05:59:59Z")], READY), "its process has not reported yet"),
        (
            town([pod(ready=False, reason="AgentBinaryBroken", message="no /x/kilo")], READY),
            "AgentBinaryBroken: no /x/kilo",
        ),
        (town([pod()]), "the operator has not seen it yet"),
        (town([pod()], [{"type": "Ready", "status": "False", "message": "no pods"}]), "no pods"),
        (town([pod()], READY), None),
    ],
)
def test_ready_is_what_pod_and_operator_say_in_this_life(seen: dict[str, Any] | None, why: str | None) -> None:
    assert why_not_ready(seen, "main-0", SINCE, with_operator=True) == why


def test_without_operator_the_pod_is_enough() -> None:
    assert why_not_ready(town([pod()]), "main-0", SINCE, with_operator=False) is None
