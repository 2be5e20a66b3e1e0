"""I46, I47 and the access part of I50 with a real supervisor, agent and API server."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
import yaml

from polecat_api.protocol import TOKEN_AUDIENCE_STREAMS
from polecat_town.streams.events import DATA, Kind
from polecat_town.streams.redaction import REDACTED
from support.control_plane import Kubectl, SharedControlPlane
from support.stream_client import Reader
from support.town_harness import TownHarness

Json = dict[str, Any]
SECRET = "hunter2-swordfish-7"
GATE = "while [ ! -e go ]; do sleep 0.05; done; rm go"
WORDS = " ".join(f"word{number}" for number in range(60))


def access(namespace: str, account: str, *, may_read: bool) -> str:
    """A service account, and its right to read streams of a namespace."""
    made: list[Json] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}}
    ]
    if may_read:
        made.append(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": account, "namespace": namespace},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "polecat-stream-reader",
                },
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
            }
        )  # fmt: skip
    return yaml.safe_dump_all(made)


@pytest.fixture
def viewer(kubectl: Kubectl, namespace: str) -> str:
    """The token of somebody who may read the streams of the test's namespace."""
    kubectl("apply", "-f", "-", stdin=access(namespace, "viewer", may_read=True))
    return kubectl("create", "token", "viewer").strip()


@pytest.fixture
async def town(watched_harness: TownHarness) -> AsyncIterator[TownHarness]:
    """A supervisor that runs."""
    await watched_harness.start_town()
    yield watched_harness


async def stream_url(town: TownHarness, polecat: Json) -> str:
    """Where the stream of a polecat's attempt is read, as the Town tells."""
    entry = await town.pod_entry()
    assert entry is not None
    spec = polecat["spec"]
    return f"{entry['streamsURL']}/v1/streams/{spec['beadRef']['uid']}/{spec['attempt']}"


async def follow_to_the_end(reader: Reader) -> None:
    """As a browser does it: the connection is opened again wherever it broke."""
    while "end" not in reader.kinds:
        try:
            await reader.read()
        except (aiohttp.ClientError, AssertionError, OSError):
            await asyncio.sleep(0.1)


def text_of(reader: Reader, number: int) -> str:
    """One of the texts of the agent, as it stands."""
    parts = list(dict.fromkeys(e["data"]["part"] for kind, e in reader.events if kind in ("text-delta", "text")))
    return reader.texts(parts[number])


async def test_i46_a_stream_over_kills_of_the_supervisor(town: TownHarness, viewer: str) -> None:
    steps = [
        {"say": WORDS, "bash": "echo work > work.txt && git add . && git commit -qm Work"},
        {"say": "Now I wait.", "bash": GATE},
        {"done": "It is done."},
    ]
    polecat = await town.sling("fix", steps)
    await town.until_running(polecat)
    reader = Reader(await stream_url(town, polecat), viewer)
    following = asyncio.create_task(follow_to_the_end(reader))

    async def waits(times: int) -> None:
        def running() -> list[Json]:
            tools = [event["data"] for event in town.journal(polecat) if event["kind"] == "tool"]
            return [tool for tool in tools if tool["state"] == "running" and tool["input"].get("command") == GATE]

        async def reached() -> bool:
            return len(running()) >= times and reader.numbers[-1:] == [town.journal(polecat)[-1]["seq"]]

        await town.until(reached, f"the agent waits, time {times}, and the reader knows")

    for number in (1, 2):
        await waits(number)
        await town.kill_town()
        await town.start_town()
    await waits(3)
    assert text_of(reader, 0) == WORDS
    (town.worktree(polecat) / "go").touch()
    await town.until_finished(polecat)
    await town.delete(polecat)
    await asyncio.wait_for(following, 60)
    written = town.journal(polecat)
    assert reader.numbers == list(range(1, len(written) + 1))
    assert [event for kind, event in reader.events if kind != "end"] == written
    assert reader.events[-1] == ("end", {"lastSeq": len(written)})
    for event in written:
        DATA[Kind(event["kind"])].model_validate(event["data"])
    # Who comes later builds the same from what is kept; deltas alone give the text as well.
    late = Reader(reader.url, viewer)
    await late.read()
    assert late.events == reader.events
    deltas = [event["data"] for event in written if event["kind"] == "text-delta"]
    first = [delta["text"] for delta in deltas if delta["part"] == deltas[0]["part"]]
    assert WORDS.startswith("".join(first))
    assert len("".join(first)) > len(WORDS) - 30


async def test_i47_hostile_output_and_secrets_of_the_rig(town: TownHarness, viewer: str) -> None:
    """Printed half by half, in base64 inside of something else, and beside what tears other streams."""
    await town.secret("model", {"apiKey": SECRET})
    model = {"provider": "openai-compatible", "name": "scripted", "endpoint": town.model.url}
    await town.rig("guarded", model={**model, "apiKeySecretRef": {"name": "model"}})
    half = len(SECRET) // 2
    inside = base64.b64encode(f"user:{SECRET}!".encode()).decode()
    hostile = "python3 -c \"import sys; sys.stdout.buffer.write(b'\\x00\\xff\\x1b[31m</script>' + b'x' * 10_000_000)\""
    steps = [
        {"say": f"The key is {SECRET}, isn't it?", "bash": f"printf {SECRET[:half]}; sleep 0.3; echo {SECRET[half:]}"},
        {"bash": f"echo {inside}; echo {SECRET} | base64"},
        {"bash": hostile},
        {"done": f"With {SECRET}.", "say": "Good bye."},
    ]
    polecat = await town.sling("fix", steps, rig="guarded")
    await town.until_running(polecat)
    reader = Reader(await stream_url(town, polecat), viewer)
    following = asyncio.create_task(follow_to_the_end(reader))
    await town.until_finished(polecat)
    await town.delete(polecat)
    await asyncio.wait_for(following, 60)
    assert reader.numbers == list(range(1, len(reader.numbers) + 1))
    told = json.dumps(reader.events)
    printed = (town.directory / "town.log").read_text()
    plain = base64.b64encode(SECRET.encode()).decode()[:16]
    for text in (told, printed):
        assert SECRET not in text
        assert plain not in text
        assert inside[8:20] not in text
    assert text_of(reader, 0) == f"The key is {REDACTED}, isn't it?"
    assert max(len(json.dumps(event)) for _, event in reader.events) < 200_000


async def test_i50_who_may_read_a_stream(
    town: TownHarness, viewer: str, kubectl: Kubectl, control_plane: SharedControlPlane, namespace: str
) -> None:
    other = Kubectl(control_plane, f"{namespace}-other")
    kubectl("create", "namespace", other.namespace)
    kubectl("apply", "-f", "-", stdin=access(namespace, "stranger", may_read=False))
    other("apply", "-f", "-", stdin=access(other.namespace, "viewer", may_read=True))
    polecat = await town.sling("fix", [{"bash": GATE}, {"done": "Done."}])
    await town.until_running(polecat)
    url = await stream_url(town, polecat)
    root = url.rsplit("/", 2)[0]
    agent = town.signer.token(polecat["metadata"]["uid"], polecat["spec"]["beadRef"]["uid"], 1)
    tokens = {
        "nobody": ("", 401),
        "garbage": ("garbage", 401),
        "an agent": (agent, 401),
        "expired": (expired(viewer, control_plane), 401),
        "another audience": (kubectl("create", "token", "viewer", "--audience=elsewhere").strip(), 401),
        "without the right": (kubectl("create", "token", "stranger").strip(), 403),
        "of another namespace": (other("create", "token", "viewer").strip(), 403),
        "the right one": (viewer, 200),
        "for streams only": (
            kubectl("create", "token", "viewer", f"--audience={TOKEN_AUDIENCE_STREAMS}").strip(),
            200,
        ),
    }
    missing = "0" * 8 + "-0000-4000-8000-" + "0" * 12
    async with aiohttp.ClientSession() as session:
        said: dict[int, set[str]] = {}
        for who, (token, expected) in tokens.items():
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            for address in (url, root, f"{url}?download=1", f"{root}/{missing}/1"):
                async with session.get(address, headers=headers) as response:
                    wanted = 404 if expected == 200 and missing in address else expected
                    assert response.status == wanted, (who, address)
                    if wanted != 200:
                        said.setdefault(wanted, set()).add(await response.text())
        # The same words whether the stream exists or not, and nothing in them.
        assert said == {401: {"a token is needed"}, 403: {"not allowed"}, 404: {"not found"}}
        headers = {"Authorization": f"Bearer {viewer}"}
        for trick in (
            "../state/1", "..%2f..%2fstate/1", f"{missing}/..%2f1", "%2e%2e/%2e%2e/etc/passwd", f"{missing}/0",
            f"{missing}/1%00", f"{missing}/1.jsonl", f"{missing.upper()}/-1", "a" * 5000 + "/1", f"{missing}%0a/1",
            f"{missing}/99999999999999999999",
        ):  # fmt: skip
            async with session.get(yarl(f"{root}/{trick}"), headers=headers) as response:
                assert response.status == 404, trick
                assert "state" not in await response.text()
        async with session.get(f"{url}?from=-1", headers=headers) as response:
            assert response.status == 400
    log = (town.directory / "town.log").read_text()
    assert not [who for who, (token, _) in tokens.items() if token and token in log]


def yarl(address: str) -> Any:
    """The address as it stands: nothing is made right before it is sent."""
    return aiohttp.client.URL(address, encoded=True)


def expired(token: str, plane: SharedControlPlane) -> str:
    """The same token, signed by the cluster's own key, of an hour ago."""
    key = (Path(plane.data_dir) / "pki" / "service-account.key").read_text()
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    past = int(time.time()) - 7200
    claims |= {"iat": past, "nbf": past, "exp": past + 3600}
    return jwt.encode(claims, key, algorithm=header["alg"], headers={"kid": header["kid"]})
