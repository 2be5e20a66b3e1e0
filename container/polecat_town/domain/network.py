"""What the processes of a domain may reach over the network."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from polecat_town.domain.launch import CLOSED, NETWORK_ABI, OPEN, abi_version, create_connect_ruleset
from polecat_town.domain.sockets import socket_filter

LOOPBACK = "127.0.0.1,localhost,::1"
_PORTS = range(1, 1 << 16)


@dataclass(frozen=True, slots=True)
class Network:
    """How processes reach the network; told to the launcher and to the processes themselves."""

    way: str | int = OPEN
    """As the launcher takes it: open, closed, or the descriptor of a ruleset."""
    sockets: bytes = field(default=b"", repr=False)
    """Filter of system calls that belongs to it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables by which programs find the proxy."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a new process must inherit."""
        return (self.way,) if isinstance(self.way, int) else ()


def open_network() -> Network:
    """All that the pod can reach."""
    return Network()


def closed_network() -> Network:
    """No TCP at all, as far as the kernel can: for our own Git commands on what belongs to an agent."""
    return Network(CLOSED, socket_filter(platform.machine()) or b"")


def proxied_network(proxy_url: str, refused_ports: Iterable[int]) -> Network:
    """All TCP ports but `refused_ports`; what is behind those is reached through the proxy, if it lets it pass.

    Takes about 50 ms; the ruleset is kept for the life of this process. Raises OSError when the kernel refuses it.
    """
    environment = proxy_environment(proxy_url)
    if abi_version() < NETWORK_ABI:
        return Network(OPEN, b"", environment)
    refused = frozenset(refused_ports)
    ruleset = create_connect_ruleset(port for port in _PORTS if port not in refused)
    return Network(ruleset, socket_filter(platform.machine()) or b"", environment)


def proxy_environment(proxy_url: str) -> dict[str, str]:
    """The usual variables, in both cases, as programs differ in which they read; loopback is reached directly."""
    named = {"http_proxy": proxy_url, "https_proxy": proxy_url, "no_proxy": LOOPBACK}
    upper = {key.upper(): value for key, value in named.items()}
    # Node's own `fetch` looks at them only when it is told to (version 22.21 and newer).
    return {**named, **upper, "NODE_USE_ENV_PROXY": "1"}
