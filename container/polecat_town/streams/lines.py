"""One event as one line: without secrets, of bounded length, always valid JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from polecat_town.streams.events import Kind

FIELD_MAX_LENGTH = 16_384
"""The longest text that one field of an event holds, in characters; the rest is cut, and the cut says so."""
LINE_MAX_BYTES = 131_072
"""The longest line. In an event that would be longer, fields are cut further."""
_LOOK_LENGTH = 4 * FIELD_MAX_LENGTH
"""How much of a text is looked at, in characters."""
_LOOK_COST = 16
"""Looking at so many characters uses up as much of an event's room as showing one."""
_HALF_SECRET_LENGTH = 8192
_ITEMS_MAX = 500
_KEY_MAX_LENGTH = 200
_DEPTH_MAX = 12
_SHORTER = (FIELD_MAX_LENGTH, 2048, 128)
_HEAD = re.compile(rb'\{"seq":(\d+),"time":"[^"]*","kind":"([a-z-]+)"')


def build_line(seq: int, time: str, kind: Kind, data: Mapping[str, Any], redact: Callable[[str], str]) -> bytes:
    """The line of an event, without its end. `redact` removes secrets from a whole text."""
    line = b""
    for longest in _SHORTER:
        line = _dump(seq, time, kind, clean(data, redact, longest))
        if len(line) <= LINE_MAX_BYTES:
            return line
    # Only data with very many fields comes here.
    return _dump(seq, time, kind, {"cut": f"{len(line)} bytes more than fit into an event"})


def read_head(line: bytes) -> tuple[int, str] | None:
    """(seq, kind) of a line that `build_line` made; None for anything else."""
    match = _HEAD.match(line)
    return (int(match[1]), match[2].decode()) if match else None


def _dump(seq: int, time: str, kind: Kind, data: Any) -> bytes:
    event = {"seq": seq, "time": time, "kind": kind.value, "data": data}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def clean(value: Any, redact: Callable[[str], str], longest: int = FIELD_MAX_LENGTH) -> Any:
    """The value with secrets removed from every text in it, and each text cut to `longest` characters.

    The cut says how much is missing. Half characters and numbers that JSON can't carry are replaced; what lies too
    deep, or comes after more than a line could hold anyway, is left out.
    """
    return _Cleaner(redact, longest).clean(value)


class _Cleaner:
    def __init__(self, redact: Callable[[str], str], longest: int) -> None:
        self._redact = redact
        self._longest = longest
        self._room = LINE_MAX_BYTES

    def clean(self, value: Any, depth: int = 0) -> Any:
        match value:
            case str():
                return self._text(value, self._longest)
            case dict() | list() | tuple() if depth == _DEPTH_MAX or self._room < 0:
                return "…"
            case dict():
                return self._dict(value, depth + 1)
            case list() | tuple():
                more = [f"… [{len(value) - _ITEMS_MAX} more]"] if len(value) > _ITEMS_MAX else []
                return [self.clean(item, depth + 1) for item in value[:_ITEMS_MAX]] + more
            case float():
                return value if math.isfinite(value) else None
            case None | bool() | int():
                return value
            case _:
                return self._text(str(value), self._longest)

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        cleaned = {}
        for key, item in list(value.items())[:_ITEMS_MAX]:
            cleaned[self._text(str(key), _KEY_MAX_LENGTH)] = self.clean(item, depth)
        if len(value) > _ITEMS_MAX:
            cleaned["…"] = f"{len(value) - _ITEMS_MAX} fields more"
        return cleaned

    def _text(self, value: str, longest: int) -> str:
        if self._room < 0:
            return "…"
        # Redacted before it is cut: half a secret at the end would not be recognised.
        text = value[:_LOOK_LENGTH].encode("utf-8", "replace").decode("utf-8")
        self._room -= max(min(len(text), longest), len(text) // _LOOK_COST)
        shown = self._redact(text)
        if len(text) < len(value) and len(shown) <= longest:
            # Nearly all of it was secrets, and the last one may be a half.
            shown = shown[:-_HALF_SECRET_LENGTH]
        elif len(shown) <= longest:
            return shown
        return f"{shown[:longest]}… [{len(value) - min(longest, len(shown))} characters more]"
