"""Names, claims and the single writer: on the real API server, with a town played by the test."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import kubernetes
import pytest

from polecat_api import API_VERSION
from polecat_api.conditions import Reason
from polecat_api.names import POOL, candidates
from polecat_api.polecat import Polecat, PolecatStatus
from polecat_kube.api import KubeApi
from polecat_kube.errors import ConflictError
from polecat_kube.informer import Informer
from polecat_kube.resources import POLECAT, RIG
from polecat_town import metrics
from polecat_town.claims import build_claim, claim
from polecat_town.finalizer import drop_finalizer
from polecat_town.life.reporter import Reporter, SupersededError
from polecat_town.life.state import Identity
from support.control_plane import Kubectl, SharedControlPlane
from support.played_town import Json, PlayedTown, eventually, running_operator


class OneForEach:
    """Watches Polecats, and remembers each attempt that had two of them, and each name and branch that was shared."""

    def __init__(self) -> None:
        self.alive: dict[str, Json] = {}
        self.of_attempt: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        self.shared: list[str] = []

    def changed(self, old: Json | None, new: Json | None) -> None:
        """As an informer tells."""
        if new is None:
            self.alive.pop((old or {})["metadata"]["uid"], None)
            return
        uid, spec = new["metadata"]["uid"], new["spec"]
        self.alive[uid] = spec
        self.of_attempt[spec["beadRef"]["uid"], spec["attempt"]].add(uid)
        for other, theirs in self.alive.items():
            same = [what for what in ("name", "branch") if theirs[what] == spec[what]]
            if other != uid and theirs["rigRef"] == spec["rigRef"] and same:
                self.shared.append(f"{uid} and {other} share {same}")

    @property
    def doubled(self) -> list[tuple[str, int]]:
        """(bead UID, attempt) of each attempt with more than one."""
        return [attempt for attempt, uids in self.of_attempt.items() if len(uids) > 1]


@asynccontextmanager
async def watched(api: KubeApi, namespace: str) -> AsyncIterator[OneForEach]:
    """Watches all through the block."""
    seen = OneForEach()
    informer = Informer(api, POLECAT, namespace, seen.changed)
    task = asyncio.create_task(informer.run())
    await informer.synced.wait()
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def elsewhere(admin: kubernetes.client.ApiClient) -> Iterator[str]:
    """A second namespace: an operator that has its Lease there does not know that another leads."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    core = kubernetes.client.CoreV1Api(admin)
    core.create_namespace(kubernetes.client.V1Namespace(metadata=kubernetes.client.V1ObjectMeta(name=name)))
    yield name
    core.delete_namespace(name)


async def test_i01_two_operators_race_for_fifty_beads(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    """Two agents got one name. Fifty beads at once, two operators for one Lease: fifty names, in the pool's order."""
    async with (
        PlayedTown(kube_api, namespace).open(slots=60, max_polecats=60) as town,
        watched(kube_api, namespace) as seen,
        running_operator(control_plane.connection, namespace, identity="one"),
        running_operator(control_plane.connection, namespace, identity="two"),
    ):
        beads = [f"b{number:02}" for number in range(50)]
        await asyncio.gather(*(town.bead(name) for name in beads))
        await eventually(lambda: has_polecats(town, 50))
        assert {each["spec"]["name"] for each in await town.polecats()} == set(itertools.islice(candidates(POOL), 50))
    assert not seen.shared
    assert not seen.doubled


async def test_i01_even_two_that_both_think_they_lead_give_no_name_twice(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, elsewhere: str
) -> None:
    """The Lease fails altogether, and both operators act at once, on pools that they see change at different moments:
    never two bearers of a name; and of two Polecats for one bead only the one that its status names stays (a town
    works for no other).
    """
    async with (
        PlayedTown(kube_api, namespace).open(slots=60, max_polecats=60) as town,
        watched(kube_api, namespace) as seen,
        running_operator(control_plane.connection, namespace, identity="one"),
        running_operator(control_plane.connection, elsewhere, identity="two", watch_namespaces=(namespace,)),
    ):
        turning = asyncio.create_task(turn_pool(town))
        for first in range(0, 50, 10):
            await asyncio.gather(*(town.bead(f"b{number:02}") for number in range(first, first + 10)))
        turning.cancel()

        async def settled() -> bool:
            beads = [await town.get_bead(f"b{number:02}") for number in range(50)]
            named = {bead["metadata"]["name"]: (bead.get("status") or {}).get("polecat") for bead in beads}
            there = [(each["spec"]["beadRef"]["name"], each["spec"]["name"]) for each in await town.polecats()]
            return len(there) == 50 and dict(there) == named

        await eventually(settled)
    assert not seen.shared


async def turn_pool(town: PlayedTown) -> None:
    """Turns the order of the names round, again and again, so that two operators do not choose alike."""
    names = list(POOL)
    while True:
        names.reverse()
        await town.api.patch_merge(RIG, town.namespace, "web", {"spec": {"polecats": {"max": 60, "names": names}}})


async def has_polecats(town: PlayedTown, count: int) -> bool:
    """Whether there are so many, each of them claimed."""
    polecats = await town.polecats()
    assert len(polecats) <= count
    return len([each for each in polecats if (each.get("status") or {}).get("claim")]) == count


async def test_i02_late_messages_of_the_last_bearer_of_a_name_are_refused(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    """A recycled name met its last bearer's done, shutdown, clean-up and heartbeat, and they hit the new one."""
    async with (
        PlayedTown(kube_api, namespace).open(max_polecats=1) as town,
        running_operator(control_plane.connection, namespace),
    ):
        await town.bead("first")
        old = Polecat.model_validate(await town.until_polecat("web-toast"))
        await town.finish("web-toast", "Done")
        await town.until_gone("web-toast")
        await town.bead("second")
        new = await town.until_polecat("web-toast")
        assert new["metadata"]["uid"] != old.metadata.uid
        await town.running("web-toast")
        before = await town.until_bead("second", "Running")
        polecat = await kube_api.get(POLECAT, namespace, "web-toast")
        assert polecat is not None

        refused = metrics.REFUSED_REPORTS._value.get()
        for late in (heartbeat(old), done(old)):
            reporter = Reporter(kube_api, Identity.of(old), lambda late=late: late)  # type: ignore[misc]
            with pytest.raises(SupersededError):
                await asyncio.wait_for(reporter.report(), 10)
        assert metrics.REFUSED_REPORTS._value.get() == refused + 2
        assert await claim(kube_api, old, "main-0", "main-0-uid") is None
        await drop_finalizer(kube_api, old)
        with pytest.raises(ConflictError):
            await kube_api.delete(POLECAT, namespace, "web-toast", uid=old.metadata.uid)

        assert await kube_api.get(POLECAT, namespace, "web-toast") == polecat
        assert (await town.get_bead("second"))["status"] == before["status"]


def heartbeat(polecat: Polecat) -> PolecatStatus:
    """A report that an agent is alive."""
    now = datetime.now(UTC)
    return build_claim(polecat, "main-0", "main-0-uid", now).model_copy(update={"heartbeat_time": now})


def done(polecat: Polecat) -> PolecatStatus:
    """A report that an attempt has ended well."""
    status = heartbeat(polecat)
    ended = [each.model_copy(update={"status": "True", "reason": Reason.DONE}) for each in status.conditions]
    return status.model_copy(update={"conditions": ended, "published_commit": "a" * 40})


async def test_i03_counted_names_past_the_end_of_the_pool_never_clash(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    """Past the end of the pool a counted name collided with one in use."""
    async with (
        PlayedTown(kube_api, namespace).open(slots=20, max_polecats=20) as town,
        watched(kube_api, namespace) as seen,
        running_operator(control_plane.connection, namespace),
    ):
        # The pool holds a counted name itself: the counting must pass over it.
        pool = {"polecats": {"max": 20, "names": ["ada", "grace", "ada-2"]}}
        await kube_api.patch_merge(RIG, namespace, "web", {"spec": pool})
        await asyncio.gather(*(town.bead(f"b{number}") for number in range(10)))
        await eventually(lambda: has_polecats(town, 10))
        ten = list(itertools.islice(candidates(["ada", "grace", "ada-2"]), 10))
        assert len(set(ten)) == 10
        assert {each["spec"]["name"] for each in await town.polecats()} == set(ten)
        for name in ten[4:7]:
            await town.finish(f"web-{name}", "Done")
        await asyncio.gather(*(town.until_gone(f"web-{name}") for name in ten[4:7]))
        await asyncio.gather(*(town.bead(f"c{number}") for number in range(5)))
        await eventually(lambda: has_polecats(town, 12))
        twelve = set(itertools.islice(candidates(["ada", "grace", "ada-2"]), 12))
        assert {each["spec"]["name"] for each in await town.polecats()} == twelve
    assert not seen.shared
    assert not seen.doubled


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["Mayor!"], "should match"),
        (["ada", "ada"], "Duplicate value"),
        (["n" * 60], "may not be more than 20"),
        (["-x"], "should match"),
        (["a/b"], "should match"),
        ([""], "at least 1 chars"),
    ],
)
def test_i04_malformed_names_are_refused_by_the_api_server(kubectl: Kubectl, names: list[str], words: str) -> None:
    """Names with capitals, signs or 60 characters broke whatever parsed them later."""
    spec = {
        "townRef": {"name": "main"},
        "repository": {"url": "https://git.example/web.git"},
        "model": {"name": "m"},
        "polecats": {"names": names},
    }
    rig = {"apiVersion": API_VERSION, "kind": "Rig", "metadata": {"name": "web"}, "spec": spec}
    said = kubectl.refused("apply", "-f", "-", stdin=json.dumps(rig))
    assert words in said
    assert "spec.polecats.names" in said


async def test_i09_one_polecat_whatever_state_a_stale_operator_meets(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seventeen agents for four beads: the guard against a second one missed a state. In every state a new operator
    begins that knows only what it reads, while the old one has not stopped yet.
    """
    monkeypatch.setattr("polecat_operator.planner.retries.FIRST_PAUSE_SECONDS", 2)
    async with (
        PlayedTown(kube_api, namespace).open(max_polecats=4, slots=4) as town,
        watched(kube_api, namespace) as seen,
    ):
        town.claiming = town.settling = False

        @asynccontextmanager
        async def fresh(number: int) -> AsyncIterator[None]:
            async with running_operator(control_plane.connection, namespace, identity=f"o{number}", retry_seconds=0.1):
                yield

        async with fresh(0):
            await town.bead("one")
            first = await town.until_polecat("web-toast", claimed=False)
            await town.until_bead("one", "Starting")
        async with fresh(1):  # declared, unclaimed
            await operator_has_looked(town, "a")
        town.claiming = True
        await town.claim(first)
        for number, word in enumerate(("Running", "Publishing"), start=2):
            await town.running("web-toast", word)
            async with fresh(number):
                await town.until_bead("one", word)
                await operator_has_looked(town, f"b{number}")
        async with fresh(4):
            await town.change_bead("one", suspend=True)
            await town.until_bead("one", "Stopping")
        async with fresh(5):  # being deleted, and resumed meanwhile
            await town.change_bead("one", suspend=False)
            await operator_has_looked(town, "c")
            assert len([spec for spec in seen.alive.values() if spec["beadRef"]["name"] == "one"]) == 1
        town.settling = True
        await town.settle((await kube_api.get(POLECAT, namespace, "web-toast")) or {})
        async with fresh(6):
            await town.until_attempt("one", 2)
        numbers = [attempt for (uid, attempt) in seen.of_attempt if uid == first["spec"]["beadRef"]["uid"]]
        assert sorted(numbers) == [1, 2]
    assert not seen.doubled


async def operator_has_looked(town: PlayedTown, name: str) -> None:
    """The operator that leads now has told a new bead why it waits, so it has been through the others, too."""
    await town.bead(name, suspend=True)
    await town.until_bead(name, "Suspended")
