"""Git over HTTP(S) with passwords: the real `git http-backend` behind a small server on loopback."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

BACKEND = Path(
    subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip(),
    "git-http-backend",
)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is no error of the server's."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class GitServer:
    """Serves the bare repositories in `root`, each with a password; looks for leaks at every request."""

    def __init__(
        self, root: Path, passwords: dict[str, str], tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.root = root
        self.passwords = passwords
        """By path; one that is not named needs none."""
        self.leaks: list[str] = []
        self.meanwhile: Callable[[], None] | None = None
        """What is done, in the server's thread, before a request is answered."""
        self._users: dict[str, set[str]] = defaultdict(set)
        self._server = _Server((host, 0), self._handler())
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def users(self, repository: str) -> set[str]:
        """Who has signed in at a repository."""
        return self._users[repository]

    def admit(self, repository: str, header: str | None) -> bool:
        """Checks a request's credentials."""
        self._look_for_leaks()
        if repository not in self.passwords:
            return True
        user, _, password = base64.b64decode((header or "").removeprefix("Basic ")).decode().partition(":")
        if not header or password != self.passwords[repository]:
            return False
        self._users[repository].add(user)
        return True

    def _look_for_leaks(self) -> None:
        for process in psutil.Process().children(recursive=True):
            try:
                text = " ".join(process.cmdline()) + " ".join(process.environ().values())
            except (psutil.Error, OSError):
                continue
            self.leaks += [text for password in self.passwords.values() if password in text]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self) -> None:
                self._serve()

            def do_POST(self) -> None:
                self._serve()

            def log_message(self, format: str, *args: object) -> None:
                """Keeps the test's output clean."""

            def _serve(self) -> None:
                path, _, query = self.path.partition("?")
                repository = "/" + path.split("/")[1]
                if not server.admit(repository, self.headers["Authorization"]):
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if server.meanwhile is not None:
                    server.meanwhile()
                body = self._body()
                done = subprocess.run(
                    [str(BACKEND)], input=body, env=self._cgi(path, query), capture_output=True, check=False
                )
                head, _, content = done.stdout.partition(b"\r\n\r\n")
                fields = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n") if b": " in line)
                self.send_response(int(fields.pop("Status", "200").split()[0]))
                for key, value in (fields | {"Content-Length": str(len(content))}).items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(content)

            def _body(self) -> bytes:
                if self.headers["Transfer-Encoding"] != "chunked":
                    return self.rfile.read(int(self.headers["Content-Length"] or 0))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                return body

            def _cgi(self, path: str, query: str) -> dict[str, str]:
                return {
                    "PATH": os.environ["PATH"],
                    "GIT_PROJECT_ROOT": str(server.root),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers["Content-Type"] or "",
                    "HTTP_CONTENT_ENCODING": self.headers["Content-Encoding"] or "",
                    "GIT_PROTOCOL": self.headers["Git-Protocol"] or "",
                    "REMOTE_USER": "somebody",
                }

        return Handler
