"""What an attempt has changed, as the town tells it while the agent works and after it has ended."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from support.control_plane import Kubectl
from support.fake_agent import Faults
from support.town_harness import LONG, TownHarness, git

GATE = "while [ ! -e go ]; do sleep 0.05; done; rm go"
SECRET = "hunter2-swordfish-9"
Json = dict[str, Any]


def account(kubectl: Kubectl, name: str, *, may_read: bool) -> str:
    """The token of somebody new."""
    kubectl("create", "serviceaccount", name)
    if may_read:
        subject = f"--serviceaccount={kubectl.namespace}:{name}"
        kubectl("create", "rolebinding", name, "--clusterrole=polecat-stream-reader", subject)
    return kubectl("create", "token", name).strip()


async def ask(harness: TownHarness, polecat: Json, token: str, query: str = "") -> tuple[int, str]:
    """Status and body of the town's answer."""
    entry = await harness.pod_entry()
    assert entry is not None
    spec = polecat["spec"]
    url = f"{entry['streamsURL']}/v1/changes/{spec['beadRef']['uid']}/{spec['attempt']}{query}"
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers={"Authorization": f"Bearer {token}"}) as answer,
    ):
        return answer.status, await answer.text()


async def changes(harness: TownHarness, polecat: Json, token: str, query: str = "") -> Json:
    """The answer, which must be one."""
    status, text = await ask(harness, polecat, token, query)
    assert status == 200, (status, text)
    return dict(json.loads(text))


async def test_changes_while_it_works_and_after(harness: TownHarness, kubectl: Kubectl) -> None:
    await harness.secret("model", {"apiKey": SECRET})
    model = {"provider": "openai-compatible", "name": "scripted", "endpoint": harness.model.url}
    await harness.rig("guarded", model={**model, "apiKeySecretRef": {"name": "model"}})
    reader = account(kubectl, "reader", may_read=True)
    stranger = account(kubectl, "stranger", may_read=False)
    await harness.start_town()
    steps = [
        {"bash": f"echo 'key: {SECRET}' > made.txt && git add made.txt && git commit -qm 'Add {SECRET}'"},
        {"bash": f"echo loose > loose.txt; {GATE}; rm loose.txt"},
        {"done": "Made."},
    ]
    polecat = await harness.sling("made", steps, rig="guarded")
    await harness.until_running(polecat)

    async def waits() -> bool:
        return (harness.worktree(polecat) / "loose.txt").exists()

    await harness.until(waits, "the agent waits")
    answers = await asyncio.gather(*(changes(harness, polecat, reader) for _ in range(5)))
    assert all(answer == answers[0] for answer in answers)
    found = answers[0]
    assert found["live"] is True and found["baseCommit"] == (await git(harness.remote, "rev-parse", "main")).strip()
    assert {file["path"]: file["status"] for file in found["files"]} == {"made.txt": "A", "loose.txt": "A"}
    assert "+loose" in next(file["diff"] for file in found["files"] if file["path"] == "loose.txt")
    assert SECRET not in json.dumps(found)
    assert [commit["subject"] for commit in found["commits"]] == ["Add [redacted]"]
    assert (await ask(harness, polecat, stranger))[0] == 403
    assert (await ask(harness, polecat, "nonsense"))[0] == 401
    (harness.worktree(polecat) / "go").touch()
    await harness.until_finished(polecat)
    await harness.delete(polecat)
    after = await changes(harness, polecat, reader)
    assert after["live"] is False and [file["path"] for file in after["files"]] == ["made.txt"]
    assert after["commits"] == found["commits"] and after["headCommit"] == found["headCommit"]
    assert SECRET not in json.dumps(after)
    assert not (await changes(harness, polecat, reader, "?commits=1"))["files"]
    # It is known after a restart, too; what never was is not.
    await harness.drain_town()
    await harness.start_town()
    assert await changes(harness, polecat, reader) == after
    unknown = {"spec": {**polecat["spec"], "attempt": 7}}
    assert (await ask(harness, unknown, reader))[0] == 404


async def test_what_is_cut_off_by_the_end_is_not_told_after_it(harness: TownHarness) -> None:
    """The command ends before the agent does, which has a moment to say that it failed."""
    harness.spoil(Faults(ignore_term=True))
    await harness.start_town(terminate_seconds=3)
    polecat = await harness.sling("stopped", [{"say": "This takes long.", "bash": LONG}, {"done": "Never."}])
    await harness.until_running(polecat)

    async def at_work() -> bool:
        return any(event["kind"] == "tool" for event in harness.journal(polecat))

    await harness.until(at_work, "the command runs")
    assert await harness.drain_town() == 0
    kinds = harness.kinds(polecat)
    after = kinds[kinds.index("ended") + 1 :]
    assert not set(after) - {"saved", "step"}, kinds
