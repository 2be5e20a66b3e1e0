"""What a repository's Secret may hold, and what is said of one that can't be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from polecat_api.conditions import Reason
from polecat_town.errors import RepositoryError
from polecat_town.git.secret import hidden_values, read_secret
from polecat_town.git.types import Credentials
from support.authority import Authority
from support.ssh_server import CLOSED_KEY, make_key

KEY = make_key()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"username": " me\n", "password": "p\n"}, Credentials("web-git", "me", "p")),
        ({"token": "t\n", "expires": "soon"}, Credentials("web-git", "", "t")),
        ({"proxy": "http://a:b@c:1\n"}, Credentials("web-git", proxy="http://a:b@c:1")),
        (
            {"ssh-privatekey": KEY.private.strip(), "known_hosts": "host ssh-ed25519 AAAA\r\n", "ssh-publickey": "x"},
            Credentials("web-git", ssh_key=KEY.private, known_hosts="host ssh-ed25519 AAAA\n"),
        ),
    ],
)
def test_what_it_may_hold(values: dict[str, str], expected: Credentials) -> None:
    assert read_secret("web-git", values) == expected


@pytest.mark.parametrize(
    ("values", "reason", "words"),
    [
        (None, Reason.CREDENTIALS_MISSING, "does not exist"),
        ({}, Reason.CREDENTIALS_MISSING, "none of the keys"),
        ({"username": "me", "known_hosts": "x"}, Reason.CREDENTIALS_MISSING, "`ssh-privatekey`"),
        ({"password": " \n"}, Reason.CREDENTIALS_MISSING, "none of the keys"),
        ({"password": "p", "token": "t"}, Reason.CREDENTIALS_MALFORMED, "keep one"),
        ({"password": "two\nlines"}, Reason.CREDENTIALS_MALFORMED, "`password`"),
        ({"username": "two\nlines", "token": "t"}, Reason.CREDENTIALS_MALFORMED, "`username`"),
        ({"ssh-privatekey": "secret-words"}, Reason.CREDENTIALS_MALFORMED, "no private key"),
        ({"ssh-privatekey": KEY.private[:200]}, Reason.CREDENTIALS_MALFORMED, "no private key"),
        ({"ssh-privatekey": KEY.public}, Reason.CREDENTIALS_MALFORMED, "public key"),
        ({"ca.crt": "secret-words"}, Reason.CREDENTIALS_MALFORMED, "`ca.crt`"),
        ({"proxy": "proxy:3128"}, Reason.CREDENTIALS_MALFORMED, "`proxy`"),
        ({"proxy": "http://:3128"}, Reason.CREDENTIALS_MALFORMED, "`proxy`"),
        ({"proxy": "http://secret-words@proxy:port"}, Reason.CREDENTIALS_MALFORMED, "`proxy`"),
        ({"proxy": "http://proxy:3128\n[core]"}, Reason.CREDENTIALS_MALFORMED, "`proxy`"),
    ],
)
def test_what_is_wrong_with_it(values: dict[str, str] | None, reason: Reason, words: str) -> None:
    with pytest.raises(RepositoryError) as caught:
        read_secret("web-git", values)
    assert caught.value.reason is reason
    assert words in str(caught.value) and "the Secret web-git" in str(caught.value)
    assert "secret-words" not in str(caught.value)


@pytest.mark.parametrize("closed", [CLOSED_KEY, make_key("ecdsa-sha2-nistp256", "pkcs8-pem", "a passphrase").private])
def test_a_key_with_a_passphrase(closed: str) -> None:
    with pytest.raises(RepositoryError, match="has a passphrase") as caught:
        read_secret("web-git", {"ssh-privatekey": closed})
    assert caught.value.reason is Reason.CREDENTIALS_MALFORMED


def test_certificates(tmp_path: Path) -> None:
    bundle = Authority(tmp_path).certificate + Authority(tmp_path).certificate
    assert read_secret("web-git", {"ca.crt": bundle}).certificates == bundle


def test_what_must_not_be_shown() -> None:
    shown = {"username": "me", "known_hosts": "host key", "ca.crt": "certificate"}
    assert hidden_values({**shown, "password": "p", "other": "o"}) == {"p", "o"}
    assert hidden_values({"proxy": "http://proxy:3128"}) == set()
    assert hidden_values({"proxy": "http://me:p%40ss@proxy:3128\n"}) == {"p%40ss", "p@ss"}


def test_credentials_are_not_printed() -> None:
    text = str(read_secret("web-git", {"username": "u5er", "password": "pa55", "proxy": "http://a:pr0xy@b"}))
    assert not [secret for secret in ("u5er", "pa55", "pr0xy") if secret in text]
