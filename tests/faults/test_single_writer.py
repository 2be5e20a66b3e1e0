"""The API server's own log of a whole run, held against the table of writers and against the RBAC rules."""

from __future__ import annotations

import asyncio

from api.test_rbac_accidents import ACCIDENTS
from faults.conftest import WatchWorld
from faults.test_changes import change_bead
from polecat_api.fields import OPERATOR, OWNERSHIP, TOWN, USER
from polecat_kube.resources import BEAD, POLECAT, RIG
from polecat_kube.resources import TOWN as TOWNS
from polecat_local.control_plane import ControlPlaneOptions
from polecat_local.dashboard import dashboard_url
from polecat_local.install import SYSTEM_NAMESPACE, USER_ACCOUNT, service_account_token
from support.audit import WRITES, Json, broken, changes, is_refused, read_audit_log, versions, who_sent
from support.dashboard_site import Browser
from support.rbac_use import Grant, shipped_grants, told, used
from support.whole import World, commit, condition, reason

ACCOUNTS = {
    "admin": USER,
    "system:serviceaccount:polecat-system:polecat-operator": OPERATOR,
    "system:serviceaccount:default:polecat-town": TOWN,
}
ADMINISTRATOR = "admin"
ROLES = {
    "system:serviceaccount:polecat-system:polecat-operator": ("polecat-operator",),
    "system:serviceaccount:default:polecat-town": ("polecat-town", "polecat-town-reviews"),
    "system:serviceaccount:polecat-system:polecat-dashboard": ("polecat-dashboard",),
}
"""The shipped roles of each account, but for polecat-operator-towns: see tests/api/test_rbac_towns.py."""
STREAM = Grant("polecat-dashboard", "get", "polecat.dev", "polecats/stream")
"""Nobody requests it: the town asks whether the dashboard has it, and then only gives it the stream."""
NOW = "$(date +%s%N)"


async def test_each_field_has_its_writer_and_each_right_its_use(watched_worlds: WatchWorld) -> None:
    """A field with two writers is a race; a right that nobody uses is a thief's. A run with success, failure,
    deletion, rerun, suspension, a viewer, and both programs started anew in the middle: each change of each field was
    made by the account that the table names, no account was refused anything, and each used all that it may.
    """
    world = await watched_worlds(
        control_plane=ControlPlaneOptions(unsafe_no_fsync=True, audit_log=True),
        # An operator that is started anew finds its signing key too old.
        operator_env={"POLECAT_OPERATOR_KEY_ROTATION_SECONDS": "1"},
        run_dashboard=True,
    )
    await run_of_all_kinds(world)
    await somebody_reads_a_stream(world)
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

    assert not [entry for entry in log if is_refused(entry) and who_sent(entry) in ACCOUNTS.keys() | ROLES.keys()]
    for account, roles in ROLES.items():
        grants = shipped_grants(*roles)
        assert not told(grants - used(grants, log, account) - ACCIDENTS.keys() - {STREAM})
    assert not [entry for entry in log if as_administrator(entry)]
    tokens = [entry for entry in log if is_write(entry, "secrets") and who_sent(entry) != ADMINISTRATOR]
    assert {(entry["verb"], ACCOUNTS.get(who_sent(entry), who_sent(entry))) for entry in tokens} == {
        ("create", OPERATOR),
        ("update", OPERATOR),
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


async def somebody_reads_a_stream(world: World) -> None:
    """The user of this machine signs in at the dashboard with a token, and reads what an agent has said."""
    plane = world.cluster.control_plane
    token = await service_account_token(plane.kubectl, plane.kubeconfig, SYSTEM_NAMESPACE, USER_ACCOUNT, hours=1)
    async with Browser(dashboard_url(world.cluster.data) or "", {}) as browser, asyncio.timeout(60):
        assert (await browser.sign_in(token)).status == 200
        while (answer := await browser.get(f"/api/streams/{world.namespace}/good/1/download")).status != 200:
            await asyncio.sleep(0.1)
    assert '"ended"' in answer.text


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
