"""The schema of the journal: what is written about one attempt at a bead. Version 1.

A journal is a file of JSON lines. `seq` counts from 1 for each attempt, without gaps, across restarts of the
supervisor. A field of more than `FIELD_MAX_LENGTH` characters is cut, and says so at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1
FIELD_MAX_LENGTH = 16_384
"""The longest text that one field of an event holds, in characters."""


class Kind(StrEnum):
    """Kinds of events; the fields of `data` in the comment."""

    # of the supervisor
    CLAIMED = "claimed"  # polecat, branch, attempt
    WORKTREE = "worktree"  # path, baseCommit, startCommit
    PROCESS = "process"  # pid
    SESSION = "session"  # sessionID, resumed
    PROMPT = "prompt"  # text
    MODEL_REQUEST = "model-request"  # model; the first one only
    NUDGED = "nudged"  # number, why
    DONE_CALLED = "done-called"  # summary, noChanges
    CHECK = "check"  # command, passed, output
    REFUSED = "refused"  # why: `done` was not accepted
    PUSHED = "pushed"  # commit, branch; verified on the remote
    CHECKPOINT = "checkpoint"  # commit, note
    SAVED = "saved"  # commit, ref, onRemote
    ENDED = "ended"  # reason, message
    # of the agent
    STATUS = "status"  # message: what the agent says it does
    TEXT = "text"  # text, reasoning
    TOOL = "tool"  # tool, title, state, input, output, error
    STEP = "step"  # inputTokens, outputTokens, costMicroUSD
    ERROR = "error"  # message


class StreamEvent(BaseModel):
    """One line of the journal."""

    model_config = ConfigDict(frozen=True)

    seq: int
    """Number within the attempt, from 1."""
    time: str
    """RFC 3339, UTC, milliseconds."""
    kind: Kind
    """What happened."""
    data: dict[str, Any]
    """Fields of this kind."""


def clean(value: Any, redact: Callable[[str], str], longest: int = FIELD_MAX_LENGTH) -> Any:
    """The value with secrets removed from every text in it, and each cut to `longest` characters.

    The cut says how much is missing. Half characters, which JSON can't carry, are replaced.
    """
    if isinstance(value, str):
        text = value[: 4 * longest].encode("utf-8", "replace").decode("utf-8")
        # Redacted before it is cut: half a secret at the end would not be recognised.
        shown = redact(text)[:longest]
        missing = len(value) - len(text) + max(0, len(text) - longest)
        return f"{shown}… [{missing} characters more]" if missing else shown
    if isinstance(value, dict):
        return {str(key)[:200]: clean(item, redact, longest) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item, redact, longest) for item in value]
    return value
