"""Each play of the demo, its commands run in a clone of the sample repository as the agent would run them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polecat_local.demo.plays import Play, load_plays
from polecat_local.demo.repository import create_repository, read_branch

PLAYS = load_plays()


@pytest.fixture
async def sample(tmp_path: Path) -> Path:
    bare = tmp_path / "sample.git"
    await create_repository(bare)
    return bare


def run(where: Path, command: str) -> subprocess.CompletedProcess[str]:
    """One command as an agent's shell: an own home, an identity for commits, nothing of ours."""
    home = where.parent / "home"
    home.mkdir(exist_ok=True)
    identity = {f"GIT_{who}_{key}": f"toast{at}" for who in ("AUTHOR", "COMMITTER") for key, at in
                (("NAME", ""), ("EMAIL", "@polecat.example"))}  # fmt: skip
    python = str(Path(sys.base_prefix) / "bin")
    env = {"PATH": f"{python}:{os.defpath}", "HOME": str(home), "TMPDIR": str(home), "LC_ALL": "C.UTF-8", **identity}
    return subprocess.run(
        ["sh", "-c", command], cwd=where, env=env, capture_output=True, text=True, check=False, timeout=60
    )


async def test_the_history_is_the_same_each_time(sample: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.git"
    await create_repository(again)
    first, second = await read_branch(sample, "main"), await read_branch(again, "main")
    assert first == second
    assert first is not None


async def test_a_branch_that_is_not_there(sample: Path) -> None:
    assert await read_branch(sample, "polecat/toast/123456") is None


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.name)
async def test_a_play_does_what_its_bead_asks(play: Play, sample: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert run(tmp_path, f"git clone -q {sample} work && cd work && git switch -q -c polecat/toast/1").returncode == 0
    for turn in play.steps:
        if turn.bash is not None:
            ran = run(work, turn.bash)
            assert (ran.returncode != 0) == turn.fails, f"{turn.bash}\n{ran.stdout}\n{ran.stderr}"

    assert run(work, "git status --porcelain").stdout == ""
    tests = run(work, "python3 -m unittest")
    assert tests.returncode == 0, tests.stderr
    assert run(work, "git push -q origin polecat/toast/1").returncode == 0
    arrived = await read_branch(sample, "polecat/toast/1")
    assert arrived is not None
    assert "CHANGELOG.md" in arrived.files
    assert any(file.startswith("tests/") for file in arrived.files)


def test_two_agents_want_the_same_file() -> None:
    wanting = [play.name for play in PLAYS if any("pennybook/cli.py" in (turn.bash or "") for turn in play.steps)]
    assert len(PLAYS) == 5
    assert len(wanting) >= 2
