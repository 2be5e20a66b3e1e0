"""What Git's words are taken for, in the spelling of several versions of Git, libcurl and OpenSSH."""

from __future__ import annotations

import pytest

from polecat_api.conditions import Reason
from polecat_town.git.causes import find_cause
from polecat_town.git.types import Credentials, Remote

SSH_URL = "git@git.example:team/web.git"
HTTPS_URL = "https://git.example/team/web.git"
PROXY = "http://me:p@proxy.example:3128"
CHANGED = """@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
The fingerprint for the ED25519 key sent by the remote host is
SHA256:AbC+/9=.
Please contact your system administrator.
Host key verification failed.
fatal: Could not read from remote repository.
"""
UNKNOWN = """No ED25519 host key is known for git.example and you have requested strict checking.
Host key verification failed.
"""
GITHUB_HIDES = """remote: Repository not found.
fatal: repository 'https://git.example/team/web.git/' not found
"""


@pytest.mark.parametrize(
    ("url", "said", "reason", "words"),
    [
        (SSH_URL, CHANGED, Reason.HOST_NOT_TRUSTED, "SHA256:AbC+/9="),
        (SSH_URL, UNKNOWN, Reason.HOST_NOT_TRUSTED, "no ED25519 key of git.example"),
        (
            SSH_URL,
            'Load key "/proc/7/fd/3": error in libcrypto\ngit@git.example: Permission denied (publickey).',
            Reason.CREDENTIALS_MALFORMED,
            "error in libcrypto",
        ),
        (SSH_URL, "git@git.example: Permission denied (publickey).", Reason.CREDENTIALS_REFUSED, "public key"),
        (SSH_URL, "Permission denied (publickey,keyboard-interactive).", Reason.CREDENTIALS_REFUSED, "public key"),
        (SSH_URL, "No user exists for uid 1234", Reason.REPOSITORY_UNREACHABLE, "1234"),
        (HTTPS_URL, "Received HTTP code 407 from proxy after CONNECT", Reason.PROXY_FAILED, "USER:PASSWORD"),
        (HTTPS_URL, "CONNECT tunnel failed, response 407", Reason.PROXY_FAILED, "USER:PASSWORD"),
        (HTTPS_URL, "CONNECT tunnel failed, response 403", Reason.PROXY_FAILED, "(403)"),
        (HTTPS_URL, "Received HTTP code 503 from proxy after CONNECT", Reason.PROXY_FAILED, "(503)"),
        (HTTPS_URL, "Could not resolve proxy: proxy.example", Reason.PROXY_FAILED, "proxy.example:3128 can't"),
        (
            HTTPS_URL,
            "Failed to connect to proxy.example port 3128: Connection refused",
            Reason.PROXY_FAILED,
            "proxy.example:3128 can't",
        ),
        (
            HTTPS_URL,
            "Failed to connect to proxy.example port 3128 after 0 ms: Couldn't connect to server",
            Reason.PROXY_FAILED,
            "proxy.example:3128 can't",
        ),
        (
            HTTPS_URL,
            "server certificate verification failed. CAfile: none CRLfile: none",
            Reason.HOST_NOT_TRUSTED,
            "`ca.crt`",
        ),
        (
            HTTPS_URL,
            "SSL certificate problem: unable to get local issuer certificate",
            Reason.HOST_NOT_TRUSTED,
            "`ca.crt`",
        ),
        (
            HTTPS_URL,
            "SSL: no alternative certificate subject name matches target host name 'git.example'",
            Reason.HOST_NOT_TRUSTED,
            "another name",
        ),
        (HTTPS_URL, f"fatal: Authentication failed for '{HTTPS_URL}/'", Reason.CREDENTIALS_REFUSED, "withdrawn"),
        (HTTPS_URL, "The requested URL returned error: 403", Reason.CREDENTIALS_REFUSED, "right to read and"),
        (HTTPS_URL, GITHUB_HIDES, Reason.REPOSITORY_UNREACHABLE, "does not show it"),
    ],
)
def test_cause(url: str, said: str, reason: Reason, words: str) -> None:
    remote = Remote("web", url, "main", "polecat", Credentials("web-git", password="p", ssh_key="k"))
    cause = find_cause(remote, PROXY if url == HTTPS_URL else "", said)
    assert cause is not None and cause.reason is reason
    assert words in cause.advice
    assert "me:p" not in cause.advice


@pytest.mark.parametrize(
    "said",
    [
        "fatal: unable to access: Failed to connect to git.example port 443: Connection refused",
        "fatal: unable to access: Could not resolve host: git.example",
        "ssh: connect to host git.example port 22: Connection timed out",
        "! [remote rejected] main -> main (protected branch hook declined)",
        "",
    ],
)
def test_other_words_speak_for_themselves(said: str) -> None:
    remote = Remote("web", HTTPS_URL, "main", "polecat", Credentials("web-git", password="p"))
    for proxy in (PROXY, ""):
        assert find_cause(remote, proxy, said) is None


def test_who_has_named_no_secret_is_told_to() -> None:
    for credentials, words in ((None, "credentialsSecretRef"), (Credentials("web-git", proxy=PROXY), "web-git")):
        remote = Remote("web", HTTPS_URL, "main", "polecat", credentials)
        said = "fatal: could not read Username for 'https://git.example': terminal prompts disabled"
        cause = find_cause(remote, "", said)
        assert cause is not None and cause.reason is Reason.CREDENTIALS_MISSING and words in cause.advice
    cause = find_cause(Remote("web", SSH_URL, "main", "polecat"), "", "git@git.example: Permission denied (publickey).")
    assert cause is not None and cause.reason is Reason.CREDENTIALS_MISSING
