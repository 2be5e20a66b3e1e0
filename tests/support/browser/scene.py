"""A town in the middle of its work, for pictures and the tests with the real Kilo CLI: on the demo's repository."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from polecat_kube.resources import BEAD, RIG
from polecat_local.demo.plays import FOLDER, Play, load_plays, script_of
from polecat_local.demo.repository import create_repository
from support.browser.cluster import Watched, watched_cluster
from support.whole import Json, World, condition, reason

RIG_NAME = "pennybook"
SCENE = Path(__file__).with_name("scene")
FINISHED = ("rounded-averages", "broken-book-message")
ASKING = "opening-balance"
FLAGSHIP = "split-payments"
"""The bead whose conversation has everything in it: Markdown, reads, edits, failing tests."""

CUT = {"thousands-separators": 3, "json-report": 4, "search-command": 4}
"""Plays of the demo, and how many of their turns are played before the agent is busy for good."""

BUSY = """\
for seed in $(seq 1 3600); do
  echo "seed $seed: {tests} tests, all pass"
  sleep {pause}
done
"""


@dataclass(frozen=True)
class Waiting:
    """A bead that nobody works on."""

    name: str
    title: str
    spec: dict[str, Any]


QUEUE: Sequence[Waiting] = (
    Waiting("year-in-review", "A year on one page", {"priority": "Critical"}),
    Waiting("undo-last-entry", "Take the last entry back", {"priority": "High"}),
    Waiting("csv-import", "Read what banks export", {}),
    Waiting("column-widths", "Long categories push the amounts aside", {}),
    Waiting("shell-completion", "Complete subcommands with Tab", {"priority": "Low"}),
    Waiting("release-0-2", "Release 0.2", {"dependsOn": [FLAGSHIP, "csv-import"]}),
    Waiting("colours", "Colours for terminals that have them", {"suspend": True}),
)


@asynccontextmanager
async def scene(directory: Path, **settings: Any) -> AsyncIterator[Watched]:
    """A cluster with the demo's repository as rig `pennybook`, ready for beads; arguments of ClusterSettings.

    `directory` must exist. The model plays the demo's plays and those of the scene.
    """
    remote = directory / "pennybook.git"
    await create_repository(remote)
    plays = script_of(all_plays().values())
    async with watched_cluster(directory, remote, plays, **settings) as watched:
        await watched.rig(RIG_NAME, checks=["python3 -m unittest -q"])
        yield watched


def all_plays() -> dict[str, Play]:
    """By name of the bead; the demo's long ones end in work that lasts."""
    plays = {play.name: play for play in (*load_plays(FOLDER), *load_plays(SCENE))}
    for number, (name, turns) in enumerate(CUT.items()):
        plays[name] = _busy_after(plays[name], turns, number)
    return plays


async def set_scene(world: World) -> None:
    """Work that has ended, five agents in the middle of theirs, and a queue behind them."""
    plays = all_plays()
    for name in (*FINISHED, ASKING):
        await world.api.create(BEAD, world.namespace, plays[name].bead(RIG_NAME))
    await world.ended(*FINISHED, ASKING)
    running = (FLAGSHIP, *CUT, "budget-warnings")
    for name in running:
        await world.api.create(BEAD, world.namespace, plays[name].bead(RIG_NAME, {"runSeconds": 7200}))
    for name in running:
        await world.until(BEAD, name, lambda bead: reason(bead) == "Running")
    for waiting in QUEUE:
        spec = {"rigRef": {"name": RIG_NAME}, "title": waiting.title, "prompt": waiting.title, **waiting.spec}
        await world.api.create(BEAD, world.namespace, {"metadata": {"name": waiting.name}, "spec": spec})
    await _broken_rig(world)
    for waiting in QUEUE:
        await world.until(BEAD, waiting.name, lambda bead: reason(bead) is not None)


async def wait_for_busy(world: World) -> None:
    """Until every agent has come to the work that it stays at."""
    for name, text in {FLAGSHIP: "book 3:", **dict.fromkeys(CUT, "seed 3:")}.items():
        bead = await world.until(BEAD, name, lambda _: True)
        await world.until_true(partial(has_said, world, bead["metadata"]["uid"], text), f"{name}: {text}")


def has_said(world: World, uid: str, text: str) -> bool:
    """Whether this stands in the stream of a bead."""
    return text in journal_text(world, uid)


def journal_text(world: World, uid: str) -> str:
    """All that the town has kept of a bead's streams."""
    directory = world.cluster.data.town / "streams" / uid
    return "".join(file.read_text(errors="replace") for file in directory.rglob("*") if file.is_file())


async def _broken_rig(world: World) -> None:
    """A rig whose repository is not there, so that it says so."""
    body: Json = {
        "metadata": {"name": "attic"},
        "spec": {
            "townRef": {"name": world.cluster.town_identity.name},
            "repository": {"url": "file:///srv/git/attic.git"},
            "model": {"provider": "openai-compatible", "name": "scripted", "endpoint": world.model.url},
        },
    }
    await world.api.create(RIG, world.namespace, body)
    await world.until(RIG, "attic", lambda rig: condition(rig, "RepositoryReady") == "False")


def _busy_after(play: Play, turns: int, number: int) -> Play:
    kept = play.steps[:turns]
    command = BUSY.format(tests=12 + number, pause=0.9 + 0.4 * number)
    say = "That works. I'll let the tests run in every order before I go on."
    busy = kept[-1].model_copy(
        update={"say": say, "bash": command, "tool": None, "args": {}, "timeout_seconds": 3600.0, "fails": False}
    )
    return play.model_copy(update={"steps": (*kept, busy, play.steps[-1])})
