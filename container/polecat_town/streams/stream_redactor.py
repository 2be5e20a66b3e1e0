"""Removes secrets from text that comes in pieces, also where a secret is split over two of them."""

from __future__ import annotations

import re
from collections.abc import Callable

from polecat_town.streams.redaction import REDACTED, Redactor, Span, replaced

HOLD_LENGTH = 16_384
"""How many characters are held back at most, because they may be the beginning of a secret."""
RELEASED_LENGTH = 3
"""What is held back for a while is shown if it is no longer than this: less than the shortest secret."""
_PIECE_LENGTH = 4096
_KEY = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----", re.IGNORECASE)
_KEY_END = re.compile(r"-----END [A-Z ]{0,30}PRIVATE KEY-----", re.IGNORECASE)
_TOKEN_END = re.compile(r"[\s\"'<>,;]")


class StreamRedactor:
    """Gives out what is certainly no secret, and holds back the end of the text as long as it may be one.

    What is held back for longer than `HOLD_LENGTH` is taken for a secret, with all that follows without a break.
    """

    def __init__(self, redactor: Callable[[], Redactor]) -> None:
        """`redactor` gives that of the moment: secrets may become known later."""
        self._redactor = redactor
        self._held = ""
        self._told = 0
        """How many characters of `_held` have been shown already."""
        self._swallow_until: re.Pattern[str] | None = None

    def feed(self, text: str) -> str:
        """What may be shown now."""
        return "".join(self._feed(text[at : at + _PIECE_LENGTH]) for at in range(0, len(text), _PIECE_LENGTH))

    def _feed(self, piece: str) -> str:
        text = self._swallow(self._held + piece)
        redactor = self._redactor()
        spans = redactor.spans(text)
        cut = redactor.open_end(text)
        for start, end in spans:
            if start < cut < end:
                cut = start
        shown = _beyond(text[:cut], [span for span in spans if span[1] <= cut], self._told)
        self._held, self._told = text[cut:], max(0, self._told - cut)
        if len(self._held) > HOLD_LENGTH:
            self._swallow_until = _KEY_END if _KEY.match(self._held) else _TOKEN_END
            self._held, self._told = "", 0
            shown += REDACTED
        return shown

    def release(self) -> str:
        """The few characters at the end of what has come, once nothing has followed for a while.

        They are kept in mind: if they do begin a secret, the rest of it is still not shown.
        """
        if self._swallow_until is not None or len(self._held.strip()) > RELEASED_LENGTH:
            return ""
        released, self._told = self._held[self._told :], len(self._held)
        return released

    def end(self) -> str:
        """The rest; nothing comes after it."""
        rest, told = self._held, self._told
        self._held, self._told = "", 0
        return _beyond(rest, self._redactor().spans(rest), told)

    def _swallow(self, text: str) -> str:
        if self._swallow_until is None:
            return text
        end = self._swallow_until.search(text)
        if end is None:
            # The end of a key may be split, too.
            self._held = text[-128:] if self._swallow_until is _KEY_END else ""
            return ""
        stop = end.end() if self._swallow_until is _KEY_END else end.start()
        self._swallow_until = None
        return text[stop:]


def _beyond(text: str, spans: list[Span], told: int) -> str:
    """The text behind its first `told` characters, without the spans, some of which may begin before."""
    behind = [(max(0, start - told), end - told) for start, end in spans if end > told]
    return replaced(text[told:], behind)
