"""The head of a request to the proxy: read, and written anew for the server that it goes to."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

HEAD_BYTES = 1 << 15
HOST_MAX = 253
"""Characters; more have no name and no address (RFC 1035)."""
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"proxy-connection",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-authenticate",
        b"te",
        b"upgrade",
    }
)


class BadRequestError(Exception):
    """What was sent is no request to a proxy."""


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """Where a client wants to go."""

    method: str
    host: str
    port: int
    path: str
    """Of a plain request; empty for a tunnel."""
    headers: tuple[bytes, ...]
    """Lines without their ends."""

    @property
    def tunnel(self) -> bool:
        """Whether bytes go both ways from now on (CONNECT)."""
        return self.method == "CONNECT"

    @property
    def authority(self) -> str:
        """`host:port`, with brackets if need be."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def head(self, target: str, *extra: str) -> bytes:
        """A head with this target, which asks for the connection to be closed after the answer."""
        kept = [line for line in self.headers if line.partition(b":")[0].strip().lower() not in _HOP_BY_HOP]
        lines = [f"{self.method} {target} HTTP/1.1".encode("latin-1"), *kept]
        lines += [line.encode("latin-1") for line in (*extra, "Connection: close")]
        return b"\r\n".join(lines) + b"\r\n\r\n"


def parse_request(head: bytes) -> ProxyRequest:
    """CONNECT, or a request with an absolute `http://` URL. Raises BadRequestError, with what is wrong."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    words = first.decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestError("this is an HTTP proxy")
    method, target, _ = words
    try:
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadRequestError("the target can't be read") from error
    if (
        not host
        or len(host) > HOST_MAX
        or "%" in host
        or (method == "CONNECT" and (port is None or parts.path or parts.username is not None))
    ):
        raise BadRequestError("a host is missing" if method != "CONNECT" else "CONNECT needs host:port")
    if method == "CONNECT":
        return ProxyRequest(method, host, port or 0, "", tuple(lines))
    if parts.scheme != "http":
        raise BadRequestError("only http:// URLs and CONNECT are passed on")
    path = parts.path or "/"
    return ProxyRequest(method, host, port or 80, f"{path}?{parts.query}" if parts.query else path, tuple(lines))
