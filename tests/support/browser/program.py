"""One browser program: how it is started, and whether it really works here."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, async_playwright
from playwright.async_api import Error as PlaywrightError

from polecat_local.environment import scrubbed

START_SECONDS = 60.0
"""How long a browser may take to start, on a machine that is busy with other tests."""
_PNG = b"\x89PNG\r\n\x1a\n"

_ARGUMENTS = (
    "--font-render-hinting=none",  # Glyphs lie the same in each browser.
    "--disable-dev-shm-usage",  # /dev/shm is tiny in many containers.
)


@dataclass(frozen=True)
class BrowserProgram:
    """A Chromium. `source` tells people where it comes from; `env` is added to the environment it needs anyway."""

    executable: Path
    source: str
    env: Mapping[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def launched(self) -> AsyncIterator[Browser]:
        """A running browser without a window. Its own sandbox is off, as root and many containers can't have it."""
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=self.executable,
                args=list(_ARGUMENTS),
                env={**scrubbed(os.environ), **self.env},
                timeout=START_SECONDS * 1000,
            )
            try:
                yield browser
            finally:
                await browser.close()

    async def why_not(self) -> str | None:
        """Why it is of no use on this machine, in one line; None when it runs a script and draws a page."""
        try:
            async with self.launched() as browser:
                page = await browser.new_page()
                await page.set_content("<h1 id=said></h1><script>said.textContent = 6 * 7</script>")
                answer = await page.inner_text("#said")
                picture = await page.screenshot()
        except PlaywrightError as error:
            return f"{self.executable} does not run: {first_line(error.message)}"
        if answer != "42" or not picture.startswith(_PNG):
            return f"{self.executable} runs, and shows no page"
        return None


def first_line(text: str) -> str:
    """The first line that says something; Playwright frames the others with what it tried."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")
