"""The five pieces of work of the demo, and how the scripted model plays the agent on each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from polecat_api.bead import Priority
from polecat_local.demo.script import Plays, Step

FOLDER = Path(__file__).with_name("plays")


class Turn(Step):
    """A step of a play: a sentence, and the shell command or the `done` that goes with it.

    Every turn acts, since an answer without a call ends the agent's turn.
    """

    fails: bool = False
    """Whether the command is meant to end with an exit code other than 0 (a test seen failing first)."""

    @model_validator(mode="after")
    def _acts(self) -> Turn:
        if self.call is None:
            raise ValueError("a turn has either bash or done")
        return self


class Play(BaseModel):
    """One bead and the agent that works on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    @property
    def marker(self) -> str:
        """What the first message of the agent's conversation is recognised by."""
        return self.prompt.strip().splitlines()[0]

    def bead(self, rig: str, limits: Mapping[str, int] | None = None) -> dict[str, Any]:
        """The Bead to apply, without apiVersion and kind; `limits` instead of the defaults."""
        spec: dict[str, Any] = {
            "rigRef": {"name": rig},
            "title": self.title,
            "prompt": self.prompt,
            "priority": self.priority.value,
        }
        if limits:
            spec["limits"] = dict(limits)
        return {"metadata": {"name": self.name}, "spec": spec}


def load_plays(folder: Path = FOLDER) -> tuple[Play, ...]:
    """All plays in the order of their files' names."""
    return tuple(Play.model_validate(yaml.safe_load(file.read_text())) for file in sorted(folder.glob("*.yaml")))


def script_of(plays: Iterable[Play]) -> Plays:
    """What the scripted model needs to play them."""
    return {play.marker: play.steps for play in plays}
