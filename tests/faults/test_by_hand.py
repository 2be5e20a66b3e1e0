"""Bad input: what people change, remove and delete by hand heals, and nothing is lost that still exists somewhere."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml

from polecat_api.protocol import FINALIZER, JWKS_CONFIG_MAP
from polecat_kube.errors import InvalidError, NotFoundError
from polecat_kube.resources import BEAD, CONFIG_MAP, POLECAT, RIG, SECRET, TOWN, ResourceType
from support.fake_agent import FAKE_KILO
from support.played_town import eventually
from support.whole import Json, NeverTwo, World, commit, condition, reason
from support.world_fixture import StartWorld


@pytest.fixture
async def world(start_world: StartWorld) -> World:
    """A whole cluster that looks often whether all is as it should be. No oracle: here people break its rules."""
    world = await start_world(
        kilo_path=FAKE_KILO,
        operator_env={"POLECAT_OPERATOR_RESYNC_SECONDS": "2"},
        town_env={"POLECAT_TOWN_HEARTBEAT_SECONDS": "2"},
    )
    await world.rig()
    return world


async def at_gate(world: World, name: str) -> Json:
    """The Polecat of a bead whose agent has committed `<name>.txt` and waits at its gate."""
    await world.bead(name, [commit(f"{name}.txt"), {"bash": world.gates.command(name)}, {"done": "ok"}])
    await world.until_true(lambda: name in world.gates.arrived, f"the agent of {name} works")
    await world.until(BEAD, name, lambda bead: reason(bead) == "Running")
    return (await world.polecats())[name]


async def wipe_status(world: World, resource: ResourceType, name: str) -> None:
    """`kubectl edit --subresource=status`, with everything taken out."""
    patch = [{"op": "replace", "path": "/status", "value": {}}]
    await world.api.patch_json(resource, world.namespace, name, patch, "status")


async def has_work(world: World, name: str) -> None:
    """The bead succeeds, with what its first agent had committed."""
    (bead,) = await world.succeeded(name)
    assert f"{name}.txt" in world.git("ls-tree", "--name-only", bead["status"]["branch"]).split()


async def test_a_status_edited_by_hand_heals(world: World) -> None:
    """Somebody edited a status, and work was lost, done twice, or never went on."""
    async with NeverTwo(world.cluster.data.town):
        polecat = await at_gate(world, "edited")
        name = polecat["metadata"]["name"]
        town = world.cluster.town_identity.name
        for resource, which in ((BEAD, "edited"), (RIG, "web"), (TOWN, town)):
            await wipe_status(world, resource, which)
        with pytest.raises(InvalidError, match="a claim is made once"):
            await wipe_status(world, POLECAT, name)
        said: Json = {"conditions": None, "process": None, "activity": "nonsense"}
        await world.api.patch_merge(POLECAT, world.namespace, name, {"status": said}, "status")
        nonsense = {"status": {"state": "Nonsense", "queuePosition": 99, "polecat": "nobody"}}
        await world.api.patch_merge(BEAD, world.namespace, "edited", nonsense, "status")
        await world.until(POLECAT, name, lambda item: condition(item, "Ready") == "True")
        await world.until(RIG, "web", lambda rig: condition(rig, "Ready") == "True")
        await world.until(TOWN, town, lambda item: condition(item, "Ready") == "True")

        def healed(bead: Json) -> bool:
            status = bead["status"]
            said = (reason(bead), status.get("polecat"), status.get("state"), status.get("queuePosition"))
            return said == ("Running", polecat["spec"]["name"], "Running", None)

        await world.until(BEAD, "edited", healed)
        assert (await world.polecats())["edited"]["metadata"]["uid"] == polecat["metadata"]["uid"]
        world.gates.open("edited")
        await has_work(world, "edited")
    await world.quiet()


async def test_what_is_deleted_by_hand_comes_back(world: World) -> None:
    """A Polecat, its finalizer, its Secret, the keys, a worktree, a whole volume were deleted, and with them work."""
    namespace = world.namespace
    async with NeverTwo(world.cluster.data.town):
        made = {name: await at_gate(world, name) for name in ("polecat", "finalizer", "worktree", "secrets")}
        await world.api.delete(POLECAT, namespace, made["polecat"]["metadata"]["name"])
        loose = made["finalizer"]["metadata"]["name"]
        assert made["finalizer"]["metadata"]["finalizers"] == [FINALIZER]
        await world.api.delete(POLECAT, namespace, loose)
        await world.api.patch_merge(POLECAT, namespace, loose, {"metadata": {"finalizers": None}})
        shutil.rmtree(world.cluster.data.town / made["worktree"]["status"]["worktree"])
        await world.api.delete(SECRET, namespace, made["secrets"]["spec"]["tokenSecretRef"]["name"])
        await world.api.delete(CONFIG_MAP, namespace, JWKS_CONFIG_MAP)
        # A new supervisor has to read both again.
        await world.cluster.town.kill()
        world.gates.open(*made)
        for name in made:
            await has_work(world, name)
        (untouched,) = await world.succeeded("secrets")
        assert (untouched["status"]["attempts"], untouched["status"]["interruptions"]) == (1, 0)
        for name in ("polecat", "finalizer"):
            uid = made[name]["metadata"]["uid"]
            assert uid not in {each["metadata"]["uid"] for each in (await world.polecats()).values()}
        await world.quiet()
        await at_gate(world, "volume")
        await world.cluster.town.kill(restart=False)
        shutil.rmtree(world.cluster.data.town)
        await world.cluster.town.start()
        world.gates.open("volume")
        await has_work(world, "volume")
    await world.quiet()


def crd(world: World, plural: str) -> Json:
    """A CRD of ours, as it is installed."""
    return dict(yaml.safe_load(kubectl(world, "get", "crd", f"{plural}.polecat.dev", "-o", "yaml")))


def kubectl(world: World, *arguments: str, stdin: str = "") -> str:
    """The real kubectl as administrator; gives its output."""
    plane = world.cluster.control_plane
    words = [str(plane.kubectl), f"--kubeconfig={plane.kubeconfig}", *arguments]
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(world: World, definition: Json) -> None:
    """Replaces a CRD, or makes it."""
    definition = {**definition, "metadata": {"name": definition["metadata"]["name"]}}
    definition.pop("status", None)
    kubectl(world, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump(definition))


def schema_of(definition: Json) -> Json:
    """The properties of the kind."""
    return dict(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"])


async def test_crds_of_another_version_are_told_and_lived_with(start_world: StartWorld) -> None:
    """The CRDs were older or newer than the programs, which died, or waited for ever without a word."""
    world = await start_world(kilo_path=FAKE_KILO, run_operator=False, run_town=False)
    cluster = world.cluster
    older, newer, polecats = crd(world, "towns"), crd(world, "beads"), crd(world, "polecats")
    del schema_of(older)["status"]["properties"]["pods"]["items"]["properties"]["streamsURL"]
    for part in ("spec", "status"):
        schema_of(newer)[part]["properties"]["sparkle"] = {"type": "string", "default": "yes"}
    # `apply` takes away only what it has made before.
    kubectl(world, "delete", "crd", "towns.polecat.dev", "polecats.polecat.dev")
    install(world, older)
    install(world, newer)
    town = {"metadata": {"name": cluster.town_identity.name}, "spec": {"slots": 2}}
    await eventually(lambda: made(world, town))
    await cluster.operator.start()
    operator_log = cluster.data.logs / "operator.log"
    await world.until_true(
        lambda: "are the CRDs installed?" in operator_log.read_text(), "the operator says what is wrong"
    )
    first = cluster.operator.pid
    install(world, polecats)
    await cluster.town.start()
    await cluster.wait_ready()
    assert cluster.operator.pid == first, "it has not crashed"
    await world.rig()
    await world.bead("one", [commit("one.txt"), {"done": "ok"}], sparkle="very")
    (bead,) = await world.succeeded("one")
    assert bead["spec"]["sparkle"] == "very"
    entry = (await world.until(TOWN, town["metadata"]["name"], bool))["status"]["pods"][0]
    assert "no field streamsURL" in entry["message"]
    assert "the installed CRDs are of another version" in (cluster.data.logs / "town.log").read_text()


async def made(world: World, town: Json) -> bool:
    """Whether the Town could be made: a new kind takes a moment to be served."""
    try:
        await world.api.create(TOWN, world.namespace, town)
    except NotFoundError:
        return False
    return True
