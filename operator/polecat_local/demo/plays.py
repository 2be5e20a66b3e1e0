"""The five pieces of work of the demo, and how the scripted model plays the agent on each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from polecat_api.bead import Priority

FOLDER = Path(__file__).with_name("plays")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Turn(_Part):
    """One answer of the model: a sentence, and the shell command or the `done` that goes with it."""

    say: str = ""
    """What the agent says before it acts."""
    bash: str | None = None
    """Shell command, run in the worktree."""
    fails: bool = False
    """Whether the command is meant to end with an exit code other than 0 (a test seen failing first)."""
    done: str | None = None
    """The summary given to the `done` tool; the last turn of a play."""

    @model_validator(mode="after")
    def _acts(self) -> Turn:
        if (self.bash is None) == (self.done is None):
            raise ValueError("a turn has either bash or done")
        return self


class Play(_Part):
    """One bead and the agent that works on it."""

    name: str
    """Name of the Bead."""
    title: str
    prompt: str
    """As a person would write it; it is what a real model gets as well."""
    priority: Priority = Priority.NORMAL
    steps: tuple[Turn, ...]

    @model_validator(mode="after")
    def _ends(self) -> Play:
        if [turn.done is not None for turn in self.steps].index(True) != len(self.steps) - 1:
            raise ValueError("the last turn, and no other, is done")
        return self

    def bead(self, rig: str) -> dict[str, Any]:
        """The Bead to apply, without apiVersion and kind."""
        spec = {
            "rigRef": {"name": rig},
            "title": self.title,
            "prompt": self.prompt,
            "priority": self.priority.value,
        }
        return {"metadata": {"name": self.name}, "spec": spec}


def load_plays(folder: Path = FOLDER) -> tuple[Play, ...]:
    """All plays in the order of their files' names."""
    return tuple(Play.model_validate(yaml.safe_load(file.read_text())) for file in sorted(folder.glob("*.yaml")))
