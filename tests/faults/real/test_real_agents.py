"""I25, I34, I35, I41, I42 with the real Kilo CLI: what agents do, by tools that are really theirs."""

from __future__ import annotations

import asyncio
import json
import time

from e2e.supervisor.test_supervisor_done import outputs
from e2e.supervisor.test_supervisor_guards import operations
from e2e.workspace.test_workspace_hostile import daemons, sleeping
from faults.test_agents import call_tool
from faults.test_surroundings import ask
from polecat_api.protocol import TOKEN_LEEWAY_SECONDS
from support.town_harness import Json, TownHarness, git

COMMIT = "git add -A && git commit -q -m Work"
WAIT = "while [ ! -e ../go ]; do sleep 0.1; done"
"""Until the test makes the file `go` beside the worktree."""


def wait_then(command: str = "true") -> Json:
    """The step of an agent that waits for the test, and then does something."""
    return {"bash": f"{WAIT}; {command}", "timeout_seconds": 600}


def let_go(harness: TownHarness, polecat: Json) -> None:
    """Lets an agent go on that waits for the test."""
    (harness.worktree(polecat).parent / "go").touch()


async def made(harness: TownHarness, polecat: Json, file: str) -> None:
    """Waits until the agent has made a file beside its worktree."""

    async def there() -> bool:
        return (harness.worktree(polecat).parent / file).exists()

    await harness.until(there, f"the agent has made {file}")


async def test_i25_done_without_commit_elsewhere_dirty_and_three_times_at_once(watched_harness: TownHarness) -> None:
    """An agent said that it was done, and was not, or said it twice: each gets a clear answer."""
    harness = watched_harness
    await harness.start_town()
    script = [
        {"done": "There is nothing."},
        {"bash": f"git switch -q -c elsewhere && echo 1 > one.txt && {COMMIT}"},
        {"done": "On a branch of my own."},
        {"bash": "git switch -q - && git merge -q elsewhere && echo 2 > forgotten.txt"},
        {"done": "With something forgotten."},
        {"bash": f"{COMMIT}; touch ../committed"},
        wait_then(),
    ]
    polecat = await harness.sling("eager", script)
    await made(harness, polecat, "committed")
    nothing, elsewhere, dirty = outputs(harness, polecat)
    assert "no commit" in nothing
    assert "elsewhere" in elsewhere
    assert "forgotten.txt" in dirty
    token = harness.signer.token(polecat["metadata"]["uid"], polecat["spec"]["beadRef"]["uid"], 1)
    answers = await asyncio.gather(*(call_tool(harness, token, "done", summary=f"Call {n}.") for n in range(3)))
    status = await harness.until_finished(polecat)
    assert await harness.condition(polecat, "Finished") == ("True", "Done")
    assert status["result"]["commits"] == 2
    assert any("Accepted" in text for _, text in answers), answers
    assert harness.kinds(polecat).count("pushed") == 1
    refs = await harness.remote_refs()
    assert refs[f"refs/heads/{polecat['spec']['branch']}"] == status["publishedCommit"]
    assert "refs/heads/elsewhere" not in refs


async def test_i34_only_the_agent_that_leaks_is_stopped(watched_harness: TownHarness) -> None:
    """One agent's memory grew until the container was killed with all the others."""
    harness = watched_harness
    await harness.limit_memory("1500Mi")
    await harness.start_town()
    leak = 'python3 -c "import time; kept = [bytes([n]) * (200 << 20) for n in range(1, 11)]; time.sleep(600)"'
    hungry = await harness.sling("hungry", [{"bash": f"echo 1 > one.txt && {COMMIT} && {leak}"}])
    modest = await harness.sling("modest", [wait_then(f"echo 2 > two.txt && {COMMIT}"), {"done": "ok"}], name="maple")
    status = await harness.until_finished(hungry)
    assert await harness.condition(hungry, "Finished") == ("True", "OutOfMemory")
    assert "1500 MiB" in status["exit"]["message"]
    assert "one.txt" in await git(harness.remote, "ls-tree", "--name-only", status["savedCommit"])
    assert not harness.agents(hungry["metadata"]["uid"])
    await harness.until_running(modest)
    let_go(harness, modest)
    await harness.until_finished(modest)
    assert await harness.condition(modest, "Finished") == ("True", "Done")
    assert harness.kinds(modest).count("process") == 1


async def test_i35_daemons_of_every_kind_end_with_the_polecat(watched_harness: TownHarness) -> None:
    """Servers and daemons that agents had started were left behind: in sessions of their own, without the marker,
    without a parent, deaf to SIGTERM; one agent is done, the other one kills its own CLI.
    """
    harness = watched_harness
    await harness.start_town()
    first = {"toast": 711, "maple": 721}
    polecats = {}
    for name, number in first.items():
        script = [
            {"bash": f"({daemons(number)}) >/dev/null 2>&1 & echo 1 > one.txt && {COMMIT}; touch ../made"},
            wait_then("[ $USER = toast ] || kill -9 $KILO_PID"),
            {"done": "Started."},
        ]
        polecats[name] = await harness.sling(f"daemons-of-{name}", script, name=name)
    for name, polecat in polecats.items():
        await made(harness, polecat, "made")

        async def all_there(there: range = range(first[name], first[name] + 6)) -> bool:
            return sleeping(*there) == len(there)

        await harness.until(all_there, f"the daemons of {name} run")
        let_go(harness, polecat)
    for name, reason in (("toast", "Done"), ("maple", "AgentFailed")):
        await harness.until_finished(polecats[name])
        assert await harness.condition(polecats[name], "Finished") == ("True", reason)
        await harness.delete(polecats[name])
        await harness.until_gone(polecats[name])
        assert not sleeping(*range(first[name], first[name] + 6))


async def test_i41_clocks_apart_stop_no_work_and_a_revoked_token_is_refused(watched_harness: TownHarness) -> None:
    """A token ran out in a long session. Here one runs out before its agent starts, by a clock that is almost two
    minutes behind, and one begins almost two minutes from now; each carries an agent to its end.
    """
    harness = watched_harness
    await harness.start_town()
    now, apart = int(time.time()), TOKEN_LEEWAY_SECONDS - 30
    claims = {
        "toast": {"iat": now + apart, "nbf": now + apart, "exp": now + 3600},
        "maple": {"iat": now - 7200, "nbf": now - 7200, "exp": now + 20},
    }
    polecats, tokens = {}, {}
    for name, changes in claims.items():
        script = [wait_then(f"echo 1 > one.txt && {COMMIT}"), {"done": "Despite the clock."}]
        polecat = await harness.sling(f"clock-of-{name}", script, name=name, token=False)
        uid, bead = polecat["metadata"]["uid"], polecat["spec"]["beadRef"]["uid"]
        polecats[name], tokens[name] = polecat, harness.signer.token(uid, bead, 1, **changes)
        await harness.give_token(polecat, tokens[name])
    for polecat in polecats.values():
        await harness.until_running(polecat)

    async def run_out() -> bool:
        return time.time() > claims["maple"]["exp"]

    await harness.until(run_out, "the token has run out by the clock of this machine")
    for polecat in polecats.values():
        let_go(harness, polecat)
    for name, polecat in polecats.items():
        await harness.until_finished(polecat)
        assert await harness.condition(polecat, "Finished") == ("True", "Done")
        assert "model-failed" not in harness.kinds(polecat)
        assert await ask(harness, tokens[name]) == 401
    far = harness.signer.token("u", "b", 1, iat=now - 7200, nbf=now - 7200, exp=now - 2 * TOKEN_LEEWAY_SECONDS)
    assert await ask(harness, far) == 401


ATTACK = """
import base64, json, os, urllib.error, urllib.request
from pathlib import Path

def encode(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

def status(request, data=None):
    try:
        return urllib.request.urlopen(request, data, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code

environment = Path(f"/proc/{os.environ['KILO_PID']}/environ").read_text().split(chr(0))
variables = dict(line.split("=", 1) for line in environment if "=" in line)
server = json.loads(variables["KILO_CONFIG_CONTENT"])["mcp"]["polecat"]
own = server["headers"]["Authorization"].removeprefix("Bearer ")
head, claims, signature = own.split(".")
forged = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))) | {"sub": SIBLING}
key_id = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]
tokens = {
    "own signature": f"{head}.{encode(forged)}.{signature}",
    "no algorithm": f"{encode({'alg': 'none', 'kid': key_id})}.{encode(forged)}.",
    "no signature": f"{head}.{encode(forged)}.",
    "own token": own,
}

def call(token, tool, arguments):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json",
               "Accept": "application/json, text/event-stream"}
    return status(urllib.request.Request(server["url"], headers=headers), json.dumps(body).encode())

answers = {
    what: call(token, "status", {"message": "I am " + what, "polecat": SIBLING}) for what, token in tokens.items()
}
password = variables["KILO_SERVER_PASSWORD"]
for what, secret in {"siblings server": None, "siblings server, own password": password}.items():
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/session")
    if secret:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"kilo:{secret}".encode()).decode())
    answers[what] = status(request)
read = []
for entry in Path("/proc").iterdir():
    try:
        if entry.name.isdigit() and f"POLECAT_UID={SIBLING}" in (entry / "environ").read_text():
            read.append(entry.name)
    except OSError:
        pass
answers["environments of the sibling"] = len(read)
Path("../answers.part").write_text(json.dumps(answers))
Path("../answers.part").rename("../answers.json")
"""


async def test_i42_an_agent_that_takes_its_own_token_out_can_act_for_itself_only(watched_harness: TownHarness) -> None:
    """Any agent could act as any other. This one reads its CLI's environment, forges tokens from what it finds
    there, names its sibling in its calls, and knocks at its sibling's server.
    """
    harness = watched_harness
    await harness.start_town()
    sibling = await harness.sling("sibling", [wait_then(f"echo 1 > one.txt && {COMMIT}"), {"done": "ok"}], name="maple")
    status = await harness.until_running(sibling)
    (server,) = [each for each in harness.agents(sibling["metadata"]["uid"]) if each.pid == status["process"]["pid"]]
    port = server.cmdline()[server.cmdline().index("--port") + 1]
    attack = f"SIBLING, PORT = {sibling['metadata']['uid']!r}, {port}\n{ATTACK}"
    hostile = await harness.sling("hostile", [{"bash": f"python3 - <<'END'\n{attack}\nEND"}, wait_then()])
    await made(harness, hostile, "answers.json")
    assert json.loads((harness.worktree(hostile).parent / "answers.json").read_text()) == {
        "own signature": 401,
        "no algorithm": 401,
        "no signature": 401,
        "own token": 200,
        "siblings server": 401,
        "siblings server, own password": 401,
        "environments of the sibling": 0,
    }
    _, metrics = await operations(harness, "/metrics")
    refused = [line for line in metrics.splitlines() if line.startswith("polecat_town_refused_tokens_total{")]
    assert sum(float(line.split()[-1]) for line in refused) >= 3
    assert "eyJ" not in harness.log_text() + str(harness.journal(hostile))
    activity = {name: (await harness.status(each)).get("activity") for name, each in (("s", sibling), ("h", hostile))}
    assert "I am own token" not in str(activity["s"])
    let_go(harness, sibling)
    await harness.until_finished(sibling)
    assert await harness.condition(sibling, "Finished") == ("True", "Done")
