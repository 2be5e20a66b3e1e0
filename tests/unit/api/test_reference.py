"""The reference pages say what the code says."""

from __future__ import annotations

import runpy

import pytest

from support.paths import ROOT

PAGES: dict[str, str] = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_page_is_current(name: str) -> None:
    assert (ROOT / "docs" / "reference" / name).read_text() == PAGES[name], "run `make generate`"


def test_there_is_no_other_page() -> None:
    assert {file.name for file in (ROOT / "docs" / "reference").iterdir()} == set(PAGES)
