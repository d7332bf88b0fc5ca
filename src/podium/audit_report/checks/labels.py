"""Whether objects say what they are part of."""

from __future__ import annotations

from collections.abc import Iterator

from podium.audit_report.checks import Family
from podium.audit_report.context import Context
from podium.audit_report.finding import Problem, Rule, Severity
from podium.audit_report.workloads import as_object, workload_of
from podium.machinery.errors import Object

PREFIX = "app.kubernetes.io/"
RECOMMENDED = ("name", "instance", "version", "component", "part-of", "managed-by")
MISSING = Rule(
    id="missing-labels",
    severity=Severity.LOW,
    title="A workload lacks recommended labels",
    why="Tools and people cannot tell which application it belongs to, nor who manages it.",
    fix=f"Add the labels {PREFIX}{{{','.join(RECOMMENDED)}}} to the object and its pod template.",
)


def _check(obj: Object, _context: Context) -> Iterator[Problem]:
    workload = workload_of(obj)
    if workload is None:
        return
    labels = as_object(workload.metadata.get("labels"))
    missing = [name for name in RECOMMENDED if not labels.get(PREFIX + name)]
    if missing:
        detail = f"{', '.join(PREFIX + name for name in missing)}: missing"
        yield Problem(MISSING, ("metadata", "labels"), detail)


LABELS = Family(name="Labels", rules=(MISSING,), check=_check)
