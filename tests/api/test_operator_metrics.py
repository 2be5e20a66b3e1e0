"""The operator's figures, as Prometheus reads them, of a real operator on the real API server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from polecat_kube.api import KubeApi
from polecat_local.ports import HOST, choose_port
from support.control_plane import SharedControlPlane
from support.operator_process import operator_process
from support.played_town import PlayedTown, eventually
from support.scraping import Scrape, scrape


@dataclass
class Watched:
    """A played town and the operator that is looked at."""

    town: PlayedTown
    url: str

    async def until(self, name: str, value: float, **labels: str) -> Scrape:
        """The figures as soon as the sum of these series has this value."""
        found = 0.0

        async def look() -> Scrape | None:
            nonlocal found
            try:
                seen = await scrape(self.url)
            except aiohttp.ClientError:
                return None
            found = seen.value(name, **labels)
            return seen if found == value else None

        try:
            seen = await eventually(look)
        except AssertionError as error:
            raise AssertionError(f"{name}{labels} is {found}, not {value}") from error
        assert seen is not None
        return seen


@pytest.fixture
async def watched(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, tmp_path: Path
) -> AsyncIterator[Watched]:
    """An operator in a process of its own: nothing that it counts is another test's."""
    port = choose_port(tmp_path / "port")
    async with (
        PlayedTown(kube_api, namespace).open(slots=9, max_polecats=5, beating=True) as town,
        operator_process(control_plane, namespace, LISTEN=f"{HOST}:{port}"),
    ):
        watched = Watched(town, f"http://{HOST}:{port}")
        await watched.until("polecat_operator_leader", 1)
        yield watched


async def test_a_bead_is_seen_waiting_running_and_done(watched: Watched) -> None:
    town = watched.town
    for number in range(6):
        await town.bead(f"b{number}")
    await town.until_bead("b5", "RigFull")
    seen = await watched.until("polecat_operator_polecats", 5, state="starting")
    assert seen.value("polecat_operator_beads", phase="active") == 5
    assert seen.value("polecat_operator_beads", phase="waiting", reason="RigFull") == 1
    assert seen.value("polecat_operator_oldest_waiting_bead_seconds") > 0
    assert seen.value("polecat_operator_claim_seconds_count") == 5
    assert seen.value("polecat_operator_rigs", ready="True") == 1
    assert seen.value("polecat_operator_towns", ready="True") == 1
    await town.running("web-toast")
    await watched.until("polecat_operator_polecats", 1, state="running")
    await town.finish("web-toast", "Done", "pushed", publishedCommit="a" * 40)
    seen = await watched.until("polecat_operator_beads", 1, phase="terminal", reason="Done")
    assert seen.value("polecat_operator_attempts_total", outcome="success", reason="Done") == 1
    seen = await watched.until("polecat_operator_claim_seconds_count", 6)
    assert seen.value("polecat_operator_oldest_waiting_bead_seconds") == 0
    assert seen.value("polecat_operator_actions_total", action="CreatePolecat") == 6


async def test_requests_watches_and_lease_are_seen(watched: Watched) -> None:
    await watched.town.bead("one")
    seen = await watched.until("polecat_operator_claim_seconds_count", 1)
    requests = "polecat_operator_api_requests_total"
    assert seen.value(requests, verb="create", resource="polecats", code="201") == 1
    assert seen.value(requests, verb="patch", resource="beads/status", code="200") >= 1
    assert seen.value(requests, verb="update", resource="leases", code="200") + seen.value(
        requests, verb="create", resource="leases", code="201"
    )
    for resource in ("towns", "rigs", "beads", "polecats"):
        assert seen.value(requests, verb="watch", resource=resource, code="200") >= 1
        assert time.time() - seen.value("polecat_operator_watch_start_timestamp_seconds", resource=resource) < 60
    assert seen.value("polecat_operator_api_request_seconds_count", verb="watch") >= 4
    assert seen.value("polecat_operator_lease_age_seconds") > 0
    assert seen.value("polecat_operator_reconcile_seconds_count", kind="bead") >= 1
    assert seen.value("process_resident_memory_bytes") > 0
    assert seen.value("polecat_build_info") == 1


async def test_five_failures_in_a_row_open_the_breaker_of_a_rig(watched: Watched) -> None:
    town = watched.town
    assert (await scrape(watched.url)).value("polecat_operator_open_breakers") == 0
    for number in range(5):
        await town.bead(f"b{number}")
    await watched.until("polecat_operator_claim_seconds_count", 5)
    for polecat in await town.polecats():
        await town.finish(polecat["metadata"]["name"], "AgentFailed", "broke")
    seen = await watched.until("polecat_operator_open_breakers", 1, scope="rig")
    assert seen.value("polecat_operator_breaker_openings_total", scope="rig") == 1
    assert seen.value("polecat_operator_breaker_openings_total", scope="town") == 0
    assert seen.value("polecat_operator_attempts_total", outcome="agent", reason="AgentFailed") == 5


async def test_series_do_not_grow_with_objects(watched: Watched) -> None:
    town = watched.town
    await town.bead("first")
    few = await watched.until("polecat_operator_claim_seconds_count", 1)
    for number in range(60):
        await town.bead(f"more-{number}", suspend=True)
    many = await watched.until("polecat_operator_beads", 60, phase="suspended")
    assert len(many) - len(few) < 30
