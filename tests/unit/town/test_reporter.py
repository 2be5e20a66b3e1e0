"""What becomes of a status that the API server does not take."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from polecat_api.polecat import Claim, PolecatStatus
from polecat_kube.errors import ConflictError, InvalidError
from polecat_town.life.reporter import Reporter, SupersededError
from polecat_town.life.state import Identity
from support.town_made import polecat

Json = dict[str, Any]
CLAIM = Claim(pod="main-0", pod_uid="p", time=datetime(2026, 11, 24, tzinfo=UTC))


class Api:
    """Takes what `refuses` lets through."""

    def __init__(self, refuses: set[str]) -> None:
        self.refuses = refuses
        self.taken: list[Json] = []
        self.tries = 0

    async def patch_json(self, resource: Any, namespace: str, name: str, patch: list[Json], subresource: str) -> Json:
        """As KubeApi does it."""
        self.tries += 1
        status: Json = patch[-1]["value"]
        if bad := self.refuses & set(status):
            raise InvalidError("PATCH", f"status.{bad.pop()}: Invalid value")
        self.taken.append(status)
        return {}


def reporter(api: Api, heard: list[str]) -> Reporter:
    """Reports a claim and an activity."""
    status = PolecatStatus(claim=CLAIM, activity="thinking")
    return Reporter(api, Identity.of(polecat()), lambda: status, heard.append)  # type: ignore[arg-type]


async def test_what_decisions_depend_on_is_told_when_the_rest_is_refused() -> None:
    api, heard = Api({"activity"}), list[str]()
    await reporter(api, heard).report()
    assert len(api.taken) == 1
    assert "claim" in api.taken[0]
    assert heard == ["status.activity: Invalid value"]


async def test_a_status_that_is_never_taken_is_given_up_and_the_next_is_tried() -> None:
    api, heard = Api({"claim"}), list[str]()
    mine = reporter(api, heard)
    await mine.report()
    assert (api.tries, api.taken, len(heard)) == (2, [], 2)
    api.refuses.clear()
    await mine.report()
    assert api.taken[0]["activity"] == "thinking"


async def test_another_bearer_of_the_name_is_told_nothing() -> None:
    class Gone(Api):
        async def patch_json(self, *_: Any, **__: Any) -> Json:
            raise ConflictError("PATCH", "the UID is another")

    mine = reporter(Gone(set()), [])
    with pytest.raises(SupersededError):
        await mine.report()
    assert mine.superseded
