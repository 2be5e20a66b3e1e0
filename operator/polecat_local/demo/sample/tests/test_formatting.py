import unittest

from pennybook.formatting import money, report


class Formatting(unittest.TestCase):
    def test_money(self) -> None:
        self.assertEqual([money(cents) for cents in (1250, 5, -5, 0)], ["12.50", "0.05", "-0.05", "0.00"])

    def test_report(self) -> None:
        text = report({"2026-10": {"groceries": 350, "rent": 1000}})
        self.assertEqual(text.splitlines()[0], "2026-10  13.50")
        self.assertEqual(text.splitlines()[2], "  rent           10.00")
