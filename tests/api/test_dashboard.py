"""The dashboard before a real API server: who gets in, what they see and do, and what nobody may do."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import jwt
import pytest

from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD
from polecat_kube.reviews import ACCESS_SECONDS
from polecat_local import install
from support.control_plane import Kubectl, SharedControlPlane
from support.dashboard_site import USER_RULES, Browser, Site, dashboard_site, person

RIG = """
apiVersion: polecat.dev/v1alpha1
kind: Rig
metadata: {name: web}
spec:
  townRef: {name: main}
  repository: {url: "https://git.example/web.git"}
  model: {provider: openai-compatible, name: some-model, endpoint: "https://models.example/v1"}
"""
SECRET_WORDS = "only for those who may read it"


@pytest.fixture
async def site(control_plane: SharedControlPlane, tmp_path: Path) -> AsyncIterator[Site]:
    """A dashboard that has read the cluster."""
    async with dashboard_site(control_plane, tmp_path) as running:
        yield running


async def make_bead(api: KubeApi, namespace: str, name: str = "fix-login") -> dict[str, Any]:
    spec = {"rigRef": {"name": "web"}, "title": f"Work on {name}", "prompt": SECRET_WORDS}
    return await api.create(BEAD, namespace, {"metadata": {"name": name}, "spec": spec})


async def seen(browser: Browser, namespace: str, name: str) -> dict[str, Any]:
    """The bead as the page gets it, once it does."""
    async with asyncio.timeout(60):
        while True:
            snapshot = await browser.first("/api/changes", "snapshot")
            for view in snapshot["beads"]:
                if (view["ns"], view["name"]) == (namespace, name):
                    return dict(view)
            await asyncio.sleep(0.05)


async def test_nobody_gets_in_without_a_token_of_the_cluster(
    site: Site, control_plane: SharedControlPlane, kubectl: Kubectl
) -> None:
    foreign = person(kubectl, "foreign", USER_RULES, audience="something-else")
    key = (control_plane.data_dir / "pki" / "service-account.key").read_text()
    claims = jwt.decode(person(kubectl, "late", USER_RULES), options={"verify_signature": False})
    stale = {**claims, "iat": int(time.time()) - 7200, "nbf": int(time.time()) - 7200, "exp": int(time.time()) - 3600}
    headers = {"kid": jwt.get_unverified_header(person(kubectl, "other"))["kid"]}
    expired = jwt.encode(stale, key, algorithm="ES256", headers=headers)
    living = jwt.encode({**stale, "exp": int(time.time()) + 3600}, key, algorithm="ES256", headers=headers)
    bodies = set()
    async with site.browser() as browser:
        for token in ("", "x", "a.b.c", foreign, expired, "x" * 20_000, "ä"):
            answer = await browser.sign_in(token)
            assert answer.status in (400, 401), token
            bodies.add(answer.text) if answer.status == 401 else None
        for path in ("/api/session", "/api/changes", "/api/beads/default/x", "/api/streams/default/x/1"):
            answer = await browser.get(path)
            assert answer.status == 401
            bodies.add(answer.text)
            assert (await browser.get(path, authorization=f"Bearer {foreign}")).status == 401
        assert bodies == {'{"error":"sign in first"}'}
        # The same token with another end is good: it was the end that was refused.
        assert (await browser.sign_in(living)).status == 200


async def test_a_link_opens_the_page_once(site: Site, kubectl: Kubectl) -> None:
    token = person(kubectl, "ada", USER_RULES)
    link = await site.link(token)
    page, _, code = link.partition("#")
    assert page == f"{site.origin}/login" and len(code) >= 43
    assert site.link_socket.stat().st_mode & 0o777 == 0o600
    async with site.browser() as browser, site.browser() as thief:
        answer = await browser.post("/api/login/link", {"code": code})
        assert answer.status == 200
        cookie = answer.headers["Set-Cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/")) and token not in cookie
        assert (await browser.get("/api/session")).json["user"].endswith(":ada")
        assert (await thief.post("/api/login/link", {"code": code})).status == 401
        assert (await thief.get("/api/session")).status == 401
        assert (await browser.post("/api/logout", {}, x_polecat_csrf=answer.json["csrf"])).status == 200
        assert (await browser.get("/api/session")).status == 401


async def test_people_see_what_they_may_list_and_nothing_else(
    site: Site, kubectl: Kubectl, kube_api: KubeApi, namespace: str
) -> None:
    await make_bead(kube_api, namespace)
    ada, stranger = person(kubectl, "ada", USER_RULES), person(kubectl, "stranger")
    lister = person(
        kubectl, "lister", [{"apiGroups": ["polecat.dev"], "resources": ["beads"], "verbs": ["list", "watch"]}]
    )
    async with site.browser() as browser:
        await browser.sign_in(ada)
        view = await seen(browser, namespace, "fix-login")
        assert view["title"] == "Work on fix-login" and SECRET_WORDS not in json.dumps(view)
        snapshot = await browser.first("/api/changes", "snapshot")
        assert {view["ns"] for kind in snapshot.values() for view in kind} == {namespace}
        assert (await browser.get(f"/api/beads/{namespace}/fix-login")).json["prompt"] == SECRET_WORDS
        # What is not there, and what is nobody's business, where one has rights and where one has none.
        assert (await browser.get(f"/api/beads/{namespace}/nope")).status == 404
        assert (await browser.get("/api/beads/kube-system/fix-login")).status == 403
        assert (await browser.get("/api/beads/no-such-namespace/nope")).status == 403
        assert (await browser.get("/api/streams/kube-system/fix-login/1")).status == 403
        assert (await browser.get(f"/api/streams/{namespace}/fix-login/1")).status == 404
    async with site.browser(authorization=f"Bearer {lister}") as browser:
        await seen(browser, namespace, "fix-login")
        answer = await browser.get(f"/api/beads/{namespace}/fix-login")
        assert (answer.status, answer.text) == (403, '{"error":"not allowed"}')
        assert (await browser.get(f"/api/streams/{namespace}/fix-login/1")).status == 403
        assert (await browser.get(f"/api/streams/{namespace}/fix-login")).status == 403
    async with site.browser() as browser:
        await browser.sign_in(stranger)
        pulse = await browser.first("/api/changes", "pulse")
        assert (pulse["kinds"], pulse["namespaces"], pulse["streams"]) == ([], [], [])
        assert not any((await browser.first("/api/changes", "snapshot")).values())
        known, unknown = f"/api/beads/{namespace}/fix-login", f"/api/beads/{namespace}/nope"
        assert (await browser.get(known)).text == (await browser.get(unknown)).text == '{"error":"not allowed"}'


async def test_changes_arrive_as_they_happen(site: Site, kubectl: Kubectl, kube_api: KubeApi, namespace: str) -> None:
    await make_bead(kube_api, namespace)
    async with site.browser(authorization=f"Bearer {person(kubectl, 'ada', USER_RULES)}") as browser:
        await seen(browser, namespace, "fix-login")
        looking, task = await look(browser, namespace, "fix-login")
        await kube_api.patch_merge(BEAD, namespace, "fix-login", {"spec": {"priority": "High"}})
        async with asyncio.timeout(60):
            assert (await looking.get())["priority"] == "High"
        await kube_api.delete(BEAD, namespace, "fix-login")
        async with asyncio.timeout(60):
            assert await looking.get() is None
        task.cancel()


async def look(browser: Browser, namespace: str, name: str) -> tuple[asyncio.Queue[Any], asyncio.Task[None]]:
    """The views of an object as they change from now on: whoever waits has had the state before that."""
    views: asyncio.Queue[Any] = asyncio.Queue()
    begun = asyncio.Event()

    async def read() -> None:
        async for kind, data in browser.events("/api/changes"):
            if kind == "snapshot":
                begun.set()
            for change in data if kind == "changes" else ():
                if (change["kind"], change["ns"], change["name"]) == ("beads", namespace, name):
                    views.put_nowait(change["view"])

    task = asyncio.create_task(read())
    async with asyncio.timeout(60):
        await begun.wait()
    return views, task


async def test_what_people_do_is_done_as_themselves(
    site: Site, kubectl: Kubectl, kube_api: KubeApi, namespace: str
) -> None:
    bead = await make_bead(kube_api, namespace)
    uid, path = bead["metadata"]["uid"], f"/api/beads/{namespace}/fix-login"
    reader = person(
        kubectl, "reader", [{"apiGroups": ["polecat.dev"], "resources": ["beads"], "verbs": ["get", "list"]}]
    )
    async with site.browser() as browser:
        await browser.sign_in(reader)
        answer = await browser.post(f"{path}/suspend", {"uid": uid})
        assert answer.status == 403
        # The API server's own words: they name the person, not the dashboard.
        assert f'User "system:serviceaccount:{namespace}:reader" cannot patch' in answer.json["error"]
        assert (await browser.get(f"/api/permissions/{namespace}")).json["edit"] is False
    async with site.browser() as browser:
        await browser.sign_in(person(kubectl, "ada", USER_RULES))
        assert (await browser.post(f"{path}/suspend", {"uid": uid})).status == 200
        assert (await browser.post(f"{path}/priority", {"uid": uid, "priority": "High"})).status == 200
        spec = (await kube_api.get(BEAD, namespace, "fix-login") or {})["spec"]
        assert (spec["suspend"], spec["priority"]) == (True, "High")
        assert (await browser.post(f"{path}/resume", {"uid": uid})).status == 200
        assert (await browser.post(f"{path}/rerun", {"uid": uid})).status == 200
        spec = (await kube_api.get(BEAD, namespace, "fix-login") or {})["spec"]
        assert spec["suspend"] is False and spec["rerun"]
        assert (await browser.post(f"{path}/priority", {"uid": uid, "priority": "Huge"})).status == 400
        assert (await browser.post(f"{path}/explode", {"uid": uid})).status == 404
        # The successor of what was looked at is left alone.
        for action in ("suspend", "cancel"):
            assert (await browser.post(f"{path}/{action}", {"uid": "another-life"})).status == 409
        assert (await browser.post(f"{path}/cancel", {"uid": uid})).status == 200
        assert await kube_api.get(BEAD, namespace, "fix-login") is None


async def test_slinging_checks_all_before_it_makes_one(
    site: Site, kubectl: Kubectl, kube_api: KubeApi, namespace: str
) -> None:
    kubectl("apply", "-f", "-", stdin=RIG)
    async with site.browser() as browser:
        await browser.sign_in(person(kubectl, "ada", USER_RULES))
        where = {"namespace": namespace, "rig": "web"}
        made = (await browser.post("/api/sling", {**where, "title": "Fix it", "prompt": "", "priority": "High"})).json
        assert [each["outcome"] for each in made["made"]] == ["created"]
        bead = await kube_api.get(BEAD, namespace, made["made"][0]["name"]) or {}
        assert (bead["spec"]["title"], bead["spec"]["prompt"], bead["spec"]["priority"]) == ("Fix it", "Fix it", "High")
        again = (await browser.post("/api/sling", {**where, "title": "Fix it", "prompt": "", "priority": "High"})).json
        assert [each["outcome"] for each in again["made"]] == ["unchanged"]
        text = "- One thing\n  with a prompt\n- Another thing\n"
        checked = (await browser.post("/api/sling", {**where, "text": text, "dryRun": True})).json
        assert len(checked["checked"]) == 2 and not checked["refused"]
        bad = f"- title: Good\n  prompt: Do it\n- title: {'x' * 201}\n  prompt: Too long a title\n"
        answer = await browser.post("/api/sling", {**where, "text": bad})
        assert answer.status == 200, answer.text
        refused = answer.json
        assert len(refused["refused"]) == 1 and "title" in refused["refused"][0]["why"]
        unreadable = await browser.post("/api/sling", {**where, "text": "title: [unclosed"})
        assert (unreadable.status, "what you pasted" in unreadable.json["error"]) == (400, True)
        items, _ = await kube_api.list(BEAD, namespace)
        assert [item["spec"]["title"] for item in items] == ["Fix it"]
        elsewhere = await browser.post(
            "/api/sling", {"namespace": "default", "rig": "web", "title": "Sneak in", "prompt": ""}
        )
        assert elsewhere.status == 403 or elsewhere.json.get("refused")


async def test_other_sites_can_do_nothing(site: Site, kubectl: Kubectl, kube_api: KubeApi, namespace: str) -> None:
    bead = await make_bead(kube_api, namespace)
    token, act = person(kubectl, "ada", USER_RULES), f"/api/beads/{namespace}/fix-login/suspend"
    body = {"uid": bead["metadata"]["uid"]}
    async with site.browser() as browser:
        assert (await browser.post("/api/login", {"token": token}, origin="https://evil.example")).status == 403
        assert (await browser.post("/api/login", {"token": token}, origin="")).status == 403
        assert (await browser.post("/api/login", {"token": token}, content_type="text/plain")).status == 415
        await browser.sign_in(token)
        assert (await browser.post(act, body, origin="https://evil.example")).status == 403
        assert (await browser.post(act, body, origin="null")).status == 403
        assert (await browser.post(act, body, origin="")).status == 403
        assert (await browser.post(act, body, x_polecat_csrf="")).status == 403
        assert (await browser.post(act, body, x_polecat_csrf="guess")).status == 403
        assert (await browser.get("/api/session", origin="https://evil.example")).status == 403
        assert (await browser.get("/api/session", sec_fetch_site="cross-site")).status == 403
        assert (await browser.get("/", host="evil.example")).status == 403
        assert (await browser.get("/", host="127.0.0.1")).status == 403
        assert (await browser.get("/", host="evil.example:80")).status == 403
    # A proxy that adds the token to everything must not make forged requests good.
    async with site.browser(authorization=f"Bearer {token}") as browser:
        assert (await browser.post(act, body)).status == 403
        browser.csrf = (await browser.get("/api/session")).json["csrf"]
        assert (await browser.post(act, body, origin="https://evil.example")).status == 403
        assert not ((await kube_api.get(BEAD, namespace, "fix-login") or {})["spec"]).get("suspend")
        assert (await browser.post(act, body)).status == 200


async def test_tricks_with_paths_lead_nowhere(site: Site, kubectl: Kubectl) -> None:
    async with site.browser() as browser:
        await browser.sign_in(person(kubectl, "ada", USER_RULES))
        for path in (
            f"/api/streams/{kubectl.namespace}/..%2f..%2fetc%2fpasswd/1",
            f"/api/streams/{kubectl.namespace}/x/1%2f..%2f..",
            f"/api/streams/{kubectl.namespace}/x/-1",
            f"/api/streams/{kubectl.namespace}/x/99999999999999999999",
            f"/api/beads/{kubectl.namespace}/..%2fsecrets%2fx",
            f"/api/beads/{kubectl.namespace}%2f..%2fdefault/x",
            "/static/..%2fapp.py",
            "/static/../app.py",
            "/static/%2e%2e/main.py",
            "/static/vendor/..%2f..%2f..%2fapp.py",
            "/api/../static/../settings.py",
            "/polecats/../../etc/passwd",
            "/.git/config",
        ):
            answer = await browser.get(path)
            assert answer.status in (403, 404), path
            assert answer.text in ('{"error":"not found"}', '{"error":"not allowed"}'), path
        answer = await browser.post(f"/api/beads/{kubectl.namespace}/..%2f..%2fsecrets/cancel", {"uid": "x"})
        assert answer.status == 404


async def test_every_answer_tells_the_browser_what_it_must_not_do(site: Site) -> None:
    async with site.browser() as browser:
        for path in ("/", "/login", "/static/js/app.js", "/api/session", "/nope"):
            headers = (await browser.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
        page = (await browser.get("/")).text
        assert "<script>" not in page and "style=" not in page and "http" not in page.replace("http-equiv", "")


async def test_i48_fifty_viewers_cost_the_api_server_what_one_costs(
    control_plane: SharedControlPlane, kubectl: Kubectl, kube_api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    """Each viewer of another dashboard polled the API server for itself."""
    await make_bead(kube_api, namespace)
    token = person(kubectl, "ada", USER_RULES)
    account, role = f"{namespace}:ada", install.USER_ACCOUNT
    # Rights in all namespaces, so that how many there are makes no difference.
    kubectl("create", "clusterrolebinding", namespace, f"--clusterrole={role}", f"--serviceaccount={account}")

    async def cost(viewers: int, priority: str) -> tuple[Counter[str], int]:
        """What is asked of the API server until each viewer has seen a change; how often answers ran out by then."""
        directory = tmp_path / priority
        directory.mkdir()
        began = time.monotonic()
        async with dashboard_site(control_plane, directory) as site, AsyncExitStack() as stack:
            looking = []
            for _ in range(viewers):
                browser = await stack.enter_async_context(site.browser(authorization=f"Bearer {token}"))
                looking.append(await look(browser, namespace, "fix-login"))
            await kube_api.patch_merge(BEAD, namespace, "fix-login", {"spec": {"priority": priority}})
            async with asyncio.timeout(120):
                await asyncio.gather(*(views.get() for views, _ in looking))
            for _, task in looking:
                task.cancel()
            # Watches are asked for anew now and then, whoever looks.
            asked = Counter({name: count for name, count in site.requests.items() if name.startswith("POST ")})
            return asked, int((time.monotonic() - began) // ACCESS_SECONDS)

    try:
        one, _ = await cost(1, "High")
        fifty, ran_out = await cost(50, "Low")
    finally:
        kubectl("delete", "clusterrolebinding", namespace)
    assert one and one.keys() == fifty.keys()
    assert all(fifty[name] <= one[name] * (1 + ran_out) for name in one), (one, fifty, ran_out)
