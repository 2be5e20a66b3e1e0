"""Every sample can be applied as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.control_plane import Kubectl
from support.paths import ROOT

SAMPLES = sorted(path for path in (ROOT / "manifests" / "samples").iterdir() if path.is_dir())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_sample_is_accepted_by_a_real_api_server(kubectl: Kubectl, sample: Path) -> None:
    said = kubectl("apply", "-f", str(sample))
    assert "created" in said
    assert (sample / "README.md").exists()


def test_readme_manifests_are_accepted(kubectl: Kubectl) -> None:
    blocks = [part.split("```")[0] for part in (ROOT / "README.md").read_text().split("```yaml\n")[1:]]
    assert len(blocks) == 2
    for block in blocks:
        assert "created" in kubectl("apply", "-f", "-", stdin=block)
