"""Pictures of the dashboard's pages: `python -m support.browser.pictures DIRECTORY [CHOSEN]`.

All of them go into DIRECTORY; those that README and docs show go into CHOSEN as well. The agents are real Kilo CLIs.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polecat_kube.resources import BEAD
from polecat_local.cache import Cache
from polecat_local.progress import Progress
from support.browser import provide_browser
from support.browser.cluster import Watched
from support.browser.png import smaller
from support.browser.scene import ASKING, FLAGSHIP, scene, set_scene, wait_for_busy
from support.browser.viewer import NARROW, WIDE, Theme, Viewer, viewer

THEMES: Sequence[Theme] = ("dark", "light")
SIZES = {"wide": WIDE, "narrow": NARROW}
CHOSEN = {
    "town-dark-wide": "dashboard-town",
    "town-light-wide": "dashboard-town-light",
    "polecat-dark-wide": "dashboard-polecat",
    "bead-light-wide": "dashboard-bead",
    "town-dark-narrow": "dashboard-phone",
}
"""Picture → its name in the docs."""
LARGEST_BYTES = 300_000


@dataclass(frozen=True)
class Shot:
    """A page, and the words that show that it is complete."""

    name: str
    path: str
    complete: str | re.Pattern[str]
    top: str = ""
    """Text of the part of a conversation that is scrolled to its top."""


async def shots(watched: Watched) -> list[Shot]:
    """All pages of a scene."""
    bead = await watched.until(BEAD, FLAGSHIP, lambda _: True)
    name = f"{bead['spec']['rigRef']['name']}-{bead['status']['polecat']}"
    return [
        Shot("town", "/", re.compile(r"seed (?:[3-9]\d|\d{3,}): 14 tests")),
        Shot("polecat", f"/polecats/default/{name}", "All green and committed.", top="Now the division."),
        Shot("bead", f"/beads/default/{FLAGSHIP}", "No cent may get lost"),
        Shot("asking", f"/beads/default/{ASKING}", "option of the report"),
        Shot("beads", "/beads", "Release 0.2"),
        Shot("places", "/places", "attic"),
        Shot("sling", "/sling", "Sling beads"),
    ]


async def take(seen: Viewer, shot: Shot, file: Path) -> None:
    """Opens the page, waits until it is complete, and writes what the window shows."""
    await seen.goto(shot.path)
    await seen.see(shot.complete)
    await seen.page.evaluate("document.fonts.ready")
    if shot.top:
        block = seen.page.locator(".block").filter(has_text=shot.top)
        await block.evaluate("element => element.scrollIntoView({block: 'start'})")
    # Two frames: what follows the end of a stream has scrolled there.
    await seen.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await seen.page.screenshot(path=file)


async def _main(directory: Path, chosen: Path | None) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    program = await provide_browser(Cache(), Progress())
    with tempfile.TemporaryDirectory(prefix="polecat-pictures-", ignore_cleanup_errors=True) as scratch:
        async with scene(Path(scratch)) as watched, program.launched() as browser:
            await set_scene(watched)
            await wait_for_busy(watched)
            pages = await shots(watched)
            for theme in THEMES:
                for word, size in SIZES.items():
                    async with viewer(browser, watched.origin, theme=theme, size=size) as seen:
                        login = Shot("login", "/login", "Bearer token")
                        await take(seen, login, directory / f"login-{theme}-{word}.png")
                        await watched.sign_in(seen.context)
                        for shot in pages:
                            await take(seen, shot, directory / f"{shot.name}-{theme}-{word}.png")
            if chosen is not None:
                async with viewer(browser, "about:blank") as seen:
                    await _choose(seen, directory, chosen)


async def _choose(seen: Viewer, directory: Path, chosen: Path) -> None:
    chosen.mkdir(parents=True, exist_ok=True)
    for name, called in CHOSEN.items():
        content = await smaller(seen.page, (directory / f"{name}.png").read_bytes())
        if len(content) > LARGEST_BYTES:
            sys.exit(f"error: {name}.png has {len(content)} bytes, which is too much for the docs")
        (chosen / f"{called}.png").write_bytes(content)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
