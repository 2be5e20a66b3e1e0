"""What agents may read of the machine: programs and what belongs to them, and nothing that may hold secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from polecat_town.domain.grants import passed_on, prefix_of, readable, tool_homes


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for folder in (
        ".local/bin", ".local/lib", ".local/share/keyrings", ".local/share/uv", ".cargo/bin", ".pyenv/shims",
        ".pyenv/versions/3.12/bin", ".nvm/versions/node/v22/bin", "bin", "project/.venv/bin",
    ):  # fmt: skip
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "project/.venv/pyvenv.cfg").write_text(f"home = {tmp_path}/.pyenv/versions/3.12/bin\n")
    (tmp_path / ".pyenv/version").write_text("3.12")
    return tmp_path


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (".local/bin", {".local/bin", ".local/lib", ".local/share/uv"}),
        (".cargo/bin", {".cargo/bin"}),
        (".pyenv/shims", {".pyenv/shims", ".pyenv/versions", ".pyenv/version"}),
        (".nvm/versions/node/v22/bin", {".nvm/versions/node/v22"}),
        ("project/.venv/bin", {"project/.venv", ".pyenv/versions/3.12"}),
        ("bin", {"bin"}),
        ("missing/bin", set()),
    ],
)
def test_installation_prefixes(home: Path, entry: str, expected: set[str]) -> None:
    assert set(prefix_of(home / entry, home)) == {home / path for path in expected}


def test_data_directory_is_left_out_wherever_it_lies(home: Path) -> None:
    tool, data = home / "project" / "tool", home / "project" / "tool" / "var" / "data"
    for folder in (tool / "bin", data, tool / "var" / "other"):
        folder.mkdir(parents=True)
    granted = set(readable({"PATH": f"{tool}/bin"}, home, data))
    assert {tool / "bin", tool / "var" / "other"} <= granted
    assert not [path for path in granted if path == data or path in data.parents or data in path.parents]


def test_variables_with_credentials_are_not_passed_on() -> None:
    environ = {"HTTPS_PROXY": "http://me:pw@proxy", "NO_PROXY": "localhost", "AWS_SECRET": "x", "TZ": ""}
    assert passed_on(environ) == {"NO_PROXY": "localhost"}


def test_tools_that_look_into_the_home_are_shown_the_real_one(home: Path) -> None:
    assert tool_homes(home) == {}
    (home / ".rustup").mkdir()
    assert tool_homes(home) == {"RUSTUP_HOME": f"{home}/.rustup"}
