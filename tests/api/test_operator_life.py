"""What a bead goes through, as the operator tells it: on the real API server, with a town played by the test."""

import asyncio
import base64
from collections.abc import AsyncIterator

import jwt
import pytest

from polecat_api.names import POOL
from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, CONFIG_MAP, POLECAT, RIG, SECRET, TOWN
from support.control_plane import SharedControlPlane
from support.played_town import PlayedTown, eventually, find, running_operator


@pytest.fixture
async def town(control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str) -> AsyncIterator[PlayedTown]:
    """A played town with an operator that looks after its namespace."""
    async with (
        PlayedTown(kube_api, namespace).open() as played,
        running_operator(control_plane.connection, namespace),
    ):
        yield played


async def test_bead_is_done_by_a_named_polecat(town: PlayedTown) -> None:
    await town.bead("one")
    polecat = await town.until_polecat("web-toast")
    spec = polecat["spec"]
    assert (spec["name"], spec["attempt"], spec["pod"], spec["baseBranch"]) == ("toast", 1, "main-0", "main")
    bead = await town.until_bead("one", "Starting")
    assert bead["status"]["polecat"] == "toast"
    assert bead["status"]["branch"] == spec["branch"] == f"polecat/toast/{bead['metadata']['uid'][:6]}"
    owner = polecat["metadata"]["ownerReferences"][0]
    assert (owner["uid"], owner["controller"]) == (bead["metadata"]["uid"], True)
    await town.running("web-toast")
    await town.until_bead("one", "Running")
    result = {"summary": "did it", "commits": 2, "filesChanged": 1, "insertions": 3, "deletions": 4}
    await town.finish(
        "web-toast",
        "Done",
        "pushed",
        publishedCommit="a" * 40,
        result=result,
        usage={"inputTokens": 10, "outputTokens": 20, "costMicroUSD": 30},
    )
    done = await town.until_bead("one", "Done", "True")
    assert find(done, "Succeeded")["status"] == "True"
    status = done["status"]
    assert (status["attempts"], status["interruptions"], status["headCommit"]) == (1, 0, "a" * 40)
    assert status["result"] == result
    assert status["usage"] == {"inputTokens": 10, "outputTokens": 20, "costMicroUSD": 30}
    assert "polecat" not in status
    await town.until_gone("web-toast")


async def test_fifty_beads_get_fifty_names_in_pool_order(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    async with (
        PlayedTown(kube_api, namespace).open(slots=60, max_polecats=60) as town,
        running_operator(control_plane.connection, namespace),
    ):
        await asyncio.gather(*(town.bead(f"b{number:02}") for number in range(50)))

        async def all_there() -> bool:
            return len(await town.polecats()) == 50

        await eventually(all_there)
        names = {polecat["spec"]["name"] for polecat in await town.polecats()}
        numbered = [f"{name}-{count}" for count in (2, 3) for name in POOL]
        assert names == {*POOL, *numbered[:30]}
        branches = {polecat["spec"]["branch"] for polecat in await town.polecats()}
        assert len(branches) == 50


async def test_queue_has_positions_and_freed_names_are_used_again(town: PlayedTown) -> None:
    for number in range(8):
        await town.bead(f"b{number}")
    for name in ("toast", "maple", "birch", "shadow", "copper"):
        await town.until_polecat(f"web-{name}")
    waiting = [await town.until_bead(f"b{number}", "RigFull") for number in (5, 6, 7)]
    assert [bead["status"]["queuePosition"] for bead in waiting] == [1, 2, 3]
    holder = (await town.until_polecat("web-birch"))["spec"]["beadRef"]["name"]
    await town.finish("web-birch", "Done")
    await town.until_bead(holder, "Done")
    taken = await town.until_bead("b5", "Starting")
    assert taken["status"]["polecat"] == "birch"

    async def moved_up() -> bool:
        return (await town.get_bead("b6"))["status"].get("queuePosition") == 1

    await eventually(moved_up)


async def test_suspend_stops_and_resume_goes_on_from_saved_work(town: PlayedTown) -> None:
    await town.bead("one")
    await town.until_polecat("web-toast")
    await town.running("web-toast")
    await town.until_bead("one", "Running")
    await town.change_bead("one", suspend=True)
    suspended = await town.until_bead("one", "Suspended", "True")
    assert find(suspended, "Succeeded")["status"] == "Unknown"
    assert suspended["status"]["savedCommit"] == "b" * 40
    await town.until_gone("web-toast")
    await town.change_bead("one", suspend=False)
    again = await town.until_polecat("web-toast", attempt=2)
    assert again["spec"]["startCommit"] == "b" * 40
    assert (await town.get_bead("one"))["status"]["attempts"] == 0


async def test_deleting_a_bead_ends_its_polecat_and_frees_its_name(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    async with (
        PlayedTown(kube_api, namespace).open(max_polecats=1) as town,
        running_operator(control_plane.connection, namespace),
    ):
        await town.bead("one")
        first = await town.until_polecat("web-toast")
        await town.running("web-toast")
        await town.bead("two")
        await town.until_bead("two", "RigFull")
        await kube_api.delete(BEAD, namespace, "one")
        second = await town.until_attempt("two", 1)
        assert second["metadata"]["name"] == first["metadata"]["name"]
        assert second["metadata"]["uid"] != first["metadata"]["uid"]


async def test_rerun_runs_a_finished_bead_again_with_a_new_serial(town: PlayedTown) -> None:
    await town.bead("one")
    await town.until_polecat("web-toast")
    await town.finish("web-toast", "Escalated", "which database?", savedCommit="c" * 40, savedRef="refs/x")
    failed = await town.until_bead("one", "Escalated", "False")
    assert find(failed, "Succeeded")["status"] == "False"
    assert find(failed, "Stalled")["status"] == "True"
    await town.change_bead("one", rerun="1")
    again = await town.until_attempt("one", 2)
    assert again["spec"]["startCommit"] == "c" * 40
    await town.finish(again["metadata"]["name"], "Done")
    done = await town.until_bead("one", "Done")
    assert done["status"]["attempts"] == 2
    assert "savedCommit" not in done["status"]


async def test_failed_attempts_are_paused_and_counted(town: PlayedTown) -> None:
    await town.bead("one", limits={"attempts": 1})
    await town.until_polecat("web-toast")
    await town.finish("web-toast", "StartFailed", "no such file", exit={"reason": "StartFailed", "logTail": "boom"})
    paused = await town.until_bead("one", "BackingOff")
    assert (paused["status"]["attempts"], paused["status"]["interruptions"]) == (0, 1)
    assert "no such file" in find(paused, "Ready")["message"]
    assert paused["status"]["nextAttemptTime"]
    await town.until_polecat("web-toast", attempt=2)
    await town.finish("web-toast", "AgentFailed", "exit 1")
    ended = await town.until_bead("one", "AttemptsExhausted")
    assert (ended["status"]["attempts"], ended["status"]["interruptions"]) == (1, 1)
    assert "exit 1" in find(ended, "Succeeded")["message"]


async def test_dependencies_keep_their_order_and_failures_are_passed_on(town: PlayedTown) -> None:
    await town.bead("top", dependsOn=["left", "right"])
    await town.bead("left", dependsOn=["base"])
    await town.bead("right", dependsOn=["base"])
    missing = await town.until_bead("left", "WaitingForDependency")
    assert "base, which does not exist" in find(missing, "Ready")["message"]
    await town.bead("base")
    assert (await town.until_polecat("web-toast"))["spec"]["beadRef"]["name"] == "base"
    await town.finish("web-toast", "Done")
    await town.until_bead("left", "Starting")
    await town.until_bead("right", "Starting")
    waiting = await town.until_bead("top", "WaitingForDependency")
    assert "left" in find(waiting, "Ready")["message"]
    name = (await town.get_bead("left"))["status"]["polecat"]
    await town.until_polecat(f"web-{name}")
    await town.finish(f"web-{name}", "Escalated", "no")
    failed = await town.until_bead("top", "DependencyFailed")
    assert "left" in find(failed, "Succeeded")["message"]


async def test_ring_of_dependencies_is_named(town: PlayedTown) -> None:
    await town.bead("a", dependsOn=["b"])
    await town.bead("b", dependsOn=["c"])
    await town.bead("c", dependsOn=["a"])
    found = await town.until_bead("a", "DependencyCycle")
    assert "a → b → c → a" in find(found, "Ready")["message"]
    await town.until_bead("b", "DependencyCycle")
    await town.change_bead("c", dependsOn=[])
    await town.until_bead("c", "Starting")
    for name in "ab":
        await town.until_bead(name, "WaitingForDependency")


async def test_bead_for_a_missing_rig_starts_when_the_rig_appears(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    town = PlayedTown(kube_api, namespace)
    async with running_operator(control_plane.connection, namespace):
        await town.bead("early")
        lost = await town.until_bead("early", "InvalidReference")
        assert "no rig web" in find(lost, "Ready")["message"]
        async with town.open():
            await town.until_polecat("web-toast")


async def test_broken_repository_holds_beads_back_until_it_is_mended(town: PlayedTown) -> None:
    await town.report_repository("False", "RepositoryUnreachable", "could not resolve host")

    async def rig_says_so() -> bool:
        rig = await town.api.get(RIG, town.namespace, "web")
        return find(rig, "Ready").get("reason") == "RepositoryUnreachable"

    await eventually(rig_says_so)
    await town.bead("one")
    waiting = await town.until_bead("one", "RigNotReady")
    assert "could not resolve host" in find(waiting, "Ready")["message"]
    await town.report_repository()
    await town.until_polecat("web-toast")


async def test_critical_bead_starts_before_those_that_came_earlier(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str
) -> None:
    async with (
        PlayedTown(kube_api, namespace).open(max_polecats=1) as town,
        running_operator(control_plane.connection, namespace),
    ):
        await town.bead("first")
        await town.until_polecat("web-toast")
        await town.bead("normal")
        await town.until_bead("normal", "RigFull")
        await town.bead("urgent", priority="Critical")
        await town.until_bead("urgent", "RigFull")
        await town.finish("web-toast", "Done")
        await town.until_bead("urgent", "Starting")
        assert find(await town.get_bead("normal"), "Ready")["reason"] == "RigFull"


async def test_token_names_the_polecat_and_is_checked_with_the_published_keys(town: PlayedTown) -> None:
    await town.bead("one", limits={"runSeconds": 100})
    polecat = await town.until_polecat("web-toast")
    name = polecat["spec"]["tokenSecretRef"]["name"]

    async def secret() -> dict[str, object] | None:
        return await town.api.get(SECRET, town.namespace, name)

    found = await eventually(secret)
    assert found is not None
    token = base64.b64decode(str(found["data"]["token"])).decode()  # type: ignore[index]
    published = await town.api.get(CONFIG_MAP, town.namespace, "polecat-jwks")
    assert published is not None
    keys = jwt.PyJWKSet.from_json(published["data"]["jwks.json"])
    key = keys[jwt.get_unverified_header(token)["kid"]]
    said = jwt.decode(token, key, algorithms=["EdDSA"], audience="polecat-agent", issuer="polecat-operator")
    assert said["sub"] == polecat["metadata"]["uid"]
    assert (said["bead"], said["attempt"]) == (polecat["spec"]["beadRef"]["uid"], 1)
    assert said["exp"] - said["iat"] == 100 + 3600


async def test_status_edited_into_nonsense_heals(town: PlayedTown) -> None:
    await town.bead("one")
    await town.until_polecat("web-toast")
    await town.running("web-toast")
    await town.until_bead("one", "Running")
    await town.api.patch_merge(BEAD, town.namespace, "one", {"status": None}, subresource="status")
    healed = await town.until_bead("one", "Running")
    assert healed["status"]["polecat"] == "toast"
    assert len(await town.polecats()) == 1


async def test_polecat_deleted_by_hand_is_replaced_without_using_up_an_attempt(town: PlayedTown) -> None:
    await town.bead("one")
    await town.until_polecat("web-toast")
    await town.api.delete(POLECAT, town.namespace, "web-toast")
    await town.until_attempt("one", 2)
    assert (await town.get_bead("one"))["status"]["attempts"] == 0


async def test_finished_polecats_and_deleted_rigs_leave_an_ended_bead_alone(town: PlayedTown) -> None:
    await town.bead("one")
    await town.until_polecat("web-toast")
    await town.finish("web-toast", "NoChanges", "nothing to do")
    before = await town.until_bead("one", "NoChanges", "True")
    await town.until_gone("web-toast")
    await town.api.delete(RIG, town.namespace, "web")
    await town.api.delete(TOWN, town.namespace, "main")
    await town.bead("two")
    await town.until_bead("two", "InvalidReference")
    assert (await town.get_bead("one"))["status"] == before["status"]
