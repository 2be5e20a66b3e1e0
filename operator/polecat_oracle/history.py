"""What was seen of each object, so that a broken rule can be told with what came before."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection

LENGTH = 40
"""Lines kept of each object."""


class History:
    """Lines about objects, by UID."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=LENGTH))

    def note(self, key: str, at: float, text: str) -> None:
        """Adds a line, unless one of the last says the same. `at`: seconds."""
        lines = self._lines[key]
        if not any(line.endswith(text) for line in list(lines)[-3:]):
            lines.append(f"{at:10.2f} s  {text}")

    def of(self, *keys: str) -> tuple[str, ...]:
        """All lines about these objects, in the order of time."""
        return tuple(sorted(dict.fromkeys(line for key in keys for line in self._lines.get(key, ()))))

    def keep_only(self, keys: Collection[str]) -> None:
        """Forgets all other objects."""
        for key in self._lines.keys() - keys:
            del self._lines[key]
