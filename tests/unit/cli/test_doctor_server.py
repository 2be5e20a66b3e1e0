"""What `polecat doctor` says of the server, its clocks, CRDs and rights, and of whether an operator acts."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from polecat_api.crd import KINDS, build_crd
from polecat_api.times import format_time
from polecat_cli.doctor.checks_access import check_access
from polecat_cli.doctor.checks_crds import check_crds
from polecat_cli.doctor.checks_server import check_clocks, check_operator, check_version
from polecat_cli.doctor.facts import Access, Clocks, Facts, Finding
from polecat_cli.doctor.rights import Right, rights

Json = dict[str, Any]
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
CLOCKS = Clocks(here=NOW, server=NOW)
TOWN: Json = {"metadata": {"namespace": "default", "name": "main"}}


def told(findings: Iterable[Finding]) -> list[str]:
    return [str(finding) for finding in findings]


def ago(seconds: float) -> str:
    return format_time(NOW - timedelta(seconds=seconds))


@pytest.mark.parametrize("version", ["v1.29.0", "v1.36.3", "v1.30.5+k3s1", "v2.0.0"])
def test_servers_that_are_new_enough(version: str) -> None:
    assert told(check_version(Facts(CLOCKS, version=version))) == []


@pytest.mark.parametrize("version", ["v1.28.9", "v1.9.0", "", "nginx"])
def test_servers_that_are_too_old_or_none(version: str) -> None:
    (line,) = told(check_version(Facts(CLOCKS, version=version)))
    assert version in line


@pytest.mark.parametrize(("seconds", "words"), [(60, "60 s ahead of"), (-180, "3 min behind")])
def test_this_machines_clock(seconds: float, words: str) -> None:
    clocks = Clocks(here=NOW + timedelta(seconds=seconds), server=NOW)
    (line,) = told(check_clocks(Facts(clocks)))
    assert words in line


def test_a_slow_answer_is_no_skew() -> None:
    clocks = Clocks(here=NOW + timedelta(seconds=15), server=NOW, round_trip=timedelta(seconds=14))
    assert told(check_clocks(Facts(clocks))) == []


def test_clocks_of_pods_and_operator() -> None:
    town = {
        **TOWN,
        "status": {"pods": [{"name": "main-0", "seenTime": ago(-60)}, {"name": "main-1", "seenTime": ago(5)}]},
    }
    lease = {"spec": {"renewTime": ago(-30)}}
    lines = told(check_clocks(Facts(CLOCKS, towns=(town,), operator_lease=lease)))
    assert len(lines) == 2
    assert "pod main-0 is 60 s ahead" in lines[0]
    assert lines[1].startswith("operator: ")


def lease(age: float, holder: str = "up_1") -> Json:
    return {"spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": ago(age)}}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "none has ever run"),
        (lease(1, holder=""), "the last one has ended"),
        (lease(300), "up_1 has not renewed its Lease of 15 s for 5 min"),
        ({"spec": {"holderIdentity": "x", "renewTime": "soon"}}, "no time that can be read"),
    ],
)
def test_nobody_acts(found: Json | None, words: str) -> None:
    (line,) = told(check_operator(Facts(CLOCKS, towns=(TOWN,), operator_lease=found)))
    assert words in line


def test_an_operator_acts_or_is_not_needed() -> None:
    assert told(check_operator(Facts(CLOCKS, towns=(TOWN,), operator_lease=lease(14)))) == []
    assert told(check_operator(Facts(CLOCKS))) == []
    assert told(check_operator(Facts(CLOCKS, towns=(TOWN,), operator_lease_known=False))) == []


def crds() -> dict[str, Json]:
    return {crd["metadata"]["name"]: crd for crd in (deepcopy(build_crd(kind)) for kind in KINDS)}


def bead_schema(installed: dict[str, Json]) -> Json:
    schema: Json = installed["beads.polecat.dev"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def test_the_shipped_crds_are_right_and_unseen_ones_are_not_judged() -> None:
    assert told(check_crds(Facts(CLOCKS, crds=crds()))) == []
    assert told(check_crds(Facts(CLOCKS, crds=None))) == []


def test_no_crds() -> None:
    assert [line.split(" → ")[0] for line in told(check_crds(Facts(CLOCKS, crds={})))] == [
        f"CRD {kind.plural}.polecat.dev: is not installed" for kind in KINDS
    ]


def test_older_crds_lack_fields() -> None:
    installed = crds()
    del bead_schema(installed)["properties"]["spec"]["properties"]["limits"]
    (line,) = told(check_crds(Facts(CLOCKS, crds=installed)))
    assert "CRD beads.polecat.dev: is older than this version: it lacks spec.limits →" in line


def test_newer_crds_have_more_fields() -> None:
    installed = crds()
    bead_schema(installed)["properties"]["status"]["properties"]["mood"] = {"type": "string"}
    (line,) = told(check_crds(Facts(CLOCKS, crds=installed)))
    assert "is newer than this version: it also has status.mood →" in line


def test_other_versions_rules_and_subresources() -> None:
    served, ruled, bare, going = crds(), crds(), crds(), crds()
    served["beads.polecat.dev"]["spec"]["versions"][0]["name"] = "v1"
    bead_schema(ruled)["x-kubernetes-validations"].pop()
    bare["beads.polecat.dev"]["spec"]["versions"][0]["subresources"] = {}
    going["beads.polecat.dev"]["metadata"]["deletionTimestamp"] = ago(1)
    words = ["serves v1, and not v1alpha1", "other rules, limits or defaults", "other subresources", "is being deleted"]
    for installed, expected in zip((served, ruled, bare, going), words, strict=True):
        (line,) = told(check_crds(Facts(CLOCKS, crds=installed)))
        assert expected in line


def test_descriptions_and_order_make_no_difference() -> None:
    installed = crds()
    schema = bead_schema(installed)
    schema["description"] = "other words"
    schema["properties"]["spec"]["required"].reverse()
    assert told(check_crds(Facts(CLOCKS, crds=installed))) == []


ROLES: list[Json] = [
    {
        "kind": "ClusterRole",
        "metadata": {"name": "polecat-operator"},
        "rules": [{"apiGroups": ["polecat.dev"], "resources": ["beads/status"], "verbs": ["patch"]}],
    },
    {
        "kind": "Role",
        "metadata": {"name": "polecat-operator", "namespace": "polecat-system"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["key"], "verbs": ["get", "update"]}],
    },
    {
        "kind": "ClusterRole",
        "metadata": {"name": "polecat-town"},
        "rules": [{"apiGroups": ["polecat.dev"], "resources": ["beads"], "verbs": ["get"]}],
    },
]


def test_rights_come_from_the_shipped_roles() -> None:
    found = rights(ROLES, ["b", "a", "a"])
    assert [right for right in found if right.wanted] == [
        Right("polecat-system", "polecat-operator", None, "patch", "polecat.dev", "beads", "status"),
        Right("polecat-system", "polecat-operator", "polecat-system", "get", "", "secrets", name="key"),
        Right("polecat-system", "polecat-operator", "polecat-system", "update", "", "secrets", name="key"),
        Right("a", "polecat-town", "a", "get", "polecat.dev", "beads"),
        Right("b", "polecat-town", "b", "get", "polecat.dev", "beads"),
    ]
    too_much = [right for right in found if not right.wanted]
    assert {right.account_namespace for right in too_much} == {"polecat-system", "a", "b"}
    assert found[0].review()["spec"] == {
        "user": "system:serviceaccount:polecat-system:polecat-operator",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:polecat-system", "system:authenticated"],
        "resourceAttributes": {
            "verb": "patch",
            "group": "polecat.dev",
            "resource": "beads",
            "subresource": "status",
        },
    }


def access(verb: str, *, wanted: bool, allowed: bool) -> Access:
    return Access("team/polecat-town", "team", verb, "beads.polecat.dev", wanted=wanted, allowed=allowed)


def test_missing_and_excess_rights_are_one_line_each() -> None:
    verbs = ("get", "list", "watch", "patch", "create", "update")
    facts = Facts(
        CLOCKS,
        access=(
            *(access(verb, wanted=True, allowed=False) for verb in verbs),
            access("delete", wanted=False, allowed=True),
        ),
    )
    missing, excess = told(check_access(facts))
    assert missing.startswith("account team/polecat-town: may not get beads.polecat.dev in team, list ")
    assert "and 2 more" in missing
    assert "create rolebinding polecat-town --clusterrole=polecat-town --serviceaccount=team:polecat-town" in missing
    assert excess.startswith("account team/polecat-town: may delete beads.polecat.dev in team → ")


def test_right_rights_are_no_finding() -> None:
    facts = Facts(CLOCKS, access=(access("get", wanted=True, allowed=True), access("*", wanted=False, allowed=False)))
    assert told(check_access(facts)) == []
