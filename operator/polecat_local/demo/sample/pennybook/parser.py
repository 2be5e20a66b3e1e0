"""From the text of a book to its entries."""

from __future__ import annotations

import re
from datetime import date

from pennybook.model import BookError, Entry

AMOUNT = re.compile(r"^(-?)(\d+)(?:\.(\d{2}))?$")


def parse_amount(text: str) -> int:
    """Cents of an amount such as `12.50`, `-4.00` or `640`. Raises BookError for anything else."""
    match = AMOUNT.match(text)
    if match is None:
        raise BookError(f"{text!r} is not an amount")
    sign, whole, cents = match.groups()
    value = int(whole) * 100 + int(cents or 0)
    return -value if sign else value


def parse_line(line: str) -> Entry:
    """The entry on one line: date, amount, category and, if there is more, a note."""
    parts = line.split(maxsplit=3)
    if len(parts) < 3:
        raise BookError("an entry needs a date, an amount and a category")
    try:
        day = date.fromisoformat(parts[0])
    except ValueError:
        raise BookError(f"{parts[0]!r} is not a date like 2026-10-03") from None
    return Entry(day, parse_amount(parts[1]), parts[2], parts[3].strip() if len(parts) > 3 else "")


def parse_book(text: str) -> list[Entry]:
    """All entries in the order of the file; empty lines and lines that begin with `#` are skipped."""
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            entries.append(parse_line(stripped))
        except BookError as error:
            raise BookError(f"line {number}: {error}") from None
    return entries
