"""What isolation the kernel gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Isolation:
    """How well agents are kept apart; the town's condition Isolated says so."""

    level: Literal["IsolationFull", "IsolationPartial", "IsolationNone"]
    abi: int
    """Version of the kernel's Landlock interface; 0 when it has none."""
    message: str


def probe_isolation() -> Isolation:
    """Asks the kernel; changes nothing."""
    raise NotImplementedError
