"""Sums over the entries of a book."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pennybook.model import Entry

Totals = dict[str, dict[str, int]]
"""Cents by month and category."""


def monthly_totals(entries: Iterable[Entry]) -> Totals:
    """Cents by month, then by category, both in order."""
    totals: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for entry in entries:
        totals[entry.month][entry.category] += entry.cents
    return {month: dict(sorted(totals[month].items())) for month in sorted(totals)}


def averages(entries: Iterable[Entry]) -> dict[str, int]:
    """Mean cents per month for each category, over all months that the book has entries for."""
    totals = monthly_totals(entries)
    sums: defaultdict[str, int] = defaultdict(int)
    for categories in totals.values():
        for category, cents in categories.items():
            sums[category] += cents
    return {category: sums[category] // len(totals) for category in sorted(sums)}
