"""The town view: who works at what, who waits and why, and that all of it moves by itself."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, expect

from polecat_kube.resources import BEAD, RIG
from support.browser.cluster import Watched
from support.browser.viewer import OpenViewer, Viewer
from support.whole import commit, reason

pytestmark = pytest.mark.asyncio(loop_scope="session")


def tile(seen: Viewer, bead: str) -> Locator:
    """The tile of who works on a bead."""
    return seen.page.get_by_role("article").filter(has_text=re.compile(rf"\b{bead}\b"))


def waiting(seen: Viewer, title: str) -> Locator:
    """A row of the queue."""
    rows = seen.page.get_by_role("list", name="Beads that wait").get_by_role("listitem")
    return rows.filter(has_text=title)


async def test_a_tile_tells_who_works_at_what_and_its_lines_move(dash: Watched, open_viewer: OpenViewer) -> None:
    seen = await open_viewer("/")
    await seen.page.evaluate("window.stayed = true")
    steps = [
        {"say": "First I look around.", "bash": "echo lantern-one; " + dash.gates.command("tile-1")},
        {"bash": "echo lantern-two; " + dash.gates.command("tile-2")},
        commit("tile.txt"),
        {"done": "Looked around."},
    ]
    await dash.bead("tile", steps, title="Look around the place")
    shown = tile(seen, "tile")
    await expect(shown).to_contain_text("Look around the place")
    await dash.until_true(lambda: "tile-1" in dash.gates.arrived, "the agent is at work")
    polecat = (await dash.polecats())["tile"]
    await expect(shown.get_by_role("link", name=polecat["spec"]["name"].title())).to_be_visible()
    await expect(shown).to_contain_text(polecat["spec"]["branch"])
    await expect(shown).to_contain_text("web")
    await expect(shown).to_contain_text("First I look around.")
    await expect(shown).to_contain_text("at work")
    await expect(shown).to_contain_text("lantern-one")
    await expect(shown.get_by_text("lantern-two")).to_have_count(0)
    dash.gates.open("tile-1")
    await expect(shown).to_contain_text("lantern-two")
    dash.gates.open("tile-2")
    await expect(shown).to_have_count(0)
    arrived = seen.page.get_by_role("region", name="Just arrived").get_by_role("link", name="Look around the place")
    await expect(arrived).to_be_visible()
    assert await seen.page.evaluate("window.stayed"), "the page was loaded again"


async def test_the_queue_tells_positions_and_reasons_and_follows_changes(
    dash: Watched, open_viewer: OpenViewer
) -> None:
    await dash.rig("narrow", polecats={"max": 1})
    await dash.bead("ahead", [{"bash": dash.gates.command("ahead")}, commit("a.txt"), {"done": "ok"}], rig="narrow")
    await dash.until_true(lambda: "ahead" in dash.gates.arrived, "the only place is taken")
    seen = await open_viewer("/")
    await dash.bead("later", [commit("b.txt"), {"done": "ok"}], rig="narrow", title="Waits its turn")
    await dash.until(BEAD, "later", lambda bead: bead.get("status", {}).get("queuePosition") == 1)
    await expect(waiting(seen, "Waits its turn")).to_contain_text("1")
    await dash.bead("after", [commit("c.txt"), {"done": "ok"}], rig="narrow", title="Comes last", dependsOn=["later"])
    await expect(waiting(seen, "Comes last")).to_contain_text("later")
    await dash.bead("second", [commit("d.txt"), {"done": "ok"}], rig="narrow", title="Is more urgent")
    await expect(waiting(seen, "Is more urgent").get_by_label("position 2")).to_be_visible()
    await dash.api.patch_merge(BEAD, dash.namespace, "second", {"spec": {"priority": "Critical"}})
    await expect(waiting(seen, "Is more urgent").get_by_label("position 1")).to_be_visible()
    await expect(waiting(seen, "Is more urgent")).to_contain_text("Critical")
    await expect(waiting(seen, "Waits its turn").get_by_label("position 2")).to_be_visible()
    dash.gates.open("ahead")
    await dash.succeeded("ahead", "second", "later", "after")
    await expect(waiting(seen, "Waits its turn")).to_have_count(0)


async def test_slots_are_told_with_each_agents_share(dash: Watched, open_viewer: OpenViewer) -> None:
    for name in ("share-1", "share-2"):
        await dash.bead(name, [{"bash": dash.gates.command(name)}, commit(f"{name}.txt"), {"done": "ok"}])
    await dash.until_true(lambda: {"share-1", "share-2"} <= dash.gates.arrived, "two agents work")
    seen = await open_viewer("/")
    town = seen.page.get_by_role("region", name="Town main")
    await expect(town).to_contain_text("2 of 8")
    shares = town.get_by_role("img", name=re.compile("^Slots")).locator("[title]")
    await expect(shares).to_have_count(2)
    names = {(await dash.polecats())[bead]["spec"]["name"].title() for bead in ("share-1", "share-2")}
    assert {await share.get_attribute("title") for share in await shares.all()} == names
    dash.gates.open("share-1", "share-2")
    await dash.succeeded("share-1", "share-2")
    await expect(town).to_contain_text("0 of 8")


async def test_beads_are_found_by_words_and_by_how_they_stand(dash: Watched, open_viewer: OpenViewer) -> None:
    await dash.bead("sleeper", [{"done": "ok"}], suspend=True, title="Sleeps until spring")
    await dash.bead("stuck", [{"done": "ok"}], dependsOn=["never-made"], title="Waits for what never comes")
    await dash.until(BEAD, "stuck", lambda bead: reason(bead) == "WaitingForDependency")
    seen = await open_viewer("/beads")
    await seen.see("Sleeps until spring")
    await seen.page.get_by_role("searchbox", name="Find beads").fill("spring")
    await seen.gone("Waits for what never comes")
    await seen.page.get_by_role("searchbox", name="Find beads").fill("nothing like this")
    await seen.see("No bead is like that.")
    await seen.page.get_by_role("searchbox", name="Find beads").fill("")
    await seen.page.get_by_role("button", name=re.compile("^Done")).click()
    await seen.gone("Sleeps until spring")
    await seen.page.get_by_role("button", name=re.compile("^Waiting")).click()
    await seen.see("Waits for what never comes")
    await seen.page.get_by_role("link", name=re.compile("Waits for what never comes")).click()
    await seen.page.wait_for_url("**/beads/default/stuck")


async def test_rigs_and_towns_tell_their_conditions(dash: Watched, open_viewer: OpenViewer) -> None:
    seen = await open_viewer("/places")
    rig = seen.page.get_by_role("region", name=re.compile("^web"))
    await expect(rig).to_contain_text("RepositoryReady")
    await expect(rig).to_contain_text(str(dash.remote))
    town = seen.page.get_by_role("region", name=re.compile("^main"))
    await expect(town).to_contain_text("main-0")
    await dash.api.create(
        RIG,
        dash.namespace,
        {
            "metadata": {"name": "nowhere"},
            "spec": {
                "townRef": {"name": "main"},
                "repository": {"url": "file:///srv/git/not-there.git"},
                "model": {"provider": "openai-compatible", "name": "m", "endpoint": dash.model.url},
            },
        },
    )
    broken = seen.page.get_by_role("region", name=re.compile("^nowhere"))
    await expect(broken.locator(".condition-bad").first).to_be_visible()
    await dash.api.delete(RIG, dash.namespace, "nowhere")
    await expect(broken).to_have_count(0)
