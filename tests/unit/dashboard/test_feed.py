"""Changes in batches: shared by all readers, each at its own pace."""

import asyncio
import json
from typing import Any

from polecat_dashboard.state.feed import KEPT, Feed, Key
from polecat_dashboard.state.scope import Scope

EVERYTHING = Scope(everywhere=frozenset({"beads", "polecats", "rigs", "towns"}))


def key(name: str, namespace: str = "default") -> Key:
    return "beads", namespace, name


async def test_changes_come_together_once() -> None:
    views: dict[Key, dict[str, Any]] = {key("a"): {"n": 1}, key("b"): {"n": 1}}
    feed = Feed(views.get)
    for name in ("a", "b", "a"):
        feed.mark(key(name))
    views[key("a")] = {"n": 2}
    del views[key("b")]
    feed.flush()
    feed.flush()
    assert feed.number == 1
    (batch,) = feed.after(0) or ()
    assert [(change["name"], change["view"]) for change in json.loads(batch.encode(EVERYTHING))] == [
        ("a", {"n": 2}),
        ("b", None),
    ]
    assert feed.after(1) == []


async def test_a_batch_shows_what_the_reader_may_see() -> None:
    feed = Feed(lambda _: {})
    feed.mark(key("a", "mine"))
    feed.mark(key("b", "theirs"))
    feed.flush()
    (batch,) = feed.after(0) or ()
    mine = Scope(places=frozenset({("beads", "mine"), ("rigs", "theirs")}))
    assert [change["name"] for change in json.loads(batch.encode(mine))] == ["a"]
    assert batch.encode(mine) is batch.encode(Scope(places=mine.places)), "made once for all who see the same"
    assert batch.encode(Scope()) == "[]"


async def test_who_is_too_far_behind_starts_anew() -> None:
    feed = Feed(lambda _: {})
    for _ in range(KEPT + 5):
        feed.mark(key("a"))
        feed.flush()
    assert feed.after(4) is None
    assert [batch.number for batch in feed.after(5) or ()][:2] == [6, 7]
    assert feed.after(feed.number + 1) is None, "a number of another life"


async def test_readers_are_woken_by_a_change() -> None:
    feed = Feed(lambda _: {}, interval_seconds=0)
    running = asyncio.create_task(feed.run())
    waiting = [asyncio.create_task(feed.wait(0, 60)) for _ in range(3)]
    await asyncio.sleep(0)
    feed.mark(key("a"))
    async with asyncio.timeout(30):
        await asyncio.gather(*waiting)
    assert feed.number == 1
    running.cancel()


def test_scopes() -> None:
    scope = Scope(everywhere=frozenset({"rigs"}), places=frozenset({("beads", "a")}), streams=frozenset({"a"}))
    assert scope.sees("rigs", "b") and scope.sees("beads", "a") and not scope.sees("beads", "b")
    assert scope.reads_streams("a") and not scope.reads_streams("b")
    assert Scope(streams=frozenset({"*"})).reads_streams("b") and Scope().empty and not scope.empty
