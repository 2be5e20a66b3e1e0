"""Refs say what they were built from."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polecat_api.branches import SavedRef, bead_hex, build_branch, parse_saved_ref, saved_folder, saved_ref, work_ref

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
def test_no_other_bead_begins_like_a_branch(prefix: str, name: str, uid: str, others: list[str]) -> None:
    branch = build_branch(prefix, name, uid, others)
    assert str(branch) == f"{prefix}/{name}/{branch.bead_id}"
    assert bead_hex(uid).startswith(branch.bead_id)
    assert all(not bead_hex(other).startswith(branch.bead_id) for other in others if other != uid)


@given(uids, st.integers(1, 10_000), st.integers(1, 99))
def test_saved_refs_are_a_pair(uid: str, attempt: int, serial: int) -> None:
    assert parse_saved_ref(saved_ref(uid, attempt, serial)) == SavedRef(uid, attempt, serial)
    assert saved_ref(uid, attempt, serial).startswith(saved_folder(uid))


def test_work_lies_where_the_contract_says() -> None:
    assert work_ref("uid").split("/") == ["refs", "polecat", "work", "uid"]


def test_a_second_place_of_an_attempt_has_a_number() -> None:
    assert saved_ref("bead", 2) == "refs/polecat/saved/bead/2"
    assert saved_ref("bead", 2, 3) == "refs/polecat/saved/bead/2-3"


@pytest.mark.parametrize(
    "ref",
    ["refs/heads/main", f"refs/polecat/saved/{uuid.UUID(int=1)}", "refs/polecat/saved/x/y", "refs/polecat/saved/x/1-"],
)
def test_other_refs_are_no_saved_work(ref: str) -> None:
    assert parse_saved_ref(ref) is None
