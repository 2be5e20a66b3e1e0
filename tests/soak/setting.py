"""A whole cluster whose parts reach each other, and one remote, through proxies of ours."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from e2e.workspace.git_server import GitServer
from polecat_kube.connection import from_kubeconfig
from polecat_kube.resources import SECRET
from polecat_local.cluster import ClusterSettings, LocalCluster
from polecat_local.control_plane import ControlPlaneOptions
from polecat_local.demo.model import ScriptedModel
from polecat_local.kubeconfig import write_kubeconfig
from soak.agents import Ledger
from soak.remotes import MoodyRemote
from support.fake_agent import FAKE_KILO
from support.tcp_proxy import TcpProxy
from support.whole import Gates, World

SLOTS = 5
CALM = "calm"
"""A rig whose remote is always well, for the bead that must succeed when all is over."""
PASSWORD = "soak-0123456789"
TOWN_ENV = {
    "POLECAT_TOWN_CHECKPOINT_SECONDS": "10",
    "POLECAT_TOWN_NUDGES": "1",
    "POLECAT_TOWN_PROBE_SECONDS": "10",
}
OPERATOR_ENV = {"POLECAT_OPERATOR_RESYNC_SECONDS": "60"}
"""Both shorter than usual, so that more of them comes round."""


@dataclass
class Setting:
    """What a soak acts on."""

    cluster: LocalCluster
    world: World
    ledger: Ledger
    remotes: dict[str, MoodyRemote]
    links: dict[str, TcpProxy]
    """`operator`, `town`: to the API server; `remote`: from the town to the rig `web`'s repository."""
    restarts: Counter[str] = field(default_factory=Counter)


@asynccontextmanager
async def setting(directory: Path) -> AsyncIterator[Setting]:
    """Started and ready: two operators, a town with five slots and the fake agent, three rigs."""
    restarts: Counter[str] = Counter()

    def say(line: str) -> None:
        if " ended with " in line:
            restarts[line.split(maxsplit=1)[0].rstrip("-0123456789")] += 1

    async with AsyncExitStack() as stack:
        links = {name: await stack.enter_async_context(TcpProxy()) for name in ("operator", "town", "remote")}
        files = {part: directory / f"{part}.kubeconfig" for part in ("operator", "town")}
        settings = ClusterSettings(
            data_dir=directory / "cluster",
            kilo_path=FAKE_KILO,
            slots=SLOTS,
            operators=2,
            run_operator=False,
            run_town=False,
            operator_env={"KUBECONFIG": str(files["operator"]), **OPERATOR_ENV},
            town_env={"KUBECONFIG": str(files["town"]), **TOWN_ENV},
            drain_seconds=30.0,
            control_plane=ControlPlaneOptions(unsafe_no_fsync=True),
        )
        cluster = await LocalCluster.prepare(settings, say=say)
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        for part, file in files.items():
            own = from_kubeconfig(cluster.data.path / f"{part}.kubeconfig")
            links[part].target = _address(own.server)
            write_kubeconfig(file, replace(own, server=links[part].url), part)
        for program in (*cluster.operators, cluster.town):
            await program.start()
        await cluster.wait_ready()
        remotes = {name: MoodyRemote(directory / f"{name}.git") for name in ("web", "api", CALM)}
        server = stack.enter_context(GitServer(directory, {"/web.git": PASSWORD}))
        links["remote"].target = _address(server.url)
        model = await stack.enter_async_context(ScriptedModel())
        ledger = await stack.enter_async_context(Ledger())
        api = await stack.enter_async_context(cluster.api())
        world = World(cluster, api, remotes[CALM].path, model, Gates())
        await _rigs(world, links["remote"], remotes)
        yield Setting(cluster, world, ledger, remotes, links, restarts)


async def _rigs(world: World, link: TcpProxy, remotes: dict[str, MoodyRemote]) -> None:
    login = {"metadata": {"name": "web-git"}, "stringData": {"username": "web", "password": PASSWORD}}
    await world.api.create(SECRET, world.namespace, login)
    over_http = {
        "url": f"http://127.0.0.1:{link.port}/web.git",
        "credentialsSecretRef": {"name": "web-git"},
    }
    await asyncio.gather(
        world.rig("web", repository=over_http),
        world.rig("api", repository={"url": f"file://{remotes['api'].path}"}),
        world.rig(CALM),
    )


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if parts.hostname is None or parts.port is None:
        raise ValueError(f"{url} has no port")
    return parts.hostname, parts.port
