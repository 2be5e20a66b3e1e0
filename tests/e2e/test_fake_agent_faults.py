"""The fake agent goes wrong as it is told to; tests of faults rely on it."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from polecat_local.demo.model import ScriptedModel
from polecat_town.agent.process import AgentStartError, log_tail, wait_ready
from support.agent_bench import Bench, ToolServer
from support.fake_agent import FAKE_KILO, Faults, install_fake

DEADLINE_SECONDS = 20.0


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with ScriptedModel() as model:
        # no test here calls its tools, so nothing needs to listen
        bench = Bench(install_fake(tmp_path / "cli"), tmp_path / "rigs" / "web", model, ToolServer())
        await bench.prepare()
        yield bench
        await bench.close()


def script(*steps: dict[str, Any]) -> str:
    return f"```script\n{json.dumps(steps)}\n```"


def fail(bench: Bench, faults: Faults) -> None:
    """Switches faults on for the next start."""
    install_fake(bench.kilo.parent.parent, faults)


async def test_exits_at_start(bench: Bench) -> None:
    fail(bench, Faults(exit_code=3))
    with pytest.raises(AgentStartError, match="exited with 3") as caught:
        await wait_ready(await bench.launch(), DEADLINE_SECONDS)
    assert caught.value.exit_code == 3


async def test_hangs_at_start(bench: Bench) -> None:
    fail(bench, Faults(hang_at_start=True))
    agent = await bench.launch()
    with pytest.raises(AgentStartError, match="not ready after"):
        await wait_ready(agent, 0.5)
    assert not agent.exited


async def test_starts_late_and_prints_garbage(bench: Bench) -> None:
    fail(bench, Faults(start_delay_seconds=0.5, print_garbage=True))
    agent = await bench.launch()
    assert not await agent.client.is_healthy()
    await wait_ready(agent, DEADLINE_SECONDS)
    assert "panic" in log_tail(agent.log_path)


async def test_ignores_sigterm(bench: Bench) -> None:
    fail(bench, Faults(ignore_term=True))
    agent = await bench.start()
    agent.process.terminate()
    assert await agent.client.is_healthy()
    assert not agent.exited


async def test_tells_its_version_unless_told_not_to(tmp_path: Path) -> None:
    async def version(kilo: Path) -> subprocess.CompletedProcess[str]:
        command = [str(kilo), "--version"]
        return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)

    told = await version(FAKE_KILO)
    assert (told.returncode, told.stdout.strip()) == (0, "7.7.7")
    assert (await version(install_fake(tmp_path, Faults(version_fails=True)))).returncode == 127


@pytest.mark.parametrize(
    ("tool", "code", "number"),
    [({"tool": "fake_exit", "args": {"code": 5}}, 5, None), ({"tool": "fake_kill"}, None, 9)],
)
async def test_ends_when_the_script_says_so(
    bench: Bench, tool: dict[str, Any], code: int | None, number: int | None
) -> None:
    agent = await bench.start()
    await bench.prompt(await bench.session(agent), script(tool))
    async with asyncio.timeout(DEADLINE_SECONDS):
        await agent.process.wait()
    assert (agent.exit_code, agent.signal) == (code, number)


async def test_takes_memory_and_stops_heeding_sigterm_when_the_script_says_so(bench: Bench) -> None:
    agent = await bench.start()
    listener = await bench.session(agent)
    (process,) = psutil.Process(agent.process.pid).children()
    before = process.memory_info().rss
    steps = ({"tool": "fake_allocate", "args": {"mebibytes": 64}}, {"tool": "fake_ignore_term"}, {"say": "Done."})
    await bench.prompt(listener, script(*steps))
    await listener.until_idle()
    assert process.memory_info().rss - before > 60 << 20
    agent.process.send_signal(signal.SIGTERM)
    assert await agent.client.is_healthy()
    assert not agent.exited
