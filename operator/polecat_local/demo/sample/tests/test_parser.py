import unittest
from datetime import date

from pennybook.model import BookError, Entry
from pennybook.parser import parse_amount, parse_book, parse_line


class Amounts(unittest.TestCase):
    def test_whole_and_cents(self) -> None:
        self.assertEqual(parse_amount("640"), 64000)
        self.assertEqual(parse_amount("12.50"), 1250)
        self.assertEqual(parse_amount("-4.00"), -400)

    def test_words_are_refused(self) -> None:
        with self.assertRaisesRegex(BookError, "'much' is not an amount"):
            parse_amount("much")

    @unittest.expectedFailure
    def test_thousands_separators(self) -> None:
        self.assertEqual(parse_amount("1,250.00"), 125000)
        self.assertEqual(parse_amount("-2,000,000"), -200000000)
        for wrong in ("1,25.00", ",100", "12,3456", "1,,000"):
            with self.subTest(wrong), self.assertRaises(BookError):
                parse_amount(wrong)


class Books(unittest.TestCase):
    def test_line(self) -> None:
        entry = parse_line("2026-10-17  39.90  travel  Train to Ghent")
        self.assertEqual(entry, Entry(date(2026, 10, 17), 3990, "travel", "Train to Ghent"))

    def test_comments_and_empty_lines_are_skipped(self) -> None:
        self.assertEqual(len(parse_book("# one\n\n2026-10-01 1.00 rent\n")), 1)

    def test_the_line_is_named(self) -> None:
        with self.assertRaisesRegex(BookError, "line 2: 'soon' is not a date"):
            parse_book("2026-10-01 1.00 rent\nsoon 2.00 rent\n")
