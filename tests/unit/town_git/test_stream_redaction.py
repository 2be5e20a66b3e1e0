"""A secret never comes through, wherever the text is split, and however it is encoded."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polecat_town.streams.redaction import REDACTED, Redactor
from polecat_town.streams.stream_redactor import HOLD_LENGTH, StreamRedactor

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=5, max_size=60)
PROSE = st.text(st.sampled_from("abc de.\n0-"), max_size=80)
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----"
LOOKS_SECRET = [
    "ghp_0123456789abcdefghijABCD",
    "sk-proj-0123456789abcdef0123",
    "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhYmMifQ.c2lnbmF0dXJl",
    "AKIA0123456789ABCDEF",
    KEY,
]


def streamed(redactor: Redactor, pieces: Iterable[str]) -> str:
    """What a reader sees of text that comes in pieces."""
    stream = StreamRedactor(lambda: redactor)
    return "".join([*(stream.feed(piece) for piece in pieces), stream.end()])


def split(text: str, points: Sequence[int]) -> list[str]:
    """The text, cut at these places."""
    places = sorted({0, len(text), *(point % (len(text) + 1) for point in points)})
    return [text[start:end] for start, end in pairwise(places)]


@given(SECRETS, PROSE, PROSE, st.lists(st.integers(0, 300), max_size=12))
def test_a_given_secret_in_pieces(secret: str, before: str, after: str, points: list[int]) -> None:
    text = f"{before}{secret}{after}{secret}"
    seen = streamed(Redactor([secret]), split(text, points))
    assert secret not in seen.replace(REDACTED, "\0")


@given(SECRETS, st.binary(max_size=7), st.binary(max_size=7), st.lists(st.integers(0, 300), max_size=12), st.booleans())
def test_base64_of_any_text_around_a_secret(
    secret: str, before: bytes, after: bytes, points: list[int], url_safe: bool
) -> None:
    """Nothing is left from which the secret could be read: no stretch of it that is longer than its rims."""
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    text = encode(before + secret.encode() + after).decode()
    seen = streamed(Redactor([secret]), split(text, points))
    assert REDACTED in seen
    kept = seen.replace(REDACTED, "").rstrip("=")
    # Two characters at each end of it belong to its neighbours as well.
    assert len(kept) <= len(encode(before + after).decode().rstrip("=")) + 4


@given(SECRETS, st.binary(max_size=9), st.binary(max_size=9), st.integers(3, 20), st.lists(st.integers(0, 500)))
def test_base64_that_is_broken_into_lines(
    secret: str, before: bytes, after: bytes, width: int, points: list[int]
) -> None:
    whole = base64.b64encode(before + secret.encode() + after).decode()
    text = "\n".join(whole[at : at + width] for at in range(0, len(whole), width))
    seen = streamed(Redactor([secret]), split(text, points))
    assert REDACTED in seen
    kept = "".join(seen.replace(REDACTED, "").split()).rstrip("=")
    assert len(kept) <= len(base64.b64encode(before + after).decode().rstrip("=")) + 4


@given(st.sampled_from(LOOKS_SECRET), st.lists(st.integers(0, 300), max_size=12))
def test_what_looks_like_a_secret_in_pieces(secret: str, points: list[int]) -> None:
    text = f"see {secret} there"
    assert streamed(Redactor(), split(text, points)) == f"see {REDACTED} there"


@given(st.lists(st.integers(0, 300), max_size=12))
def test_passwords_in_pieces(points: list[int]) -> None:
    text = "clone https://ada:hunter2@host/x.git with Authorization: Basic aHVudGVyMg== or so"
    expected = f"clone https://{REDACTED}@host/x.git with Authorization: Basic {REDACTED} or so"
    assert streamed(Redactor(), split(text, points)) == expected


@given(PROSE, st.lists(st.integers(0, 100), max_size=12))
def test_other_text_stays_as_it_is(text: str, points: list[int]) -> None:
    assert streamed(Redactor(["hunter2-hunter2"]), split(text, points)) == text


@given(st.lists(SECRETS, max_size=4), PROSE, st.lists(st.integers(0, 300), max_size=12))
def test_pieces_give_what_the_whole_gives(secrets: list[str], text: str, points: list[int]) -> None:
    redactor = Redactor(secrets)
    assert streamed(redactor, split(text, points)) == redactor.text(text)


def test_words_are_shown_as_soon_as_they_end() -> None:
    stream = StreamRedactor(lambda: Redactor(["hunter2-hunter2"]))
    assert stream.feed("I will look at ") == "I will look at "
    assert stream.feed("数千の文字が続く") == "数千の文字が続く"
    assert stream.feed(" and hunter2") == " and "
    assert stream.feed("-hunter2 it") == f"{REDACTED} "


@given(st.sampled_from(["", "see\n", "ab\r\n"]), st.lists(st.integers(0, 60), max_size=20))
def test_ends_of_lines_are_shown_after_a_while_and_secrets_still_are_not(before: str, points: list[int]) -> None:
    redactor = Redactor(["hunter2-hunter2", "eyJhbGciOiJFZERTQSJ9"])
    text = f"{before}hunter2-hunter2 and {base64.b64encode(b'hunter2-hunter2').decode()} then all is fine\n"
    stream = StreamRedactor(lambda: redactor)
    seen = "".join(stream.feed(piece) + stream.release() for piece in split(text, points))
    assert seen.startswith(before)
    assert seen.endswith(" then all is fine\n")
    assert "hunte" not in seen
    assert "ter2" not in seen
    assert "aHVud" not in seen
    assert "ci1odW50ZX" not in seen


@pytest.mark.parametrize("start", ["eyJ", "Authorization: Bearer ", "-----BEGIN PRIVATE KEY-----\n"])
def test_what_is_held_back_is_bounded_and_never_shown(start: str) -> None:
    stream = StreamRedactor(Redactor)
    seen = "".join(stream.feed(piece) for piece in [start, *["x1y2" * 500] * 40])
    assert "x1y2" not in seen
    assert len(stream._held) <= HOLD_LENGTH
    end = "\n-----END PRIVATE KEY-----" if "KEY" in start else ""
    assert (seen + stream.feed(end + " then") + stream.end()).endswith(f"{REDACTED} then")


def test_a_secret_that_becomes_known_later() -> None:
    known: list[str] = []
    stream = StreamRedactor(lambda: Redactor(known))
    assert stream.feed("one ") == "one "
    known.append("hunter2-hunter2")
    assert stream.feed("hunter2-hunter2 two ") == f"{REDACTED} two "
