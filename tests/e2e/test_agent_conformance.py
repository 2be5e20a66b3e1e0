"""What a town relies on of an agent: the same for the fake one, by which most tests run, and for the real one."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from polecat_local.cache import Cache
from polecat_local.demo.model import ScriptedModel
from polecat_local.demo.script import NOTHING_MORE, Fault
from polecat_local.kilo import kilo_binary
from polecat_local.progress import Progress
from polecat_town.agent.client import AgentClient, AgentUnreachableError
from polecat_town.agent.events import (
    Busy,
    ConnectionLost,
    Failed,
    Idle,
    Retrying,
    StepFinished,
    Text,
    ToolCall,
)
from support.agent_bench import Bench, ToolServer
from support.fake_agent import FAKE_KILO

DEADLINE_SECONDS = 20.0


@pytest.fixture(params=["fake", "kilo"])
async def kilo(request: pytest.FixtureRequest) -> Path:
    """The agent's program."""
    return FAKE_KILO if request.param == "fake" else await kilo_binary(Cache(), Progress())


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with ScriptedModel() as model:
        yield model


@pytest.fixture
async def tools() -> AsyncIterator[ToolServer]:
    server = ToolServer()
    async with server.running():
        yield server


@pytest.fixture
async def bench(kilo: Path, model: ScriptedModel, tools: ToolServer, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(kilo, tmp_path / "rigs" / "web", model, tools)
    await bench.prepare()
    yield bench
    await bench.close()


def script(*steps: dict[str, Any], before: str = "Please do this.") -> str:
    """A prompt that carries a script."""
    return f"{before}\n\n```script\n{json.dumps(steps)}\n```\n"


async def eventually(holds: Callable[[], bool], what: str) -> None:
    """Waits until something that can be seen from outside holds."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not holds():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {DEADLINE_SECONDS:g} s: {what}") from None


def carries(marker: str) -> list[int]:
    """Processes whose environment has the marker."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return found


def runs(pid: int) -> bool:
    """Whether a process has not ended yet; one that only waits for its parent to ask how has."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_refuses_whoever_has_not_its_password(bench: Bench) -> None:
    agent = await bench.start()
    async with AgentClient(agent.port, "not the password") as stranger:
        assert not await stranger.is_healthy()
        with pytest.raises(AgentUnreachableError, match="401"):
            await stranger.create_session(bench.worktree, "mine")
    async with (
        aiohttp.ClientSession() as anonymous,
        anonymous.get(f"http://127.0.0.1:{agent.port}/event") as response,
    ):
        assert response.status == 401


async def test_prompt_becomes_commit_and_tool_call_and_idle(bench: Bench) -> None:
    agent = await bench.start()
    listener = await bench.session(agent)
    commit = "echo hello > hello.txt && git add -A && git commit -qm 'Say hello' && git log --oneline"
    await bench.prompt(
        listener, script({"say": "First the file.", "bash": commit}, {"done": "a file"}, {"say": "That was it."})
    )
    await listener.until(Text, lambda text: "That was it." in text.text)
    await listener.until_idle()

    assert bench.git("log", "-1", "--format=%s %an") == "Say hello Toast"
    assert bench.tools.summaries == ["a file"]
    assert bench.tools.authorizations == {f"Bearer {bench.token}"}
    assert {request.authorization for request in bench.model.requests} == {f"Bearer {bench.token}"}
    assert [request.step for request in bench.model.requests] == [0, 1, 2]
    told = [
        (e.tool, e.state) if isinstance(e, ToolCall) else type(e).__name__
        for e in listener.events
        if isinstance(e, Busy | ToolCall | Text | StepFinished | Idle)
    ]
    assert told[0] == "Busy"
    assert told[-1] == "Idle"
    for tool in ("bash", "polecat_done"):
        assert [state for name, state in (t for t in told if isinstance(t, tuple)) if name == tool] == [
            "running",
            "completed",
        ]
    completed = {e.tool: e for e in listener.events if isinstance(e, ToolCall) and e.state == "completed"}
    assert "Say hello" in completed["bash"].output
    assert completed["bash"].input["command"] == commit
    assert completed["polecat_done"].output == "accepted: a file"
    assert [e.text.strip() for e in listener.events if isinstance(e, Text)] == ["First the file.", "That was it."]
    assert await agent.client.is_idle(bench.worktree, listener.session_id)


async def test_tells_how_much_it_used(bench: Bench) -> None:
    listener = await bench.session(await bench.start())
    await bench.prompt(listener, script({"bash": "true"}, {"say": "one two three four five six"}))
    await listener.until_idle()
    steps = [event for event in listener.events if isinstance(event, StepFinished)]
    assert len(steps) == 2
    assert all(step.input_tokens > 0 and step.output_tokens > 0 and step.cost_micro_usd >= 0 for step in steps)
    assert steps[1].input_tokens > steps[0].input_tokens


async def test_a_failed_command_and_a_refused_tool_are_told_to_the_model(bench: Bench) -> None:
    listener = await bench.session(await bench.start())
    await bench.prompt(listener, script({"bash": "echo no >&2; false"}, {"tool": "refuse"}, {"done": "after all"}))
    await listener.until_idle()
    ends = {e.tool: e for e in listener.events if isinstance(e, ToolCall) and e.state in ("completed", "error")}
    assert ends["bash"].state == "completed"
    assert "no" in ends["bash"].output
    assert "commit your changes first" in ends["polecat_refuse"].error + ends["polecat_refuse"].output
    assert bench.tools.summaries == ["after all"]


async def test_a_session_that_went_idle_goes_on_when_asked(bench: Bench) -> None:
    listener = await bench.session(await bench.start())
    await bench.prompt(listener, script({"say": "I'll stop here."}, {"done": "asked to"}))
    await listener.until_idle()
    assert bench.tools.summaries == []
    since = await bench.prompt(listener, "Please go on, or call done.")
    await listener.until(Text, lambda text: NOTHING_MORE in text.text)
    await listener.until_idle(since=since)
    assert bench.tools.summaries == ["asked to"]


async def test_a_prompt_to_a_busy_session_is_read_after_its_step(bench: Bench) -> None:
    listener = await bench.session(await bench.start())
    await bench.prompt(listener, script({"bash": "touch busy; while [ ! -e on ]; do sleep 0.05; done"}))
    await eventually((bench.worktree / "busy").exists, "the command runs")
    await bench.prompt(listener, script({"done": "the second prompt"}))
    (bench.worktree / "on").touch()
    await listener.until(ToolCall, lambda call: call.tool == "polecat_done" and call.state == "completed")
    await listener.until_idle()
    assert bench.tools.summaries == ["the second prompt"]


async def test_nobody_has_to_answer_a_question(bench: Bench) -> None:
    listener = await bench.session(await bench.start())
    question = {"question": "Which?", "header": "Which", "options": [{"label": "a", "description": "a"}]}
    await bench.prompt(listener, script({"tool": "question", "args": {"questions": [question]}}, {"done": "alone"}))
    await listener.until_idle()
    assert bench.tools.summaries == ["alone"]


async def test_abort_ends_the_command_that_runs(bench: Bench) -> None:
    agent = await bench.start()
    listener = await bench.session(agent)
    await bench.prompt(listener, script({"bash": "echo $$ > pid; exec sleep 600"}, {"done": "never"}))
    pid_file = bench.worktree / "pid"
    await eventually(lambda: pid_file.exists() and bool(pid_file.read_text()), "the command runs")
    assert not await agent.client.is_idle(bench.worktree, listener.session_id)
    await agent.client.abort(bench.worktree, listener.session_id)
    assert (await listener.until(Failed)).aborted
    await listener.until_idle()
    pid = int(pid_file.read_text())
    await eventually(lambda: not runs(pid), "the command is gone")
    assert bench.tools.summaries == []


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (Fault(kind="status", status=401), 401, "401"),
        (Fault(kind="status", status=404), 404, "404"),
        (Fault(kind="garbage"), None, "JSON"),
        (Fault(kind="html"), None, ""),
    ],
    ids=["401", "404", "garbage", "web-page"],
)
async def test_a_model_that_answers_nonsense_fails_the_turn(
    bench: Bench, fault: Fault, status: int | None, words: str
) -> None:
    bench.model.fault = fault
    listener = await bench.session(await bench.start())
    await bench.prompt(listener, script({"done": "never"}))
    failed = await listener.until(Failed)
    await listener.until_idle()
    assert (failed.status, failed.aborted) == (status, False)
    assert words in failed.message
    assert bench.model.count == 1


async def test_a_stream_that_is_cut_fails_the_turn_and_can_be_asked_again(bench: Bench) -> None:
    listener = await bench.session(await bench.start())
    cut = {"kind": "cut", "times": 1}
    await bench.prompt(listener, script({"say": "This takes a while.", "done": "at last", "fault": cut}))
    await listener.until(Failed)
    await listener.until_idle()
    since = await bench.prompt(listener, "Please go on.")
    await listener.until_idle(since=since)
    assert bench.tools.summaries == ["at last"]


@pytest.mark.parametrize("status", [429, 500])
async def test_a_model_that_is_busy_is_asked_again(bench: Bench, status: int) -> None:
    bench.model.fault = Fault(kind="status", status=status, times=1)
    listener = await bench.session(await bench.start())
    await bench.prompt(listener, script({"done": "in the end"}))
    retrying = await listener.until(Retrying)
    await listener.until_idle()
    assert retrying.attempt == 1
    assert str(status) in retrying.message
    assert bench.tools.summaries == ["in the end"]


async def test_a_model_that_is_away_is_waited_for_until_told_to_try_again(bench: Bench) -> None:
    agent = await bench.start()
    listener = await bench.session(agent)
    await bench.model.stop()
    await bench.prompt(listener, script({"done": "back again"}))
    lost = await listener.until(ConnectionLost)
    assert not await agent.client.is_idle(bench.worktree, listener.session_id)
    await bench.model.start()
    await agent.client.answer_network(bench.worktree, lost.request_id)
    await listener.until_idle()
    assert bench.tools.summaries == ["back again"]


async def test_abort_while_the_model_is_silent(bench: Bench) -> None:
    bench.model.fault = Fault(kind="hang")
    agent = await bench.start()
    listener = await bench.session(agent)
    await bench.prompt(listener, script({"done": "never"}))
    await eventually(lambda: bench.model.count == 1, "the model was asked")
    await agent.client.abort(bench.worktree, listener.session_id)
    await listener.until_idle()


async def test_goes_on_without_tools_when_their_server_is_away(bench: Bench) -> None:
    bench.tools = ToolServer()  # nothing listens there
    listener = await bench.session(await bench.start())
    await bench.prompt(listener, script({"bash": "touch worked"}, {"say": "Done without."}))
    await listener.until(Text, lambda text: "Done without." in text.text)
    assert (bench.worktree / "worked").exists()


async def test_a_session_goes_on_in_the_next_process(bench: Bench) -> None:
    agent = await bench.start()
    listener = await bench.session(agent)
    twice = "echo x >> runs; [ $(wc -l < runs) -ge 2 ] || sleep 600"
    await bench.prompt(listener, script({"bash": "touch begun"}, {"bash": twice}, {"done": "resumed"}))
    await eventually((bench.worktree / "runs").exists, "the second command runs")
    agent.process.kill()
    await bench.end()

    agent = await bench.start()
    assert await agent.client.has_session(bench.worktree, listener.session_id)
    assert not await agent.client.has_session(bench.worktree, listener.session_id[:-6] + "ffffff")
    assert await agent.client.is_idle(bench.worktree, listener.session_id)
    again = await bench.session(agent, listener.session_id)
    await bench.prompt(again, "You were interrupted. Please go on.")
    await again.until_idle()
    assert bench.tools.summaries == ["resumed"]
    assert (bench.worktree / "runs").read_text() == "x\nx\n"
    assert [request.step for request in bench.model.requests] == [0, 1, 1, 2, None]
    assert len({request.conversation for request in bench.model.requests}) == 1


async def test_all_its_processes_end_with_it(bench: Bench) -> None:
    agent = await bench.start()
    listener = await bench.session(agent)
    daemon = "setsid sh -c 'echo $$ > daemon; exec sleep 600' > /dev/null 2>&1 &\n sleep 600"
    await bench.prompt(listener, script({"bash": daemon}))
    file = bench.worktree / "daemon"
    await eventually(lambda: file.exists() and bool(file.read_text()), "the daemon runs")
    assert len(carries(bench.marker)) >= 3
    assert await bench.end() >= 3
    assert carries(bench.marker) == []
    assert not runs(int(file.read_text()))


async def test_ends_by_itself_on_sigterm(bench: Bench) -> None:
    agent = await bench.start()
    agent.process.terminate()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await agent.process.wait()


async def test_two_agents_see_nothing_of_each_other(bench: Bench, tmp_path: Path) -> None:
    other = Bench(bench.kilo, bench.rig_dir, bench.model, bench.tools, name="maple", token="token-of-maple")
    await other.prepare()
    bench.environment = {"WHOSE": "toast"}
    other.environment = {"WHOSE": "maple"}
    try:
        await asyncio.gather(run_env(bench), run_env(other))
    finally:
        await other.close()
    for mine, theirs in ((bench, other), (other, bench)):
        seen = mine.seen_by_commands("env.txt")
        assert seen["WHOSE"] == mine.name
        assert seen["HOME"] == str(mine.rig_dir / mine.name / "home")
        everything = "\n".join(seen.values())
        assert theirs.token not in everything
        assert mine.token not in everything
        assert str(theirs.rig_dir / theirs.name) not in everything
        assert "KILO_SERVER_PASSWORD" not in seen

    assert bench.tools.authorizations == {"Bearer token-of-toast", "Bearer token-of-maple"}


async def run_env(bench: Bench) -> None:
    """The agent writes down what a command sees."""
    listener = await bench.session(await bench.start())
    await bench.prompt(listener, script({"bash": "env > env.txt"}, {"done": bench.name}))
    await listener.until_idle()
