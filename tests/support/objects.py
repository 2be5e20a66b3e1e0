"""Objects that a test needs only one field of."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def polecat_spec(**changes: Any) -> Json:
    """The spec of a Polecat that the API server takes."""
    return {
        "name": "toast",
        "rigRef": {"name": "web"},
        "townRef": {"name": "main"},
        "beadRef": {"name": "fix-login", "uid": "3fa2b19c-0000-4000-8000-000000000000"},
        "attempt": 1,
        "pod": "main-0",
        "branch": "polecat/toast/3fa2b1",
        "baseBranch": "main",
        "title": "Fix the login",
        "model": "some-model",
        "limits": {},
        "tokenSecretRef": {"name": "web-toast-token"},
        **changes,
    }


def rules_without(rules: list[Json], *resources: str) -> list[Json]:
    """The rules of a role but for those about these resources."""
    return [rule for rule in rules if not set(resources) & set(rule["resources"])]
