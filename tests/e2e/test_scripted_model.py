"""The scripted model's endpoint as a client sees it: answers, streams, faults, what it remembers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from polecat_local.demo.model import ScriptedModel
from polecat_local.demo.script import NOTHING_MORE, TITLE, Fault, Step

TOOLS = [{"type": "function", "function": {"name": "bash"}}, {"type": "function", "function": {"name": "polecat_done"}}]
PLAY = (Step(say="Here I go.", bash="true"), Step(done="it"))


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as client:
        yield client


def body(prompt: str = "the play", **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": prompt}], "tools": TOOLS, **more}


async def ask(client: aiohttp.ClientSession, model: ScriptedModel, **more: Any) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": "Bearer key"}
    async with client.post(f"{model.url}/chat/completions", json=body(**more), headers=headers) as response:
        return response.status, await response.json()


async def test_answers_whole(client: aiohttp.ClientSession) -> None:
    async with ScriptedModel({"the play": PLAY}) as model:
        status, answer = await ask(client, model)
    choice = answer["choices"][0]
    assert (status, choice["finish_reason"], choice["message"]["content"]) == (200, "tool_calls", "Here I go.")
    call = choice["message"]["tool_calls"][0]["function"]
    assert (call["name"], json.loads(call["arguments"])["command"]) == ("bash", "true")
    assert answer["usage"]["total_tokens"] == sum(
        answer["usage"][key] for key in ("prompt_tokens", "completion_tokens")
    )


async def test_answers_in_a_stream_that_ends_with_the_usage(client: aiohttp.ClientSession) -> None:
    async with (
        ScriptedModel({"the play": PLAY}, pace_seconds=0.1) as model,
        client.post(f"{model.url}/chat/completions", json=body(stream=True)) as response,
    ):
        assert response.content_type == "text/event-stream"
        lines = [line[6:] for line in (await response.text()).splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == "Here I go."
    assert sum("tool_calls" in delta for delta in deltas) == 1
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert [bool(chunk.get("usage")) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


async def test_a_request_without_tools_gets_a_title(client: aiohttp.ClientSession) -> None:
    async with ScriptedModel({"the play": PLAY}) as model:
        _, answer = await ask(client, model, tools=[])
        assert answer["choices"][0]["message"]["content"] == TITLE
        _, answer = await ask(client, model, prompt="nobody knows this")
        assert answer["choices"][0]["message"]["content"] == NOTHING_MORE


async def test_a_script_that_cannot_be_read_is_told(client: aiohttp.ClientSession) -> None:
    async with ScriptedModel() as model:
        status, answer = await ask(client, model, prompt="```script\n- {shout: x}\n```")
    assert status == 200
    assert "shout" in answer["choices"][0]["message"]["content"]


async def test_remembers_requests(client: aiohttp.ClientSession) -> None:
    async with ScriptedModel({"the play": PLAY}) as model:
        await ask(client, model)
        await ask(client, model)
        await ask(client, model, prompt="something else")
        assert model.count == 3
        assert [request.step for request in model.requests] == [0, 0, None]
        first = model.first_request("the play")
        assert first is model.requests[0]
        assert first.authorization == "Bearer key"
        assert model.first_request("unheard of") is None


async def test_other_keys_are_refused(client: aiohttp.ClientSession) -> None:
    async with ScriptedModel({"the play": PLAY}, api_key="another") as model:
        assert (await ask(client, model))[0] == 401
        model.api_key = "key"
        assert (await ask(client, model))[0] == 200


async def test_faults_pass_after_so_many_requests(client: aiohttp.ClientSession) -> None:
    broken = Step(done="it", fault=Fault(kind="status", status=429, times=2))
    async with ScriptedModel({"the play": (broken,)}) as model:
        assert [(await ask(client, model))[0] for _ in range(3)] == [429, 429, 200]
        model.fault = Fault(kind="status", status=503)
        assert [(await ask(client, model))[0] for _ in range(3)] == [503, 503, 503]
        model.fault = None
        assert (await ask(client, model))[0] == 200


async def test_nonsense_of_each_kind(client: aiohttp.ClientSession) -> None:
    async with ScriptedModel({"the play": PLAY}) as model:
        url = f"{model.url}/chat/completions"
        model.fault = Fault(kind="html")
        async with client.post(url, json=body(stream=True)) as response:
            assert (response.status, response.content_type) == (200, "text/html")
        model.fault = Fault(kind="garbage")
        async with client.post(url, json=body(stream=True)) as response:
            assert "no JSON" in await response.text()
        model.fault = Fault(kind="cut")
        async with client.post(url, json=body(stream=True)) as response:
            assert b"Here" in await response.content.readany()
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        model.fault = Fault(kind="hang")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(client, model), 0.3)


async def test_comes_back_on_its_port(client: aiohttp.ClientSession) -> None:
    model = ScriptedModel({"the play": PLAY})
    await model.start()
    url = model.url
    await model.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(client, model)
    await model.start()
    try:
        assert model.url == url
        assert (await ask(client, model))[0] == 200
    finally:
        await model.stop()


async def test_a_body_that_is_no_request_is_refused(client: aiohttp.ClientSession) -> None:
    async with (
        ScriptedModel() as model,
        client.post(f"{model.url}/chat/completions", data=b"hello") as response,
    ):
        assert response.status == 400
