"""Who writes each field and who reads it: one writer, at least one reader.

A test holds this table against the models and against the code: a field that is missing here, that its writer
never names, or that none of its readers names, fails it.
"""

from __future__ import annotations

from dataclasses import dataclass

USER = "user"
OPERATOR = "operator"
TOWN = "town"

PACKAGES = {
    OPERATOR: "polecat_operator",
    TOWN: "polecat_town",
    "cli": "polecat_cli",
    "local": "polecat_local",
    "dashboard": "polecat_dashboard",
}
"""The package whose source must name the field, for each writer and reader that is a program.

`kubectl` as a reader means: shown in a column. `user` means: read by people in the object itself, as it is the
answer to something they asked for.
"""


@dataclass(frozen=True, slots=True)
class Ownership:
    """One row of the table."""

    writer: str
    readers: tuple[str, ...]


def _rows(kind: str, text: str) -> dict[str, Ownership]:
    rows = {}
    for line in text.strip().splitlines():
        path, writer, *readers = line.split()
        rows[f"{kind}.{path}"] = Ownership(writer, tuple(readers))
    return rows


OWNERSHIP: dict[str, Ownership] = {
    **_rows(
        "Town",
        """
        spec.replicas                        user      operator
        spec.slots                           user      operator town
        spec.image                           user      operator
        spec.resources.requests.cpu          user      operator
        spec.resources.requests.memory       user      operator
        spec.resources.limits.cpu            user      operator
        spec.resources.limits.memory         user      operator
        spec.storage.size                    user      operator
        spec.storage.className               user      operator
        spec.agentMemory                     user      town operator
        spec.streamRetention.ageSeconds      user      town
        spec.streamRetention.totalSize       user      town
        spec.nodeSelector                    user      operator
        spec.tolerations[].key               user      operator
        spec.tolerations[].operator          user      operator
        spec.tolerations[].value             user      operator
        spec.tolerations[].effect            user      operator
        spec.tolerations[].tolerationSeconds  user     operator
        spec.env[].name                      user      operator
        spec.env[].value                     user      operator
        spec.podAnnotations                  user      operator
        spec.imagePullSecrets[].name         user      operator
        status.observedGeneration            operator  user
        status.replicas                      operator  kubectl
        status.selector                      operator  user
        status.polecats                      operator  kubectl
        status.queued                        operator  kubectl
        status.pods[].name                   town      operator
        status.pods[].uid                    town      operator
        status.pods[].ready                  town      operator
        status.pods[].reason                 town      operator
        status.pods[].message                town      operator
        status.pods[].isolation              town      operator
        status.pods[].slotsUsed              town      user
        status.pods[].memoryBytes            town      operator
        status.pods[].memoryLimitBytes       town      operator
        status.pods[].cpuLimitMillicores     town      dashboard
        status.pods[].rigs                   town      operator
        status.pods[].streamsURL             town      dashboard
        status.pods[].seenTime               town      operator
        status.conditions                    operator  kubectl
        """,
    ),
    **_rows(
        "Rig",
        """
        spec.townRef.name                    user      operator
        spec.repository.url                  user      town
        spec.repository.defaultBranch        user      operator town
        spec.repository.credentialsSecretRef.name  user  town
        spec.polecats.max                    user      operator
        spec.polecats.names                  user      operator
        spec.branchPrefix                    user      operator town
        spec.setupCommand                    user      town
        spec.checks                          user      town
        spec.model.provider                  user      town
        spec.model.name                      user      operator
        spec.model.small                     user      town
        spec.model.endpoint                  user      town
        spec.model.apiKeySecretRef.name      user      town
        status.observedGeneration            operator  user
        status.polecats                      operator  kubectl
        status.queued                        operator  kubectl
        status.conditions                    operator  kubectl
        """,
    ),
    **_rows(
        "Bead",
        """
        spec.rigRef.name                     user      operator
        spec.title                           user      operator
        spec.prompt                          user      town
        spec.priority                        user      operator
        spec.dependsOn                       user      operator
        spec.suspend                         user      operator
        spec.baseBranch                      user      operator
        spec.model                           user      operator
        spec.limits.attempts                 user      operator
        spec.limits.runSeconds               user      operator
        spec.limits.quietSeconds             user      operator
        spec.rerun                           user      operator
        status.observedGeneration            operator  user
        status.state                         operator  kubectl
        status.queuePosition                 operator  kubectl
        status.polecat                       operator  town
        status.attempts                      operator  operator
        status.interruptions                 operator  operator
        status.priorAttempts                 operator  operator
        status.consecutiveFailures           operator  operator
        status.observedRerun                 operator  operator
        status.nextAttemptTime               operator  operator
        status.branch                        operator  kubectl
        status.baseCommit                    operator  user
        status.headCommit                    operator  user
        status.savedCommit                   operator  operator
        status.savedRef                      operator  user
        status.result.summary                operator  user
        status.result.commits                operator  user
        status.result.filesChanged           operator  user
        status.result.insertions             operator  user
        status.result.deletions              operator  user
        status.usage.inputTokens             operator  user
        status.usage.outputTokens            operator  user
        status.usage.costMicroUSD            operator  user
        status.startTime                     operator  operator
        status.completionTime                operator  operator
        status.conditions                    operator  kubectl
        """,
    ),
    **_rows(
        "Polecat",
        """
        spec.name                            operator  operator
        spec.rigRef.name                     operator  town
        spec.townRef.name                    operator  operator
        spec.beadRef.name                    operator  town
        spec.beadRef.uid                     operator  town
        spec.attempt                         operator  town operator
        spec.pod                             operator  town
        spec.branch                          operator  town
        spec.baseBranch                      operator  town
        spec.startCommit                     operator  town
        spec.title                           operator  town
        spec.model                           operator  town
        spec.limits.attempts                 operator  user
        spec.limits.runSeconds               operator  town
        spec.limits.quietSeconds             operator  town
        spec.tokenSecretRef.name             operator  town
        status.claim.pod                     town      town
        status.claim.podUID                  town      operator
        status.claim.time                    town      user
        status.process.pid                   town      user
        status.process.startTime             town      user
        status.sessionID                     town      user
        status.worktree                      town      user
        status.heartbeatTime                 town      kubectl
        status.progressTime                  town      user
        status.activity                      town      kubectl
        status.baseCommit                    town      operator
        status.headCommit                    town      user
        status.publishedCommit               town      operator
        status.savedCommit                   town      operator
        status.savedRef                      town      operator
        status.result.summary                town      operator
        status.result.commits                town      operator
        status.result.filesChanged           town      operator
        status.result.insertions             town      operator
        status.result.deletions              town      operator
        status.usage.inputTokens             town      operator
        status.usage.outputTokens            town      operator
        status.usage.costMicroUSD            town      operator
        status.memoryBytes                   town      dashboard
        status.cpuMillicores                 town      dashboard
        status.exit.reason                   town      user
        status.exit.exitCode                 town      user
        status.exit.signal                   town      user
        status.exit.message                  town      operator
        status.exit.logTail                  town      user
        status.conditions                    town      operator
        """,
    ),
}

CONDITION_WRITERS: dict[str, str] = {
    "Rig.status.conditions[RepositoryReady]": TOWN,
}
"""Conditions that are written by another than the row of `conditions` says: only the town sees the repository."""
