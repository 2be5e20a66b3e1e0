"""I24, I28, I41: remotes that hang, repositories that are in the way, clocks that differ."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from polecat_api.protocol import TOKEN_LEEWAY_SECONDS
from polecat_kube.resources import RIG
from polecat_town.git import remote as remote_module
from polecat_town.git.store import Remote, Store
from polecat_town.git.workspace import Workspace
from support.town_harness import LONG, TownHarness, git

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


async def test_i24_a_remote_that_hangs_is_given_up_and_the_commit_kept(
    harness: TownHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push never came back, and nothing was ever said."""
    monkeypatch.setattr(remote_module, "PUSH_SECONDS", 2.0)
    store = Store(harness.data_dir / "rigs" / "web", Remote("web", f"file://{harness.remote}", "main", "polecat"))
    fetched = await store.fetch("main", "bead")
    workspace = Workspace(store, "toast", "11111111-1", "polecat/toast/abc123", "main", fetched.base_commit)
    await workspace.create(fetched.base_commit)
    done = await workspace.run("echo 1 > one.txt && git add -A && git commit -qm One", 30.0)
    assert done.ok, done.output
    commit = await store.take_over(workspace)
    assert commit is not None
    hook = harness.remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexec sleep 120\n")
    hook.chmod(0o755)
    pushed = await store.push(commit, workspace.branch)
    assert not pushed.ok
    assert "2 s" in pushed.message
    assert await store.work_commit(workspace.uid) == commit
    assert not await store.release(workspace.uid)


async def test_i28_a_branch_with_the_prefixs_name_is_told_and_recovered_from(watched_harness: TownHarness) -> None:
    """A branch `polecat` in the user's repository blocked every push, and nobody knew why."""
    harness = watched_harness
    await git(harness.remote, "branch", "polecat", "main")
    await harness.start_town(probe_seconds=1)

    async def ready() -> tuple[str, str, str]:
        found = await harness.api.get(RIG, harness.namespace, "web")
        listed = ((found or {}).get("status") or {}).get("conditions") or []
        entry = next((c for c in listed if c["type"] == "RepositoryReady"), None)
        return (entry["status"], entry["reason"], entry["message"]) if entry else ("", "", "")

    async def blocked() -> bool:
        return (await ready())[:2] == ("False", "BranchBlocked")

    async def well() -> bool:
        return (await ready())[0] == "True"

    await harness.until(blocked, "the rig says that it is blocked")
    assert "polecat" in (await ready())[2]
    assert set(await harness.remote_refs()) == {"HEAD", "refs/heads/main", "refs/heads/polecat"}
    await git(harness.remote, "branch", "-D", "polecat")
    await harness.until(well, "the rig recovers by itself")
    polecat = await harness.sling("free")
    await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Done")


async def test_i41_clocks_two_minutes_apart_refuse_nobody(watched_harness: TownHarness) -> None:
    """A token ran out in a long session; here two clocks differ by almost two minutes, either way."""
    harness = watched_harness
    await harness.start_town()
    polecat = await harness.sling("long", [{"bash": LONG}])
    await harness.until_running(polecat)
    uid, bead, now = polecat["metadata"]["uid"], polecat["spec"]["beadRef"]["uid"], int(time.time())
    apart = TOKEN_LEEWAY_SECONDS - 20
    ahead = harness.signer.token(uid, bead, 1, iat=now + apart, nbf=now + apart, exp=now + 3600)
    behind = harness.signer.token(uid, bead, 1, iat=now - 7200, nbf=now - 7200, exp=now - apart)
    far = harness.signer.token(uid, bead, 1, iat=now - 7200, nbf=now - 7200, exp=now - 2 * TOKEN_LEEWAY_SECONDS)
    assert [await ask(harness, token) for token in (ahead, behind, far)] == [200, 200, 401]
    # Revoked is what is no longer needed: at once, not when the token runs out.
    await harness.delete(polecat)
    await harness.until_gone(polecat)
    assert await asyncio.gather(*(ask(harness, token) for token in (ahead, behind))) == [401, 401]


async def ask(harness: TownHarness, token: str) -> int:
    """The HTTP status of an agent's first request."""
    port = (harness.data_dir / "agent-port").read_text()
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}/mcp", json=INITIALIZE, headers=headers) as answer,
    ):
        return answer.status
