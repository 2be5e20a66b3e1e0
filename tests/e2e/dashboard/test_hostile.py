"""What agents and strangers write is shown, and does nothing: no script, no dialog, no request, no turned text."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from support.browser.cluster import Watched
from support.browser.viewer import OpenViewer, Viewer
from support.whole import commit

pytestmark = pytest.mark.asyncio(loop_scope="session")

TITLE = "</script><img src=x onerror=window.hacked=1> \u202eesrever"
MARKDOWN = """\
<script>window.hacked = 2</script><img src="http://outside.example/a.png" onerror="window.hacked = 3">

![a picture](http://outside.example/b.png) [a trap](javascript:window.hacked=4)
[data](data:text/html,<script>window.hacked=10</script>)
[a page](https://outside.example/page) <a href="javascript:window.hacked=5" onclick="window.hacked=6">raw</a>
<style>@import url(http://outside.example/c.css)</style><iframe src="http://outside.example/d"></iframe>
<form action="http://outside.example/e"><button>send</button></form><svg onload="window.hacked=7"></svg>

[reference][r] **after all that**

[r]: javascript:window.hacked=8
"""
PRINTED = (
    r"printf '</script><script>window.hacked=9</script>\n\033[31mred\033[0m \033]0;title\007\033[2J\033[1000D'; "
    r"printf 'if admin \342\200\256 esrever\n\000\377\376half \303'; echo; echo the end"
)
LONG = "head -c 10000000 /dev/zero | tr '\\0' 'x'; echo; echo behind the long line"
_HARMFUL = """
[...document.querySelectorAll("*")].flatMap(element => [...element.attributes].filter(attribute =>
  /^on/i.test(attribute.name) || /^\\s*(javascript|data|vbscript):/i.test(attribute.value) && attribute.name !== "title"
).map(attribute => `<${element.localName} ${attribute.name}=${attribute.value.slice(0, 80)}>`))
"""


async def harmless(seen: Viewer) -> None:
    """Nothing of it has become an element or a script."""
    assert await seen.page.evaluate("window.hacked") is None
    assert await seen.page.evaluate(_HARMFUL) == []
    for element in ("iframe", "object", "embed", "img[src^=http]", "main style", "main script", "main form[action]"):
        assert await seen.page.locator(element).count() == 0, f"there is a {element}"


async def test_hostile_output_is_only_text(dash: Watched, open_viewer: OpenViewer) -> None:
    steps = [
        {"say": MARKDOWN, "bash": PRINTED},
        {"bash": LONG},
        {"say": "x</textarea>\u202e\u2066turned", "bash": dash.gates.command("hostile")},
        commit("hostile.txt"),
        {"done": MARKDOWN},
    ]
    await dash.bead("hostile", steps, title=TITLE)
    await dash.until_true(lambda: "hostile" in dash.gates.arrived, "the agent waits")
    town = await open_viewer("/")
    await town.see("turned")
    await town.see("esrever")
    await harmless(town)
    seen = await open_viewer("/streams/default/hostile/1")
    said = seen.page.get_by_role("log")
    await expect(said).to_contain_text("after all that")
    calls = said.locator("details.tool")
    await calls.filter(has_text="printf").locator("summary").click()
    printed = calls.filter(has_text="printf").locator(".output")
    await expect(printed).to_contain_text("</script><script>window.hacked=9</script>")
    await expect(printed.locator("[class*=ansi]").filter(has_text="red")).to_have_count(1)
    # What turns the direction of text is written out, so that code looks like what it is.
    await expect(printed).to_contain_text("U+202E")
    await expect(printed).to_contain_text("the end")
    for control in ("\x1b", "\x00", "\x07", "\u202e"):
        assert control not in await printed.inner_text()
    # Ten megabytes on one line: cut where it can be seen, and the page is as quick as before.
    await calls.filter(has_text="/dev/zero").locator("summary").click()
    long = calls.filter(has_text="/dev/zero").locator(".output")
    await expect(long).to_contain_text(re.compile("cut|left out|more", re.IGNORECASE))
    assert len(await said.inner_text()) < 1_000_000
    links = await said.get_by_role("link").evaluate_all("all => all.map(a => [a.href, a.rel, a.target])")
    outward = [link for link in links if not link[0].startswith(seen.origin)]
    assert [link[0] for link in outward] == ["https://outside.example/page"]
    assert "noopener" in outward[0][1]
    assert outward[0][2] == "_blank"
    await harmless(seen)
    dash.gates.open("hostile")
    await dash.succeeded("hostile")
    bead = await open_viewer("/beads/default/hostile")
    await expect(bead.page.locator("main")).to_contain_text("after all that")
    await bead.see("</script><img src=x", within="h1")
    await harmless(bead)
    beads = await open_viewer("/beads")
    await beads.see(re.compile("esrever"))
    await harmless(beads)
