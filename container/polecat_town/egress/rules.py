"""Where agents may be let out to. What counts is the address that is connected to, never a name alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
AddressRange = IPv4Network | IPv6Network

NEVER = tuple(
    ip_network(text)
    for text in (
        # This machine, its link, groups, and what is set aside (RFC 6890).
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "224.0.0.0/3",
        "::/128", "::1/128", "fe80::/9", "ff00::/8",
        # Metadata outside of the link-local ranges: AWS, Alibaba Cloud, Azure.
        "fd00:ec2::254/128", "100.100.100.200/32", "168.63.129.16/32",
    )
)  # fmt: skip
PRIVATE = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7"
"""Pods, services, nodes and whatever else is inside (RFC 1918, 6598, 4193)."""
INSIDE_NAMES = ("localhost", "local", "internal", "svc", "cluster.local")
"""Names, with all below them, that mean something inside; for hosts that somebody else resolves."""
_TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
"""IPv4 addresses behind a translator (RFC 6052, RFC 8215)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is let through; the first that matches counts."""

    api_server: frozenset[Address] = frozenset()
    """Never, whatever else is said."""
    allowed: tuple[AddressRange, ...] = ()
    """Always."""
    never: tuple[AddressRange, ...] = NEVER
    allowed_names: frozenset[str] = frozenset()
    """Hosts whose addresses may be among the refused; one that begins with a dot stands for all below it."""
    refused: tuple[AddressRange, ...] = ()

    def refusal(self, host: str, address: Address) -> str | None:
        """Why a connection for `host` may not go to this address; None if it may."""
        for each in _forms(address):
            if each in self.api_server:
                return f"{host} is the API server of the cluster"
            if _within(each, self.allowed):
                continue
            if _within(each, self.never):
                return f"{host} ({address}) is this machine, its network's own, or a metadata service"
            if _within(each, self.refused) and not named(host, self.allowed_names):
                return f"{host} ({address}) is inside; POLECAT_TOWN_EGRESS_ALLOW can let it through"
        return None

    def refused_name(self, host: str) -> str | None:
        """The same for a name that only another proxy can resolve."""
        if named(host, self.allowed_names) or ("." in host and not named(host, _INSIDE)):
            return None
        return f"{host} is a name from inside; POLECAT_TOWN_EGRESS_ALLOW can let it through"


def make_rules(
    allow: str, refuse: str, *, api_server: Iterable[Address] = (), machine: Iterable[Address] = ()
) -> Rules:
    """From settings: comma separated ranges and, in `allow`, names. Raises ValueError for a range that is none.

    `machine` has this machine's own addresses.
    """
    ranges, hosts = [], set()
    for word in _words(allow):
        found = _range(word)
        if found is None:
            hosts.add(word.lower().rstrip("."))
        else:
            ranges.append(found)
    return Rules(
        api_server=frozenset(api_server),
        allowed=tuple(ranges),
        allowed_names=frozenset(hosts),
        never=(*NEVER, *(ip_network(each) for each in machine)),
        refused=tuple(ip_network(word) for word in _words(refuse)),
    )


def named(host: str, names: Iterable[str]) -> bool:
    """Whether a host is one of the names, or lies below one that begins with a dot."""
    plain = host.lower().rstrip(".")
    return any(plain == name or (name.startswith(".") and plain.endswith(name)) for name in names)


_INSIDE = (*INSIDE_NAMES, *(f".{name}" for name in INSIDE_NAMES))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _range(word: str) -> AddressRange | None:
    try:
        return ip_network(word)
    except ValueError:
        if "/" in word:
            raise
        return None


def _within(address: Address, ranges: Iterable[AddressRange]) -> bool:
    return any(address in each for each in ranges)


def _forms(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 address that a packet to it ends at."""
    if isinstance(address, IPv4Address):
        yield address
        return
    plain = IPv6Address(int(address))  # without a zone
    inner = plain.ipv4_mapped or plain.sixtofour or (plain.teredo[1] if plain.teredo else None)
    if inner is None and any(plain in each for each in _TRANSLATED):
        inner = IPv4Address(int(plain) & 0xFFFFFFFF)
    if plain.ipv4_mapped is None:
        yield plain
    if inner is not None:
        yield inner
