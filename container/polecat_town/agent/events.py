"""What an agent does, as it comes out of its event stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TextGrown:
    """The agent goes on writing."""

    part: str
    """Which text."""
    text: str
    """What was added."""
    reasoning: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A finished piece of text; `reasoning` if the agent says it to itself."""

    text: str
    reasoning: bool = False
    part: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The agent does something that is worth no line of its own."""


@dataclass(frozen=True, slots=True)
class FileEdit:
    """A tool has changed a file."""

    path: str
    """Absolute, as the agent sees it."""
    diff: str
    """Unified; empty when the agent gives none."""
    additions: int
    deletions: int


@dataclass(frozen=True, slots=True)
class OutputGrown:
    """A tool that runs has printed more."""

    call_id: str
    text: str


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
    exit_code: int | None = None
    edit: FileEdit | None = None


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
    text: str = ""
    """What for."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The session could not go on; it is idle afterwards."""

    message: str
    status: int | None = None
    """The model's HTTP status, if that was it."""
    aborted: bool = False


AgentEvent = (
    Text
    | TextGrown
    | Progress
    | ToolCall
    | OutputGrown
    | StepFinished
    | Busy
    | Idle
    | Retrying
    | ConnectionLost
    | Asked
    | Failed
)


class Normaliser:
    """Turns raw events of one session into `AgentEvent`s; repetitions are told once."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._user_messages: set[str] = set()
        self._told: dict[str, str] = {}
        self._texts: dict[str, bool] = {}
        """Texts that the agent writes now, and whether it says them to itself."""
        self._outputs: dict[str, str] = {}
        """What tools that run have printed so far."""
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
                return self._delta(properties)
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
                return [Asked(kind.partition(".")[0], str(properties.get("id")), _question(properties))]
            case _:
                return []

    def _part(self, part: dict[str, Any]) -> list[AgentEvent]:
        if str(part.get("messageID")) in self._user_messages:
            return []
        part_id = str(part.get("id"))
        match part.get("type"):
            case "text" | "reasoning":
                reasoning = part["type"] == "reasoning"
                if not (part.get("time") or {}).get("end"):
                    self._texts[part_id] = reasoning
                    return [Progress()]
                self._texts.pop(part_id, None)
                text = str(part.get("text", ""))
                if not text or not self._is_new(part_id, "end"):
                    return []
                return [Text(text, reasoning, part_id)]
            case "tool":
                return self._tool(part, part_id)
            case "step-finish":
                return _step(part) if self._is_new(part_id, "end") else []
            case _:
                return []

    def _delta(self, properties: dict[str, Any]) -> list[AgentEvent]:
        part_id, text = str(properties.get("partID")), str(properties.get("delta") or "")
        # The kind of a part is told before its first delta; the echo of a prompt has none.
        reasoning = self._texts.get(part_id)
        if reasoning is None or not text or properties.get("field") != "text":
            return [Progress()]
        return [TextGrown(part_id, text, reasoning)]

    def _tool(self, part: dict[str, Any], part_id: str) -> list[AgentEvent]:
        state = part.get("state") or {}
        status = str(state.get("status", ""))
        call_id = str(part.get("callID", part_id))
        if status == "pending" or not self._is_new(part_id, status):
            return self._printed(call_id, state) if status == "running" else [Progress()]
        self._outputs.pop(call_id, None)
        given, metadata = state.get("input"), state.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        exit_code = metadata.get("exit")
        return [
            ToolCall(
                call_id=call_id,
                tool=str(part.get("tool", "")),
                state=status,
                title=str(state.get("title") or ""),
                input=given if isinstance(given, dict) else {},
                output=str(state.get("output") or ""),
                error=str(state.get("error") or ""),
                exit_code=exit_code if isinstance(exit_code, int) else None,
                edit=_edit(metadata) if status == "completed" else None,
            )
        ]

    def _printed(self, call_id: str, state: dict[str, Any]) -> list[AgentEvent]:
        metadata = state.get("metadata")
        output = str((metadata if isinstance(metadata, dict) else {}).get("output") or "")
        before = self._outputs.get(call_id, "")
        if output == before or not output.startswith(before):
            # Agents shorten a long output in the middle; the end of the call tells all that they keep.
            return [Progress()]
        self._outputs[call_id] = output
        return [OutputGrown(call_id, output[len(before) :])]

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


def _edit(metadata: dict[str, Any]) -> FileEdit | None:
    changed = metadata.get("filediff")
    if not isinstance(changed, dict) or not isinstance(changed.get("file"), str):
        return None
    return FileEdit(
        path=changed["file"],
        diff=str(metadata.get("diff") or changed.get("patch") or ""),
        additions=_count(changed.get("additions")),
        deletions=_count(changed.get("deletions")),
    )


def _question(properties: dict[str, Any]) -> str:
    """What a permission is for, or what the agent wants to know."""
    questions = properties.get("questions")
    if isinstance(questions, list):
        return "\n".join(str(each.get("question", "")) for each in questions if isinstance(each, dict))
    patterns = properties.get("patterns")
    words = [str(properties.get("permission") or ""), *(map(str, patterns) if isinstance(patterns, list) else ())]
    return " ".join(words).strip()


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
