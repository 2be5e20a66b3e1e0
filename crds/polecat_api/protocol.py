"""What operator and town agree on beside the resources: labels, names of objects, the token, the clocks."""

from __future__ import annotations

from polecat_api import GROUP

FINALIZER = f"{GROUP}/worktree"
"""On each Polecat; removed by the supervisor when process, commits and worktree are settled."""

LABEL_RIG = f"{GROUP}/rig"
LABEL_TOWN = f"{GROUP}/town"
LABEL_POD = f"{GROUP}/pod"
LABEL_BEAD_UID = f"{GROUP}/bead-uid"

OPERATOR_MANAGER = "polecat-operator"
"""Field manager of the operator."""


def town_manager(pod: str) -> str:
    """Field manager of a town pod."""
    return f"polecat-town-{pod}"


REPOSITORY_MANAGER = "polecat-town-repository"
"""Field manager of the condition RepositoryReady, whichever pod looked."""

HEARTBEAT_SECONDS = 30
"""How often a supervisor reports `heartbeatTime` and its entry of the town, give or take a fifth."""

FENCING_SECONDS = 600
"""A supervisor that can't renew its Lease for so long stops its agents and saves their work by itself."""

FENCE_MARGIN_SECONDS = 120
"""How much longer than `FENCING_SECONDS` the operator waits before it gives a silent pod's work to another."""

TOKEN_ISSUER = "polecat-operator"  # noqa: S105 - a name, no secret
TOKEN_AUDIENCE_AGENT = "polecat-agent"  # noqa: S105
TOKEN_AUDIENCE_STREAMS = "polecat-streams"  # noqa: S105
"""Audience of a service account's token that is good for reading streams of towns, and nothing else."""
TOKEN_LEEWAY_SECONDS = 120
"""How far the clocks of two machines may be apart."""
TOKEN_ALGORITHM = "EdDSA"  # noqa: S105
TOKEN_KEY = "token"  # noqa: S105
"""The key of the JWT in its Secret."""
CLAIM_BEAD = "bead"
"""Token claim: UID of the bead."""
CLAIM_ATTEMPT = "attempt"
"""Token claim: serial number of the attempt."""

JWKS_CONFIG_MAP = "polecat-jwks"
"""ConfigMap in each namespace with a Town: public keys of the operator under `JWKS_KEY`."""
JWKS_KEY = "jwks.json"

API_KEY_SECRET_KEY = "apiKey"  # noqa: S105
USERNAME_SECRET_KEY = "username"  # noqa: S105
PASSWORD_SECRET_KEY = "password"  # noqa: S105
GIT_TOKEN_SECRET_KEY = "token"  # noqa: S105
"""Another name of the password, as what makes tokens writes it."""
SSH_KEY_SECRET_KEY = "ssh-privatekey"  # noqa: S105
KNOWN_HOSTS_SECRET_KEY = "known_hosts"  # noqa: S105
CA_SECRET_KEY = "ca.crt"  # noqa: S105
PROXY_SECRET_KEY = "proxy"  # noqa: S105


def token_secret_name(polecat: str) -> str:
    """Name of the Secret with the JWT of a Polecat (object name)."""
    return f"{polecat}-token"


def pod_lease_name(pod: str) -> str:
    """Name of the Lease that a town pod renews while it may run agents."""
    return f"polecat-town-{pod}"


OPERATOR_LEASE = "polecat-operator"
"""Name of the Lease that decides which operator acts."""

LISTEN_PORTS = range(20_000, 32_768)
"""Loopback ports for listeners that are started a moment after their port was chosen. They lie below the range that
Linux takes the ports of outgoing connections from (32768 up): in that moment no connection can take one away."""
