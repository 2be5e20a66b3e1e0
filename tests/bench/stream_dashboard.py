"""What the dashboard adds: latency, CPU, memory, and what it asks of the API server, with 0, 1 and 50 viewers."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bench.stage import say
from bench.stream_parts import MARGIN_SECONDS, Part, row
from polecat_api.times import format_time
from polecat_kube.api import KubeApi
from polecat_kube.connection import from_kubeconfig
from polecat_kube.resources import BEAD, POLECAT, RIG, TOWN
from polecat_local import install
from polecat_local.cluster import ClusterSettings, LocalCluster
from polecat_local.kubeconfig import write_kubeconfig
from polecat_local.ports import choose_port
from support.fake_agent import FAKE_KILO
from support.http_proxy import HttpProxy
from support.objects import polecat_spec

Json = dict[str, Any]
NAMESPACE = "default"
READY_SECONDS = 120.0
LOOK_SECONDS = 60.0
"""At least; what a dashboard asks the API server again every half a minute is then in it twice for everybody."""
SETTLE_SECONDS = 3.0
"""After all viewers are there: their first questions to the API server are not those of a minute."""


@dataclass
class Site:
    """A dashboard in a process of its own, before it an API server whose requests are counted."""

    url: str
    token: str
    process: psutil.Process
    uids: list[str]
    """Of the beads that agents work on."""
    api: KubeApi
    requests: list[float] = field(default_factory=list)
    """One entry for each request to the API server, watches included."""

    async def tell_url(self, streams_url: str) -> None:
        """Where the town's streams are read from now on."""
        pod = {"name": "main-0", "uid": "u", "seenTime": format_time(datetime.now(UTC)), "streamsURL": streams_url}
        await self.api.patch_merge(TOWN, NAMESPACE, "main", {"status": {"conditions": [], "pods": [pod]}}, "status")

    def path(self, number: int) -> str:
        """Of one agent's stream at the dashboard."""
        return f"/api/streams/{NAMESPACE}/bead-{number}/1"


@asynccontextmanager
async def site(agents: int) -> AsyncIterator[Site]:
    """A control plane with so many polecats at work, and a dashboard that is ready."""
    with tempfile.TemporaryDirectory(prefix="polecat-bench-") as folder:
        directory = Path(folder)
        settings = ClusterSettings(directory / "cluster", kilo_path=FAKE_KILO, run_operator=False, run_town=False)
        cluster = await LocalCluster.prepare(settings)
        await cluster.start()
        requests: list[float] = []

        def count(_: str, __: str) -> bool:
            requests.append(asyncio.get_running_loop().time())
            return False

        try:
            async with cluster.api() as api, HttpProxy(count) as proxy:
                own = from_kubeconfig(cluster.data.path / "dashboard.kubeconfig")
                proxy.target = own
                kubeconfig = write_kubeconfig(
                    directory / "dashboard.kubeconfig", replace(own, server=proxy.url, ca=None), "dashboard"
                )
                uids = [await _at_work(api, number) for number in range(agents)]
                plane = cluster.control_plane
                token = await install.service_account_token(
                    plane.kubectl, plane.kubeconfig, install.SYSTEM_NAMESPACE, install.USER_ACCOUNT
                )
                port = choose_port(directory / "port")
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", "polecat_dashboard",
                    env={**os.environ, "KUBECONFIG": str(kubeconfig), "POLECAT_DASHBOARD_LISTEN": f"127.0.0.1:{port}"},
                )  # fmt: skip
                try:
                    url = f"http://127.0.0.1:{port}"
                    await _ready(url, token)
                    yield Site(url, token, psutil.Process(process.pid), uids, api, requests)
                finally:
                    process.terminate()
                    await process.wait()
        finally:
            await cluster.stop()


async def _at_work(api: KubeApi, number: int) -> str:
    """A bead and the polecat that has claimed it; the UID of the bead."""
    if number == 0:
        model = {"provider": "openai-compatible", "name": "m", "endpoint": "https://models.example/v1"}
        spec: Json = {"townRef": {"name": "main"}, "repository": {"url": "https://git.example/web.git"}, "model": model}
        await api.create(RIG, NAMESPACE, {"metadata": {"name": "web"}, "spec": spec})
    bead_spec = {"rigRef": {"name": "web"}, "title": f"Work {number}", "prompt": "Work"}
    bead = await api.create(BEAD, NAMESPACE, {"metadata": {"name": f"bead-{number}"}, "spec": bead_spec})
    uid = str(bead["metadata"]["uid"])
    name = f"agent{number}"
    spec = polecat_spec(
        name=name, beadRef={"name": f"bead-{number}", "uid": uid}, branch=f"polecat/{name}/{uid[:6]}", title="Work"
    )
    await api.create(POLECAT, NAMESPACE, {"metadata": {"name": f"web-{name}"}, "spec": spec})
    claim = {"pod": "main-0", "podUID": "u", "time": format_time(datetime.now(UTC))}
    await api.patch_merge(POLECAT, NAMESPACE, f"web-{name}", {"status": {"conditions": [], "claim": claim}}, "status")
    return uid


async def _ready(url: str, token: str) -> None:
    async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/api/session", headers={"Authorization": f"Bearer {token}"}) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def measure(options: Any, viewers: Sequence[int]) -> list[Json]:
    """A row for each number of viewers: each looks at the town and reads one agent, through one dashboard."""
    rows = []
    async with site(options.agents) as there:
        for count in viewers:
            say(f"{count} viewers of the dashboard")
            rows.append(await _look(options, there, count))
    return rows


async def _look(options: Any, there: Site, viewers: int) -> Json:
    seconds = max(options.seconds, LOOK_SECONDS)
    with tempfile.TemporaryDirectory() as directory:
        root, port_file = Path(directory), Path(directory) / "url"
        writer = await Part.start(
            "write",
            root=directory, agents=options.agents, rate=options.rate, seconds=seconds,
            port_file=str(port_file), uids=there.uids,
        )  # fmt: skip
        while not port_file.exists():
            await asyncio.sleep(0.05)
        await there.tell_url(port_file.read_text().removesuffix("/v1/streams"))
        reader = await Part.start(
            "watch",
            wait=True, root=directory, url=there.url, paths=[there.path(n % options.agents) for n in range(viewers)],
            also="/api/changes?tails=1", headers=f"Authorization: Bearer {there.token}\r\n",
            seconds=seconds + MARGIN_SECONDS + SETTLE_SECONDS,
        )  # fmt: skip
        await asyncio.sleep(SETTLE_SECONDS)
        before, cpu = len(there.requests), there.process.cpu_times()
        began = asyncio.get_running_loop().time()
        (root / "go").touch()
        written, seen = await writer.result(), await reader.result()
        minutes = (asyncio.get_running_loop().time() - began) / 60
        spent = there.process.cpu_times()
        used = (spent.user + spent.system - cpu.user - cpu.system) / (minutes * 60)
        expected = written["written"] * viewers / options.agents or 1
        made = row(f"dashboard, {viewers} viewers: town and one agent each", written, [seen], used, expected)
        if not viewers:
            made = {key: value for key, value in made.items() if key not in ("seen_share", "p50_ms", "p99_ms")}
        memory = there.process.memory_info().rss / (1 << 20)
        return made | {
            "memory_first_mib": memory, "memory_most_mib": memory, "memory_last_mib": memory,
            "requests_per_minute": (len(there.requests) - before) / minutes,
        }  # fmt: skip
