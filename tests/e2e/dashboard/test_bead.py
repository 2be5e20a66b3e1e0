"""One bead's page: what it says, and each thing that a person can do about it, as that person."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, expect

from polecat_kube.resources import BEAD
from support.browser.cluster import ROLE_BINDING, Watched
from support.browser.viewer import OpenViewer, Viewer
from support.whole import commit, condition, reason

pytestmark = pytest.mark.asyncio(loop_scope="session")


def button(seen: Viewer, name: str) -> Locator:
    """A button by its whole name."""
    return seen.page.get_by_role("button", name=name, exact=True)


async def test_what_was_done_and_by_whom(dash: Watched, open_viewer: OpenViewer) -> None:
    await dash.bead("told", [commit("told.txt"), {"done": "Wrote **one** file."}], title="To be told about")
    (bead,) = await dash.succeeded("told")
    seen = await open_viewer("/beads/default/told")
    await expect(seen.page.get_by_role("heading", name="To be told about", level=1)).to_be_visible()
    await seen.see("Wrote one file.")
    await seen.see(re.compile("1 commit"))
    await seen.see("Please do this, as told asks.")
    for value in (bead["status"]["branch"], bead["status"]["headCommit"][:12]):
        await expect(seen.page.get_by_role("complementary", name="Details")).to_contain_text(value)
    await expect(seen.page.locator("main")).to_contain_text("Succeeded")
    await seen.page.get_by_role("link", name=re.compile("Start 1")).click()
    await expect(seen.page.get_by_role("log")).to_contain_text("Wrote **one** file.")


async def test_suspending_asks_first_and_resuming_goes_on(dash: Watched, open_viewer: OpenViewer) -> None:
    steps = [commit("pause.txt"), {"bash": dash.gates.command("suspending")}, {"done": "Went on."}]
    await dash.bead("suspending", steps)
    await dash.until_true(lambda: "suspending" in dash.gates.arrived, "the agent is at work")
    seen = await open_viewer("/beads/default/suspending")
    await button(seen, "Suspend").click()
    dialog = seen.page.get_by_role("dialog", name="Suspend this bead?")
    await dialog.get_by_role("button", name="No, leave it").click()
    await expect(dialog).to_have_count(0)
    assert (await dash.until(BEAD, "suspending", lambda _: True))["spec"].get("suspend") is not True
    await button(seen, "Suspend").click()
    await dialog.get_by_role("button", name="Suspend").click()
    await seen.see("Suspended")
    await dash.until(BEAD, "suspending", lambda bead: reason(bead) == "Suspended")
    dash.gates.open("suspending")
    await button(seen, "Resume").click()
    await dash.succeeded("suspending")
    await seen.see("Went on.")


async def test_priority_rerun_and_cancel(dash: Watched, open_viewer: OpenViewer) -> None:
    await dash.bead("steered", [commit("steered.txt", "$(date +%s%N)"), {"done": "ok"}], suspend=True)
    seen = await open_viewer("/beads/default/steered")
    await seen.page.get_by_label("Priority").select_option("Critical")
    await dash.until(BEAD, "steered", lambda bead: bead["spec"]["priority"] == "Critical")
    await button(seen, "Resume").click()
    await dash.succeeded("steered")
    await button(seen, "Run again").click()
    await seen.page.get_by_role("dialog").get_by_role("button", name="Run again").click()
    await dash.until(BEAD, "steered", lambda bead: bead["status"]["attempts"] == 2)
    await dash.succeeded("steered")
    await expect(seen.page.get_by_role("link", name=re.compile("Start 2"))).to_be_visible()
    await button(seen, "Delete").click()
    await seen.page.get_by_role("dialog").get_by_role("button", name="Cancel the bead").click()
    await dash.until_gone(BEAD, "steered")
    await seen.page.wait_for_url("**/beads")


async def test_commits_are_shown_with_the_attempt_that_made_them(dash: Watched, open_viewer: OpenViewer) -> None:
    """The page broke when the journal went whose commits it had read."""
    await dash.bead("once", [commit("once.txt", "1"), {"done": "ok"}])
    await dash.succeeded("once")
    seen = await open_viewer("/beads/default/once")
    await expect(seen.page.get_by_text("of start 1")).to_be_visible()
    await seen.page.route("**/api/streams/default/once", lambda route: route.fulfill(json=[]))
    again = {"spec": {"rerun": "2", "suspend": True}}
    await dash.api.patch_merge(BEAD, dash.namespace, "once", again)
    await seen.see(re.compile("no longer kept"))
    await expect(seen.page.get_by_text("of start 1")).to_have_count(0)


async def test_what_the_api_server_refuses_is_told_in_its_words(dash: Watched, open_viewer: OpenViewer) -> None:
    may_patch = {"apiGroups": ["polecat.dev"], "resources": ["beads"], "verbs": ["list", "get", "patch"]}
    token = await dash.person("patcher", [may_patch])
    await dash.bead("refused", [{"done": "ok"}], suspend=True)
    seen = await open_viewer("/beads/default/refused", signed_in=False, headers={"authorization": f"Bearer {token}"})
    await expect(button(seen, "Resume")).to_be_visible()
    # What the person may not do is not offered.
    await expect(button(seen, "Cancel")).to_have_count(0)
    await dash.api.delete(ROLE_BINDING, dash.namespace, "patcher")
    await button(seen, "Resume").click()
    await expect(seen.page.get_by_role("alert")).to_contain_text(re.compile('cannot patch resource "beads"'))


async def test_slinging_one_and_several(dash: Watched, open_viewer: OpenViewer) -> None:
    seen = await open_viewer("/")
    await seen.page.get_by_role("link", name="Sling new beads").click()
    await seen.page.get_by_label("Rig").select_option("web")
    await seen.page.get_by_label("Title").fill("Slung from a form")
    await seen.page.get_by_label("What the agent is told").fill("Nothing to do here, really.")
    await seen.page.get_by_label("Priority").select_option("Low")
    await button(seen, "Sling").click()
    await seen.see(re.compile("1 bead slung"))
    name = await seen.page.locator(".good-news a").inner_text()
    bead = await dash.until(BEAD, name, lambda _: True)
    assert (bead["spec"]["title"], bead["spec"]["priority"]) == ("Slung from a form", "Low")
    await button(seen, "Several: YAML or Markdown").click()
    text = seen.page.get_by_role("textbox")
    await text.fill("- {name: sling-a, title: One, suspend: true}\n- {name: sling-b, title: Two, priority: Urgent}\n")
    await button(seen, "Sling").click()
    await seen.see(re.compile("Urgent|priority"), within="form, .answer")
    assert await dash.api.get(BEAD, dash.namespace, "sling-a") is None, "one was made although another can't be"
    await text.fill("- {name: sling-a, title: One, suspend: true}\n- {name: sling-b, title: Two, suspend: true}\n")
    await button(seen, "Check only").click()
    await seen.see("2 beads can be made")
    assert await dash.api.get(BEAD, dash.namespace, "sling-a") is None, "a check has made a bead"
    await button(seen, "Sling").click()
    await seen.see("2 beads slung")
    for name in ("sling-a", "sling-b"):
        made = await dash.until(BEAD, name, lambda bead: condition(bead, "Succeeded") is not None)
        assert reason(made) == "Suspended"
