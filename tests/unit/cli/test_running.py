"""How commands end: by a signal, by an error that users can mend, by themselves."""

import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, os, signal
from polecat_cli.running import run_command
from polecat_local.errors import LocalError

async def work(stop):
    {body}

run_command(work)
"""


def run(body: str) -> "subprocess.CompletedProcess[str]":
    code = SCRIPT.format(body=body.replace("\n", "\n    "))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_exit_code_is_what_the_work_gives() -> None:
    assert run("return 7").returncode == 7


def test_known_errors_are_one_sentence() -> None:
    done = run("raise LocalError('the disk is full')")
    assert (done.returncode, done.stderr) == (1, "error: the disk is full\n")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_lets_the_work_clean_up(name: str) -> None:
    done = run(
        f"try:\n    os.kill(os.getpid(), signal.{name})\n    await asyncio.Event().wait()\n"
        "finally:\n    await asyncio.sleep(0)\n    print('cleaned up', stop.asked, stop.hurry.is_set())"
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "cleaned up True False\n", "")


def test_the_second_signal_hurries_the_clean_up() -> None:
    done = run(
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    await asyncio.Event().wait()\n"
        "finally:\n    os.kill(os.getpid(), signal.SIGINT)\n    await asyncio.wait_for(stop.hurry.wait(), 50)\n"
        "    print('hurried')"
    )
    assert (done.returncode, done.stdout) == (130, "hurried\n")
