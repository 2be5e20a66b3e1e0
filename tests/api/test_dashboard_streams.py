"""Streams through the dashboard: passed on exactly, to who may read them, and read once for all tiles."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from polecat_api.times import format_time
from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, POLECAT, RIG, TOWN
from support.control_plane import Kubectl, SharedControlPlane
from support.dashboard_site import USER_RULES, Browser, Site, dashboard_site, person
from support.objects import polecat_spec
from support.small_town import SmallTown

STREAM = "fix-login/1"


@dataclass
class Work:
    """A bead that a polecat works on, in a town that can be read."""

    site: Site
    town: SmallTown
    namespace: str
    token: str

    @property
    def path(self) -> str:
        """Of its stream at the dashboard."""
        return f"/api/streams/{self.namespace}/{STREAM}"


@pytest.fixture
async def work(
    control_plane: SharedControlPlane, kubectl: Kubectl, kube_api: KubeApi, namespace: str, tmp_path: Path
) -> AsyncIterator[Work]:
    """One agent at work, and a dashboard that knows of it."""
    spec = {"rigRef": {"name": "web"}, "title": "Fix the login", "prompt": "Fix it"}
    bead = await kube_api.create(BEAD, namespace, {"metadata": {"name": "fix-login"}, "spec": spec})
    uid = bead["metadata"]["uid"]
    async with SmallTown(uid) as town:
        await _make_objects(kube_api, namespace, uid, town.url)
        token = person(kubectl, "ada", USER_RULES)
        async with dashboard_site(control_plane, tmp_path) as site:
            yield Work(site, town, namespace, token)


async def _make_objects(api: KubeApi, namespace: str, uid: str, url: str) -> None:
    model = {"provider": "openai-compatible", "name": "some-model", "endpoint": "https://models.example/v1"}
    rig = {"townRef": {"name": "main"}, "repository": {"url": "https://git.example/web.git"}, "model": model}
    polecat = polecat_spec(beadRef={"name": "fix-login", "uid": uid})
    await api.create(TOWN, namespace, {"metadata": {"name": "main"}, "spec": {}})
    await api.create(RIG, namespace, {"metadata": {"name": "web"}, "spec": rig})
    await api.create(POLECAT, namespace, {"metadata": {"name": "web-toast"}, "spec": polecat})
    stamp = format_time(datetime.now(UTC))
    pod = {"name": "main-0", "uid": "pod-uid", "seenTime": stamp, "streamsURL": url}
    await api.patch_merge(TOWN, namespace, "main", {"status": {"conditions": [], "pods": [pod]}}, "status")
    claim = {"pod": "main-0", "podUID": "pod-uid", "time": stamp}
    await api.patch_merge(POLECAT, namespace, "web-toast", {"status": {"conditions": [], "claim": claim}}, "status")


async def read(browser: Browser, path: str, **headers: str) -> list[tuple[str, Any]]:
    """All events until the end."""
    async with asyncio.timeout(60):
        return [event async for event in browser.events(path, **headers)]


async def opened(browser: Browser, path: str) -> None:
    """Until the dashboard has seen the objects that lead to the stream."""
    async with asyncio.timeout(60):
        while (await browser.get(f"{path}/download")).status != 200:
            await asyncio.sleep(0.05)


async def test_a_stream_is_passed_on_as_it_is_and_gone_on_with(work: Work) -> None:
    async with work.site.browser() as browser:
        await browser.sign_in(work.token)
        for number in range(3):
            await work.town.tell("text", part=f"p{number}", text=f"line {number} </script> €", reasoning=False)
        await opened(browser, work.path)
        reading = asyncio.create_task(read(browser, work.path))
        while not work.town.readers:
            await asyncio.sleep(0.02)
        await work.town.tell("status", message="as it happens")
        await work.town.end()
        told = await reading
        assert [data for kind, data in told if kind != "end"] == work.town.events
        assert told[-1][0] == "end"
        rest = work.town.events[2:]
        assert [data for _, data in await read(browser, f"{work.path}?from=3")][:-1] == rest
        again = await read(browser, f"{work.path}?from=1", **{"Last-Event-ID": "2"})
        assert [data for _, data in again][:-1] == rest
        lines = (await browser.get(f"{work.path}/download")).text.splitlines()
        assert [json.loads(line) for line in lines] == work.town.events
        listed = (await browser.get(f"/api/streams/{work.namespace}/fix-login")).json
        assert listed == [{"attempt": 1, "first": 1, "last": 4, "ended": True}]
    assert work.town.tokens and not any(work.token in shown for shown in work.town.tokens), (
        "a town never sees people's tokens"
    )


async def test_changes_are_passed_on_to_who_may_read_the_stream(work: Work, kubectl: Kubectl) -> None:
    stranger = person(kubectl, "stranger", [{"apiGroups": ["polecat.dev"], "resources": ["beads"], "verbs": ["*"]}])
    work.town.changes = {"files": [{"path": "</script>.txt", "diff": "+€"}], "commits": []}
    async with work.site.browser() as browser, work.site.browser(authorization=f"Bearer {stranger}") as other:
        await browser.sign_in(work.token)
        await opened(browser, work.path)
        answer = await browser.get(f"{work.path}/changes")
        assert answer.json == {**work.town.changes, "asked": {}} and answer.headers["Cache-Control"] == "no-store"
        assert (await browser.get(f"{work.path}/changes?commits=1")).json["asked"] == {"commits": "1"}
        assert (await browser.get(f"/api/streams/{work.namespace}/fix-login/2/changes")).status == 404
        refused = await other.get(f"{work.path}/changes")
        assert refused.status == 403 and "script" not in refused.text
        assert not any(work.token in shown for shown in work.town.tokens), "a town never sees people's tokens"
        await work.town.stop()
        answer = await browser.get(f"{work.path}/changes")
        assert answer.status == 502 and "127.0.0.1" not in answer.text


async def test_a_town_that_is_away_is_told_without_its_address(work: Work) -> None:
    async with work.site.browser() as browser:
        await browser.sign_in(work.token)
        await opened(browser, work.path)
        await work.town.stop()
        answer = await browser.get(work.path)
        assert answer.status == 502 and "127.0.0.1" not in answer.text
        assert (await browser.get(f"/api/streams/{work.namespace}/fix-login/2")).status == 404


async def test_tiles_of_all_viewers_read_a_stream_once(work: Work, kubectl: Kubectl) -> None:
    rules = [{"apiGroups": ["polecat.dev"], "resources": ["polecats", "beads"], "verbs": ["list"]}]
    blind = person(kubectl, "blind", rules)

    async def tail(token: str) -> Any:
        async with work.site.browser(authorization=f"Bearer {token}") as browser:
            return await browser.first("/api/changes?tails=1", "tails")

    assert work.town.readers == 0, "nobody looks, so nothing is read"
    looking = [asyncio.create_task(tail(work.token)) for _ in range(10)]
    unseen = asyncio.create_task(tail(blind))
    async with asyncio.timeout(60):
        while not all(task.done() for task in looking):
            await work.town.tell("tool", callID="c", tool="bash", state="running", input={"command": "npm test"})
            await asyncio.sleep(0.2)
            assert work.town.readers <= 1
    for task in looking:
        (lines,) = task.result().values()
        assert lines[-1][1:] == ["tool", "bash npm test"]
    assert not unseen.done(), "who may not read streams gets no line of one"
    unseen.cancel()
