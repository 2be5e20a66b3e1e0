"""What a book is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


class BookError(ValueError):
    """A book that can't be read. The message names the line."""


@dataclass(frozen=True)
class Entry:
    """One payment. Money that came back is negative."""

    day: date
    cents: int
    category: str
    note: str = ""

    @property
    def month(self) -> str:
        """Year and month, as in `2026-10`."""
        return f"{self.day:%Y-%m}"
