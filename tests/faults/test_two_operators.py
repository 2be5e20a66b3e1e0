"""Two operators on one cluster: one is killed, ended or frozen while it leads; the other goes on, and nothing doubles.

How long each takes is printed (`-s`), as the waiting itself is what the Lease promises.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from faults.conftest import WatchWorld
from polecat_api.protocol import OPERATOR_LEASE
from polecat_kube.api import KubeApi
from polecat_kube.resources import EVENT, LEASE, POLECAT, SECRET, ResourceType
from polecat_local.install import SYSTEM_NAMESPACE
from polecat_local.supervise import Supervised
from support.whole import Json, World, commit

SHORT_LEASE = {
    "POLECAT_OPERATOR_LEASE_SECONDS": "6",
    "POLECAT_OPERATOR_RENEW_SECONDS": "4",
    "POLECAT_OPERATOR_RETRY_SECONDS": "0.5",
}
PROMISED_LEASE_SECONDS = 15
AT_ONCE = 5


@dataclass
class Record:
    """What was made, and every version of the Lease, from the beginning on."""

    made: dict[str, list[Json]] = field(default_factory=dict)
    """Kind → objects as they were when they were new."""
    lease: list[Json] = field(default_factory=list)
    """Specs, each with another holder than the one before."""
    starts: dict[str, float] = field(default_factory=dict)
    """Name of a bead → when its first Polecat was seen, on the monotonic clock."""

    def see(self, resource: ResourceType, kind: str, item: Json) -> None:
        """Takes in a change that a watch has told."""
        if resource is LEASE and item["metadata"]["name"] == OPERATOR_LEASE:
            if not self.lease or self.holders()[-1] != (item["spec"].get("holderIdentity") or ""):
                self.lease.append(item["spec"])
        elif kind == "ADDED":
            self.made.setdefault(resource.kind, []).append(item)
            if resource is POLECAT:
                self.starts.setdefault(item["spec"]["beadRef"]["name"], time.monotonic())

    def holders(self) -> list[str]:
        """Who held the Lease, one after the other; empty for nobody."""
        return [spec.get("holderIdentity") or "" for spec in self.lease]

    def nothing_doubled(self, beads: int) -> None:
        """Each bead had one Polecat, each Polecat one token, and each Event was told once."""
        polecats = self.made["Polecat"]
        per_bead = Counter(each["spec"]["beadRef"]["name"] for each in polecats)
        assert (len(per_bead), set(per_bead.values())) == (beads, {1}), per_bead
        owners = Counter(each["metadata"]["ownerReferences"][0]["uid"] for each in self.made["Secret"])
        assert owners == Counter(each["metadata"]["uid"] for each in polecats)
        told = Counter((each["involvedObject"]["name"], each["reason"], each["message"]) for each in self.made["Event"])
        assert told and set(told.values()) == {1}, told


@asynccontextmanager
async def recording(world: World) -> AsyncIterator[Record]:
    """Watches until the end of the block; a watch that breaks fails the test there."""
    record, own = Record(), world.namespace
    async with world.cluster.api() as api:
        watches = []
        for resource, namespace in ((POLECAT, own), (SECRET, own), (EVENT, own), (LEASE, SYSTEM_NAMESPACE)):
            items, version = await api.list(resource, namespace)
            if resource is LEASE:
                for item in items:
                    record.see(resource, "ADDED", item)
            watches.append(asyncio.create_task(_watch(api, resource, namespace, version, record)))
        try:
            yield record
            over = [watch for watch in watches if watch.done()]
            for watch in over:
                watch.result()  # raises what broke it
            assert not over, "a watch has ended"
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)


async def _watch(api: KubeApi, resource: ResourceType, namespace: str, version: str, record: Record) -> None:
    async for kind, item in api.watch(resource, namespace, version):
        if kind in ("ADDED", "MODIFIED"):
            record.see(resource, kind, item)


async def leading(world: World, record: Record) -> tuple[Supervised, Supervised]:
    """The operator that leads, and the other one, once the other is ready to follow it."""
    await world.until_true(lambda: bool(record.holders()) and record.holders()[-1] != "", "somebody leads")
    one, two = world.cluster.operators
    leader, other = (one, two) if record.holders()[-1] == world.cluster.identity(one.name) else (two, one)
    assert record.holders()[-1] == world.cluster.identity(leader.name)
    return leader, other


async def work(world: World, *names: str) -> None:
    """Beads whose agents wait at a gate of the same name."""
    await asyncio.gather(
        *(
            world.bead(name, [{"bash": world.gates.command(name)}, commit(f"{name}.txt"), {"done": "ok"}])
            for name in names
        )
    )


async def all_done_once(world: World, record: Record, names: list[str]) -> None:
    """Everything is over, and happened once."""
    world.gates.open(*names)
    for bead in await world.succeeded(*names):
        assert (bead["status"]["attempts"], bead["status"]["interruptions"]) == (1, 0)
    await world.quiet()
    record.nothing_doubled(len(names))


async def test_an_ended_leader_gives_the_lease_back_before_it_is_gone(watched_worlds: WatchWorld) -> None:
    world = await watched_worlds(operators=2)
    async with recording(world) as record:
        await world.rig()
        await work(world, "before")
        await world.until_true(lambda: "before" in world.gates.arrived, "an agent works")
        leader, other = await leading(world, record)
        process = leader.child
        assert process is not None
        await leader.let_go()
        told = time.monotonic()
        process.send(signal.SIGTERM)
        await world.until_true(lambda: process.exit_code is not None, "the leader has ended")
        assert process.exit_code == 0
        lease = await world.api.get(LEASE, SYSTEM_NAMESPACE, OPERATOR_LEASE)
        assert lease is not None and lease["spec"].get("holderIdentity") != world.cluster.identity(leader.name)
        await work(world, "after")
        await world.until_true(lambda: "after" in record.starts, "the other one acts")
        print(f"ended leader → first action of the other: {record.starts['after'] - told:.2f} s")
        # Nobody held it in between: the other one took what was free, and waited for nothing to run out.
        assert record.holders()[-3:] == [world.cluster.identity(leader.name), "", world.cluster.identity(other.name)]
        assert record.lease[-1]["leaseTransitions"] == record.lease[-3]["leaseTransitions"] + 1
        await all_done_once(world, record, ["before", "after"])


async def test_a_killed_leader_is_followed_when_its_lease_has_run_out(watched_worlds: WatchWorld) -> None:
    world = await watched_worlds(operators=2)
    async with recording(world) as record:
        await world.rig()
        await work(world, "before")
        await world.until_true(lambda: "before" in world.gates.arrived, "an agent works")
        leader, other = await leading(world, record)
        assert record.lease[-1]["leaseDurationSeconds"] <= PROMISED_LEASE_SECONDS
        told = time.monotonic()
        await leader.kill(restart=False)
        await work(world, "after")
        await world.until_true(lambda: "after" in record.starts, "the other one acts")
        print(f"killed leader → first action of the other: {record.starts['after'] - told:.2f} s")
        assert record.holders()[-2:] == [world.cluster.identity(leader.name), world.cluster.identity(other.name)]
        assert record.lease[-1]["leaseTransitions"] == record.lease[-2]["leaseTransitions"] + 1
        # It comes back, and stands by.
        await leader.start()
        await work(world, "later")
        await world.until_true(lambda: "later" in world.gates.arrived, "an agent works")
        assert record.holders()[-1] == world.cluster.identity(other.name)
        await all_done_once(world, record, ["before", "after", "later"])


async def test_a_frozen_leader_does_nothing_twice_when_it_wakes(watched_worlds: WatchWorld) -> None:
    """Frozen in the middle of starting five beads, twice: so each of the two has been the one that wakes."""
    world = await watched_worlds(operators=2, operator_env=SHORT_LEASE)
    async with recording(world) as record:
        await world.rig(polecats={"max": AT_ONCE})
        names = [*await freeze_and_thaw(world, record, "one"), *await freeze_and_thaw(world, record, "two")]
        await all_done_once(world, record, names)


async def freeze_and_thaw(world: World, record: Record, turn: str) -> list[str]:
    """Gives the names of the beads, which have all succeeded."""
    names = [f"{turn}-{number}" for number in range(AT_ONCE)]
    leader, other = await leading(world, record)
    process, following = leader.child, world.cluster.identity(other.name)
    assert process is not None
    await work(world, *names)
    await world.until_true(lambda: bool(record.starts.keys() & set(names)), "the first of five is started")
    process.send(signal.SIGSTOP)
    await world.until_true(lambda: record.holders()[-1] == following, "the other one leads")
    await world.until_true(lambda: set(names) <= world.gates.arrived, "all five work")
    process.send(signal.SIGCONT)
    await world.until_true(lambda: process.exit_code is not None, "the frozen one has ended")
    assert process.exit_code == 1
    assert record.holders()[-1] == following
    world.gates.open(*names)
    await world.succeeded(*names)
    return names
