"""Sessions, links, origins, and answers that are remembered."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from polecat_dashboard.access.identity import Identifier, Principal, csrf_valid
from polecat_dashboard.access.links import Links
from polecat_dashboard.access.origin import host_allowed, origin_allowed
from polecat_dashboard.access.permissions import Permissions
from polecat_dashboard.access.rate import Bucket, TooManyTriesError
from polecat_dashboard.access.sessions import Sessions
from polecat_dashboard.settings import Settings
from polecat_kube.errors import UnavailableError
from polecat_kube.reviews import Access, Remembered, User, bearer

ORIGINS = frozenset({"http://127.0.0.1:8484", "https://polecat.example"})


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_when_it_is_idle_and_in_any_case() -> None:
    clock = Clock()
    sessions = Sessions(idle_seconds=10, longest_seconds=25, clock=clock)
    cookie, other = sessions.create("token"), sessions.create("token")
    assert cookie != other and len(cookie) >= 43
    for _ in range(3):
        clock.now += 8
        assert (found := sessions.find(cookie)) is not None and found.token == "token"
    assert sessions.find(other) is None, "idle"
    clock.now += 2
    assert sessions.find(cookie) is None, "too old, though it was used"
    assert sessions.find("guess") is None and "token" not in repr(found)


def test_a_link_works_once_and_for_a_while() -> None:
    clock = Clock()
    links = Links(60, clock)
    first, second = links.create("token"), links.create("token")
    assert links.redeem(first) == "token" and links.redeem(first) is None
    clock.now += 60
    assert links.redeem(second) is None


def test_too_many_tries_are_held_back() -> None:
    clock = Clock()
    bucket = Bucket(burst=2, per_second=0.5, clock=clock)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    clock.now += 2
    assert [bucket.take() for _ in range(2)] == [True, False]


@pytest.mark.parametrize("host", ["127.0.0.1:8484", "POLECAT.example"])
def test_our_own_hosts(host: str) -> None:
    assert host_allowed(host, ORIGINS)


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1", "127.0.0.1:8485", "polecat.example.evil", "/"])
def test_other_hosts(host: str) -> None:
    assert not host_allowed(host, ORIGINS)


@pytest.mark.parametrize(
    ("method", "headers", "allowed"),
    [
        ("GET", {}, True),
        ("GET", {"sec-fetch-site": "same-origin"}, True),
        ("GET", {"sec-fetch-site": "none"}, True),
        ("GET", {"sec-fetch-site": "same-site"}, False),
        ("GET", {"sec-fetch-site": "cross-site"}, False),
        ("GET", {"origin": "https://evil.example"}, False),
        ("POST", {"origin": "https://polecat.example"}, True),
        ("POST", {}, False),
        ("POST", {"sec-fetch-site": "same-origin"}, False),
        ("POST", {"origin": "null"}, False),
        ("POST", {"origin": "http://polecat.example"}, False),
        ("DELETE", {"origin": "http://127.0.0.1:8485"}, False),
    ],
)
def test_where_requests_may_come_from(method: str, headers: Mapping[str, str], allowed: bool) -> None:
    assert origin_allowed(method, headers, ORIGINS) is allowed


def test_bearer_tokens() -> None:
    assert bearer("Bearer abc") == bearer("bearer  abc ") == "abc"
    assert bearer(None) is bearer("Basic abc") is bearer("Bearer ") is bearer("abc") is None


def test_a_write_shows_the_token_of_its_page() -> None:
    principal = Principal(User("ada"), "secret-token", "right", by_cookie=True)
    assert csrf_valid(principal, "right")
    assert not csrf_valid(principal, None) and not csrf_valid(principal, "") and not csrf_valid(principal, "wrong")
    assert "secret-token" not in repr(principal)


def test_settings_name_our_own_origins() -> None:
    assert Settings(listen="127.0.0.1:9", public_urls=("https://Polecat.example/",)).origins == {
        "http://127.0.0.1:9",
        "http://localhost:9",
        "http://[::1]:9",
        "https://polecat.example",
    }
    assert Settings(listen="0.0.0.0:9").origins == frozenset(), "nobody is let in who does not name it"
    for wrong in ("polecat.example", "https://", "ftp://polecat.example", "https://polecat.example/path"):
        with pytest.raises(ValidationError):
            Settings(public_urls=(wrong,))


async def test_answers_are_asked_for_once_and_for_a_while() -> None:
    clock, asked = Clock(), 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return asked

    remembered: Remembered[int] = Remembered(30, clock)
    assert await asyncio.gather(*(remembered.get("key", ask) for _ in range(50))) == [1] * 50
    clock.now += 29
    assert await remembered.get("key", ask) == 1
    clock.now += 1
    assert await remembered.get("key", ask) == 2
    remembered.forget("key")
    assert await remembered.get("key", ask) == 3


async def test_a_failure_is_not_remembered() -> None:
    remembered: Remembered[bool] = Remembered(30, Clock())
    answers = iter([UnavailableError("review", "away"), True])

    async def ask() -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(UnavailableError):
        await remembered.get("key", ask)
    assert await remembered.get("key", ask) is True


class Rights:
    """Stands for the reviews of an API server: a set of what is allowed."""

    def __init__(self, *allowed: tuple[str, str, str]) -> None:
        self.allowed_set = set(allowed)
        self.asked: list[Access] = []

    async def allowed(self, user: User, access: Access) -> bool:
        self.asked.append(access)
        resource = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
        return (access.verb, resource, access.namespace) in self.allowed_set


async def scope_of(rights: Any, *namespaces: str) -> Any:
    return await Permissions(rights).scope(User("ada"), namespaces)


async def test_a_scope_is_what_the_rights_say() -> None:
    scope = await scope_of(
        Rights(("list", "beads", "a"), ("list", "rigs", ""), ("get", "polecats/stream", "a")), "a", "b"
    )
    assert scope.sees("beads", "a") and not scope.sees("beads", "b")
    assert scope.sees("rigs", "anywhere") and not scope.sees("polecats", "a")
    assert scope.reads_streams("a") and not scope.reads_streams("b")
    assert (await scope_of(Rights(), "a")).empty


async def test_who_may_list_everywhere_is_asked_four_questions_and_one() -> None:
    rights = Rights(
        *(("list", kind, "") for kind in ("beads", "polecats", "rigs", "towns")), ("get", "polecats/stream", "")
    )
    await scope_of(rights, *(f"team-{n}" for n in range(100)))
    assert len(rights.asked) == 5


class KnownTokens:
    """Stands for the reviews of an API server: whose tokens there are, and which were asked for."""

    def __init__(self, **users: str) -> None:
        self.users = users
        self.asked: list[str] = []

    def knows(self, token: str) -> bool:
        return token in self.asked

    async def identify(self, token: str) -> User | None:
        self.asked.append(token)
        return User(self.users[token]) if token in self.users else None


def identifier(reviews: Any, tries: int = 10) -> Identifier:
    clock = Clock()
    return Identifier(reviews, Sessions(10, 10, clock), Bucket(tries, 0, clock))


async def test_who_tries_many_tokens_is_held_back_and_known_ones_are_not() -> None:
    reviews = KnownTokens(good="ada")
    made = identifier(reviews, tries=3)
    assert (await made.review("good")) == User("ada")
    assert await made.review("guess-1") is None and await made.review("guess-2") is None
    with pytest.raises(TooManyTriesError):
        await made.review("guess-3")
    assert reviews.asked == ["good", "guess-1", "guess-2"]
    assert (await made.review("good")) == User("ada")


def test_the_proof_of_a_write_belongs_to_one_token_and_one_life() -> None:
    made, other = identifier(KnownTokens()), identifier(KnownTokens())
    assert made._csrf("a") == made._csrf("a")
    assert len({made._csrf("a"), made._csrf("b"), other._csrf("a")}) == 3
