"""Whom pods are to the API: their service accounts, and the tokens that they are given."""

from __future__ import annotations

from collections.abc import Iterator

from podium.audit_report.checks import Family
from podium.audit_report.context import Context
from podium.audit_report.finding import Problem, Rule, Severity
from podium.audit_report.workloads import workload_of
from podium.machinery.errors import Object

DEFAULT_ACCOUNT = Rule(
    id="default-service-account",
    severity=Severity.LOW,
    title="A pod uses the namespace's default service account",
    why="What is granted to it for one pod, every other pod of the namespace may do too.",
    fix="Make a ServiceAccount for the workload and set serviceAccountName.",
)
AUTOMOUNTED = Rule(
    id="automounted-token",
    severity=Severity.MEDIUM,
    title="A pod is given a token of the API",
    why="Whoever gets into a container may speak to the API as its service account; most programs never do.",
    fix="Set automountServiceAccountToken: false in the pod or its ServiceAccount, unless it needs one.",
)


def _check(obj: Object, context: Context) -> Iterator[Problem]:
    workload = workload_of(obj)
    if workload is None:
        return
    spec, path = workload.spec, workload.spec_path
    name = str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "default")
    if name == "default":
        yield Problem(DEFAULT_ACCOUNT, (*path, "serviceAccountName"), "it runs as default")
    mounts = spec.get("automountServiceAccountToken")
    if mounts is None:
        account = context.get("ServiceAccount", workload.namespace, name) or {}
        mounts = account.get("automountServiceAccountToken")
    if mounts is not False:
        detail = f"the token of {name} is mounted into its containers"
        yield Problem(AUTOMOUNTED, (*path, "automountServiceAccountToken"), detail)


ACCOUNTS = Family(name="Service accounts", rules=(DEFAULT_ACCOUNT, AUTOMOUNTED), check=_check)
