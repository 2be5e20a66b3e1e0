"""Raw events of the agent's server, as measured, and what is made of them."""

from __future__ import annotations

from typing import Any

import pytest

from polecat_town.agent.events import (
    AgentEvent,
    Asked,
    Busy,
    ConnectionLost,
    Failed,
    Idle,
    Normaliser,
    Progress,
    Retrying,
    StepFinished,
    Text,
    ToolCall,
    describe,
)

SESSION = "ses_1"


def feed(*events: tuple[str, dict[str, Any]], session: str = SESSION) -> list[AgentEvent]:
    """What comes out, without mere progress."""
    normaliser = Normaliser(SESSION)
    out: list[AgentEvent] = []
    for kind, properties in events:
        out += normaliser.feed({"type": kind, "properties": {"sessionID": session, **properties}})
    return [event for event in out if not isinstance(event, Progress)]


def part(**fields: Any) -> tuple[str, dict[str, Any]]:
    """An updated part of an answer."""
    return "message.part.updated", {"part": {"id": "p1", "messageID": "m1", "sessionID": SESSION, **fields}}


def test_text_is_told_once_when_it_is_whole() -> None:
    told = feed(
        part(type="text", text="Hel", time={"start": 1}),
        part(type="text", text="Hello", time={"start": 1, "end": 2}),
        part(type="text", text="Hello", time={"start": 1, "end": 2}),
    )
    assert told == [Text("Hello")]


def test_the_echo_of_the_prompt_is_not_the_agents_text() -> None:
    echo = part(type="text", text="Do it", time={"end": 1})
    assert feed(("message.updated", {"info": {"id": "m1", "role": "user"}}), echo) == []


def test_a_tool_call_is_told_when_it_runs_and_when_it_ends() -> None:
    given = {"command": "npm  test\n"}
    told = feed(
        part(type="tool", tool="bash", callID="c", state={"status": "pending", "input": {}}),
        part(type="tool", tool="bash", callID="c", state={"status": "running", "input": given}),
        part(type="tool", tool="bash", callID="c", state={"status": "running", "input": given, "metadata": {}}),
        part(type="tool", tool="bash", callID="c", state={"status": "completed", "input": given, "output": "ok"}),
    )
    assert told == [
        ToolCall("c", "bash", "running", input=given),
        ToolCall("c", "bash", "completed", input=given, output="ok"),
    ]
    assert isinstance(told[0], ToolCall)
    assert describe(told[0]) == "bash: npm test"


def test_tokens_from_the_cache_are_read_too() -> None:
    tokens = {"input": 900, "output": 50, "reasoning": 5, "cache": {"read": 100, "write": 0}}
    told = feed(part(type="step-finish", reason="stop", cost=0.00345, tokens=tokens))
    assert told == [StepFinished(1000, 55, 3450)]


def test_an_answer_that_is_none_is_a_failure() -> None:
    (told,) = feed(part(type="step-finish", reason="other", cost=0, tokens={"input": 0, "output": 0}))
    assert isinstance(told, Failed)


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (("session.status", {"status": {"type": "busy"}}), Busy()),
        (("session.turn.close", {"reason": "completed"}), Idle()),
        (("session.status", {"status": {"type": "retry", "attempt": 2, "message": "429"}}), Retrying(2, "429")),
        (("session.network.asked", {"id": "que_1", "message": "reset"}), ConnectionLost("que_1", "reset")),
        (("question.asked", {"id": "que_2"}), Asked("question", "que_2")),
        (
            ("session.error", {"error": {"name": "APIError", "data": {"message": "bad key", "statusCode": 401}}}),
            Failed("bad key", 401),
        ),
        (
            ("session.error", {"error": {"name": "MessageAbortedError", "data": {"message": "Aborted"}}}),
            Failed("Aborted", None, aborted=True),
        ),
    ],
)
def test_states_of_the_session(raw: tuple[str, dict[str, Any]], event: AgentEvent) -> None:
    assert feed(raw) == [event]


def test_other_sessions_and_nonsense_say_nothing() -> None:
    assert feed(("session.turn.close", {}), session="ses_other") == []
    normaliser = Normaliser(SESSION)
    for raw in ({}, {"type": 7}, {"type": "x", "properties": []}, {"type": "sync", "syncEvent": {}}):
        assert normaliser.feed(raw) == []
