"""Takes keys from the queue and has the right controller look at them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from polecat_kube.errors import ApiError
from polecat_operator.clock import Clock
from polecat_operator.errors import LeaseLostError
from polecat_operator.metrics import FAILURES, RECONCILE_SECONDS
from polecat_operator.queue import Key, KeyedQueue, Lane

log = logging.getLogger(__name__)
Reconcile = Callable[[tuple[str, str]], Awaitable[None]]
HOPELESS_PAUSE_SECONDS = 30.0
"""Pause after a refusal that no repetition mends by itself, such as a missing permission."""


async def work(queue: KeyedQueue, controllers: Mapping[str, Reconcile], clock: Clock) -> None:
    """Works until cancelled, or until the Lease is lost (LeaseLostError). One broken object stops no other."""
    while True:
        key = await queue.get()
        begun = clock.mono()
        try:
            await controllers[key.kind]((key.namespace, key.name))
        except LeaseLostError:
            queue.done(key)
            raise
        except ApiError as error:
            wait = error.retry_after_seconds if error.retryable else HOPELESS_PAUSE_SECONDS
            _failed(queue, key, str(error), wait)
        except Exception:
            log.exception("%s %s/%s", *key)
            _failed(queue, key, "a defect", HOPELESS_PAUSE_SECONDS)
        else:
            queue.done(key)
        RECONCILE_SECONDS.labels(key.kind).observe(clock.mono() - begun)


def _failed(queue: KeyedQueue, key: Key, why: str, wait: float | None) -> None:
    FAILURES.labels(key.kind).inc()
    pause = queue.failed(key, Lane.LIFE, wait)
    log.warning("%s %s/%s: %s; again in %.2f s", *key, why, pause)
