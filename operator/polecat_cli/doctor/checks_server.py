"""The API server's version, the clocks, and whether an operator acts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from polecat_cli.doctor.facts import Facts, Finding, at, name_of, seconds_text, time_at

OLDEST_SERVER = (1, 29)
"""The first version whose rules in CRDs (CEL) are stable and can name a field."""
SKEW_SECONDS = 10.0
"""Clocks further apart than this are told. Leases of towns last as long, and are judged across machines."""


def check_version(facts: Facts) -> Iterator[Finding]:
    """A server that is too old for the CRDs."""
    found = re.match(r"v?(\d+)\.(\d+)", facts.version)
    if found is None:
        yield Finding(
            "API server",
            f"says that its version is {facts.version!r}",
            "check that the kubeconfig's server is a Kubernetes API server",
        )
    elif (int(found[1]), int(found[2])) < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        yield Finding(
            "API server", f"is {facts.version}; the CRDs need {oldest} or newer", "upgrade the cluster's control plane"
        )


def check_clocks(facts: Facts) -> Iterator[Finding]:
    """This machine's clock, the operator's and those of town pods, against the API server's."""
    clocks = facts.clocks
    if clocks.server is not None:
        apart = (clocks.here - clocks.server).total_seconds()
        if abs(apart) > SKEW_SECONDS + clocks.round_trip.total_seconds():
            direction = "ahead of" if apart > 0 else "behind"
            yield Finding(
                "clock of this machine",
                f"is {seconds_text(abs(apart))} {direction} the API server's",
                "set both by NTP; leases and tokens are judged by them",
            )
    for town in facts.towns:
        for pod in at(town, "status", "pods") or ():
            seen = time_at(pod, "seenTime")
            if seen is not None and (ahead := (seen - clocks.now).total_seconds()) > SKEW_SECONDS:
                yield Finding(
                    f"town {name_of(town)}",
                    f"the clock of pod {at(pod, 'name')} is {seconds_text(ahead)} ahead of the API server's",
                    "set the clock of its node by NTP; leases and tokens are judged by it",
                )
    renewed = time_at(facts.operator_lease or {}, "spec", "renewTime")
    if renewed is not None and (ahead := (renewed - clocks.now).total_seconds()) > SKEW_SECONDS:
        yield Finding(
            "operator",
            f"its clock is {seconds_text(ahead)} ahead of the API server's",
            "set the clock of its node by NTP; tokens of agents are made by it",
        )


def check_operator(facts: Facts) -> Iterator[Finding]:
    """Nobody acts: no Lease, one that was given back, or one that is not renewed."""
    if not facts.operator_lease_known or not (facts.towns or facts.rigs or facts.beads or facts.polecats):
        return  # there is nothing for an operator to do
    start = "start the operator (`polecat up`, or its Deployment) and look at its log"
    if facts.operator_lease is None:
        yield Finding("operator", "none has ever run here", start)
    elif not at(facts.operator_lease, "spec", "holderIdentity"):
        yield Finding("operator", "the last one has ended, and no other has taken over", start)
    else:
        holder = at(facts.operator_lease, "spec", "holderIdentity")
        duration = at(facts.operator_lease, "spec", "leaseDurationSeconds") or 0
        renewed = time_at(facts.operator_lease, "spec", "renewTime")
        if renewed is None:
            yield Finding("operator", f"the Lease of {holder} has no time that can be read", start)
            return
        age = (facts.clocks.now - renewed).total_seconds()
        if age > duration + SKEW_SECONDS:
            yield Finding(
                "operator", f"{holder} has not renewed its Lease of {duration} s for {seconds_text(age)}", start
            )
