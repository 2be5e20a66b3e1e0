"""Which rights the accounts of operator and town should have, from the shipped RBAC rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from polecat_api.untrusted import Json
from polecat_local.install import (
    OPERATOR_ACCOUNT,
    OPERATOR_TOWNS_ROLE,
    SYSTEM_NAMESPACE,
    TOWN_ACCOUNT,
    TOWN_REVIEWS_ROLE,
)


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource, for one account."""

    account_namespace: str
    account: str
    namespace: str | None
    """Where; None means all namespaces."""
    verb: str
    group: str
    resource: str
    subresource: str = ""
    name: str = ""
    wanted: bool = True
    """False for what the account must not be allowed."""

    @property
    def shown(self) -> str:
        """The resource as kubectl names it."""
        full = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{full}{'/' if self.subresource else ''}{self.subresource}{' ' if self.name else ''}{self.name}"

    def review(self) -> Json:
        """The body of a SubjectAccessReview that asks for it."""
        attributes = {
            "verb": self.verb,
            "group": self.group,
            "resource": self.resource,
            "subresource": self.subresource,
            "name": self.name,
            "namespace": self.namespace or "",
        }
        return {
            "spec": {
                "user": f"system:serviceaccount:{self.account_namespace}:{self.account}",
                "groups": [
                    "system:serviceaccounts",
                    f"system:serviceaccounts:{self.account_namespace}",
                    "system:authenticated",
                ],
                "resourceAttributes": {key: value for key, value in attributes.items() if value},
            }
        }


def rights(manifests: Iterable[Json], town_namespaces: Iterable[str]) -> list[Right]:
    """What the shipped roles grant, to the operator and to the town account of each namespace; and what is too much."""
    towns = sorted(set(town_namespaces))
    found: list[Right] = []
    for manifest in manifests:
        kind, name = manifest.get("kind"), manifest.get("metadata", {}).get("name")
        if kind == "ClusterRole" and name in (OPERATOR_ACCOUNT, OPERATOR_TOWNS_ROLE):
            found += _granted(manifest, SYSTEM_NAMESPACE, OPERATOR_ACCOUNT, None)
        elif kind == "Role" and name == OPERATOR_ACCOUNT:
            found += _granted(manifest, SYSTEM_NAMESPACE, OPERATOR_ACCOUNT, manifest["metadata"]["namespace"])
        elif kind == "ClusterRole" and name == TOWN_ACCOUNT:
            for namespace in towns:
                found += _granted(manifest, namespace, TOWN_ACCOUNT, namespace)
        elif kind == "ClusterRole" and name == TOWN_REVIEWS_ROLE:
            for namespace in towns:
                found += _granted(manifest, namespace, TOWN_ACCOUNT, None)
    accounts = [(SYSTEM_NAMESPACE, OPERATOR_ACCOUNT), *((namespace, TOWN_ACCOUNT) for namespace in towns)]
    for namespace, account in accounts:
        # Agents run beside the town's supervisor: whoever takes its token must not get the cluster.
        found.append(Right(namespace, account, None, "list", "", "secrets", wanted=False))
        found.append(Right(namespace, account, None, "*", "*", "*", wanted=False))
    return found


def _granted(role: Json, account_namespace: str, account: str, namespace: str | None) -> Iterator[Right]:
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for whole in rule["resources"]:
                resource, _, subresource = whole.partition("/")
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames", [""]):
                        yield Right(account_namespace, account, namespace, verb, group, resource, subresource, name)
