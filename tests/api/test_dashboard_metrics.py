"""The dashboard's figures, as Prometheus reads them."""

from __future__ import annotations

import time
from pathlib import Path

from polecat_kube.api import KubeApi
from polecat_local.ports import HOST, choose_port
from support.control_plane import SharedControlPlane
from support.dashboard_site import dashboard_site
from support.played_town import PlayedTown, eventually
from support.scraping import Scrape, scrape


async def test_figures_of_a_dashboard_that_watches(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    port = choose_port(tmp_path / "operations-port")
    async with (
        PlayedTown(kube_api, namespace).open() as town,
        dashboard_site(control_plane, tmp_path, operations_listen=f"{HOST}:{port}"),
    ):
        await town.bead("one")

        async def bead_seen() -> Scrape | None:
            seen = await scrape(f"http://{HOST}:{port}")
            return seen if seen.value("polecat_dashboard_objects", kind="beads") >= 1 else None

        seen = await eventually(bead_seen)
        assert seen is not None
        assert seen.value("polecat_dashboard_live") == 1
        requests = "polecat_dashboard_api_requests_total"
        for resource in ("towns", "rigs", "beads", "polecats"):
            assert seen.value(requests, verb="list", resource=resource, code="200") >= 1
            assert seen.value(requests, verb="watch", resource=resource, code="200") >= 1
            assert time.time() - seen.value("polecat_dashboard_watch_start_timestamp_seconds", resource=resource) < 60
