"""The proxy that the pod itself must use, if there is one: agents' connections go through it too."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

from polecat_town.egress.rules import named

log = logging.getLogger(__name__)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Upstream:
    """A proxy to be asked."""

    host: str
    port: int
    tls: bool
    """Whether it is spoken to in TLS."""
    authorization: str | None = field(default=None, repr=False)
    """Value of `Proxy-Authorization`."""


@dataclass(frozen=True, slots=True)
class Upstreams:
    """What the environment says, as curl and Go understand it."""

    http: Upstream | None = None
    https: Upstream | None = None
    around: tuple[str, ...] = ()
    """Hosts that are reached directly: names with all below them, addresses, ranges, `*` for all."""

    def choose(self, host: str, *, tunnel: bool) -> Upstream | None:
        """The proxy for a host; None if it is reached directly. `tunnel`: by CONNECT, which is what HTTPS needs."""
        return None if self._is_around(host) else (self.https if tunnel else self.http)

    def _is_around(self, host: str) -> bool:
        if "*" in self.around:
            return True
        try:
            address = ip_address(host)
        except ValueError:
            return named(host, self.around) or named(host, [f".{name}" for name in self.around])
        for entry in self.around:
            try:
                if address in ip_network(entry, strict=False):
                    return True
            except ValueError:
                continue
        return False


def read_upstreams(environ: Mapping[str, str]) -> Upstreams:
    """From HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in either case; a proxy that is no URL is left out, and told."""
    around = [entry.strip().lower() for entry in _either(environ, "no_proxy").split(",")]
    return Upstreams(
        http=_parse(_either(environ, "http_proxy")),
        https=_parse(_either(environ, "https_proxy")),
        around=tuple(entry if entry == "*" else entry.removeprefix("*") for entry in around if entry),
    )


def _either(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _parse(url: str) -> Upstream | None:
    if not url:
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = (parts.port or _PORTS[parts.scheme]) if parts.scheme in _PORTS else None
    except ValueError:
        port = None
    if port is None or not parts.hostname:
        # Not the value: it may hold a password.
        log.error("HTTP_PROXY or HTTPS_PROXY is no http:// or https:// URL, and is not used for agents")
        return None
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    return Upstream(parts.hostname, port, parts.scheme == "https", authorization)
