"""Which of the shipped RBAC rules an API server's audit log shows in use.

A rule is taken apart into grants: one verb on one resource. `patch` that answers 201 has created the object, which
takes the right to create as well; roles that are given to somebody take the right to bind them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import yaml

from support.audit import Json, is_refused
from support.paths import ROOT

ROLE_KINDS = ("ClusterRole", "Role")
_BINDINGS = ("rolebindings", "clusterrolebindings")


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One verb on one resource, of one role."""

    role: str
    verb: str
    group: str
    resource: str
    """With its subresource: `beads/status`."""
    name: str = ""
    """The only object that it is about; all of them when empty."""

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.role}: {self.verb} {resource} {self.name}".rstrip()


def shipped_grants(*roles: str) -> set[Grant]:
    """All grants of the shipped roles with these names; a Role counts under the name of its account's ClusterRole."""
    found: set[Grant] = set()
    for file in sorted((ROOT / "manifests/base").glob("rbac-*.yaml")):
        for item in yaml.safe_load_all(file.read_text()):
            if item["kind"] in ROLE_KINDS and item["metadata"]["name"] in roles:
                found.update(_grants(item))
    return found


def _grants(role: Json) -> Iterator[Grant]:
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames", [""]):
                        yield Grant(role["metadata"]["name"], verb, group, resource, name)


def used(grants: Iterable[Grant], log: Iterable[Json], account: str) -> set[Grant]:
    """Those of the grants without which a request of the account would have been refused."""
    asked = {each for entry in log if entry["user"]["username"] == account for each in _rights(entry)}
    return {
        grant
        for grant in grants
        if any(
            right[:3] == (grant.verb, grant.group, grant.resource) and grant.name in ("", right[3]) for right in asked
        )
    }


def _rights(entry: Json) -> Iterator[tuple[str, str, str, str]]:
    """Verb, group, resource and name of what a request needed."""
    about = entry.get("objectRef")
    if about is None or is_refused(entry):
        return
    group, name = about.get("apiGroup", ""), about.get("name", "")
    resource = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
    yield entry["verb"], group, resource, name
    created = entry.get("responseStatus", {}).get("code") == 201
    if entry["verb"] == "patch" and created:
        yield "create", group, resource, name
    if resource in _BINDINGS and created:
        # The name of the binding says which role it gives; see admission-operator.yaml.
        role = "polecat-town-reviews" if resource == "clusterrolebindings" else "polecat-town"
        yield "bind", group, "clusterroles", role


def told(grants: Collection[Grant]) -> list[str]:
    """One line for each."""
    return [str(grant) for grant in sorted(grants)]
