"""What an agent of a pod reaches of the pod's account, the API server, and the world."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from polecat_town.domain.landlock import probe_isolation
from support.loopback import on_loopback
from support.town_harness import LONG, TownHarness

TOKEN = "s3cret-token-of-the-pod"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
WORLD = "127.0.0.2"

isolated = pytest.mark.skipif(
    probe_isolation().level != "IsolationFull", reason="this kernel's Landlock can't keep agents apart wholly"
)

REACH = """
import os, socket, sys, urllib.request

def tell(what, host, port, protocol=0, flags=0):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as plug:
            plug.sendto(b"x", flags, (host, port)) if flags else plug.connect((host, port))
    except OSError as error:
        print(what, error)
    else:
        print("REACHED", what)

def fetch(what, url):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            print("REACHED", what, answer.read(100))
    except Exception as error:
        print(what, error, getattr(error, "read", lambda *_: b"")(300))

host, port = sys.argv[1].split(":")
tell("the API server", host, int(port))
tell("the API server by MPTCP", host, int(port), 262)
tell("the API server by Fast Open", host, int(port), 0, 0x20000000)
tell("the kubelet", "127.0.0.1", 10250)
tell("metadata", "169.254.169.254", 80)
os.environ["no_proxy"] = os.environ["NO_PROXY"] = ""
fetch("the API server through the proxy", "https://" + sys.argv[1] + "/version")
fetch("metadata through the proxy", "http://169.254.169.254/latest/meta-data/")
fetch("loopback through the proxy", "http://127.0.0.1:" + port + "/")
fetch("the world", sys.argv[2])
"""


@isolated
async def test_i44_an_agent_reaches_the_world_and_nothing_of_the_cluster(harness: TownHarness) -> None:
    """With the pod's token an agent could do what the town may: write its siblings' status, read their Secrets."""
    app = web.Application()
    app.router.add_get("/", hello)
    api = urlsplit(harness.plane.connection.server).netloc
    async with on_loopback(app, WORLD) as world:
        await harness.start_town(egress_allow=WORLD)
        script = [{"bash": f"cat > reach.py <<'EOF'\n{REACH}\nEOF\npython3 reach.py {api} {world}/; echo TRIED-ALL"}]
        polecat = await harness.sling("curious", [*script, {"bash": LONG}])

        async def tried() -> bool:
            return "TRIED-ALL" in said(harness, polecat)

        await harness.until(tried, "it has tried all")
    text = said(harness, polecat)
    reached = [line.removeprefix("REACHED ") for line in text.splitlines() if line.startswith("REACHED")]
    assert reached == ["the world b'hello'"], text
    assert text.count("Permission denied") == 3, text
    assert "API server" in text and "403" in text
    entry = await harness.pod_entry()
    assert entry is not None and entry["isolation"] == "IsolationFull"


@pytest.fixture
def account(harness: TownHarness) -> Iterator[None]:
    """The supervisor runs in a mount namespace in which a pod's account lies where the kubelet puts it."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare to give the supervisor files of its own")
    mount = (
        f"mount -t tmpfs account /run && mkdir -p {ACCOUNT} && printf %s {TOKEN} > {ACCOUNT}/token && "
        f'cat {ACCOUNT}/token && exec "$@"'
    )
    harness.around = ("unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    yield


@isolated
@pytest.mark.usefixtures("account")
async def test_i44_the_token_of_the_pods_account_is_not_there_for_agents(harness: TownHarness) -> None:
    await harness.start_town()
    assert TOKEN in harness.log_text(), "the supervisor itself can read it"
    look = f"cat {ACCOUNT}/token; ls -R /run /var/run; cat /proc/*/root{ACCOUNT}/token; echo TRIED-ALL"
    polecat = await harness.sling("curious", [{"bash": look}, {"bash": LONG}])

    async def tried() -> bool:
        return "TRIED-ALL" in said(harness, polecat)

    await harness.until(tried, "it has looked")
    text = said(harness, polecat)
    assert TOKEN not in text and "serviceaccount:" not in text, text


@isolated
async def test_an_open_network_is_told(harness: TownHarness) -> None:
    await harness.start_town(agent_network="Open")
    entry = await harness.pod_entry()
    assert entry is not None
    assert entry["isolation"] == "IsolationPartial"
    assert "POLECAT_TOWN_AGENT_NETWORK is Open" in entry["message"]


async def hello(_: web.Request) -> web.Response:
    """What the world says."""
    return web.Response(text="hello")


def said(harness: TownHarness, polecat: dict[str, object]) -> str:
    """What the agent's commands have printed."""
    calls = [event["data"] for event in harness.journal(polecat) if event["kind"] == "tool"]
    return "\n".join(str(call.get("output", "")) for call in calls if call["state"] != "running")
