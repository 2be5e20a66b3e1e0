"""`polecat doctor --watch`: silent beside a town at work, and tells each broken rule with its history."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, POLECAT
from support.control_plane import SharedControlPlane
from support.fake_agent import FAKE_KILO
from support.whole import World, commit
from support.world_fixture import StartWorld, start_world

__all__ = ["start_world"]

DEADLINE_SECONDS = 120.0


class Doctor:
    """A running `polecat doctor --watch`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self, words: str) -> str:
        """The first line from now on that has these words, on either stream."""
        assert self._process.stdout is not None
        seen = []
        async with asyncio.timeout(DEADLINE_SECONDS):
            while line := (await self._process.stdout.readline()).decode():
                seen.append(line)
                if words in line:
                    return line
        raise AssertionError(f"it never said `{words}`, but: {''.join(seen)}")

    async def end(self) -> tuple[int, str]:
        """Interrupts it; exit code and what it said since the last line that was waited for."""
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(DEADLINE_SECONDS):
            output, _ = await self._process.communicate()
        return self._process.returncode or 0, output.decode()


@asynccontextmanager
async def watching(home: Path, *arguments: str) -> AsyncIterator[Doctor]:
    """Runs it as a user would, whose own cluster does not run."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "polecat_cli", "doctor", "--watch", *arguments),
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        doctor = Doctor(process)
        await doctor.line("watching ")
        yield doctor
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.fixture
async def world(start_world: StartWorld) -> World:
    """A whole cluster with the fake agent."""
    return await start_world(kilo_path=FAKE_KILO)


async def test_a_town_at_work_breaks_nothing_until_somebody_does(world: World, tmp_path: Path) -> None:
    await world.rig()
    async with watching(tmp_path, "--data-dir", str(world.cluster.data.path)) as doctor:
        await world.bead("good", [commit("good.txt"), {"done": "ok"}])
        await world.succeeded("good")
        code, said = await doctor.end()
    assert (code, said.splitlines()[-1].startswith("no rule broke in ")) == (0, True), said

    await world.bead("watched", [{"bash": world.gates.command("watched")}, commit("watched.txt"), {"done": "ok"}])
    await world.until_true(lambda: "watched" in world.gates.arrived, "the agent works")
    polecat = (await world.polecats())["watched"]
    name, uid = polecat["metadata"]["name"], polecat["metadata"]["uid"]
    home = world.cluster.data.town / "rigs" / "web" / polecat["spec"]["name"] / "home"
    async with watching(tmp_path, "--data-dir", str(world.cluster.data.path)) as doctor:
        # A second process that carries the marker of an agent.
        twin = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "import sys; sys.stdin.read()", "serve"),
            env={"POLECAT_UID": uid, "HOME": str(home)},
            stdin=asyncio.subprocess.PIPE,
        )
        try:
            assert f"O1 (at most one living agent for each Polecat) broke: polecat {uid}" in await doctor.line("O1")
            assert name in await doctor.line("attempt 1")
        finally:
            twin.kill()
            await twin.wait()
        code, said = await doctor.end()
    assert code == 1
    assert said.splitlines()[-1].startswith("1 violations in "), said
    world.gates.open("watched")
    await world.succeeded("watched")


async def test_without_a_data_directory_it_watches_what_the_api_server_tells(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    spec = {"rigRef": {"name": "web"}, "title": "Fix", "prompt": "Do it."}
    bead = await kube_api.create(BEAD, namespace, {"metadata": {"name": "fix"}, "spec": spec})
    arguments = ("--kubeconfig", str(control_plane.kubeconfig), "-n", namespace)
    async with watching(tmp_path, *arguments) as doctor:
        for name in ("toast", "maple"):
            await kube_api.create(POLECAT, namespace, hand_made(name, bead["metadata"]["uid"]))
        told = await doctor.line("O2 ")
        assert "has the polecats web-maple, web-toast" in told
        code, said = await doctor.end()
    assert code == 1
    assert "web-maple" in said


def hand_made(name: str, bead_uid: str) -> dict[str, object]:
    """A Polecat that nobody but a person would make."""
    return {
        "metadata": {"name": f"web-{name}"},
        "spec": {
            "name": name,
            "rigRef": {"name": "web"},
            "townRef": {"name": "main"},
            "beadRef": {"name": "fix", "uid": bead_uid},
            "attempt": 1,
            "pod": "main-0",
            "branch": f"polecat/{name}/3fa2b1",
            "baseBranch": "main",
            "title": "Fix",
            "model": "some-model",
            "limits": {},
            "tokenSecretRef": {"name": f"web-{name}-token"},
        },
    }
