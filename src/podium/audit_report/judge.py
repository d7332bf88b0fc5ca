"""Asks all checks about all objects. Pure.

What belongs to another object is judged with it, and what is excepted is left out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from podium.audit_report.bootstrap import is_bootstrap
from podium.audit_report.catalogue import FAMILIES
from podium.audit_report.checks.rbac import GROUP as RBAC_GROUP
from podium.audit_report.context import Context, context_of, key_of
from podium.audit_report.finding import Finding, Loaded, Problem, Severity, Source, shown
from podium.audit_report.workloads import as_list, as_object, workload_of
from podium.machinery.errors import Object

IGNORE = "audit.podium.dev/ignore"
"""The annotation that names rules which an object may break, comma-separated, or `*`."""
_MAKERS = {
    "Pod": ("ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job"),
    "ReplicaSet": ("Deployment",),
    "Job": ("CronJob",),
}
"""Who makes what. An owner that does not make such objects, nobody but their author has given them."""
SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the command line says."""

    namespace: str = ""
    """Only what is in it, and the namespace itself; "": everything."""
    registries: Sequence[str] = ()
    skipped: Container[str] = ()
    """Rules that nobody has to keep."""
    system: bool = False
    """Also what Kubernetes itself brings: its namespaces, its roles."""
    release: tuple[int, int] = (1, 36)


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of it."""

    findings: list[Finding] = field(default_factory=list)
    """The worst first."""
    objects: int = 0
    """That were judged."""
    excepted: int = 0
    """Findings that an annotation or the command line allows."""
    unseen: Sequence[str] = ()
    """What could not be looked at, and why."""

    def worst(self) -> Severity | None:
        return max((finding.severity for finding in self.findings), default=None)


def judge(loaded: Loaded, settings: Settings) -> Report:
    """Return what is wrong with a set of objects."""
    sources = loaded.sources
    context = context_of(
        (source.object for source in sources),
        registries=settings.registries,
        release=settings.release,
        system=settings.system,
        unseen=loaded.unseen_kinds,
    )
    report = Report(unseen=tuple(loaded.unseen))
    told: set[tuple[object, ...]] = set()
    for source in sources:
        obj = source.object
        if not _concerns(obj, settings) or _owned(obj, context):
            continue
        report.objects += 1
        allowed = exceptions(obj, context)
        maker = _maker(obj)
        for problem in _problems(obj, context):
            # Of pods whose owner was not seen (another kind, or forbidden) one stands for all that are alike.
            if maker is not None:
                alike = (*maker, problem.rule.id, problem.path, problem.detail)
                if alike in told:
                    continue
                told.add(alike)
            if problem.rule.id in settings.skipped or "*" in allowed or problem.rule.id in allowed:
                report.excepted += 1
            else:
                report.findings.append(_finding(source, problem))
    report.findings.sort(
        key=lambda one: (-one.severity, one.file, one.line, one.object, one.rule.id, one.path)
    )
    return report


def _problems(obj: Object, context: Context) -> Iterator[Problem]:
    for family in FAMILIES:
        yield from family.check(obj, context)


def _concerns(obj: Object, settings: Settings) -> bool:
    kind, namespace, name = key_of(obj)
    home = name if kind == "Namespace" else namespace
    if settings.namespace and home != settings.namespace:
        return False
    if settings.system:
        return True
    if str(obj.get("apiVersion") or "").startswith(f"{RBAC_GROUP}/"):
        # Bindings of the cluster's own may have got subjects; `rbac.py` looks at these alone.
        return kind in ("RoleBinding", "ClusterRoleBinding") or not is_bootstrap(obj)
    return home not in SYSTEM_NAMESPACES


def _owned(obj: Object, context: Context) -> bool:
    """Whether a workload was made by another one that is judged itself."""
    kind, namespace, _ = key_of(obj)
    owner = _controller(obj)
    by = str(owner.get("kind") or "")
    if workload_of(obj) is None or by not in _MAKERS.get(kind, ()):
        return False
    found = context.get(by, namespace, str(owner.get("name") or ""))
    return (
        found is not None
        and workload_of(found) is not None
        and as_object(found.get("metadata")).get("uid") in (None, owner.get("uid"))
    )


def _controller(obj: Object) -> Object:
    """Return the reference to the owner that controls an object, or an empty one."""
    references = as_list(as_object(obj.get("metadata")).get("ownerReferences"))
    return next((one for one in map(as_object, references) if one.get("controller") is True), {})


def _maker(obj: Object) -> tuple[str, str, str, str] | None:
    """Return what is the same for all that one owner has made of this kind."""
    owner = _controller(obj) if workload_of(obj) is not None else {}
    if not owner:
        return None
    kind, namespace, _ = key_of(obj)
    return kind, namespace, f"{owner.get('kind')} {owner.get('name')}", str(owner.get("uid"))


def exceptions(obj: Object, context: Context) -> set[str]:
    """Return the rules that an object may break: by its annotations, its template's or its namespace's."""
    holders = [as_object(obj.get("metadata"))]
    workload = workload_of(obj)
    if workload is not None:
        holders.append(as_object(workload.template.get("metadata")))
    _, namespace, _ = key_of(obj)
    home = context.get("Namespace", "", namespace) if namespace else None
    if home is not None:
        holders.append(as_object(home.get("metadata")))
    return {name for holder in holders for name in _names(as_object(holder.get("annotations")).get(IGNORE))}


def _names(text: object) -> Iterable[str]:
    return [name.strip() for name in text.split(",") if name.strip()] if isinstance(text, str) else ()


def _finding(source: Source, problem: Problem) -> Finding:
    kind, namespace, name = key_of(source.object)
    origin = source.origin
    return Finding(
        rule=problem.rule,
        severity=problem.severity or problem.rule.severity,
        kind=kind,
        api_version=str(source.object.get("apiVersion") or ""),
        namespace=namespace,
        name=name,
        path=shown(problem.path),
        detail=problem.detail,
        file=origin.file,
        line=origin.lines.of(problem.path) if origin.lines is not None else 0,
    )
