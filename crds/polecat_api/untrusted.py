"""Reads JSON of the API server without trusting it: what makes no sense is empty, never an error.

People can edit a status, and a newer version may have written it; whoever only shows it must go on.
"""

from __future__ import annotations

from typing import Any

from polecat_api.conditions import REASONS

Json = dict[str, Any]
_REASONS = {reason.value: info for reason, info in REASONS.items()}


def section(parent: Any, key: str) -> Json:
    """The mapping under `key`; empty when there is none."""
    value = parent.get(key) if isinstance(parent, dict) else None
    return value if isinstance(value, dict) else {}


def entries(parent: Json, key: str) -> list[Any]:
    """The list under `key`; empty when there is none."""
    value = parent.get(key)
    return value if isinstance(value, list) else []


def text(parent: Json, key: str, longest: int | None = None) -> str:
    """The text under `key`, cut to `longest` characters."""
    value = parent.get(key)
    if not isinstance(value, str):
        return ""
    return value if longest is None or len(value) <= longest else value[: longest - 1] + "…"


def number(parent: Json, key: str) -> int:
    """The whole number under `key`; 0 when there is none."""
    value = parent.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def texts(parent: Json, key: str) -> list[str]:
    """The texts in the list under `key`."""
    return [value for value in entries(parent, key) if isinstance(value, str)]


def condition(status: Json, type_: str) -> Json:
    """The condition of this type; empty when there is none."""
    found = (each for each in entries(status, "conditions") if isinstance(each, dict) and each.get("type") == type_)
    return next(found, {})


def meaning(reason: str) -> str:
    """What a reason means, in one sentence; empty for an unknown one."""
    info = _REASONS.get(reason)
    return info.meaning if info is not None else ""


def state_of(reason: str) -> str:
    """The word for people that goes with a bead's reason; empty for an unknown one."""
    info = _REASONS.get(reason)
    return info.state if info is not None else ""
