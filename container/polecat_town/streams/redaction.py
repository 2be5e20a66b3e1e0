"""Removes secrets from text before it is stored or shown."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

REDACTED = "[redacted]"
SHORTEST_SECRET = 4
"""Shorter ones are left alone: replacing them would destroy the text and give them away by the gaps."""
SHORTEST_LINE = 12
"""Lines of a secret of several lines (a key) are removed one by one, too, from this length on."""

_LOOKS_SECRET = re.compile(
    r"(?P<key>-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z))"
    r"|(?P<scheme>\b[a-z][a-z0-9+.-]{0,20}://)[^\s/@\"'<>]+@"
    r"|(?P<header>\b(?:authorization|proxy-authorization|x-api-key|private-token)\b[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
    r"(?:(?:bearer|basic|token)\s{1,4})?)[^\s\"',;]+"
    r"|(?P<bearer>\bbearer\s{1,4})[a-z0-9._~+/=-]{16,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+"
    r"|\bsk-[\w-]{16,}|\bgh[pousr]_[a-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\bxox[abprs]-[\w-]{10,}|\bAKIA[0-9A-Z]{16}\b|\bAIza[\w-]{30,}",
    re.IGNORECASE | re.DOTALL,
)


class Redactor:
    """Replaces given secrets, and what looks like one, by `[redacted]`.

    Given ones are found as they are, in JSON, in URLs and in base64. Secrets of several lines are found line by
    line. Text must come whole: half a secret at the end of a piece is not recognised.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret.strip())}
        longest_first = sorted(forms, key=len, reverse=True)
        self._given = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._given is not None:
            text = self._given.sub(REDACTED, text)
        return _LOOKS_SECRET.sub(_replacement, text)


def _replacement(match: re.Match[str]) -> str:
    scheme = match["scheme"]
    if scheme:
        return f"{scheme}{REDACTED}@"
    return f"{match['header'] or match['bearer'] or ''}{REDACTED}"


def _forms(secret: str) -> Iterator[str]:
    """All spellings of a secret that may turn up."""
    parts = [secret]
    lines = secret.splitlines()
    if len(lines) > 1:
        parts += [line.strip() for line in lines if len(line.strip()) >= SHORTEST_LINE and "-----" not in line]
    for part in parts:
        if len(part) < SHORTEST_SECRET:
            continue
        yield part
        yield quote(part, safe="")
        yield json.dumps(part)[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        yield base64.b64encode(part.encode()).decode().rstrip("=")
