"""The supervisor on the real API server with the fake agent: from the claim to the branch on the remote."""

from __future__ import annotations

from support.town_harness import TownHarness


async def test_work_arrives_on_the_branch_and_the_polecat_says_so(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("fix-it")
    status = await harness.until_finished(polecat)

    assert await harness.condition(polecat, "Finished") == ("True", "Done")
    branch = polecat["spec"]["branch"]
    refs = await harness.remote_refs()
    assert refs[f"refs/heads/{branch}"] == status["publishedCommit"] == status["headCommit"]
    assert status["result"] == {
        "summary": "Added work.txt.",
        "commits": 1,
        "filesChanged": 1,
        "insertions": 1,
        "deletions": 0,
    }
    assert status["claim"]["podUID"] == harness.pod_uid
    assert status["usage"]["outputTokens"] > 0

    await harness.delete(polecat)
    await harness.until_gone(polecat)
    assert not harness.agents()
    assert not harness.worktree(polecat).parent.exists()
    kinds = harness.kinds(polecat)
    order = ["claimed", "worktree", "process", "session", "prompt", "model-request", "done-called", "pushed", "ended"]
    assert [kind for kind in kinds if kind in order] == order
    assert [event["seq"] for event in harness.journal(polecat)] == list(range(1, len(kinds) + 1))
