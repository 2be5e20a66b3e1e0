"""The journal: numbers without gaps, nothing secret, nothing torn, everything bounded."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polecat_town.streams.events import Kind
from polecat_town.streams.journal import Journal
from polecat_town.streams.lines import FIELD_MAX_LENGTH, LINE_MAX_BYTES, build_line, clean, read_head
from polecat_town.streams.redaction import REDACTED, Redactor
from polecat_town.streams.retention import prune
from polecat_town.streams.segments import Segment, list_segments, read_about, read_last_seq

NAMES = {"polecat": "web-toast", "bead": "fix"}
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.text(st.sampled_from('\ud800\udfff\0\x1b\u2028</script>"\\'), max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def opened(folder: Path, **settings: Any) -> Journal:
    """A journal in a directory."""
    return Journal(folder, 1, NAMES, settings.pop("redactor", Redactor), **{"echo": io.StringIO(), **settings})


def told(folder: Path) -> list[dict[str, Any]]:
    """What is in it."""
    text = "".join(segment.path.read_text() for segment in list_segments(folder, 1))
    return [json.loads(line) for line in text.splitlines()]


def numbers(folder: Path) -> list[int]:
    """The numbers of its events."""
    return [event["seq"] for event in told(folder)]


async def until(holds: Callable[[], bool]) -> None:
    """Waits for something that comes by itself."""
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(3):
        journal = opened(tmp_path)
        journal.append(Kind.STATUS, message="one")
        journal.append(Kind.STATUS, message="two")
        journal.close()
    assert numbers(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_a_line_cut_short_by_a_kill_is_replaced(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(Kind.STATUS, message="whole")
    journal.close()
    with journal.path.open("a") as file:
        file.write('{"seq":2,"time":"2026')
    assert read_last_seq(Segment(journal.path, 1, 1)) == 1
    journal = opened(tmp_path)
    journal.append(Kind.STATUS, message="again")
    journal.close()
    assert numbers(tmp_path) == [1, 2]


def test_a_long_journal_goes_on_in_other_files(tmp_path: Path) -> None:
    rotated: list[str] = []
    for _ in range(2):
        journal = opened(tmp_path, segment_bytes=200, on_rotated=lambda: rotated.append("yes"))
        for _ in range(10):
            journal.append(Kind.STATUS, message="x" * 60)
        journal.close()
    segments = list_segments(tmp_path, 1)
    assert [segment.path.name for segment in segments[:3]] == ["1.jsonl", "1.3.jsonl", "1.5.jsonl"]
    assert len(rotated) == len(segments) - 1
    assert numbers(tmp_path) == list(range(1, 21))


def test_an_empty_last_file_keeps_the_count(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(Kind.STATUS, message="one")
    journal.close()
    (tmp_path / "1.2.jsonl").touch()
    journal = opened(tmp_path)
    journal.append(Kind.STATUS, message="two")
    journal.close()
    assert numbers(tmp_path) == [1, 2]


def test_the_end_is_noted_and_taken_back_when_it_goes_on(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(Kind.ENDED, reason="Done", message="")
    journal.close(ended=True)
    assert read_about(tmp_path, 1).ended
    assert read_about(tmp_path, 1).names == NAMES
    journal = opened(tmp_path)
    assert not read_about(tmp_path, 1).ended
    assert journal.tells(Kind.ENDED)
    assert not journal.tells(Kind.PUSHED)
    journal.close()


def test_what_may_go_on_after_a_restart_keeps_its_count(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    for ended in (False, True):
        journal = opened(folder, segment_bytes=200)
        for _ in range(10):
            journal.append(Kind.STATUS, message="x" * 60)
        journal.close(ended=ended)
        now = journal.path.stat().st_mtime
        if not ended:
            # Nobody writes it at this moment, and there is no room at all.
            prune(tmp_path, {}, now, 600, 0)
            assert read_last_seq(list_segments(folder, 1)[0]) == 10
            assert len(list_segments(folder, 1)) == 1
    prune(tmp_path, {}, now, 600, 0)
    assert not folder.exists()
    opened(folder).close()
    prune(tmp_path, {}, now + 1000, 600, 1 << 30)
    assert not folder.exists()


def test_the_copy_on_standard_output_names_the_polecat(tmp_path: Path) -> None:
    echo = io.StringIO()
    opened(tmp_path, echo=echo).append(Kind.STATUS, message="</script>\x1b[31m")
    line = json.loads(echo.getvalue())
    assert line["polecat"] == "web-toast"
    assert line["event"]["data"]["message"] == "</script>\x1b[31m"


async def test_pieces_become_few_events_and_come_before_what_follows(tmp_path: Path) -> None:
    echo = io.StringIO()
    journal = opened(tmp_path, echo=echo)
    for word in ["I", "will", "do", "this", "now", ""]:
        journal.append_piece(Kind.TEXT_DELTA, "p1", word + " ", part="p1", reasoning=False)
    journal.append(Kind.STATUS, message="between")
    journal.append_piece(Kind.TEXT_DELTA, "p1", "and that", part="p1", reasoning=False)
    await until(lambda: len(told(tmp_path)) == 3)
    journal.end_pieces("p1")
    journal.append(Kind.TEXT, part="p1", text="I will do this now and that", reasoning=False)
    journal.close()
    assert [(event["kind"], event["data"].get("text")) for event in told(tmp_path)] == [
        ("text-delta", "I will do this now  "),
        ("status", None),
        ("text-delta", "and "),
        ("text", "I will do this now and that"),
    ]
    assert "text-delta" not in echo.getvalue()


async def test_what_was_held_back_is_told_when_no_whole_follows(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append_piece(Kind.TOOL_OUTPUT, "c1", "half a word", callID="c1")
    journal.end_pieces()
    journal.close()
    assert "".join(event["data"]["text"] for event in told(tmp_path)) == "half a word"


async def test_secrets_split_over_pieces_are_removed(tmp_path: Path) -> None:
    journal = opened(tmp_path, redactor=lambda: Redactor(["hunter2-hunter2"]), coalesce_seconds=0)
    for piece in ("my pass is hun", "ter2-hun", "ter2 ok "):
        before = journal.feed.last_seq
        journal.append_piece(Kind.TEXT_DELTA, "p", piece, part="p", reasoning=False)
        if piece != "ter2-hun":
            await until(lambda before=before: journal.feed.last_seq > before)  # type: ignore[misc]
    journal.close()
    assert "".join(event["data"]["text"] for event in told(tmp_path)) == f"my pass is {REDACTED} ok "


def test_secrets_and_keys_are_removed_and_lines_stay_json(tmp_path: Path) -> None:
    journal = opened(tmp_path, redactor=lambda: Redactor(["hunter2hunter2"]))
    command = {"command": "curl -u x:hunter2hunter2", "hunter2hunter2": 1}
    journal.append(Kind.TOOL, input=command, output="-----BEGIN PRIVATE KEY-----\nabc")
    journal.close()
    text = journal.path.read_text()
    assert "hunter2" not in text
    assert "abc" not in text


def test_a_full_volume_costs_events_but_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)
    journal.append(Kind.STATUS, message="one")
    whole = journal._file

    class Full:
        """Takes half a line, as a volume does that has just become full."""

        def write(self, line: bytes) -> int:
            return whole.write(line[: len(line) // 2])

        def truncate(self, size: int) -> int:
            return whole.truncate(size)

    monkeypatch.setattr(journal, "_file", Full())
    journal.append(Kind.STATUS, message="lost")
    monkeypatch.setattr(journal, "_file", whole)
    journal.append(Kind.STATUS, message="two")
    journal.close()
    assert [(event["seq"], event["data"]["message"]) for event in told(tmp_path)] == [(1, "one"), (2, "two")]


@given(st.dictionaries(st.text(st.characters(), max_size=5), ANYTHING, max_size=4))
def test_everything_can_be_written(data: dict[str, Any]) -> None:
    line = build_line(7, "now", Kind.TOOL, {"input": data}, Redactor().text)
    assert b"\n" not in line
    assert b"\r" not in line
    assert read_head(line) == (7, "tool")
    json.loads(line, parse_constant=pytest.fail)


def test_no_line_is_longer_than_the_bound() -> None:
    redact = Redactor(["hunter2-hunter2"]).text
    wide = {str(number): "\x1b" * 10_000 for number in range(400)}
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"in": deep, "text": "x" * 100}
    for data in ({"a": "\x1b" * 10_000_000}, wide, {"a": [wide] * 600}, deep, {"a": "hunter2-hunter2" * 1_000_000}):
        line = build_line(1, "now", Kind.TOOL, data, redact)
        assert len(line) <= LINE_MAX_BYTES
        assert b"more" in line or b"\xe2\x80\xa6" in line
        assert b"hunter2" not in line


def test_long_texts_are_cut_visibly() -> None:
    cut = clean("x" * 10_000_000, Redactor().text)
    assert cut == "x" * FIELD_MAX_LENGTH + f"… [{10_000_000 - FIELD_MAX_LENGTH} characters more]"
    assert clean("x" * FIELD_MAX_LENGTH, Redactor().text) == "x" * FIELD_MAX_LENGTH
