"""One turn of a session: from a prompt through model and tools to idle, with the events that tell of it."""

from __future__ import annotations

import json
import random
import socket
import threading
from typing import Any

from . import bash, faults
from .events import Bus, new_id, now
from .mcp import McpError, McpServer
from .model import Answer, Model, ModelError
from .sessions import Session

SYSTEM = "You are a fake agent. You do what the model says."
OFFLINE_ID = "que"
FAKE_TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {"name": name, "description": "A fault.", "parameters": {"type": "object"}},
    }
    for name in faults.TOOLS
]


class Aborted(Exception):
    """Somebody called abort."""


class Turn:
    """Runs in a thread of its own; `abort` and `reconnect` come from others."""

    def __init__(self, session: Session, model: Model, servers: dict[str, McpServer], bus: Bus) -> None:
        self.session = session
        self.model = model
        self.servers = servers
        self.bus = bus
        self.aborted = threading.Event()
        self.offline: str | None = None
        """Id of the question whether the network is back, while it is asked."""
        self._reconnected = threading.Event()
        self._socket: socket.socket | None = None

    def abort(self) -> None:
        """Ends the turn: the command that runs, the request that is open, the wait that is on."""
        self.aborted.set()
        self._reconnected.set()
        self._hang_up(self._socket)

    def reconnect(self) -> None:
        """Asks the model again that could not be reached."""
        self._reconnected.set()

    def run(self) -> None:
        """To the end, and on with prompts that came too late for it; never raises."""
        session = self.session
        while True:
            self._emit("session.turn.open")
            reason = self._run()
            with session.lock:
                if reason == "interrupted":
                    del session.pending[:]
                again = bool(session.pending)
                if not again:
                    session.turn = None
                self._idle()
                self._emit("session.turn.close", reason=reason)
            if not again:
                return

    def _run(self) -> str:
        try:
            for server in self.servers.values():
                server.connect()
            while self._step():
                pass
        except (Aborted, ModelError) as error:
            failed = ModelError("MessageAbortedError", {"message": "Aborted"}) if isinstance(error, Aborted) else error
            self._emit("session.error", error={"name": failed.name, "data": failed.data})
            self._idle()
            return "error" if failed is error else "interrupted"
        return "completed"

    def _step(self) -> bool:
        """One answer of the model and its tool calls; whether another has to follow."""
        with self.session.lock:
            self._take_prompts()
        self._status({"type": "busy"})
        message: dict[str, Any] = {"id": new_id("msg"), "role": "assistant", "time": {"created": now()}}
        message.update(modelID=self.model.name, providerID=self.model.provider, cost=0, sessionID=self.session.id)
        self._message(message)
        text, calls, finish, tokens = self._ask(message)
        said: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            said["tool_calls"] = [
                {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
                for c in calls
            ]
        self.session.messages.append(said)
        self.session.save()
        for call in calls:
            result = self._call(message, call)
            self.session.messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
            self.session.save()
        cost = self.model.price(tokens)
        self.session.spend(cost, tokens)
        spent = {"reason": finish, "cost": cost, "tokens": tokens}
        self._part(message, {"id": new_id("prt"), "type": "step-finish", **spent})
        message.update(cost=cost, tokens=tokens, finish=finish)
        message["time"]["completed"] = now()
        self._message(message)
        self.session.save()
        with self.session.lock:
            return bool(calls or self.session.pending)

    def _take_prompts(self) -> None:
        for prompt in self.session.pending:
            message = {"id": new_id("msg"), "role": "user", "time": {"created": now()}, "sessionID": self.session.id}
            self._message(message)
            self._part(message, {"id": new_id("prt"), "type": "text", "text": prompt})
            where = f"Working directory: {self.session.directory}"
            details = f"\n\n<environment_details>\n{where}\n</environment_details>"
            content = [{"type": "text", "text": prompt}, {"type": "text", "text": details}]
            self.session.messages.append({"role": "user", "content": content})
        del self.session.pending[:]
        self.session.save()

    def _ask(self, message: dict[str, Any]) -> Answer:
        tools = [bash.SCHEMA, *FAKE_TOOLS]
        for server in self.servers.values():
            tools += server.offered()
        messages = [{"role": "system", "content": SYSTEM}, *self.session.messages]
        attempt = 0
        while True:
            part = {"id": new_id("prt"), "type": "text", "text": "", "time": {"start": now()}}
            text = _Text(self, message, part)
            try:
                answer = self.model.ask(self.session.id, messages, tools, text.add, self._opened)
                self._check()
                text.end()
                return answer
            except ModelError as error:
                self._check()
                text.end()
                if error.offline:
                    self._wait_for_network(error)
                elif error.retryable:
                    attempt += 1
                    self._wait_to_retry(error, attempt)
                else:
                    raise
                self._status({"type": "busy"})

    def _wait_for_network(self, error: ModelError) -> None:
        self._reconnected.clear()
        self.offline = new_id(OFFLINE_ID)
        asked = {"id": self.offline, "message": str(error), "restored": False, "time": {"created": now()}}
        self._emit("session.network.asked", **asked)
        self._status({"type": "offline", "requestID": self.offline, "message": str(error)})
        self._reconnected.wait()
        self.offline = None
        self._check()
        self._status({"type": "retry", "attempt": 0, "message": "Reconnected", "next": now()})

    def _wait_to_retry(self, error: ModelError, attempt: int) -> None:
        seconds = 2.0 * 2 ** (attempt - 1) * random.uniform(1.05, 1.25)
        self._status({"type": "retry", "attempt": attempt, "message": str(error), "next": now() + int(seconds * 1000)})
        self.aborted.wait(seconds)
        self._check()

    def _call(self, message: dict[str, Any], call: dict[str, str]) -> str:
        part: dict[str, Any] = {"id": new_id("prt"), "type": "tool", "callID": call["id"], "tool": call["name"]}
        self._tool(message, part, {"status": "pending", "input": {}, "raw": ""})
        started = {"start": now()}
        state: dict[str, Any] = {"status": "running", "input": {}, "time": started}
        try:
            args = json.loads(call["arguments"] or "{}")
            state["input"] = args
            self._tool(message, part, state)
            output, metadata = self._use(message, part, state, call["name"], args)
        except (McpError, ValueError, KeyError, OSError) as error:
            text = "Tool execution aborted" if self.aborted.is_set() else str(error)
            failed = {"status": "error", "input": state["input"], "error": text}
            self._tool(message, part, {**failed, "time": {**started, "end": now()}})
            self._check()
            return text
        done = {"status": "completed", "input": state["input"], "output": output, "metadata": metadata}
        done.update(title=str(state["input"].get("description", "")), time={**started, "end": now()})
        self._tool(message, part, done)
        if self.aborted.is_set():
            self.session.messages.append({"role": "tool", "tool_call_id": call["id"], "content": output})
            self.session.save()
        self._check()
        return output

    def _use(
        self, message: dict[str, Any], part: dict[str, Any], state: dict[str, Any], name: str, args: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """(output, metadata) of a tool. Raises McpError, ValueError, KeyError."""
        if name == "bash":

            def shown(output: str) -> None:
                self._tool(message, part, {**state, "metadata": {"output": output}})

            seconds = args["timeout"] / 1000 if args.get("timeout") else bash.DEFAULT_SECONDS
            output, code = bash.run(args["command"], self.session.directory, seconds, self.aborted, shown)
            return output, {"output": output, "exit": code, "truncated": False}
        for server in self.servers.values():
            if name.startswith(server.name + "_"):
                return server.call(name[len(server.name) + 1 :], args, self._opened), {"truncated": False}
        return faults.on_request(name, args), {"truncated": False}

    def _opened(self, connection: socket.socket) -> None:
        """Remembers the connection that `abort` has to end."""
        self._socket = connection
        if self.aborted.is_set():
            self._hang_up(connection)

    def _hang_up(self, connection: socket.socket | None) -> None:
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has ended by itself

    def _check(self) -> None:
        if self.aborted.is_set():
            raise Aborted

    def _emit(self, kind: str, **properties: Any) -> None:
        self.bus.publish(self.session.directory, kind, {"sessionID": self.session.id, **properties})

    def _status(self, status: dict[str, Any]) -> None:
        self.session.status = status
        self._emit("session.status", status=status)

    def _idle(self) -> None:
        self._status({"type": "idle"})
        self._emit("session.idle")

    def _message(self, info: dict[str, Any]) -> None:
        self._emit("message.updated", info=info)

    def _part(self, message: dict[str, Any], part: dict[str, Any]) -> None:
        part = {**part, "sessionID": self.session.id, "messageID": message["id"]}
        self._emit("message.part.updated", part=part, time=now())

    def _tool(self, message: dict[str, Any], part: dict[str, Any], state: dict[str, Any]) -> None:
        self._part(message, {**part, "state": state})


class _Text:
    """A text part as it grows."""

    def __init__(self, turn: Turn, message: dict[str, Any], part: dict[str, Any]) -> None:
        self._turn = turn
        self._message = message
        self._part = part

    def add(self, piece: str) -> None:
        """Tells a piece; the first one begins the part."""
        turn, part = self._turn, self._part
        if not part["text"]:
            turn._part(self._message, part)
        part["text"] += piece
        turn._emit("message.part.delta", messageID=self._message["id"], partID=part["id"], field="text", delta=piece)

    def end(self) -> None:
        """Tells the whole text, if there is any."""
        if self._part["text"]:
            self._part["time"]["end"] = now()
            self._turn._part(self._message, self._part)
