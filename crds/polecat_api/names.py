"""The names of polecats: the pool, the order in which it is used, and the names of their objects."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import count

POOL = (
    "toast", "maple", "birch", "shadow", "copper", "ember", "frost", "sage", "flint", "cedar",
    "dusk", "slate", "thorn", "drift", "spark", "onyx", "moss", "rust", "wren", "quartz",
)  # fmt: skip
"""The default pool, in the order of use."""

NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
NAME_MAX_LENGTH = 20
RIG_NAME_MAX_LENGTH = 40


def candidates(pool: Sequence[str]) -> Iterator[str]:
    """All names in the order in which they are tried: the pool, then `toast-2`, `maple-2`, …, without end.

    A numbered name that the pool holds itself (`toast-2` beside `toast`) comes up once, at its first place.
    """
    names = tuple(pool) or POOL
    seen: set[str] = set()
    for round_number in count(1):
        for name in names:
            candidate = name if round_number == 1 else f"{name}-{round_number}"
            if candidate not in seen:
                seen.add(candidate)
                yield candidate


def first_free(pool: Sequence[str], rig: str, *taken: Container[str]) -> str:
    """The first name whose object name is in none of `taken` (names of Polecats in the namespace)."""
    return next(name for name in candidates(pool) if not any(object_name(rig, name) in each for each in taken))


def object_name(rig: str, name: str) -> str:
    """`metadata.name` of the Polecat, e.g. `web-toast`.

    `a-b` + `c` and `a` + `b-c` give the same object name; creating the object decides who has it.
    """
    return f"{rig}-{name}"


def display_name(name: str) -> str:
    """The name as people see it: `toast` is Toast, `toast-2` is Toast-2."""
    return name[:1].upper() + name[1:]
