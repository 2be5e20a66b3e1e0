"""The last lines of a stream, as a tile shows them: one short line for each thing that happened."""

from __future__ import annotations

import json
import re
from collections import deque
from typing import Any

LINES = 7
LINE_MAX_LENGTH = 180
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SPACE = re.compile(r"\s+")
Line = tuple[int, str, str]
"""Number of the event, class of the line, text."""


def plain(text: str) -> str:
    """One line without terminal codes and control characters."""
    return _SPACE.sub(" ", _CONTROL.sub("", text)).strip()


class TailLines:
    """Built from the events of one stream in their order; `version` grows with each change."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=LINES)
        self._growing: tuple[str, str] | None = None
        """What the last line belongs to while it may still change, and its text so far."""
        self.version = 0
        self._encoded: tuple[int, str] = (-1, "[]")

    def encode(self) -> str:
        """The lines as a JSON list, made once for each version."""
        if self._encoded[0] != self.version:
            self._encoded = (self.version, json.dumps(list(self._lines), separators=(",", ":"), ensure_ascii=False))
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
            self._growing = None
            self._put(seq, *line)

    def _says(self, seq: int, kind: str, data: dict[str, Any]) -> None:
        key, before = f"part {_text(data, 'part')}", ""
        if self._growing is not None and self._growing[0] == key:
            before = self._growing[1]
            self._lines.pop()
        text = _text(data, "text") if kind == "text" else (before + _text(data, "text"))[-4 * LINE_MAX_LENGTH :]
        shown = self._put(seq, "think" if data.get("reasoning") else "say", _last_line(text))
        self._growing = (key, text) if shown and kind == "text-delta" else None

    def _prints(self, seq: int, data: dict[str, Any]) -> None:
        key = f"output {_text(data, 'callID')}"
        if self._growing is not None and self._growing[0] == key:
            self._lines.pop()
        self._growing = (key, "") if self._put(seq, "out", _last_line(_text(data, "text"))) else None

    def _uses(self, seq: int, data: dict[str, Any]) -> None:
        key, state, tool = f"call {_text(data, 'callID')}", _text(data, "state"), _text(data, "tool")
        if self._growing is not None and self._growing[0] == key:
            self._lines.pop()
        failed = state == "error" or data.get("exitCode") not in (None, 0)
        line_class = "tool-failed" if failed else "tool-done" if state == "completed" else "tool"
        what = _tool_input(data.get("input")) or _text(data, "title")
        self._growing = (key, "") if self._put(seq, line_class, f"{tool} {what}") and state == "running" else None

    def _put(self, seq: int, line_class: str, text: str) -> bool:
        shown = plain(text)
        self.version += 1
        if not shown:
            return False
        # The end of what is being written is what moves; the beginning of the rest is what tells most.
        cut = shown[-LINE_MAX_LENGTH:] if line_class in ("say", "think") else shown[:LINE_MAX_LENGTH]
        self._lines.append((seq, line_class, cut))
        return True


def _other_line(kind: str, data: dict[str, Any]) -> tuple[str, str] | None:
    match kind:
        case "claimed":
            return "own", f"takes the work on {_text(data, 'branch')}"
        case "prompt":
            return "own", "reads the prompt"
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
