"""Builder and parser of each ref are one pair."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polecat_api.branches import (
    BranchName,
    bead_hex,
    blocking_refs,
    build_branch,
    parse_branch,
    parse_saved_ref,
    saved_ref,
)

uids = st.uuids().map(str)
names = st.from_regex(r"\A[a-z]([-a-z0-9]{0,18}[a-z0-9])?\Z")
prefixes = st.from_regex(r"\A[a-zA-Z0-9]([-a-zA-Z0-9_]{0,10}[a-zA-Z0-9])?\Z")


def test_a_branch_has_six_digits_of_the_bead() -> None:
    assert str(build_branch("polecat", "toast", "3fa2b19c-0000-4000-8000-000000000000")) == "polecat/toast/3fa2b1"


def test_a_bead_that_begins_alike_gets_a_longer_branch() -> None:
    own = "3fa2b19c-0000-4000-8000-000000000000"
    assert build_branch("polecat", "toast", own, ["3fa2b1ff-0000-4000-8000-000000000000"]).bead_id == "3fa2b19"
    assert build_branch("polecat", "toast", own, ["3fa2b1"]).bead_id == "3fa2b19"
    assert build_branch("polecat", "toast", own, [own]).bead_id == "3fa2b1"


@given(prefixes, names, uids, st.lists(uids, max_size=5))
def test_parse_gives_back_what_build_made(prefix: str, name: str, uid: str, others: list[str]) -> None:
    branch = build_branch(prefix, name, uid, others)
    assert parse_branch(str(branch), prefix) == branch
    assert parse_branch(f"refs/heads/{branch}", prefix) == branch
    assert all(not bead_hex(other).startswith(branch.bead_id) for other in others if other != uid)


@pytest.mark.parametrize(
    "branch",
    [
        "main",
        "polecat",
        "polecat/toast",
        "polecat/toast/xyz123",
        "polecat/toast/3fa2b",
        "other/toast/3fa2b1",
        "polecat//3fa2b1",
    ],
)
def test_other_branches_are_nobodys(branch: str) -> None:
    assert parse_branch(branch, "polecat") is None


def test_blocking_refs_are_the_parents_of_the_branch() -> None:
    assert blocking_refs("polecat", "toast") == ("refs/heads/polecat", "refs/heads/polecat/toast")
    assert str(BranchName("polecat", "toast", "3fa2b1")).startswith("polecat/toast/")


@given(uids, st.integers(1, 10_000))
def test_saved_refs_are_a_pair(uid: str, attempt: int) -> None:
    assert parse_saved_ref(saved_ref(uid, attempt)) == (uid, attempt)


@pytest.mark.parametrize("ref", ["refs/heads/main", f"refs/polecat/saved/{uuid.UUID(int=1)}", "refs/polecat/saved/x/y"])
def test_other_refs_are_no_saved_work(ref: str) -> None:
    assert parse_saved_ref(ref) is None
