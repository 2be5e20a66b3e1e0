"""I44 inside a pod: what a hostile agent reaches of its siblings, the supervisor, and the cluster."""

from __future__ import annotations

import json

from support.node import MARKS
from support.node.world import NodeWorld
from support.whole import commit, condition

pytestmark = MARKS


TRY = r"""
import errno, json, os, pathlib, signal, socket, subprocess
reached = []

def read(path):
    try:
        if pathlib.Path(path).read_bytes():
            reached.append(f"read {path}")
    except OSError:
        pass

def connect(host, port):
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
        reached.append(f"connect {host}:{port}")
    except OSError as error:
        # Nobody there is no protection: what is refused must be refused by the kernel, before a packet leaves.
        if error.errno not in (errno.EACCES, errno.EPERM):
            reached.append(f"packet to {host}:{port} ({error})")

account = "/var/run/secrets/kubernetes.io/serviceaccount"
for file in ("token", "ca.crt", "namespace"):
    read(f"{account}/{file}")
me = os.getpid()
mine = {me, os.getppid()}
for pid in (int(each) for each in os.listdir("/proc") if each.isdigit()):
    line = pathlib.Path(f"/proc/{pid}/cmdline")
    try:
        words = line.read_bytes().split(b"\0")
        own = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        words, own = [], b""
    if os.environ["POLECAT_UID"].encode() in own:
        continue
    for file in ("environ", "mem", "maps", "root/etc/hostname"):
        if file != "mem":
            read(f"/proc/{pid}/{file}")
        else:
            try:
                open(f"/proc/{pid}/mem", "rb").close()
                reached.append(f"open /proc/{pid}/mem")
            except OSError:
                pass
    try:
        os.kill(pid, signal.SIGCONT)
        reached.append(f"signal {pid}")
    except OSError:
        pass
for root, directories, files in os.walk("/data"):
    for name in files:
        path = os.path.join(root, name)
        if "/objects/" not in path and f"/{os.environ['HOME'].split('/')[4]}/" not in path:
            read(path)
for path in ("/data/mine", "/data/rigs/web/store.git/mine", "/tmp/mine", "/etc/mine", "/opt/mine"):
    try:
        pathlib.Path(path).touch()
        reached.append(f"write {path}")
    except OSError:
        pass
server = os.environ.get("KUBERNETES_SERVICE_HOST") or "10.0.0.1"
for host, port in ((server, 443), ("%(node)s", 6443), ("%(node)s", 10250), ("169.254.169.254", 80)):
    connect(host, port)
for command in (["unshare", "-U", "true"], ["mount", "-t", "tmpfs", "tmpfs", "/mnt"], ["chroot", "/", "true"]):
    if subprocess.run(command, capture_output=True).returncode == 0:
        reached.append(" ".join(command))
caps = [line for line in open("/proc/self/status") if line.startswith(("CapEff", "NoNewPrivs", "Seccomp:"))]
if [line.split()[1] for line in caps] != ["0000000000000000", "1", "2"]:
    reached.append(f"rights {caps}")
print("RESULT", json.dumps(reached))
"""


async def test_i44_a_hostile_agent_in_a_pod_reaches_nobody_else(world: NodeWorld) -> None:
    """It looks for tokens, other processes, other files, ways out of its rights, and what is behind the network."""
    server = world.cluster.plane.connection.server
    node, api_port = server.removeprefix("https://").split(":")
    # Pods know the server by its Service; the port behind that is one that no cluster but this would have.
    refused = {"name": "POLECAT_TOWN_AGENT_REFUSED_PORTS", "value": f"80,443,2379,2380,6443,10250,10255,{api_port}"}
    await world.town(slots=2, env=[refused])
    await world.rig()
    leave = "echo s3cret > secret.txt && echo s3cret > ~/secret.txt"
    steps = [{"bash": leave}, {"bash": world.gates.command("victim")}, commit("one.txt"), {"done": "Undisturbed."}]
    await world.bead("victim", steps)
    await world.arrived("victim")
    program = TRY % {"node": node, "api_port": api_port}
    tries = f"cat > try.py <<'END'\n{program}\nEND\npython3 try.py"
    await world.bead("hostile", [{"bash": tries}, {"tool": "escalate", "args": {"question": "What now?"}}])
    (hostile,) = await world.ended("hostile")
    assert condition(hostile, "Succeeded", "reason") == "Escalated"
    (result,) = [output for output in await tool_outputs(world) if "RESULT" in output]
    assert result.partition("RESULT ")[2].strip() == "[]"
    world.gates.open("victim")
    (bead,) = await world.succeeded("victim")
    assert (bead["status"]["attempts"], bead["status"]["interruptions"]) == (1, 0)
    await world.quiet()


def tries_at(world: NodeWorld) -> str:
    """The program, with this cluster's addresses."""
    return TRY % {"node": world.cluster.plane.connection.server.removeprefix("https://").partition(":")[0]}


async def tool_outputs(world: NodeWorld) -> list[str]:
    """What the agents' tools have given back, as the pod's log has it."""
    lines = [json.loads(line) for line in (await world.run("logs", "main-0")).splitlines() if line.startswith("{")]
    events = [line["event"]["data"] for line in lines if line.get("event", {}).get("kind") == "tool"]
    return [data["output"] for data in events if data["state"] == "completed"]


async def test_the_tries_would_tell(world: NodeWorld) -> None:
    """Run by the supervisor's own account, outside of any domain, the same tries reach what they are after."""
    await world.town(slots=1)
    await world.rig()
    program = tries_at(world)
    environment = ["env", "POLECAT_UID=nobody", "HOME=/data/rigs/web/nobody/home"]
    said = await world.run("exec", "-i", "main-0", "--", *environment, "python3", "-", stdin=program)
    reached = json.loads(said.rpartition("RESULT ")[2])
    kinds = {each.split()[0] for each in reached}
    assert {"read", "signal", "write", "connect"} <= kinds, reached
    assert any(each.endswith("serviceaccount/token") for each in reached), reached
