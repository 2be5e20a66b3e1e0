"""Cache entries are whole or absent, whoever makes them and however that ends."""

import asyncio
import errno
import io
from pathlib import Path

import pytest

from polecat_local.cache import Cache
from polecat_local.errors import LocalError
from polecat_local.progress import Progress


def left_over(root: Path) -> set[str]:
    return {entry.name for entry in (root / "kind").iterdir()}


async def test_two_at_once_make_it_once_and_the_second_says_that_it_waits(tmp_path: Path) -> None:
    out = io.StringIO()
    made = 0
    started = asyncio.Event()
    may_end = asyncio.Event()

    async def fill(draft: Path) -> None:
        nonlocal made
        made += 1
        (draft / "file").write_text("content")
        started.set()
        await may_end.wait()

    first = asyncio.create_task(Cache(tmp_path).make("kind", "key", fill, Progress(out)))
    await started.wait()
    second = asyncio.create_task(Cache(tmp_path).make("kind", "key", fill, Progress(out)))
    async with asyncio.timeout(5):
        while "waiting for another polecat process" not in out.getvalue():
            await asyncio.sleep(0.01)
    may_end.set()
    assert await first == await second == tmp_path / "kind" / "key"
    assert made == 1
    assert left_over(tmp_path) == {"key", "key.lock"}


async def test_cancelled_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def fill(draft: Path) -> None:
        (draft / "half").write_text("made")
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Cache(tmp_path).make("kind", "key", fill, Progress(io.StringIO())))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_over(tmp_path) == {"key.lock"}


async def test_draft_of_a_killed_maker_is_removed_by_the_next(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (cache.directory("kind") / ".draft-key-killed").mkdir()

    async def fill(draft: Path) -> None:
        (draft / "file").touch()

    await cache.make("kind", "key", fill, Progress(io.StringIO()))
    assert left_over(tmp_path) == {"key", "key.lock"}


async def test_full_disk_is_one_sentence(tmp_path: Path) -> None:
    async def fill(draft: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(LocalError, match="the disk is full while writing to the cache"):
        await Cache(tmp_path).make("kind", "key", fill, Progress(io.StringIO()))
    assert left_over(tmp_path) == {"key.lock"}
