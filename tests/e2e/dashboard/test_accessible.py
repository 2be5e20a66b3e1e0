"""Every page for everybody: by keyboard, on a phone, in both themes, with a screen reader's basics; and its picture."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from support.browser.cluster import Watched
from support.browser.viewer import NARROW, WIDE, OpenViewer, Theme
from support.whole import commit

pytestmark = pytest.mark.asyncio(loop_scope="session")
THEMES: tuple[Theme, ...] = ("light", "dark")
DIRECTORY = "POLECAT_TEST_PICTURES"
"""Where the pictures go; a temporary directory if it is unset."""

PAGES = {
    "town": ("/", "Work on shown"),
    "polecat": ("/streams/default/shown/1", "A table"),
    "bead": ("/beads/default/shown", "Please do this, as shown asks."),
    "ended": ("/beads/default/ended", "Wrote one file."),
    "beads": ("/beads", "Work on shown"),
    "places": ("/places", "RepositoryReady"),
    "sling": ("/sling", "What the agent is told"),
    "login": ("/login", "Bearer token"),
    "missing": ("/beads/default/never-was", "There is no bead of this name."),
}
SAID = """\
## A table

| file | why |
|---|---|
| `one.txt` | because it has a long reason, which needs more room than a phone has |

> quoted

```python
def function_with_a_very_long_name(argument_number_one, argument_number_two, argument_number_three) -> None: ...
```
"""


async def test_pages_have_no_barriers_and_fit_a_phone(
    dash: Watched, open_viewer: OpenViewer, axe: Path, tmp_path: Path
) -> None:
    directory = Path(os.environ.get(DIRECTORY) or tmp_path)
    directory.mkdir(parents=True, exist_ok=True)
    await dash.bead("ended", [commit("ended.txt", "$(date +%s%N)"), {"done": "Wrote **one** file."}])
    await dash.succeeded("ended")
    await dash.bead(
        "shown", [{"say": SAID, "bash": "ls -l; false"}, {"bash": dash.gates.command("shown")}, {"done": "ok"}]
    )
    await dash.bead("behind", [{"done": "ok"}], dependsOn=["shown"], title="Waits for the one that is shown")
    await dash.bead("asleep", [{"done": "ok"}], suspend=True, priority="Critical")
    await dash.until_true(lambda: "shown" in dash.gates.arrived, "the agent is at work")
    seen = await open_viewer("/", theme="dark")
    found: list[str] = []
    for name, (path, words) in PAGES.items():
        await seen.goto(path)
        for width, size in (("wide", WIDE), ("narrow", NARROW)):
            await seen.resize(size)
            await seen.see(words)
            found += [f"{name}, {width}: does not fit: {part}" for part in await seen.cut_off()]
            if width == "narrow" and (beyond := await seen.scrolls_sideways()) > 0:
                found.append(f"{name}: is {beyond} pixels wider than a phone")
            for theme in THEMES:
                await seen.page.emulate_media(color_scheme=theme)
                if width == "wide" or theme == "dark":  # colours are the same at any width
                    found += [f"{name}, {width}, {theme}: {barrier}" for barrier in await seen.barriers(axe)]
                await seen.page.screenshot(path=directory / f"{name}-{theme}-{width}.png")
    assert not found, "\n".join(found)


async def test_all_can_be_done_by_keyboard(dash: Watched, open_viewer: OpenViewer) -> None:
    await dash.bead("by-keys", [{"done": "ok"}], suspend=True, title="Steered by keys")
    seen = await open_viewer("/")
    await seen.see("Steered by keys")
    press = seen.page.keyboard.press
    await press("Tab")
    await expect(seen.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await press("Enter")
    await expect(seen.page.locator("main")).to_be_focused()
    await press("b")
    await expect(seen.page.get_by_role("heading", name="Beads", level=1)).to_be_visible()
    await seen.page.get_by_role("searchbox", name="Find beads").focus()
    # Letters are letters where one writes.
    await seen.page.keyboard.type("steered by")
    await expect(seen.page.get_by_role("listitem")).to_have_count(1)
    await press("Tab")
    await expect(seen.page.get_by_role("link", name=re.compile("Steered by keys"))).to_be_focused()
    await press("Enter")
    await expect(seen.page.get_by_role("heading", name="Steered by keys", level=1)).to_be_visible()
    cancel = seen.page.get_by_role("button", name="Cancel", exact=True)
    for _ in range(40):
        if await cancel.evaluate("element => element === document.activeElement"):
            break
        await press("Tab")
    await expect(cancel).to_be_focused()
    outline = await cancel.evaluate("element => getComputedStyle(element).outlineStyle")
    assert outline != "none", "one can't see where one is"
    await press("Enter")
    dialog = seen.page.get_by_role("dialog", name="Cancel this bead?")
    await expect(dialog.get_by_role("button", name="No, leave it")).to_be_focused()
    await press("Escape")
    await expect(seen.page.locator("dialog")).to_have_count(0)
    await expect(cancel).to_be_focused()
    await press("Enter")
    await expect(dialog.get_by_role("button", name="No, leave it")).to_be_focused()
    await press("Tab")
    await press("Enter")
    await seen.page.wait_for_url("**/beads")
    await seen.gone("Steered by keys")


async def test_the_theme_is_what_the_system_prefers_until_it_is_chosen(open_viewer: OpenViewer) -> None:
    seen = await open_viewer("/", theme="light")
    await seen.see("at work")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = await seen.page.evaluate(ground)
    await seen.page.emulate_media(color_scheme="dark")
    dark = await seen.page.evaluate(ground)
    assert light != dark
    await seen.page.get_by_role("button", name=re.compile("^Colours")).click()
    assert await seen.page.evaluate(ground) == light
    await seen.goto("/places")
    await seen.see("Rigs")
    assert await seen.page.evaluate(ground) == light, "the choice is forgotten"
