"""Limits: a thousand polecats in twenty rigs, ten thousand beads stored, and a storm of two thousand at once.

The operator is a process of its own on the real API server; the town is played, so that polecats cost no processes.
Here it is a fifth of that size; `make bench-limits` runs all of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from polecat_api.times import parse_time
from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, EVENT, POLECAT, RIG, TOWN
from support.control_plane import SharedControlPlane
from support.operator_process import operator_process
from support.played_town import PlayedTown, condition, eventually, find, timestamp

Json = dict[str, Any]
LONG_SECONDS = 900.0
"""How long a test waits for what must happen; reached only when it never will."""
_REQUESTS = re.compile(r"^apiserver_request_total\{(.*)\} ([0-9.e+]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
PODS = tuple(f"main-{number}" for number in range(10))
RIGS = tuple(f"rig-{number}" for number in range(20))


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    polecats: int
    beads: int
    storm: int


FULL = os.environ.get("POLECAT_LIMITS") == "full"
SIZE = Size(1000, 10_000, 2000) if FULL else Size(200, 2000, 400)
pytestmark = pytest.mark.timeout(3600 if FULL else 300)


@asynccontextmanager
async def operator(plane: SharedControlPlane, namespace: str) -> AsyncIterator[psutil.Process]:
    """An operator for one namespace, as a process of its own."""
    async with operator_process(plane, namespace) as process:
        yield psutil.Process(process.pid)
        assert process.returncode is None, "the operator has lived all through the test"


async def many(work: Iterable[Awaitable[object]]) -> None:
    """All of it; the API layer bounds how much at once."""
    await asyncio.gather(*work)


async def in_time(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` gives as soon as it is true; it is expensive, so it looks seldom."""

    async def seldom() -> Any:
        await asyncio.sleep(0.5)
        return await look()

    return await eventually(seldom, LONG_SECONDS)


async def stored(town: PlayedTown, prefix: str, count: int) -> list[str]:
    """So many beads, evenly over the rigs."""
    names = [f"{prefix}-{number}" for number in range(count)]
    rigs = len(RIGS)
    await many(town.bead(name, rigRef={"name": RIGS[number % rigs]}) for number, name in enumerate(names))
    return names


async def finished_long_ago(town: PlayedTown, names: list[str]) -> None:
    """These beads have ended before this operator came."""
    said = [condition("Succeeded", "True", "Done"), condition("Ready", "True", "Done")]
    status = {"state": "Done", "attempts": 1, "conditions": said, "completionTime": timestamp()}
    await many(town.api.patch_merge(BEAD, town.namespace, name, {"status": status}, "status") for name in names)


async def look(town: PlayedTown) -> tuple[dict[str, Json], list[Json]]:
    """All beads by name, and all polecats."""
    beads, _ = await town.api.list(BEAD, town.namespace)
    polecats, _ = await town.api.list(POLECAT, town.namespace)
    return {bead["metadata"]["name"]: bead for bead in beads}, polecats


def check_rules(beads: dict[str, Json], polecats: list[Json]) -> None:
    """O2, O3 and O7, as far as the API server shows them: they hold at every moment."""
    current = Counter(polecat["spec"]["beadRef"]["uid"] for polecat in polecats)
    assert not [bead for bead, count in current.items() if count > 1], "O2"
    for what in ("name", "branch"):
        used = Counter((each["spec"]["rigRef"]["name"], each["spec"][what]) for each in polecats)
        assert max(used.values(), default=1) == 1, f"O3: {what}"
    assert all((bead.get("status") or {}).get("attempts", 0) <= 1 for bead in beads.values()), "O7"


def find_unsettled(beads: dict[str, Json], waiting: int) -> str:
    """What is not right yet: O5, or places in a queue, of which the first hundred are kept exact; empty if all is."""
    places: dict[str, list[int]] = defaultdict(list)
    found: Counter[str] = Counter()
    for name, bead in beads.items():
        if not find(bead, "Ready").get("reason"):
            return f"O5: {name} is open without a reason"
        if find(bead, "Succeeded").get("status") == "Unknown" and not bead["status"].get("polecat"):
            rig = bead["spec"]["rigRef"]["name"]
            found[rig] += 1
            if (place := bead["status"].get("queuePosition")) is not None:
                places[rig].append(place)
    for rig, count in found.items():
        if sorted(places[rig]) != list(range(1, min(count, 100) + 1)):
            return f"the places in the queue of {rig} are {sorted(places[rig])}"
    return "" if found.total() == waiting else f"{found.total()} beads wait, not {waiting}"


async def counts(town: PlayedTown) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """(polecats, queued) of each rig, and of the town, as their status says."""
    rigs, _ = await town.api.list(RIG, town.namespace)
    whole = await town.api.get(TOWN, town.namespace, town.town)
    assert whole is not None

    def told(item: Json) -> tuple[int, int]:
        status = item.get("status") or {}
        return status.get("polecats", 0), status.get("queued", 0)

    return [told(rig) for rig in rigs if rig["metadata"]["name"] in RIGS], told(whole)


async def count_writes(api: KubeApi) -> int:
    """Writes about beads, polecats and their tokens that the API server has answered since its start."""
    count = 0.0
    for labels, value in _REQUESTS.findall(await api.raw("/metrics")):
        fields = dict(_LABEL.findall(labels))
        if fields["resource"] in ("beads", "polecats", "secrets") and fields["verb"] not in ("GET", "LIST", "WATCH"):
            count += float(value)
    return int(count)


async def until_right(town: PlayedTown, open_beads: int) -> list[Json]:
    """Until as many polecats as may run do, and all counts and places are right; gives the polecats."""
    each, waiting = SIZE.polecats // len(RIGS), (open_beads - SIZE.polecats) // len(RIGS)

    unsettled = "counts"

    async def right() -> list[Json] | None:
        nonlocal unsettled
        if await counts(town) != ([(each, waiting)] * len(RIGS), (SIZE.polecats, open_beads - SIZE.polecats)):
            return None
        beads, polecats = await look(town)
        check_rules(beads, polecats)
        claimed = sum(bool((polecat.get("status") or {}).get("claim")) for polecat in polecats)
        unsettled = find_unsettled(beads, open_beads - SIZE.polecats)
        return polecats if claimed == SIZE.polecats and not unsettled else None

    try:
        return list(await in_time(right))
    except AssertionError as error:
        raise AssertionError(f"never right: {unsettled}") from error


async def test_limits_a_thousand_polecats_and_ten_thousand_beads(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    """Counts, places and rules hold at the size that is promised, and what has ended is left alone."""
    town = PlayedTown(kube_api, namespace, rig=RIGS[0])
    began = time.monotonic()
    async with town.open(
        slots=100, max_polecats=SIZE.polecats // len(RIGS), pods=PODS, more_rigs=RIGS[1:], beating=True
    ):
        ended = await stored(town, "ended", SIZE.beads // 2)
        await finished_long_ago(town, ended)
        await stored(town, "open", SIZE.beads // 2)
        before, _ = await look(town)
        print(f"stored {SIZE.beads} beads in {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        async with operator(control_plane, namespace) as process:
            first = await until_right(town, SIZE.beads // 2)
            print(f"{SIZE.polecats} polecats, all counts right after {time.monotonic() - began:.0f} s")
            began, writes = time.monotonic(), await count_writes(kube_api)
            await many(town.finish(polecat["metadata"]["name"], "Done") for polecat in first)
            await until_right(town, SIZE.beads // 2 - SIZE.polecats)
            print(f"{SIZE.polecats} done and as many more begun after {time.monotonic() - began:.0f} s")
            writes = await count_writes(kube_api) - writes
            print(f"{writes / SIZE.polecats:.1f} writes for each that ended and its successor, all parties together")
            print(f"operator: {process.memory_info().rss / 2**20:.0f} MiB at {SIZE.beads} stored beads")
        after, _ = await look(town)
    for polecat in first:
        bead = after[polecat["spec"]["beadRef"]["name"]]
        assert (find(bead, "Succeeded")["status"], bead["status"]["attempts"]) == ("True", 1)
    # The operator may complete the status of what it has never seen; how it ended stays (O6).
    for name in ended:
        assert find(after[name], "Succeeded") == find(before[name], "Succeeded"), f"O6: {name}"


async def test_limits_a_storm_starves_nobody_and_floods_no_events(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    """Thousands of beads of one rig held up all others, and every one of them made Events."""
    town = PlayedTown(kube_api, namespace, rig="storm")
    body = {"rigRef": {"name": "storm"}, "title": "One of many", "prompt": "Do it."}
    items = [
        {"apiVersion": BEAD.api_version, "kind": "Bead", "metadata": {"name": f"storm-{number}"}, "spec": body}
        for number in range(SIZE.storm)
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    async with town.open(slots=20, more_rigs=("calm",), beating=True), operator(control_plane, namespace):
        await town.until_bead((await town.bead("early"))["metadata"]["name"], "Starting")
        kubectl = await asyncio.create_subprocess_exec(
            *(str(control_plane.kubectl_path), f"--kubeconfig={control_plane.kubeconfig}", f"--namespace={namespace}"),
            *("apply", "--server-side", "-f", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        applied = asyncio.create_task(kubectl.communicate(text.encode()))

        async def a_tenth() -> bool:
            return len(await kube_api.list(BEAD, namespace)) > 0 and len(town.seen) >= 5

        await in_time(a_tenth)
        await town.bead("calm", rigRef={"name": "calm"})
        calm = await town.until_polecat("calm-toast")
        await applied
        assert kubectl.returncode == 0

        async def all_told() -> dict[str, Json] | None:
            beads, _ = await look(town)
            told = all(find(bead, "Ready").get("reason") for bead in beads.values())
            return beads if told and len(beads) == SIZE.storm + 2 else None

        beads = await in_time(all_told)
        last = max(parse_time(bead["metadata"]["creationTimestamp"]) for bead in beads.values())
        assert parse_time(calm["metadata"]["creationTimestamp"]) <= last, "it has started before the storm was over"
        check_rules(beads, await town.polecats())
        events, _ = await kube_api.list(EVENT, namespace)
        started = len(town.seen)
        print(f"{SIZE.storm} beads at once: {started} polecats, {len(events)} Events")
        assert len(events) <= 4 * started, "an Event for each thing that happened, none for waiting"
