"""How the agents of a pod reach the network: the proxy, and the domain's part of it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import urlsplit

import psutil

from polecat_town.domain.grants import REGISTRY_VARIABLES, passed_on
from polecat_town.domain.network import Network, open_network, proxied_network
from polecat_town.egress.proxy import EgressProxy
from polecat_town.egress.rules import Address, Rules, make_rules
from polecat_town.egress.upstream import read_upstreams
from polecat_town.settings import Settings

_SERVICE = "KUBERNETES_SERVICE"


async def open_egress(
    settings: Settings, api_server: str, endpoints: Callable[[], Iterable[str]]
) -> tuple[EgressProxy | None, Network]:
    """The running proxy, unless the network is left open, and the network for agents.

    `api_server` is a URL; `endpoints` gives URLs that rigs name for their models, which agents must reach.
    Raises OSError when the kernel refuses the rules.
    """
    if settings.agent_network == "Open":
        return None, open_network()
    servers = list(_api_servers(api_server, os.environ))
    addresses = await asyncio.to_thread(_addresses_of, [host for host, _ in servers])
    fixed = make_rules(settings.egress_allow, settings.egress_refuse, api_server=addresses, machine=_own_addresses())
    registries = frozenset(_hosts(passed_on(os.environ).get(name, "") for name in REGISTRY_VARIABLES))

    def rules() -> Rules:
        return replace(fixed, allowed_names=fixed.allowed_names | registries | frozenset(_hosts(endpoints())))

    proxy = EgressProxy(rules, read_upstreams(os.environ))
    url = await proxy.start()
    ports = settings.refused_ports | {port for _, port in servers}
    return proxy, await asyncio.to_thread(proxied_network, url, ports)


def _api_servers(url: str, environ: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    parts = urlsplit(url)
    if parts.hostname:
        yield parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    if environ.get(f"{_SERVICE}_HOST"):
        yield environ[f"{_SERVICE}_HOST"], int(environ.get(f"{_SERVICE}_PORT", "443"))


def _addresses_of(hosts: Iterable[str]) -> set[Address]:
    found: set[Address] = set()
    for host in hosts:
        try:
            entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            continue  # then it can't be reached by this name either
        found |= {ip_address(entry[4][0]) for entry in entries}
    return found


def _own_addresses() -> Iterator[Address]:
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            if entry.family in (socket.AF_INET, socket.AF_INET6):
                yield ip_address(entry.address.partition("%")[0])


def _hosts(urls: Iterable[str]) -> Iterator[str]:
    for url in urls:
        for each in url.split(","):  # GOPROXY is a list
            if host := urlsplit(each.strip()).hostname:
                yield host
