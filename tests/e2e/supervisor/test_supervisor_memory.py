"""All agents of a container share its memory: what becomes of them when it runs short."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.control_group import memory_group
from support.fake_agent import install_fake
from support.town_harness import LONG, TownHarness, git

LIMIT_MIB = 1024
COMMIT = "git add -A && git commit -qm Work"
"""What an agent does before it eats."""


@pytest.fixture
def group(harness: TownHarness) -> Iterator[Path]:
    """The supervisor and its agents are in a control group of LIMIT_MIB, as in a container."""
    with memory_group(LIMIT_MIB << 20) as made:
        enter = f'echo $$ > {shlex.quote(str(made))}/cgroup.procs && exec "$@"'
        harness.around = ("sh", "-c", enter, "sh")
        yield made


def eat(first_mib: int, step_mib: int) -> str:
    """A command that takes so much at once, then more and more."""
    return shlex.join(
        [
            "python3",
            "-c",
            f"import time; kept = [b'x' * ({first_mib} << 20)]\n"
            f"while True: kept.append(b'x' * ({step_mib} << 20)); time.sleep(0.2)",
        ]
    )


async def killed(group: Path) -> int:
    """How many processes the kernel has ended for want of memory."""
    files = [path for name in ("memory.events", "memory.oom_control") if (path := group / name).exists()]
    lines = files[0].read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


@pytest.mark.usefixtures("group")
async def test_the_biggest_agent_goes_before_the_container_is_full(harness: TownHarness, group: Path) -> None:
    """One agent's memory ended the container, and with it all others."""
    await harness.start_town()
    entry = await harness.pod_entry()
    assert entry is not None and entry["memoryLimitBytes"] == LIMIT_MIB << 20
    modest = await harness.sling(
        "modest", [{"bash": f"while ! [ -e ../go ]; do sleep 0.1; done; echo 2 > two && {COMMIT}"}, {"done": "ok"}]
    )
    hungry = await harness.sling(
        "hungry", [{"bash": f"echo 1 > one && {COMMIT} && {eat(400, 4)}"}, {"bash": LONG}], name="maple"
    )
    status = await harness.until_finished(hungry)
    assert await harness.condition(hungry, "Finished") == ("True", "Interrupted")
    assert "the pod ran short of memory" in status["exit"]["message"]
    assert "one" in (await git(harness.remote, "ls-tree", "--name-only", status["savedCommit"])).split()
    assert not harness.agents(hungry["metadata"]["uid"])
    (harness.worktree(modest).parent / "go").touch()
    await harness.until_finished(modest)
    assert await harness.condition(modest, "Finished") == ("True", "Done")
    assert harness.kinds(modest).count("process") == 1
    assert await killed(group) == 0


@pytest.mark.usefixtures("group")
async def test_an_agent_that_is_too_big_for_the_container_has_failed(harness: TownHarness) -> None:
    """Nobody else is to blame, and the next try would end in the same way."""
    await harness.start_town()
    hungry = await harness.sling("hungry", [{"bash": eat(400, 4)}, {"bash": LONG}])
    await harness.until_finished(hungry)
    assert await harness.condition(hungry, "Finished") == ("True", "OutOfMemory")


LEAKY = """#!/usr/bin/env python3
import pathlib, runpy, threading, time

def leak():
    while not pathlib.Path("../go").exists():
        time.sleep(0.05)
    kept = []
    while True:
        kept.append(b"x" * (16 << 20))

threading.Thread(target=leak, daemon=True).start()
runpy.run_path("{program}", run_name="__main__")
"""


@pytest.mark.usefixtures("group")
async def test_what_the_kernel_ends_is_an_interruption(harness: TownHarness, group: Path) -> None:
    """Faster than anybody can look: the kernel takes the agent, and leaves the supervisor alone."""
    harness.kilo = install_fake(harness.directory / "kilo")
    inner = harness.kilo.rename(harness.kilo.with_name("inner"))
    harness.kilo.write_text(LEAKY.format(program=inner))
    harness.kilo.chmod(0o755)
    await harness.start_town()
    sibling = await harness.sling("modest", [{"bash": LONG}], name="maple")
    hungry = await harness.sling("hungry", [{"bash": LONG}])
    for polecat in (sibling, hungry):
        await harness.until_running(polecat)
    assert harness.town is not None
    # It can't look while it is frozen, as if the agent were faster.
    harness.town.send_signal(signal.SIGSTOP)
    (harness.worktree(hungry).parent / "go").touch()
    await harness.until(lambda: has_killed(group), "the kernel has ended a process")
    harness.town.send_signal(signal.SIGCONT)
    status = await harness.until_finished(hungry)
    assert await harness.condition(hungry, "Finished") == ("True", "Interrupted")
    assert "memory" in status["exit"]["message"]
    assert harness.town.returncode is None
    assert harness.kinds(sibling).count("ended") == 0


async def has_killed(group: Path) -> bool:
    """Whether the kernel has ended a process for want of memory."""
    return await killed(group) > 0


@pytest.mark.usefixtures("group")
async def test_no_agent_comes_while_there_is_no_room(harness: TownHarness) -> None:
    """Polecats that are placed on old figures wait in the pod until memory is free again."""
    await harness.limit_memory("600Mi")
    await harness.start_town()
    first = await harness.sling("first", [{"tool": "fake_allocate", "args": {"mebibytes": 450}}, {"bash": LONG}])

    async def grown() -> bool:
        entry = await harness.pod_entry()
        return entry is not None and int(entry["memoryBytes"]) > 500 << 20

    await harness.until_running(first)
    await harness.until(grown, "the first agent has grown")
    second = await harness.sling("second", name="maple")
    third: dict[str, Any] = await harness.sling("third", name="birch")
    await harness.until(lambda: refused(harness), "the pod has looked at the second")
    assert not (await harness.status(second)).get("claim")
    await harness.delete(first)
    for polecat in (second, third):
        await harness.until_finished(polecat)
        assert await harness.condition(polecat, "Finished") == ("True", "Done")


async def refused(harness: TownHarness) -> bool:
    """Whether the pod has not claimed somebody because it was full."""
    return "room in memory for another agent: False" in harness.log_text()
