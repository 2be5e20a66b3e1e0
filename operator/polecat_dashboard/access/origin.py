"""Which requests a browser may make here at all: the host that it thinks it talks to, and the page it comes from."""

from __future__ import annotations

from collections.abc import Mapping

SAFE_METHODS = frozenset({"GET", "HEAD"})


def host_allowed(host: str, origins: frozenset[str]) -> bool:
    """Whether the Host header names one of our own; another site's name that points here (rebinding) does not."""
    return bool(host) and any(origin.partition("://")[2] == host.lower() for origin in origins)


def origin_allowed(method: str, headers: Mapping[str, str], origins: frozenset[str]) -> bool:
    """Whether the page that makes the request is one of ours.

    Writes need an `Origin` of ours; reads must not have a foreign one. Programs send neither, and can't be made to
    act for somebody else: for a write they name the origin as the page does.
    """
    origin = headers.get("origin")
    if origin is not None:
        return origin.lower() in origins
    if method not in SAFE_METHODS:
        return False
    return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
