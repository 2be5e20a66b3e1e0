"""The town's figures, as Prometheus reads them, of a real supervisor with real Git and the fake agent."""

from __future__ import annotations

import time

from support.scraping import Scrape, scrape
from support.town_harness import LONG, TownHarness

COMMIT = "git add -A && git commit -q -m Work"


async def look(harness: TownHarness) -> Scrape:
    """What the pod shows now."""
    port = (harness.data_dir / "town-port").read_text()
    return await scrape(f"http://127.0.0.1:{port}")


async def test_figures_follow_a_bead_from_claim_to_push(harness: TownHarness) -> None:
    await harness.start_town()
    seen = await look(harness)
    assert seen.value("polecat_town_state", state="Ok") == 1
    assert seen.value("polecat_town_slots") == 5
    assert 0 < seen.value("polecat_town_memory_bytes") < seen.value("polecat_town_memory_limit_bytes")
    assert 0 < seen.value("polecat_town_volume_free_bytes") < seen.value("polecat_town_volume_size_bytes")
    assert seen.value("polecat_town_pushes_total") == 0
    secret = "ghp_" + "a1b2" * 9
    script = [
        {"bash": f"echo token {secret} > a.txt; cat a.txt; rm a.txt; echo b > b.txt; {COMMIT}"},
        {"done": "Did it."},
    ]
    working = await harness.sling("endless", [{"bash": LONG}])
    polecat = await harness.sling("counted", script, name="maple")
    await harness.until_finished(polecat)
    await harness.until_running(working)
    seen = await look(harness)
    for operation in ("probe", "fetch", "worktree", "takeover", "push"):
        assert seen.value("polecat_town_git_seconds_count", operation=operation) >= 1, operation
    assert seen.value("polecat_town_git_failures_total") == 0
    assert seen.value("polecat_town_pushes_total", outcome="ok") == 1
    assert seen.value("polecat_town_ends_total", reason="Done") == 1
    assert seen.value("polecat_town_agents", step="Running") == 1
    assert seen.value("polecat_town_start_seconds_count") == 2
    assert seen.value("polecat_town_stream_bytes_total") > 1000
    assert seen.value("polecat_town_redactions_total") >= 1
    assert 0 < seen.value("polecat_town_report_age_seconds") < 60
    assert 0 < seen.value("polecat_town_lease_age_seconds") < 60
    requests = "polecat_town_api_requests_total"
    assert seen.value(requests, verb="patch", resource="polecats/status", code="200") >= 4
    assert seen.value(requests, verb="apply", resource="towns/status", code="200") >= 1
    for resource in ("towns", "rigs", "polecats"):
        assert seen.value(requests, verb="watch", resource=resource, code="200") >= 1
        assert time.time() - seen.value("polecat_town_watch_start_timestamp_seconds", resource=resource) < 60


async def test_a_remote_that_refuses_shows_in_pushes_and_saves(harness: TownHarness) -> None:
    await harness.start_town()
    polecat = await harness.sling("unwanted", [{"bash": f"echo a > a.txt; {COMMIT}"}, {"done": "Did it."}])
    hook = harness.remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    await harness.until_finished(polecat)
    seen = await look(harness)
    assert seen.value("polecat_town_pushes_total", outcome="rejected") == 3
    assert seen.value("polecat_town_git_failures_total", operation="push") == 3
    assert seen.value("polecat_town_saves_total", where="store") == 1
    assert seen.value("polecat_town_git_failures_total", operation="save") == 1
