"""I06, I38, I39: the API server is slow, silent or away; parts reach it through a proxy of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from faults.conftest import WatchWorld
from polecat_kube.connection import from_kubeconfig
from polecat_kube.resources import BEAD
from polecat_local.kubeconfig import write_kubeconfig
from support.http_proxy import HttpProxy
from support.tcp_proxy import TcpProxy
from support.whole import LONG_SECONDS, POLL_SECONDS, World, commit, reason

AGENTS = 3
MANY_AGENTS = 25


@pytest.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    """The way of all parts to the API server."""
    async with TcpProxy() as made:
        yield made


StartBehind = Callable[..., Awaitable[World]]


@pytest.fixture
def behind(watched_worlds: WatchWorld, proxy: TcpProxy, tmp_path: Path) -> StartBehind:
    """Starts a cluster whose operator and town know the API server only through the proxy; the oracle has its own
    way. Arguments are those of ClusterSettings.
    """
    return partial(_start_behind, watched_worlds, proxy, tmp_path)


async def _start_behind(
    watched_worlds: WatchWorld,
    proxy: TcpProxy,
    tmp_path: Path,
    *,
    operator_env: Mapping[str, str] | None = None,
    town_env: Mapping[str, str] | None = None,
    **settings: Any,
) -> World:
    files = {part: tmp_path / f"{part}.kubeconfig" for part in ("operator", "town")}
    world = await watched_worlds(
        run_operator=False,
        run_town=False,
        operator_env={"KUBECONFIG": str(files["operator"]), **(operator_env or {})},
        town_env={"KUBECONFIG": str(files["town"]), **(town_env or {})},
        **settings,
    )
    cluster = world.cluster
    server = urlsplit(cluster.connection.server)
    assert server.hostname is not None and server.port is not None
    proxy.target = (server.hostname, server.port)
    for part, file in files.items():
        own = from_kubeconfig(cluster.data.path / f"{part}.kubeconfig")
        write_kubeconfig(file, replace(own, server=proxy.url), part)
    await cluster.operator.start()
    await cluster.town.start()
    await cluster.wait_ready()
    return world


@pytest.fixture
async def world(behind: StartBehind) -> World:
    """Five slots."""
    return await behind()


async def at_work(world: World, count: int) -> list[str]:
    """So many agents, each at its gate."""
    names = [f"work-{number}" for number in range(count)]
    await world.rig(polecats={"max": count})
    for name in names:
        await world.bead(name, [{"bash": world.gates.command(name)}, commit(f"{name}.txt"), {"done": "ok"}])
    await world.until_true(lambda: set(names) <= world.gates.arrived, f"{count} agents work")
    for name in names:
        await world.until(BEAD, name, lambda bead: reason(bead) == "Running")
    return names


async def all_done_undisturbed(world: World, names: list[str]) -> None:
    """Each bead has had one attempt with one process."""
    for bead in await world.succeeded(*names):
        assert (bead["status"]["attempts"], bead["status"]["interruptions"]) == (1, 0)
        kinds = [event["kind"] for event in world.journal(bead)]
        assert (kinds.count("process"), kinds.count("pushed")) == (1, 1)
    await world.quiet()


@pytest.mark.parametrize("how", ["cut", "silent"])
async def test_i39_agents_go_on_while_the_api_server_is_away(world: World, proxy: TcpProxy, how: str) -> None:
    """While the API server was away agents were stopped, and their reports were lost."""
    names = await at_work(world, AGENTS)
    if how == "cut":
        proxy.cut()
    else:
        proxy.silence()
    try:
        world.gates.open(*names)
        branches = [f"refs/heads/{each['spec']['branch']}" for each in (await world.polecats()).values()]

        def arrived() -> bool:
            return set(branches) <= set(world.git("for-each-ref", "--format=%(refname)").split())

        await world.until_true(arrived, "the work is pushed without the API server")
        await asyncio.sleep(10)  # the fault itself: several renewals fail
        for name in names:
            bead = await world.api.get(BEAD, world.namespace, name)
            assert bead is not None and reason(bead) == "Running"
    finally:
        proxy.mend()
    await all_done_undisturbed(world, names)


async def test_i38_a_slow_api_server_makes_no_agent_look_dead(behind: StartBehind, proxy: TcpProxy) -> None:
    """Each answer took seconds, heartbeats came late, and healthy agents were given up."""
    # The fence is near: renewals that wait behind other requests, or need several of them, would not come in time.
    world = await behind(
        slots=MANY_AGENTS + 1,
        town_env={"POLECAT_TOWN_HEARTBEAT_SECONDS": "5", "POLECAT_TOWN_FENCING_SECONDS": "20"},
        operator_env={"POLECAT_OPERATOR_FENCING_SECONDS": "20", "POLECAT_OPERATOR_FENCE_MARGIN_SECONDS": "10"},
    )
    names = await at_work(world, MANY_AGENTS)
    operator, town = world.cluster.operator.pid, world.cluster.town.pid
    proxy.delay_seconds = 5.0
    before = await heartbeats(world)
    for _ in range(2):
        await until_all_beat(world, before)
        before = await heartbeats(world)
    await world.bead("late", [commit("late.txt"), {"done": "ok"}])
    world.gates.open(*names)
    await all_done_undisturbed(world, [*names, "late"])
    assert (world.cluster.operator.pid, world.cluster.town.pid) == (operator, town), "nobody had to start anew"
    assert "all agents are stopped" not in (world.cluster.data.logs / "town.log").read_text()


async def heartbeats(world: World) -> dict[str, str]:
    """Bead → the last sign of life of its agent that has been reported."""
    return {bead: each["status"].get("heartbeatTime", "") for bead, each in (await world.polecats()).items()}


async def until_all_beat(world: World, before: dict[str, str]) -> None:
    """Until every agent's sign of life is another one."""
    async with asyncio.timeout(LONG_SECONDS):
        while any(before[bead] == beat for bead, beat in (await heartbeats(world)).items()):
            await asyncio.sleep(POLL_SECONDS)


async def test_i06_a_create_that_times_out_but_succeeds_makes_one_polecat(
    watched_worlds: WatchWorld, tmp_path: Path
) -> None:
    """The answer to a start never came, so the work was started again, beside the first."""
    lost: list[str] = []

    def swallow(method: str, path: str) -> bool:
        first = method == "POST" and path.endswith("/polecats") and not lost
        if first:
            lost.append(path)
        return first

    kubeconfig = tmp_path / "operator.kubeconfig"
    async with HttpProxy(swallow) as way:
        world = await watched_worlds(run_operator=False, operator_env={"KUBECONFIG": str(kubeconfig)})
        way.target = from_kubeconfig(world.cluster.data.path / "operator.kubeconfig")
        write_kubeconfig(kubeconfig, replace(way.target, server=way.url), "operator")
        await world.cluster.operator.start()
        await world.cluster.wait_ready()
        await world.rig()
        await world.bead("once", [commit("once.txt"), {"bash": world.gates.command("once")}, {"done": "ok"}])
        await world.until_true(lambda: "once" in world.gates.arrived, "the agent works")
        polecat = (await world.polecats())["once"]
        # The operator hears of the Polecat by its watch at once, and tries the create again when it gives up on it.
        await world.until_true(lambda: bool(way.swallowed), "an answer was kept back")
        await world.until(BEAD, "once", lambda bead: reason(bead) == "Running")
        await world.bead("after", [commit("after.txt"), {"done": "ok"}])
        await world.succeeded("after")
        assert (await world.polecats())["once"]["metadata"]["uid"] == polecat["metadata"]["uid"]
        world.gates.open("once")
        await all_done_undisturbed(world, ["once", "after"])
        assert len(way.swallowed) == 1


async def test_i39_two_minutes_without_an_api_server(watched_worlds: WatchWorld) -> None:
    """The API server was down for minutes: agents were stopped, and their reports were lost."""
    world = await watched_worlds()
    names = await at_work(world, AGENTS)
    await world.cluster.control_plane.api_server.stop(grace_seconds=1)
    try:
        world.gates.open(*names[:-1])
        await asyncio.sleep(120)  # the fault itself
        world.gates.open(names[-1])
    finally:
        await world.cluster.control_plane.api_server.start()
    await world.cluster.control_plane.wait_ready(LONG_SECONDS)
    await all_done_undisturbed(world, names)
