"""`polecat demo` as a newcomer runs it: the real Kilo CLI, real Git, the scripted model."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from polecat_local.demo.model import ScriptedModel
from polecat_local.demo.plays import load_plays, script_of

DEMO_SECONDS = 280.0
END_SECONDS = 20.0
NAMES = ("Toast", "Maple", "Birch", "Shadow", "Copper")
STEPS = 8
"""Columns of the time line after `applied`."""


def command(*more: str) -> list[str]:
    return [sys.executable, "-m", "polecat_cli", *more]


def processes_of(data_dir: Path) -> list[str]:
    """Command lines of what still works for this data directory."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if str(data_dir) in f"{line} {process.cwd()} {process.environ().get('KUBECONFIG', '')}":
                found.append(line)
        except psutil.Error:
            continue
    return found


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "demo"
    yield path
    subprocess.run(command("down", "--data-dir", str(path)), check=False, timeout=60)


def test_five_agents_at_once(data_dir: Path) -> None:
    done = subprocess.run(
        command("demo", "--data-dir", str(data_dir)), capture_output=True, text=True, check=False, timeout=DEMO_SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 of 5 have arrived" in done.stdout
    for name in NAMES:
        assert re.search(rf"✓ {name}  \S+\n    polecat/{name.lower()}/[0-9a-f]{{6,}}  [0-9a-f]{{10}}  \S", done.stdout)
    lines = done.stdout.partition("Seconds since the beads were applied")[2].splitlines()
    rows = [re.findall(r"\d+\.\d\d", line) for line in lines]
    times = [[float(cell) for cell in row] for row in rows if len(row) == STEPS]
    assert len(times) == len(NAMES), done.stdout
    assert all(row[1:] == sorted(row[1:]) for row in times)
    # Side by side: all five had been claimed before the first was done.
    assert max(row[1] for row in times) < min(row[5] for row in times)
    assert not data_dir.exists()
    assert processes_of(data_dir) == []


@pytest.mark.parametrize("line", ["control plane ready", "beads applied", "Running"])
def test_interrupted(data_dir: Path, line: str) -> None:
    process = subprocess.Popen(
        command("demo", "--data-dir", str(data_dir)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        assert any(line in said for said in process.stdout)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=END_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 130
    assert not data_dir.exists()
    assert processes_of(data_dir) == []


async def test_kept_and_with_a_model_of_the_users_own(data_dir: Path, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("not-a-real-key\n")
    async with ScriptedModel(script_of(load_plays()), api_key="not-a-real-key") as model:
        own = ("--model-endpoint", model.url, "--model", "thinker", "--api-key-file", str(key_file))
        done = await asyncio.create_subprocess_exec(
            *command("demo", "--keep", "--data-dir", str(data_dir), *own),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(DEMO_SECONDS):
            said = (await done.communicate())[0].decode()
        assert model.count >= sum(len(play.steps) for play in load_plays())
    assert done.returncode == 0, said
    assert f"export KUBECONFIG={data_dir}/kubeconfig" in said
    assert f"polecat down --data-dir {data_dir}" in said

    kubectl = [str(data_dir / "bin" / "kubectl"), f"--kubeconfig={data_dir}/kubeconfig"]
    env = {"HOME": str(data_dir), "PATH": os.defpath}
    beads = subprocess.run(  # noqa: ASYNC221 - the model is not needed any more
        [*kubectl, "get", "beads", "-o", "json"], env=env, capture_output=True, check=True, timeout=60
    )
    assert [bead["status"]["state"] for bead in json.loads(beads.stdout)["items"]] == ["Done"] * 5

    again = subprocess.run(  # noqa: ASYNC221
        command("demo", "--data-dir", str(data_dir)), capture_output=True, text=True, check=False, timeout=60
    )
    assert again.returncode == 1
    assert "in use by process" in again.stderr

    subprocess.run(command("down", "--data-dir", str(data_dir)), check=True, timeout=60)  # noqa: ASYNC221
    wait_for(lambda: not processes_of(data_dir), END_SECONDS, "all processes ended")


def test_somebody_elses_directory(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    done = subprocess.run(
        command("demo", "--data-dir", str(tmp_path)), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "holds something that is not the demo's" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "all of it"
