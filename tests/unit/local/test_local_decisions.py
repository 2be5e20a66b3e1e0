"""Small decisions of the embedded cluster: ports, paths, backoff, environment, npm lock, which town."""

import io
import json
import os
import socket
from pathlib import Path

import pytest

from polecat_local.cache import Cache
from polecat_local.cluster import TownIdentity, choose_town, operator_name
from polecat_local.datadir import DataDir, Runner
from polecat_local.environment import scrubbed
from polecat_local.errors import DataDirInUseError, KiloUnavailableError, LocalError
from polecat_local.kilo import find_npm, kilo_binary, lock_files
from polecat_local.paths import cache_root, default_data_dir, write_private
from polecat_local.ports import HOST, choose_ports
from polecat_local.process import describe_exit, explain
from polecat_local.progress import Progress
from polecat_local.report import program_name
from polecat_local.supervise import LONGEST_BACKOFF_SECONDS, next_backoff
from polecat_local.versions import KILO_PACKAGES


def test_ports_are_kept_when_free_and_changed_when_taken(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = choose_ports(file)
    assert len({first.api, first.etcd_client, first.etcd_peer}) == 3
    assert choose_ports(file) == first
    with socket.socket() as other:
        other.bind((HOST, first.api))
        other.listen()
        second = choose_ports(file)
    assert second.api != first.api
    assert (second.etcd_client, second.etcd_peer) == (first.etcd_client, first.etcd_peer)
    assert json.loads(file.read_text())["api"] == second.api


def test_unreadable_ports_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    file.write_text("{half")
    assert choose_ports(file) == choose_ports(file)


def test_directories_follow_xdg_and_home() -> None:
    assert cache_root({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/polecat")
    assert cache_root({"HOME": "/h"}) == Path("/h/.cache/polecat")
    assert default_data_dir({"HOME": "/h"}) == Path("/h/.local/state/polecat")


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({}, "there is no cache directory: neither XDG_CACHE_HOME nor HOME is set"),
        ({"XDG_CACHE_HOME": "relative"}, "XDG_CACHE_HOME is 'relative': it must be an absolute path"),
    ],
)
def test_no_cache_directory_is_one_sentence(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(LocalError) as error:
        cache_root(environ)
    assert str(error.value) == sentence


def test_private_files_are_0600_and_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_data_directory_belongs_to_one(tmp_path: Path) -> None:
    first, second = DataDir(tmp_path), DataDir(tmp_path)
    first.claim()
    assert second.runner() == Runner.this_process()
    with pytest.raises(DataDirInUseError, match=f"in use by process {os.getpid()}.*polecat down.*--data-dir"):
        second.claim()
    first.release()
    assert second.runner() is None
    second.claim()
    second.release()


def test_runner_of_another_life_is_nobody(tmp_path: Path) -> None:
    (tmp_path / "up.pid").write_text(json.dumps({"pid": os.getpid(), "start_ticks": 1}))
    assert DataDir(tmp_path).runner() is None


def test_a_first_start_that_failed_leaves_only_logs(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "d")
    assert data.is_new()
    (data.path / "etcd" / "member").mkdir(parents=True)
    data.logs.mkdir()
    (data.path / "kubeconfig").touch()
    assert not data.is_new()
    data.clear()
    assert data.is_new()
    assert list(data.path.iterdir()) == [data.logs]


def test_pod_uid_is_kept(tmp_path: Path) -> None:
    assert DataDir(tmp_path).pod_uid() == DataDir(tmp_path).pod_uid()


def test_backoff_doubles_to_a_limit_and_starts_anew_after_a_healthy_life() -> None:
    waits = [0.0]
    for _ in range(10):
        waits.append(next_backoff(waits[-1], 1.0))
    assert waits[1:4] == [0.5, 1.0, 2.0]
    assert waits[-1] == LONGEST_BACKOFF_SECONDS
    assert next_backoff(waits[-1], 3600.0) == 0.5


def test_programs_do_not_see_keys_of_the_user() -> None:
    seen = scrubbed(
        {"PATH": "/bin", "https_proxy": "p", "LC_ALL": "C", "AWS_SECRET_ACCESS_KEY": "x", "KUBECONFIG": "y"}
    )
    assert seen == {"PATH": "/bin", "https_proxy": "p", "LC_ALL": "C"}


def test_npm_lock_has_integrity_and_no_address() -> None:
    package = next(iter(KILO_PACKAGES.values()))
    lock = json.loads(lock_files(package)["package-lock.json"])
    assert lock["packages"][f"node_modules/{package.name}"] == {
        "version": package.version,
        "integrity": package.integrity,
    }
    assert "resolved" not in json.dumps(lock)


def test_npm_of_the_wheel_serves_when_there_is_none() -> None:
    command = find_npm({"PATH": "/nonexistent"})
    assert command is not None
    assert [Path(part).name for part in command] == ["node", "npm-cli.js"]


async def test_kilo_that_does_not_come_is_one_sentence(tmp_path: Path) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho 'npm error network is unreachable'\nexit 1\n")
    npm.chmod(0o755)
    (npm.parent / "node").symlink_to("/bin/sh")
    environ = {"PATH": str(npm.parent)}
    with pytest.raises(KiloUnavailableError, match=r"npm could not install .*\n.*network is unreachable"):
        await kilo_binary(Cache(tmp_path / "cache"), Progress(io.StringIO()), environ)
    assert [entry.suffix for entry in (tmp_path / "cache" / "kilo").iterdir()] == [".lock"]


def test_the_default_town_is_served_unless_only_others_exist() -> None:
    main, other, third = TownIdentity("default", "main"), TownIdentity("b", "x"), TownIdentity("a", "z")
    assert choose_town([]) == main
    assert choose_town([other, main]) == main
    assert choose_town([other, third]) == third
    assert third.pod == "z-0"


@pytest.mark.parametrize(
    ("tail", "word"),
    [
        ("listen tcp 127.0.0.1:6443: bind: address already in use", "port"),
        ("write /x: no space left on device", "disk is full"),
        ("open /x: permission denied", "may not write"),
    ],
)
def test_ends_of_processes_are_explained(tail: str, word: str) -> None:
    assert word in (explain(tail) or "")
    assert explain("panic: something else") is None


def test_exit_codes_in_words() -> None:
    assert describe_exit(-9) == "SIGKILL"
    assert describe_exit(1) == "exit code 1"


def test_programs_are_named_as_users_know_them() -> None:
    assert program_name(["/usr/bin/python", "-P", "-m", "polecat_town"], dict) == "town"
    assert program_name(["/cache/etcd", "--name=x"], dict) == "etcd"
    second = {"POLECAT_OPERATOR_IDENTITY": f"{operator_name(2)}_3f-2b"}
    assert program_name(["/usr/bin/python", "-P", "-m", "polecat_operator"], lambda: second) == "operator-2"
