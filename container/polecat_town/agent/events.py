"""What an agent does, as it comes out of its event stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """A finished piece of text; `reasoning` if the agent says it to itself."""

    text: str
    reasoning: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """The agent goes on writing, or a tool prints: worth no line of its own."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call changed its state."""

    call_id: str
    tool: str
    state: str
    """`running`, `completed` or `error`."""
    title: str = ""
    input: dict[str, Any] = field(default_factory=dict)
    output: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class StepFinished:
    """One answer of the model is complete."""

    input_tokens: int
    """Tokens read, those from the provider's cache included."""
    output_tokens: int
    """Tokens written, reasoning included."""
    cost_micro_usd: int


@dataclass(frozen=True, slots=True)
class Busy:
    """The session works."""


@dataclass(frozen=True, slots=True)
class Idle:
    """The session's turn is over; it waits for a prompt."""


@dataclass(frozen=True, slots=True)
class Retrying:
    """The agent asks its model again by itself."""

    attempt: int
    message: str


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The model can't be reached; the session stands still until `answer_network` is called."""

    request_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The agent wants an answer that nobody is there to give: a permission or a question."""

    kind: str
    """`permission` or `question`."""
    request_id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The session could not go on; it is idle afterwards."""

    message: str
    status: int | None = None
    """The model's HTTP status, if that was it."""
    aborted: bool = False


AgentEvent = Text | Progress | ToolCall | StepFinished | Busy | Idle | Retrying | ConnectionLost | Asked | Failed


class Normaliser:
    """Turns raw events of one session into `AgentEvent`s; repetitions are told once."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._user_messages: set[str] = set()
        self._told: dict[str, str] = {}
        self._idle: bool | None = None

    def feed(self, raw: dict[str, Any]) -> list[AgentEvent]:
        """The events in one message of the stream; none if it says nothing new."""
        kind = raw.get("type")
        properties = raw.get("properties")
        if not isinstance(kind, str) or not isinstance(properties, dict):
            return []
        session = properties.get("sessionID") or (properties.get("part") or {}).get("sessionID")
        if session is None:
            session = (properties.get("info") or {}).get("sessionID")
        if session != self._session_id:
            return []
        match kind:
            case "message.updated":
                info = properties.get("info") or {}
                if info.get("role") == "user":
                    self._user_messages.add(str(info.get("id")))
                return []
            case "message.part.delta":
                return [Progress()]
            case "message.part.updated":
                return self._part(properties.get("part") or {})
            case "session.status":
                return self._status(properties.get("status") or {})
            case "session.turn.close":
                # `session.idle` comes before the error that ended the turn is told, and twice.
                return self._became(idle=True)
            case "session.error":
                return [_failed(properties.get("error") or {})]
            case "session.network.asked":
                return [ConnectionLost(str(properties.get("id")), str(properties.get("message", "")))]
            case "permission.asked" | "question.asked":
                return [Asked(kind.partition(".")[0], str(properties.get("id")))]
            case _:
                return []

    def _part(self, part: dict[str, Any]) -> list[AgentEvent]:
        if str(part.get("messageID")) in self._user_messages:
            return []
        part_id = str(part.get("id"))
        match part.get("type"):
            case "text" | "reasoning":
                if not (part.get("time") or {}).get("end"):
                    return [Progress()]
                text = str(part.get("text", ""))
                if not text or not self._is_new(part_id, "end"):
                    return []
                return [Text(text, reasoning=part["type"] == "reasoning")]
            case "tool":
                return self._tool(part, part_id)
            case "step-finish":
                return _step(part) if self._is_new(part_id, "end") else []
            case _:
                return []

    def _tool(self, part: dict[str, Any], part_id: str) -> list[AgentEvent]:
        state = part.get("state") or {}
        status = str(state.get("status", ""))
        if status == "pending" or not self._is_new(part_id, status):
            return [Progress()]
        given = state.get("input")
        return [
            ToolCall(
                call_id=str(part.get("callID", part_id)),
                tool=str(part.get("tool", "")),
                state=status,
                title=str(state.get("title") or ""),
                input=given if isinstance(given, dict) else {},
                output=str(state.get("output") or ""),
                error=str(state.get("error") or ""),
            )
        ]

    def _status(self, status: dict[str, Any]) -> list[AgentEvent]:
        match status.get("type"):
            case "busy":
                return self._became(idle=False)
            case "retry":
                self._idle = False
                return [Retrying(int(status.get("attempt", 0)), str(status.get("message", "")))]
            case _:
                return []

    def _became(self, *, idle: bool) -> list[AgentEvent]:
        if self._idle is idle:
            return []
        self._idle = idle
        return [Idle() if idle else Busy()]

    def _is_new(self, part_id: str, state: str) -> bool:
        if self._told.get(part_id) == state:
            return False
        self._told[part_id] = state
        return True


def _step(part: dict[str, Any]) -> list[AgentEvent]:
    tokens = part.get("tokens") or {}
    cache = tokens.get("cache") or {}
    step = StepFinished(
        input_tokens=_count(tokens.get("input")) + _count(cache.get("read")) + _count(cache.get("write")),
        output_tokens=_count(tokens.get("output")) + _count(tokens.get("reasoning")),
        cost_micro_usd=round(float(part.get("cost") or 0) * 1_000_000),
    )
    if part.get("reason") == "other" and not step.input_tokens and not step.output_tokens:
        # So an answer that is no answer (a web page with status 200, say) comes out.
        return [Failed("the model's endpoint answered something that is no model's answer")]
    return [step]


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value > 0 else 0


def _failed(error: dict[str, Any]) -> Failed:
    data = error.get("data")
    data = data if isinstance(data, dict) else {}
    name = str(error.get("name", "error"))
    message = str(data.get("message") or name)
    status = data.get("statusCode")
    return Failed(message, status if isinstance(status, int) else None, aborted=name == "MessageAbortedError")


def describe(event: ToolCall) -> str:
    """One line that tells a person what the tool does, e.g. `bash: npm test`; at most 200 characters."""
    for key in ("command", "filePath", "path", "pattern", "url", "query", "description", "note", "message"):
        value = event.input.get(key)
        if isinstance(value, str) and value.strip():
            return f"{event.tool}: {' '.join(value.split())}"[:200]
    return event.tool[:200]
