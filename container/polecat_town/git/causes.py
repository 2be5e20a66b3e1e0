"""What Git's words mean, when they are about the way to the remote: the cause, and what a person can do.

The words are those of Git 2.30 to 2.51, libcurl 7.74 to 8.x with OpenSSL or GnuTLS, and OpenSSH 8 to 10, in English.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from polecat_api.conditions import Reason
from polecat_town.git.types import Remote


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the remote can't be used."""

    reason: Reason
    advice: str
    """One sentence for the user: what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How the remote was to be reached."""

    host: str
    secret: str
    """What messages call the rig's Secret."""
    proxy: str
    """`host:port` of the proxy; empty if there is none."""
    has_secret: bool
    anonymous: bool

    @property
    def known_hosts(self) -> str:
        return f"`known_hosts` of {self.secret}"


_Explain = Callable[[_Way, re.Match[str]], Cause | None]


def find_cause(remote: Remote, proxy: str, words: str) -> Cause | None:
    """The cause that Git's words (all of its standard error) tell; None when they have to speak for themselves.

    `proxy` is the URL of the proxy that was used, or empty.
    """
    credentials = remote.credentials
    way = _Way(
        host=_host(remote.url),
        secret=f"the Secret {credentials.secret}" if credentials else "the Secret that credentialsSecretRef names",
        proxy=_place(proxy),
        has_secret=credentials is not None,
        anonymous=credentials is None or credentials.anonymous,
    )
    for pattern, explain in _KNOWN:
        if (match := pattern.search(words)) and (cause := explain(way, match)) is not None:
            return cause
    return None


def _host(url: str) -> str:
    if "://" in url:
        return urlsplit(url).hostname or url
    return url.partition("@")[2].partition(":")[0]


def _place(proxy: str) -> str:
    if not proxy:
        return ""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return f"{parts.hostname}:{parts.port or 1080}"  # libcurl's default for all kinds of proxies


def _host_key_changed(way: _Way, match: re.Match[str]) -> Cause:
    return Cause(
        Reason.HOST_NOT_TRUSTED,
        f"{way.host} has shown another host key ({match['print']}) than {way.known_hosts} says; either somebody is in "
        "between, or the host has a new key: compare it with what the host publishes, then put it into the Secret",
    )


def _host_key_unknown(way: _Way, match: re.Match[str]) -> Cause:
    return Cause(
        Reason.HOST_NOT_TRUSTED,
        f"{way.known_hosts} has no {match['kind']} key of {match['host']}; add the line that `ssh-keyscan` prints "
        "for the host, after comparing it with what the host publishes",
    )


def _key_not_read(way: _Way, match: re.Match[str]) -> Cause:
    return Cause(
        Reason.CREDENTIALS_MALFORMED,
        f"ssh can't read `ssh-privatekey` of {way.secret} ({match['why']}); `ssh-keygen -t ed25519 -N ''` makes one",
    )


def _key_refused(way: _Way, match: re.Match[str]) -> Cause:
    if way.anonymous:
        advice = f"{way.host} asks for a key; put one into a Secret and name it in credentialsSecretRef"
        return Cause(Reason.CREDENTIALS_MISSING, advice)
    return Cause(
        Reason.CREDENTIALS_REFUSED,
        f"{way.host} does not accept `ssh-privatekey` of {way.secret} for the user in the URL; add its public key "
        "there, with the right to push",
    )


def _no_user(way: _Way, match: re.Match[str]) -> Cause:
    return Cause(
        Reason.REPOSITORY_UNREACHABLE,
        f"ssh needs an entry in /etc/passwd for the user {match['uid']} that the town runs as; run the town as the "
        "user of its image, or use the https URL",
    )


def _proxy_asks(way: _Way, match: re.Match[str]) -> Cause:
    return Cause(
        Reason.PROXY_FAILED,
        f"the proxy {way.proxy} asks for a user and password, or does not accept those it got (407); put them into the "
        f"proxy's URL, http://USER:PASSWORD@HOST:PORT, in `proxy` of {way.secret} or in HTTPS_PROXY of the town",
    )


def _proxy_refuses(way: _Way, match: re.Match[str]) -> Cause | None:
    if not way.proxy:
        return None
    return Cause(
        Reason.PROXY_FAILED,
        f"the proxy {way.proxy} does not let the town through to {way.host} ({match['status']}); allow it there, or "
        "list the host in NO_PROXY of the town if no proxy is needed",
    )


def _proxy_away(way: _Way, match: re.Match[str]) -> Cause | None:
    place = match["place"] if "place" in match.re.groupindex else f"{match['host']}:{match['port']}"
    if not way.proxy or place not in (way.proxy, way.proxy.rpartition(":")[0]):
        return None
    return Cause(
        Reason.PROXY_FAILED,
        f"the proxy {way.proxy} can't be reached; look at `proxy` of {way.secret}, or at HTTPS_PROXY of the town",
    )


def _certificate(way: _Way, match: re.Match[str]) -> Cause:
    return Cause(
        Reason.HOST_NOT_TRUSTED,
        f"the certificate of {way.host} is not trusted: if an authority of your own has signed it, put its certificate "
        f"into `ca.crt` of {way.secret}; otherwise it is expired, or was made for another name",
    )


def _asked_for_name(way: _Way, match: re.Match[str]) -> Cause:
    where = way.secret if way.has_secret else "a Secret, and name it in credentialsSecretRef"
    return Cause(Reason.CREDENTIALS_MISSING, f"{way.host} asks who you are; put `password` or `token` into {where}")


def _password_refused(way: _Way, match: re.Match[str]) -> Cause:
    return Cause(
        Reason.CREDENTIALS_REFUSED,
        f"{way.host} does not accept the user name and password or token of {way.secret}: wrong, expired or withdrawn",
    )


def _forbidden(way: _Way, match: re.Match[str]) -> Cause:
    return Cause(
        Reason.CREDENTIALS_REFUSED,
        f"{way.host} knows the account of {way.secret}, but it may not do this here; it needs the right to read and "
        "to push",
    )


def _not_found(way: _Way, match: re.Match[str]) -> Cause:
    return Cause(
        Reason.REPOSITORY_UNREACHABLE,
        f"{way.host} has no such repository, or does not show it to this account; look at the URL, and at what the "
        "account may see",
    )


_KNOWN: tuple[tuple[re.Pattern[str], _Explain], ...] = tuple(
    (re.compile(pattern, re.MULTILINE | re.DOTALL | re.IGNORECASE), explain)
    for pattern, explain in (
        (r"REMOTE HOST IDENTIFICATION HAS CHANGED.*?\n(?P<print>SHA256:[\w+/=]+)", _host_key_changed),
        (r"^No (?P<kind>\S+) host key is known for (?P<host>\S+) and you have requested strict", _host_key_unknown),
        (r"^Load key [^\n]*: (?P<why>[^\n]+)$", _key_not_read),
        (r"Permission denied \([a-z,-]*publickey[a-z,-]*\)", _key_refused),
        (r"^No user exists for uid (?P<uid>\d+)", _no_user),
        (r"(HTTP code|response|returned error:) 407\b", _proxy_asks),
        (r"(?:Received HTTP code|CONNECT tunnel failed, response) (?P<status>\d{3})", _proxy_refuses),
        (r"Could not resolve proxy: (?P<place>[^\s:]+)", _proxy_away),
        (r"Failed to connect to (?P<host>\S+) port (?P<port>\d+)", _proxy_away),
        (
            r"certificate verification failed|SSL certificate problem|certificate subject name"
            r"|no alternative certificate|certificate has expired|self.signed certificate",
            _certificate,
        ),
        (r"could not read (Username|Password) for", _asked_for_name),
        (r"Authentication failed for|returned error: 401", _password_refused),
        (r"returned error: 403", _forbidden),
        (r"repository '[^']*' not found|returned error: 404", _not_found),
    )
)
"""The first that fits counts: what goes wrong earlier on the way comes first."""
