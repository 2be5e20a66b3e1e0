"""The oracle's rules, without I/O: one `View` after the other goes in, broken rules come out with their history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polecat_oracle.history import History
from polecat_oracle.objects import Json, astray, condition, core, described, is_by_agent, is_ended, is_finished, uid_of
from polecat_oracle.view import View, Violation

SETTLE_SECONDS = 30.0
"""How long an open bead may be in no state, or in one that its polecats contradict: parts restart meanwhile."""


class Rules:
    """O1 to O8. Each violation is told once."""

    def __init__(self, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._settle_seconds = settle_seconds
        self._history = History()
        self._told: set[tuple[str, str]] = set()
        self._ended: dict[str, tuple[Any, tuple[Any, ...]]] = {}
        """UID of an ended bead → its `rerun` when it ended, and what must not change."""
        self._attempts: dict[str, int] = {}
        self._unbooked: dict[str, int] = {}
        """UID of a bead → attempts that it had when it was first seen."""
        self._outcomes: dict[str, dict[int, str]] = defaultdict(dict)
        self._astray_since: dict[str, float] = {}
        self._heads: dict[Path, str] = {}
        self._branches: dict[str, str] = {}
        self._pushing: set[str] | None = None
        """Branches whose polecat was there at the last look; None before the first."""
        self._currents: dict[str, set[str]] = defaultdict(set)
        """UID of a bead → branches of the polecats that it has named."""

    def look(self, view: View) -> list[Violation]:
        """Takes in a view; gives what is broken and has not been told before."""
        self._remember(view)
        found = [
            *self._one_process(view),
            *self._one_polecat(view),
            *self._nothing_shared(view),
            *self._nothing_lost(view),
            *self._one_state(view),
            *self._ended_stays(view),
            *self._attempts_grow(view),
            *self._only_current(view),
        ]
        new = [each for each in found if (each.rule, each.message) not in self._told]
        self._told |= {(each.rule, each.message) for each in new}
        return new

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
            if repository.parents[2].exists() and not repository.exists() and not view.is_safe(repository, commit):
                yield self._broken("O4", f"{repository} is deleted, and nobody else has its commit {commit}")
        self._heads.update(view.heads)

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

    def _ended_stays(self, view: View) -> Iterator[Violation]:
        for bead in view.beads:
            uid, rerun, now = uid_of(bead), bead["spec"].get("rerun"), core(bead)
            before = self._ended.pop(uid, None)
            if before is not None and before[1] == now:
                # The wish to run again comes before the operator has seen it.
                self._ended[uid] = before
                continue
            if before is not None and before[0] == rerun:
                yield self._broken("O6", f"the ended bead {bead['metadata']['name']}: {before[1]} became {now}", uid)
            if is_ended(bead):
                self._ended[uid] = (rerun, now)

    def _attempts_grow(self, view: View) -> Iterator[Violation]:
        for bead in view.beads:
            uid, name = uid_of(bead), bead["metadata"]["name"]
            attempts = (bead.get("status") or {}).get("attempts", 0)
            before = self._attempts.get(uid)
            self._attempts[uid] = attempts
            if before is None:
                self._unbooked[uid] = attempts
            elif attempts < before:
                yield self._broken("O7", f"attempts of bead {name} fell from {before} to {attempts}", uid)
            elif attempts > before:
                told = self._outcomes[uid] | dict(view.endings(uid))
                by_agents = [serial for serial, reason in told.items() if is_by_agent(reason)]
                if attempts - self._unbooked[uid] > len(by_agents):
                    message = f"bead {name} has {attempts} attempts, of which agents ended {len(by_agents)}: {told}"
                    yield self._broken("O7", message, uid)

    def _only_current(self, view: View) -> Iterator[Violation]:
        for line in view.late:
            yield self._broken("O8", line)
        there = {polecat["spec"]["branch"] for polecat in view.polecats}
        statuses = [bead.get("status") or {} for bead in view.beads]
        taken = {(status.get("branch"), status.get("headCommit")) for status in statuses}
        for branch, commit in view.branches.items():
            moved = self._pushing is not None and self._branches.get(branch) != commit
            if moved and branch not in (self._pushing or set()) | there and (branch, commit) not in taken:
                yield self._broken("O8", f"branch {branch} was moved to {commit} while no polecat had it")
        for bead in view.beads:
            status, uid = bead.get("status") or {}, uid_of(bead)
            named = self._currents[uid]
            if condition(bead, "Succeeded") == "True" and named and status.get("branch") not in (None, *named):
                message = f"bead {bead['metadata']['name']} has taken {status['branch']}, and never named its polecat"
                yield self._broken("O8", message, uid)
        self._branches = dict(view.branches)
        self._pushing = there

    # -- memory ----------------------------------------------------------------------------------------------

    def _remember(self, view: View) -> None:
        for bead in view.beads:
            self._history.note(uid_of(bead), view.at, f"Bead {bead['metadata']['name']}: {core(bead)}")
        names = {uid_of(bead): (bead.get("status") or {}).get("polecat") for bead in view.beads}
        for polecat in view.polecats:
            uid, spec = uid_of(polecat), polecat["spec"]
            bead_uid, reason = spec["beadRef"]["uid"], condition(polecat, "Finished", "reason")
            for key in (uid, bead_uid):
                self._history.note(key, view.at, described(polecat))
            if is_finished(polecat) and reason:
                self._outcomes[bead_uid][spec["attempt"]] = reason
            if names.get(bead_uid) == spec["name"]:
                self._currents[bead_uid].add(spec["branch"])
        for uid, pids in view.processes.items():
            self._history.note(uid, view.at, f"agents of {uid}: {sorted(pids)}")

    def _broken(self, rule: str, message: str, *concerned: str) -> Violation:
        return Violation(rule, message, self._history.of(*concerned))
