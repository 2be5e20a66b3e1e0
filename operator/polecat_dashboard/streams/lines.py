"""The last lines of a stream, as a tile shows them: one short line for each thing that happened."""

from __future__ import annotations

import json
import re
from collections import deque
from typing import Any

LINES = 7
LINE_MAX_LENGTH = 180
OUTPUT_LINES = 3
"""Lines at the end of what a command prints."""
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SPACE = re.compile(r"\s+")
Line = tuple[int, str, str]
"""Number of the event, class of the line, text."""


def plain(text: str) -> str:
    """One line without terminal codes and control characters."""
    return _SPACE.sub(" ", _CONTROL.sub("", text)).strip()


class TailLines:
    """Built from the events of one stream in their order; `version` grows with each change.

    What grows (a text that is written, a call that runs) keeps its one line, also when others came behind it.
    """

    def __init__(self) -> None:
        self._lines: deque[tuple[str, Line]] = deque(maxlen=LINES)
        """Each with what it belongs to; "" for what happens once."""
        self._begun: deque[str] = deque(maxlen=8 * LINES)
        """Keys of lines that were shown lately."""
        self._printed = ("", "")
        """The call whose output comes, and its end so far."""
        self._part = ("", "")
        """The part of text that is being written, and its end so far."""
        self.version = 0
        self._encoded: tuple[int, str] = (-1, "[]")

    def encode(self) -> str:
        """The lines as a JSON list, made once for each version."""
        if self._encoded[0] != self.version:
            lines = [line for _, line in self._lines]
            self._encoded = (self.version, json.dumps(lines, separators=(",", ":"), ensure_ascii=False))
        return self._encoded[1]

    def add(self, seq: int, kind: str, data: dict[str, Any]) -> None:
        """Takes one event; kinds that say nothing to a person make no line."""
        if kind in ("text-delta", "text"):
            self._says(seq, kind, data)
        elif kind == "tool-output":
            self._prints(seq, data)
        elif kind == "tool":
            self._uses(seq, data)
        elif (line := _other_line(kind, data)) is not None:
            self._put(seq, *line)

    def _says(self, seq: int, kind: str, data: dict[str, Any]) -> None:
        part, text = _text(data, "part"), _text(data, "text")
        if kind == "text-delta":
            before = self._part[1] if self._part[0] == part else ""
            text = (before + text)[-4 * LINE_MAX_LENGTH :]
            self._part = (part, text)
        self._put(seq, "think" if data.get("reasoning") else "say", _last_line(text), f"part {part}", kind == "text")

    def _prints(self, seq: int, data: dict[str, Any]) -> None:
        call, text = _text(data, "callID"), _text(data, "text")
        before = self._printed[1] if self._printed[0] == call else ""
        self._printed = (call, (before + text)[-OUTPUT_LINES * 4 * LINE_MAX_LENGTH :])
        shown = [line for line in self._printed[1].split("\n") if line.strip()][-OUTPUT_LINES:]
        for number, line in enumerate(shown):
            self._put(seq, "out", line, f"output {call} {number}")

    def _uses(self, seq: int, data: dict[str, Any]) -> None:
        state, tool = _text(data, "state"), _text(data, "tool")
        failed = state == "error" or data.get("exitCode") not in (None, 0)
        line_class = "tool-failed" if failed else "tool-done" if state == "completed" else "tool"
        what = _tool_input(data.get("input")) or _text(data, "title")
        self._put(seq, line_class, f"{tool} {what}", f"call {_text(data, 'callID')}", line_class == "tool-done")

    def _put(self, seq: int, line_class: str, text: str, key: str = "", ends: bool = False) -> None:
        """Shows a line in the place of the one with its key; the end of what has scrolled away is not shown."""
        shown = plain(text)
        self.version += 1
        if not shown:
            return
        # The end of what is being written is what moves; the beginning of the rest is what tells most.
        cut = shown[-LINE_MAX_LENGTH:] if line_class in ("say", "think") else shown[:LINE_MAX_LENGTH]
        known = next((index for index, (has, _) in enumerate(self._lines) if key and has == key), None)
        if known is not None:
            self._lines[known] = (key, (seq, line_class, cut))
        elif not (ends and key in self._begun):
            self._begun.append(key)
            self._lines.append((key, (seq, line_class, cut)))


def _other_line(kind: str, data: dict[str, Any]) -> tuple[str, str] | None:
    match kind:
        case "claimed":
            return "own", f"takes the work on {_text(data, 'branch')}"
        case "worktree":
            return "own", "has a worktree"
        case "process":
            return "own", "its process starts"
        case "prompt":
            return "own", "reads the prompt"
        case "model-request":
            return "own", f"asks {_text(data, 'model')}"
        case "nudged":
            return "warn", f"asked to go on: {_text(data, 'why')}"
        case "done-called":
            return "own", f"says it is done: {_text(data, 'summary')}"
        case "check":
            passed = data.get("passed") is True
            return ("good" if passed else "bad"), f"check {'passed' if passed else 'failed'}: {_text(data, 'command')}"
        case "refused":
            return "warn", f"not done yet: {_text(data, 'why')}"
        case "pushed":
            return "good", f"pushed {_text(data, 'commit')[:10]}"
        case "checkpoint":
            return "own", f"checkpoint {_text(data, 'note')}"
        case "saved":
            return "own", f"work saved as {_text(data, 'commit')[:10]}"
        case "ended":
            return "own", f"ended: {_text(data, 'reason')} {_text(data, 'message')}"
        case "status":
            return "own", _text(data, "message")
        case "error":
            return "bad", _text(data, "message")
        case "asked":
            return "warn", f"asked for {_text(data, 'what')} {_text(data, 'text')}: {_text(data, 'answer')}"
        case "edit":
            return "edit", f"{_text(data, 'path')} +{data.get('additions', 0)} −{data.get('deletions', 0)}"
        case _:
            return None


def _last_line(text: str) -> str:
    """The last line that says something; without the marks of Markdown."""
    for line in reversed(text.strip().split("\n")):
        said = line.strip().strip("`*#>-| ").replace("**", "").replace("`", "")
        if said:
            return said
    return ""


def _tool_input(value: Any) -> str:
    if isinstance(value, dict):
        for key in ("command", "filePath", "path", "pattern", "url", "description"):
            if isinstance(value.get(key), str):
                return str(value[key])
        return ""
    return value if isinstance(value, str) else ""


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    return value[: 1 << 16] if isinstance(value, str) else ""
