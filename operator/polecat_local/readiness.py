"""Whether a Town takes work, as its status tells."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from polecat_api.times import parse_time
from polecat_api.untrusted import condition, section, text


def why_not_ready(town: Mapping[str, Any] | None, pod: str, since: datetime, *, with_operator: bool) -> str | None:
    """None when the pod takes work and, if an operator runs, the operator agrees; else the reason in words.

    What the pod wrote before `since` is of an earlier life, and does not count.
    """
    if town is None:
        return "it does not exist"
    status = section(town, "status")
    entry = next((p for p in status.get("pods") or [] if p.get("name") == pod), None)
    if entry is None or parse_time(entry["seenTime"]) < since:
        return "its process has not reported yet"
    if not entry.get("ready"):
        return f"{entry.get('reason', '')}: {entry.get('message', '')}"
    if not with_operator:
        return None
    ready = condition(status, "Ready")
    if text(ready, "status") == "True":
        return None
    return text(ready, "message") or text(ready, "reason") or "the operator has not seen it yet"
