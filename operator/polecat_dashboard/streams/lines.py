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
        self._writing = ""
        self._tool: str | None = None
        self.version = 0
        self._encoded: tuple[int, str] = (-1, "[]")

    def encode(self) -> str:
        """The lines as a JSON list, made once for each version."""
        if self._encoded[0] != self.version:
            self._encoded = (self.version, json.dumps(list(self._lines), separators=(",", ":"), ensure_ascii=False))
        return self._encoded[1]

    def add(self, seq: int, kind: str, data: dict[str, Any]) -> None:
        """Takes one event; kinds that say nothing to a person make no line."""
        if kind == "text-delta":
            self._writes(seq, _text(data, "text"), reasoning=bool(data.get("reasoning")))
            return
        written, self._writing = self._writing, ""
        if kind == "text":
            if written and self._lines:
                self._lines.pop()
            self._put(seq, "think" if data.get("reasoning") else "say", _last_paragraph(_text(data, "text")))
        elif kind == "tool":
            self._uses_tool(seq, data)
        elif (line := _supervisor_line(kind, data)) is not None:
            self._put(seq, *line)

    def _writes(self, seq: int, text: str, *, reasoning: bool) -> None:
        going_on = bool(self._writing)
        self._writing = (self._writing + text)[-4 * LINE_MAX_LENGTH :]
        if going_on and self._lines:
            self._lines.pop()
        self._put(seq, "think" if reasoning else "say", _last_paragraph(self._writing) or "…")

    def _uses_tool(self, seq: int, data: dict[str, Any]) -> None:
        state = _text(data, "state")
        what = _text(data, "title") or _tool_input(data.get("input"))
        call = _text(data, "callID") or f"{_text(data, 'tool')} {what}"
        if self._tool == call and self._lines and self._lines[-1][1].startswith("tool"):
            self._lines.pop()
        self._tool = call
        failed = state == "error" or bool(_text(data, "error"))
        line_class = "tool-failed" if failed else "tool-done" if state == "completed" else "tool"
        self._put(seq, line_class, f"{_text(data, 'tool')} {what}")

    def _put(self, seq: int, line_class: str, text: str) -> None:
        shown = plain(text)
        if not shown:
            return
        # The end of what is being written is what moves; the beginning of the rest is what tells most.
        cut = shown[-LINE_MAX_LENGTH:] if line_class in ("say", "think") else shown[:LINE_MAX_LENGTH]
        self._lines.append((seq, line_class, cut))
        self.version += 1


def _supervisor_line(kind: str, data: dict[str, Any]) -> tuple[str, str] | None:
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
        case "permission":
            return "warn", f"asks for permission: {_text(data, 'title') or _text(data, 'permission')}"
        case _:
            return None


def _last_paragraph(text: str) -> str:
    parts = [part for part in text.strip().split("\n") if part.strip()]
    return parts[-1] if parts else ""


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
