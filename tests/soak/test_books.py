"""The books find what is lost or left over, and nothing else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, POLECAT, SECRET
from soak import books
from support.whole import make_remote

COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("rigs/web/toast/3fa2b19c/repo.git/HEAD", "worktree rigs/web/toast/3fa2b19c"),
        ("rigs/web/.lost/toast-3fa2b19c-1/HEAD", "worktree rigs/web/.lost/toast-3fa2b19c-1"),
        ("rigs/web/store.git/refs/heads/main.lock", "file rigs/web/store.git/refs/heads/main.lock"),
        ("locks/3fa2b19c.lock", "file locks/3fa2b19c.lock"),
        ("state/3fa2b19c.json", "file state/3fa2b19c.json"),
    ],
)
def test_what_is_left_on_the_volume_is_told(path: str, told: str, tmp_path: Path) -> None:
    for ordinary in ("rigs/web/store.git/HEAD", "rigs/web/toast/home/notes", "streams/b-1/1.jsonl", "locks/supervisor"):
        (tmp_path / ordinary).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ordinary).touch()
    assert list(books.on_the_volume(tmp_path)) == []
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    assert list(books.on_the_volume(tmp_path)) == [told]


async def test_a_process_with_an_agents_marker_is_told(tmp_path: Path) -> None:
    left = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import sys; sys.stdin.read()"),
        env={"POLECAT_UID": "u-1", "HOME": str(tmp_path)},
        stdin=asyncio.subprocess.PIPE,
    )
    try:
        (told,) = books.on_the_volume(tmp_path)
        assert told.startswith(f"process {left.pid} ")
        assert told.endswith(" of polecat u-1")
    finally:
        left.kill()
        await left.wait()
    assert list(books.on_the_volume(tmp_path)) == []


def test_a_commit_that_nobody_has_is_told(tmp_path: Path) -> None:
    remote = make_remote(tmp_path / "web.git")
    head = subprocess.run(
        ["git", "--git-dir", str(remote), "rev-parse", "main"], capture_output=True, text=True, check=True
    ).stdout.strip()
    made = {head: {"b1"}, COMMIT: {"b2", "b3"}}
    assert books.lost_commits(made, [remote], tmp_path) == [f"commit {COMMIT} of bead b2, b3 is lost"]
    store = tmp_path / "rigs" / "web" / "store.git"
    subprocess.run(["git", "clone", "-q", "--mirror", str(remote), str(store)], check=True)
    assert books.lost_commits({head: {"b1"}}, [], tmp_path) == []


async def test_what_is_left_in_the_api_is_told(kube_api: KubeApi, namespace: str) -> None:
    spec = {"rigRef": {"name": "web"}, "title": "Fix", "prompt": "Do it."}
    bead = await kube_api.create(BEAD, namespace, {"metadata": {"name": "fix"}, "spec": spec})
    assert await books.in_the_api(kube_api, namespace) == ["bead fix is None with the reason None"]
    waits = {"type": "Succeeded", "status": "Unknown", "reason": "Suspended", "message": ""}
    waits["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    status = {"status": {"state": "Suspended", "conditions": [waits]}}
    await kube_api.patch_merge(BEAD, namespace, "fix", status, "status")
    assert await books.in_the_api(kube_api, namespace) == []

    polecat = await kube_api.create(POLECAT, namespace, hand_made(bead["metadata"]["uid"]))
    owner = {"apiVersion": "polecat.dev/v1alpha1", "kind": "Polecat", "name": "web-toast"}
    owner["uid"] = polecat["metadata"]["uid"]
    token = {"metadata": {"name": "web-toast-token", "ownerReferences": [owner]}}
    await kube_api.create(SECRET, namespace, token)
    await kube_api.delete(POLECAT, namespace, "web-toast")
    assert await books.in_the_api(kube_api, namespace) == [
        "polecat web-toast",
        "secret web-toast-token of polecat web-toast",
        "Polecat web-toast is being deleted",
    ]
    await kube_api.patch_merge(POLECAT, namespace, "web-toast", {"metadata": {"finalizers": None}})


def hand_made(bead_uid: str) -> dict[str, object]:
    """A Polecat with a finalizer that nobody will take away."""
    return {
        "metadata": {"name": "web-toast", "finalizers": ["polecat.dev/worktree"]},
        "spec": {
            "name": "toast",
            "rigRef": {"name": "web"},
            "townRef": {"name": "main"},
            "beadRef": {"name": "fix", "uid": bead_uid},
            "attempt": 1,
            "pod": "main-0",
            "branch": "polecat/toast/3fa2b1",
            "baseBranch": "main",
            "title": "Fix",
            "model": "some-model",
            "limits": {},
            "tokenSecretRef": {"name": "web-toast-token"},
        },
    }
