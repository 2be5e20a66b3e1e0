"""Sessions that outlive the dashboard: found again with the cookie, and worth nothing without it."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from polecat_dashboard.access.session_file import SessionFile
from polecat_dashboard.access.sessions import Sessions

TOKEN = "eyJ-a-token-that-opens-the-cluster"


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def begin(path: Path, clock: Clock, idle_seconds: float = 1000, longest_seconds: float = 5000) -> Sessions:
    """What a dashboard has that starts now."""
    return Sessions(idle_seconds, longest_seconds, clock, SessionFile(path))


def test_a_browser_stays_signed_in_over_a_restart(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "sessions"
    first = begin(path, clock)
    cookie, other = first.create(TOKEN), first.create("another")
    before = first.find(cookie)
    first.end(other)
    # Killed: nothing is closed.
    after = begin(path, clock)
    assert after.find(cookie) == before is not None, "its token and what writes must show are the same"
    assert after.find(other) is None, "who has signed out stays so"
    assert len(after) == 1


def test_the_times_of_a_session_go_on(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "sessions"
    cookie = begin(path, clock).create(TOKEN)
    for _ in range(5):
        clock.now += 900
        assert begin(path, clock).find(cookie) is not None, "used in time"
    clock.now += 600
    assert begin(path, clock).find(cookie) is None, "too old in any case"
    idle = begin(path, clock).create(TOKEN)
    clock.now += 1001
    again = begin(path, clock)
    assert again.find(idle) is None and len(again) == 0
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM sessions").fetchone() == (0,)


def test_the_file_alone_opens_nothing(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "sessions"
    sessions = begin(path, clock)
    cookie = sessions.create(TOKEN)
    content = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert TOKEN.encode() not in content and cookie.encode() not in content
    assert all(each.stat().st_mode & 0o777 == 0o600 for each in tmp_path.iterdir())
    # A row under the hash of a cookie that somebody else has chosen can't be opened with that cookie.
    mine = sessions.create("mine")
    with sqlite3.connect(path) as database:
        (stolen,) = database.execute("SELECT sealed FROM sessions ORDER BY length(sealed) DESC").fetchone()
        database.execute("UPDATE sessions SET sealed = ?", (stolen,))
    assert begin(path, clock).find(mine) is None


@pytest.mark.parametrize("spoilt", [b"no database at all", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_spoilt_file_costs_signing_in_again(tmp_path: Path, clock: Clock, spoilt: bytes) -> None:
    path = tmp_path / "sessions"
    path.write_bytes(spoilt)
    sessions = begin(path, clock)
    cookie = sessions.create(TOKEN)
    assert begin(path, clock).find(cookie) is not None


def test_a_file_that_cannot_be_is_told_and_sessions_work(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        sessions = begin(tmp_path / "nowhere" / "sessions", clock)
    assert "sessions end with this process" in caplog.text
    assert (found := sessions.find(sessions.create(TOKEN))) is not None and found.token == TOKEN


def test_a_link_is_not_followed(tmp_path: Path, clock: Clock) -> None:
    target = tmp_path / "target"
    (tmp_path / "sessions").symlink_to(target)
    begin(tmp_path / "sessions", clock).create(TOKEN)
    assert not target.exists()
