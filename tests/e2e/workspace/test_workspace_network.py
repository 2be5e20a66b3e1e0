"""What processes of an agent reach over TCP, by whatever protocol, and how they stand back behind the supervisor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from polecat_town.domain.domain import AGENT_NICENESS, Command, Completed, Domain, agent_domain, run_in_domain
from polecat_town.domain.grants import prefix_of
from polecat_town.domain.landlock import describe_isolation, measure_isolation
from polecat_town.domain.launch import NETWORK_ABI, OUT_OF_MEMORY_STEP, abi_version
from polecat_town.domain.network import Network, closed_network, open_network, proxied_network
from support.loopback import listener

REFUSED = 443
networked = pytest.mark.skipif(abi_version() < NETWORK_ABI, reason="this kernel's Landlock knows no network rules")

CONNECT = """
import json, socket, sys
port, protocol, way = json.loads(sys.argv[1])
try:
    plug = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    target = ("127.0.0.1", port)
    if way == "sendto":
        plug.sendto(b"x", 0x20000000, target)
    elif way == "sendmsg":
        plug.sendmsg([b"x"], [], 0x20000000, target)
    else:
        plug.connect(target)
    print("CONNECTED")
except OSError as error:
    print(error)
"""
WAYS = [(0, "connect"), (262, "connect"), (0, "sendto"), (0, "sendmsg")]


@pytest.fixture
def rig_dir(tmp_path: Path) -> Path:
    made = tmp_path / "rigs" / "web"
    (made / "toast").mkdir(parents=True)
    return made


@pytest.fixture
async def heard() -> AsyncIterator[int]:
    """The port of somebody who listens on loopback."""
    async with listener() as port:
        yield port


async def python(rig_dir: Path, network: Network, script: str, *arguments: str) -> Completed:
    """Runs a script as the agent would."""
    domain: Domain = agent_domain(rig_dir, "toast").at_work(network)
    domain = replace(domain, read_only=(*domain.read_only, *prefix_of(Path(sys.executable).parent, Path.home())))
    command = Command((sys.executable, "-I", "-c", script, *arguments), rig_dir / "toast", {"PATH": os.environ["PATH"]})
    return await run_in_domain(domain, command, marker="u", timeout_seconds=60)


async def connects(rig_dir: Path, network: Network, port: int, protocol: int, way: str) -> bool:
    done = await python(rig_dir, network, CONNECT, json.dumps([port, protocol, way]))
    assert done.ok, done.output
    return "CONNECTED" in done.output


@networked
@pytest.mark.parametrize(("protocol", "way"), WAYS)
async def test_a_refused_port_is_out_of_reach_by_every_protocol(
    rig_dir: Path, heard: int, protocol: int, way: str
) -> None:
    """Multipath TCP, and data sent with the first packet, go round the kernel's own rules."""
    if (protocol, way) == WAYS[0]:  # kernels may lack the others
        assert await connects(rig_dir, open_network(), heard, protocol, way), "nobody listens"
    network = proxied_network("http://127.0.0.1:1", [heard])
    assert not await connects(rig_dir, network, heard, protocol, way)


@networked
async def test_other_ports_are_reached_and_services_can_be_started(rig_dir: Path, heard: int) -> None:
    network = proxied_network("http://127.0.0.1:1", [REFUSED])
    assert await connects(rig_dir, network, heard, 0, "connect")
    serve = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); print(socket.create_connection(s.getsockname()))"
    )
    assert (await python(rig_dir, network, serve)).ok


@networked
async def test_our_own_git_commands_have_no_network_at_all(rig_dir: Path, heard: int) -> None:
    for protocol, way in WAYS:
        assert not await connects(rig_dir, closed_network(), heard, protocol, way)


@networked
async def test_io_uring_is_as_if_the_kernel_had_none(rig_dir: Path) -> None:
    script = (
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True); print(libc.syscall(425, 1, 0), ctypes.get_errno())"
    )
    done = await python(rig_dir, proxied_network("http://127.0.0.1:1", [REFUSED]), script)
    assert done.output.split() == ["-1", "38"]


async def test_agents_stand_back_behind_the_supervisor(rig_dir: Path) -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text())
    script = "import os; print(os.nice(0), open('/proc/self/oom_score_adj').read())"
    done = await python(rig_dir, open_network(), script)
    niceness, score = map(int, done.output.split())
    assert niceness == min(19, os.nice(0) + AGENT_NICENESS)
    assert score == min(1000, own + OUT_OF_MEMORY_STEP)


@networked
async def test_what_holds_is_measured(rig_dir: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    network = proxied_network("http://127.0.0.1:1", [REFUSED])
    domain = agent_domain(rig_dir, "toast").at_work(network)
    tight = await measure_isolation(domain, rig_dir / "toast", [secret], REFUSED)
    assert tight == describe_isolation(abi_version())
    # Each hole in the wall is found.
    leaky = replace(domain, read_only=(*domain.read_only, secret))
    told = await measure_isolation(leaky, rig_dir / "toast", [secret], REFUSED)
    assert told.level == "IsolationPartial" and f"reads {secret}" in told.message
    unfiltered = replace(network, sockets=b"")
    told = await measure_isolation(domain.at_work(unfiltered), rig_dir / "toast", [secret], REFUSED)
    assert told.level == "IsolationPartial"
    assert f"connects to port {REFUSED} by TCP Fast Open" in told.message
    told = await measure_isolation(domain.at_work(open_network()), rig_dir / "toast", [secret], 0)
    assert told.level == "IsolationPartial" and "POLECAT_TOWN_AGENT_NETWORK" in told.message


def test_others_of_its_user_cannot_read_the_supervisor() -> None:
    """Without Landlock this is all that keeps the keys that it holds in memory."""
    script = (
        "import ctypes; from polecat_town.pod.guard import become_unreadable as b; b(); "
        "print(ctypes.CDLL(None).prctl(3), flush=True); input()"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"0\n", "the kernel would let others look"
        for file in ("environ", "mem", "maps") if os.geteuid() else ():
            with pytest.raises(PermissionError):
                Path(f"/proc/{process.pid}/{file}").read_bytes()
        process.communicate(b"\n")
