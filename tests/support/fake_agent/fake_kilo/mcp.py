"""The tools of remote MCP servers, over streamable HTTP."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from . import VERSION, wire

PROTOCOL = "2025-06-18"
CONNECT_SECONDS = 30.0
CALL_SECONDS = 300.0

Opened = Callable[[socket.socket], None]


class McpError(Exception):
    """A server can't be reached, or refuses a call."""


class McpServer:
    """One entry of `mcp` in the configuration."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.name = name
        self.status = {"status": "disabled"}
        self.tools: list[dict[str, Any]] = []
        self._url = config["url"]
        self._headers = dict(config.get("headers") or {})
        self._timeout = config["timeout"] / 1000 if config.get("timeout") else CALL_SECONDS
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def connect(self) -> None:
        """Lists its tools unless that has been done. A server that is away has none, and is tried again later."""
        with self._lock:
            if self.status["status"] == "connected":
                return
            client = {"name": "kilo", "version": VERSION}
            hello = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client}
            try:
                self._ask("initialize", hello, CONNECT_SECONDS)
                self._headers["Mcp-Protocol-Version"] = PROTOCOL
                self._post({"jsonrpc": "2.0", "method": "notifications/initialized"}, CONNECT_SECONDS).close()
                self.tools = self._ask("tools/list", {}, CONNECT_SECONDS)["tools"]
            except McpError as error:
                self.status = {"status": "failed", "error": str(error)}
            else:
                self.status = {"status": "connected"}

    def offered(self) -> list[dict[str, Any]]:
        """The tools as the model is told of them."""
        return [
            {
                "type": "function",
                "function": {
                    "name": self.name + "_" + tool["name"],
                    "description": tool.get("description", ""),
                    "parameters": tool["inputSchema"],
                },
            }
            for tool in self.tools
        ]

    def call(self, tool: str, args: dict[str, Any], opened: Opened) -> str:
        """Text of the result. Raises McpError when the tool says that it failed, or takes too long."""
        result = self._ask("tools/call", {"name": tool, "arguments": args}, self._timeout, opened)
        parts = [part.get("text", "") for part in result.get("content") or () if part.get("type") == "text"]
        if result.get("isError"):
            raise McpError("\n".join(parts) or "the tool failed")
        return "\n\n".join(parts)

    def _ask(self, method: str, params: dict[str, Any], timeout: float, opened: Opened | None = None) -> Any:
        number = next(self._ids)
        reply = self._post({"jsonrpc": "2.0", "id": number, "method": method, "params": params}, timeout, opened)
        try:
            messages = iter([json.loads(reply.text())]) if _is_json(reply) else _events(reply)
            for message in messages:
                if message.get("id") == number:
                    if "error" in message:
                        code, text = message["error"].get("code"), message["error"].get("message")
                        raise McpError(f"MCP error {code}: {text}")
                    return message["result"]
        except (wire.WireError, ValueError) as error:
            raise _told(error) from error
        finally:
            reply.close()
        raise McpError("the server ended without an answer to " + method)

    def _post(self, message: dict[str, Any], timeout: float, opened: Opened | None = None) -> wire.Reply:
        headers = {"Accept": "application/json, text/event-stream", **self._headers}
        try:
            reply = wire.post(self._url, message, headers, timeout, opened)
        except wire.WireError as error:
            raise _told(error) from error
        if "mcp-session-id" in reply.headers:
            self._headers["Mcp-Session-Id"] = reply.headers["mcp-session-id"]
        if reply.status >= 400:
            raise McpError(f"HTTP {reply.status} {reply.text()[:300]}")
        return reply


def _told(error: Exception) -> McpError:
    text = str(error)
    return McpError("MCP error -32001: " + text if text == wire.TIMED_OUT else text)


def _is_json(reply: wire.Reply) -> bool:
    return reply.headers.get("content-type", "").startswith("application/json")


def _events(reply: wire.Reply) -> Iterator[dict[str, Any]]:
    for line in reply.lines():
        if line.startswith(b"data:") and line[5:].strip():
            yield json.loads(line[5:])


def servers_of(config: dict[str, Any]) -> dict[str, McpServer]:
    """Name → server, for all remote servers in the configuration that are switched on."""
    entries = (config.get("mcp") or {}).items()
    return {
        name: McpServer(name, entry)
        for name, entry in entries
        if entry.get("type") == "remote" and entry.get("enabled", True)
    }
