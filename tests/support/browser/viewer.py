"""Somebody who looks at the dashboard: one page in one browser, and what must never happen in it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Dialog, Page, Route, expect

OpenViewer = Callable[..., Awaitable["Viewer"]]
Theme = Literal["dark", "light"]
WIDE = (1440, 900)
NARROW = (390, 844)
SHOWN_SECONDS = 60.0
"""How long a test waits for what the page must show; reached only when it never will."""
expect.set_options(timeout=SHOWN_SECONDS * 1000)
_CUT_OFF = """
[...document.querySelectorAll("article, section, aside, header, footer, form, nav")]
  .filter(part => part.scrollWidth > part.clientWidth + 1 && !/auto|scroll/.test(getComputedStyle(part).overflowX))
  .map(part => `<${part.localName} class="${part.className}"> by ${part.scrollWidth - part.clientWidth} pixels`)
"""
_NOT_OUTSIDE = ("data", "blob", "about", "chrome-error")


@dataclass
class Viewer:
    """A page, and what happened in it that nobody asked for. `goto` takes addresses without the origin."""

    page: Page
    origin: str
    dialogs: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    """Requests to anywhere but the dashboard; they are cut off."""
    errors: list[str] = field(default_factory=list)
    """What scripts threw, and what the content security policy forbade."""

    @property
    def context(self) -> BrowserContext:
        """Its cookies and its network."""
        return self.page.context

    async def goto(self, path: str) -> None:
        """Opens an address of the dashboard, as if it were typed."""
        await self.page.goto(f"{self.origin}{path}", wait_until="domcontentloaded")

    async def see(self, text: str | re.Pattern[str], *, within: str = "body") -> None:
        """Waits until the text can be seen."""
        shown = self.page.locator(within).get_by_text(text).locator("visible=true").first
        await shown.wait_for(timeout=SHOWN_SECONDS * 1000)

    async def gone(self, text: str | re.Pattern[str], *, within: str = "body") -> None:
        """Waits until the text can no longer be seen."""
        shown = self.page.locator(within).get_by_text(text).locator("visible=true").first
        await shown.wait_for(state="hidden", timeout=SHOWN_SECONDS * 1000)

    async def resize(self, size: tuple[int, int]) -> None:
        """Another window size, in CSS pixels."""
        await self.page.set_viewport_size({"width": size[0], "height": size[1]})

    async def scrolls_sideways(self) -> int:
        """By how many pixels the page is wider than its window."""
        width: int = await self.page.evaluate(
            "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
        )
        return width

    async def cut_off(self) -> list[str]:
        """Parts of the page whose content does not fit into them, and can't be scrolled to either."""
        cut: list[str] = await self.page.evaluate(_CUT_OFF)
        return cut

    async def barriers(self, axe: Path) -> list[str]:
        """What axe-core finds serious or critical: rule, and the first places."""
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(axe.read_text())
        found: dict[str, Any] = await self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{each['id']}: {each['help']}: " + "; ".join(node["html"][:200] for node in each["nodes"][:3])
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]

    def assert_undisturbed(self) -> None:
        """Nothing opened a dialog, reached for the outside, threw, or tried what the policy forbids."""
        assert not self.dialogs, f"dialogs were opened: {self.dialogs}"
        assert not self.outside, f"requests went outside: {self.outside}"
        assert not self.errors, f"scripts failed: {self.errors}"


@asynccontextmanager
async def viewer(
    browser: Browser,
    origin: str,
    *,
    theme: Theme = "dark",
    size: tuple[int, int] = WIDE,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[Viewer]:
    """A new browser profile with one page, not signed in, at no address yet.

    `headers` come with each request, as an authenticating proxy would add them.
    """
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=theme,
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
        has_touch=size == NARROW,
        extra_http_headers=dict(headers or {}),
    )
    try:
        context.set_default_timeout(SHOWN_SECONDS * 1000)
        page = await context.new_page()
        watched = Viewer(page, origin)
        await context.route(lambda url: _is_outside(url, origin), lambda route: _cut(watched, route))
        context.on("dialog", lambda dialog: _dismiss(watched, dialog))
        context.on("weberror", lambda error: watched.errors.append(str(error.error)))
        context.on(
            "console",
            lambda said: watched.errors.append(said.text) if "Content Security Policy" in said.text else None,
        )
        yield watched
    finally:
        await context.close()


def _is_outside(url: str, origin: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in _NOT_OUTSIDE and f"{parts.scheme}://{parts.netloc}" != origin


async def _dismiss(watched: Viewer, dialog: Dialog) -> None:
    watched.dialogs.append(dialog.message)
    await dialog.dismiss()


async def _cut(watched: Viewer, route: Route) -> None:
    watched.outside.append(route.request.url)
    await route.abort()
