"""The page while the dashboard is away: it says so, tells how old its data is, and comes back by itself."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import expect

from polecat_kube.resources import BEAD
from support.browser.cluster import Watched
from support.browser.viewer import SHOWN_SECONDS, OpenViewer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_page_outlives_the_dashboard(dash: Watched, open_viewer: OpenViewer) -> None:
    # Signed in by a proxy in front: what writes must show is another one after the restart.
    seen = await open_viewer("/", signed_in=False, headers={"authorization": f"Bearer {await dash.token()}"})
    await dash.bead("before-it", [{"done": "ok"}], suspend=True, title="Was there before")
    await seen.see("Was there before")
    await expect(seen.page.get_by_text("live", exact=True)).to_be_visible()
    await seen.page.evaluate("window.stayed = true")
    await dash.cluster.dashboard.kill(restart=False)
    banner = seen.page.get_by_role("status").filter(has_text="No connection to the dashboard")
    await expect(banner).to_contain_text(re.compile(r"What you see is \d+s old"))
    await seen.see("Was there before")
    await dash.bead("meanwhile", [{"done": "ok"}], suspend=True, title="Was made meanwhile")
    await dash.cluster.dashboard.start()
    await seen.see("Was made meanwhile")
    await expect(banner).to_have_count(0)
    await expect(seen.page.get_by_text("live", exact=True)).to_be_visible()
    await seen.page.get_by_role("link", name="Was made meanwhile").click()
    await seen.page.get_by_label("Priority").select_option("High")
    await dash.until(BEAD, "meanwhile", lambda bead: bead["spec"]["priority"] == "High")
    assert await seen.page.evaluate("window.stayed"), "the page was loaded again"


async def test_who_is_signed_in_stays_so_and_may_write(dash: Watched, open_viewer: OpenViewer) -> None:
    await dash.bead("kept", [{"done": "ok"}], suspend=True, title="Is still there")
    seen = await open_viewer("/beads/default/kept")
    await seen.see("Is still there")
    await dash.cluster.dashboard.kill()
    async with asyncio.timeout(SHOWN_SECONDS):
        while not await seen.page.evaluate("fetch('/api/session').then(answer => answer.ok, () => false)"):
            await asyncio.sleep(0.1)
    await seen.page.get_by_label("Priority").select_option("High")
    await dash.until(BEAD, "kept", lambda bead: bead["spec"]["priority"] == "High")
    await seen.page.reload()
    await seen.see("Is still there")


async def test_whose_session_has_ended_is_asked_to_sign_in(dash: Watched, open_viewer: OpenViewer) -> None:
    seen = await open_viewer("/")
    await seen.see("at work")
    dash.cluster.data.dashboard_sessions.unlink()
    await dash.cluster.dashboard.kill()
    await expect(seen.page.get_by_label("Bearer token")).to_be_visible()
    await dash.sign_in(seen.context)
    await seen.goto("/")
    await seen.see("at work")
