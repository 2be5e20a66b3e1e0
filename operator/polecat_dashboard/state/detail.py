"""Everything of one bead, for who may read the object itself: with its prompt and its conditions in words."""

from __future__ import annotations

from polecat_api.untrusted import Json, condition, entries, number, section, text, texts
from polecat_dashboard.state.views import bead_view, conditions

PARTS_OF_LIMITS = ("attempts", "runSeconds", "quietSeconds")


def bead_detail(item: Json) -> Json:
    """The view of a Bead and what it leaves out."""
    meta, spec, status = section(item, "metadata"), section(item, "spec"), section(item, "status")
    limits = section(spec, "limits")
    return {
        **bead_view(item),
        "prompt": text(spec, "prompt"),
        "message": text(condition(status, "Succeeded"), "message"),
        "model": text(spec, "model"),
        "baseBranch": text(spec, "baseBranch"),
        "rerun": text(spec, "rerun"),
        "limits": {part: number(limits, part) for part in PARTS_OF_LIMITS},
        "baseCommit": text(status, "baseCommit"),
        "headCommit": text(status, "headCommit"),
        "savedCommit": text(status, "savedCommit"),
        "savedRef": text(status, "savedRef"),
        "priorAttempts": number(status, "priorAttempts"),
        "fullSummary": text(section(status, "result"), "summary"),
        "conditions": conditions(status),
        "labels": section(meta, "labels"),
        "managedBy": sorted(
            {text(each, "manager") for each in entries(meta, "managedFields") if isinstance(each, dict)}
        ),
        "finalizers": texts(meta, "finalizers"),
    }
