"""Removes secrets from text before it is stored or shown."""

from __future__ import annotations

from collections.abc import Iterable


class Redactor:
    """Replaces given secrets, and what looks like one, by `[redacted]`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = tuple(secrets)

    def text(self, text: str) -> str:
        """The text without secrets."""
        raise NotImplementedError
