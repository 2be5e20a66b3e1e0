"""What isolation the kernel gives: by the version of its interface, and by what a process inside has tried."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from polecat_town.domain.domain import Command, Domain, run_in_domain
from polecat_town.domain.grants import prefix_of
from polecat_town.domain.launch import NETWORK_ABI, SCOPES_ABI, abi_version
from polecat_town.errors import DomainError

_TRIES = Path(__file__).with_name("tries.py")
_TRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Isolation:
    """How well agents are kept apart; the town's condition Isolated says so."""

    level: Literal["IsolationFull", "IsolationPartial", "IsolationNone"]
    abi: int
    """Version of the kernel's Landlock interface; 0 when it has none."""
    message: str


def probe_isolation() -> Isolation:
    """Asks the kernel; changes nothing."""
    return describe_isolation(abi_version())


def describe_isolation(
    abi: int, *, network_open: bool = False, filtered: bool = True, reached: Sequence[str] = ()
) -> Isolation:
    """What a version of the interface holds, and what it does not.

    `network_open`: by the pod's settings. `filtered`: system calls that go round the network's rules can be refused
    on this machine. `reached`: what a process inside got at nevertheless.
    """
    if abi < 1:
        return Isolation(
            "IsolationNone",
            0,
            "The kernel has no Landlock (Linux 5.13 or newer, with landlock among the LSMs): agents run under the "
            "same user without walls between them, can read and change each other's files, and reach whatever "
            "the pod reaches.",
        )
    missing = [
        text
        for since, text in (
            (2, "agents can't move files from one directory to another"),
            (3, "agents can truncate files outside of their directory that their user may write"),
            (
                NETWORK_ABI,
                "agents can connect to the API server and to all else that the pod reaches (Linux 6.7 holds)",
            ),
            (5, "device ioctls are not restricted"),
            (SCOPES_ABI, "agents can signal each other's processes and use each other's abstract sockets"),
        )
        if abi < since
    ]
    if abi >= NETWORK_ABI and network_open:
        missing.append("agents reach whatever the pod reaches, as POLECAT_TOWN_AGENT_NETWORK is Open")
    elif abi >= NETWORK_ABI and not filtered:
        missing.append("on this kind of machine agents can go round the network's rules by other protocols than TCP")
    if reached:
        missing.append(f"tried inside, an agent {', '.join(reached)}")
    if missing:
        text = f"Landlock ABI {abi}: files are kept apart, but {'; '.join(missing)}."
        return Isolation("IsolationPartial", abi, text[:1024])
    return Isolation(
        "IsolationFull",
        abi,
        f"Landlock ABI {abi}: an agent reaches its own directory, the system and the repository's objects only, "
        "can't signal or trace processes outside, and connects to the world through the pod's proxy, which keeps it "
        "from the API server, metadata services and what is inside.",
    )


async def measure_isolation(domain: Domain, scratch: Path, secrets: Iterable[Path], port: int) -> Isolation:
    """Runs a process in the domain of an agent that tries what it must not reach; says what it did reach.

    `scratch` is a directory of the domain, `secrets` are files and directories outside of it, `port` is one of the
    refused ones, 0 when the network is open.
    """
    abi = abi_version()
    if not abi:
        return describe_isolation(0)
    programs = tuple(prefix_of(Path(sys.executable).parent, Path.home()))
    inside = replace(domain, read_only=(*domain.read_only, *programs, _TRIES))
    port = port if abi >= NETWORK_ABI else 0
    what = json.dumps({"files": [str(path) for path in secrets], "pid": os.getpid(), "port": port})
    command = Command((sys.executable, "-I", "-S", str(_TRIES), what), scratch, {})
    try:
        done = await run_in_domain(inside, command, marker="", timeout_seconds=_TRY_SECONDS)
        reached = json.loads(done.output)
    except (DomainError, ValueError) as error:
        reached = [f"could not be watched ({error})"]
    filtered = bool(domain.network.sockets)
    return describe_isolation(abi, network_open=not port and abi >= NETWORK_ABI, filtered=filtered, reached=reached)
