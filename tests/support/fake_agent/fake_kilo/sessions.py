"""Sessions: kept in memory and, message by message, in a file each below XDG_DATA_HOME, so they outlive a process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import VERSION
from .events import new_id, now

if TYPE_CHECKING:
    from .turn import Turn

INTERRUPTED = "[Tool execution was interrupted]"


def _folder() -> Path:
    data = os.environ.get("XDG_DATA_HOME")
    home = Path(data) if data else Path(os.environ.get("HOME", "."), ".local", "share")
    return home / "kilo" / "sessions"


class Session:
    """One conversation in one directory."""

    def __init__(self, info: dict[str, Any], messages: Iterable[dict[str, Any]] = ()) -> None:
        self.info = info
        self.messages = list(messages)
        """What the model is sent, without the system message."""
        self.pending: list[str] = []
        """Prompts that came and are not among the messages yet."""
        self.lock = threading.Lock()
        self.status: dict[str, Any] = {"type": "idle"}
        self.turn: Turn | None = None
        """The running turn, or None."""

    @property
    def id(self) -> str:
        """`ses_…`."""
        return str(self.info["id"])

    @property
    def directory(self) -> str:
        """Where it works."""
        return str(self.info["directory"])

    def save(self) -> None:
        """Writes the session's file; a reader sees the old or the new state, never half of one."""
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        self.info["time"]["updated"] = now()
        draft = folder / (self.id + ".new")
        draft.write_text(json.dumps({"info": self.info, "messages": self.messages}))
        draft.replace(folder / (self.id + ".json"))

    def spend(self, cost: float, tokens: dict[str, Any]) -> None:
        """Adds a step to the totals of the session."""
        self.info["cost"] += cost
        for key in ("input", "output", "reasoning"):
            self.info["tokens"][key] += tokens[key]
        self.info["tokens"]["cache"]["read"] += tokens["cache"]["read"]


class Sessions:
    """All sessions of this HOME."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def create(self, directory: str, title: str) -> Session:
        """A new session."""
        time = {"created": now(), "updated": now()}
        tokens = {"input": 0, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}}
        info: dict[str, Any] = {
            "id": new_id("ses"),
            "slug": "fake-agent",
            "projectID": "global",
            "directory": directory,
            "path": "",
        }
        info.update(cost=0, tokens=tokens, title=title, version=VERSION, time=time)
        session = Session(info)
        session.save()
        with self._lock:
            self._sessions[session.id] = session
        return session

    def get(self, session_id: str) -> Session | None:
        """The session, read from its file if this process has not used it yet; None if there is none."""
        with self._lock:
            if session_id not in self._sessions:
                try:
                    saved = json.loads((_folder() / (Path(session_id).name + ".json")).read_text())
                except (OSError, ValueError):
                    return None
                self._sessions[session_id] = Session(saved["info"], _settled(saved["messages"]))
            return self._sessions[session_id]

    def statuses(self, directory: str) -> dict[str, dict[str, Any]]:
        """Session id → status of those that are not idle."""
        with self._lock:
            known = list(self._sessions.values())
        return {s.id: s.status for s in known if s.directory == directory and s.status["type"] != "idle"}

    def turns(self) -> list[Turn]:
        """The turns that run now."""
        with self._lock:
            return [session.turn for session in self._sessions.values() if session.turn is not None]


def _settled(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with a result for each tool call: those that were running when the process ended have none."""
    answered = {message.get("tool_call_id") for message in messages if message["role"] == "tool"}
    settled = []
    for message in messages:
        settled.append(message)
        for call in message.get("tool_calls") or ():
            if call["id"] not in answered:
                settled.append({"role": "tool", "tool_call_id": call["id"], "content": INTERRUPTED})
    return settled
