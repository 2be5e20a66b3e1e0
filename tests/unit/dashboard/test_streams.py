"""Events of towns: read in any pieces, and told in a few short lines."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polecat_dashboard.streams.lines import LINES, TailLines, plain
from polecat_dashboard.streams.sse import EVENT_MAX_BYTES, Event, Parser, TooLongError
from polecat_dashboard.vendoring import differences, read_manifest


@given(st.lists(st.integers(min_value=1, max_value=30), max_size=60))
def test_events_come_whole_however_they_are_cut(cuts: list[int]) -> None:
    body = (
        b": heartbeat\n\n"
        b'id: 1\nevent: text\ndata: {"a": "\xe2\x82\xac"}\n\n'
        b"event: end\ndata: {}\n\n"
        b'id: 2\nevent: text\ndata: {"a"'
    )
    parser, found = Parser(), []
    while body:
        size = cuts.pop() if cuts else len(body)
        found += parser.feed(body[:size])
        body = body[size:]
    assert found == [Event("1", "text", '{"a": "€"}'), Event("", "end", "{}")]


def test_an_event_without_an_end_fills_no_memory() -> None:
    parser = Parser()
    with pytest.raises(TooLongError):
        for _ in range(2 * EVENT_MAX_BYTES // 65_536):
            parser.feed(b"x" * 65_536)


def shown(*events: tuple[str, dict[str, Any]]) -> list[tuple[str, str]]:
    lines = TailLines()
    for seq, (kind, data) in enumerate(events, start=1):
        lines.add(seq, kind, data)
    return [(kind, text) for _, kind, text in json.loads(lines.encode())]


def test_text_grows_in_one_line_and_becomes_the_whole() -> None:
    pieces = [("text-delta", {"part": "p", "text": text}) for text in ("I look", " at it.\n\nNow ", "**the** mend")]
    assert shown(*pieces) == [("say", "Now the mend")]
    assert shown(*pieces, ("text", {"part": "p", "text": "Now the mend."})) == [("say", "Now the mend.")]
    assert shown(("text", {"text": "code:\n```\nx = 1\n```\n"})) == [("say", "x = 1")]


def test_a_tool_call_is_one_line_with_its_end() -> None:
    call = {"callID": "c", "tool": "bash", "input": {"command": "npm test"}}
    running = ("tool", {**call, "state": "running"})
    assert shown(running) == [("tool", "bash npm test")]
    assert shown(running, ("tool", {**call, "state": "completed"})) == [("tool-done", "bash npm test")]
    assert shown(running, ("tool", {**call, "state": "completed", "exitCode": 1})) == [("tool-failed", "bash npm test")]
    printed = [
        ("tool-output", {"callID": "c", "text": text}) for text in ("one\n\x1b[32mtw", "o\x1b[0m\n", "three\nfour\n")
    ]
    lines = [("tool", "bash npm test"), ("out", "two"), ("out", "three"), ("out", "four")]
    assert shown(running, *printed) == lines
    assert shown(running, *printed, ("tool", {**call, "state": "completed"}))[0] == ("tool-done", "bash npm test")


def test_only_the_last_lines_are_kept() -> None:
    lines = shown(*(("status", {"message": f"step {n}"}) for n in range(30)))
    assert len(lines) == LINES and lines[-1] == ("own", "step 29")


@given(st.text() | st.from_regex(r"(\x1b\[[0-9;]*[a-zA-Z]|\x1b\][^\x07]*\x07|[a-z])*", fullmatch=True))
def test_a_line_has_no_terminal_codes(text: str) -> None:
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in plain(text))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["text-delta", "text", "tool", "tool-output", "edit", "check", "ended", "asked", "new-kind"]
            ),
            st.dictionaries(
                st.sampled_from(["text", "part", "tool", "callID", "state", "input", "exitCode", "passed", "command"]),
                st.none() | st.integers() | st.text(max_size=20) | st.dictionaries(st.text(max_size=5), st.integers()),
            ),
        ),
        max_size=40,
    )
)
def test_odd_events_do_no_harm(events: list[tuple[str, dict[str, Any]]]) -> None:
    assert len(shown(*events)) <= LINES


def test_the_third_party_files_are_what_the_manifest_says() -> None:
    manifest = read_manifest()
    assert differences(manifest) == []
    for package in manifest["packages"]:
        assert package["version"] and package["licence"] and package["integrity"].startswith("sha512-")
        assert any(file["to"].endswith("LICENSE") for file in package["files"]), package["name"]
