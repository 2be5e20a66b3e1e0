"""One polecat's page: its stream as a conversation, from the beginning and as it happens."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from support.browser.cluster import Watched
from support.browser.viewer import OpenViewer, Viewer
from support.whole import commit

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLAN = """\
## The plan

1. read **everything**
2. change `one.txt`

| file | why |
|---|---|
| one.txt | first |
"""


def conversation(seen: Viewer) -> Locator:
    """What the agent says and does."""
    return seen.page.get_by_role("log")


async def test_a_conversation_is_read_as_it_happens(dash: Watched, open_viewer: OpenViewer) -> None:
    steps = [
        {"say": PLAN, "bash": "echo all is well"},
        {"say": "Now it fails.", "bash": "echo it is broken; exit 3"},
        {"bash": "echo waiting; " + dash.gates.command("read-on")},
        {"say": "The last word."},
        commit("one.txt"),
        {"done": "Changed one file."},
    ]
    await dash.bead("reading", steps, title="Something to read")
    await dash.until_true(lambda: "read-on" in dash.gates.arrived, "the agent waits")
    polecat = (await dash.polecats())["reading"]
    seen = await open_viewer(f"/polecats/default/{polecat['metadata']['name']}")
    said = conversation(seen)
    # Markdown is drawn, not shown as it was written.
    await expect(said.get_by_role("heading", name="The plan")).to_be_visible()
    await expect(said.get_by_role("listitem").filter(has_text="everything")).to_be_visible()
    await expect(said.get_by_role("cell", name="first", exact=True)).to_be_visible()
    # A tool call is folded until it is opened, one that failed is open at once.
    calls = said.locator("details.tool")
    fine, failed = calls.filter(has_text="echo all is well"), calls.filter(has_text="exit 3")
    await expect(fine.locator("pre")).to_have_count(0)
    await fine.locator("summary").click()
    await expect(fine.locator("pre")).to_contain_text("all is well")
    await expect(failed.locator("pre").last).to_contain_text("it is broken")
    # It goes on by itself, and its time line with it.
    await expect(said.get_by_text("The last word.")).to_have_count(0)
    await expect(said).to_contain_text("echo waiting")
    dash.gates.open("read-on")
    await expect(said.get_by_text("The last word.")).to_be_visible()
    await expect(said).to_contain_text("Changed one file.")
    line = seen.page.get_by_role("complementary", name="Time line and changes")
    await expect(line.get_by_role("button", name=re.compile("pushed"))).to_be_visible()
    await expect(line.get_by_role("button", name=re.compile("Done"))).to_be_visible()
    await dash.succeeded("reading")


async def test_what_changed_so_far_is_what_git_says(dash: Watched, open_viewer: OpenViewer) -> None:
    steps = [
        {"bash": "printf 'a\\nb\\n' > 'made by shell.txt' && git add -A && git commit -qm 'Make <b>it</b>'"},
        {"bash": f"echo loose > loose.txt; {dash.gates.command('so-far')}"},
        {"bash": "rm loose.txt; echo c >> 'made by shell.txt' && git commit -qam 'Add a line'"},
        {"done": "Made it."},
    ]
    await dash.bead("changing", steps)
    await dash.until_true(lambda: "so-far" in dash.gates.arrived, "the agent waits")
    seen = await open_viewer("/streams/default/changing/1")
    side = seen.page.get_by_role("complementary", name="Time line and changes")
    made, loose = (side.get_by_role("button", name=re.compile(name)) for name in ("made by shell.txt", "loose.txt"))
    await expect(made).to_contain_text("+2")
    await expect(loose).to_contain_text("new")
    await loose.click()
    await expect(side.locator(".diff-add").filter(has_text="loose")).to_be_visible()
    commits = side.get_by_role("list", name="Commits").get_by_role("listitem")
    await expect(commits).to_have_count(1)
    await expect(commits).to_contain_text("Make <b>it</b>")
    dash.gates.open("so-far")
    await dash.succeeded("changing")
    await side.get_by_role("button", name="Read the changes again").click()
    await expect(loose).to_have_count(0)
    await expect(made).to_contain_text("+3")
    await expect(commits).to_have_count(2)
    await seen.goto("/beads/default/changing")
    commits = seen.page.get_by_role("list", name="Commits").get_by_role("listitem")
    await expect(commits.first).to_contain_text("Add a line")
    await expect(commits).to_have_count(2)


async def test_search_problems_permalink_and_download(dash: Watched, open_viewer: OpenViewer, tmp_path: Path) -> None:
    steps = [
        *({"say": f"Turn {number} of many.", "bash": f"echo number {number}"} for number in range(1, 13)),
        {"bash": "echo a needle; false"},
        {"bash": "seq 1 40"},
        commit("found.txt"),
        {"done": "Found it."},
    ]
    bead = await dash.bead("haystack", steps, title="A long way")
    await dash.succeeded("haystack")
    seen = await open_viewer("/streams/default/haystack/1")
    said = conversation(seen)
    await expect(said).to_contain_text("Found it.")
    await seen.page.keyboard.press("/")
    await seen.page.keyboard.type("needle")
    count = seen.page.locator(".find-count")
    await expect(count).to_have_text(re.compile(r"^1/[1-9]"))
    await expect(said.locator("pre").filter(has_text="a needle")).to_be_in_viewport()
    await seen.page.get_by_role("searchbox", name="Search in this stream").fill("no such word")
    await expect(count).to_have_text("none")
    # To what went wrong, wherever one is.
    await seen.page.get_by_role("searchbox", name="Search in this stream").fill("")
    await said.evaluate("element => { element.scrollTop = 0 }")
    await seen.page.get_by_role("button", name=re.compile(r"\d+ problem")).click()
    await expect(said.locator("details.tool-failed").first).to_be_in_viewport()
    # A link to one event leads there in another window.
    (number,) = [
        each["seq"] for each in dash.journal(bead) if "Turn 4 of many" in str(each["data"]) and each["kind"] == "text"
    ]
    other = await open_viewer(f"/streams/default/haystack/1#e{number}")
    await expect(conversation(other).get_by_text("Turn 4 of many.")).to_be_in_viewport()
    await expect(other.page.get_by_role("button", name="Follow", exact=True)).to_have_attribute("aria-pressed", "false")
    # Downloaded is what the town has kept, line by line.
    async with seen.page.expect_download() as downloading:
        await seen.page.get_by_role("link", name="JSONL").click()
    file = tmp_path / "stream.jsonl"
    await (await downloading.value).save_as(file)
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    assert events == dash.journal(bead)


async def test_following_pauses_where_one_reads_back(dash: Watched, open_viewer: OpenViewer) -> None:
    steps = [
        {"bash": "seq 1 200"},
        {"say": "\n\n".join(f"Thought {number}." for number in range(1, 60)), "bash": dash.gates.command("pause-1")},
        {"say": "Something new.", "bash": dash.gates.command("pause-2")},
        commit("paused.txt"),
        {"done": "ok"},
    ]
    await dash.bead("paused", steps)
    await dash.until_true(lambda: "pause-1" in dash.gates.arrived, "the agent waits")
    seen = await open_viewer("/streams/default/paused/1")
    said = conversation(seen)
    following = seen.page.get_by_role("button", name="Following")
    await expect(following).to_be_visible()
    await expect(said.get_by_text("Thought 59.")).to_be_in_viewport()
    await said.hover()
    await seen.page.mouse.wheel(0, -600)
    await expect(seen.page.get_by_role("button", name="Follow", exact=True)).to_be_visible()
    before = await said.evaluate("element => element.scrollTop")
    dash.gates.open("pause-1")
    more = seen.page.get_by_role("button", name=re.compile(r"\d+ new"))
    await expect(more).to_be_visible()
    assert await said.evaluate("element => element.scrollTop") == before, "the page moved under the reader"
    await more.click()
    await expect(said.get_by_text("Something new.")).to_be_in_viewport()
    dash.gates.open("pause-2")
    await dash.succeeded("paused")


async def test_a_polecat_that_is_gone_is_told_so(open_viewer: OpenViewer) -> None:
    seen = await open_viewer("/polecats/default/web-nobody")
    await seen.see("There is no polecat of this name now.")
    await seen.goto("/streams/default/never-was/1")
    await seen.see("This stream is not there.")
    await seen.goto("/streams/default/never-was/1/more")
    await seen.see(re.compile("not found|no such page", re.IGNORECASE))
