"""Refs, names and the order of saved work."""

from __future__ import annotations

import asyncio

import pytest

from polecat_town.domain.landlock import describe_isolation
from polecat_town.git.batch import Batch
from polecat_town.git.fetch import newest
from polecat_town.git.probe import blocking_branches
from polecat_town.git.refs import base_ref
from polecat_town.git.types import Credentials, Remote


@pytest.mark.parametrize(
    ("branch", "blocks"),
    [
        ("polecat", True),
        ("polecat/toast", True),
        ("polecat/toast-2", True),
        ("polecat/toast/3fa2b1", False),
        ("polecat/notes", False),
        ("polecat/toast-x", False),
        ("polecats", False),
        ("main", False),
    ],
)
def test_blocking_branches(branch: str, blocks: bool) -> None:
    remote = Remote("web", "file:///x", "main", "polecat")
    assert blocking_branches({f"refs/heads/{branch}": "0"}, remote) == ([branch] if blocks else [])


def test_own_pool_decides_what_blocks() -> None:
    remote = Remote("web", "file:///x", "main", "polecat", names=("notes",))
    assert blocking_branches({"refs/heads/polecat/notes": "0", "refs/heads/polecat/toast": "0"}, remote) == [
        "polecat/notes"
    ]


def test_newest_saved_work() -> None:
    folder = "refs/polecat/saved/bead"
    refs = {f"{folder}/{name}": "0" for name in ("1", "2", "2-2", "2-10", "x")}
    assert str(newest(refs)) == f"{folder}/2-10"
    assert str(newest({f"{folder}/10": "", f"{folder}/9-3": ""})) == f"{folder}/10"
    assert newest({}) is None and newest({"refs/heads/main": "0"}) is None


def test_bases_never_clash_as_file_and_folder() -> None:
    assert base_ref("feature/x").count("/") == base_ref("feature").count("/")


def test_credentials_are_not_printed() -> None:
    remote = Remote("web", "https://x", "main", "polecat", Credentials("web-git", "me", "pa55", "k3y", "hosts"))
    assert not any(word in repr(remote) for word in ("pa55", "k3y"))


@pytest.mark.parametrize(
    ("abi", "level"), [(0, "IsolationNone"), (1, "IsolationPartial"), (5, "IsolationPartial"), (6, "IsolationFull")]
)
def test_isolation_is_told_as_it_is(abi: int, level: str) -> None:
    isolation = describe_isolation(abi)
    assert isolation.level == level and isolation.message
    assert ("API server and to all else" in isolation.message) is (0 < abi < 4)
    for hole in (describe_isolation(abi, filtered=False), describe_isolation(abi, reached=["reads the token"])):
        assert hole.level != "IsolationFull"
    assert describe_isolation(abi, network_open=True).level != "IsolationFull"


async def test_batch_shares_runs_and_joins_none_that_has_begun() -> None:
    runs: list[frozenset[int]] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def run(keys: frozenset[int]) -> int:
        runs.append(keys)
        begun.set()
        await go_on.wait()
        return len(runs)

    batch = Batch(run)
    first = [asyncio.ensure_future(batch.join(number)) for number in (1, 2)]
    await begun.wait()
    second = [asyncio.ensure_future(batch.join(number)) for number in (3, 4, 3)]
    await asyncio.sleep(0)
    second[0].cancel()
    go_on.set()
    assert await asyncio.gather(*first) == [1, 1]
    assert await asyncio.gather(*second[1:]) == [2, 2]
    assert runs == [frozenset({1, 2}), frozenset({3, 4})]


async def test_batch_hands_an_error_to_all_and_goes_on() -> None:
    failing = True

    async def run(keys: frozenset[int]) -> int:
        if failing:
            raise ValueError("away")
        return len(keys)

    batch = Batch(run)
    results = await asyncio.gather(batch.join(1), batch.join(2), return_exceptions=True)
    assert [str(result) for result in results] == ["away", "away"]
    failing = False
    assert await batch.join(1) == 1
