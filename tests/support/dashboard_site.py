"""A dashboard in the test's own event loop, before it an API server that counts, and people with accounts."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from polecat_dashboard.app import Dashboard
from polecat_dashboard.settings import Settings
from polecat_kube.connection import Connection
from polecat_local import install
from polecat_local.ports import choose_port
from support.control_plane import Kubectl, SharedControlPlane
from support.http_proxy import HttpProxy

Json = dict[str, Any]
WAIT_SECONDS = 60.0
USER_RULES: Sequence[Json] = (
    {"apiGroups": ["polecat.dev"], "resources": ["towns", "rigs", "beads", "polecats"], "verbs": ["*"]},
    {"apiGroups": ["polecat.dev"], "resources": ["polecats/stream"], "verbs": ["get"]},
)


@dataclass
class Site:
    """The dashboard as a browser finds it."""

    origin: str
    link_socket: Path
    requests: Counter[str]
    """What the dashboard asked of the API server: `METHOD path`."""
    dashboard: Dashboard

    def browser(self, **headers: str) -> Browser:
        """A browser that nobody has signed in yet."""
        return Browser(self.origin, headers)

    async def link(self, token: str) -> str:
        """What `polecat dashboard` gets for a token."""
        reader, writer = await asyncio.open_unix_connection(self.link_socket)
        writer.write(json.dumps({"token": token}).encode() + b"\n")
        answer: Json = json.loads(await reader.readline())
        writer.close()
        return str(answer["link"])


@dataclass
class Answer:
    """Status, headers and body."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.text)


@dataclass
class Browser:
    """Keeps cookies, and the token that writes need."""

    origin: str
    headers: Mapping[str, str]
    csrf: str = ""
    _session: aiohttp.ClientSession | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Browser:
        self._session = await self._stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers=dict(self.headers))
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def session(self) -> aiohttp.ClientSession:
        """For what has no method here."""
        assert self._session is not None
        return self._session

    async def get(self, path: str, **headers: str) -> Answer:
        """GET as the page does it; the path is sent as it stands."""
        return await self._send("GET", path, None, headers)

    async def post(self, path: str, body: Json, **headers: str) -> Answer:
        """POST as the page does it; headers may be overridden, and left out with an empty value."""
        own = {"origin": self.origin, "content_type": "application/json", "x_polecat_csrf": self.csrf}
        return await self._send("POST", path, json.dumps(body), own | headers)

    async def sign_in(self, token: str) -> Answer:
        """Signs in with a token."""
        answer = await self.post("/api/login", {"token": token})
        if answer.status == 200:
            self.csrf = answer.json["csrf"]
        return answer

    async def first(self, path: str, wanted: str) -> Json:
        """The data of the first event of a kind."""
        async for kind, data in self.events(path):
            if kind == wanted:
                return dict(data)
        raise AssertionError(f"{path} ended without {wanted}")

    async def events(self, path: str, **headers: str) -> AsyncIterator[tuple[str, Any]]:
        """Kind and data of all events, as they come."""
        async with self.session.get(f"{self.origin}{path}", headers=headers) as response:
            assert response.status == 200, await response.text()
            kind = ""
            async for raw in response.content:
                line = raw.decode().rstrip("\n")
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield kind, json.loads(line.removeprefix("data: "))

    async def _send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        url = URL(f"{self.origin}{path}", encoded=True)
        kept = {name.replace("_", "-"): value for name, value in headers.items() if value}
        async with self.session.request(method, url, data=body, headers=kept, allow_redirects=False) as response:
            return Answer(response.status, response.headers.copy(), await response.text())


@asynccontextmanager
async def dashboard_site(plane: SharedControlPlane, directory: Path, **settings: Any) -> AsyncIterator[Site]:
    """A dashboard with its own service account; `settings` are those of `Settings`. Ready when it comes back."""
    requests: Counter[str] = Counter()

    def count(method: str, path: str) -> bool:
        requests[f"{method} {path}"] += 1
        return False

    token = Kubectl(plane, install.SYSTEM_NAMESPACE)("create", "token", install.DASHBOARD_ACCOUNT).strip()
    async with HttpProxy(count) as proxy:
        proxy.target = plane.connection
        values: Json = {"listen": f"127.0.0.1:{choose_port(directory / 'port')}", "link_socket": directory / "d.sock"}
        made = Settings(**(values | settings))
        dashboard = Dashboard(made, Connection(proxy.url, token=token))
        running = asyncio.create_task(dashboard.run())
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not (dashboard.ready or running.done()):
                    await asyncio.sleep(0.02)
            if running.done():
                running.result()
            yield Site(f"http://127.0.0.1:{made.port}", directory / "d.sock", requests, dashboard)
        finally:
            dashboard.stop.set()
            await running


def person(kubectl: Kubectl, name: str, rules: Sequence[Json] = (), **token: str) -> str:
    """A token of a new account in kubectl's namespace, which may do there what the rules say."""
    kubectl("create", "serviceaccount", name)
    if rules:
        for kind, rest in (
            ("Role", {"rules": list(rules)}),
            (
                "RoleBinding",
                {
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                    "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": kubectl.namespace}],
                },
            ),
        ):
            item = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}, **rest}
            kubectl("apply", "-f", "-", stdin=json.dumps(item))
    return kubectl("create", "token", name, *(f"--{key}={value}" for key, value in token.items())).strip()
