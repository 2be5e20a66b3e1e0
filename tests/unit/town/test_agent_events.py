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
    FileEdit,
    Idle,
    Normaliser,
    OutputGrown,
    Progress,
    Retrying,
    StepFinished,
    Text,
    TextGrown,
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
    assert told == [Text("Hello", part="p1")]


def test_text_is_told_as_it_is_written() -> None:
    def delta(text: str, part_id: str = "p1", field: str = "text") -> tuple[str, dict[str, Any]]:
        return "message.part.delta", {"messageID": "m1", "partID": part_id, "field": field, "delta": text}

    told = feed(
        ("message.updated", {"info": {"id": "m0", "role": "user"}}),
        ("message.part.updated", {"part": {"id": "p0", "messageID": "m0", "type": "text", "text": "Do it"}}),
        delta("no part of the agent's", "p0"),
        part(type="reasoning", text="", time={"start": 1}),
        delta("Let me "),
        delta("x", field="other"),
        delta("see."),
        part(type="reasoning", text="Let me see.", time={"start": 1, "end": 2}),
        delta("too late"),
    )
    assert told == [
        TextGrown("p1", "Let me ", reasoning=True),
        TextGrown("p1", "see.", reasoning=True),
        Text("Let me see.", reasoning=True, part="p1"),
    ]


def test_the_output_of_a_tool_is_told_as_it_grows() -> None:
    def running(output: str) -> tuple[str, dict[str, Any]]:
        return part(type="tool", tool="bash", callID="c", state={"status": "running", "metadata": {"output": output}})

    metadata = {"output": "a\nb\nc\n", "exit": 1}
    done = {"status": "completed", "output": "a\nb\nc\n", "metadata": metadata}
    told = feed(
        part(type="tool", tool="bash", callID="c", state={"status": "running"}),
        running("a\n"),
        running("a\nb\n"),
        running("…b\n"),
        part(type="tool", tool="bash", callID="c", state=done),
    )
    assert told[1:] == [
        OutputGrown("c", "a\n"),
        OutputGrown("c", "b\n"),
        ToolCall("c", "bash", "completed", output="a\nb\nc\n", exit_code=1),
    ]


def test_a_changed_file_is_told_with_its_diff() -> None:
    changed = {"file": "/w/a.txt", "patch": "…", "additions": 1, "deletions": 2}
    state = {"status": "completed", "metadata": {"diff": "--- /w/a.txt\n", "filediff": changed}}
    (told,) = feed(part(type="tool", tool="edit", callID="c", state=state))
    assert isinstance(told, ToolCall)
    assert told.edit == FileEdit("/w/a.txt", "--- /w/a.txt\n", 1, 2)


def test_what_is_asked_is_told() -> None:
    asked = {"id": "per_1", "permission": "bash", "patterns": ["rm *"]}
    assert feed(("permission.asked", asked)) == [Asked("permission", "per_1", "bash rm *")]
    questions = [{"question": "Which?", "options": []}]
    assert feed(("question.asked", {"id": "q", "questions": questions})) == [Asked("question", "q", "Which?")]


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
