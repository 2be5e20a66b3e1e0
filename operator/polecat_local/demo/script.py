"""What a scripted model answers: steps, where they come from, and which of them is next in a conversation.

A script is a list of steps. It stands in a fenced block inside a user's message, as YAML or JSON:

    ```script
    - {say: "First the file.", bash: "echo hello > hello.txt"}
    - bash: git add -A && git commit -qm "Say hello"
    - done: There is a file now.
    ```

or comes from a table of plays that are recognised by a phrase in the first message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

NOTHING_MORE = "There is nothing more that I can do."
"""The answer when all steps have been played, or when nobody gave any."""
TITLE = "A piece of work"
"""The answer to requests that offer no tools; agents make titles of it."""
DONE_TOOL = "polecat_done"
BASH_TOOL = "bash"

_BLOCK = re.compile(r"^[ \t]*```script[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)
_CALL_ID = re.compile(r"^step_(\d+)_")
_INTERRUPTED = re.compile(r"Tool execution was interrupted|Tool execution aborted|User aborted the command")


class ScriptError(Exception):
    """A script can't be read; the text says why and goes to the agent as the model's answer."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fault(_Part):
    """What the endpoint does instead of answering."""

    kind: Literal["status", "hang", "html", "garbage", "cut"]
    """`status`: an HTTP error; `hang`: no answer; `html`: 200 with a web page; `garbage`: a stream that is no
    JSON; `cut`: the connection ends in the middle of the stream."""
    status: int = Field(default=500, ge=400, le=599)
    """The HTTP status of the kind `status`."""
    times: int | None = Field(default=None, ge=1)
    """How many requests meet it, then all is well; None: all of them."""


class Step(_Part):
    """One answer of the model: a sentence, and at most one call of a tool. Without a call the turn ends."""

    say: str = ""
    """Text that comes before the call, or alone."""
    bash: str | None = None
    """A shell command."""
    tool: str | None = None
    """Any other tool, by the name that the agent offers it under, or by the end of that name."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Arguments of `tool`."""
    done: str | None = None
    """Short for the tool `polecat_done` with this summary."""
    timeout_seconds: float | None = Field(default=None, gt=0)
    """How long the agent lets a `bash` command run; its own default otherwise."""
    pace_seconds: float | None = Field(default=None, ge=0)
    """How long the answer takes; the server's pace otherwise."""
    forever: bool = False
    """Whether this answer is given again and again; steps after it are never reached."""
    fault: Fault | None = None
    """What goes wrong before this step is played."""

    @model_validator(mode="after")
    def _one_call(self) -> Step:
        if sum(call is not None for call in (self.bash, self.tool, self.done)) > 1:
            raise ValueError("a step has one of bash, tool and done")
        if self.args and self.tool is None:
            raise ValueError("args are those of a tool")
        if self.call is None and not self.say and self.fault is None:
            raise ValueError("a step says or calls something")
        return self

    @property
    def call(self) -> tuple[str, dict[str, Any]] | None:
        """Name and arguments of the tool that is called."""
        if self.bash is not None:
            timeout = {} if self.timeout_seconds is None else {"timeout": int(self.timeout_seconds * 1000)}
            return BASH_TOOL, {"command": self.bash, "description": _first_line(self.bash), **timeout}
        if self.done is not None:
            return DONE_TOOL, {"summary": self.done}
        return None if self.tool is None else (self.tool, self.args)


Steps = Sequence[Step]
Plays = Mapping[str, Steps]
"""A phrase of the first message (a title, say) → what is played then."""

_STEPS = TypeAdapter(tuple[Step, ...])


@dataclass(frozen=True, slots=True)
class Position:
    """Where a conversation stands."""

    steps: Steps
    index: int
    """Number of steps that have been played."""

    @property
    def step(self) -> Step | None:
        """The step that is next; None when all have been played."""
        return self.steps[self.index] if self.index < len(self.steps) else None


def parse_script(text: str) -> tuple[Step, ...] | None:
    """The steps in the last fenced block of a text; None without one. Raises ScriptError."""
    blocks = _BLOCK.findall(text)
    if not blocks:
        return None
    try:
        return _STEPS.validate_python(yaml.safe_load(blocks[-1]))
    except (yaml.YAMLError, ValidationError) as error:
        raise ScriptError(f"The script can't be read: {error}") from error


def find_position(messages: Sequence[Mapping[str, Any]], plays: Plays) -> Position:
    """The script of a conversation and what of it has been played. Raises ScriptError.

    The last message of the user that carries a script counts; messages without one (requests to go on) let the
    script go on. Steps with a call are recognised by the id of the call, others by their text, so that answers
    that were cut off count for nothing. A call whose tool was interrupted is made again.
    """
    steps, start = _find_script(messages, plays)
    interrupted = {
        message.get("tool_call_id")
        for message in messages
        if message.get("role") == "tool" and _INTERRUPTED.search(content_text(message.get("content")))
    }
    index = 0
    for message in messages[start:]:
        if message.get("role") != "assistant" or index >= len(steps) or steps[index].forever:
            continue
        calls = [call for call in message.get("tool_calls") or () if _CALL_ID.match(str(call.get("id")))]
        played = [_played(call) for call in calls if call.get("id") not in interrupted]
        if played:
            index = max(index, *(number + 1 for number in played))
        elif not calls and _said(message, steps[index]):
            index += 1
    return Position(steps, index)


def _find_script(messages: Sequence[Mapping[str, Any]], plays: Plays) -> tuple[Steps, int]:
    users = [(number, message) for number, message in enumerate(messages) if message.get("role") == "user"]
    for number, message in reversed(users):
        steps = parse_script(content_text(message.get("content")))
        if steps is not None:
            return steps, number
    if users:
        first = content_text(users[0][1].get("content"))
        for phrase, play in plays.items():
            if phrase in first:
                return play, users[0][0]
    return (), 0


def call_id(index: int, unique: str) -> str:
    """Id of the call of the step with this number; `find_position` reads the number again."""
    return f"step_{index}_{unique}"


def _played(call: Mapping[str, Any]) -> int:
    match = _CALL_ID.match(str(call.get("id")))
    return int(match.group(1)) if match else -1


def _said(message: Mapping[str, Any], step: Step) -> bool:
    return step.call is None and content_text(message.get("content")).split() == step.say.split()


def content_text(content: Any) -> str:
    """The text of a message, whose content is a string or a list of parts."""
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def resolve_tool(name: str, offered: Sequence[str]) -> str:
    """The name under which the agent offers a tool: `done` → `polecat_done`; itself if there is none."""
    if name in offered:
        return name
    return next((tool for tool in offered if tool.endswith(f"_{name}")), name)


def _first_line(command: str) -> str:
    lines = command.strip().splitlines()
    return lines[0][:60] if lines else "nothing"
