"""Base64 that is broken into lines, read as if it were not."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

_WRAP = re.compile(r"(?<=[A-Za-z0-9+/_-])\r?\n(?=[A-Za-z0-9+/_-]|\Z)")


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A text without the ends of lines inside of what may be base64."""

    text: str
    _places: tuple[int, ...]
    """Where in `text` an end of a line was left out."""
    _left_out: tuple[int, ...]
    """How many characters were left out up to there."""

    def original(self, place: int) -> int:
        """Where in the whole text the character of `text` at a place is."""
        number = bisect_right(self._places, place)
        return place + (self._left_out[number - 1] if number else 0)


def unwrap(text: str) -> Unwrapped | None:
    """The text as one line where it may be base64; None if there is no such end of a line."""
    pieces: list[str] = []
    places: list[int] = []
    left_out: list[int] = []
    at, gone = 0, 0
    for match in _WRAP.finditer(text):
        pieces.append(text[at : match.start()])
        places.append(match.start() - gone)
        gone += len(match[0])
        left_out.append(gone)
        at = match.end()
    return Unwrapped("".join([*pieces, text[at:]]), tuple(places), tuple(left_out)) if pieces else None
