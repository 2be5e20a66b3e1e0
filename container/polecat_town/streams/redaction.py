"""Removes secrets from text before it is stored or shown."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from polecat_town import metrics
from polecat_town.streams.secret_forms import forms_of
from polecat_town.streams.wrapped import unwrap

REDACTED = "[redacted]"
Span = tuple[int, int]

_FLAGS = re.IGNORECASE | re.DOTALL
_VALUE = r"[^\s\"',;]"
_HEADER = r"\b(?:authorization|x-api-key|private-token)\b[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
_USER = r"[^\s/@\"'<>]"
_LOOKS_SECRET: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (marker, re.compile(pattern, _FLAGS))
    for marker, pattern in (
        (
            "private key-----",
            r"(?P<secret>-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z))",
        ),
        ("://", rf"\b[a-z][a-z0-9+.-]{{0,20}}://(?P<secret>{_USER}+)@"),
        ("authorization", rf"{_HEADER}(?:(?:bearer|basic|token)\s{{1,4}})?(?P<secret>{_VALUE}+)"),
        ("x-api-key", rf"{_HEADER}(?P<secret>{_VALUE}+)"),
        ("private-token", rf"{_HEADER}(?P<secret>{_VALUE}+)"),
        ("bearer", r"\bbearer\s{1,4}(?P<secret>[a-z0-9._~+/=-]{16,})"),
        ("eyj", r"\b(?P<secret>eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)"),
        ("sk-", r"\b(?P<secret>sk-[\w-]{16,})"),
        ("gh", r"\b(?P<secret>gh[pousr]_[a-z0-9]{20,}|github_pat_\w{20,})"),
        ("glpat-", r"\b(?P<secret>glpat-[\w-]{16,})"),
        ("xox", r"\b(?P<secret>xox[abprs]-[\w-]{10,})"),
        ("akia", r"\b(?P<secret>AKIA[0-9A-Z]{16}\b)"),
        ("aiza", r"\b(?P<secret>AIza[\w-]{30,})"),
    )
)
"""(what a text must hold in lower case to be looked at closer, the pattern)."""

_MAY_BECOME = tuple(
    re.compile(rf"(?:{pattern})\Z", _FLAGS)
    for pattern in (
        r"-{1,5}|-----[A-Z ]{1,50}-{0,5}",
        # Every word may be a scheme, a header or the beginning of a token.
        r"(?<![\w+.-])[a-z][\w+.-]{0,20}(?::/?/?)?",
        rf"[a-z][a-z0-9+.-]{{0,20}}://{_USER}*",
        rf"{_HEADER}(?:[a-z]{{0,6}}\s{{0,4}})?{_VALUE}*",
        r"\b(?:authorization|x-api-key|private-token)[\"']?\s{0,4}",
        r"\bbearer\s{0,4}[a-z0-9._~+/=-]*",
        r"\beyJ[\w.-]*",
        r"\b(?:sk-|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AKIA|AIza)[\w-]*",
    )
)
"""What at the end of a text may become a secret when more comes."""


class Redactor:
    """Replaces given secrets, and what looks like one, by `[redacted]`.

    Given ones are found in all spellings of `secret_forms`, base64 also where lines break it; those of several lines
    line by line.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms = sorted({form for secret in secrets for form in forms_of(secret)})
        self._firsts = frozenset(form[0] for form in self._forms)
        self._longest = max(map(len, self._forms), default=0)

    def text(self, text: str) -> str:
        """The text without secrets. It must come whole; for pieces there is StreamRedactor."""
        return replaced(text, self.spans(text))

    def spans(self, text: str) -> list[Span]:
        """Where secrets are, in order; those that overlap are one."""
        return _merged(span for _, span in self._found(text))

    def open_end(self, text: str) -> int:
        """From where on the text may be the beginning of a secret that goes on; its length if nowhere."""
        length = len(text)
        starts = [self._given_end(text)]
        if self._forms and (unwrapped := unwrap(text)) is not None:
            starts.append(unwrapped.original(self._given_end(unwrapped.text)))
        starts += [begin for begin, (_, end) in self._looks(text) if end == length]
        starts += [match.start() for pattern in _MAY_BECOME if (match := pattern.search(text))]
        return min(starts)

    def _given_end(self, text: str) -> int:
        start = max(0, len(text) - self._longest + 1)
        for at in range(start, len(text)):
            if text[at] in self._firsts:
                rest = text[at:]
                place = bisect_left(self._forms, rest)
                if place < len(self._forms) and self._forms[place].startswith(rest):
                    return at
        return len(text)

    def _found(self, text: str) -> Iterator[tuple[int, Span]]:
        for start, end in self._given(text):
            yield start, (start, end)
        if self._forms and (unwrapped := unwrap(text)) is not None:
            for start, end in self._given(unwrapped.text):
                begin = unwrapped.original(start)
                yield begin, (begin, unwrapped.original(end - 1) + 1)
        yield from self._looks(text)

    def _given(self, text: str) -> Iterator[Span]:
        for form in self._forms:
            at = text.find(form)
            while at >= 0:
                yield at, at + len(form)
                at = text.find(form, at + 1)

    @staticmethod
    def _looks(text: str) -> Iterator[tuple[int, Span]]:
        """(begin of the match, span of the secret in it)."""
        lowered = text.lower()
        for marker, pattern in _LOOKS_SECRET:
            if marker in lowered:
                for match in pattern.finditer(text):
                    yield match.start(), match.span("secret")


def replaced(text: str, spans: Iterable[Span]) -> str:
    """The text with `[redacted]` in place of each span."""
    pieces, at = [], 0
    for start, end in spans:
        pieces += [text[at:start], REDACTED]
        at = end
    if not pieces:
        return text
    metrics.REDACTIONS.inc(len(pieces) // 2)
    return "".join([*pieces, text[at:]])


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
