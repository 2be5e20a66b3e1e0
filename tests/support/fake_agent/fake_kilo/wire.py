"""HTTP as far as it is needed, over plain sockets: the standard library's own takes too long to import."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BufferedReader
from typing import Any
from urllib.parse import parse_qsl, urlsplit

MAX_BODY = 256 << 20
TIMED_OUT = "Request timed out"
RESET = "Connection reset by server"


class WireError(Exception):
    """The other side can't be reached, or hung up. `began` says whether it had begun to answer."""

    def __init__(self, message: str, began: bool = False) -> None:
        super().__init__(message)
        self.began = began


class Request:
    """One request to this server."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        parts = urlsplit(target)
        self.method = method
        self.path = parts.path
        self.query = dict(parse_qsl(parts.query))
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """The body as JSON; an empty one is an empty object."""
        return json.loads(self.body) if self.body.strip() else {}


Handle = Callable[[Request, socket.socket], bool]


def serve(listener: socket.socket, handle: Handle) -> None:
    """Accepts for ever; `handle(request, connection)` answers, and returns False to close the connection."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_converse, args=(connection, handle), daemon=True).start()


def _converse(connection: socket.socket, handle: Handle) -> None:
    with connection, connection.makefile("rb") as reader:
        try:
            while True:
                line = reader.readline(65536).split()
                if len(line) != 3:
                    return
                headers = read_headers(reader)
                body = reader.read(min(int(headers.get("content-length", 0)), MAX_BODY))
                request = Request(line[0].decode(), line[1].decode(), headers, body)
                if handle(request, connection) is False:
                    return
        except (OSError, ValueError):
            return


def read_headers(reader: BufferedReader) -> dict[str, str]:
    """Names in lower case → values."""
    headers: dict[str, str] = {}
    while True:
        line = reader.readline(65536)
        if line in (b"\r\n", b"\n", b""):
            return headers
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()


REASONS = {200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


def answer(connection: socket.socket, status: int, value: Any = None, extra: Iterable[str] = ()) -> None:
    """A whole answer; `value` as JSON, or an empty body for None."""
    body = b"" if value is None else json.dumps(value, separators=(",", ":")).encode()
    lines = [f"HTTP/1.1 {status} {REASONS[status]}", f"Content-Length: {len(body)}", *extra]
    if body:
        lines.append("Content-Type: application/json")
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def begin_events(connection: socket.socket) -> None:
    """The head of a text/event-stream that ends when the connection does."""
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n"
    )


class Reply:
    """What another server answers. Read it with `lines` or `text`, then it is closed."""

    def __init__(self, connection: socket.socket, reader: BufferedReader, status: int, headers: dict[str, str]) -> None:
        self.connection = connection
        self.reader = reader
        self.status = status
        self.headers = headers

    def blocks(self) -> Iterator[bytes]:
        """The body in pieces as they come. Raises WireError when it is cut off."""
        try:
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                while True:
                    size = int(self.reader.readline().split(b";")[0] or b"-1", 16)
                    if size < 0:
                        raise WireError(RESET, began=True)
                    block = self.reader.read(size)
                    self.reader.readline()
                    if size == 0:
                        return
                    if len(block) < size:
                        raise WireError(RESET, began=True)
                    yield block
            elif "content-length" in self.headers:
                size = int(self.headers["content-length"])
                block = self.reader.read(size)
                if len(block) < size:
                    raise WireError(RESET, began=True)
                yield block
            else:
                while True:
                    block = self.reader.read1(65536)
                    if not block:
                        return
                    yield block
        except TimeoutError as error:
            raise WireError(TIMED_OUT, began=True) from error
        except (OSError, ValueError) as error:
            raise WireError(RESET, began=True) from error
        finally:
            self.close()

    def lines(self) -> Iterator[bytes]:
        """The body line by line, without line ends."""
        rest = b""
        for block in self.blocks():
            parts = (rest + block).split(b"\n")
            rest = parts.pop()
            for part in parts:
                yield part.rstrip(b"\r")
        if rest:
            yield rest

    def text(self) -> str:
        """The whole body."""
        return b"".join(self.blocks()).decode("utf-8", "replace")

    def close(self) -> None:
        """Closes the connection."""
        self.reader.close()
        self.connection.close()


def post(
    url: str,
    value: Any,
    headers: Mapping[str, str],
    timeout: float | None = None,
    opened: Callable[[socket.socket], None] | None = None,
) -> Reply:
    """POSTs JSON to an http:// URL and gives the Reply as soon as its head is there.

    `timeout`: seconds without any byte; `opened(socket)` is told the connection, so that another thread can end
    it. Raises WireError.
    """
    parts = urlsplit(url)
    if parts.scheme != "http":
        raise WireError("the fake agent speaks plain http only, not " + parts.scheme)
    body = json.dumps(value).encode()
    target = parts.path + ("?" + parts.query if parts.query else "")
    lines = [f"POST {target} HTTP/1.1", "Host: " + parts.netloc, "Connection: close"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "User-Agent: kilo/fake"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    try:
        connection = socket.create_connection((parts.hostname, parts.port or 80), timeout)
    except OSError as error:
        raise WireError("Unable to connect. Is the computer able to access the url?") from error
    try:
        if opened is not None:
            opened(connection)
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        reader = connection.makefile("rb")
        status = reader.readline().split(None, 2)
        if len(status) < 2:
            raise WireError(RESET)
        return Reply(connection, reader, int(status[1]), read_headers(reader))
    except TimeoutError as error:
        connection.close()
        raise WireError(TIMED_OUT) from error
    except OSError as error:
        connection.close()
        raise WireError(RESET) from error
    except WireError:
        connection.close()
        raise
