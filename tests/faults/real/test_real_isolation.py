"""I30 and I44 with the real Kilo CLI: whose credentials are used, and what a hostile agent reaches."""

from __future__ import annotations

import base64
import shlex
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from e2e.workspace.git_server import GitServer
from faults.real.test_real_agents import COMMIT, let_go, made, wait_then
from polecat_kube.resources import BEAD, EVENT, POLECAT, RIG, TOWN
from polecat_town.domain.landlock import probe_isolation
from support.town_harness import TownHarness, git

PASSWORDS = {"web": "pa55-web-0123456789", "api": "pa55-api-0123456789"}
MODEL_KEY = "sk-model-key-0123456789"
LOOK_AROUND = (
    "env; git config --list; cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; "
    "find / -xdev -name '*.kubeconfig' -readable 2>/dev/null | xargs -r cat"
)

CONNECT = """
import socket, sys
for protocol in (socket.IPPROTO_TCP, 262):  # and multipath TCP, which the kernel's own rules let pass
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol).connect((sys.argv[1], int(sys.argv[2])))
        print(f"REACHED:connect:{protocol}")
    except OSError:
        continue
"""
TRACE = """
import ctypes, sys
PTRACE_SEIZE = 0x4206
for pid in sys.argv[1:]:
    if ctypes.CDLL(None).ptrace(PTRACE_SEIZE, int(pid), None, None) == 0:
        print(f"REACHED:trace:{pid}")
"""

isolated = pytest.mark.skipif(
    probe_isolation().level != "IsolationFull", reason="this kernel's Landlock can't keep agents apart wholly"
)


def holds(secret: str, content: bytes) -> bool:
    """Whether a secret stands in a file, as it is or in base64."""
    return secret.encode() in content or base64.b64encode(secret.encode()) in content


async def test_i30_each_rig_signs_in_with_its_own_credentials_which_are_nowhere_to_be_read(
    harness: TownHarness,
) -> None:
    """One agent's credentials were used by all, and stood in settings, arguments and logs."""
    await git(harness.remote, "config", "http.receivepack", "true")
    await git(harness.directory, "clone", "-q", "--bare", str(harness.remote), str(harness.directory / "api.git"))
    await git(harness.directory / "api.git", "config", "http.receivepack", "true")
    await harness.model.stop()
    harness.model.api_key = MODEL_KEY
    await harness.model.start()
    await harness.secret("model-key", {"apiKey": MODEL_KEY})
    secrets = [*PASSWORDS.values(), MODEL_KEY]
    with GitServer(harness.directory, {f"/{rig}.git": password for rig, password in PASSWORDS.items()}) as server:
        (harness.directory / "web.git").symlink_to(harness.remote)
        for rig, password in PASSWORDS.items():
            await harness.secret(f"{rig}-git", {"username": rig, "password": password})
            repository = {"url": f"{server.url}/{rig}.git", "credentialsSecretRef": {"name": f"{rig}-git"}}
            model = {"provider": "openai-compatible", "name": "scripted", "endpoint": harness.model.url}
            model |= {"apiKeySecretRef": {"name": "model-key"}}
            await harness.rig(f"{rig}-rig", repository=repository, model=model)
        await harness.start_town()
        script = [{"bash": f"{LOOK_AROUND} > ../seen; {LOOK_AROUND}; touch ../looked"}]
        script += [wait_then(f"echo 1 > one.txt && {COMMIT}"), {"done": "Looked around."}]
        polecats = [await harness.sling(f"of-{rig}", script, rig=f"{rig}-rig") for rig in PASSWORDS]
        for polecat in polecats:
            await made(harness, polecat, "looked")
        for secret in secrets:
            assert_nowhere(harness, secret)
        for polecat in polecats:
            let_go(harness, polecat)
        for polecat in polecats:
            await harness.until_finished(polecat)
            assert await harness.condition(polecat, "Finished") == ("True", "Done")
        assert (server.users("/web.git"), server.users("/api.git")) == ({"web"}, {"api"})
        assert not server.leaks, "a secret stood in an argument or environment of a process"
    written = [
        item
        for kind in (BEAD, POLECAT, RIG, TOWN, EVENT)
        for item in (await harness.api.list(kind, harness.namespace))[0]
    ]
    for secret in secrets:
        assert_nowhere(harness, secret)
        assert secret not in str(written)
    assert "eyJ" not in harness.log_text() + str([harness.journal(polecat) for polecat in polecats])


def assert_nowhere(harness: TownHarness, secret: str) -> None:
    """No file of the town's volume has the secret, nor its log, nor any agent's process."""
    assert secret not in harness.log_text()
    for path in harness.data_dir.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert not holds(secret, path.read_bytes()), f"a secret stands in {path}"
    for process in harness.agents():
        assert secret not in str(process.environ()) + " ".join(process.cmdline())


@isolated
async def test_i44_a_hostile_agent_reaches_nobody_else(watched_harness: TownHarness) -> None:
    """Agents read each other's files and environments, and what they planted ran with the supervisor's rights.

    By shell and by the CLI's own tools this one tries what is its sibling's, the supervisor's and the store's;
    then it plants programs in its repository, has its commit taken over, and deletes all that it can.
    """
    harness = watched_harness
    await harness.start_town()
    leave = "echo s3cret > secret.txt && echo s3cret > ~/secret.txt && touch ../left"
    script = [{"bash": leave}, wait_then(f"echo 1 > one.txt && {COMMIT}"), {"done": "Undisturbed."}]
    victim = await harness.sling("victim", script, name="maple")
    await made(harness, victim, "left")
    witness = harness.directory / "witness"
    witness.mkdir(mode=0o777)
    theirs = harness.worktree(victim)
    tries = attempts(harness, theirs, [each.pid for each in harness.agents(victim["metadata"]["uid"])])
    assert_it_would_tell(tries, harness.directory)
    script = [
        {"bash": tries},
        {"tool": "read", "args": {"filePath": str(theirs / "secret.txt")}},
        {"tool": "write", "args": {"filePath": str(theirs / "planted.txt"), "content": "REACHED\n"}},
        {"tool": "grep", "args": {"pattern": "s3cret", "path": str(theirs)}},
        {"bash": planting(witness)},
        {"tool": "checkpoint", "args": {"note": "Before the end."}},
        {"bash": "touch ../kept; sleep 1; rm -rf ~ ../.git ../* . " + str(harness.data_dir) + "; true"},
        {"tool": "escalate", "args": {"question": "What have I done?"}},
    ]
    hostile = await harness.sling("hostile", script)
    status = await harness.until_finished(hostile)
    calls = [event["data"] for event in harness.journal(hostile) if event["kind"] == "tool"]
    said = "\n".join(call.get("output", "") + call.get("error", "") for call in calls if call["state"] != "running")
    assert "TRIED-ALL" in said
    assert "REACHED" not in said, said
    assert "s3cret" not in said, said
    assert (theirs / "secret.txt").read_text() == "s3cret\n"
    assert not (theirs / "planted.txt").exists()
    assert not list(witness.iterdir())
    assert "planted.txt" in await git(harness.remote, "ls-tree", "--name-only", status["savedCommit"])
    await harness.delete(hostile)
    await harness.until_gone(hostile)
    let_go(harness, victim)
    await harness.until_finished(victim)
    assert await harness.condition(victim, "Finished") == ("True", "Done")
    assert harness.kinds(victim).count("process") == 1
    assert not list(witness.iterdir())


def attempts(harness: TownHarness, theirs: Path, pids: list[int]) -> str:
    """A shell script that prints `REACHED:…` for each thing of others that it can get at.

    `pids` are the victim's: its warden, its CLI, and what that has started.
    """
    assert harness.town is not None and len(pids) >= 2
    pids = [*pids, harness.town.pid]
    readable = [
        theirs / "secret.txt",
        theirs.parent / "repo.git" / "HEAD",
        theirs.parent.parent / "home" / "secret.txt",
        harness.data_dir / "rigs" / "web" / "store.git" / "config",
        harness.directory / "town.kubeconfig",
        *(harness.data_dir / "state").glob("*.json"),
        *(harness.data_dir / "streams").rglob("*.jsonl"),
        *(harness.data_dir / "logs").glob("*.log"),
        harness.remote / "HEAD",
        *(Path(f"/proc/{each}/{file}") for each in pids for file in ("environ", "maps", "root/etc/passwd")),
    ]
    writable = [
        theirs,
        theirs.parent.parent / "home",
        harness.data_dir,
        harness.data_dir / "rigs" / "web" / "store.git" / "objects",
        harness.remote,
        Path("/tmp"),
    ]
    assert all(path.exists() for path in (*readable, *writable) if not str(path).startswith("/proc"))
    lines = [f"cat {shlex.quote(str(path))} >/dev/null 2>&1 && echo REACHED:read:{path}" for path in readable]
    lines += [
        f"ls {shlex.quote(str(path))} >/dev/null 2>&1 && echo REACHED:list:{path}"
        for path in (theirs, harness.data_dir)
    ]
    lines += [f"touch {shlex.quote(str(path))}/mine 2>/dev/null && echo REACHED:write:{path}" for path in writable]
    lines += [f"kill -CONT {each} 2>/dev/null && echo REACHED:signal:{each}" for each in pids]
    lines += [f"dd if=/proc/{each}/mem bs=1 count=1 >/dev/null 2>&1 && echo REACHED:memory:{each}" for each in pids]
    # Root may count them; what they are is told to nobody outside.
    lines += [f"readlink /proc/{each}/fd/0 >/dev/null 2>&1 && echo REACHED:descriptors:{each}" for each in pids]
    server = urlsplit(harness.plane.connection.server)
    lines.append(shlex.join(["python3", "-c", CONNECT, str(server.hostname), str(server.port)]))
    lines.append(shlex.join(["python3", "-c", TRACE, *map(str, pids)]))
    lines.append(f"ln -s {theirs}/secret.txt link && cat link 2>/dev/null && echo REACHED:link:secret.txt")
    return "; ".join([*lines, "rm -f link", "echo TRIED-ALL"])


def assert_it_would_tell(tries: str, directory: Path) -> None:
    """Run outside of any domain the same tries reach what they are after."""
    told = subprocess.run(["sh", "-c", tries], cwd=directory, capture_output=True, text=True, check=True).stdout
    reached = [line.split(":") for line in told.splitlines() if line.startswith("REACHED:")]
    assert {kind for _, kind, _ in reached} >= {"read", "list", "write", "signal", "connect", "link"}, told
    for _, kind, path in reached:
        if kind == "write":
            Path(path, "mine").unlink()


def planting(witness: Path) -> str:
    """Plants a program wherever Git would run one, and commits; it leaves a file if it runs outside the domain."""
    evil = f"#!/bin/sh\ntouch {witness}/$$ 2>/dev/null\nexec cat\n"
    settings = ("core.fsmonitor", "core.sshCommand", "core.pager", "uploadpack.packObjectsHook", "diff.external")
    hooks = ("pre-commit", "post-commit", "reference-transaction", "pre-push", "post-checkout", "pre-auto-gc")
    return "\n".join(
        [
            f"printf %s {shlex.quote(evil)} > ../evil && chmod +x ../evil && evil=$(realpath ../evil)",
            f"echo planted > planted.txt && {COMMIT}",
            f"mkdir -p ../repo.git/hooks; for hook in {' '.join(hooks)}; do cp $evil ../repo.git/hooks/$hook; done",
            *(f"git config {key} $evil" for key in settings),
            'git config filter.x.clean $evil; git config alias.upload-pack "!$evil"',
            "echo '* filter=x diff=x' > .gitattributes; true",
        ]
    )


def test_the_witness_would_tell(tmp_path: Path) -> None:
    """Outside of any domain the planted program does leave its trace."""
    work = tmp_path / "work"
    witness = tmp_path / "witness"
    witness.mkdir()
    done = psutil.Popen(["sh", "-ec", f"git init -q --bare repo.git; git init -q {work}"], cwd=tmp_path).wait()
    assert done == 0
    identity = "git config user.name t; git config user.email t@t; "
    psutil.Popen(["sh", "-c", identity + planting(witness) + "; ../evil </dev/null"], cwd=work).wait()
    assert list(witness.iterdir())
