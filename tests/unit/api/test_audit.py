"""The reading of an audit log tells who wrote what, and finds a second writer."""

from typing import Any

from polecat_api.fields import OPERATOR, TOWN, USER
from support.audit import broken, changes, is_refused, versions

Json = dict[str, Any]
ROLES = {"admin": USER, "op": OPERATOR, "pod": TOWN}
SPEC = {"rigRef": {"name": "web"}, "title": "one", "dependsOn": ["zero"]}
READY = {"type": "Ready", "status": "True", "reason": "Ok"}
REPOSITORY = {"type": "RepositoryReady", "status": "True", "reason": "RepositoryOk"}


def entry(who: str, number: int, kind: str, second: int = 0, uri: str = "/", **parts: Any) -> Json:
    """One line of the log."""
    meta = {"namespace": "n", "name": "one", "uid": f"u-{kind}", "resourceVersion": str(number)}
    return {
        "verb": "patch",
        "requestURI": uri,
        "stageTimestamp": f"2026-11-24T06:00:{second:02}.000000Z",
        "user": {"username": who},
        "objectRef": {"apiGroup": "polecat.dev"},
        "responseStatus": {"code": 200},
        "responseObject": {"apiVersion": "polecat.dev/v1alpha1", "kind": kind, "metadata": meta, **parts},
    }


def test_each_field_is_told_with_who_changed_it_in_the_order_of_storing() -> None:
    log = [
        entry("op", 12, "Bead", spec=SPEC, status={"attempts": 1, "result": {"commits": 2}}),
        entry("admin", 9, "Bead", spec=SPEC),
        entry("op", 10, "Bead", spec=SPEC, status={"attempts": 0, "polecat": "toast"}),
    ]
    found = list(changes(log))
    assert not broken(found, ROLES)
    told = [(change.who, change.path, change.before, change.after) for change in found]
    assert told == [
        ("admin", "spec.dependsOn", None, ["zero"]),
        ("admin", "spec.rigRef.name", None, "web"),
        ("admin", "spec.title", None, "one"),
        ("op", "status.attempts", None, 0),
        ("op", "status.polecat", None, "toast"),
        ("op", "status.attempts", 0, 1),
        ("op", "status.polecat", "toast", None),
        ("op", "status.result.commits", None, 2),
    ]


def test_a_second_writer_and_a_field_outside_the_table_are_found() -> None:
    log = [
        entry("admin", 1, "Bead", spec=SPEC),
        entry("pod", 2, "Bead", spec=SPEC, status={"attempts": 1}),
        entry("op", 3, "Bead", spec={**SPEC, "title": "two", "colour": "red"}, status={"attempts": 1}),
    ]
    assert broken(changes(log), ROLES) == [
        "pod changed status.attempts of Bead n/one from None to 1 (Bead.status.attempts belongs to operator)",
        "op changed spec.colour of Bead n/one from None to 'red' (Bead.spec.colour belongs to nobody)",
        "op changed spec.title of Bead n/one from 'one' to 'two' (Bead.spec.title belongs to user)",
    ]


def test_conditions_and_entries_of_pods_have_their_own_writers() -> None:
    rig = [
        entry("admin", 1, "Rig", spec={"checks": []}),
        entry("pod", 2, "Rig", spec={"checks": []}, status={"conditions": [REPOSITORY]}),
        entry("op", 3, "Rig", spec={"checks": []}, status={"conditions": [READY, REPOSITORY]}),
    ]
    assert not broken(changes(rig), ROLES)
    stolen = entry("op", 4, "Rig", spec={"checks": []}, status={"conditions": [READY]})
    assert [change.path for change in changes([*rig, stolen])][-1] == "status.conditions[RepositoryReady]"
    assert len(broken(changes([*rig, stolen]), ROLES)) == 1
    pods = [{"name": "main-0", "ready": True, "rigs": ["web"]}]
    town = [entry("pod", 5, "Town", status={"pods": pods}), entry("op", 6, "Town", status={"pods": pods, "queued": 2})]
    assert [change.field for change in changes(town)] == [
        "Town.status.pods[].name",
        "Town.status.pods[].ready",
        "Town.status.pods[].rigs",
        "Town.status.queued",
    ]
    assert not broken(changes(town), ROLES)


def test_what_was_not_stored_does_not_count() -> None:
    refused = {**entry("pod", 2, "Bead"), "responseObject": {"apiVersion": "v1", "kind": "Status"}}
    refused["responseStatus"] = {"code": 403}
    tried = entry("pod", 2, "Bead", uri="/x?dryRun=All", spec={"title": "x"})
    # Answered with the version that the other one has stored a moment ago.
    nothing_new = entry("pod", 1, "Bead", second=5, spec=SPEC)
    log = [refused, tried, nothing_new, entry("admin", 1, "Bead", second=4, spec=SPEC)]
    assert [(each.number, each.who) for each in versions(log)["u-Bead"]] == [(1, "admin")]
    assert [is_refused(each) for each in log] == [True, False, False, False]
