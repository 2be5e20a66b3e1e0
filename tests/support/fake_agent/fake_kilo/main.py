"""Command line and routes: `kilo serve --port P --hostname H` and `kilo --version`."""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import VERSION, faults, wire
from .events import Bus
from .mcp import servers_of
from .model import Model, Titles
from .sessions import Session, Sessions
from .turn import Turn

Answer = tuple[int, Any]
"""HTTP status, and what the body says as JSON (None: no body)."""


def main() -> None:
    """Runs the command line; ends with the process."""
    argv = sys.argv[1:]
    known = faults.read()
    version = argv in (["--version"], ["-v"])
    faults.at_start(known, version)
    if version:
        print(VERSION)
        return
    if not argv or argv[0] != "serve":
        sys.exit("usage: kilo serve [--port P] [--hostname H] | kilo --version")
    options = {argv[i]: argv[i + 1] for i in range(1, len(argv) - 1, 2)}
    host = options.get("--hostname", "127.0.0.1")
    listener = socket.create_server((host, int(options.get("--port", 0))), backlog=128)
    host, port = listener.getsockname()[:2]
    print(f"kilo server listening on http://{host}:{port}", flush=True)
    wire.serve(listener, Server(os.environ).handle)


class Server:
    """All routes of one process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        password = environ.get("KILO_SERVER_PASSWORD")
        self._expected = password and "Basic " + base64.b64encode(b"kilo:" + password.encode()).decode()
        self._config = json.loads(environ.get("KILO_CONFIG_CONTENT") or "{}")
        self._model = Model(self._config)
        self._titles = Titles(self._model)
        self._servers = servers_of(self._config)
        self._sessions = Sessions()
        self._bus = Bus()

    def handle(self, request: wire.Request, connection: socket.socket) -> bool:
        """Answers one request; False when its connection has to be closed."""
        if self._expected and request.headers.get("authorization") != self._expected:
            wire.answer(connection, 401, extra=['www-authenticate: Basic realm="Secure Area"'])
            return True
        parts = request.path.strip("/").split("/")
        directory = request.query.get("directory") or str(Path.cwd())
        if request.method == "GET" and request.path in ("/event", "/global/event"):
            wire.begin_events(connection)
            self._bus.stream(directory if request.path == "/event" else None, connection.sendall)
            return False
        if parts[0] == "session" and len(parts) > 1 and parts[1] != "status":
            session = self._sessions.get(parts[1])
            if session is None:
                data = {"message": "Session not found: " + parts[1]}
                wire.answer(connection, 404, {"name": "NotFoundError", "data": data})
                return True
            status, value = self._with_session(session, request, parts[2:])
        else:
            status, value = self._without_session(request, directory, parts)
        wire.answer(connection, status, value)
        return True

    def _without_session(self, request: wire.Request, directory: str, parts: list[str]) -> Answer:
        route = (request.method, request.path)
        if route == ("GET", "/global/health"):
            return 200, {"healthy": True, "version": VERSION}
        if route == ("POST", "/session"):
            session = self._sessions.create(directory, request.json().get("title", ""))
            properties = {"sessionID": session.id, "info": session.info}
            self._bus.publish(directory, "session.created", properties)
            return 200, session.info
        if route == ("GET", "/session/status"):
            return 200, self._sessions.statuses(directory)
        if route == ("GET", "/mcp"):
            return 200, {name: server.status for name, server in self._servers.items()}
        if request.method == "POST" and parts[0] == "network" and parts[2:] == ["reply"]:
            return self._reconnect(parts[1])
        return 404, {"name": "NotFoundError", "data": {"message": "the fake agent has no such route"}}

    def _with_session(self, session: Session, request: wire.Request, action: list[str]) -> Answer:
        if request.method == "GET" and not action:
            return 200, session.info
        if request.method == "POST" and action == ["prompt_async"]:
            prompt = "\n".join(part.get("text", "") for part in request.json()["parts"])
            if not session.info["title"]:
                self._titles.ask(session, prompt)
            self._prompt(session, prompt)
            return 204, None
        if request.method == "POST" and action == ["abort"]:
            with session.lock:
                turn = session.turn
            if turn is not None:
                turn.abort()
            return 200, True
        return 404, {"name": "NotFoundError", "data": {"message": "the fake agent has no such route"}}

    def _prompt(self, session: Session, prompt: str) -> None:
        with session.lock:
            session.pending.append(prompt)
            if session.turn is None:
                session.turn = Turn(session, self._model, self._servers, self._bus)
                threading.Thread(target=session.turn.run, daemon=True).start()

    def _reconnect(self, question: str) -> Answer:
        for turn in self._sessions.turns():
            if turn.offline == question:
                turn.reconnect()
                return 200, True
        return 404, {"name": "NotFoundError", "data": {"message": "no such question"}}
