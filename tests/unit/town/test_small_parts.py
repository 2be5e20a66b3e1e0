"""Settings, state, status, configuration, bounds, retention, memory, Lease: the pure parts."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from polecat_api.conditions import Reason
from polecat_api.polecat import Claim
from polecat_api.rig import Model
from polecat_api.times import format_time
from polecat_town.agent.config import AgentSetup, build_config, build_environment
from polecat_town.claims import build_claim
from polecat_town.domain.processes import visits
from polecat_town.endpoint.model_proxy import FailureBound
from polecat_town.life.prompts import first_prompt, nudge_prompt
from polecat_town.life.state import End, Step, load_state, save_state
from polecat_town.life.status import Live, build_status
from polecat_town.lock import HeldElsewhereError, PolecatLock
from polecat_town.pod.lease import is_free
from polecat_town.pod.memory import read_container_memory
from polecat_town.rigs import decode_secret
from polecat_town.settings import Settings
from polecat_town.streams.retention import StoredSegment, choose
from polecat_town.streams.segments import StreamID
from support.town_made import BASE, HEAD, NOW, polecat, state

CLAIM = Claim(pod="main-0", pod_uid="p", time=NOW)


def setup(provider: str = "openai-compatible", **fields: str) -> AgentSetup:
    """An agent's setup."""
    return AgentSetup(
        model=Model(provider=provider, name="big", small="little", endpoint="https://models.example/v1"),
        model_name="big",
        token="THE-TOKEN",
        tools_url="http://127.0.0.1:1/mcp",
        proxy_url="http://127.0.0.1:1/model/v1",
        tool_timeout_seconds=60,
        **fields,
    )


def test_the_agent_never_gets_the_key_of_a_model_behind_the_proxy() -> None:
    config = build_config(setup())
    assert config["model"] == "polecat/big"
    assert config["small_model"] == "polecat/little"
    assert config["provider"]["polecat"]["options"] == {"baseURL": "http://127.0.0.1:1/model/v1", "apiKey": "THE-TOKEN"}
    assert config["mcp"]["polecat"]["headers"] == {"Authorization": "Bearer THE-TOKEN"}
    assert config["mcp"]["polecat"]["timeout"] == 60_000
    assert config["agent"]["code"]["permission"]["question"] == "deny"


def test_other_providers_get_their_key() -> None:
    config = build_config(setup("kilo", api_key="KEY"))
    assert config["model"] == "kilo/big"
    assert config["provider"]["kilo"]["options"]["apiKey"] == "KEY"


def test_an_environment_is_built_from_nothing_else() -> None:
    made = build_environment({"HOME": "/h", "NO_PROXY": "x"}, setup(), "pw")
    assert made["NO_PROXY"] == "127.0.0.1,localhost,::1,x"
    assert set(made) == {
        "HOME", "NO_PROXY", "no_proxy", "KILO_SERVER_PASSWORD", "KILO_CONFIG_CONTENT", "KILO_DISABLE_MODELS_FETCH",
        "KILO_DISABLE_AUTOUPDATE", "KILO_TELEMETRY_LEVEL",
    }  # fmt: skip
    assert "pw" not in repr(setup())
    assert "THE-TOKEN" not in repr(setup())


def test_state_survives_and_what_is_unreadable_is_none(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    at = state(Step.RUNNING, base_commit=BASE, end=End(reason=Reason.TIMED_OUT, message="m"))
    save_state(path, at)
    assert load_state(path) == at
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(path.read_text()[:-5])
    assert load_state(path) is None
    assert load_state(tmp_path / "none") is None


def test_status_tells_the_end_only_when_the_work_is_safe() -> None:
    ended = state(Step.RUNNING, end=End(reason=Reason.TIMED_OUT, message="too long"), save_message="saved as r")
    open_ = build_status(ended, Live(), CLAIM, [], NOW, 1)
    assert [(c.type, c.status, c.reason) for c in open_.conditions] == [
        ("Ready", "False", "Stopping"),
        ("Finished", "False", "Stopping"),
    ]
    assert open_.exit is None
    closed = build_status(ended.but(settled=True), Live(log_tail="x" * 5000), CLAIM, [], NOW, 1)
    assert [(c.type, c.status, c.reason) for c in closed.conditions] == [
        ("Ready", "False", "TimedOut"),
        ("Finished", "True", "TimedOut"),
    ]
    assert closed.conditions[1].message == "too long; saved as r"
    assert closed.exit is not None
    assert len(closed.exit.log_tail) == 2048


def test_status_while_running_and_publishing() -> None:
    at = state(Step.RUNNING, head_commit=HEAD)
    running = build_status(at, Live(alive=True), CLAIM, [], NOW, 1)
    assert [(c.status, c.reason) for c in running.conditions] == [("True", "Running"), ("False", "Running")]
    later = build_status(at, Live(alive=True, publishing=True), CLAIM, running.conditions, NOW + timedelta(1), 1)
    assert [(c.status, c.reason) for c in later.conditions] == [("True", "Publishing"), ("False", "Publishing")]
    assert later.conditions[0].last_transition_time == NOW


def test_the_claim_is_the_first_status() -> None:
    made = build_claim(polecat(), "main-0", "p", NOW)
    assert made.claim == CLAIM
    assert {(c.type, c.status, c.reason) for c in made.conditions} == {
        ("Ready", "False", "Starting"),
        ("Finished", "False", "Starting"),
    }


def test_failures_are_borne_for_so_many_tries_or_seconds() -> None:
    now = [0.0]
    bound = FailureBound(3, 60, clock=lambda: now[0])
    assert [bound.failed(), bound.failed()] == [False, False]  # one and the same failure, told twice
    now[0] = 5
    assert not bound.failed()
    now[0] = 10
    assert bound.failed()
    bound.answered()
    assert not bound.failed()
    now[0] = 71
    assert bound.failed()


def test_what_is_kept_of_streams_is_bounded() -> None:
    def segment(attempt: int, name: str, age: float) -> StoredSegment:
        return StoredSegment(StreamID("b", attempt), Path(name), 10, 1000 - age)

    ended = [segment(1, "1a", 900), segment(1, "1b", 20), segment(2, "2", 500)]
    going_on = [segment(3, "3a", 950), segment(3, "3b", 940), segment(3, "3c", 1)]
    segments = [*ended, *going_on]
    in_use = {StreamID("b", 3): Path("3c")}

    def chosen(age_seconds: float, total_bytes: int) -> list[str]:
        return [str(each.path) for each in choose(segments, in_use, 1000, age_seconds, total_bytes)]

    assert chosen(9999, 60) == []
    # Old or too much: the attempt that ended first, as a whole.
    assert chosen(400, 60) == ["2"]
    assert chosen(9999, 55) == ["2"]
    assert chosen(9999, 45) == ["2", "1a", "1b"]
    # Then the beginning of what goes on, but never the file that is written to.
    assert chosen(9999, 25) == ["2", "1a", "1b", "3a"]
    assert chosen(9999, 1) == ["2", "1a", "1b", "3a", "3b"]


def test_memory_of_both_layouts_of_control_groups(tmp_path: Path) -> None:
    v2, v1, none = tmp_path / "v2", tmp_path / "v1", tmp_path / "none"
    for folder, files in (
        (v2, {"memory.current": "500", "memory.max": "1000", "memory.stat": "anon 3\ninactive_file 100\n"}),
        (
            v1,
            {"memory.usage_in_bytes": "700", "memory.limit_in_bytes": "2000", "memory.stat": "total_inactive_file 50"},
        ),
    ):
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    assert read_container_memory(v2, none) == read_container_memory(v2, v1)
    assert (read_container_memory(v2, none).used_bytes, read_container_memory(v2, none).limit_bytes) == (400, 1000)
    assert (read_container_memory(none, v1).used_bytes, read_container_memory(none, v1).limit_bytes) == (650, 2000)
    (v2 / "memory.max").write_text("max")
    machine = read_container_memory(v2, none)
    assert 0 < machine.used_bytes < machine.limit_bytes


@pytest.mark.parametrize(
    ("holder", "age", "free"), [("me", 0, True), ("", 0, True), ("other", 10, False), ("other", 41, True)]
)
def test_whose_lease(holder: str, age: int, free: bool) -> None:
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": 40,
        "renewTime": format_time(NOW - timedelta(seconds=age)),
    }
    assert is_free(spec, "me", NOW) is free
    assert is_free({"holderIdentity": "other", "renewTime": "nonsense"}, "me", NOW)


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "u.lock"
    with PolecatLock(path):
        assert json.loads(path.read_text())["pid"] > 0
        with pytest.raises(HeldElsewhereError, match="startTime"):
            PolecatLock(path).acquire()
    with PolecatLock(path) as again:
        again.release(remove=True)
    assert not path.exists()


def test_secrets_that_are_no_text_are_left_out() -> None:
    assert decode_secret({"data": {"a": "aGk=", "b": "/w==", "c": "a"}}) == {"a": "hi"}
    assert decode_secret(None) == {}


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POLECAT_TOWN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("POLECAT_TOWN_POD_UID", "p")
    monkeypatch.setenv("POLECAT_TOWN_POD_NAME", "main-7")
    monkeypatch.setenv("POLECAT_TOWN_LISTEN", "[::1]:9090")
    made = Settings()
    assert (made.ordinal, made.listen_host, made.listen_port) == (7, "::1", 9090)
    assert made.streams_dir == tmp_path / "streams"
    assert all(field.description for field in Settings.model_fields.values())


def test_prompts_tell_the_rules() -> None:
    fresh = first_prompt(state(base_commit=BASE, start_commit=BASE), "Fix it", "Please.")
    assert fresh.startswith("# Fix it\n\nPlease.")
    assert "polecat_done" in fresh
    assert "earlier attempt" not in fresh
    assert "earlier attempt" in first_prompt(state(base_commit=BASE, start_commit=HEAD), "Fix it", "Please.")
    assert "last time" in nudge_prompt(3, 3, idle=True)
    assert "last time" not in nudge_prompt(1, 3, idle=False)


@pytest.mark.parametrize(
    ("pid", "parents", "from_outside"),
    [
        (9, {9: 8, 8: 0}, True),
        (9, {9: 0}, True),
        (9, {9: 8, 8: 1, 1: 0}, False),
        (9, {9: 8}, False),
        (1, {1: 0}, False),
    ],
    ids=["editor in a shell", "shell", "orphan's child", "below the supervisor", "init"],
)
def test_who_has_come_into_the_container_from_outside(pid: int, parents: dict[int, int], from_outside: bool) -> None:
    assert visits(pid, parents) is from_outside
