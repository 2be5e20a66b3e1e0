"""No secret comes through, and nothing else is lost."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polecat_town.streams.redaction import REDACTED, Redactor

SECRETS = (
    st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=40)
    .map(str.strip)
    .filter(lambda text: len(text) >= 4 and len(text.splitlines()) == 1)
)


@given(SECRETS, st.text(max_size=40), st.text(max_size=40))
def test_a_given_secret_never_comes_through(secret: str, before: str, after: str) -> None:
    redacted = Redactor([secret]).text(f"{before}{secret}{after}")
    assert secret not in redacted.replace(REDACTED, "\0")


@given(SECRETS)
def test_spellings_of_a_secret_are_found(secret: str) -> None:
    redactor = Redactor([secret])
    for spelling in (quote(secret, safe=""), json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode()):
        assert spelling.rstrip("=") not in redactor.text(f"x {spelling} y").replace(REDACTED, "\0")


@given(st.text(st.characters(categories=["Ll", "Zs", "Po"]), max_size=200))
def test_plain_text_stays(text: str) -> None:
    if "bearer" not in text and "auth" not in text:
        assert Redactor().text(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fatal: https://user:pw@host/x.git", f"fatal: https://{REDACTED}@host/x.git"),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {REDACTED}"),
        ('{"authorization": "Basic dXNlcg=="}', f'{{"authorization": "Basic {REDACTED}"}}'),
        ("token ghp_0123456789abcdefghijABCD end", f"token {REDACTED} end"),
        ("sk-proj-0123456789abcdef0123", REDACTED),
        ("jwt eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhYmMifQ.c2lnbmF0dXJl.", f"jwt {REDACTED}."),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nAAA\n-----END RSA PRIVATE KEY-----\nb", f"a\n{REDACTED}\nb"),
        ("-----BEGIN PRIVATE KEY-----\nAAA", REDACTED),
        ("git@github.com:me/repo.git", "git@github.com:me/repo.git"),
        ("https://host/path?mail=a@b", "https://host/path?mail=a@b"),
    ],
)
def test_what_looks_like_a_secret(text: str, expected: str) -> None:
    assert Redactor().text(text) == expected


def test_each_line_of_a_key_is_a_secret() -> None:
    key = "-----BEGIN KEY-----\nQUJDREVGR0hJSktMTU5P\nUFFSU1RVVldYWVo5ODc2\n-----END KEY-----\n"
    assert "UFFSU1RVVldYWVo5ODc2" not in Redactor([key]).text("line UFFSU1RVVldYWVo5ODc2 alone")


def test_short_secrets_are_left_alone() -> None:
    assert Redactor(["ab", ""]).text("abc") == "abc"
