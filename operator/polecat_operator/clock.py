"""The two clocks that the thin layers read, so that decisions need none."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Wall time for what is written down, monotonic time for how long something has lasted."""

    def now(self) -> datetime:
        """The time of day, UTC."""
        return datetime.now(UTC)

    def mono(self) -> float:
        """Seconds that only ever grow."""
        return time.monotonic()
