"""The oracle is tested too: each rule is broken once, on purpose, and what is right is left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD
from polecat_oracle.journals import Journals, News
from polecat_oracle.looking import has_commit, living, read_head
from polecat_oracle.oracle import BrokenRulesError, Oracle
from polecat_oracle.rules import Rules
from polecat_oracle.view import View, Violation
from support.whole import make_remote

Json = dict[str, Any]
COMMIT, OTHER = "a" * 40, "b" * 40


def conditions(**reasons: tuple[str, str]) -> list[Json]:
    """`Type=(status, reason)` as a list of conditions."""
    return [{"type": type_, "status": status, "reason": why} for type_, (status, why) in reasons.items()]


def bead(state: str = "Running", succeeded: tuple[str, str] = ("Unknown", "Running"), **status: Any) -> Json:
    """A Bead as the API server gives it."""
    return {
        "metadata": {"name": "fix", "uid": "b-1", "namespace": "default"},
        "spec": {},
        "status": {"state": state, "conditions": conditions(Succeeded=succeeded), **status},
    }


def polecat(name: str = "toast", uid: str = "u-1", reason: str | None = None, **spec: Any) -> Json:
    """A claimed Polecat for that Bead; `reason`: it has finished."""
    return {
        "metadata": {"name": f"web-{name}", "uid": uid, "namespace": "default"},
        "spec": {
            "name": name,
            "rigRef": {"name": "web"},
            "beadRef": {"name": "fix", "uid": "b-1"},
            "attempt": 1,
            "pod": "main-0",
            "branch": f"polecat/{name}/b1",
            **spec,
        },
        "status": {
            "claim": {"podUID": "p"},
            "worktree": f"rigs/web/{name}/{uid}",
            "conditions": conditions(Finished=("True", reason)) if reason else [],
        },
    }


def version(item: Json, number: int) -> Json:
    """The same object, as its version of that number."""
    return item | {"metadata": item["metadata"] | {"resourceVersion": str(number)}}


def write_journal(path: Path, *events: tuple[str, Json]) -> News:
    """The journal of the first attempt at that Bead; what is news in it."""
    journal = path / "streams" / "b-1" / "1.jsonl"
    journal.parent.mkdir(parents=True)
    lines = [json.dumps({"seq": seq, "kind": kind, "data": data}) for seq, (kind, data) in enumerate(events, 1)]
    journal.write_text("".join(f"{line}\n" for line in lines))
    return Journals([path]).news()


QUIET = View(at=0.0, beads=(bead(polecat="toast"),), polecats=(polecat(),), processes={"u-1": (1,)})
DONE = bead("Done", ("True", "Done"), attempts=1, branch="polecat/toast/b1", headCommit=COMMIT)


def two_agents(path: Path) -> list[View]:
    return [replace(QUIET, processes={"u-1": (1, 2)})]


def two_polecats(path: Path) -> list[View]:
    return [replace(QUIET, polecats=(polecat(), polecat("maple", "u-2")))]


def same_branch(path: Path) -> list[View]:
    other = polecat("maple", "u-2", branch="polecat/toast/b1", beadRef={"name": "other", "uid": "b-2"})
    return [replace(QUIET, polecats=(polecat(), other))]


def lost_commit(path: Path) -> list[View]:
    repository = path / "rigs" / "web" / "toast" / "u1" / "repo.git"
    repository.parent.mkdir(parents=True)
    return [
        replace(QUIET, heads={repository: COMMIT}),
        replace(QUIET, is_safe=lambda commit: commit != COMMIT),
    ]


def commit_of_a_journal(path: Path) -> list[View]:
    news = write_journal(path, ("pushed", {"commit": COMMIT}), ("ended", {"reason": "Done"}))
    return [replace(QUIET, commits=news.commits, is_safe=lambda commit: commit != COMMIT)]


def no_state(path: Path) -> list[View]:
    waiting = bead("Queued", ("Unknown", "Queued"))
    return [replace(QUIET, at=float(at), beads=(waiting,)) for at in (0, 20, 40)]


def nobody_works(path: Path) -> list[View]:
    return [View(at=float(at), beads=(bead(),)) for at in (0, 40)]


def no_reason(path: Path) -> list[View]:
    nothing = {"metadata": {"name": "fix", "uid": "b-1"}, "spec": {}}
    return [View(at=float(at), beads=(nothing,)) for at in (0, 40)]


def reopened(path: Path) -> list[View]:
    return [View(at=0, beads=(DONE,)), replace(QUIET, at=1, beads=(bead(polecat="toast", attempts=1),))]


def reopened_for_a_moment(path: Path) -> list[View]:
    versions = [version(DONE, 1), version(bead(polecat="toast", attempts=1), 2), version(DONE, 3)]
    return [View(at=0, beads=(versions[0],)), View(at=1, beads=(versions[2],), passed_beads=tuple(versions))]


def attempts_fall(path: Path) -> list[View]:
    return [View(at=0, beads=(bead(attempts=2),)), View(at=1, beads=(bead(attempts=1),))]


def attempts_by_a_lost_pod(path: Path) -> list[View]:
    lost = polecat(reason="PodLost")
    counted = replace(QUIET, polecats=(lost,), beads=(bead(attempts=1),), endings=lambda uid: {})
    return [replace(QUIET, polecats=(lost,)), counted, replace(counted, at=10)]


def push_by_nobody(path: Path) -> list[View]:
    return [View(at=0), *(View(at=at, branches={"polecat/toast/b1": COMMIT}) for at in (1, 10))]


def push_after_done(path: Path) -> list[View]:
    before, after = {"polecat/toast/b1": COMMIT}, {"polecat/toast/b1": OTHER}
    return [View(at=0, beads=(DONE,), branches=before), *(View(at=at, beads=(DONE,), branches=after) for at in (1, 10))]


def foreign_result(path: Path) -> list[View]:
    stolen = DONE | {"status": DONE["status"] | {"branch": "polecat/maple/b1"}}
    return [
        replace(QUIET, endings=lambda uid: {1: "Done"}),
        View(at=1, beads=(stolen,), endings=lambda uid: {1: "Done"}),
    ]


def late_call(path: Path) -> list[View]:
    news = write_journal(path, ("ended", {"reason": "Cancelled"}), ("pushed", {"commit": COMMIT}))
    return [replace(QUIET, late=news.late)]


def two_agents_without_the_api(path: Path) -> list[View]:
    return [replace(QUIET, live=False, processes={"u-1": (1, 2)})]


@pytest.mark.parametrize(
    ("rule", "make"),
    [
        ("O1", two_agents),
        ("O2", two_polecats),
        ("O3", same_branch),
        ("O1", two_agents_without_the_api),
        ("O4", lost_commit),
        ("O4", commit_of_a_journal),
        ("O5", no_state),
        ("O5", nobody_works),
        ("O5", no_reason),
        ("O6", reopened),
        ("O6", reopened_for_a_moment),
        ("O7", attempts_fall),
        ("O7", attempts_by_a_lost_pod),
        ("O8", push_by_nobody),
        ("O8", push_after_done),
        ("O8", foreign_result),
        ("O8", late_call),
    ],
)
def test_a_broken_rule_is_told_once(rule: str, make: Callable[[Path], list[View]], tmp_path: Path) -> None:
    rules = Rules()
    views = make(tmp_path)
    told = [violation for view in views for violation in rules.look(view)]
    assert [violation.rule for violation in told] == [rule], "\n".join(map(str, told))
    assert not rules.look(views[-1])


def test_the_history_of_the_objects_is_told() -> None:
    rules = Rules()
    rules.look(replace(QUIET, polecats=()))
    (violation,) = rules.look(two_polecats(Path())[0])
    assert isinstance(violation, Violation)
    text = str(violation)
    assert "web-maple (u-2)" in text
    assert "web-toast (u-1)" in text
    assert "Bead fix" in text


def test_an_ordinary_life_breaks_nothing() -> None:
    rules = Rules()
    branches = {"polecat/toast/b1": COMMIT}
    finished = polecat(reason="Done")
    views = [
        View(at=0, beads=(bead("Queued", ("Unknown", "Queued")),)),
        replace(QUIET, at=100),
        replace(QUIET, at=200, branches=branches),
        View(at=201, beads=(DONE,), polecats=(finished,), branches=branches),
        View(at=300, beads=(DONE,), branches=branches),
    ]
    assert [violation for view in views for violation in rules.look(view)] == []
    again = DONE | {"spec": {"rerun": "please"}}
    reopened_by_a_user = bead("Queued", ("Unknown", "Queued"), attempts=1) | {"spec": {"rerun": "please"}}
    views = [View(at=301, beads=(again,)), View(at=302, beads=(reopened_by_a_user,))]
    assert [violation for view in views for violation in rules.look(view)] == []


@pytest.mark.parametrize(("heard", "rules_broken"), [("", []), ("again", ["O6"])])
def test_a_wish_to_run_again_may_come_before_the_end(heard: str, rules_broken: list[str]) -> None:
    rules, wish = Rules(), {"spec": {"rerun": "again"}}
    ended = DONE | wish | {"status": DONE["status"] | {"observedRerun": heard}}
    views = [View(at=0, beads=(ended,)), View(at=1, beads=(bead("Queued", ("Unknown", "Queued"), attempts=1) | wish,))]
    assert [violation.rule for view in views for violation in rules.look(view)] == rules_broken


def test_commits_are_found_where_they_are(tmp_path: Path) -> None:
    remote = make_remote(tmp_path / "remote.git")
    work, linked = tmp_path / "remote.work", tmp_path / "bare" / "repo.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(remote), str(linked)], check=True)
    tree = str(tmp_path / "bare" / "worktree")
    subprocess.run(["git", "-C", str(linked), "worktree", "add", "-q", "-B", "polecat/x", tree, "main"], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=work, capture_output=True, text=True, check=True).stdout
    assert read_head(linked) == head.strip()
    subprocess.run(["git", "-C", str(linked), "pack-refs", "--all"], check=True)
    assert read_head(linked) == head.strip()
    assert read_head(tmp_path) is None
    for unborn in ("", "0" * 40):
        (linked / "worktrees" / "worktree" / "HEAD").write_text(unborn)
        assert read_head(linked) is None
    assert has_commit(remote, head.strip())
    assert not has_commit(remote, COMMIT)


def test_agents_are_found_in_the_process_table(tmp_path: Path) -> None:
    wait = "import sys; print(flush=True); sys.stdin.read()"
    environment = {"POLECAT_UID": "u-1", "HOME": str(tmp_path)}
    command = [sys.executable, "-c", wait, "serve"]
    agents = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    ]
    try:
        for agent in agents:
            assert agent.stdout is not None
            agent.stdout.readline()
        assert {uid: sorted(pids) for uid, pids in living(tmp_path).items()} == {"u-1": sorted(a.pid for a in agents)}
    finally:
        for agent in agents:
            agent.communicate(b"")


def test_what_the_api_server_tells_later_is_waited_for() -> None:
    branches = {"polecat/toast/b1": COMMIT}
    late = [View(at=0), View(at=1, branches=branches), replace(QUIET, at=2, branches=branches)]
    counted = bead(attempts=1)
    uncovered = View(at=4, beads=(counted,), branches=branches, endings=lambda uid: {})
    booked = replace(uncovered, at=5, passed_polecats=(polecat(reason="Done"),))
    rules = Rules()
    views = [*late, uncovered, booked, replace(uncovered, at=20)]
    assert [violation for view in views for violation in rules.look(view)] == []
    assert not rules.in_doubt


def test_objects_that_are_gone_are_forgotten() -> None:
    rules = Rules()
    for number in range(2500):
        one = bead(polecat="toast", attempts=1)
        one["metadata"] |= {"uid": f"b-{number}", "resourceVersion": str(number)}
        assert not rules.look(View(at=float(number), beads=(one,)))
    assert len(rules._versions) < 1100


async def test_a_running_system_is_watched(kube_api: KubeApi, namespace: str, tmp_path: Path) -> None:
    spec = {"rigRef": {"name": "web"}, "title": "Fix", "prompt": "Do it."}
    await kube_api.create(BEAD, namespace, {"metadata": {"name": "fix"}, "spec": spec})

    async def report(attempts: int) -> None:
        status = {"status": {"attempts": attempts, "state": "Queued"}}
        await kube_api.patch_merge(BEAD, namespace, "fix", status, "status")

    await report(2)
    with pytest.raises(BrokenRulesError, match="attempts of bead fix fell from 2 to 1"):
        async with Oracle(kube_api, [tmp_path], namespace=namespace) as oracle:
            await oracle.look()
            await report(1)
