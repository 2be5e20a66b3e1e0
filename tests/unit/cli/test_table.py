"""What is shown of beads and polecats, whatever their status holds."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from polecat_cli.demo_report import Ending, print_report
from polecat_cli.demo_timeline import APPLIED, SUCCEEDED, offsets, read_journal, steps_in
from polecat_cli.table import Row, format_age, make_rows, render
from polecat_cli.views import read_bead, read_polecat
from polecat_cli.watching import Watch
from polecat_kube.api import KubeApi
from polecat_kube.connection import Connection
from polecat_local.demo.repository import Arrived

NOW = datetime(2026, 11, 24, 6, 0, 10, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


def bead(name: str, succeeded: str = "Unknown", reason: str = "Running", **status: Any) -> dict[str, Any]:
    condition = {"type": "Succeeded", "status": succeeded, "reason": reason, "message": f"because of {reason}"}
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "creationTimestamp": "2026-11-24T06:00:00Z"},
        "spec": {"title": name},
        "status": {"state": reason, "conditions": [condition], **status},
    }


def polecat(name: str, bead_name: str, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": f"web-{name}", "uid": f"uid-{name}"},
        "spec": {"name": name, "beadRef": {"name": bead_name, "uid": f"uid-{bead_name}"}, "attempt": 1},
        "status": status,
    }


def watch_of(*items: dict[str, Any], names: tuple[str, ...]) -> Watch:
    """A Watch that has seen these objects, without an API server."""
    watch = Watch(KubeApi(Connection("http://127.0.0.1:9")), "default", names, clock=lambda: NOW)
    for item in items:
        watch._polecat_changed(None, item) if "beadRef" in item["spec"] else watch._bead_changed(None, item)
    return watch


def test_a_bead_and_its_polecat_are_one_row() -> None:
    usage = {"inputTokens": 1000, "outputTokens": 200}
    watch = watch_of(
        bead("fix", polecat="toast", branch="polecat/toast/abc123", usage={"inputTokens": 34}),
        polecat("toast", "fix", activity="bash: npm test", usage=usage),
        names=("fix",),
    )
    assert make_rows(watch, ["fix"], NOW) == [
        Row("fix", "Running", "Toast", "polecat/toast/abc123", "bash: npm test", "10s", "1,234")
    ]


def test_a_bead_that_waits_says_why() -> None:
    watch = watch_of(bead("fix", reason="RigFull", queuePosition=3), names=("fix", "other"))
    fix, other = make_rows(watch, ["fix", "other"], NOW)
    assert (fix.state, fix.activity, fix.polecat) == ("RigFull #3", "because of RigFull", "")
    assert other.state == "Pending"
    assert watch.open_names() == ["fix", "other"]


def test_a_bead_that_has_ended_keeps_the_name_of_its_polecat() -> None:
    done = bead(
        "fix",
        "True",
        "Done",
        branch="polecat/toast-2/abc123",
        completionTime="2026-11-24T06:00:04Z",
        result={"summary": "It\nis [bold]done[/]."},
    )
    watch = watch_of(done, names=("fix",))
    (row,) = make_rows(watch, ["fix"], NOW)
    assert (row.polecat, row.age, row.state) == ("Toast-2", "4s", "Done")
    assert watch.succeeded()
    assert watch.open_names() == []
    out = io.StringIO()
    Console(file=out, width=200).print(render([row], 200))
    assert "It is [bold]done[/]." in out.getvalue()
    assert "polecat/toast-2/abc123" in out.getvalue()


def test_a_narrow_terminal_keeps_what_matters() -> None:
    row = Row("thousands-separators", "Running #3", "Toast", "polecat/toast/abc123", "bash: " + "x" * 99, "3m2s", "1")
    out = io.StringIO()
    Console(file=out, width=80).print(render([row], 80))
    assert "thousands-separators  Running #3  Toast    bash: xxx" in out.getvalue()


def test_a_deleted_bead_has_ended_but_not_well() -> None:
    watch = watch_of(bead("fix"), names=("fix",))
    watch._bead_changed(bead("fix"), None)
    assert make_rows(watch, ["fix"], NOW)[0].state == "Deleted"
    assert watch.open_names() == []
    assert not watch.succeeded()


def test_the_polecat_of_a_later_attempt_stays_when_the_earlier_goes() -> None:
    first, second = polecat("toast", "fix"), polecat("maple", "fix")
    watch = watch_of(bead("fix", polecat="maple"), first, second, names=("fix",))
    watch._polecat_changed(first, None)
    assert watch.polecats["uid-fix"].name == "maple"


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0s"), (59, "59s"), (192, "3m12s"), (7500, "2h5m"), (400000, "4d")])
def test_ages(seconds: float, text: str) -> None:
    assert format_age(seconds) == text


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), JSON))
def test_nothing_in_an_object_is_an_error(item: dict[str, Any]) -> None:
    read_bead(item)
    read_polecat(item)


def test_the_journal_gives_the_steps() -> None:
    lines = [
        '{"seq":1,"time":"2026-11-24T06:00:00.100Z","kind":"claimed","data":{}}',
        '{"seq":2,"time":"2026-11-24T06:00:01.000Z","kind":"done-called","data":{}}',
        '{"seq":3,"time":"2026-11-24T06:00:02.000Z","kind":"done-called","data":{}}',
        '{"seq":4,"time":"2026-11-24T06:00:03.000Z","kind":"text","data":{}}',
        '{"seq":5,"time":"2026-11-',
    ]
    timeline = steps_in(lines)
    start = datetime(2026, 11, 24, 6, tzinfo=UTC)
    assert timeline == {
        "claimed": start + timedelta(milliseconds=100),
        "done called": start + timedelta(seconds=2),
    }
    assert offsets({**timeline, APPLIED: start})[:5] == [0.0, None, 0.1, None, None]


def test_the_latest_attempt_is_the_one_that_counts(tmp_path: Any) -> None:
    for attempt in (2, 10):
        path = tmp_path / "uid" / f"{attempt}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'{{"kind":"pushed","time":"2026-11-24T06:00:{attempt:02d}Z"}}\n')
    assert read_journal(tmp_path, "uid")["pushed and verified"].second == 10
    assert read_journal(tmp_path, "other") == {}


def test_the_report_believes_the_repository() -> None:
    commit = "a" * 40
    done = read_bead(bead("fix", "True", "Done", branch="polecat/toast/abc123", headCommit=commit))
    failed = read_bead(bead("add", "False", "AttemptsExhausted"))
    good = Ending(done, Arrived(commit, "Mend it", ("a.py",)), {APPLIED: NOW, SUCCEEDED: NOW + timedelta(seconds=5)})
    lost = Ending(done, None, {})
    assert (good.well, lost.well, Ending(failed, None, {}).well) == (True, False, False)
    out = io.StringIO()
    print_report(Console(file=out, width=140), [good, lost, Ending(failed, None, {})], "/x/sample.git")
    text = out.getvalue()
    assert "polecat/toast/abc123  aaaaaaaaaa  Mend it" in text
    assert "5.00" in text
    assert f"the branch should hold {commit}" in text
    assert "AttemptsExhausted: because of AttemptsExhausted" in text
    assert "1 of 3 have arrived" in text
