"""Scripts: how they are read, and which step of them is next in a conversation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from polecat_local.demo.model import Answer
from polecat_local.demo.script import (
    Fault,
    ScriptError,
    Step,
    call_id,
    find_position,
    parse_script,
    resolve_tool,
)

Message = dict[str, Any]

YAML = """Please mend it.

```script
- {say: "Let me look.", bash: cat a.txt}
- bash: |
    echo x > a.txt
    git commit -am x
- say: I need a moment.
- done: mended
```
Thanks.
"""


def user(text: str) -> Message:
    return {"role": "user", "content": [{"type": "text", "text": text}, {"type": "text", "text": "<environment/>"}]}


def play(step: Step, index: int, result: str = "ok") -> list[Message]:
    """What a conversation has after a step has been played."""
    call = Answer.of(step, index, ["bash", "polecat_done"], "m", 0).call
    if call is None:
        return [{"role": "assistant", "content": step.say}]
    return [
        {"role": "assistant", "content": step.say, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": result},
    ]


def test_reads_yaml_and_json() -> None:
    steps = parse_script(YAML)
    assert steps is not None
    assert [step.call and step.call[0] for step in steps] == ["bash", "bash", None, "polecat_done"]
    assert steps[1].call == (
        "bash",
        {"command": "echo x > a.txt\ngit commit -am x\n", "description": "echo x > a.txt"},
    )
    assert parse_script('```script\n[{"say": "hi"}]\n```') == (Step(say="hi"),)
    assert parse_script("no script, only `script`") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {bash: a, done: b}", "one of bash, tool and done"),
        ("- {say: a, args: {x: 1}}", "args are those of a tool"),
        ("- {pace_seconds: 1}", "says or calls something"),
        ("- {shout: a}", "shout"),
        ("- {bash: [", "The script can't be read"),
        ("just words", "The script can't be read"),
    ],
)
def test_says_what_is_wrong_with_a_script(text: str, words: str) -> None:
    with pytest.raises(ScriptError, match=words):
        parse_script(f"```script\n{text}\n```")


def test_a_fault_has_a_status_of_an_error() -> None:
    with pytest.raises(ValidationError):
        Fault(kind="status", status=200)


def test_each_answer_moves_on_by_one_and_requests_to_go_on_do_not() -> None:
    steps = parse_script(YAML) or ()
    messages = [{"role": "system", "content": "You are an agent."}, user(YAML)]
    for index, step in enumerate(steps):
        assert find_position(messages, {}).step == step
        messages += play(step, index)
        if step.call is None:
            messages.append(user("Please go on."))
    assert find_position(messages, {}).step is None


def test_the_latest_script_counts() -> None:
    steps = parse_script(YAML) or ()
    messages = [user(YAML), *play(steps[0], 0), user("```script\n- {say: other}\n- {done: it}\n```")]
    assert find_position(messages, {}).step == Step(say="other")
    messages.append({"role": "assistant", "content": "other"})
    assert find_position(messages, {}).step == Step(done="it")


@pytest.mark.parametrize("result", ["[Tool execution was interrupted]", "out\nUser aborted the command\n"])
def test_an_interrupted_call_is_made_again(result: str) -> None:
    steps = parse_script(YAML) or ()
    messages = [user(YAML), *play(steps[0], 0), *play(steps[1], 1, result), user("You were interrupted.")]
    assert find_position(messages, {}).index == 1
    messages += play(steps[1], 1)
    assert find_position(messages, {}).index == 2


def test_an_answer_that_was_cut_off_counts_for_nothing() -> None:
    messages = [user("```script\n- say: one two three\n- say: four\n```"), {"role": "assistant", "content": "one"}]
    assert find_position(messages, {}).index == 0
    assert find_position([*messages, {"role": "assistant", "content": "one two three "}], {}).index == 1


def test_a_step_may_be_played_for_ever() -> None:
    step = Step(bash="sleep 1", forever=True)
    prompt = user("```script\n- {bash: sleep 1, forever: true}\n- {done: never}\n```")
    assert find_position([prompt, *play(step, 0), *play(step, 0)], {}).step == step


def test_a_play_is_found_by_a_phrase_of_the_first_message() -> None:
    plays = {"Mend the parser": (Step(done="parser"),), "Add search": (Step(done="search"),)}
    messages = [user("# Add search\nPlease."), {"role": "assistant", "content": "hm"}, user("Mend the parser")]
    assert find_position(messages, plays).steps == plays["Add search"]
    assert find_position([user("something else")], plays).step is None
    assert find_position([], plays).step is None


@given(st.integers(min_value=0, max_value=10**6), st.text("0123456789abcdef", min_size=8, max_size=8))
def test_ids_of_calls_carry_the_step(index: int, unique: str) -> None:
    steps = (Step(bash="a"),) * 3
    call = {"id": call_id(index, unique), "function": {"name": "bash"}}
    messages = [user("the play"), {"role": "assistant", "content": "", "tool_calls": [call]}]
    assert find_position(messages, {"the play": steps}).index == index + 1


def test_tools_are_found_by_the_end_of_their_name() -> None:
    offered = ["bash", "polecat_done", "polecat_status"]
    assert resolve_tool("done", offered) == "polecat_done"
    assert resolve_tool("polecat_done", offered) == "polecat_done"
    assert resolve_tool("bash", offered) == "bash"
    assert resolve_tool("unknown", offered) == "unknown"


def test_a_timeout_is_told_in_milliseconds() -> None:
    call = Step(bash="make", timeout_seconds=1.5).call
    assert call is not None
    assert call[1]["timeout"] == 1500
