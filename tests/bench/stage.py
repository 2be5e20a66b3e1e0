"""A whole cluster on this machine with the fake agent, for one measurement after the other."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from polecat_kube.connection import from_kubeconfig
from polecat_kube.resources import TOWN
from polecat_local.cluster import ClusterSettings, LocalCluster
from polecat_local.demo.model import ScriptedModel
from polecat_local.kubeconfig import write_kubeconfig
from support.fake_agent import FAKE_KILO
from support.tcp_proxy import TcpProxy
from support.whole import Gates, World, make_remote

PARTS = ("operator", "town")


@asynccontextmanager
async def bench_world(slots: int, proxy: TcpProxy | None = None) -> AsyncIterator[World]:
    """A running cluster with the rig `bench`; with a proxy, operator and town reach the API server through it only."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="polecat-bench-")))
        files = {part: directory / f"{part}.kubeconfig" for part in PARTS}
        settings = ClusterSettings(directory / "cluster", kilo_path=FAKE_KILO, slots=slots, drain_seconds=30)
        if proxy is not None:
            operator, town = ({"KUBECONFIG": str(files[part])} for part in PARTS)
            settings = replace(settings, run_operator=False, run_town=False, operator_env=operator, town_env=town)
        cluster = await LocalCluster.prepare(settings)
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        if proxy is not None:
            _lead_through(cluster, proxy, files)
            await cluster.operator.start()
            await cluster.town.start()
        await cluster.wait_ready()
        model = await stack.enter_async_context(ScriptedModel())
        gates = await stack.enter_async_context(Gates())
        api = await stack.enter_async_context(cluster.api())
        world = World(cluster, api, make_remote(directory / "remote.git"), model, gates)
        # A fake agent needs 15 MiB; with what a real one needs, admission by memory would hold the beads back.
        await api.patch_merge(TOWN, world.namespace, "main", {"spec": {"agentMemory": "64Mi"}})
        await world.rig("bench", polecats={"max": slots})
        yield world


def _lead_through(cluster: LocalCluster, proxy: TcpProxy, files: Mapping[str, Path]) -> None:
    server = urlsplit(cluster.connection.server)
    proxy.target = (server.hostname or "", server.port or 0)
    for part, file in files.items():
        own = from_kubeconfig(cluster.data.path / f"{part}.kubeconfig")
        write_kubeconfig(file, replace(own, server=proxy.url), part)


def say(line: str) -> None:
    """Progress, beside the figures on standard output."""
    print(line, file=sys.stderr, flush=True)


def numbers(text: str) -> list[int]:
    """`1,50,200` as numbers."""
    return [int(part) for part in text.split(",") if part]
