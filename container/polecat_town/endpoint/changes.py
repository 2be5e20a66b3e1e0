"""`/v1/changes`: what an attempt has changed, for whoever may read its stream. Described in docs/streams.md."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from polecat_town.endpoint.access import StreamAccess, Verdict
from polecat_town.endpoint.refusals import HEADERS, refusal, token_of
from polecat_town.streams.events import SCHEMA_VERSION
from polecat_town.streams.segments import parse_id
from polecat_town.work import Work, WorkReader, WorkUnreadableError

log = logging.getLogger(__name__)
_COMMITS_ONLY = "commits"


class ChangesRoutes:
    """Asks Git each time, so it is asked only when somebody looks."""

    def __init__(self, reader: WorkReader, access: StreamAccess) -> None:
        self._reader = reader
        self._access = access

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Adds the route."""
        router.add_get("/v1/changes/{bead_uid}/{attempt}", self._read, allow_head=False)

    async def _read(self, request: web.Request) -> web.Response:
        verdict = await self._access.check(token_of(request))
        if verdict is not Verdict.ALLOWED:
            return refusal(verdict.value)
        stream = parse_id(request.match_info["bead_uid"], request.match_info["attempt"])
        if stream is None:
            return refusal(404)
        try:
            work = await self._reader.read(stream, with_files=_COMMITS_ONLY not in request.query)
        except WorkUnreadableError as error:
            log.info("changes of %s/%d not read: %s", stream.bead_uid, stream.attempt, error)
            return refusal(503)
        return refusal(404) if work is None else web.json_response(as_json(work), headers=HEADERS)


def as_json(work: Work) -> dict[str, Any]:
    """The answer's body."""
    found = work.changes
    return {
        "schemaVersion": SCHEMA_VERSION,
        "live": work.live,
        "baseCommit": work.base,
        "headCommit": found.head,
        "commits": [
            {"commit": each.commit, "timeSeconds": each.time_seconds, "subject": each.subject} for each in found.commits
        ],
        "moreCommits": found.more_commits,
        "files": [
            {
                "path": each.path,
                "before": each.before,
                "status": each.status,
                "additions": each.additions,
                "deletions": each.deletions,
                "diff": each.diff,
            }
            for each in found.files
        ],
        "moreFiles": found.more_files,
        "moreDiff": found.more_diff,
    }
