"""`done` is proven: what an agent must have done before it is accepted, and what becomes of it when it isn't."""

from __future__ import annotations

from support.town_harness import TownHarness, git

COMMIT = "git add -A && git commit -q -m Work"


def outputs(harness: TownHarness, polecat: dict[str, object]) -> list[str]:
    """What the tool `done` has answered, in order."""
    return [
        event["data"]["output"]
        for event in harness.journal(polecat)
        if event["kind"] == "tool" and event["data"]["tool"] == "polecat_done" and event["data"]["state"] != "running"
    ]


async def test_uncommitted_changes_are_refused_and_named(harness: TownHarness) -> None:
    await harness.start_town()
    script = [
        {"bash": "echo a > a.txt && git add a.txt && git commit -q -m A && echo b > forgotten.txt"},
        {"done": "First."},
        {"bash": COMMIT},
        {"done": "Second."},
    ]
    polecat = await harness.sling("dirty", script)
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Done")
    assert status["result"]["commits"] == 2
    assert status["result"]["summary"] == "Second."
    refused, accepted = outputs(harness, polecat)
    assert "forgotten.txt" in refused
    assert accepted.startswith("Accepted")


async def test_nothing_committed_is_refused_unless_the_agent_says_so(harness: TownHarness) -> None:
    await harness.start_town()
    script = [{"done": "Nothing?"}, {"tool": "done", "args": {"summary": "All is well already.", "no_changes": True}}]
    polecat = await harness.sling("idle-work", script)
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "NoChanges")
    assert "no commit" in outputs(harness, polecat)[0]
    assert "publishedCommit" not in status
    assert set(await harness.remote_refs()) == {"HEAD", "refs/heads/main"}


async def test_another_branch_is_refused(harness: TownHarness) -> None:
    await harness.start_town()
    script = [
        {"bash": f"git switch -q -c elsewhere && echo x > x.txt && {COMMIT}"},
        {"done": "On a branch of my own."},
        {"bash": "git switch -q - && git merge -q elsewhere"},
        {"done": "Brought over."},
    ]
    polecat = await harness.sling("elsewhere", script)
    await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Done")
    assert "elsewhere" in outputs(harness, polecat)[0]
    assert f"refs/heads/{polecat['spec']['branch']}" in await harness.remote_refs()


async def test_a_failed_check_is_told_and_its_mending_accepted(harness: TownHarness) -> None:
    await harness.rig("checked", checks=["test -f a.txt", "grep -q good a.txt || { echo it is not good; exit 3; }"])
    await harness.start_town()
    script = [
        {"bash": f"echo bad > a.txt && {COMMIT}"},
        {"done": "First try."},
        {"bash": f"echo good > a.txt && {COMMIT}"},
        {"done": "Mended."},
    ]
    polecat = await harness.sling("checked-work", script, rig="checked")
    await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Done")
    assert "it is not good" in outputs(harness, polecat)[0]
    passed = [event["data"]["passed"] for event in harness.journal(polecat) if event["kind"] == "check"]
    assert passed == [True, False, True, True]


async def test_a_remote_that_rejects_is_no_success_and_the_work_is_kept(harness: TownHarness) -> None:
    hook = harness.remote / "hooks" / "update"
    await harness.start_town()
    hook.write_text('#!/bin/sh\ncase "$1" in refs/heads/*) echo "not today" >&2; exit 1;; esac\n')
    hook.chmod(0o755)
    polecat = await harness.sling("rejected")
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "PublishFailed")
    assert "not today" in status["exit"]["message"]
    assert "publishedCommit" not in status
    assert (await harness.remote_refs())[status["savedRef"]] == status["savedCommit"]
    await harness.delete(polecat)
    await harness.until_gone(polecat)


async def test_the_next_attempt_goes_on_from_saved_work(harness: TownHarness) -> None:
    await harness.start_town()
    script = [{"bash": f"echo one > one.txt && {COMMIT}"}, {"tool": "escalate", "args": {"question": "Which way?"}}]
    first = await harness.sling("twice", script)
    status = await harness.until_finished(first)
    assert await harness.condition(first, "Finished") == ("True", "Escalated")
    assert status["exit"]["message"] == "Which way?"
    await harness.delete(first)
    await harness.until_gone(first)

    second = await harness.sling("twice", name="maple", attempt=2, start_commit=status["savedCommit"])
    await harness.until_running(second)
    assert (harness.worktree(second) / "one.txt").exists()
    assert "earlier attempt" in next(e for e in harness.journal(second) if e["kind"] == "prompt")["data"]["text"]
    assert await git(harness.worktree(second), "log", "--format=%an", "-1") == "Toast (polecat)\n"
