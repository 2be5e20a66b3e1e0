"""The queue of keys, on both event loops that it runs on."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from polecat_operator.queue import Key, KeyedQueue, Lane

A, B, C = (Key("bead", "default", name) for name in "abc")
LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]
Factory = Callable[[], asyncio.AbstractEventLoop]


def run(factory: Factory, story: Callable[[], Awaitable[None]]) -> None:
    """Runs to the end in a loop of this kind."""
    loop = factory()
    try:
        loop.run_until_complete(asyncio.wait_for(story(), 10))
    finally:
        loop.close()


@pytest.mark.parametrize("factory", LOOPS)
def test_urgent_keys_come_first_and_each_key_once(factory: Factory) -> None:
    async def story() -> None:
        queue = KeyedQueue(later_limit=1)
        for key, lane in ((A, Lane.LATER), (B, Lane.LIFE), (B, Lane.LIFE), (C, Lane.LATER), (C, Lane.START)):
            queue.add(key, lane)
        got = []
        for _ in range(3):
            got.append(await queue.get())
            queue.done(got[-1])
        assert got == [C, B, A]
        assert queue.idle

    run(factory, story)


@pytest.mark.parametrize("factory", LOOPS)
def test_key_that_changes_while_it_is_worked_on_is_worked_on_again_and_never_twice_at_once(factory: Factory) -> None:
    async def story() -> None:
        queue = KeyedQueue(later_limit=1)
        queue.add(A, Lane.LIFE)
        assert await queue.get() == A
        queue.add(A, Lane.LIFE)
        second = asyncio.ensure_future(queue.get())
        await asyncio.sleep(0)
        assert not second.done()
        queue.done(A)
        assert await second == A

    run(factory, story)


@pytest.mark.parametrize("factory", LOOPS)
def test_earliest_of_several_times_counts(factory: Factory) -> None:
    async def story() -> None:
        queue = KeyedQueue(later_limit=1)
        queue.add_after(A, 0.0, Lane.LATER)
        queue.add_after(A, 3600.0, Lane.START)
        queue.add_after(B, 3600.0, Lane.LIFE)
        queue.add_after(B, 0.0, Lane.LIFE)
        assert {await queue.get(), await queue.get()} == {A, B}
        queue.close()

    run(factory, story)


@pytest.mark.parametrize("factory", LOOPS)
def test_pause_doubles_with_each_failure_and_ends_with_success(factory: Factory) -> None:
    async def story() -> None:
        queue = KeyedQueue(later_limit=1, first_retry_seconds=0.001, longest_retry_seconds=0.003)
        pauses = []
        queue.add(A, Lane.LIFE)
        for _ in range(4):
            pauses.append(queue.failed(await queue.get(), Lane.LIFE))
        assert pauses == [0.001, 0.002, 0.003, 0.003]
        queue.done(await queue.get())
        queue.add(A, Lane.LIFE)
        assert queue.failed(await queue.get(), Lane.LIFE) == 0.001
        queue.close()

    run(factory, story)


@pytest.mark.parametrize("factory", LOOPS)
def test_last_lane_leaves_workers_free_and_does_not_starve(factory: Factory) -> None:
    async def story() -> None:
        queue = KeyedQueue(later_limit=1)
        queue.add(A, Lane.LIFE)
        assert await queue.get() == A
        queue.add(B, Lane.LATER)
        queue.add(C, Lane.LATER)
        held_back = asyncio.ensure_future(queue.get())
        assert await held_back == B  # the urgent key is still being worked on, but patience has ended
        waits = asyncio.ensure_future(queue.get())
        queue.done(A)
        await asyncio.sleep(0)
        assert not waits.done()
        queue.done(B)
        assert await waits == C

    run(factory, story)
