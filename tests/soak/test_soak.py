"""Two minutes of soak with a seed of today; `SEED=… pytest tests/soak` plays the same plan again."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from soak.driver import soak
from soak.figures import print_figures

MINUTES = 2.0


@pytest.mark.timeout(900)  # two minutes of faults by design, then as long as it takes to come to rest
async def test_two_minutes_of_soak_are_clean(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED") or secrets.randbelow(10**6))
    print(f"SEED={seed}")
    figures = await soak(seed, MINUTES * 60, tmp_path)
    print_figures(figures)
    assert figures.violations == []
    assert figures.open_books == []
    assert sum(figures.faults.values()) > 0
    assert figures.commits > 0
