"""`polecat sling` against a real API server, as a program of its own."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from polecat_api.times import format_time
from polecat_cli.watching import utc_now
from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD
from support.control_plane import Kubectl, SharedControlPlane

SECONDS = 60.0
PLAN = "".join(f"- Piece {number}\n  Do piece {number}.\n" for number in range(1, 301))


class Sling:
    """Runs the command in the test's namespace."""

    def __init__(self, plane: SharedControlPlane, namespace: str) -> None:
        self._env = {
            "PATH": f"{Path(sys.executable).parent}:{plane.kubectl_path.parent}:{os.environ['PATH']}",
            "HOME": str(plane.data_dir),
            "KUBECONFIG": str(plane.kubeconfig),
        }
        self._namespace = namespace

    def arguments(self, *more: str) -> list[str]:
        return [sys.executable, "-m", "polecat_cli", "sling", "-n", self._namespace, "web", *more]

    @property
    def env(self) -> Mapping[str, str]:
        return self._env

    def __call__(
        self, *more: str, stdin: str = "", program: list[str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        command = [*program, *more] if program else self.arguments(*more)
        return subprocess.run(
            command, env=self._env, input=stdin, capture_output=True, text=True, check=False, timeout=SECONDS
        )

    @asynccontextmanager
    async def started(self, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The command while it runs; killed at the end of the block if need be."""
        process = await asyncio.create_subprocess_exec(
            *self.arguments(*more),
            env=self._env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.fixture
def sling(control_plane: SharedControlPlane, namespace: str) -> Sling:
    return Sling(control_plane, namespace)


async def bead_names(api: KubeApi, namespace: str) -> list[str]:
    return sorted(bead["metadata"]["name"] for bead in (await api.list(BEAD, namespace))[0])


async def end(api: KubeApi, namespace: str, name: str, status: str) -> None:
    """What the operator would write when a bead has ended."""
    condition = {
        "type": "Succeeded",
        "status": status,
        "reason": "Done" if status == "True" else "AttemptsExhausted",
        "message": "",
        "lastTransitionTime": format_time(utc_now()),
    }
    state = "Done" if status == "True" else "Failed"
    body = {"status": {"state": state, "conditions": [condition]}}
    await api.patch_merge(BEAD, namespace, name, body, "status")


async def test_the_same_call_again_makes_no_doubles(sling: Sling, kube_api: KubeApi, namespace: str) -> None:
    call = ("Mend the parser", "Add a flag", "--priority", "high", "--depends-on", "something-else")
    first, second = sling(*call), sling(*call)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    names = await bead_names(kube_api, namespace)
    assert len(names) == 2
    assert sorted(first.stdout.split()[::2]) == [f"bead.polecat.dev/{name}" for name in names]
    assert first.stdout.split()[1::2] == ["created", "created"]
    assert second.stdout.split()[1::2] == ["unchanged", "unchanged"]
    bead = await kube_api.get(BEAD, namespace, names[0])
    assert bead is not None
    assert bead["spec"]["priority"] == "High"
    assert bead["spec"]["dependsOn"] == ["something-else"]


async def test_a_rig_that_is_not_there_is_said_and_waited_for(sling: Sling) -> None:
    done = sling("Mend the parser")
    assert done.returncode == 0
    assert "warning: there is no rig web" in done.stderr


async def test_all_or_none(sling: Sling, kube_api: KubeApi, namespace: str) -> None:
    text = "- title: Fine\n- title: " + "x" * 201 + "\n- title: Also fine\n  priority: Urgent\n"
    done = sling("-f", "-", stdin=text)

    assert done.returncode == 2
    assert await bead_names(kube_api, namespace) == []
    assert "standard input entry 2" in done.stderr
    assert "200" in done.stderr
    assert "standard input entry 3" in done.stderr
    assert "Urgent" in done.stderr
    assert "2 of 3 can't be made; nothing was made" in done.stderr


async def test_a_name_that_means_other_work(sling: Sling, kube_api: KubeApi, namespace: str) -> None:
    assert sling("-f", "-", stdin="- {title: One, name: one}\n").returncode == 0
    same = sling("-f", "-", stdin="- {title: One, name: one, priority: High}\n")
    assert same.returncode == 0
    assert "its priority stays as it is" in same.stderr
    other = sling("-f", "-", stdin="- {title: Other, name: one}\n")
    assert other.returncode == 2
    assert "asks for other work" in other.stderr
    twice = sling("-f", "-", stdin="- {title: A, name: two}\n- {title: B, name: two}\n")
    assert twice.returncode == 2
    assert "the name is already that of standard input entry 1" in twice.stderr
    assert await bead_names(kube_api, namespace) == ["one"]


async def test_killed_half_way_and_sent_again(sling: Sling, kube_api: KubeApi, namespace: str, tmp_path: Path) -> None:
    plan = tmp_path / "plan.md"
    plan.write_text(PLAN)
    async with asyncio.timeout(SECONDS), sling.started("-f", str(plan)):
        _, version = await kube_api.list(BEAD, namespace)
        async for kind, _ in kube_api.watch(BEAD, namespace, version):
            if kind == "ADDED":
                break
    assert 0 < len(await bead_names(kube_api, namespace)) < 300

    again = sling("-f", str(plan))
    assert again.returncode == 0, again.stderr
    beads, _ = await kube_api.list(BEAD, namespace)
    assert sorted(bead["spec"]["title"] for bead in beads) == sorted(f"Piece {n}" for n in range(1, 301))


@pytest.mark.parametrize(("outcomes", "code"), [(["True", "True"], 0), (["True", "False"], 1)])
async def test_waiting(sling: Sling, kube_api: KubeApi, namespace: str, outcomes: list[str], code: int) -> None:
    async with asyncio.timeout(SECONDS), sling.started("One", "Two", "--wait") as process:
        assert process.stdout is not None
        shown = ""
        while shown.count("Pending") < 2:
            shown += (await process.stdout.readline()).decode()
        for name, outcome in zip(await bead_names(kube_api, namespace), outcomes, strict=True):
            await end(kube_api, namespace, name, outcome)
        rest, errors = await process.communicate()
    assert process.returncode == code, errors.decode()
    assert rest.decode().count("Done") + rest.decode().count("Failed") == 2


async def test_a_bead_deleted_while_it_is_waited_for(sling: Sling, kube_api: KubeApi, namespace: str) -> None:
    async with asyncio.timeout(SECONDS), sling.started("One", "--wait") as process:
        assert process.stdout is not None
        while "Pending" not in (await process.stdout.readline()).decode():
            pass
        await kube_api.delete(BEAD, namespace, (await bead_names(kube_api, namespace))[0])
        rest, _ = await process.communicate()
    assert process.returncode == 1
    assert "Deleted" in rest.decode()


async def test_interrupted_while_it_waits(sling: Sling, kube_api: KubeApi, namespace: str) -> None:
    async with asyncio.timeout(SECONDS), sling.started("One", "--wait") as process:
        assert process.stdout is not None
        while "Pending" not in (await process.stdout.readline()).decode():
            pass
        process.send_signal(2)
        _, errors = await process.communicate()
    assert process.returncode == 130
    assert "go on without being watched" in errors.decode()
    assert len(await bead_names(kube_api, namespace)) == 1


async def test_as_a_plugin_of_kubectl(sling: Sling, kubectl: Kubectl, namespace: str) -> None:
    program = [str(kubectl.plane.kubectl_path), "sling", "web", "-n", namespace]
    done = sling("Mend the parser", program=program)
    assert done.returncode == 0, done.stderr
    listed = json.loads(kubectl("get", "beads", "-o", "json"))["items"]
    assert [bead["spec"]["title"] for bead in listed] == ["Mend the parser"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "nothing to sling"),
        (("-f", "no-such-file.yaml"), "does not exist"),
        (("One", "--priority", "Urgent"), "Urgent"),
    ],
)
def test_wrong_usage(sling: Sling, arguments: tuple[str, ...], why: str) -> None:
    done = sling(*arguments)
    assert done.returncode == 2
    assert why in done.stderr


def test_no_api_server(sling: Sling, tmp_path: Path) -> None:
    missing = subprocess.run(
        sling.arguments("One"),
        env={**sling.env, "KUBECONFIG": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert missing.returncode == 1
    assert missing.stderr.startswith("error: no kubeconfig at")
    assert "Traceback" not in missing.stderr
