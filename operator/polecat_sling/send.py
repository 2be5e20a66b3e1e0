"""Sends beads to the API server: all of them are checked before the first one is made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from polecat_kube.api import KubeApi, sleep_before_retry
from polecat_kube.errors import AlreadyExistsError, ApiError, ForbiddenError
from polecat_kube.resources import BEAD, RIG
from polecat_sling.draft import Order, same_work

TRIES = 6


class Outcome(StrEnum):
    """What came of one bead; the words that are printed."""

    CREATED = "created"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Sent:
    """One bead that is there now."""

    order: Order
    outcome: Outcome
    note: str = ""
    """What the user should know besides."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One bead that can't be made, and why."""

    order: Order
    why: str


class NameTakenError(Exception):
    """A bead of that name asks for other work."""


async def rig_is_missing(api: KubeApi, namespace: str, rig: str) -> bool:
    """Whether there is no such rig; False when the user may not look."""
    try:
        return await api.get(RIG, namespace, rig) is None
    except ForbiddenError:
        return False


def without_doubles(orders: Sequence[Order]) -> tuple[list[Order], list[Refused]]:
    """Each name once; a name that is given to different work is refused."""
    first: dict[str, Order] = {}
    refused: list[Refused] = []
    for order in orders:
        known = first.setdefault(order.name, order)
        if known is not order and not same_work(order.spec, known.spec):
            refused.append(Refused(order, f"the name is already that of {known.source}"))
    return list(first.values()), refused


async def check(api: KubeApi, namespace: str, orders: Sequence[Order]) -> list[Refused]:
    """Those that the server would refuse, found by dry runs; nothing is stored.

    Raises ApiError when the server can't answer at all.
    """
    answers = await asyncio.gather(
        *(_create(api, namespace, order, dry_run=True) for order in orders), return_exceptions=True
    )
    refused: list[Refused] = []
    for order, answer in zip(orders, answers, strict=True):
        if isinstance(answer, ApiError) and answer.retryable:
            raise answer
        if isinstance(answer, ApiError):
            refused.append(Refused(order, answer.message))
        elif isinstance(answer, NameTakenError):
            refused.append(Refused(order, str(answer)))
        elif isinstance(answer, BaseException):
            raise answer
    return refused


async def send(api: KubeApi, namespace: str, orders: Sequence[Order]) -> tuple[list[Sent], list[Refused]]:
    """Makes the beads, trying again while the server is away; what is there already is left as it is."""
    answers = await asyncio.gather(*(_create(api, namespace, order) for order in orders), return_exceptions=True)
    sent: list[Sent] = []
    refused: list[Refused] = []
    for order, answer in zip(orders, answers, strict=True):
        if isinstance(answer, Sent):
            sent.append(answer)
        elif isinstance(answer, ApiError | NameTakenError):
            refused.append(Refused(order, str(answer)))
        else:
            raise answer
    return sent, refused


async def _create(api: KubeApi, namespace: str, order: Order, *, dry_run: bool = False) -> Sent:
    for attempt in range(TRIES):
        try:
            await api.create(BEAD, namespace, order.body, dry_run=dry_run)
        except AlreadyExistsError:
            existing = await api.get(BEAD, namespace, order.name)
            if existing is None:
                continue  # it was deleted between the two answers
            if not same_work(order.spec, existing["spec"]):
                raise NameTakenError("a bead of that name exists and asks for other work") from None
            # After an answer that was lost, it may be ours; that makes no difference to the user.
            return Sent(order, Outcome.UNCHANGED, _differences(order, existing["spec"]))
        except ApiError as error:
            if not error.retryable or attempt == TRIES - 1:
                raise
            await sleep_before_retry(error, attempt)
        else:
            return Sent(order, Outcome.CREATED)
    raise NameTakenError("a bead of that name comes and goes")


def _differences(order: Order, existing: dict[str, object]) -> str:
    differing = [
        key for key in ("priority", "suspend", "limits") if _asks_for_other(order.spec.get(key), existing.get(key))
    ]
    return f"its {', '.join(differing)} stays as it is; use kubectl to change it" if differing else ""


def _asks_for_other(wanted: object, existing: object) -> bool:
    if isinstance(wanted, dict) and isinstance(existing, dict):
        return any(existing.get(key) != value for key, value in wanted.items())
    return wanted is not None and wanted != existing
