"""The roles for people: what each may do in a namespace where it is bound, and what it may not."""

from __future__ import annotations

import asyncio

import pytest

from support.control_plane import Kubectl

DEADLINE_SECONDS = 30.0
READ = [(verb, kind) for verb in ("get", "list", "watch") for kind in ("beads", "rigs", "towns", "polecats")]
WRITE = ("create", "update", "patch", "delete")
WRITE_BEADS = [(verb, "beads") for verb in WRITE]
WRITE_PLACES = [(verb, kind) for verb in WRITE for kind in ("rigs", "towns")]
STREAMS = [("get", "polecats/stream")]
CANCEL = [("delete", "polecats")]
SCALE = [("patch", "towns/scale")]
NOBODY = [
    *[(verb, "polecats") for verb in ("create", "update", "patch")],
    *[("patch", f"{kind}/status") for kind in ("beads", "rigs", "towns", "polecats")],
    ("get", "secrets"),
    ("create", "pods"),
]
"""What none of the roles grants."""
EDITOR = [*READ, *WRITE_BEADS, *STREAMS, *CANCEL]
ROLES = {
    "polecat-viewer": (READ, [*STREAMS, *WRITE_BEADS, *WRITE_PLACES, *CANCEL, *SCALE, *NOBODY]),
    "polecat-editor": (EDITOR, [*WRITE_PLACES, *SCALE, *NOBODY]),
    "polecat-admin": ([*EDITOR, *WRITE_PLACES, *SCALE], NOBODY),
    "polecat-stream-reader": (STREAMS, [*READ, *WRITE_BEADS, *WRITE_PLACES, *CANCEL, *SCALE, *NOBODY]),
}


def may(kubectl: Kubectl, user: str, verb: str, what: str) -> bool:
    resource, _, subresource = what.partition("/")
    full = resource if resource in ("secrets", "pods") else f"{resource}.polecat.dev"
    more = [f"--subresource={subresource}"] if subresource else []
    said = kubectl.run("auth", "can-i", verb, full, f"--as={user}", *more)
    assert said.stdout.strip() in ("yes", "no"), said.stderr
    return said.stdout.strip() == "yes"


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_grants_what_its_name_says(kubectl: Kubectl, role: str) -> None:
    kubectl("create", "rolebinding", "ada", f"--clusterrole={role}", "--user=ada")
    allowed, refused = ROLES[role]
    asked = [*allowed, *refused]
    answers = await asyncio.gather(*(asyncio.to_thread(may, kubectl, "ada", *each) for each in asked))
    assert [each for each, yes in zip(asked, answers, strict=True) if yes] == allowed
    elsewhere = Kubectl(kubectl.plane, "default")
    assert not may(elsewhere, "ada", *allowed[0])


@pytest.mark.parametrize(
    ("role", "allowed", "refused"),
    [
        ("view", ("list", "beads"), ("get", "polecats/stream")),
        ("edit", ("create", "beads"), ("create", "towns")),
        ("admin", ("create", "towns"), ("create", "polecats")),
    ],
)
async def test_the_roles_of_kubernetes_take_ours_in(
    kubectl: Kubectl, role: str, allowed: tuple[str, str], refused: tuple[str, str]
) -> None:
    kubectl("create", "rolebinding", "ada", f"--clusterrole={role}", "--user=ada")
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await asyncio.to_thread(may, kubectl, "ada", *allowed):
            await asyncio.sleep(0.1)
    assert not may(kubectl, "ada", *refused)
