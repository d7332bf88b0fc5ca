"""What is refused, and in which words, against upstream's answers."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from podium.machinery.decode import DecodeError
from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import deep_copy
from podium.machinery.patch import merge
from podium.machinery.schema import Schemas
from podium.machinery.validation import validate_object_meta, validate_object_meta_update
from podium.resources.batch.schedule import schedule_error
from podium.resources.certificates.certificatesigningrequests import CERTIFICATESIGNINGREQUESTS
from podium.resources.core.pods import PODS
from tests.resources.recorded import (
    Step,
    as_received,
    creations,
    normal,
    scenarios,
    step_of,
)

# What refuses these is elsewhere: the allocation of addresses and ports, and the compilers of expressions and
# of schemas in definitions.
REFUSED_ELSEWHERE = (
    "already allocated",
    "not in the valid range",
    "does not match the current range",
    "compilation failed",
    "must evaluate to bool",
    "must be specified when `clusterIP`",
)

Cause = tuple[str, str, str]


def causes_of(errors: list[FieldError]) -> list[Cause]:
    return [(error.reason, error.field, normal(error.message)) for error in errors]


def expected_causes(answer: Object) -> list[Cause]:
    causes = (answer.get("details") or {}).get("causes") or []
    return [(cause["reason"], cause["field"], normal(cause.get("message") or "")) for cause in causes]


def elsewhere(answer: Object) -> bool:
    return any(text in str(answer.get("message")) for text in REFUSED_ELSEWHERE)


def received(step: Step) -> Object:
    """Return the step's body decoded, defaulted and prepared."""
    resource = step.resource
    obj = as_received(step)
    schema = Schemas.load().compile(resource.schema)
    schema.decode(obj)
    resource.defaults(obj)
    if resource.plural == "services" and obj["spec"].get("clusterIP"):
        # What the allocator does before anything is checked.
        obj["spec"].setdefault("clusterIPs", [obj["spec"]["clusterIP"]])
    resource.prepare_create(obj)
    schema.complete(obj)
    return obj


def refused() -> Iterator[Step]:
    for step in creations(422):
        details = step.answer.get("details") or {}
        if details.get("kind") != step.resource.kind or step.resource.storage is not None:
            continue
        if elsewhere(step.answer) or any("message" not in cause for cause in details.get("causes") or ()):
            continue
        if isinstance(step.body.get("metadata", {}), dict) and step.resource.plural in CHECKED:
            yield step


# The kinds whose checks are complete enough to be compared word by word.
CHECKED = frozenset(
    (
        "pods",
        "services",
        "configmaps",
        "secrets",
        "namespaces",
        "nodes",
        "persistentvolumes",
        "persistentvolumeclaims",
        "replicationcontrollers",
        "endpoints",
        "resourcequotas",
        "limitranges",
        "deployments",
        "replicasets",
        "daemonsets",
        "statefulsets",
        "controllerrevisions",
        "jobs",
        "cronjobs",
        "roles",
        "clusterroles",
        "rolebindings",
        "clusterrolebindings",
        "networkpolicies",
        "ingresses",
        "ipaddresses",
        "servicecidrs",
        "endpointslices",
        "storageclasses",
        "csinodes",
        "volumeattachments",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicybindings",
        "poddisruptionbudgets",
        "priorityclasses",
        "events",
        "horizontalpodautoscalers",
        "certificatesigningrequests",
    )
)


@pytest.mark.parametrize("step", list(refused()), ids=lambda step: step.id)
def test_refuses_in_upstream_words(step: Step) -> None:
    obj = received(step)
    errors = validate_object_meta(obj, step.resource) + step.resource.validate(obj)
    found, expected = causes_of(errors), expected_causes(step.answer)
    if "message" not in step.answer:
        # Recorded without an order: upstream walks a map.
        found, expected = sorted(found), sorted(expected)
    assert found == expected


ACCEPTED_LATER = {
    # Admission names the service account and allocation the addresses, before anything is checked.
    "pods": "serviceAccountToken",
}


@pytest.mark.parametrize(
    "step", [step for step in creations(201) if step.resource.storage is None], ids=lambda step: step.id
)
def test_accepts_what_upstream_accepts(step: Step) -> None:
    obj = received(step)
    errors = validate_object_meta(obj, step.resource) + step.resource.validate(obj)
    allowed = ACCEPTED_LATER.get(step.resource.plural, "\0")
    if step.scenario == "requests/name-and-namespace-mismatch":
        # The namespace of an object without one is dropped when it is received.
        allowed = "metadata.namespace"
    assert [error for error in errors if allowed not in error.field] == []


# Judged by the patcher, deletion or field management; and upstream compares a revision's data byte by byte.
CHANGES_JUDGED_ELSEWHERE = (
    "apply/",
    "deletion/",
    "patches/merge-patch-PATCH-services",
    "controller-revision",
)


def updates() -> Iterator[tuple[Step, Object]]:
    """Yield the recorded merge patches and replacements, with the object as it was before."""
    for name, recorded in scenarios():
        known: dict[tuple[str, str], Object] = {}
        for raw in recorded:
            step = step_of(name, raw)
            if step is None or step.resource.storage is not None or not isinstance(step.answer, dict):
                continue
            key = (
                step.resource.group_plural,
                step.name or str((step.answer.get("metadata") or {}).get("name")),
            )
            before = known.get(key)
            plain = step.verb == "PUT" or step.media_type == "application/merge-patch+json"
            checked = plain and not step.subresource and step.resource.plural in CHECKED
            checked = checked and not any(text in step.id for text in CHANGES_JUDGED_ELSEWHERE)
            if before is not None and checked and isinstance(step.body, dict) and step.status in (200, 422):
                yield step, deep_copy(before)
            if step.status in (200, 201) and step.answer.get("kind") == step.resource.kind:
                known[key] = step.answer


@pytest.mark.parametrize(("step", "old"), list(updates()), ids=lambda value: getattr(value, "id", ""))
def test_judges_changes_as_upstream(step: Step, old: Object) -> None:
    resource = step.resource
    old["metadata"].setdefault("resourceVersion", "1")
    if step.verb == "PATCH":
        new = merge.apply(old, step.body)
    else:
        new = step.body
        for name in ("namespace", "resourceVersion", "uid", "creationTimestamp", "generation"):
            if name in old["metadata"]:
                new.setdefault("metadata", {}).setdefault(name, old["metadata"][name])
    schema = Schemas.load().compile(resource.schema)
    try:
        schema.decode(new)
    except DecodeError:
        pytest.skip("refused when it is decoded")
    resource.defaults(new)
    if resource.plural == "services":
        # What was allocated stays; the allocator sees to it before anything is checked.
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if name in old["spec"] and new["spec"]["type"] != "ExternalName":
                new["spec"].setdefault(name, old["spec"][name])
        if new["spec"]["type"] != old["spec"]["type"]:
            pytest.skip("what a change of type drops is the allocator's")
    if resource.status:
        new["status"] = deep_copy(old.get("status"))
    resource.prepare_update(new, old)
    schema.complete(new)
    metadata = validate_object_meta_update(new, old)
    errors = metadata + metadata + resource.validate_update(new, old)
    expected = expected_causes(step.answer) if step.status == 422 else []
    assert causes_of(errors) == expected


@pytest.mark.parametrize(
    ("schedule", "error"),
    [
        ("* * * * *", ""),
        ("*/5 0-6,20-23 1,15 jan-mar mon-fri", ""),
        ("@daily", ""),
        ("@every 1h30m", ""),
        ("TZ=Europe/Berlin 0 3 * * *", ""),
        ("0 3 * * ?", ""),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@fortnightly", "unrecognized descriptor: @fortnightly"),
    ],
)
def test_schedules(schedule: str, error: str) -> None:
    assert schedule_error(schedule) == error


def _pod(**spec: object) -> Object:
    pod: Object = {
        "metadata": {"name": "p", "namespace": "x", "uid": "u", "resourceVersion": "1"},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }
    PODS.defaults(pod)
    PODS.prepare_create(pod)
    return pod


@pytest.mark.parametrize(
    ("old", "new", "fields"),
    [
        pytest.param(_pod(), _pod(activeDeadlineSeconds=5), [], id="deadline set"),
        pytest.param(
            _pod(activeDeadlineSeconds=5), _pod(), ["spec.activeDeadlineSeconds"], id="deadline unset"
        ),
        pytest.param(
            _pod(tolerations=[{"key": "a", "operator": "Exists"}]),
            _pod(),
            ["spec.tolerations"],
            id="toleration removed",
        ),
        pytest.param(
            _pod(), _pod(tolerations=[{"key": "a", "operator": "Exists"}]), [], id="toleration added"
        ),
        pytest.param(_pod(schedulingGates=[{"name": "a"}]), _pod(), [], id="scheduling gate removed"),
        pytest.param(
            _pod(),
            _pod(schedulingGates=[{"name": "a"}]),
            ["spec.schedulingGates[0].name"],
            id="scheduling gate added",
        ),
        pytest.param(
            _pod(terminationGracePeriodSeconds=-5),
            _pod(terminationGracePeriodSeconds=1),
            [],
            id="negative grace period corrected",
        ),
        pytest.param(_pod(), _pod(terminationGracePeriodSeconds=1), ["spec"], id="grace period changed"),
        pytest.param(_pod(), _pod(nodeSelector={"a": "b"}), ["spec"], id="node selector changed"),
        pytest.param(_pod(), _pod(hostNetwork=False), [], id="what is unset and what is false are the same"),
    ],
)
def test_changes_of_pods(old: Object, new: Object, fields: list[str]) -> None:
    assert [error.field for error in PODS.validate_update(new, old)] == fields


def _container(**fields: object) -> Object:
    return {"name": "c", "image": "i", **fields}


def _resources(**requests: str) -> Object:
    return {"requests": requests, "limits": {"cpu": "1", "memory": "1Gi"}}


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        pytest.param(
            _pod(containers=[_container(resources=_resources(cpu="100m", memory="1Mi"))]),
            _pod(containers=[_container(resources=_resources(cpu="200m", memory="1Mi"))]),
            [],
            id="more cpu",
        ),
        pytest.param(
            _pod(containers=[_container(resources=_resources(cpu="100m", memory="1Mi"))]),
            _pod(containers=[_container(resources=_resources(cpu="1", memory="1Gi"))]),
            ['Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing'],
            id="another quality of service",
        ),
        pytest.param(
            _pod(containers=[_container(resources=_resources(cpu="100m"))]),
            _pod(containers=[_container(resources=_resources(**{"cpu": "100m", "ephemeral-storage": "1"}))]),
            ["Forbidden: only cpu and memory resources are mutable"],
            id="another resource",
        ),
    ],
)
def test_resizes_of_pods(old: Object, new: Object, messages: list[str]) -> None:
    new["status"] = old["status"]
    errors = PODS.validate_subresources["resize"](new, old)
    assert [error.message for error in errors] == messages


def _debugged(*containers: Object) -> Object:
    pod = _pod()
    pod["spec"]["ephemeralContainers"] = [{"image": "i", **container} for container in containers]
    PODS.defaults(pod)
    return pod


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        pytest.param(_debugged(), _debugged({"name": "d", "targetContainerName": "c"}), [], id="added"),
        pytest.param(
            _debugged({"name": "d"}),
            _debugged(),
            ['Forbidden: existing ephemeral containers "d" may not be removed\n'],
            id="removed",
        ),
        pytest.param(
            _debugged({"name": "d"}),
            _debugged({"name": "d", "image": "j"}),
            ['Forbidden: existing ephemeral containers "d" may not be changed<diff>'],
            id="changed",
        ),
        pytest.param(
            _debugged(),
            _debugged(
                {"name": "c"}, {"name": "d", "ports": [{"containerPort": 5}], "targetContainerName": "x"}
            ),
            [
                'Duplicate value: "c"',
                'Not found: "x"',
                "Forbidden: cannot be set for an Ephemeral Container",
            ],
            id="wrong",
        ),
    ],
)
def test_ephemeral_containers_of_pods(old: Object, new: Object, messages: list[str]) -> None:
    errors = PODS.validate_subresources["ephemeralcontainers"](new, old)
    assert [normal(error.message) for error in errors] == messages


CSR_PEM = b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"


def _request(certificate: str = "", **verdicts: str) -> Object:
    request: Object = {
        "metadata": {"name": "r"},
        "spec": {
            "request": base64.b64encode(CSR_PEM).decode(),
            "signerName": "example.com/mine",
            "usages": ["client auth"],
        },
        "status": {"conditions": [{"type": kind, "status": status} for kind, status in verdicts.items()]},
    }
    if certificate:
        request["status"]["certificate"] = base64.b64encode(certificate.encode()).decode()
    return request


PEM = "-----BEGIN CERTIFICATE-----"


@pytest.mark.parametrize(
    ("way", "old", "new", "message"),
    [
        ("status", _request(), _request(Approved="True"), "may not add a condition of type"),
        ("approval", _request(), _request(Approved="True"), ""),
        ("approval", _request(), _request(Approved="False"), "Unsupported value"),
        ("approval", _request(Approved="True"), _request(Denied="True"), "may not remove a condition"),
        ("approval", _request(), _request(Approved="True", Denied="True"), "mutually exclusive"),
        ("approval", _request(), _request(PEM), "may not set certificate content"),
        ("status", _request(), _request(PEM), ""),
        ("status", _request(), _request("no"), "must contain at least one CERTIFICATE PEM block"),
        ("status", _request(PEM), _request(PEM + "2"), "may not modify existing certificate content"),
    ],
)
def test_verdicts_and_certificates_have_their_ways(way: str, old: Object, new: Object, message: str) -> None:
    checks = {
        "status": CERTIFICATESIGNINGREQUESTS.validate_status_update,
        **CERTIFICATESIGNINGREQUESTS.validate_subresources,
    }
    errors = [error.message for error in checks[way](new, old)]
    assert errors == [] if not message else message in errors[0]
