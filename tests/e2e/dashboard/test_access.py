"""Who may look: one-time links, tokens, somebody with few rights or none."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from support.browser.cluster import Watched
from support.browser.viewer import OpenViewer
from support.whole import commit

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_link_of_the_command_line_opens_the_page_once(dash: Watched, open_viewer: OpenViewer) -> None:
    code, output = await dash.polecat_command("dashboard", "--no-open", "--data-dir", str(dash.cluster.data.path))
    assert code == 0, output
    link = output.split()[-1]
    assert link.startswith(f"{dash.origin}/login#")
    path = link.removeprefix(dash.origin)
    seen = await open_viewer(path, signed_in=False)
    await seen.see("at work")
    assert seen.page.url == f"{dash.origin}/", "the code is still in the address"
    (cookie,) = await seen.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    again = await open_viewer(path, signed_in=False)
    await again.see("This link was used before")
    assert path.partition("#")[2] not in again.page.url
    assert await again.context.cookies() == []


async def test_a_token_that_is_pasted_signs_in_and_out_again(dash: Watched, open_viewer: OpenViewer) -> None:
    seen = await open_viewer("/beads", signed_in=False)
    token = seen.page.get_by_label("Bearer token")
    await token.fill("not-a-token-of-this-cluster")
    await seen.page.get_by_role("button", name="Sign in").click()
    await seen.see("does not accept this token")
    await token.fill(await dash.token())
    await seen.page.get_by_role("button", name="Sign in").click()
    await expect(seen.page.get_by_role("heading", name="Beads", level=1)).to_be_visible()
    await seen.page.get_by_role("button", name="Sign out").click()
    await expect(seen.page.get_by_label("Bearer token")).to_be_visible()
    await seen.goto("/beads")
    await expect(seen.page.get_by_label("Bearer token")).to_be_visible()


async def test_who_may_see_nothing_is_told_so(dash: Watched, open_viewer: OpenViewer) -> None:
    token = await dash.person("stranger")
    seen = await open_viewer("/", signed_in=False, headers={"authorization": f"Bearer {token}"})
    await seen.see("Nothing here is for you to see.")
    assert await seen.page.get_by_role("article").count() == 0


async def test_who_may_list_but_not_read_streams_sees_no_word_of_them(dash: Watched, open_viewer: OpenViewer) -> None:
    listing = {"apiGroups": ["polecat.dev"], "resources": ["beads", "polecats", "rigs", "towns"], "verbs": ["list"]}
    token = await dash.person("lister", [listing])
    steps = [
        # Written apart, as the command itself is told in the Polecat's `activity`, which who may list it may read.
        {"say": "marmalade", "bash": f"echo trea''cle; {dash.gates.command('secretive')}"},
        commit("secretive.txt"),
        {"done": "ok"},
    ]
    await dash.bead("secretive", steps, title="Nobody may read along")
    await dash.until_true(lambda: "secretive" in dash.gates.arrived, "the agent is at work")
    polecat = (await dash.polecats())["secretive"]
    # Who may read sees it, so that it is there to be seen.
    allowed = await open_viewer("/")
    await allowed.see("treacle")
    seen = await open_viewer("/", signed_in=False, headers={"authorization": f"Bearer {token}"})
    await seen.see("Nobody may read along")
    told = {
        "/": "nothing said yet",
        f"/polecats/default/{polecat['metadata']['name']}": "You may not read this stream.",
        "/streams/default/secretive/1": "You may not read this stream.",
        "/beads/default/secretive": "You may list beads here, but not read their prompts",
    }
    for path, words in told.items():
        await seen.goto(path)
        await seen.see(re.compile(words))
        shown = await seen.page.locator("body").inner_text()
        for word in ("marmalade", "treacle", "Please do this"):
            assert word not in shown, f"{word} is shown at {path}"
    dash.gates.open("secretive")
    await dash.succeeded("secretive")
