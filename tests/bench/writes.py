"""API writes of one bead over its whole life, by verb and resource, as the API server itself has counted them."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

from bench.report import Figure
from polecat_kube.resources import SECRET
from support.whole import World, commit

WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")
APART = ("events", "leases", "towns/status", "rigs/status")
"""Not part of a bead's writes: Events, and what beats for a whole pod or rig however many beads there are."""
_SAMPLE = re.compile(r"^apiserver_request_total\{(.*)\} ([0-9.e+]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


async def measure_writes(world: World, beads: int) -> list[Figure]:
    """Writes per bead of each kind, and their sum, over `beads` lives one after the other, five at a time."""
    before = await _count(world)
    names = [f"life-{number}" for number in range(beads)]
    for start in range(0, beads, 5):
        some = names[start : start + 5]
        await asyncio.gather(*(world.bead(name, [commit(f"{name}.txt"), {"done": "ok"}], rig="bench") for name in some))
        await world.succeeded(*some)
        await world.quiet()
    await _secrets_collected(world)
    made = await _count(world) - before
    figures = [
        Figure(f"writes: {what}", beads, 0, count / beads, "per bead")
        for what, count in sorted(made.items(), key=lambda item: -item[1])
    ]
    counted = sum(count for what, count in made.items() if not what.endswith(APART))
    return [
        Figure("writes, all parties, without Events and heartbeats", beads, 0, counted / beads, "per bead"),
        *figures,
    ]


async def _count(world: World) -> Counter[str]:
    found: Counter[str] = Counter()
    for labels, value in _SAMPLE.findall(await world.api.raw("/metrics")):
        fields = dict(_LABEL.findall(labels))
        if fields["verb"] in WRITES and fields["code"].startswith("2") and fields["group"] != "authentication.k8s.io":
            resource = "/".join(part for part in (fields["resource"], fields["subresource"]) if part)
            found[f"{fields['verb']} {resource}"] += int(float(value))
    return found


async def _secrets_collected(world: World) -> None:
    """Until the garbage collector has removed the agents' tokens."""
    async with asyncio.timeout(120):
        while any(
            item["metadata"].get("ownerReferences") for item in (await world.api.list(SECRET, world.namespace))[0]
        ):
            await asyncio.sleep(0.2)
