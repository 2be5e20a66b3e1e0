"""The world of a bead as a planner's story in YAML, and back: what a failing history prints can be kept as a test."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import yaml

from polecat_api.conditions import Reason, Type, find_condition
from polecat_api.polecat import Polecat
from polecat_api.rig import Rig
from polecat_api.town import Town
from polecat_operator.actions import Action, CreatePolecat, DeletePolecat, WriteBead
from polecat_operator.planner.lifecycle import plan_bead
from polecat_operator.views import BeadView, view_bead
from polecat_operator.world import Assignment, BeadWorld, Dependency, Gate, PolecatWorld

Json = dict[str, Any]


def describe(action: Action, start: datetime) -> Json:
    """An action in the words of the stories; times are in seconds since `start`."""
    match action:
        case WriteBead(status=status):
            said: Json = {
                type_.value.lower(): getattr(find_condition(status.conditions, type_), "status", None)
                for type_ in (Type.SUCCEEDED, Type.READY, Type.RECONCILING, Type.STALLED)
            }
            ready = find_condition(status.conditions, Type.READY)
            said |= status.to_wire()
            said["reason"] = ready.reason if ready else None
            said["message"] = ready.message if ready else None
            said["event"] = action.note.reason if action.note else None
            said["outcome"] = action.ending.outcome if action.ending else None
            said["next"] = (status.next_attempt_time - start).total_seconds() if status.next_attempt_time else None
            return {"write": said}
        case CreatePolecat(spec=spec):
            return {"create": spec.to_wire()}
        case DeletePolecat(name=name):
            return {"delete": name}
    return {"release": action.name}


def tell(title: str, world: BeadWorld, now: datetime, start: datetime) -> str:
    """One entry of a file of stories: the world, and what the planner makes of it now."""
    gate, assignment = world.gate, world.assignment
    story: Json = {
        "story": title,
        "now": (now - start).total_seconds(),
        "objects": {
            "bead": _bead(world.bead),
            "polecats": [_polecat(each) for each in world.polecats],
            "ended": _wire(world.ended),
            "rig": _wire(world.rig),
            "town": _wire(world.town),
        },
        "dependencies": {each.name: each.state for each in world.dependencies},
        "cycle": list(world.cycle),
        "gate": {"reason": gate.reason, "message": gate.message} if gate else None,
        "position": world.position,
        "assignment": {"name": assignment.name, "pod": assignment.pod} if assignment else None,
        "namesakes": sorted(world.namesakes),
        "expect": {"actions": [describe(action, start) for action in plan_bead(world, now).actions]},
    }
    # Through JSON: enums become words.
    return yaml.safe_dump([json.loads(json.dumps(story))], sort_keys=False)


def world_of(story: Json) -> BeadWorld:
    """The reverse of `tell`, for stories that give whole objects."""
    objects, gate, assignment = story["objects"], story["gate"], story["assignment"]
    bead = view_bead(objects["bead"])
    return BeadWorld(
        bead=bead,
        polecats=tuple(
            PolecatWorld(polecat=Polecat.model_validate(each.pop("object")), **each)
            for each in map(dict, objects["polecats"])
        ),
        ended=Polecat.model_validate(objects["ended"]) if objects["ended"] else None,
        dependencies=tuple(Dependency(name, state) for name, state in story["dependencies"].items()),
        cycle=tuple(story["cycle"]),
        rig=Rig.model_validate(objects["rig"]) if objects["rig"] else None,
        town=Town.model_validate(objects["town"]) if objects["town"] else None,
        gate=Gate(Reason(gate["reason"]), gate["message"]) if gate else None,
        position=story["position"],
        assignment=Assignment(bead.name, assignment["name"], assignment["pod"]) if assignment else None,
        namesakes=frozenset(story["namesakes"]),
    )


def _bead(bead: BeadView) -> Json:
    metadata: Json = {
        "name": bead.name,
        "namespace": bead.namespace,
        "uid": bead.uid,
        "resourceVersion": bead.resource_version,
        "generation": bead.generation,
        "creationTimestamp": bead.created.isoformat(),
    }
    if bead.deleting:
        metadata["deletionTimestamp"] = bead.created.isoformat()
    spec = {
        "rigRef": {"name": bead.rig},
        "title": bead.title,
        "prompt": "do it",
        "priority": bead.priority,
        "dependsOn": list(bead.depends_on),
        "suspend": bead.suspend,
        "limits": bead.limits.to_wire(),
        "rerun": bead.rerun,
        **({"baseBranch": bead.base_branch} if bead.base_branch else {}),
        **({"model": bead.model} if bead.model else {}),
    }
    return {"metadata": metadata, "spec": spec, "status": json.loads(bead.status_json)}


def _polecat(seen: PolecatWorld) -> Json:
    return {
        "object": _wire(seen.polecat),
        "age_seconds": seen.age_seconds,
        "pod_silent_seconds": seen.pod_silent_seconds,
        "pod_uid": seen.pod_uid,
        "pod_uid_seconds": seen.pod_uid_seconds,
        "town_unseen_seconds": seen.town_unseen_seconds,
        "pod_ending": seen.pod_ending,
        "pod_gone_for_good": seen.pod_gone_for_good,
    }


def _wire(model: Polecat | Rig | Town | None) -> Json | None:
    return json.loads(model.model_dump_json(by_alias=True, exclude_none=True)) if model is not None else None
