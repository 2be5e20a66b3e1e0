"""The command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pennybook import formatting
from pennybook.parser import parse_book
from pennybook.report import averages, monthly_totals


def arguments() -> argparse.ArgumentParser:
    """The options and subcommands."""
    parser = argparse.ArgumentParser(prog="pennybook", description="Household money in a text file.")
    commands = parser.add_subparsers(dest="command", required=True)

    report = commands.add_parser("report", help="totals by month and category")
    report.add_argument("book", type=Path)

    average = commands.add_parser("average", help="mean per month, for each category")
    average.add_argument("book", type=Path)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the result is the exit code."""
    options = arguments().parse_args(argv)
    entries = parse_book(options.book.read_text())
    if options.command == "report":
        print(formatting.report(monthly_totals(entries)))
    elif options.command == "average":
        print("\n".join(formatting.rows(averages(entries))))
    return 0
