"""The last lines of a stream, as a tile shows them."""

from __future__ import annotations

import json
from typing import Any

from polecat_dashboard.streams.lines import LINES, TailLines

Event = tuple[str, dict[str, Any]]


def shown(*events: Event) -> list[tuple[str, str]]:
    """Class and text of each line after these events."""
    lines = TailLines()
    for number, (kind, data) in enumerate(events, start=1):
        lines.add(number, kind, data)
    return [(line_class, text) for _, line_class, text in json.loads(lines.encode())]


def call(state: str, number: int = 1, **data: Any) -> Event:
    return "tool", {"callID": f"c{number}", "tool": "bash", "state": state, "input": {"command": "make"}, **data}


def test_what_grows_keeps_its_one_line_whatever_comes_between() -> None:
    # The order in which the Kilo CLI tells of a sentence with a call behind it.
    assert shown(
        ("text-delta", {"part": "p", "text": "I'll build "}),
        ("text-delta", {"part": "p", "text": "it"}),
        call("running"),
        ("text", {"part": "p", "text": "I'll build it now."}),
        ("tool-output", {"callID": "c1", "text": "compiling\n"}),
        ("tool-output", {"callID": "c1", "text": "linking\n"}),
        call("completed", exitCode=0),
    ) == [("say", "I'll build it now."), ("tool-done", "bash make"), ("out", "compiling"), ("out", "linking")]


def test_a_text_without_pieces_is_shown() -> None:
    assert shown(("text", {"part": "p", "text": "All at once."})) == [("say", "All at once.")]


def test_a_call_that_fails_is_told_also_when_its_line_is_long_gone() -> None:
    between = [("status", {"message": f"step {number}"}) for number in range(LINES)]
    assert shown(call("running"), *between, call("completed", exitCode=2))[-1] == ("tool-failed", "bash make")
    assert shown(call("running"), *between, call("completed", exitCode=0))[-1] == ("own", f"step {LINES - 1}")


def test_the_last_line_of_what_is_written_is_shown() -> None:
    pieces = [("text-delta", {"part": "p", "text": piece}) for piece in ("First.\n\nSec", "ond ", "line")]
    assert shown(*pieces) == [("say", "Second line")]


def test_terminal_codes_and_control_characters_are_left_out() -> None:
    assert shown(("tool-output", {"callID": "c", "text": "\x1b[31mred\x1b[0m \x07\x9bbell\x1b]0;title\x07"})) == [
        ("out", "red bell")
    ]
