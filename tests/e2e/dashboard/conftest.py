"""One cluster with a dashboard, fake agents and one browser for all tests here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from polecat_local.cache import Cache
from polecat_local.progress import Progress
from support.browser import provide_browser
from support.browser.cluster import Watched, watched_cluster
from support.browser.packages import axe_script
from support.browser.viewer import OpenViewer, Viewer, viewer
from support.fake_agent import FAKE_KILO
from support.whole import make_remote


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    """Control plane, operator, town with eight slots, fake agents, dashboard, and a rig `web`."""
    directory = tmp_path_factory.mktemp("dashboard")
    remote = make_remote(directory / "remote.git")
    async with watched_cluster(directory, remote, slots=8, kilo_path=FAKE_KILO) as watched:
        await watched.rig(polecats={"max": 8})
        yield watched


@pytest_asyncio.fixture(loop_scope="session")
async def dash(cluster: Watched) -> AsyncIterator[Watched]:
    """The cluster without beads, and with the rig `web` alone; what the test makes is removed after it."""
    yield cluster
    await cluster.tidy(keep_rigs={"web"})


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A real browser, without a window."""
    program = await provide_browser(Cache(), Progress())
    async with program.launched() as launched:
        yield launched


@pytest_asyncio.fixture(loop_scope="session")
async def open_viewer(dash: Watched, browser: Browser) -> AsyncIterator[OpenViewer]:
    """`await open_viewer("/", ...)` gives a page at that address, signed in as the local user.

    Arguments are those of `viewer`, and `signed_in=False`. What must never happen in a page is looked for at the end.
    """
    viewers: list[Viewer] = []
    async with AsyncExitStack() as stack:

        async def open_(path: str = "/", *, signed_in: bool = True, **options: Any) -> Viewer:
            seen = await stack.enter_async_context(viewer(browser, dash.origin, **options))
            viewers.append(seen)
            if signed_in:
                await dash.sign_in(seen.context)
            await seen.goto(path)
            return seen

        yield open_
        for seen in viewers:
            seen.assert_undisturbed()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def axe() -> Path:
    """axe-core's script."""
    return await axe_script(Cache(), Progress())
