"""What a board is made of, and its form in Grafana's JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
COLUMNS = 24
HEIGHT = 7
_SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One expression, and what its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph, or with `single` one figure for each series."""

    title: str
    unit: str
    """A unit's name in Grafana, such as `s`, `bytes`, `short`."""
    queries: tuple[Query, ...]
    single: bool = False
    stacked: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side, as many in a line as fit."""

    title: str
    columns: int
    """Of the 24 that a line has, for each panel."""
    panels: tuple[Panel, ...]


def build(rows: Sequence[Row]) -> Json:
    """The board as Grafana's JSON."""
    return {
        "uid": "polecat",
        "title": "Polecat",
        "tags": ["polecat"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(_variables())},
        "panels": list(_panels(rows)),
    }


def render(rows: Sequence[Row]) -> str:
    """The text of the board's file."""
    return json.dumps(build(rows), indent=1, ensure_ascii=False) + "\n"


def _variables() -> Iterator[Json]:
    yield {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    for name, query in (
        ("namespace", "label_values(polecat_town_slots, namespace)"),
        ("town", 'label_values(polecat_town_slots{namespace=~"$namespace"}, town)'),
    ):
        yield {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": query, "refId": name},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }


def _panels(rows: Sequence[Row]) -> Iterator[Json]:
    number, top = 0, 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
            "panels": [],
        }
        top += 1
        height = 4 if row.panels[0].single else HEIGHT
        per_line = COLUMNS // row.columns
        for place, panel in enumerate(row.panels):
            number += 1
            across, down = place % per_line, place // per_line
            at = {"x": across * row.columns, "y": top + down * height, "w": row.columns, "h": height}
            yield _panel(number, panel, at)
        top += -(-len(row.panels) // per_line) * height


def _panel(number: int, panel: Panel, at: Json) -> Json:
    defaults: Json = {"unit": panel.unit, "min": 0}
    options: Json = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none"}
    if not panel.single:
        stacking = {"mode": "normal" if panel.stacked else "none"}
        defaults["custom"] = {"lineWidth": 1, "fillOpacity": 20 if panel.stacked else 0, "stacking": stacking}
        options = {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    return {
        "id": number,
        "type": "stat" if panel.single else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": at,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": query.expr, "legendFormat": query.legend}
            for index, query in enumerate(panel.queries)
        ],
    }
