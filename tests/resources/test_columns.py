"""The columns of `kubectl get` against the tables of upstream."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.table import duration
from podium.resources.admissionregistration.columns import param_ref
from podium.resources.catalogue import BUILTIN, find_kind
from podium.resources.core.pods import PODS
from tests.resources.recorded import SHARED, scenarios, step_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UNRULED = [("Name", "string", "name"), ("Created At", "date", "")]
# Upstream declares two columns for these and fills three.
UNEVEN = ("ipaddresses",)


def tables() -> Iterator[tuple[str, Resource, Object, list[tuple[Object, list[Any]]]]]:
    """Yield every recorded table with the objects it shows, as far as they were recorded before."""
    for name, recorded in scenarios():
        known: dict[tuple[str, str], Object] = {}
        for raw in recorded:
            step = step_of(name, raw)
            if step is None or not isinstance(step.answer, dict) or step.subresource == "scale":
                continue
            plural = step.resource.group_plural + step.resource.version
            if step.answer.get("kind") == "Table":
                if step.answer.get("columnDefinitions"):
                    rows = [
                        (known[plural, row["object"]["metadata"]["name"]], row["cells"])
                        for row in step.answer["rows"] or ()
                        if row.get("object") and (plural, row["object"]["metadata"]["name"]) in known
                    ]
                    yield step.id, step.resource, step.answer, rows
            elif step.answer.get("kind") == step.resource.kind and step.answer.get("metadata"):
                known[plural, step.answer["metadata"].get("name")] = step.answer


TABLES = list(tables())


@pytest.mark.parametrize(("resource", "table"), [t[1:3] for t in TABLES], ids=[t[0] for t in TABLES])
def test_has_upstream_columns(resource: Resource, table: Object) -> None:
    declared = [(c["name"], c["type"], c["format"], c["priority"]) for c in table["columnDefinitions"]]
    if not resource.columns:
        assert [column[:3] for column in declared] == UNRULED
    else:
        assert [(c.name, c.type, c.format, c.priority) for c in resource.columns if c.defined] == declared


ROWS = [
    pytest.param(resource, obj, cells, id=f"{name}-{obj['metadata'].get('name')}")
    for name, resource, _table, rows in TABLES
    for obj, cells in rows
    if resource.columns and len(cells) == len(resource.columns)
]


@pytest.mark.parametrize(("resource", "obj", "cells"), ROWS)
def test_fills_rows_as_upstream(resource: Resource, obj: Object, cells: list[Any]) -> None:
    for column, expected in zip(resource.columns, cells, strict=True):
        if "<" not in str(expected) or str(expected) in ("<none>", "<unset>", "<unknown>", "<pending>"):
            assert (column.name, column.value(obj, NOW)) == (column.name, expected)


@pytest.mark.parametrize("resource", BUILTIN, ids=lambda r: f"{r.group_plural}.{r.version}")
@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"metadata": None, "spec": None, "status": None},
        {"metadata": {"name": "x", "creationTimestamp": "never"}, "spec": [], "status": "odd", "data": 5},
        {"metadata": [], "spec": {"template": 1, "ports": [None, 1], "selector": []}, "subsets": [1]},
    ],
    ids=["empty", "nulls", "odd", "odder"],
)
def test_no_column_raises(resource: Resource, obj: Object) -> None:
    for column in resource.columns:
        orjson.dumps(column.value(obj, NOW))


@pytest.mark.parametrize(
    "path", sorted((SHARED / "upstream" / "api-testdata").glob("*.json")), ids=lambda path: path.stem
)
def test_full_objects_have_full_rows(path: Any) -> None:
    obj = orjson.loads(path.read_bytes())
    resource = find_kind(obj.get("apiVersion", ""), obj.get("kind", ""))
    for column in resource.columns if resource is not None else ():
        orjson.dumps(column.value(obj, NOW))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-0.5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (179 * 60, "179m"),
        (180 * 60, "3h"),
        (190 * 60, "3h10m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (50 * 3600, "2d2h"),
        (8 * 86400, "8d"),
        (700 * 86400, "700d"),
        (740 * 86400, "2y10d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def _status(**status: Any) -> Object:
    return {
        "metadata": {"name": "p"},
        "spec": {
            "initContainers": [{"name": "i"}, {"name": "side", "restartPolicy": "Always"}],
            "containers": [{"name": "c"}],
        },
        "status": status,
    }


DONE = {"name": "i", "state": {"terminated": {"exitCode": 0}}}
RUNNING = {"name": "c", "ready": True, "state": {"running": {}}}


@pytest.mark.parametrize(
    ("pod", "ready", "word", "restarts"),
    [
        pytest.param(_status(phase="Pending"), "0/2", "Pending", "0", id="new"),
        pytest.param(
            _status(
                phase="Pending",
                conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
            ),
            "0/2",
            "SchedulingGated",
            "0",
            id="gated",
        ),
        pytest.param(
            _status(phase="Pending", initContainerStatuses=[{"name": "i", "state": {"running": {}}}]),
            "0/2",
            "Init:0/2",
            "0",
            id="initialising",
        ),
        pytest.param(
            _status(
                phase="Pending",
                initContainerStatuses=[{"name": "i", "state": {"waiting": {"reason": "ImagePullBackOff"}}}],
            ),
            "0/2",
            "Init:ImagePullBackOff",
            "0",
            id="init image missing",
        ),
        pytest.param(
            _status(
                phase="Running",
                initContainerStatuses=[
                    DONE,
                    {"name": "side", "started": True, "ready": True, "restartCount": 2},
                ],
                containerStatuses=[RUNNING],
            ),
            "2/2",
            "Running",
            "2",
            id="sidecar",
        ),
        pytest.param(
            _status(
                phase="Failed",
                initContainerStatuses=[DONE],
                containerStatuses=[{"name": "c", "state": {"terminated": {"exitCode": 1, "signal": 9}}}],
            ),
            "0/2",
            "Signal:9",
            "0",
            id="killed",
        ),
        pytest.param(
            _status(
                phase="Running",
                initContainerStatuses=[DONE],
                containerStatuses=[
                    {
                        **RUNNING,
                        "restartCount": 3,
                        "lastState": {"terminated": {"finishedAt": "2025-12-31T23:55:00Z"}},
                    }
                ],
            ),
            "1/2",
            "Running",
            "3 (5m ago)",
            id="restarted",
        ),
        pytest.param(
            _status(
                phase="Running",
                initContainerStatuses=[DONE],
                containerStatuses=[
                    {"name": "c", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
                    {**RUNNING, "name": "d"},
                ],
            ),
            "1/2",
            "NotReady",
            "0",
            id="one of two completed",
        ),
    ],
)
def test_one_word_for_a_pod(pod: Object, ready: str, word: str, restarts: str) -> None:
    cells = {column.name: column.value(pod, NOW) for column in PODS.columns}
    assert (cells["Ready"], cells["Status"], cells["Restarts"]) == (ready, word, restarts)


def test_a_binding_shows_the_selector_of_its_parameters_as_go_prints_it() -> None:
    selector = {
        "matchLabels": {"a": "b"},
        "matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}],
    }
    assert param_ref({"spec": {"paramRef": {"selector": selector}}}) == (
        "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{"
        "LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},},}"
    )
