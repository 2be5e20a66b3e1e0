"""The journal: numbers without gaps, nothing secret, nothing torn."""

from __future__ import annotations

import io
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from polecat_town.streams.events import FIELD_MAX_LENGTH, Kind, clean
from polecat_town.streams.journal import Journal, read_last_seq
from polecat_town.streams.redaction import Redactor

NAMES = {"polecat": "web-toast", "bead": "fix"}


def opened(path: Path, echo: io.StringIO | None = None, redactor: Redactor | None = None) -> Journal:
    """A journal in a file."""
    return Journal(path, NAMES, (redactor or Redactor()).text, echo=echo or io.StringIO())


def lines(path: Path) -> list[dict[str, object]]:
    """What is in it."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "b" / "1.jsonl"
    for _ in range(3):
        journal = opened(path)
        journal.append(Kind.TEXT, text="one")
        journal.append(Kind.TEXT, text="two")
        journal.close()
    assert [line["seq"] for line in lines(path)] == [1, 2, 3, 4, 5, 6]


def test_a_line_cut_short_by_a_kill_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "1.jsonl"
    journal = opened(path)
    journal.append(Kind.TEXT, text="whole")
    journal.close()
    with path.open("a") as file:
        file.write('{"seq":2,"time":"2026')
    assert read_last_seq(path) == 1
    journal = opened(path)
    journal.append(Kind.TEXT, text="again")
    journal.close()
    assert [line["seq"] for line in lines(path)] == [1, 2]


def test_the_copy_on_standard_output_names_the_polecat(tmp_path: Path) -> None:
    echo = io.StringIO()
    journal = opened(tmp_path / "1.jsonl", echo)
    journal.append(Kind.STATUS, message="</script>\x1b[31m")
    journal.close()
    line = json.loads(echo.getvalue())
    assert line["polecat"] == "web-toast"
    assert line["event"]["data"]["message"] == "</script>\x1b[31m"


def test_secrets_and_keys_are_removed_and_lines_stay_json(tmp_path: Path) -> None:
    path = tmp_path / "1.jsonl"
    journal = opened(path, redactor=Redactor(["hunter2hunter2"]))
    journal.append(Kind.TOOL, input={"command": "curl -u x:hunter2hunter2"}, output="-----BEGIN PRIVATE KEY-----\nabc")
    journal.close()
    text = path.read_text()
    assert "hunter2" not in text
    assert "abc" not in text
    assert lines(path)[0]["kind"] == "tool"


@given(st.text(max_size=50) | st.binary(max_size=50).map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_every_text_can_be_written(text: str) -> None:
    json.dumps(clean({"a": [text]}, Redactor().text), ensure_ascii=False).encode()


def test_long_texts_are_cut_visibly() -> None:
    cut = clean("x" * 10_000_000, Redactor().text)
    assert cut == "x" * FIELD_MAX_LENGTH + f"… [{10_000_000 - FIELD_MAX_LENGTH} characters more]"
    assert clean("x" * FIELD_MAX_LENGTH, Redactor().text) == "x" * FIELD_MAX_LENGTH
