"""Batches, order, dependencies, and what is missed while a watch is cut: on a real API server."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, POLECAT
from polecat_local.cache import Cache
from polecat_local.control_plane import ControlPlane, ControlPlaneOptions
from polecat_local.install import shipped_manifests
from polecat_local.progress import Progress
from polecat_local.providers import control_plane_binaries
from polecat_operator.intake import Intake
from support.control_plane import SharedControlPlane
from support.played_town import Json, PlayedTown, eventually, find, running_operator


async def test_i17_a_batch_killed_half_way_and_sent_again_is_whole(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    """Half-made batches: a client died between two beads. Twenty into a cap of five, killed and sent again: twenty
    beads, five at work, fifteen with their places in the queue.
    """
    plan = tmp_path / "plan.md"
    plan.write_text("".join(f"- Piece {number}\n  Do piece {number}.\n" for number in range(20)))
    command = [sys.executable, "-m", "polecat_cli", "sling", "-n", namespace, "web", "-f", str(plan)]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "KUBECONFIG": str(control_plane.kubeconfig)}
    async with (
        PlayedTown(kube_api, namespace).open(slots=5, max_polecats=20) as town,
        running_operator(control_plane.connection, namespace),
    ):
        _, version = await kube_api.list(BEAD, namespace)
        client = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.DEVNULL)
        async for kind, _ in kube_api.watch(BEAD, namespace, version):
            if kind == "ADDED":
                with suppress(ProcessLookupError):
                    client.kill()
                break
        await client.wait()
        again = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.DEVNULL)
        assert await again.wait() == 0

        async def five_and_fifteen() -> list[Json] | None:
            beads, _ = await kube_api.list(BEAD, namespace)
            assert len(beads) <= 20
            waiting = [bead for bead in beads if find(bead, "Ready").get("reason") == "TownFull"]
            places = sorted(bead["status"].get("queuePosition", 0) for bead in waiting)
            return beads if places == list(range(1, 16)) else None

        beads = await eventually(five_and_fifteen)
        assert sorted(bead["spec"]["title"] for bead in beads or []) == sorted(f"Piece {n}" for n in range(20))
        polecats = await town.polecats()
        assert len({each["spec"]["beadRef"]["uid"] for each in polecats}) == len(polecats) == 5


async def test_i18_priority_decides_and_age_in_the_end(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Priority was stored and never used. The critical bead that came last is next; and a low one whose age is worth
    more steps than the others have above it is not overtaken any more (a step is worth 0.3 s here, not 30 minutes).
    """
    monkeypatch.setattr("polecat_operator.planner.scheduling.AGEING_SECONDS", 0.3)
    async with (
        PlayedTown(kube_api, namespace).open(max_polecats=1) as town,
        running_operator(control_plane.connection, namespace),
    ):
        await town.bead("busy")
        await town.until_polecat("web-toast")
        low = await town.bead("low", priority="Low")
        await town.until_bead("low", "RigFull")
        numbers = iter(range(100))

        async def a_second_later() -> Json | None:
            name = f"critical-{next(numbers)}"
            bead = await town.bead(name, priority="Critical")
            later = bead["metadata"]["creationTimestamp"] > low["metadata"]["creationTimestamp"]
            if not later:
                await kube_api.delete(BEAD, namespace, name)
            return bead if later else None

        late = ((await eventually(a_second_later)) or {})["metadata"]["name"]
        await town.bead("normal")
        await town.until_bead("normal", "RigFull")
        await town.finish("web-toast", "Done")
        # Three steps of 0.3 s are less than the second or more between them: the low bead is first.
        order = ["busy"]
        for _ in range(3):

            async def next_one() -> str | None:
                names = [each["spec"]["beadRef"]["name"] for each in await town.polecats()]
                return next((name for name in names if name not in order), None)

            name = await eventually(next_one)
            assert name is not None
            order.append(name)
            polecat = await town.until_attempt(name, 1)
            await town.finish(polecat["metadata"]["name"], "Done")
        assert order[1] == "low"
        assert order[2:] == [late, "normal"]


async def test_i19_a_diamond_keeps_its_order_and_what_blocks_is_named(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    """Dependents were started before their base was there, and rings waited without a word. A diamond applied from
    its tip, a ring, a missing one and a failed one.
    """
    async with (
        PlayedTown(kube_api, namespace).open(slots=10, max_polecats=10) as town,
        running_operator(control_plane.connection, namespace),
    ):
        await town.bead("tip", dependsOn=["left", "right"])
        await town.bead("left", dependsOn=["base"])
        await town.bead("right", dependsOn=["base"])
        missing = await town.until_bead("left", "WaitingForDependency")
        assert "base, which does not exist" in find(missing, "Ready")["message"]
        await town.bead("base")
        base = await town.until_attempt("base", 1)
        waits = await town.until_bead("tip", "WaitingForDependency")
        assert "left, right" in find(waits, "Ready")["message"]
        assert len(await town.polecats()) == 1
        await town.finish(base["metadata"]["name"], "Done")
        left, right = await town.until_attempt("left", 1), await town.until_attempt("right", 1)
        await town.finish(left["metadata"]["name"], "Done")
        await town.until_bead("left", "Done")
        await town.bead("probe")
        await town.until_attempt("probe", 1)  # the operator has been through
        assert find(await town.get_bead("tip"), "Ready")["reason"] == "WaitingForDependency"
        await town.finish(right["metadata"]["name"], "Done")
        await town.until_attempt("tip", 1)

        for name, other in (("r1", "r2"), ("r2", "r3"), ("r3", "r1")):
            await town.bead(name, dependsOn=[other])
        for name in ("r1", "r2", "r3"):
            ring = await town.until_bead(name, "DependencyCycle")
            assert all(each in find(ring, "Stalled")["message"] for each in ("r1", "r2", "r3"))

        await town.bead("bad", limits={"attempts": 1})
        await town.bead("heir", dependsOn=["bad"])
        await town.bead("heirs-heir", dependsOn=["heir"])
        bad = await town.until_attempt("bad", 1)
        await town.finish(bad["metadata"]["name"], "AgentFailed")
        for name, cause in (("heir", "bad"), ("heirs-heir", "heir")):
            failed = await town.until_bead(name, "DependencyFailed")
            assert find(failed, "Succeeded")["status"] == "False"
            assert cause in find(failed, "Succeeded")["message"]


async def test_a_change_to_a_waiting_bead_is_seen(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    """What a bead says while it waits is about the spec that it has now, even after a change of operators."""
    async with PlayedTown(kube_api, namespace).open(max_polecats=1) as town:
        async with running_operator(control_plane.connection, namespace):
            await town.bead("busy")
            await town.until_polecat("web-toast")
            await town.bead("waiting")
            await town.until_bead("waiting", "RigFull")
        async with running_operator(control_plane.connection, namespace):
            await town.change_bead("waiting", rerun="please")

            async def seen() -> bool:
                bead = await town.get_bead("waiting")
                return bool(bead["status"]["observedGeneration"] == bead["metadata"]["generation"] == 2)

            await eventually(seen)
            assert find(await town.get_bead("waiting"), "Ready")["reason"] == "RigFull"


class Gap:
    """A TCP relay in front of the API server that can be closed: then nothing gets through, and nothing can connect."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listens on a free port."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends all connections."""
        self.close()
        if self._server is not None:
            self._server.close()

    def close(self) -> None:
        """Cuts every connection, and refuses new ones."""
        self._open = False
        for writer in self._writers:
            writer.transport.abort()

    def open(self) -> None:
        """Lets connections through again."""
        self._open = True

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, back}
        await asyncio.gather(_pump(reader, back), _pump(there, writer))
        self._writers -= {writer, back}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def own_control_plane(directory: Path) -> AsyncIterator[ControlPlane]:
    """A control plane that a test may break."""
    binaries = await control_plane_binaries(Cache(), Progress())
    plane = ControlPlane(directory, binaries, ControlPlaneOptions(unsafe_no_fsync=True), print)
    await plane.start(shipped_manifests())
    try:
        yield plane
    finally:
        await plane.stop()


async def compact(plane: ControlPlane) -> None:
    """Drops all history from etcd, through its JSON gateway."""
    ports = json.loads((plane.data_dir / "ports.json").read_text())
    pki = plane.data_dir / "pki"
    tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    tls.load_cert_chain(pki / "etcd.crt", pki / "etcd.key")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        url = f"https://127.0.0.1:{ports['etcd_client']}/v3/kv"
        async with session.post(f"{url}/range", json={"key": "AA=="}) as answer:
            revision = (await answer.json())["header"]["revision"]
        async with session.post(f"{url}/compaction", json={"revision": revision, "physical": True}) as answer:
            assert answer.status == 200, await answer.text()


async def test_i40_deletions_during_a_gap_of_the_watch_are_noticed(tmp_path: Path) -> None:
    """Deletions were missed while a watch was cut, and names were held by ghosts. The operator is cut off, forty beads
    and five polecats are deleted, etcd forgets its history, the API server its cache: all is noticed.
    """
    async with own_control_plane(tmp_path / "plane") as plane, KubeApi(plane.connection, manager="test") as api:
        gap = Gap(urlsplit(plane.connection.server).port or 0)
        await gap.start()
        cut = replace(plane.connection, server=f"https://127.0.0.1:{gap.port}")
        async with (
            PlayedTown(api, "default").open() as town,
            running_operator(cut, "default", lease_seconds=60, renew_seconds=50),
        ):
            await asyncio.gather(*(town.bead(f"b{number:02}") for number in range(40)))
            await eventually(lambda: count(town, 5))
            await town.until_bead("b39", "RigFull")
            gap.close()
            await asyncio.gather(*(api.delete(BEAD, "default", f"b{number:02}") for number in range(40)))
            await eventually(lambda: count(town, 0))
            await compact(plane)
            before = plane.api_server.pid
            await plane.api_server.kill()
            await eventually(lambda: started_anew(plane, before))
            await plane.wait_ready(30)
            gap.open()
            await town.bead("next")
            polecat = await town.until_attempt("next", 1)
            assert polecat["spec"]["name"] == "toast"
        await gap.stop()


async def test_i40_a_deletion_between_the_first_read_and_the_watch_is_noticed(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A polecat that an operator had read was gone before its watch began: a ghost held its place for five minutes."""
    read_all = Intake.read_all

    async def read_before_the_end(intake: Intake, api: KubeApi, namespaces: Sequence[str] = ()) -> None:
        await read_all(intake, api, namespaces)
        await api.delete(BEAD, namespace, "first")
        await api.delete(POLECAT, namespace, "web-toast")
        while await api.get(POLECAT, namespace, "web-toast") is not None:
            await asyncio.sleep(0.05)

    async with PlayedTown(kube_api, namespace).open(slots=1, max_polecats=1) as town:
        async with running_operator(control_plane.connection, namespace):
            await town.bead("first")
            await town.until_attempt("first", 1)
        monkeypatch.setattr(Intake, "read_all", read_before_the_end)
        async with running_operator(control_plane.connection, namespace):
            await town.bead("next")
            polecat = await town.until_attempt("next", 1)
            assert polecat["spec"]["name"] == "toast"


async def started_anew(plane: ControlPlane, before: int | None) -> bool:
    """Whether the API server is another process by now."""
    return plane.api_server.pid not in (None, before)


async def count(town: PlayedTown, polecats: int) -> bool:
    """Whether there are so many."""
    items, _ = await town.api.list(POLECAT, town.namespace)
    return len(items) == polecats
