"""All spellings in which a secret may turn up."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

SHORTEST_SECRET = 4
"""Shorter ones are left alone: replacing them would destroy the text and give them away by the gaps."""
SHORTEST_LINE = 12
"""Lines of a secret of several lines (a key) are removed one by one, too, from this length on."""
SHORTEST_BASE64 = 6
"""Characters of base64 that belong to a secret alone; fewer would be found everywhere."""
LONGEST_PIECE = 1024
"""A longer line is looked for in pieces of this length, so that no spelling is endless."""
_URL_SAFE = str.maketrans("+/", "-_")


def forms_of(secret: str) -> Iterator[str]:
    """Spellings of a secret: as it is, in URLs, in JSON, in base64 (also as a part of what was encoded)."""
    for part in _parts(secret.strip()):
        if len(part) < SHORTEST_SECRET:
            continue
        yield part
        yield quote(part, safe="")
        yield json.dumps(part)[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        for encoded in _base64_forms(part.encode("utf-8", "replace")):
            yield encoded
            yield encoded.translate(_URL_SAFE)


def _parts(secret: str) -> Iterator[str]:
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) < 2:
        kept = [secret]
    else:
        yield secret[:LONGEST_PIECE]
        kept = [line for line in lines if len(line) >= SHORTEST_LINE and "-----" not in line]
    for line in kept:
        for start in range(0, len(line), LONGEST_PIECE):
            yield line[start : start + LONGEST_PIECE]


def _base64_forms(raw: bytes) -> Iterator[str]:
    """What base64 of any text with these bytes in it contains, for each of the three places they may begin at.

    The characters at both ends that depend on the bytes beside are left out.
    """
    yield base64.b64encode(raw).decode().rstrip("=")
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        start = (0, 2, 3)[before]
        end = len(encoded) - (1 if (before + len(raw)) % 3 else 0)
        if end - start >= SHORTEST_BASE64:
            yield encoded[start:end]
