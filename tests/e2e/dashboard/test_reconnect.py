"""The page while the dashboard is away: it says so, tells how old its data is, and comes back by itself."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from support.browser.cluster import Watched
from support.browser.viewer import OpenViewer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("dashboard")]


async def test_a_page_outlives_the_dashboard(dash: Watched, open_viewer: OpenViewer) -> None:
    # Signed in by a proxy in front, as a restart of the dashboard ends the sessions that it has begun itself.
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
    assert await seen.page.evaluate("window.stayed"), "the page was loaded again"


async def test_a_session_that_ended_with_the_dashboard_asks_to_sign_in(dash: Watched, open_viewer: OpenViewer) -> None:
    seen = await open_viewer("/")
    await seen.see("at work")
    await dash.cluster.dashboard.kill()
    await expect(seen.page.get_by_label("Bearer token")).to_be_visible()
    await dash.sign_in(seen.context)
    await seen.goto("/")
    await seen.see("at work")
