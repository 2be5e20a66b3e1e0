"""A real Kilo CLI seen through the dashboard: what it says, reads, edits and runs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from polecat_kube.resources import BEAD
from support.browser.cluster import Watched
from support.browser.scene import FLAGSHIP, RIG_NAME, all_plays, has_said, scene
from support.browser.viewer import viewer

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def pennybook(tmp_path: Path) -> AsyncIterator[Watched]:
    """A cluster of its own, as the others' agents are fake ones."""
    async with scene(tmp_path, slots=1) as watched:
        yield watched


async def test_a_real_agents_work_is_seen(pennybook: Watched, browser: Browser) -> None:
    bead = await pennybook.api.create(BEAD, pennybook.namespace, all_plays()[FLAGSHIP].bead(RIG_NAME))
    # A busy machine takes a minute to start an agent; what has been said is shown at once.
    busy = partial(has_said, pennybook, bead["metadata"]["uid"], "book 3:")
    await pennybook.until_true(busy, "the agent is at its long command")
    async with viewer(browser, pennybook.origin) as seen:
        await pennybook.sign_in(seen.context)
        await seen.goto("/")
        tile = seen.page.get_by_role("article").filter(has_text=FLAGSHIP)
        # Whichever line it is at: the tile shows the last ones.
        await expect(tile).to_contain_text(re.compile(r"book \d+: \d+ payments"))
        await tile.get_by_role("link").first.click()
        said = seen.page.get_by_role("log")
        await expect(said.get_by_role("cell", name="6.25 · 6.25")).to_be_visible()
        # A command that prints just now shows it, without being opened.
        await expect(said.locator(".output pre").filter(has_text="every sum is right")).to_be_visible()
        await expect(said.locator(".diff-add").filter(has_text="def divide(entry: Entry)")).to_have_count(1)
        await expect(said.locator(".diff-del").filter(has_text="entries.append")).to_have_count(1)
        failed = said.locator("details.tool-failed")
        await expect(failed).to_have_count(2)
        await expect(failed.last).to_contain_text("name 'replace' is not defined")
        changed = seen.page.get_by_role("complementary", name="Time line and changes")
        await expect(changed.get_by_role("button", name=re.compile("test_divide.py"))).to_be_visible()
        seen.assert_undisturbed()
