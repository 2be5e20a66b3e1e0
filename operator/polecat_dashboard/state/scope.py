"""What somebody may see: for each kind all namespaces, or some."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("beads", "polecats", "rigs", "towns")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects somebody may list. Hashable, so that what is made for one can be used for all alike."""

    everywhere: frozenset[str] = frozenset()
    """Kinds that may be listed in all namespaces."""
    places: frozenset[tuple[str, str]] = frozenset()
    """(kind, namespace) that may be listed, of the other kinds."""
    streams: frozenset[str] = frozenset()
    """Namespaces in which streams may be read; holds `*` when all."""

    def sees(self, kind: str, namespace: str) -> bool:
        """Whether objects of the kind there are shown."""
        return kind in self.everywhere or (kind, namespace) in self.places

    def reads_streams(self, namespace: str) -> bool:
        """Whether streams there are shown."""
        return "*" in self.streams or namespace in self.streams

    @property
    def empty(self) -> bool:
        """Whether nothing at all is shown."""
        return not self.everywhere and not self.places
