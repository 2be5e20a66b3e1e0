"""One writer for each field: the API server's own log of a whole run, held against the table."""

from __future__ import annotations

from faults.conftest import WatchWorld
from faults.test_changes import change_bead
from polecat_api.fields import OPERATOR, OWNERSHIP, TOWN, USER
from polecat_kube.resources import BEAD, POLECAT, RIG
from polecat_kube.resources import TOWN as TOWNS
from polecat_local.control_plane import ControlPlaneOptions
from support.audit import WRITES, Json, broken, changes, is_refused, read_audit_log, versions, who_sent
from support.whole import World, commit, condition, reason

ACCOUNTS = {
    "admin": USER,
    "system:serviceaccount:polecat-system:polecat-operator": OPERATOR,
    "system:serviceaccount:default:polecat-town": TOWN,
}
ADMINISTRATOR = "admin"
NOW = "$(date +%s%N)"


async def test_each_field_has_the_one_writer_of_the_table(watched_worlds: WatchWorld) -> None:
    """A field with two writers is a race. A run with success, failure, deletion, rerun, suspension, and both programs
    started anew in the middle: each change of each field was made by the account that the table names.
    """
    world = await watched_worlds(control_plane=ControlPlaneOptions(unsafe_no_fsync=True, audit_log=True))
    await run_of_all_kinds(world)
    stored = {
        (item["metadata"]["uid"], item["metadata"]["resourceVersion"])
        for resource in (TOWNS, RIG, BEAD, POLECAT)
        for item in (await world.api.list(resource))[0]
    }
    log = read_audit_log(world.cluster.data.logs / "audit.log")
    logged = {(uid, str(each.number)) for uid, numbered in versions(log).items() for each in numbered}
    # What beats may have been stored after the lists and before the log was read, never the other way round.
    assert stored <= logged, "the log has every write"

    found = list(changes(log))
    assert not broken(found, ACCOUNTS)
    written = {change.field for change in found}
    assert {field for field in OWNERSHIP if field.startswith(("Bead.status.", "Polecat."))} - written <= MAY_BE_EMPTY
    assert {"Rig.status.conditions", "Town.status.conditions", "Town.status.pods[].seenTime"} <= written

    assert not [entry for entry in log if is_refused(entry) and who_sent(entry) in ACCOUNTS]
    assert not [entry for entry in log if as_administrator(entry)]
    tokens = [entry for entry in log if is_write(entry, "secrets") and who_sent(entry) != ADMINISTRATOR]
    assert {(entry["verb"], ACCOUNTS.get(who_sent(entry), who_sent(entry))) for entry in tokens} == {
        ("create", OPERATOR),
        ("delete", "system:serviceaccount:kube-system:generic-garbage-collector"),
    }


MAY_BE_EMPTY = {
    "Bead.status.nextAttemptTime",
    "Bead.status.queuePosition",
    "Polecat.status.exit.exitCode",
    "Polecat.status.exit.signal",
}
"""Fields that need not get a value in this run; all others of beads and polecats do."""


def is_write(entry: Json, resource: str) -> bool:
    """Whether something of this resource was to be changed."""
    return entry["verb"] in WRITES and entry.get("objectRef", {}).get("resource") == resource


def as_administrator(entry: Json) -> bool:
    """Whether operator or town wrote with rights that are not theirs."""
    program = entry.get("userAgent", "")
    return who_sent(entry) == ADMINISTRATOR and program in ("polecat-operator", "polecat-town")


async def run_of_all_kinds(world: World) -> None:
    """Five beads, each with another fate; one of them waits for a place first."""
    gates, town = world.gates, world.cluster.town
    await world.rig(polecats={"max": 4})
    await world.bead("good", [{"bash": gates.command("good")}, commit("good.txt"), {"done": "ok"}])
    await world.bead("deleted", [commit("deleted.txt"), {"bash": gates.command("deleted")}, {"done": "ok"}])
    await world.bead("paused", [commit("paused.txt", NOW), {"bash": gates.command("paused")}, {"done": "ok"}])
    await world.bead("again", [commit("again.txt", NOW), {"done": "ok"}])
    await world.bead("bad", [commit("bad.txt"), {"tool": "escalate", "args": {"question": "Which one?"}}])
    await world.until_true(lambda: {"good", "deleted", "paused"} <= gates.arrived, "three agents wait")
    await world.ended("bad", "again")

    await world.cluster.operator.kill()
    gates.arrived.clear()
    await town.kill()
    await world.until_true(lambda: {"good", "deleted", "paused"} <= gates.arrived, "the agents are resumed")
    await change_bead(world, "again", rerun="please")
    await change_bead(world, "paused", suspend=True)
    await world.api.delete(BEAD, world.namespace, "deleted")
    await world.until(BEAD, "paused", lambda bead: reason(bead) == "Suspended")
    await world.until_gone(BEAD, "deleted")

    gates.open("good", "paused")
    await change_bead(world, "paused", suspend=False)
    await world.succeeded("good", "paused")
    await world.until(BEAD, "again", lambda bead: bead["status"]["attempts"] == 2)
    (bad,) = await world.ended("bad")
    assert condition(bad, "Succeeded", "reason") == "Escalated"
    await world.quiet()
