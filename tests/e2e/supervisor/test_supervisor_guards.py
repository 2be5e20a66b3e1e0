"""Who may speak for an agent, and what a frozen or cut off supervisor does."""

from __future__ import annotations

import asyncio
import signal

import aiohttp

from polecat_kube.resources import POLECAT, RIG
from support.town_harness import LONG, TownHarness
from support.town_made import Signer

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


async def ask(harness: TownHarness, path: str, token: str | None, body: object = INITIALIZE) -> int:
    """The HTTP status of a request to the agents' endpoint."""
    port = (harness.data_dir / "agent-port").read_text()
    headers = {"Accept": "application/json, text/event-stream"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}{path}", json=body, headers=headers) as answer,
    ):
        return answer.status


async def operations(harness: TownHarness, path: str) -> tuple[int, str]:
    """Status and text of a request to the operations' endpoint."""
    port = (harness.data_dir / "town-port").read_text()
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_only_a_current_polecats_own_token_opens_tools_and_model(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("guarded", [{"bash": LONG}])
    await harness.until_running(polecat)
    uid, bead = polecat["metadata"]["uid"], polecat["spec"]["beadRef"]["uid"]
    good = harness.signer.token(uid, bead, 1)
    assert await ask(harness, "/mcp", good) == 200
    refused = {
        "none": None,
        "other key": Signer("k1").token(uid, bead, 1),
        "expired": harness.signer.token(uid, bead, 1, exp=1_000_000),
        "audience": harness.signer.token(uid, bead, 1, aud="polecat-streams"),
        "attempt": harness.signer.token(uid, bead, 2),
        "sibling": harness.signer.token("somebody", bead, 1),
    }
    for what, token in refused.items():
        assert await ask(harness, "/mcp", token) == 401, what
        assert await ask(harness, "/model/v1/chat/completions", token) == 401, what
        if token:
            assert token not in harness.log_text()
    _, text = await operations(harness, "/metrics")
    assert 'polecat_town_refused_tokens_total{cause="signature"} 2.0' in text

    await harness.delete(polecat)
    await harness.until_gone(polecat)
    assert await ask(harness, "/mcp", good) == 401


async def test_keys_and_tokens_are_nowhere_to_be_read(harness: TownHarness) -> None:
    await harness.model.stop()
    harness.model.api_key = "sk-very-secret-key"
    await harness.model.start()
    await harness.secret("model-key", {"apiKey": "sk-very-secret-key"})
    model = {
        "provider": "openai-compatible",
        "name": "scripted",
        "endpoint": harness.model.url,
        "apiKeySecretRef": {"name": "model-key"},
    }
    await harness.rig("keyed", model=model)
    await harness.start_town()
    polecat = await harness.sling(
        "keyed-work", [{"bash": "env; cat /proc/*/environ; true"}, {"bash": LONG}], rig="keyed"
    )

    async def at_work() -> bool:
        return harness.kinds(polecat).count("tool") >= 3

    await harness.until(at_work, "the agent has looked around")
    for process in harness.agents():
        assert "sk-very-secret-key" not in str(process.environ()) + " ".join(process.cmdline())
    journal = str(harness.journal(polecat))
    assert "sk-very-secret-key" not in journal + harness.log_text()
    assert "eyJ" not in journal + harness.log_text()


async def test_a_supervisor_that_was_frozen_past_the_fence_ends_its_agents(harness: TownHarness) -> None:
    await harness.start_town(fencing_seconds=3)
    script = [{"bash": "echo 1 > one.txt && git add -A && git commit -qm One"}, {"bash": LONG}]
    polecat = await harness.sling("frozen", script)
    await harness.until_running(polecat)

    async def committed() -> bool:
        return harness.kinds(polecat).count("tool") >= 3

    await harness.until(committed, "the agent has committed")
    assert harness.town is not None
    harness.town.send_signal(signal.SIGSTOP)
    await asyncio.sleep(4)  # the freeze itself, not a wait for something
    harness.town.send_signal(signal.SIGCONT)
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Interrupted")
    assert "Lease" in status["exit"]["message"]
    assert (await harness.remote_refs())[status["savedRef"]] == status["savedCommit"]
    assert not harness.agents(polecat["metadata"]["uid"])

    again = await harness.sling("after-the-frost", name="maple")
    await harness.until_finished(again)
    assert await harness.condition(again, "Finished") == ("True", "Done")


async def test_a_report_for_an_earlier_bearer_of_the_name_is_refused(harness: TownHarness) -> None:
    await harness.start_town()
    first = await harness.sling("first", [{"bash": LONG}])
    await harness.until_running(first)
    assert harness.town is not None
    harness.town.send_signal(signal.SIGSTOP)
    patch = [{"op": "remove", "path": "/metadata/finalizers"}]
    await harness.api.patch_json(POLECAT, harness.namespace, "web-toast", patch)
    await harness.delete(first)
    second = await harness.sling("second")
    harness.town.send_signal(signal.SIGCONT)
    status = await harness.until_finished(second)
    assert await harness.condition(second, "Finished") == ("True", "Done")
    assert status["result"]["summary"] == "Added work.txt."

    async def ended() -> bool:
        return not harness.agents(first["metadata"]["uid"])

    await harness.until(ended, "the first one's agent has ended")


async def test_the_rig_is_told_what_its_repository_says(harness: TownHarness) -> None:
    await harness.rig("nowhere", repository={"url": f"file://{harness.directory}/none.git"})
    await harness.start_town()

    async def ready(rig: str) -> tuple[str, str]:
        found = await harness.api.get(RIG, harness.namespace, rig)
        listed = ((found or {}).get("status") or {}).get("conditions") or []
        return next(((c["status"], c["reason"]) for c in listed if c["type"] == "RepositoryReady"), ("", ""))

    async def both() -> bool:
        return await ready("web") == ("True", "RepositoryOk") and await ready("nowhere") == (
            "False",
            "RepositoryUnreachable",
        )

    await harness.until(both, "both rigs are told")
    (harness.directory / "none.git").symlink_to(harness.remote)

    async def recovered() -> bool:
        return await ready("nowhere") == ("True", "RepositoryOk")

    await harness.until(recovered, "it recovers by itself")


async def test_health_is_told(harness: TownHarness) -> None:
    await harness.start_town()
    assert await operations(harness, "/healthz") == (200, "ok")
    assert await operations(harness, "/readyz") == (200, "ok")
