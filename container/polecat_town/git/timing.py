"""Times work with Git, and counts what did not succeed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from polecat_town.errors import TownError
from polecat_town.metrics import GIT_FAILURES, GIT_SECONDS


@contextmanager
def timed(operation: str) -> Iterator[None]:
    """Around one piece of work; an error of ours that leaves it is a failure."""
    begun = time.perf_counter()
    try:
        yield
    except TownError:
        GIT_FAILURES.labels(operation).inc()
        raise
    finally:
        GIT_SECONDS.labels(operation).observe(time.perf_counter() - begun)
