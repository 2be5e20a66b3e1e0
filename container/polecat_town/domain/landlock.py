"""What isolation the kernel gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from polecat_town.domain.launch import SCOPES_ABI, abi_version


@dataclass(frozen=True, slots=True)
class Isolation:
    """How well agents are kept apart; the town's condition Isolated says so."""

    level: Literal["IsolationFull", "IsolationPartial", "IsolationNone"]
    abi: int
    """Version of the kernel's Landlock interface; 0 when it has none."""
    message: str


def probe_isolation() -> Isolation:
    """Asks the kernel; changes nothing."""
    return describe_isolation(abi_version())


def describe_isolation(abi: int) -> Isolation:
    """What a version of the interface holds, and what it does not."""
    if abi < 1:
        return Isolation(
            "IsolationNone",
            0,
            "The kernel has no Landlock (Linux 5.13 or newer, with landlock among the LSMs): agents run under the "
            "same user without walls between them, and can read and change each other's files.",
        )
    if abi >= SCOPES_ABI:
        return Isolation(
            "IsolationFull",
            abi,
            f"Landlock ABI {abi}: an agent reaches its own directory, the system and the repository's objects only, "
            "and can't signal or trace processes outside.",
        )
    missing = [
        text
        for since, text in (
            (2, "agents can't move files from one directory to another"),
            (3, "agents can truncate files outside of their directory that their user may write"),
            (5, "device ioctls are not restricted"),
            (SCOPES_ABI, "agents can signal each other's processes and use each other's abstract sockets"),
        )
        if abi < since
    ]
    return Isolation("IsolationPartial", abi, f"Landlock ABI {abi}: files are kept apart, but {'; '.join(missing)}.")
