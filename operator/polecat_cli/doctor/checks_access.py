"""Whether the accounts of operator and town may do what they need, and no more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from polecat_cli.doctor.facts import Access, Facts, Finding
from polecat_local.install import SYSTEM_NAMESPACE, TOWN_REVIEWS_ROLE

_TOLD = 4
"""So many rights are named in one finding."""


def check_access(facts: Facts) -> Iterator[Finding]:
    """One finding for each account that lacks rights, and one for each that has too many."""
    wrong: dict[tuple[str, bool], list[Access]] = defaultdict(list)
    for each in facts.access:
        if each.allowed != each.wanted:
            wrong[each.account, each.wanted].append(each)
    for (account, wanted), all_of_it in wrong.items():
        told = ", ".join(map(_words, all_of_it[:_TOLD]))
        more = f" and {len(all_of_it) - _TOLD} more" if len(all_of_it) > _TOLD else ""
        yield Finding(f"account {account}", f"{'may not' if wanted else 'may'} {told}{more}", _advice(account, wanted))


def _words(access: Access) -> str:
    where = f"in {access.namespace}" if access.namespace else "in all namespaces"
    return f"{access.verb} {access.resource} {where}"


def _advice(account: str, wanted: bool) -> str:
    namespace, _, name = account.partition("/")
    if not wanted:
        return (
            "find the binding that grants it (`kubectl get clusterrolebindings,rolebindings -A -o wide`) and remove it"
        )
    apply = "apply manifests/base"
    if namespace == SYSTEM_NAMESPACE:
        return apply
    return (
        f"{apply}, and bind its ClusterRoles: `kubectl -n {namespace} create rolebinding {name} --clusterrole={name} "
        f"--serviceaccount={namespace}:{name}` and `kubectl create clusterrolebinding {name}-{namespace} "
        f"--clusterrole={TOWN_REVIEWS_ROLE} --serviceaccount={namespace}:{name}`"
    )
