"""How amounts and reports look."""

from __future__ import annotations

from collections.abc import Mapping

from pennybook.report import Totals


def money(cents: int) -> str:
    """`1250` is `12.50`, `-5` is `-0.05`."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def rows(amounts: Mapping[str, int]) -> list[str]:
    """One line for each category, amounts aligned at their right."""
    width = max((len(category) for category in amounts), default=0)
    return [f"  {category:<{width}} {money(cents):>10}" for category, cents in amounts.items()]


def report(totals: Totals) -> str:
    """The totals of each month under a heading, with the month's sum."""
    lines: list[str] = []
    for month, amounts in totals.items():
        lines.append(f"{month}  {money(sum(amounts.values()))}")
        lines += rows(amounts)
    return "\n".join(lines)
