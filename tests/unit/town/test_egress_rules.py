"""Where agents are let out to, which proxy the pod itself uses, and how requests to the proxy are read."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from polecat_town.egress.requests import BadRequestError, parse_request
from polecat_town.egress.rules import PRIVATE, Rules, make_rules
from polecat_town.egress.upstream import Upstream, read_upstreams

API = ip_address("34.1.2.3")
OWN = ip_address("203.0.113.7")


def rules(allow: str = "") -> Rules:
    return make_rules(allow, PRIVATE, api_server=[API], machine=[OWN])


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_the_world_is_let_through(address: str) -> None:
    assert rules().refusal("example.com", ip_address(address)) is None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.1.2.3", "169.254.169.254", "100.100.100.200", "168.63.129.16", "224.0.0.1",
        "255.255.255.255", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "203.0.113.7", "34.1.2.3",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd12::1", "fec0::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:34.1.2.3", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1",
        "2002:7f00:1::", "2002:0a00:1::",
    ],
)  # fmt: skip
def test_what_is_inside_is_refused_in_every_form(address: str) -> None:
    assert rules().refusal("evil.example.com", ip_address(address)) is not None


@pytest.mark.parametrize(
    ("allow", "host", "address", "passes"),
    [
        ("10.0.0.0/8", "anything", "10.1.2.3", True),
        ("nexus.corp", "Nexus.Corp.", "10.1.2.3", True),
        ("nexus.corp", "evil.nexus.corp", "10.1.2.3", False),
        (".corp", "nexus.corp", "10.1.2.3", True),
        (".corp", "corp", "10.1.2.3", False),
        (".corp", "nexuscorp", "10.1.2.3", False),
        # A name is no licence for this machine and metadata: who serves the name chooses the address.
        ("nexus.corp", "nexus.corp", "127.0.0.1", False),
        ("nexus.corp", "nexus.corp", "169.254.169.254", False),
        ("127.0.0.1", "localhost", "127.0.0.1", True),
        # The API server is not to be had at all.
        ("34.0.0.0/8,api.corp", "api.corp", "34.1.2.3", False),
    ],
)
def test_what_is_allowed(allow: str, host: str, address: str, passes: bool) -> None:
    assert (rules(allow).refusal(host, ip_address(address)) is None) is passes


def test_names_that_another_proxy_resolves() -> None:
    made = rules("nexus.corp.internal")
    inside = ("localhost", "intranet", "kubernetes.default.svc", "web.cluster.local", "metadata.google.internal")
    assert all(made.refused_name(host) for host in inside)
    assert not [host for host in ("example.com", "nexus.corp.internal") if made.refused_name(host)]


def test_a_range_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="host bits"):
        make_rules("10.0.0.1/8", "")
    with pytest.raises(ValueError, match="appear to be"):
        make_rules("", "private")


def test_the_pods_own_proxy() -> None:
    environ = {"HTTPS_PROXY": "http://me:p%40ss@proxy.corp:3128", "http_proxy": "proxy.corp"}
    made = read_upstreams({**environ, "NO_PROXY": ".svc, 10.0.0.0/8,example.com"})
    assert made.https == Upstream("proxy.corp", 3128, False, "Basic bWU6cEBzcw==")
    assert made.http == Upstream("proxy.corp", 80, False, None)
    assert "p@ss" not in repr(made) and "bWU6" not in repr(made)
    assert made.choose("github.com", tunnel=True) is made.https
    assert made.choose("github.com", tunnel=False) is made.http
    for host in ("web.svc", "10.1.2.3", "example.com", "a.example.com"):
        assert made.choose(host, tunnel=True) is None, host
    assert made.choose("badexample.com", tunnel=True) is made.https
    assert read_upstreams({"https_proxy": "http://p", "no_proxy": "*"}).choose("x.org", tunnel=True) is None
    assert read_upstreams({"https_proxy": "socks5://p:1", "http_proxy": "http://p:port"}) == read_upstreams({})


def test_requests_are_read_and_written_anew() -> None:
    tunnel = parse_request(b"CONNECT [2606:4700::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (tunnel.tunnel, tunnel.host, tunnel.port, tunnel.authority) == (
        True, "2606:4700::1", 443, "[2606:4700::1]:443",
    )  # fmt: skip
    head = (
        b"GET http://Example.com:8080/a%20b?c=d HTTP/1.1\r\nHost: example.com:8080\r\nProxy-Authorization: Basic x\r\n"
        b"Connection: keep-alive\r\nAccept: */*\r\n\r\n"
    )
    plain = parse_request(head)
    assert (plain.host, plain.port, plain.path) == ("example.com", 8080, "/a%20b?c=d")
    assert plain.head(plain.path) == (
        b"GET /a%20b?c=d HTTP/1.1\r\nHost: example.com:8080\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1", b"GET ftp://x/ HTTP/1.1", b"GET https://x/ HTTP/1.1", b"CONNECT x HTTP/1.1", b"\x16\x03\x01",
        b"CONNECT x:port HTTP/1.1", b"CONNECT x:443/a HTTP/1.1", b"GET http:///a HTTP/1.1", b"CONNECT a@x:443 HTTP/1.1",
        b"CONNECT x:99999 HTTP/1.1", b"CONNECT [fe80::1%25eth0]:443 HTTP/1.1",
    ],
)  # fmt: skip
def test_what_is_no_request(head: bytes) -> None:
    with pytest.raises(BadRequestError):
        parse_request(head + b"\r\n\r\n")


def test_addresses_of_both_families_are_kept_apart() -> None:
    """The number of `::1` is that of 0.0.0.1: an address must not change its family on the way."""
    made = make_rules("", "", api_server=[IPv4Address(1 << 30)])
    assert made.refusal("x", IPv6Address(1 << 30)) is None
