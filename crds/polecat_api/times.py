"""Times as the API server writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def require_utc(value: datetime) -> datetime:
    """The same moment with the UTC zone; a time without a zone is an error (ValueError)."""
    if value.tzinfo is None:
        raise ValueError("a time needs a zone, as in 2026-11-24T06:00:00Z")
    return value.astimezone(UTC)


def format_time(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds, e.g. `2026-11-24T06:00:00.000000Z`."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(value: str) -> datetime:
    """The moment that an RFC 3339 string names. Raises ValueError when it is none."""
    return require_utc(datetime.fromisoformat(value))
