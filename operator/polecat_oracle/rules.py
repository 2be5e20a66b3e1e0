"""The oracle's rules, without I/O: one `View` after the other goes in, broken rules come out with their history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from polecat_oracle.history import History
from polecat_oracle.objects import (
    Json,
    astray,
    condition,
    core,
    described,
    is_by_agent,
    is_ended,
    is_finished,
    uid_of,
    version_of,
)
from polecat_oracle.view import View, Violation

KEPT_OBJECTS = 1000
"""So many objects that are gone are remembered in any case."""
DOUBT_SECONDS = 3.0
"""How long what the API server tells may come later than what is seen on this machine."""
SETTLE_SECONDS = 30.0
"""How long an open bead may be in no state, or in one that its polecats contradict: parts restart meanwhile."""


class Rules:
    """O1 to O8. Each violation is told once."""

    def __init__(self, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._settle_seconds = settle_seconds
        self._history = History()
        self._told: set[tuple[str, str]] = set()
        self._versions: dict[str, int] = {}
        """UID of an object → its last version seen, so that each costs once."""
        self._ended: dict[str, tuple[Any, tuple[Any, ...]]] = {}
        """UID of an ended bead → the `rerun` that it has heard, and what must not change."""
        self._attempts: dict[str, int] = {}
        self._unbooked: dict[str, int] = {}
        """UID of a bead → attempts that it had when it was first seen."""
        self._uncovered: dict[str, float] = {}
        """UID of a bead with more attempts than agents' ends are known → since when."""
        self._outcomes: dict[str, dict[int, str]] = defaultdict(dict)
        self._astray_since: dict[str, float] = {}
        self._heads: dict[Path, str] = {}
        self._branches: dict[str, str] | None = None
        """None before the first look."""
        self._had: set[str] = set()
        """Branches whose polecat was there at the last look."""
        self._unowned: dict[tuple[str, str], float] = {}
        """(branch, commit) that nobody is known to have pushed → since when."""
        self._named: dict[str, set[str]] = defaultdict(set)
        """UID of a bead → names of the polecats that it has had."""
        self._branch_of: dict[tuple[str, str], set[str]] = defaultdict(set)
        """(UID of a bead, name of a polecat) → its branches."""

    def look(self, view: View) -> list[Violation]:
        """Takes in a view; gives what is broken and has not been told before."""
        beads, polecats = self._news(view.passed_beads, view.beads), self._news(view.passed_polecats, view.polecats)
        self._remember(view, beads, polecats)
        found = [*self._one_process(view), *self._nothing_lost(view), *self._nothing_late(view)]
        if view.live:
            found += [
                *self._one_polecat(view),
                *self._nothing_shared(view),
                *self._one_state(view),
                *self._ended_stays(beads),
                *self._attempts_grow(view, beads),
                *self._only_current(view, beads),
            ]
        else:
            self._astray_since.clear()
        self._forget(view)
        new = [each for each in found if (each.rule, each.message) not in self._told]
        self._told |= {(each.rule, each.message) for each in new}
        return new

    @property
    def in_doubt(self) -> bool:
        """Whether something looks wrong that a later word of the API server may explain."""
        return bool(self._uncovered or self._unowned)

    def _news(self, passed: Iterable[Json], present: Iterable[Json]) -> list[Json]:
        """The versions that have not been looked at before, in their order."""
        news = []
        for item in (*passed, *present):
            version = version_of(item)
            if version is not None:
                if version <= self._versions.get(uid_of(item), -1):
                    continue
                self._versions[uid_of(item)] = version
            news.append(item)
        return news

    # -- the rules -------------------------------------------------------------------------------------------

    def _one_process(self, view: View) -> Iterator[Violation]:
        for uid, pids in view.processes.items():
            if len(pids) > 1:
                yield self._broken("O1", f"polecat {uid} has {len(pids)} agents at once", uid)

    def _one_polecat(self, view: View) -> Iterator[Violation]:
        current: dict[str, list[Json]] = defaultdict(list)
        for polecat in view.polecats:
            if not is_finished(polecat) and "deletionTimestamp" not in polecat["metadata"]:
                current[polecat["spec"]["beadRef"]["uid"]].append(polecat)
        for bead, polecats in current.items():
            if len(polecats) > 1:
                names = ", ".join(sorted(each["metadata"]["name"] for each in polecats))
                yield self._broken("O2", f"bead {bead} has the polecats {names}", bead, *map(uid_of, polecats))

    def _nothing_shared(self, view: View) -> Iterator[Violation]:
        seen: dict[tuple[str, ...], Json] = {}
        for polecat in view.polecats:
            spec, namespace = polecat["spec"], polecat["metadata"]["namespace"]
            what = [
                ("name", namespace, spec["rigRef"]["name"], spec["name"]),
                ("branch", namespace, spec["rigRef"]["name"], spec["branch"]),
            ]
            if path := (polecat.get("status") or {}).get("worktree"):
                what.append(("path", namespace, spec["pod"], path))
            for key in what:
                other = seen.setdefault(key, polecat)
                if other is not polecat:
                    both = f"{other['metadata']['name']} and {polecat['metadata']['name']}"
                    yield self._broken("O3", f"{both} share the {key[0]} {key[-1]}", uid_of(other), uid_of(polecat))

    def _nothing_lost(self, view: View) -> Iterator[Violation]:
        for repository in [known for known in self._heads if known not in view.heads]:
            commit = self._heads.pop(repository)
            # A volume that is gone as a whole was not deleted by us.
            if repository.parents[2].exists() and not repository.exists() and not view.is_safe(commit):
                yield self._broken("O4", f"{repository} is deleted, and nobody else has its commit {commit}")
        self._heads.update(view.heads)
        for commit, journal in view.commits:
            if not view.is_safe(commit):
                yield self._broken("O4", f"{journal} names the commit {commit}, and nobody has it")

    def _one_state(self, view: View) -> Iterator[Violation]:
        at_work = {
            polecat["spec"]["beadRef"]["uid"]
            for polecat in view.polecats
            if "claim" in (polecat.get("status") or {}) and not is_finished(polecat)
        }
        there = {polecat["spec"]["beadRef"]["uid"] for polecat in view.polecats}
        for bead in view.beads:
            uid = uid_of(bead)
            why = None if is_ended(bead) else astray(bead, at_work=uid in at_work, has_polecat=uid in there)
            if why is None:
                self._astray_since.pop(uid, None)
            elif view.at - self._astray_since.setdefault(uid, view.at) > self._settle_seconds:
                yield self._broken("O5", f"bead {bead['metadata']['name']} {why}", uid)

    def _ended_stays(self, beads: Iterable[Json]) -> Iterator[Violation]:
        for bead in beads:
            uid, now = uid_of(bead), core(bead)
            before = self._ended.pop(uid, None)
            if before is not None and before[1] == now:
                # The wish to run again comes before the operator has seen it.
                self._ended[uid] = before
                continue
            if before is not None and before[0] == bead["spec"].get("rerun", ""):
                yield self._broken("O6", f"the ended bead {bead['metadata']['name']}: {before[1]} became {now}", uid)
            if is_ended(bead):
                # A wish that came while it still worked is one that has not been heard yet.
                self._ended[uid] = ((bead.get("status") or {}).get("observedRerun", ""), now)

    def _attempts_grow(self, view: View, beads: Iterable[Json]) -> Iterator[Violation]:
        for bead in beads:
            uid, name = uid_of(bead), bead["metadata"]["name"]
            attempts = (bead.get("status") or {}).get("attempts", 0)
            before = self._attempts.get(uid)
            self._attempts[uid] = attempts
            if before is None:
                self._unbooked[uid] = attempts
            elif attempts < before:
                yield self._broken("O7", f"attempts of bead {name} fell from {before} to {attempts}", uid)
            elif attempts > before and view.endings is not None:
                self._uncovered.setdefault(uid, view.at)
        for uid, since in list(self._uncovered.items()):
            told = self._outcomes[uid] | dict(view.endings(uid) if view.endings else {})
            by_agents = [serial for serial, reason in told.items() if is_by_agent(reason)]
            attempts = self._attempts[uid]
            if attempts - self._unbooked[uid] <= len(by_agents):
                del self._uncovered[uid]
            elif view.at - since >= DOUBT_SECONDS:
                del self._uncovered[uid]
                message = f"bead {uid} has {attempts} attempts, of which agents ended {len(by_agents)}: {told}"
                yield self._broken("O7", message, uid)

    def _nothing_late(self, view: View) -> Iterator[Violation]:
        for line in view.late:
            yield self._broken("O8", line)

    def _only_current(self, view: View, beads: Iterable[Json]) -> Iterator[Violation]:
        for bead in beads:
            status, uid = bead.get("status") or {}, uid_of(bead)
            named = {branch for name in self._named[uid] for branch in self._branch_of[uid, name]}
            if condition(bead, "Succeeded") == "True" and named and status.get("branch") not in (None, *named):
                message = f"bead {bead['metadata']['name']} has taken {status['branch']}, and never named its polecat"
                yield self._broken("O8", message, uid)
        there = {polecat["spec"]["branch"] for polecat in (*view.polecats, *view.passed_polecats)}
        if self._branches is not None:
            moved = [entry for entry in view.branches.items() if self._branches.get(entry[0]) != entry[1]]
            self._unowned |= {entry: view.at for entry in moved if entry[0] not in self._had}
        for (branch, commit), since in list(self._unowned.items()):
            if branch in there or self._is_taken(view, branch, commit):
                del self._unowned[branch, commit]
            elif view.at - since >= DOUBT_SECONDS:
                del self._unowned[branch, commit]
                yield self._broken("O8", f"branch {branch} was moved to {commit} while no polecat had it")
        self._branches = dict(view.branches)
        self._had = there

    @staticmethod
    def _is_taken(view: View, branch: str, commit: str) -> bool:
        statuses = [bead.get("status") or {} for bead in view.beads]
        return any((each.get("branch"), each.get("headCommit")) == (branch, commit) for each in statuses)

    # -- memory ----------------------------------------------------------------------------------------------

    def _remember(self, view: View, beads: Iterable[Json], polecats: Iterable[Json]) -> None:
        for bead in beads:
            uid = uid_of(bead)
            self._history.note(uid, view.at, f"Bead {bead['metadata']['name']}: {core(bead)}")
            if name := (bead.get("status") or {}).get("polecat"):
                self._named[uid].add(name)
        for polecat in polecats:
            uid, spec = uid_of(polecat), polecat["spec"]
            bead_uid, reason = spec["beadRef"]["uid"], condition(polecat, "Finished", "reason")
            for key in (uid, bead_uid):
                self._history.note(key, view.at, described(polecat))
            if is_finished(polecat) and reason:
                self._outcomes[bead_uid][spec["attempt"]] = reason
            self._branch_of[bead_uid, spec["name"]].add(spec["branch"])
        for uid, pids in view.processes.items():
            self._history.note(uid, view.at, f"agents of {uid}: {sorted(pids)}")

    def _forget(self, view: View) -> None:
        """What is gone need not be remembered for ever, as long as one watches."""
        if len(self._versions) < 2 * (len(view.beads) + len(view.polecats)) + KEPT_OBJECTS:
            return
        present = {uid_of(item) for item in (*view.beads, *view.polecats)}
        self._history.keep_only(present)
        memories: list[dict[str, Any]] = [self._versions, self._ended, self._attempts, self._unbooked]
        for memory in [*memories, self._uncovered, self._outcomes, self._named]:
            for uid in memory.keys() - present:
                del memory[uid]
        for key in [key for key in self._branch_of if key[0] not in present]:
            del self._branch_of[key]

    def _broken(self, rule: str, message: str, *concerned: str) -> Violation:
        return Violation(rule, message, self._history.of(*concerned))
