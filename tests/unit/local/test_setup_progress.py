"""What a user sees of a long stage, on a terminal and in a log."""

import io

import pytest

from polecat_local.progress import QUIET_SECONDS, Progress, format_elapsed


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.9, "59s"), (60, "1m00s"), (461, "7m41s")])
def test_elapsed(seconds: float, text: str) -> None:
    assert format_elapsed(seconds) == text


async def test_terminal_has_one_line_that_is_renewed() -> None:
    out, clock = Terminal(), Clock()
    progress = Progress(out, clock)
    async with progress.stage("building"):
        clock.now += 65
        progress.detail("12 packages")
        progress.renew()
    shown = out.getvalue()
    assert "\r\x1b[Kbuilding … 1m05s, 12 packages" in shown
    assert shown.endswith("\r\x1b[Kbuilding: done in 1m05s\n")
    assert shown.count("\n") == 1


async def test_log_has_a_line_now_and_then() -> None:
    out, clock = io.StringIO(), Clock()
    progress = Progress(out, clock)
    async with progress.stage("building"):
        clock.now += QUIET_SECONDS - 1
        progress.renew()
        clock.now += 1
        progress.renew()
        progress.renew()
    assert out.getvalue().splitlines() == ["building …", "building … 15s", "building: done in 15s"]


async def test_interrupted_stage_says_so() -> None:
    out, clock = io.StringIO(), Clock()
    with pytest.raises(RuntimeError):
        async with Progress(out, clock).stage("building"):
            raise RuntimeError
    assert out.getvalue().endswith("building: stopped after 0s\n")
