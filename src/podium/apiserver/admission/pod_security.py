"""PodSecurity: a namespace's labels say how strict it is with its pods: privileged, baseline or restricted.

Labels `pod-security.kubernetes.io/{enforce,warn,audit}` name a level. Versions are accepted and shown, but
the checks are always the newest ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from podium.apiserver.admission.metrics import AdmissionMetrics
from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.pod_security_checks import LEVELS, Violation, evaluate
from podium.apiserver.admission.writes import concerns, refused
from podium.apiserver.chain import Attributes, Reader
from podium.machinery import meta
from podium.machinery.errors import FieldError, Invalid, Object
from podium.machinery.resource import Resource
from podium.resources.apps.daemonsets import DAEMONSETS
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.apps.statefulsets import STATEFULSETS
from podium.resources.batch.cronjobs import CRONJOBS
from podium.resources.batch.jobs import JOBS
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.pods import PODS
from podium.resources.core.podtemplates import PODTEMPLATES
from podium.resources.core.replicationcontrollers import REPLICATIONCONTROLLERS

PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "audit", "warn")
PODS_CHECKED_MAX = 3000

_VERSION = re.compile(r"latest|v1\.(0|[1-9][0-9]*)")
_TEMPLATE_PATHS: tuple[tuple[Resource, tuple[str, ...]], ...] = (
    (PODTEMPLATES, ("template",)),
    (REPLICATIONCONTROLLERS, ("spec", "template")),
    (DEPLOYMENTS, ("spec", "template")),
    (REPLICASETS, ("spec", "template")),
    (STATEFULSETS, ("spec", "template")),
    (DAEMONSETS, ("spec", "template")),
    (JOBS, ("spec", "template")),
    (CRONJOBS, ("spec", "jobTemplate", "spec", "template")),
)
_TEMPLATES: Mapping[tuple[str, str], tuple[str, ...]] = {
    (resource.group, resource.plural): path for resource, path in _TEMPLATE_PATHS
}


@dataclass(frozen=True, slots=True)
class Standard:
    """A level at a version: `restricted:latest`."""

    level: str = "privileged"
    version: str = "latest"

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


class PodSecurity(Plugin):
    name = "PodSecurity"
    resources = (PODS, NAMESPACES, *(resource for resource, _ in _TEMPLATE_PATHS))

    def __init__(self, reader: Reader, configuration: Object | None = None) -> None:
        """`configuration` is a PodSecurityConfiguration: what holds where labels say nothing, and for whom
        nothing does. Raises ValueError for one that makes no sense."""
        self._namespaces = reader.cached(NAMESPACES)
        self._pods = reader.cached(PODS)
        configured = configuration or {}
        self._defaults = {PREFIX + key: text for key, text in (configured.get("defaults") or {}).items()}
        if errors := label_errors(self._defaults):
            raise ValueError("; ".join(map(str, errors)))
        exemptions = configured.get("exemptions") or {}
        self._users = frozenset(exemptions.get("usernames") or ())
        self._exempt_namespaces = frozenset(exemptions.get("namespaces") or ())
        self._runtime_classes = frozenset(exemptions.get("runtimeClasses") or ())

    async def validate(self, attributes: Attributes) -> None:
        group, plural = attributes.resource.group, attributes.resource.plural
        if (group, plural) == ("", "pods"):
            self._pod(attributes)
        elif (group, plural) in _TEMPLATES:
            self._template(attributes, _TEMPLATES[group, plural])
        elif (group, plural) == ("", "namespaces"):
            self._namespace(attributes)

    def _pod(self, attributes: Attributes) -> None:
        pod = concerns(attributes, PODS, "CREATE", "UPDATE")
        if pod is None:
            pod = concerns(attributes, PODS, "UPDATE", subresource="ephemeralcontainers")
        if pod is None:
            return
        labels = self._labels(attributes)
        if not _significant(pod, attributes.old_object):
            return
        if not labels:
            _count(attributes, "allow", _PRIVILEGED, "enforce")
            return
        if self._is_exempt(attributes, pod):
            return
        enforced = standard(labels, "enforce")
        attributes.annotate(f"{PREFIX}enforce-policy", str(enforced))
        violations = evaluate(enforced.level, pod)
        _count(attributes, "deny" if violations else "allow", enforced, "enforce")
        if violations:
            raise refused(attributes, f'violates PodSecurity "{enforced}": {_shown(violations)}')
        _warn(attributes, labels, pod)

    def _template(self, attributes: Attributes, path: tuple[str, ...]) -> None:
        if attributes.subresource or attributes.operation not in ("CREATE", "UPDATE"):
            return
        labels = self._labels(attributes)
        template = meta.dig(attributes.object, *path)
        if labels and template and not self._is_exempt(attributes, template):
            _warn(attributes, labels, template)

    def _labels(self, attributes: Attributes) -> Mapping[str, str]:
        """Return the labels of the namespace; nothing when none of them concerns this plugin."""
        namespace = self._namespaces.get(None, attributes.namespace)
        labels = meta.labels(namespace) if namespace is not None else {}
        if self._defaults:
            return {**self._defaults, **labels}
        return labels if any(key.startswith(PREFIX) for key in labels) else {}

    def _is_exempt(self, attributes: Attributes, pod: Object) -> bool:
        for what, name, exempt in (
            ("namespace", attributes.namespace, self._exempt_namespaces),
            ("user", attributes.user.name, self._users),
            ("runtimeClass", meta.dig(pod, "spec", "runtimeClassName") or "", self._runtime_classes),
        ):
            if name in exempt:
                attributes.annotate(f"{PREFIX}exempt", what)
                if (metrics := _metrics(attributes)) is not None:
                    metrics.pod_security_exemptions.labels(*_request(attributes)).value += 1
                return True
        return False

    def _namespace(self, attributes: Attributes) -> None:
        namespace = concerns(attributes, NAMESPACES, "CREATE", "UPDATE")
        if namespace is None:
            return
        labels, old_labels = meta.labels(namespace), meta.labels(attributes.old_object or {})
        errors = label_errors(labels)
        if errors and (attributes.operation == "CREATE" or label_errors(old_labels) != errors):
            raise Invalid.of(NAMESPACES.kind, NAMESPACES.group, meta.name(namespace), errors)
        enforced = standard({**self._defaults, **labels}, "enforce")
        if attributes.operation == "CREATE" or enforced.level == "privileged":
            return
        if meta.name(namespace) in self._exempt_namespaces:
            return
        if enforced != standard({**self._defaults, **old_labels}, "enforce"):
            attributes.warnings.extend(self._existing(meta.name(namespace), enforced))

    def _existing(self, namespace: str, enforced: Standard) -> list[str]:
        """Return warnings about the pods that a stricter level will not evict, but would not let in."""
        found: dict[str, list[str]] = {}
        pods = list(self._pods.list(namespace))
        for pod in pods[:PODS_CHECKED_MAX]:
            violations = evaluate(enforced.level, pod)
            if violations:
                reasons = ", ".join(violation.reason for violation in violations)
                found.setdefault(reasons, []).append(meta.name(pod))
        warnings: list[str] = []
        if len(pods) > PODS_CHECKED_MAX:
            warnings.append(
                f"new PodSecurity enforce level only checked against the first {PODS_CHECKED_MAX} "
                f"of {len(pods)} existing pods"
            )
        if found:
            warnings.append(
                f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level '
                f'"{enforced}"'
            )
        return [*warnings, *sorted(_of_pods(names) + reasons for reasons, names in found.items())]


def standard(labels: Mapping[str, str], mode: str) -> Standard:
    """Return what the labels ask for in a mode; a level that does not exist is the strictest one."""
    level = labels.get(PREFIX + mode, "privileged")
    version = labels.get(f"{PREFIX}{mode}-version", "latest")
    return Standard(
        level=level if level in LEVELS else "restricted",
        version=version if _VERSION.fullmatch(version) else "latest",
    )


def label_errors(labels: Mapping[str, str]) -> list[FieldError]:
    errors: list[FieldError] = []
    for mode in MODES:
        level = labels.get(PREFIX + mode)
        if level is not None and level not in LEVELS:
            detail = "must be one of privileged, baseline, restricted"
            errors.append(FieldError.invalid(f"metadata.labels[{PREFIX}{mode}]", level, detail))
        version = labels.get(f"{PREFIX}{mode}-version")
        if version is not None and not _VERSION.fullmatch(version):
            field = f"metadata.labels[{PREFIX}{mode}-version]"
            errors.append(FieldError.invalid(field, version, 'must be "latest" or "v1.x"'))
    return errors


_PRIVILEGED = Standard()


def _metrics(attributes: Attributes) -> AdmissionMetrics | None:
    return attributes.host.metrics if attributes.host is not None else None


def _request(attributes: Attributes) -> tuple[str, str, str]:
    """Return the labels that tell what a request is about."""
    kind = {"pods": "pod", "namespaces": "namespace"}.get(attributes.resource.plural, "controller")
    return attributes.operation.lower(), kind, attributes.subresource


def _count(attributes: Attributes, decision: str, policy: Standard, mode: str) -> None:
    if (metrics := _metrics(attributes)) is not None:
        version = "latest" if policy.level == "privileged" else policy.version
        labels = (decision, policy.level, version, mode, *_request(attributes))
        metrics.pod_security.labels(*labels).value += 1


def _warn(attributes: Attributes, labels: Mapping[str, str], pod: Object) -> None:
    """Tell the client and the audit log what their modes have to say."""
    audited = standard(labels, "audit")
    if audited.level != "privileged" and (broken := evaluate(audited.level, pod)):
        text = f'would violate PodSecurity "{audited}": {_shown(broken)}'
        attributes.annotate(f"{PREFIX}audit-violations", text)
        _count(attributes, "deny", audited, "audit")
    wanted = standard(labels, "warn")
    violations = evaluate(wanted.level, pod)
    if violations:
        _count(attributes, "deny", wanted, "warn")
        attributes.warnings.append(f'would violate PodSecurity "{wanted}": {_shown(violations)}')


def _significant(new: Object, old: Object | None) -> bool:
    """Tell whether an update may have changed what the checks look at."""
    if old is None:
        return True
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return any(_images(new, kind) != _images(old, kind) for kind in kinds)


def _images(pod: Object, kind: str) -> list[tuple[str, str]]:
    return [(c.get("name", ""), c.get("image", "")) for c in meta.dig(pod, "spec", kind, default=())]


def _shown(violations: list[Violation]) -> str:
    return ", ".join(str(violation) for violation in violations)


def _of_pods(names: list[str]) -> str:
    first, others = min(names), len(names) - 1
    if not others:
        return f"{first}: "
    return f"{first} (and {others} other pod{'s' if others > 1 else ''}): "
